//! Units of systemd: how they start a program, and which variables they set for it.

use std::collections::BTreeMap;

use super::setting::Located;

/// What a unit, a drop-in for it, or a file that they name says of a program's environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// The variables that were asked for, by name. Others, such as proxies with passwords, are not
    /// kept.
    pub variables: BTreeMap<String, Located<String>>,
    /// The files of `EnvironmentFile=`, which outweigh `Environment=`.
    pub files: Vec<String>,
    /// Whether an empty `Environment=` takes away what earlier files set.
    pub emptied: bool,
}

/// One line of a unit's `[Service]` section, as systemd reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// What is set, such as `ExecStart`.
    pub key: String,
    /// All that stands behind the equals sign, without blanks around it.
    pub value: String,
    /// The value split at blanks, but not within quotes, each word with its own line.
    pub words: Vec<Located<String>>,
}

/// What the `[Service]` section of a unit or a drop-in sets, in the order of its lines. Values may
/// hold secrets.
pub fn service(text: &str) -> Vec<Assignment> {
    let mut found = Vec::new();
    let mut in_service = false;
    for line in logical_lines(text) {
        let text = line.text.trim();
        if text.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = text.strip_prefix('[') {
            in_service = section.trim_end() == "Service]";
            continue;
        }
        let Some((key, value)) = line.text.split_once('=').filter(|_| in_service) else { continue };
        let start = key.len() + 1;
        let words = words(value).into_iter();
        found.push(Assignment {
            key: key.trim().to_owned(),
            value: value.trim().to_owned(),
            words: words.map(|(at, word)| Located::at(line.number(start + at), word)).collect(),
        });
    }
    found
}

/// The variables of a file that `EnvironmentFile=` names, with their values, in the order of its
/// lines. Values may hold secrets.
pub fn environment_file(text: &str) -> Vec<(String, Located<String>)> {
    let mut found = Vec::new();
    for line in logical_lines(text) {
        let text = line.text.trim();
        if let (false, Some((name, value))) = (text.starts_with(['#', ';']), text.split_once('=')) {
            found.push((name.trim_end().to_owned(), Located::at(line.number(0), unquoted(value))));
        }
    }
    found
}

impl Environment {
    /// Reads a unit or a drop-in.
    pub fn of_unit(text: &str, is_wanted: fn(&str) -> bool) -> Self {
        let mut found = Self::default();
        for Assignment { key, value, words } in service(text) {
            match (key.as_str(), value.as_str()) {
                ("Environment", "") => {
                    found.variables.clear();
                    found.emptied = true;
                }
                ("Environment", _) => {
                    let pairs = words.iter().filter_map(|word| {
                        let (name, value) = word.value.split_once('=')?;
                        Some((name.to_owned(), Located { value: value.to_owned(), ..word.clone() }))
                    });
                    found.variables.extend(pairs.filter(|(name, _)| is_wanted(name)));
                }
                ("EnvironmentFile", value) => {
                    let path = value.strip_prefix('-').unwrap_or(value);
                    found.files.push(path.to_owned());
                }
                _ => {}
            }
        }
        found
    }

    /// Reads a file that `EnvironmentFile=` names.
    pub fn of_file(text: &str, is_wanted: fn(&str) -> bool) -> Self {
        let pairs = environment_file(text).into_iter();
        let variables = pairs.filter(|(name, _)| is_wanted(name)).collect();
        Self { variables, ..Self::default() }
    }
}

/// A line, with those that continue it.
struct Logical {
    text: String,
    /// Where in the text each line of the file begins, and its number.
    parts: Vec<(usize, u32)>,
}

impl Logical {
    /// The line of the file in which a byte of the text stands.
    fn number(&self, at: usize) -> u32 {
        let before = self.parts.partition_point(|(start, _)| *start <= at);
        before.checked_sub(1).and_then(|last| self.parts.get(last)).map_or(1, |part| part.1)
    }
}

/// Lines, those that end in a backslash joined with the next. A comment in between is left out.
fn logical_lines(text: &str) -> Vec<Logical> {
    let mut lines: Vec<Logical> = Vec::new();
    let mut goes_on = false;
    for (number, line) in (1..).zip(text.lines()) {
        if goes_on && line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        let (part, more) = match line.strip_suffix('\\') {
            Some(part) => (part, true),
            None => (line, false),
        };
        match lines.last_mut().filter(|_| goes_on) {
            Some(whole) => {
                whole.text.push(' ');
                whole.parts.push((whole.text.len(), number));
                whole.text.push_str(part);
            }
            None => lines.push(Logical { text: part.to_owned(), parts: vec![(0, number)] }),
        }
        goes_on = more;
    }
    lines
}

