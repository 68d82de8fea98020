//! What a server asks for in `WWW-Authenticate` (RFC 9110, section 11.6.1).
//!
//! The same bytes are read twice: once as a patient reader understands them, who takes several
//! challenges from one line, and once as Docker's own parser does (Distribution,
//! `authchallenge.go`), which takes one challenge from a line and stops at the first part that it
//! does not understand. Where both differ, Docker's users cannot log in and nothing says why.

/// A way to prove who one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// In lower case: `bearer`, `basic`.
    pub scheme: String,
    /// In their order; names in lower case, values without quotes and escapes.
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// A challenge with these parameters, as a server would send it.
    pub fn new<'a>(scheme: &str, parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_ascii_lowercase(), value.to_owned());
        Self {
            scheme: scheme.to_ascii_lowercase(),
            parameters: parameters.into_iter().map(owned).collect(),
        }
    }

    /// The value of a parameter; of several the last, which Docker takes.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut same = self.parameters.iter().rev().filter(|(key, _)| key == name);
        same.next().map(|(_, value)| value.as_str())
    }

    /// Whether this asks for a token: the only kind of challenge that GitLab's registry sends.
    pub fn is_bearer(&self) -> bool {
        self.scheme == "bearer"
    }
}

/// Every challenge in a header line. Parts that cannot be understood are skipped.
pub fn read(line: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches(|c| is_space(c) || c == ',');
        let (word, after) = token(rest);
        if word.is_empty() {
            // A stray quote or separator: what follows the next comma may make sense again.
            match rest.find(',') {
                Some(comma) => rest = &rest[comma..],
                None => return challenges,
            }
            continue;
        }
        let spaced = after.trim_start_matches(is_space);
        match (spaced.strip_prefix('='), challenges.last_mut()) {
            (Some(value), Some(challenge)) => {
                let value = value.trim_start_matches(is_space);
                let (value, after) = if let Some(quoted) = value.strip_prefix('"') {
                    // Without its closing quote a value goes on to the end of the line.
                    quoted_text(quoted).unwrap_or((quoted.to_owned(), ""))
                } else {
                    let end = value.find(|c| is_space(c) || c == ',').unwrap_or(value.len());
                    (value[..end].to_owned(), &value[end..])
                };
                challenge.parameters.push((word.to_ascii_lowercase(), value));
                rest = after;
            }
            (Some(_), None) => rest = spaced.find(',').map_or("", |comma| &spaced[comma..]),
            (None, _) => {
                challenges.push(Challenge::new(word, []));
                rest = without_token68(spaced);
            }
        }
    }
}

/// The one challenge that Docker takes from a header line.
pub fn as_docker_reads(line: &str) -> Option<Challenge> {
    let (scheme, rest) = token(line);
    if scheme.is_empty() {
        return None;
    }
    let mut challenge = Challenge::new(scheme, []);
    let mut next = Some(rest.trim_start_matches(is_space));
    while let Some(rest) = next {
        let (name, rest) = token(rest.trim_start_matches(is_space));
        let Some(value) = rest.strip_prefix('=').filter(|_| !name.is_empty()) else { break };
        let read = match value.strip_prefix('"') {
            Some(quoted) => quoted_text(quoted),
            None => Some(token(value)).map(|(value, rest)| (value.to_owned(), rest)),
        };
        let Some((value, rest)) = read else { break };
        if value.is_empty() {
            break;
        }
        challenge.parameters.push((name.to_ascii_lowercase(), value));
        next = rest.trim_start_matches(is_space).strip_prefix(',');
    }
    Some(challenge)
}

/// What may stand behind a scheme in place of parameters, as in `Negotiate YII=`.
fn without_token68(rest: &str) -> &str {
    let end = rest.find(|c| is_space(c) || c == ',').unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    let digits = word.trim_end_matches('=');
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
    let ends_here = after.trim_start_matches(is_space);
    let alone = ends_here.is_empty() || ends_here.starts_with(',');
    if alone && !digits.is_empty() && digits.chars().all(fits) { after } else { rest }
}

/// The text up to the closing quote, without escapes, and what follows; `None` where no quote
/// closes it.
fn quoted_text(text: &str) -> Option<(String, &str)> {
    let mut read = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => {
                read.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Some((read, &text[at + 1..])),
            c => read.push(c),
        }
    }
    None
}

