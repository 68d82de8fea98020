//! A transcript in a file, behind a versioned header.

use serde::{Deserialize, Serialize};

use super::Transcript;

/// The version that this program writes and reads.
const VERSION: u32 = 1;

/// The looks of one run, as they lie in a support bundle or a fixture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// The version of this format: 1.
    pub version: u32,
    /// What was asked and answered.
    pub looks: Transcript,
}

impl Recording {
    /// A recording of these looks.
    pub fn of(looks: Transcript) -> Self {
        Self { version: VERSION, looks }
    }

    /// Reads a recording; the error is a sentence for the user.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Header {
            version: u32,
        }
        let header: Header = serde_json::from_slice(text)
            .map_err(|error| format!("not a recording of gldoctor: {error}"))?;
        if header.version != VERSION {
            let found = header.version;
            return Err(format!("a recording of version {found}; this gldoctor reads {VERSION}"));
        }
        let mut recording: Self = serde_json::from_slice(text)
            .map_err(|error| format!("a damaged recording: {error}"))?;
        // Two answers to one question would leave the choice to chance.
        recording.looks.looks.sort_by(|a, b| a.key.cmp(&b.key));
        if recording.looks.looks.windows(2).any(|pair| pair[0].key == pair[1].key) {
            return Err("a damaged recording: it answers a question twice".to_owned());
        }
        Ok(recording)
    }

    /// The recording as JSON, one look a line, so that two of them can be compared by eye.
    pub fn to_text(&self) -> String {
        let looks = self.looks.looks.iter().map(serde_json::to_string);
        let lines: Vec<_> = looks.map(Result::unwrap_or_default).collect();
        format!("{{\"version\":{},\"looks\":[\n{}\n]}}\n", self.version, lines.join(",\n"))
    }
}

#[test]
fn a_recording_reads_back() {
    let recording = Recording::of(Transcript::default());
    assert_eq!(Recording::parse(recording.to_text().as_bytes()), Ok(recording));
}

#[test]
fn what_is_no_recording_is_refused_in_words() {
    assert!(Recording::parse(b"{}").unwrap_err().starts_with("not a recording"));
    assert!(Recording::parse(b"{\"version\":9}").unwrap_err().contains("version 9"));
    assert!(Recording::parse(b"{\"version\":1}").unwrap_err().starts_with("a damaged"));
    let now = r#"{"kind":"now","ask":null,"reply":{"answer":1}}"#;
    let twice = format!(r#"{{"version":1,"looks":[{now},{now}]}}"#);
    assert!(Recording::parse(twice.as_bytes()).unwrap_err().contains("twice"));
}
