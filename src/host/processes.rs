//! Question: does somebody collect the registry's garbage at this moment?

use std::io;

use serde::Serialize;

use super::{Machine, Question, Unknown};

/// More processes than any host of GitLab runs.
const MAX_PROCESSES: usize = 100_000;

/// As much of a command line as is read: the program and its first word suffice.
const MAX_COMMAND: u64 = 4096;

/// Asks for the number of processes that run `registry garbage-collect`. Of a command line, which
/// may hold anything, nothing else is kept.
#[derive(Debug, Serialize)]
pub struct GarbageCollectors;

impl Question for GarbageCollectors {
    /// Zero under another root folder, whose processes do not run here.
    type Answer = u32;

    const KIND: &'static str = "garbage-collectors";

    fn label(&self) -> String {
        "processes that collect garbage".to_owned()
    }

    async fn look(&self, machine: &Machine) -> Result<u32, Unknown> {
        if !machine.scope().is_running() {
            return Ok(0);
        }
        machine
            .off_thread(|| {
                count().map_err(|error| Unknown::Unreadable(format!("the processes: {error}")))
            })
            .await
    }
}

#[expect(clippy::disallowed_methods, reason = "this is a look")]
fn count() -> io::Result<u32> {
    use std::io::Read as _;
    let mut found = 0;
    for entry in std::fs::read_dir("/proc")?.take(MAX_PROCESSES) {
        let path = entry?.path();
        let is_process = path.file_name().is_some_and(|name| {
            name.to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        });
        // A process that has ended meanwhile collects nothing.
        let Some(file) =
            is_process.then(|| std::fs::File::open(path.join("cmdline")).ok()).flatten()
        else {
            continue;
        };
        let mut command = Vec::new();
        if file.take(MAX_COMMAND).read_to_end(&mut command).is_ok() && collects(&command) {
            found += 1;
        }
    }
    Ok(found)
}

/// `/opt/gitlab/embedded/bin/registry garbage-collect config.yml`, its words ended by zeros.
fn collects(command: &[u8]) -> bool {
    let mut words = command.split(|byte| *byte == 0);
    let program = words.next().unwrap_or_default();
    let name = program.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    name.ends_with(b"registry") && words.any(|word| word == b"garbage-collect")
}

#[test]
fn only_the_registry_collects_its_garbage() {
    assert!(collects(b"/opt/gitlab/embedded/bin/registry\0garbage-collect\0config.yml\0"));
    assert!(collects(b"docker-registry\0garbage-collect\0-m\0/etc/x\0"));
    assert!(!collects(b"registry\0serve\0config.yml\0"));
    assert!(!collects(b"grep\0garbage-collect\0") && !collects(b""));
}
