//! Units of systemd: which variables they set for a program, of those that matter, and nothing
//! else of them.

use std::collections::BTreeMap;

use super::setting::Located;

/// What a unit, a drop-in for it, or a file that they name says of a program's environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignments {
    /// The variables that were asked for, by name. Others, such as proxies with passwords, are not
    /// kept.
    pub variables: BTreeMap<String, Located<String>>,
    /// The files of `EnvironmentFile=`, which outweigh `Environment=`.
    pub environment_files: Vec<String>,
    /// Whether an empty `Environment=` takes away what earlier files set.
    pub emptied: bool,
}

impl Assignments {
    /// Reads a unit or a drop-in.
    pub fn of_unit(text: &str, is_wanted: fn(&str) -> bool) -> Self {
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
                    found.variables.clear();
                    found.emptied = true;
                }
                ("Environment", value) => {
                    for word in words(value) {
                        found.assign(line, &word, is_wanted);
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
    pub fn of_environment_file(text: &str, is_wanted: fn(&str) -> bool) -> Self {
        let mut found = Self::default();
        for (line, text) in logical_lines(text) {
            let text = text.trim();
            if let (false, Some((name, value))) =
                (text.starts_with(['#', ';']), text.split_once('='))
            {
                // Blanks belong to a value, unless quotes say where it ends.
                let value = match value.trim() {
                    quoted if quoted.starts_with(['"', '\'']) => {
                        words(quoted).into_iter().next().unwrap_or_default()
                    }
                    plain => plain.to_owned(),
                };
                found.assign(line, &format!("{name}={value}"), is_wanted);
            }
        }
        found
    }

    fn assign(&mut self, line: u32, assignment: &str, is_wanted: fn(&str) -> bool) {
        if let Some((name, value)) = assignment.split_once('=')
            && is_wanted(name)
        {
            self.variables.insert(name.to_owned(), Located::at(line, value.to_owned()));
        }
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

    fn is_wanted(name: &str) -> bool {
        name.starts_with("SSL_CERT_")
    }

    fn unit(text: &str) -> Assignments {
        Assignments::of_unit(text, is_wanted)
    }

    fn file(found: &Assignments) -> Option<(&str, Option<u32>)> {
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
        assert_eq!(found.environment_files, ["/etc/default/docker"]);
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
    fn environment_files_are_lists_of_assignments() {
        let read = |text| Assignments::of_environment_file(text, is_wanted);
        let quoted = read("# SSL_CERT_FILE=/no\nTOKEN=secret\nSSL_CERT_FILE=\"/a\" \n");
        assert_eq!(file(&quoted), Some(("/a", Some(3))));
        assert_eq!(file(&read("SSL_CERT_FILE= /a b \n")), Some(("/a b", Some(1))));
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_read(text: String) {
            Assignments::of_unit(&text, is_wanted);
            Assignments::of_environment_file(&text, is_wanted);
        }
    }
}
