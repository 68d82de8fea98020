//! The built program, watched while it runs.

use std::fs;
use std::io::{Read as _, Seek as _};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Generous: nothing here takes more than a second on an idle machine.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Command {
    arguments: Vec<String>,
    account: Option<[&'static str; 4]>,
    stdout: Option<fs::File>,
}

/// A program under way.
pub(crate) struct Running {
    child: Child,
    stdout: fs::File,
    stderr: fs::File,
    started: Instant,
    memory: u64,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// `None` for a signal.
    pub(crate) code: Option<i32>,
    pub(crate) timed_out: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The most that was resident, in KiB.
    pub(crate) memory: u64,
}

impl Command {
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        Self { arguments, account: None, stdout: None }
    }

    /// Without the rights of root; `None`, and a word about it, where that cannot be done.
    #[expect(clippy::print_stderr, reason = "a test that is left out is never silent")]
    pub(crate) fn into_nobodys(mut self) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return Some(self);
        }
        self.account = Some(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
        let tried =
            Self { arguments: vec!["list".to_owned()], account: self.account, stdout: None };
        match tried.start().map(Running::wait) {
            Ok(ran) if ran.code == Some(0) => Some(self),
            failed => {
                eprintln!("SKIPPED: cannot run as another account: {failed:?}");
                None
            }
        }
    }

    pub(crate) fn stdout(mut self, file: fs::File) -> Self {
        self.stdout = Some(file);
        self
    }

    pub(crate) fn run(self) -> Ran {
        self.start().unwrap().wait()
    }

    pub(crate) fn start(self) -> std::io::Result<Running> {
        let program = [env!("CARGO_BIN_EXE_gldoctor")];
        let mut words = self.account.iter().flatten().copied().chain(program);
        let mut command = std::process::Command::new(words.next().unwrap());
        command.args(words).args(&self.arguments).stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GLDOCTOR_")) {
            command.env_remove(name);
        }
        // Files, not pipes: a full pipe would stop the program.
        let (stdout, stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
        command.stdout(self.stdout.map_or_else(|| stdout.try_clone(), Ok)?);
        command.stderr(stderr.try_clone()?);
        let child = command.spawn()?;
        Ok(Running { child, stdout, stderr, started: Instant::now(), memory: 0 })
    }
}

impl Running {
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.child.id()).unwrap();
        let process = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(process, signal).unwrap();
    }

    pub(crate) fn wait(mut self) -> Ran {
        let mut timed_out = false;
        let status = loop {
            self.memory = self.memory.max(peak(self.child.id()).unwrap_or(0));
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.started.elapsed() > PATIENCE {
                timed_out = true;
                self.child.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let [stdout, stderr] = [self.stdout, self.stderr].map(content);
        Ran { code: status.code(), timed_out, stdout, stderr, memory: self.memory }
    }
}

fn content(mut file: fs::File) -> String {
    file.rewind().unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    text
}

/// The kernel keeps the highest mark itself, so it is enough to look often.
fn peak(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
