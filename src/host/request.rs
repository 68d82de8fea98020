//! What the administrator asked for, as evidence: a replay must know it too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Machine, Question, Unknown};

/// The flags that change what is examined.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Request {
    /// `--url`: GitLab's address, for a look from outside.
    pub url: Option<String>,
    /// `--registry-url`: the registry's address.
    pub registry_url: Option<String>,
    /// `--ntp`: time servers to ask besides the configured ones, `HOST[:PORT]`.
    pub ntp: Vec<String>,
    /// `--root` or `--map`: the files are those of a container or of another disk, so a loopback
    /// address in them is not this system's.
    pub elsewhere: bool,
    /// `--threshold KEY=VALUE`.
    pub thresholds: BTreeMap<String, u64>,
}

/// Asks for the [`Request`].
#[derive(Debug, Serialize)]
pub struct Requested;

impl Question for Requested {
    type Answer = Request;

    const KIND: &'static str = "request";

    fn label(&self) -> String {
        "command line".to_owned()
    }

    async fn look(&self, machine: &Machine) -> Result<Request, Unknown> {
        Ok(machine.request().clone())
    }
}
