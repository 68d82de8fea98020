//! Question: what did the last garbage collection say that wrote into a file?

use std::io::{Read as _, Seek as _, SeekFrom};

use camino::Utf8PathBuf;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::open::{Opened, modified, open, refusal};
use crate::host::{Machine, Question, Unknown};
use crate::parse::collection_output::last_failure;

/// How much of the end is read: some thousand lines.
const TAIL: u64 = 256 << 10;

/// Asks for the end of a file to which collections are told to write.
#[derive(Debug, Serialize)]
pub struct GarbageOutput {
    /// Absolute.
    pub path: Utf8PathBuf,
}

/// What is known of such a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// When it was last written.
    pub modified: Timestamp,
    /// In bytes.
    pub size: u64,
    /// Why the last collection in it failed, in at most some words.
    pub failure: Option<String>,
}

impl Question for GarbageOutput {
    /// `None` where there is no such file.
    type Answer = Option<Output>;

    const KIND: &'static str = "garbage-output";

    fn label(&self) -> String {
        // Not `file`: whatever it says, nothing that is not known for a failure is told.
        format!("the end of {}", self.path)
    }

    async fn look(&self, machine: &Machine) -> Result<Option<Output>, Unknown> {
        let (scope, path) = (machine.scope().clone(), self.path.clone());
        machine
            .off_thread(move || {
                let Opened::File { mut handle, size } = open(&scope, &path)? else {
                    return Ok(None);
                };
                let mut content = Vec::new();
                let modified = modified(&handle).map_err(|error| refusal(&path, &error))?;
                handle
                    .seek(SeekFrom::Start(size.saturating_sub(TAIL)))
                    .and_then(|_| handle.take(TAIL).read_to_end(&mut content))
                    .map_err(|error| refusal(&path, &error))?;
                Ok(Some(Output { modified, size, failure: last_failure(&content) }))
            })
            .await
    }
}
