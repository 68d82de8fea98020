//! Units of systemd: which variables about trust they set for a program, and nothing else of them.

use serde::{Deserialize, Serialize};

use super::setting::Located;

/// What a unit, or a drop-in for it, says of the variables by which Go finds its certificates.
/// Others, such as proxies with passwords, are not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrustVariables {
    /// `SSL_CERT_FILE`.
    pub file: Option<Located<String>>,
    /// `SSL_CERT_DIR`.
    pub folders: Option<Located<String>>,
    /// The files of `EnvironmentFile=`, which outweigh `Environment=`.
    pub environment_files: Vec<String>,
    /// Whether an empty `Environment=` takes away what earlier files set.
    pub emptied: bool,
}

impl TrustVariables {
    /// Reads a unit or a drop-in.
    pub fn of_unit(text: &str) -> Self {
        let mut found = Self::default();
        let mut in_service = false;
        for (line, text) in logical_lines(text) {
            let text = text.trim();
            if text.starts_with(['#', ';']) {
                continue;
            }
            if let Some(section) = text.strip_prefix('[') {
                in_service = section.trim_end() == "Service]";
                continue;
            }
            let Some((key, value)) = text.split_once('=').filter(|_| in_service) else { continue };
            match (key.trim_end(), value.trim()) {
                ("Environment", "") => {
                    let files = std::mem::take(&mut found.environment_files);
                    found = Self { emptied: true, environment_files: files, ..Self::default() };
                }
                ("Environment", value) => {
                    for word in words(value) {
                        found.assign(line, &word);
                    }
                }
                ("EnvironmentFile", value) => {
                    let path = value.strip_prefix('-').unwrap_or(value);
                    found.environment_files.push(path.to_owned());
                }
                _ => {}
            }
        }
        found
    }

    /// Reads a file that `EnvironmentFile=` names.
    pub fn of_environment_file(text: &str) -> Self {
        let mut found = Self::default();
        for (line, text) in logical_lines(text) {
            let text = text.trim();
            if let (false, Some((name, value))) =
                (text.starts_with(['#', ';']), text.split_once('='))
            {
                let value = words(value).into_iter().next().unwrap_or_default();
                found.assign(line, &format!("{name}={value}"));
            }
        }
        found
    }

    fn assign(&mut self, line: u32, assignment: &str) {
        let slot = match assignment.split_once('=') {
            Some(("SSL_CERT_FILE", _)) => &mut self.file,
            Some(("SSL_CERT_DIR", _)) => &mut self.folders,
            _ => return,
        };
        let (_, value) = assignment.split_once('=').unwrap_or_default();
        *slot = Some(Located::at(line, value.to_owned()));
    }
}

/// Lines with the number of the first, those that end in a backslash joined with the next.
fn logical_lines(text: &str) -> Vec<(u32, String)> {
    let mut lines: Vec<(u32, String)> = Vec::new();
    let mut goes_on = false;
    for (number, line) in (1..).zip(text.lines()) {
        let (part, more) = match line.strip_suffix('\\') {
            Some(part) => (part, true),
            None => (line, false),
        };
        match lines.last_mut().filter(|_| goes_on) {
            Some((_, whole)) => {
                whole.push(' ');
                whole.push_str(part);
            }
            None => lines.push((number, part.to_owned())),
        }
        goes_on = more;
    }
    lines
}

/// Words as systemd splits them: at blanks, but not within quotes.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(text: &str) -> TrustVariables {
        TrustVariables::of_unit(text)
    }

    fn file(found: &TrustVariables) -> Option<(&str, Option<u32>)> {
        found.file.as_ref().map(|it| (it.value.as_str(), it.line))
    }

    #[test]
    fn assignments_are_found_among_others() {
        let found = unit(
            "[Unit]\nEnvironment=SSL_CERT_FILE=/no\n[Service]\n# Environment=SSL_CERT_FILE=/no\n\
             Environment=\"SSL_CERT_FILE=/a b\" HTTPS_PROXY=http://u:secret@p \\\n  \
             'SSL_CERT_DIR=/c:/d'\nEnvironmentFile=-/etc/default/docker\n",
        );
        assert_eq!(file(&found), Some(("/a b", Some(5))));
        assert_eq!(found.folders.as_ref().map(|it| it.value.as_str()), Some("/c:/d"));
        assert_eq!(found.environment_files, ["/etc/default/docker"]);
        assert!(!format!("{found:?}").contains("secret"));
    }

    #[test]
    fn the_last_word_counts_and_an_empty_one_takes_all_back() {
        let twice = "[Service]\nEnvironment=SSL_CERT_FILE=/a\nEnvironment=SSL_CERT_FILE=/b\n";
        assert_eq!(file(&unit(twice)), Some(("/b", Some(3))));
        let emptied = unit(&format!("{twice}Environment=\n"));
        assert!(emptied.file.is_none() && emptied.emptied);
    }

    #[test]
    fn environment_files_are_lists_of_assignments() {
        let text = "# SSL_CERT_FILE=/no\nTOKEN=secret\nSSL_CERT_FILE=\"/a\"\n";
        assert_eq!(file(&TrustVariables::of_environment_file(text)), Some(("/a", Some(3))));
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_read(text: String) {
            TrustVariables::of_unit(&text);
            TrustVariables::of_environment_file(&text);
        }
    }
}