fn token(text: &str) -> (&str, &str) {
    let is_token = |c: char| c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?={}".contains(c);
    text.split_at(text.find(|c| !is_token(c)).unwrap_or(text.len()))
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GITLAB: &str = r#"Bearer realm="https://git.test/jwt/auth",service="container_registry",scope="repository:g/p:pull,push",error="insufficient_scope""#;

    fn schemes(line: &str) -> Vec<String> {
        read(line).into_iter().map(|challenge| challenge.scheme).collect()
    }

    #[test]
    fn both_read_what_registries_send() {
        let whole = read(GITLAB).remove(0);
        assert_eq!(as_docker_reads(GITLAB), Some(whole.clone()));
        assert!(whole.is_bearer());
        assert_eq!(whole.parameter("realm"), Some("https://git.test/jwt/auth"));
        assert_eq!(whole.parameter("scope"), Some("repository:g/p:pull,push"));
        assert_eq!(whole.parameter("error"), Some("insufficient_scope"));
        assert_eq!(whole.parameter("Realm"), None);
        for line in [
            r#"bearer REALM="r" , Service=s"#,
            "BEARER realm=\"r\",\tservice=\"s\"",
            r#"Bearer realm="\r",service="s""#,
        ] {
            for challenge in [read(line).remove(0), as_docker_reads(line).unwrap()] {
                assert!(challenge.is_bearer(), "{line}");
                assert_eq!(challenge.parameter("realm"), Some("r"), "{line}");
                assert_eq!(challenge.parameter("service"), Some("s"), "{line}");
            }
        }
        let escaped = r#"Bearer realm="a\"b\\c",service=s"#;
        assert_eq!(as_docker_reads(escaped).unwrap().parameter("realm"), Some(r#"a"b\c"#));
        assert_eq!(read(escaped)[0].parameter("service"), Some("s"));
    }

    #[test]
    fn several_challenges_stand_in_one_line() {
        let line = format!(r#"Negotiate, Basic realm="a, b", NTLM YII=, {GITLAB}"#);
        assert_eq!(schemes(&line), ["negotiate", "basic", "ntlm", "bearer"]);
        let bearer = read(&line).pop().unwrap();
        assert_eq!(bearer.parameter("service"), Some("container_registry"));
        assert_eq!(as_docker_reads(&line).unwrap().scheme, "negotiate");
        let line = format!(r#"Basic realm="x", {GITLAB}"#);
        let docker = as_docker_reads(&line).unwrap();
        assert_eq!((docker.scheme.as_str(), docker.parameter("realm")), ("basic", Some("x")));
        assert_eq!(docker.parameter("service"), None);
    }

    #[test]
    fn docker_stops_at_the_first_malformed_part() {
        let lost = [
            r#"Bearer realm="r,service="s""#,
            r#"Bearer realm="r;service="s""#,
            r#"Bearer realm="r" service="s""#,
            r#"Bearer realm="r",=x,service="s""#,
            r#"Bearer realm="r",x,service="s""#,
            r#"Bearer realm="r",scope="",service="s""#,
            r#"Bearer realm="r",x = y,service="s""#,
        ];
        for line in lost {
            let docker = as_docker_reads(line).unwrap();
            assert!(docker.is_bearer() && docker.parameter("service").is_none(), "{line}");
        }
        let unquoted = as_docker_reads("Bearer realm=https://git.test/jwt/auth").unwrap();
        assert_eq!(unquoted.parameter("realm"), Some("https"));
        let read = read("Bearer realm=https://git.test/jwt/auth").remove(0);
        assert_eq!(read.parameter("realm"), Some("https://git.test/jwt/auth"));
        assert_eq!(as_docker_reads(r#"Bearer realm="r"#).unwrap().parameter("realm"), None);
    }

    #[test]
    fn nothing_is_no_challenge() {
        assert!(read("").is_empty() && read(" , ,").is_empty() && read("\"x").is_empty());
        assert_eq!(as_docker_reads(""), None);
        assert_eq!(as_docker_reads(" Bearer realm=x"), None);
        assert!(read("realm=\"x\"").is_empty());
    }

    proptest! {
        #[test]
        fn never_panics(line: String, near in "(Bearer |Basic|realm|=|\"|\\\\|,| |r|;){0,40}") {
            for line in [&line, &near] {
                let _ = read(line);
                let _ = as_docker_reads(line);
            }
        }

        #[test]
        fn what_docker_reads_whole_is_read_so(value in "[a-z:/.]{1,20}", other in "[a-z,]{1,9}") {
            let line = format!(r#"Bearer realm="{value}",service="{other}""#);
            prop_assert_eq!(as_docker_reads(&line), read(&line).pop());
        }
    }
}
