//! The command line of dockerd, Docker's daemon.

use super::scrub;

/// Flags whose values are kept; those of all others, such as options of a log driver, may be
/// secrets.
const SHOWN: [&str; 7] = [
    "allow-nondistributable-artifacts",
    "config-file",
    "data-root",
    "dns",
    "host",
    "insecure-registry",
    "registry-mirror",
];

/// The one short form among them.
const SHORT_HOST: &str = "-H";

/// No flag of dockerd has a longer name.
const LONGEST_NAME: usize = 48;

/// A flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag<P> {
    /// Its long name, without dashes.
    pub name: String,
    /// Its value, scrubbed; `None` for those that gldoctor has no use for.
    pub value: Option<String>,
    /// Where it stands.
    pub place: P,
}

/// The flags among the words of a command line, each word with its place. The program's own name
/// may be among them.
pub fn flags<P: Clone>(words: &[(String, P)]) -> Vec<Flag<P>> {
    let mut flags = Vec::new();
    let mut words = words.iter();
    while let Some((word, place)) = words.next() {
        let (name, value) = match word.strip_prefix("--") {
            Some(long) => match long.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (long, None),
            },
            None => match word.strip_prefix(SHORT_HOST) {
                Some("") => ("host", None),
                Some(value) => ("host", Some(value.strip_prefix('=').unwrap_or(value))),
                None => continue,
            },
        };
        if !is_name(name) {
            continue;
        }
        let value = if SHOWN.contains(&name) {
            let value = value.or_else(|| words.next().map(|(word, _)| word.as_str()));
            // Without its value dockerd does not start.
            let Some(value) = value else { break };
            Some(scrub::url(value))
        } else {
            None
        };
        flags.push(Flag { name: name.to_owned(), value, place: place.clone() });
    }
    flags
}

fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(fits) && !text.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Vec<(String, Option<String>)> {
        let words: Vec<_> = line.split(' ').map(|word| (word.to_owned(), ())).collect();
        flags(&words).into_iter().map(|flag| (flag.name, flag.value)).collect()
    }

    #[test]
    fn values_stand_behind_an_equals_sign_or_in_the_next_word() {
        let found = read(
            "/usr/bin/dockerd -H fd:// --insecure-registry=a.test:5050 --insecure-registry b.test \
             --debug -Hunix:///x --registry-mirror https://u:hush@mirror.test -D --config-file /c",
        );
        let expected = [
            ("host", Some("fd://")),
            ("insecure-registry", Some("a.test:5050")),
            ("insecure-registry", Some("b.test")),
            ("debug", None),
            ("host", Some("unix:///x")),
            ("registry-mirror", Some("https://mirror.test")),
            ("config-file", Some("/c")),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
        assert_eq!(found, expected);
    }

    #[test]
    fn what_may_be_secret_is_not_kept() {
        let found = read("dockerd --log-opt splunk-token=hush --http-proxy=http://u:hush@p --Hush");
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["log-opt", "http-proxy"]);
        assert!(!format!("{found:?}").contains("hush"));
    }

    #[test]
    fn a_flag_without_its_value_ends_the_line() {
        assert!(read("dockerd --insecure-registry").is_empty());
        assert!(read("dockerd insecure-registry a.test").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn any_words_are_read(line in "(-|--|=|H|host|dns| |é|[a-z]){0,40}", text: String) {
            read(&line);
            read(&text);
        }
    }
}
