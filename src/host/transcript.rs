//! What was asked and what was answered, as data.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::question::erase;
use super::{Question, Unknown};

/// The answer to a question as JSON, or why there is none.
pub type Reply = Result<Value, Unknown>;

/// A question's identity: its kind and its fields, spelled as JSON with sorted keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    kind: String,
    ask: String,
}

impl Key {
    /// The identity of one question.
    pub fn of<Q: Question>(question: &Q) -> Result<Self, Unknown> {
        Ok(Self::new(Q::KIND, &erase(question)?))
    }

    fn new(kind: &str, ask: &Value) -> Self {
        // serde_json's maps are sorted as long as no dependency switches `preserve_order` on; a
        // test pins one spelling.
        Self { kind: kind.to_owned(), ask: ask.to_string() }
    }
}

/// One question with its reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Recorded", into = "Recorded")]
pub struct Look {
    /// What was asked.
    pub key: Key,
    /// What came back.
    pub reply: Reply,
}

/// All the looks of one run, sorted by question.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Transcript {
    /// In the order of their keys.
    pub looks: Vec<Look>,
}

/// How a look is spelled in a file.
#[derive(Serialize, Deserialize)]
struct Recorded {
    kind: String,
    ask: Value,
    reply: RecordedReply,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RecordedReply {
    Answer(Value),
    Unknown(Unknown),
}

impl From<Look> for Recorded {
    fn from(look: Look) -> Self {
        let reply = match look.reply {
            Ok(answer) => RecordedReply::Answer(answer),
            Err(unknown) => RecordedReply::Unknown(unknown),
        };
        // The key was made from a value, so it reads back as one.
        let ask = serde_json::from_str(&look.key.ask).unwrap_or(Value::Null);
        Self { kind: look.key.kind, ask, reply }
    }
}

impl From<Recorded> for Look {
    fn from(recorded: Recorded) -> Self {
        let reply = match recorded.reply {
            RecordedReply::Answer(answer) => Ok(answer),
            RecordedReply::Unknown(unknown) => Err(unknown),
        };
        Self { key: Key::new(&recorded.kind, &recorded.ask), reply }
    }
}

#[test]
fn the_spelling_of_a_key_is_sorted() {
    let ask: Value = serde_json::from_str(r#"{"port":443,"host":"a"}"#).unwrap();
    assert_eq!(Key::new("tls", &ask).ask, r#"{"host":"a","port":443}"#);
}

#[test]
fn a_transcript_survives_a_round_trip() {
    let text = r#"[{"ask":{"path":"/x"},"kind":"file","reply":{"unknown":{"denied":"no"}}},
                   {"ask":null,"kind":"now","reply":{"answer":"2026-01-01T00:00:00Z"}}]"#;
    let transcript: Transcript = serde_json::from_str(text).unwrap();
    let again: Transcript =
        serde_json::from_str(&serde_json::to_string(&transcript).unwrap()).unwrap();
    assert_eq!(transcript, again);
    assert_eq!(transcript.looks[0].reply, Err(Unknown::Denied("no".to_owned())));
}
