//! The registry's log: the lines in which it says why it refuses a token.
//!
//! Whoever sends a token decides what stands in such a line, so of each only what is refused is
//! kept, cut short and without control characters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// As much of a refused key ID, issuer or audience as is kept.
const LONGEST: usize = 100;

/// Why the registry refuses a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// Its key is not in `rootcertbundle`.
    UntrustedKey,
    /// Its issuer is not `auth.token.issuer`.
    UntrustedIssuer,
    /// Its audience is not `auth.token.service`.
    OtherAudience,
    /// By the registry's clock it is over.
    Expired,
    /// By the registry's clock it has not begun.
    NotYet,
    /// Its signature does not fit the key that it names.
    Signature,
    /// It is no token that the registry can read.
    Malformed,
}

/// The refusals of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// How many lines say so.
    pub count: u64,
    /// What the last of them refused: the key's ID, the issuer, the audience.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// When that was, as the log has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// What a part of a log says.
pub type Refusals = BTreeMap<Refusal, Refused>;

/// The words of each kind, those of Distribution before those of GitLab's own registry.
const WORDS: [(&str, Refusal); 10] = [
    ("token signed by untrusted key with ID: ", Refusal::UntrustedKey),
    ("token from untrusted issuer", Refusal::UntrustedIssuer),
    ("token intended for another audience", Refusal::OtherAudience),
    ("token not to be used after ", Refusal::Expired),
    ("token has expired", Refusal::Expired),
    ("token not to be used before ", Refusal::NotYet),
    ("token used before time", Refusal::NotYet),
    ("unable to verify token signature", Refusal::Signature),
    ("unable to get token signing key", Refusal::Malformed),
    ("error while unmarshalling raw token", Refusal::Malformed),
];

/// Reads the lines of a log, in whatever form: with svlogd's time before it or not, as text or as
/// JSON.
pub fn read(content: &[u8]) -> Refusals {
    let mut refusals = Refusals::new();
    for line in content.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        let Some((at, words, refusal)) = find(&line) else { continue };
        let refused = refusals.entry(refusal).or_default();
        refused.count += 1;
        refused.last = value(&line, &line[at + words.len()..], refusal).or(refused.last.take());
        refused.at = time(&line).or(refused.at.take());
    }
    refusals
}

/// The refusal that a line tells of. Not an access line, which holds whatever a client asked for.
fn find(line: &str) -> Option<(usize, &'static str, Refusal)> {
    if !line.contains("token") || !line.contains("level") {
        return None;
    }
    WORDS.iter().find_map(|(words, refusal)| Some((line.find(words)?, *words, *refusal)))
}

/// What was refused: behind the words, or in a field of its own.
fn value(line: &str, behind: &str, refusal: Refusal) -> Option<String> {
    let field = match refusal {
        Refusal::UntrustedKey => None,
        Refusal::UntrustedIssuer => Some("issuer"),
        Refusal::OtherAudience => Some("audience"),
        _ => return None,
    };
    let document = || serde_json::from_str::<Value>(line.get(line.find('{')?..)?).ok();
    if let Some(text) = field.and_then(|name| Some(document()?[name].as_str()?.to_owned())) {
        return Some(shortened(&text));
    }
    let text = behind.trim_start_matches([':', ' ', '\\', '"']);
    let end = text.find(['\\', '"']).unwrap_or(text.len());
    let text = text[..end].trim();
    (!text.is_empty()).then(|| shortened(text))
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

/// `time="..."`, `"time":"..."`, or svlogd's own before the line.
fn time(line: &str) -> Option<String> {
    let marks = ["time=\"", "\"time\":\""];
    let behind = marks.iter().find_map(|mark| line.split_once(mark).map(|(_, rest)| rest));
    let text = match behind {
        Some(rest) => rest.split('"').next()?,
        None => line.split(' ').next()?,
    };
    let fits = |c: char| c.is_ascii_digit() || "-:.TZ+_".contains(c);
    (text.len() <= 40 && text.len() >= 10 && text.chars().all(fits)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(line: &str) -> (Refusal, Refused) {
        let found = read(line.as_bytes());
        assert_eq!(found.len(), 1, "{line}");
        found.into_iter().next().unwrap()
    }

    #[test]
    fn lines_of_every_form_are_read() {
        let text = r#"2026-11-22_12:00:00.00000 time="2026-11-22T12:00:00Z" level=info msg="token signed by untrusted key with ID: \"ABCD:EFGH\"" go.version=go1.19"#;
        let (refusal, refused) = one(text);
        assert_eq!(refusal, Refusal::UntrustedKey);
        assert_eq!(refused.last.as_deref(), Some("ABCD:EFGH"));
        assert_eq!(refused.at.as_deref(), Some("2026-11-22T12:00:00Z"));
        let json = r#"{"error":"token signed by untrusted key with ID: \"ABCD:EFGH\"","level":"error","msg":"error verifying that signing key is trusted","time":"2026-11-22T12:00:00.000Z"}"#;
        assert_eq!(one(json).1.last.as_deref(), Some("ABCD:EFGH"));
        let json = r#"{"issuer":"a b","level":"warning","msg":"token from untrusted issuer","trusted_issuers":["x"],"time":"2026-11-22T12:00:00.000Z"}"#;
        assert_eq!(one(json).1.last.as_deref(), Some("a b"));
        let text = r#"time="2026-11-22T12:00:00Z" level=info msg="token intended for another audience: \"other\"""#;
        assert_eq!(one(text).1.last.as_deref(), Some("other"));
        let text = r#"2026-11-22_12:00:00.5 level=info msg="token not to be used after 2026-11-22 - currently x""#;
        let (refusal, refused) = one(text);
        assert_eq!(
            (refusal, refused.at.as_deref()),
            (Refusal::Expired, Some("2026-11-22_12:00:00.5"))
        );
    }

    #[test]
    fn lines_are_counted_and_the_last_one_tells() {
        let line = |id: &str| {
            format!("level=info msg=\"token signed by untrusted key with ID: \\\"{id}\\\"\"\n")
        };
        let log = [line("A"), "other\n".to_owned(), line("B")].concat();
        let refused = &read(log.as_bytes())[&Refusal::UntrustedKey];
        assert_eq!((refused.count, refused.last.as_deref()), (2, Some("B")));
        assert!(
            read(b"127.0.0.1 - - \"GET /v2/?x=token from untrusted issuer HTTP/1.1\" 404")
                .is_empty()
        );
        let usual = br#"time="x" level=warning msg="error authorizing context: authorization token required""#;
        assert!(read(usual).is_empty());
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, near in "(level|token has expired|token from untrusted issuer|\\{|\"issuer\":|\\\\|\"|: |x|time=|\n|ü){0,30}") {
            read(&bytes);
            read(near.as_bytes());
        }
    }
}
