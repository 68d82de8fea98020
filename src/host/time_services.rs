//! Question: which programs that keep a clock run on this system?

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Machine, Question, Unknown};

/// The names of processes that set clocks, as the kernel keeps them: 15 bytes at most.
const KNOWN: [&str; 8] = [
    "VBoxService",
    "chronyd",
    "ntp-daemon",
    "ntpd",
    "phc2sys",
    "systemd-timesyn",
    "timemaster",
    "vmtoolsd",
];

/// The namespace of processes that a system starts with; containers have others.
const FIRST_NAMESPACE: &str = "pid:[4026531836]";

/// Asks which time services run.
#[derive(Debug, Serialize)]
pub struct TimeServices;

/// What runs here. The processes of containers on this system are theirs and do not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The time services, by the names of their processes, and how many processes each has.
    pub services: BTreeMap<String, u32>,
    /// Whether this system sees its own processes only, as a container does. What keeps the clock
    /// is then out of sight.
    pub contained: bool,
    /// When they were looked at, by this system's clock; not the time that is to be judged.
    pub at: Timestamp,
}

impl Question for TimeServices {
    type Answer = Running;

    const KIND: &'static str = "time-services";

    fn label(&self) -> String {
        "processes".to_owned()
    }

    async fn look(&self, machine: &Machine) -> Result<Running, Unknown> {
        if !machine.scope().is_running() {
            return Err(Unknown::LeftOut("what runs cannot be told from files".to_owned()));
        }
        machine.off_thread(running).await
    }
}

fn running() -> Result<Running, Unknown> {
    let unreadable = |error: io::Error| Unknown::Unreadable(format!("/proc: {error}"));
    let mut running = Running {
        services: BTreeMap::new(),
        contained: fs::read_link("/proc/self/ns/pid")
            .is_ok_and(|link| link.as_os_str() != FIRST_NAMESPACE),
        at: Timestamp::new(Timestamp::now().as_second(), 0).unwrap_or_default(),
    };
    let mut sees_first = false;
    for entry in fs::read_dir("/proc").map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        sees_first |= pid == 1;
        // A process that has ended meanwhile does not run.
        let Some(comm) = beginning(&format!("/proc/{pid}/comm"), 32) else { continue };
        let comm = comm.trim_end();
        if KNOWN.contains(&comm) && is_ours(pid) {
            *running.services.entry(comm.to_owned()).or_default() += 1;
        }
    }
    if !sees_first {
        let why = "/proc shows only one's own processes here (hidepid); run it with sudo";
        return Err(Unknown::Denied(why.to_owned()));
    }
    Ok(running)
}

/// Whether a process is this system's, rather than a container's.
fn is_ours(pid: u32) -> bool {
    let status = beginning(&format!("/proc/{pid}/status"), 8 << 10).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    // One number for each namespace that the process is seen in, from here inwards.
    numbers.is_none_or(|numbers| numbers.split_ascii_whitespace().count() == 1)
}

fn beginning(path: &str, bytes: u64) -> Option<String> {
    let mut content = Vec::new();
    fs::File::open(path).ok()?.take(bytes).read_to_end(&mut content).ok()?;
    Some(String::from_utf8_lossy(&content).into_owned())
}

#[test]
fn the_names_are_as_the_kernel_cuts_them() {
    assert!(KNOWN.is_sorted() && KNOWN.iter().all(|name| name.len() <= 15));
}

#[test]
fn this_process_is_this_systems() {
    assert!(is_ours(std::process::id()));
    let running = running().unwrap();
    assert!(running.services.values().all(|count| *count > 0));
}
