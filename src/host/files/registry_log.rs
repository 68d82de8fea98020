//! Question: why did the registry refuse tokens lately, by its own log?

use std::io::{Read as _, Seek as _, SeekFrom};

use camino::Utf8PathBuf;
use serde::Serialize;

use super::open::{Opened, open, refusal};
use crate::host::{Machine, Question, Unknown};
use crate::parse::registry_log::{Refusals, read};

/// How much of the end of a log is read: some thousand lines.
const TAIL: u64 = 1 << 20;

/// Asks for the refusals of tokens at the end of a log.
#[derive(Debug, Serialize)]
pub struct RegistryLog {
    /// Absolute.
    pub path: Utf8PathBuf,
}

impl Question for RegistryLog {
    /// Empty where there is no such file.
    type Answer = Refusals;

    const KIND: &'static str = "registry-log";

    fn label(&self) -> String {
        format!("file {} (its end)", self.path)
    }

    async fn look(&self, machine: &Machine) -> Result<Refusals, Unknown> {
        let (scope, path) = (machine.scope().clone(), self.path.clone());
        machine
            .off_thread(move || {
                let Opened::File { mut handle, size } = open(&scope, &path)? else {
                    return Ok(Refusals::new());
                };
                let start = size.saturating_sub(TAIL);
                let mut content = Vec::new();
                handle
                    .seek(SeekFrom::Start(start))
                    .and_then(|_| handle.take(TAIL).read_to_end(&mut content))
                    .map_err(|error| refusal(&path, &error))?;
                Ok(read(&content))
            })
            .await
    }
}