/// Words as systemd splits them: at blanks, but not within quotes; each with where it begins.
pub(crate) fn words(text: &str) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    let mut word: Option<(usize, String)> = None;
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_with(|| (at, String::new()));
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_with(|| (at, String::new())).1.push(c),
        }
    }
    words.extend(word);
    words
}

/// The value of a variable in a file: in quotes, or all up to the end of the line.
fn unquoted(value: &str) -> String {
    let value = value.trim();
    if value.starts_with(['"', '\'']) {
        return words(value).into_iter().next().unwrap_or_default().1;
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_wanted(name: &str) -> bool {
        name.starts_with("SSL_CERT_")
    }

    fn unit(text: &str) -> Environment {
        Environment::of_unit(text, is_wanted)
    }

    fn file(found: &Environment) -> Option<(&str, Option<u32>)> {
        found.variables.get("SSL_CERT_FILE").map(|it| (it.value.as_str(), it.line))
    }

    #[test]
    fn assignments_are_found_among_others() {
        let found = unit(
            "[Unit]\nEnvironment=SSL_CERT_FILE=/no\n[Service]\n# Environment=SSL_CERT_FILE=/no\n\
             Environment=\"SSL_CERT_FILE=/a b\" HTTPS_PROXY=http://u:secret@p \\\n  \
             'SSL_CERT_DIR=/c:/d'\nEnvironmentFile=-/etc/default/docker\n",
        );
        assert_eq!(file(&found), Some(("/a b", Some(5))));
        assert_eq!(found.variables["SSL_CERT_DIR"].value, "/c:/d");
        assert_eq!(found.files, ["/etc/default/docker"]);
        assert!(!format!("{found:?}").contains("secret"));
    }

    #[test]
    fn the_last_word_counts_and_an_empty_one_takes_all_back() {
        let twice = "[Service]\nEnvironment=SSL_CERT_FILE=/a\nEnvironment=SSL_CERT_FILE=/b\n";
        assert_eq!(file(&unit(twice)), Some(("/b", Some(3))));
        let emptied = unit(&format!("{twice}Environment=\n"));
        assert!(emptied.variables.is_empty() && emptied.emptied);
    }

    #[test]
    fn words_are_told_with_their_own_lines() {
        let text = "[Service]\n# ExecStart=/no\nExecStart=/usr/bin/dockerd -H fd:// \\\n\
                    # --not-this \\\n  --insecure-registry \"a b\" $OPTIONS\n\
                    [Install]\nExecStart=/no\n";
        let [start] = &service(text)[..] else { panic!("{:?}", service(text)) };
        assert_eq!(start.key, "ExecStart");
        let words: Vec<_> =
            start.words.iter().map(|it| (it.value.as_str(), it.line.unwrap())).collect();
        let first = [("/usr/bin/dockerd", 3), ("-H", 3), ("fd://", 3)];
        assert_eq!(words[..3], first);
        assert_eq!(words[3..], [("--insecure-registry", 5), ("a b", 5), ("$OPTIONS", 5)]);
        let empty = service("[Service]\nExecStart=\n");
        assert!(empty[0].value.is_empty() && empty[0].words.is_empty());
    }

    #[test]
    fn variables_in_files_reach_to_the_end_of_the_line() {
        let found = environment_file("A=-x -y \nB='-x y' # z\n;C=1\nD=\"\"\nE=-x \\\n -y\n");
        let found: Vec<_> = found.iter().map(|(name, it)| (&**name, &*it.value, it.line)).collect();
        let expected = [
            ("A", "-x -y", Some(1)),
            ("B", "-x y", Some(2)),
            ("D", "", Some(4)),
            ("E", "-x   -y", Some(5)),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn environment_files_are_lists_of_assignments() {
        let read = |text| Environment::of_file(text, is_wanted);
        let quoted = read("# SSL_CERT_FILE=/no\nTOKEN=secret\nSSL_CERT_FILE=\"/a\" \n");
        assert_eq!(file(&quoted), Some(("/a", Some(3))));
        assert_eq!(file(&read("SSL_CERT_FILE= /a b \n")), Some(("/a b", Some(1))));
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_read(text: String) {
            unit(&text);
            Environment::of_file(&text, is_wanted);
            service(&text);
            environment_file(&text);
        }
    }
}
