//! User names and passwords by host, in the format that curl reads (`netrc`).

use super::Malformed;

/// A text that must never be shown, overwritten when it goes out of scope.
///
/// There is no `Debug`, no `Clone` and no `Serialize`, so it cannot travel by accident.
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes a text over.
    pub fn new(text: String) -> Self {
        Self(text.into_bytes())
    }

    /// The text, for the one place that sends it.
    pub(crate) fn reveal(&self) -> &str {
        // It was a text when it was taken over.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        // Keeps the compiler from dropping writes that nobody seems to read.
        std::hint::black_box(self.0.as_slice());
    }
}

/// What is to be sent to a host.
pub struct Entry {
    /// The host; `None` for every host that has no entry of its own.
    pub machine: Option<String>,
    /// The user name.
    pub login: String,
    /// The password or access token.
    pub password: Secret,
}

/// Reads a file. Its entries without a login or a password are left out. The error never quotes
/// the file.
pub fn read(content: &[u8]) -> Result<Vec<Entry>, Malformed> {
    let text = std::str::from_utf8(content)
        .map_err(|_| Malformed::new(None, "the file is not UTF-8 text"))?;
    let mut entries = Vec::new();
    let mut draft: Option<Draft> = None;
    let mut words = Words { rest: text.trim_start_matches('\u{feff}'), line: 1 };
    while let Some(word) = words.next()? {
        match word.as_str() {
            "machine" => {
                entries.extend(draft.replace(Draft::of(Some(words.value("machine")?))).finished());
            }
            "default" => entries.extend(draft.replace(Draft::of(None)).finished()),
            "login" => words.value("login").map(|it| draft.set(|to| &mut to.login, it))?,
            "password" => words.value("password").map(|it| draft.set(|to| &mut to.password, it))?,
            "account" => drop(words.value("account")?),
            "macdef" => words.skip_macro(),
            _ => return Err(Malformed::new(words.line, "expected machine, login or password")),
        }
    }
    entries.extend(draft.finished());
    Ok(entries)
}

struct Draft {
    machine: Option<String>,
    login: Option<String>,
    password: Option<String>,
}

impl Draft {
    fn of(machine: Option<String>) -> Self {
        Self { machine, login: None, password: None }
    }
}

/// What may be done while no `machine` has come yet.
trait Pending {
    fn set(&mut self, field: fn(&mut Draft) -> &mut Option<String>, value: String);
    fn finished(self) -> Option<Entry>;
}

impl Pending for Option<Draft> {
    fn set(&mut self, field: fn(&mut Draft) -> &mut Option<String>, value: String) {
        if let Some(draft) = self {
            *field(draft) = Some(value);
        }
    }

    fn finished(self) -> Option<Entry> {
        let Draft { machine, login, password } = self?;
        Some(Entry { machine, login: login?, password: Secret::new(password?) })
    }
}

/// The words of a file: between blanks, or in quotes with backslashes.
struct Words<'a> {
    rest: &'a str,
    line: u32,
}

impl Words<'_> {
    fn next(&mut self) -> Result<Option<String>, Malformed> {
        loop {
            let start = self.rest.trim_start();
            self.pass(self.rest.len() - start.len());
            match self.rest.chars().next() {
                None => return Ok(None),
                Some('#') => self.pass(self.rest.find('\n').unwrap_or(self.rest.len())),
                Some('"') => return self.quoted().map(Some),
                Some(_) => {
                    let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
                    let word = self.rest[..end].to_owned();
                    self.pass(end);
                    return Ok(Some(word));
                }
            }
        }
    }

    fn value(&mut self, name: &str) -> Result<String, Malformed> {
        let line = self.line;
        // A password may begin with a hash, which stands for a comment only where a name is due.
        let start = self.rest.trim_start();
        self.pass(self.rest.len() - start.len());
        if self.rest.starts_with('#') {
            let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
            let word = self.rest[..end].to_owned();
            self.pass(end);
            return Ok(word);
        }
        self.next()?.ok_or_else(|| Malformed::new(line, format!("nothing follows {name}")))
    }

    fn quoted(&mut self) -> Result<String, Malformed> {
        let mut word = String::new();
        let mut escaped = false;
        for (at, c) in self.rest.char_indices().skip(1) {
            match c {
                _ if escaped => {
                    word.push(match c {
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        c => c,
                    });
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => {
                    self.pass(at + 1);
                    return Ok(word);
                }
                c => word.push(c),
            }
        }
        Err(Malformed::new(self.line, "a quote is not closed"))
    }

    /// A macro ends with an empty line.
    fn skip_macro(&mut self) {
        self.pass(self.rest.find("\n\n").unwrap_or(self.rest.len()));
    }

    fn pass(&mut self, bytes: usize) {
        let lines = self.rest[..bytes].bytes().filter(|byte| *byte == b'\n').count();
        self.line = self.line.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
        self.rest = &self.rest[bytes..];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Shown = (Option<String>, String, String);

    fn entries(text: &str) -> Vec<Shown> {
        let entry = |it: Entry| (it.machine, it.login, it.password.reveal().to_owned());
        read(text.as_bytes()).unwrap().into_iter().map(entry).collect()
    }

    fn one(machine: Option<&str>, login: &str, password: &str) -> Shown {
        (machine.map(str::to_owned), login.to_owned(), password.to_owned())
    }

    #[test]
    fn entries_are_read_as_curl_reads_them() {
        let text = "# comment\nmachine git.test login root password #hush1\n\
                    machine other\n\tlogin a\n\taccount x\n\tpassword \"two \\\"words\\\"\"\n\
                    macdef init\ncd /pub\nmachine x\n\ndefault login anonymous password none";
        assert_eq!(
            entries(text),
            [
                one(Some("git.test"), "root", "#hush1"),
                one(Some("other"), "a", "two \"words\""),
                one(None, "anonymous", "none"),
            ]
        );
        assert!(entries("machine git.test login root\nlogin x").is_empty());
        assert!(entries("").is_empty() && entries("login x password y").is_empty());
    }

    #[test]
    fn errors_name_the_line_and_quote_nothing() {
        let error = |text: &str| read(text.as_bytes()).err().unwrap();
        assert_eq!(error("machine a\nlogin b\npasword hush").line, Some(3));
        for text in ["machine a login b password", "hush", "machine a password \"hush", "machine"] {
            assert!(!error(text).to_string().contains("hush"), "{text}");
        }
        assert!(read(b"machine a login \xff").is_err());
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, near in "(machine|login|password|macdef| |\n|\"|\\\\|#|x){0,30}") {
            let _ = read(&bytes);
            let _ = read(near.as_bytes());
        }
    }
}
