//! A setting as it was found: its value, its type, and where it stands.

use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Write as _;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// Something found in a file, with the place where it was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Located<T> {
    /// What was found.
    pub value: T,
    /// Its line, counted from 1. In a value that spans lines: the line it starts on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The environment variable that supplied the value in place of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
}

impl<T> Located<T> {
    /// Found at a line of the file.
    pub fn at(line: impl Into<Option<u32>>, value: T) -> Self {
        Self { value, line: line.into(), variable: None }
    }

    /// Set by an environment variable.
    pub fn from_variable(variable: &str, value: T) -> Self {
        Self { value, line: None, variable: Some(variable.to_owned()) }
    }
}

/// A scalar with the type that the file gave it, or the note that it is not a scalar.
///
/// The type is kept because programs are strict about it: the registry refuses to start when
/// `storage.maintenance.readonly.enabled` is the text `"true"`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scalar {
    /// A boolean.
    Bool(bool),
    /// An integer that fits.
    Integer(i64),
    /// Any other number, as its shortest decimal form.
    Number(String),
    /// Text, scrubbed.
    Text(String),
    /// A list where a scalar is usual. Its elements are not shown.
    List,
    /// A mapping where a scalar is usual. Its content is not shown.
    Mapping,
}

impl Scalar {
    /// The boolean, if it is one by type. The text `"true"` is not.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The integer, if it is one by type.
    pub fn as_integer(&self) -> Option<i64> {
        if let Self::Integer(value) = self { Some(*value) } else { None }
    }

    /// The text, if it is one by type.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(value) = self { Some(value) } else { None }
    }
}

/// The value as an administrator would write it.
impl fmt::Display for Scalar {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(out),
            Self::Integer(value) => value.fmt(out),
            Self::Number(value) | Self::Text(value) => out.write_str(value),
            Self::List => out.write_str("(a list)"),
            Self::Mapping => out.write_str("(a mapping)"),
        }
    }
}

/// A scalar setting that may be absent. An empty value (`port:` and nothing after) is absent.
pub type Setting = Option<Located<Scalar>>;

/// What may be known of a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Whether it has a value that is not empty.
    pub set: bool,
    /// See [`fingerprint`]. Equal on two hosts if the secrets are equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

impl Secret {
    /// What may be known of this secret.
    pub fn of(secret: &str) -> Self {
        Self { set: !secret.is_empty(), fingerprint: fingerprint(secret) }
    }
}

/// The first 16 hexadecimal digits of a secret's SHA-256, if nobody could guess the secret from it.
///
/// Only for hexadecimal text of 32 to 4096 digits, that is 128 bits or more, which looks random: a
/// shorter secret, or one typed by a human, could be found by trying.
pub fn fingerprint(secret: &str) -> Option<String> {
    looks_random(secret).then(|| {
        let hash = digest(&SHA256, secret.as_bytes());
        hash.as_ref().iter().take(8).fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    })
}

fn looks_random(secret: &str) -> bool {
    let bytes = secret.as_bytes();
    let digits: BTreeSet<u8> = bytes.iter().map(u8::to_ascii_lowercase).collect();
    // Of 32 random digits, fewer than 8 different ones come once in many million secrets.
    let varied = digits.len() >= 8;
    let counted = bytes.windows(2).filter(|pair| pair[1].wrapping_sub(pair[0]) == 1).count();
    (32..=4096).contains(&bytes.len())
        && bytes.iter().all(u8::is_ascii_hexdigit)
        && varied
        && counted < bytes.len() / 4
        && !(1..=bytes.len() / 2).any(|period| bytes[period..] == bytes[..bytes.len() - period])
}

#[test]
fn only_random_secrets_have_a_fingerprint() {
    let random = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let print = fingerprint(random).unwrap();
    assert_eq!(print.len(), 16);
    assert!(!random.contains(&print));
    for weak in [
        "",
        "hunter2",
        "9f86d081884c7d659a2feaa0c55ad01",
        "00000000000000000000000000000000",
        "deadbeefdeadbeefdeadbeefdeadbeef",
        "9f86d081884c7d659f86d081884c7d65",
        "0123456789abcdef0123456789abcdee",
        "correct horse battery staple, or another phrase",
    ] {
        assert_eq!(fingerprint(weak), None, "{weak}");
    }
}

#[test]
fn settings_survive_json() {
    let all = [
        Scalar::Bool(true),
        Scalar::Integer(-5),
        Scalar::Number("0.1".to_owned()),
        Scalar::Text("true".to_owned()),
        Scalar::List,
        Scalar::Mapping,
    ];
    for scalar in all {
        let found = Located::at(3, scalar);
        let json = serde_json::to_string(&found).unwrap();
        assert_eq!(serde_json::from_str::<Located<Scalar>>(&json).unwrap(), found);
    }
}
