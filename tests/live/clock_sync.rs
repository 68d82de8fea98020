//! `clock/sync` against chronyd in each of its states; `chronyc` has to agree.
//!
//! A node of the lab has processes of its own, which makes it a container to gldoctor. Where a test
//! is about a whole system, gldoctor and the time service run outside of that namespace, and see a
//! `/proc` in which nothing stands but the processes that the test names.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::clock::{self, Clock};
use crate::lab::{CHRONYD, CLIENT, FAKETIME, Lab, PATH, SERVER, wait_until};
use crate::node::{Node, Ran};
use crate::site::{Report, keep};
use crate::standin::ntp::{Answer, NtpStandin};

pub(crate) const SYNC: &str = "clock/sync";

/// Mounts a `/proc` that shows process 1 and the processes in `$1`, then becomes the rest. The
/// folder `$2` is emptied first.
const WITH_PROCESSES: &str = r#"
set -e
mkdir -p /run/proc
mount -t proc proc /run/proc
mount -t tmpfs proc /proc
mkdir /proc/1
echo systemd > /proc/1/comm
ln -s /run/proc/self /proc/self
for pid in $1; do ln -s "/run/proc/$pid" "/proc/$pid"; done
hidden=$2
shift 2
[ -z "$hidden" ] || mount -t tmpfs none "$hidden"
exec "$@"
"#;

/// A whole system: the lab's client, with processes outside of its namespace.
struct System<'a> {
    node: &'a Node,
    services: Vec<Child>,
    hidden: &'static str,
}

impl<'a> System<'a> {
    fn on(node: &'a Node) -> Self {
        Self { node, services: Vec::new(), hidden: "" }
    }

    fn enter(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.node.pid().to_string(), "--net", "--mount", "--uts"]);
        command.args(["--root", "--wd", "--", "setpriv", "--pdeathsig", "KILL", "--", program]);
        command.env_clear().env("PATH", PATH).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Starts a process that its test names.
    fn start(&mut self, program: &str, arguments: &[&str]) {
        self.services.push(self.enter(program).args(arguments).spawn().unwrap());
    }

    /// Starts something that only bears the name of a time service.
    fn start_named(&mut self, name: &str) {
        let program = format!("/run/{name}");
        self.node.must("cp", &["/bin/sleep", &program]);
        self.start(&program, &["1000"]);
        // The name is the program's as soon as the shells before it are gone.
        let comm = format!("/proc/{}/comm", self.services.last().unwrap().id());
        wait_until(|| {
            std::fs::read_to_string(&comm).unwrap().trim_end() == &name[..name.len().min(15)]
        });
    }

    /// chronyd as a client, with the command port that distributions leave open.
    fn start_chronyd(&mut self, conf: &str) {
        // It never touches the clock.
        let common = "port 0\nbindcmdaddress 127.0.0.1\npidfile /run/client.pid\n";
        self.node.write("/etc/chrony/chrony.conf", format!("{conf}\n{common}"));
        self.start("chronyd", &["-x", "-d", "-u", "root", "-f", "/etc/chrony/chrony.conf"]);
        if !conf.contains("cmdport 0") {
            wait_until(|| self.chronyc().succeeded());
        }
    }

    fn chronyc(&self) -> Ran {
        self.node.run("chronyc", &["-h", "127.0.0.1", "-n", "tracking"])
    }

    fn stop(&mut self) {
        for mut service in self.services.drain(..) {
            service.kill().unwrap();
            service.wait().unwrap();
        }
    }

    fn gldoctor(&self, arguments: &[&str]) -> Ran {
        let pids: Vec<_> = self.services.iter().map(|service| service.id().to_string()).collect();
        let mut command = self.enter("unshare");
        command.args(["--mount", "sh", "-c", WITH_PROCESSES, "sh", &pids.join(" "), self.hidden]);
        command.arg(env!("CARGO_BIN_EXE_gldoctor")).args(arguments);
        let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn report(&self, only: &str) -> Report {
        let run = ["run", "--only", only, "--timeout", "2s", "--format", "json"];
        Report::read(self.gldoctor(&run))
    }

    /// The findings of the check, as `severity code`; its status where there are none.
    fn found(&self) -> Vec<String> {
        let report = self.report(SYNC);
        match report.codes(SYNC) {
            found if found.is_empty() => vec![report.status(SYNC).to_owned()],
            found => found,
        }
    }

    fn record(&self, case: &str) {
        let bundle = ["bundle", "--quiet", "--only", SYNC, "--timeout", "2s", "-o", "/run/r.json"];
        self.gldoctor(&bundle);
        keep(SYNC, case, &self.node.read("/run/r.json"));
        self.node.must("rm", &["/run/r.json"]);
    }
}

impl Drop for System<'_> {
    fn drop(&mut self) {
        for service in &mut self.services {
            service.kill().ok();
            service.wait().ok();
        }
    }
}

/// A lab, unless these tests run in a container themselves.
fn lab(programs: &[&str]) -> Option<Lab> {
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap();
    if namespace.as_os_str() != "pid:[4026531836]" {
        return crate::lab::skip("the processes of a whole system are out of sight");
    }
    Lab::start(programs)
}

fn synchronised(tracking: &Ran) -> bool {
    tracking.stdout.contains("Leap status     : Normal")
}

#[test]
fn a_chronyd_that_follows_a_server_keeps_the_clock() {
    let Some(lab) = lab(&[CHRONYD, "chronyc"]) else { return };
    let server = clock::start_chronyd(&lab.server, SERVER, Clock::Right);
    let mut system = System::on(&lab.client);
    system.start_chronyd(&format!("server {SERVER} iburst"));
    wait_until(|| synchronised(&system.chronyc()));
    assert_eq!(system.found(), ["passed"]);
    system.record("healthy");
    // In a container a service that is to be seen is judged like any other.
    drop(server);
    system.stop();

    assert_eq!(system.found(), ["warning stopped"]);
    let report = system.report(SYNC);
    let commands = ["sudo systemctl enable --now chrony", "systemctl status chrony"];
    assert_eq!(report.commands(SYNC), commands);
    system.record("faulty-stopped");
    system.hidden = "/usr/sbin";
    assert_eq!(system.found(), ["warning none-installed"]);
    system.record("faulty-none-installed");
}

#[test]
fn a_chronyd_without_an_answer_is_not_synchronised() {
    let Some(lab) = lab(&[CHRONYD, "chronyc"]) else { return };
    let mut system = System::on(&lab.client);
    system.start_chronyd(&format!("server {SERVER} iburst"));
    assert!(!synchronised(&system.chronyc()));
    assert_eq!(system.found(), ["warning unsynchronised"]);
    system.record("faulty-unsynchronised");
    // The dead server is at the bottom of it.
    let report = system.report("clock/sync,clock/offset");
    assert_eq!(
        report.findings(SYNC),
        [["warning", "unsynchronised", "chrony", "clock/offset"]],
        "{}",
        report.ran
    );
    // One that is not synchronised itself is no better.
    let _blind = clock::start_chronyd(&lab.server, SERVER, Clock::Unsynchronized);
    thread::sleep(Duration::from_secs(3));
    assert!(!synchronised(&system.chronyc()));
    assert_eq!(system.found(), ["warning unsynchronised"]);
}

#[test]
fn a_clock_of_its_own_is_a_reference_only_where_it_is_meant_to_be() {
    let Some(lab) = lab(&[CHRONYD, "chronyc"]) else { return };
    let mut system = System::on(&lab.client);
    system.start_chronyd("local stratum 10");
    wait_until(|| synchronised(&system.chronyc()));
    assert_eq!(system.found(), ["passed"]);
    system.record("near-miss-own-reference");
    system.stop();
    system.start_chronyd(&format!("server {SERVER} iburst\nlocal stratum 10"));
    wait_until(|| synchronised(&system.chronyc()));
    assert_eq!(system.found(), ["warning own-clock"]);
    system.record("faulty-own-clock");
    system.stop();
    system.start_chronyd(&format!("server {SERVER} iburst\ncmdport 0"));
    assert_eq!(system.found(), ["unknown"]);
    system.record("cannot-look-no-command-port");
}

#[test]
fn a_clock_that_is_still_being_corrected_is_told() {
    let Some(lab) = lab(&[CHRONYD, FAKETIME, "chronyc"]) else { return };
    let _ahead = clock::start_chronyd(&lab.server, SERVER, Clock::Ahead(90));
    let mut system = System::on(&lab.client);
    system.start_chronyd(&format!("server {SERVER} iburst"));
    wait_until(|| synchronised(&system.chronyc()));
    let tracking = system.chronyc();
    assert!(tracking.stdout.contains(" seconds slow of NTP time"), "{tracking}");
    assert_eq!(system.found(), ["warning correcting"], "{tracking}");
    system.record("faulty-correcting");
}

#[test]
fn two_time_services_fight() {
    let Some(lab) = lab(&[CHRONYD, "chronyc"]) else { return };
    let _server = clock::start_chronyd(&lab.server, SERVER, Clock::Right);
    let mut system = System::on(&lab.client);
    system.start_chronyd(&format!("server {SERVER} iburst"));
    system.start_named("vmtoolsd");
    wait_until(|| synchronised(&system.chronyc()));
    assert_eq!(system.found(), ["passed"]);
    system.start_named("systemd-timesyncd");
    system.node.write("/run/systemd/timesync/synchronized", "");
    assert_eq!(system.found(), ["warning fighting"]);
    let commands = ["sudo systemctl disable --now systemd-timesyncd"];
    assert_eq!(system.report(SYNC).commands(SYNC), commands);
    system.record("faulty-fighting");
}

#[test]
fn timesyncd_is_judged_by_what_it_leaves_behind() {
    let Some(lab) = lab(&[]) else { return };
    let mut system = System::on(&lab.client);
    system.start_named("systemd-timesyncd");
    let synchronized = "/run/systemd/timesync/synchronized";
    assert_eq!(system.found(), ["unknown"]);
    system.node.must("mkdir", &["-p", "/run/systemd/timesync"]);
    assert_eq!(system.found(), ["warning unsynchronised"]);
    system.node.write(synchronized, "");
    assert_eq!(system.found(), ["passed"]);
    system.record("healthy-timesyncd");
    system.node.must("touch", &["-d", "-3 days", synchronized]);
    assert_eq!(system.found(), ["warning stale"]);
    system.record("faulty-stale");
}

#[test]
fn ntpd_is_judged_by_its_reply_to_its_own_system() {
    let Some(lab) = lab(&[]) else { return };
    let mut system = System::on(&lab.client);
    system.start_named("ntpd");
    assert_eq!(system.found(), ["unknown"]);
    for (answer, expected) in [
        (Answer::Time(0), "passed"),
        (Answer::KissOfDeath(b"INIT"), "warning unsynchronised"),
        (Answer::Stratum16, "warning unsynchronised"),
        (Answer::KissOfDeath(b"DENY"), "unknown"),
    ] {
        let standin = NtpStandin::start(lab.client.udp("127.0.0.1", 123), answer);
        assert_eq!(system.found(), [expected], "{answer:?}");
        drop(standin);
        // The socket is free when the thread behind it has seen that it is to end.
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_container_does_not_keep_its_clock() {
    let Some(lab) = Lab::start(&[CHRONYD]) else { return };
    let report = Report::on(SYNC, &lab.client, &[]);
    assert_eq!(report.status(SYNC), "not_applicable", "{}", report.ran);
    assert_eq!(report.ran.code, Some(0));
    let root = Report::on(SYNC, &lab.client, &["--root", "/etc"]);
    assert_eq!(root.status(SYNC), "not_applicable");
    // What stands in the container and runs there is judged.
    let conf =
        format!("server {SERVER} iburst\nport 0\nbindaddress {CLIENT}\npidfile /run/c.pid\n");
    lab.client.write("/etc/chrony/chrony.conf", conf);
    let arguments = ["-x", "-d", "-u", "root"];
    let _chronyd = lab.client.serve("chronyd", &arguments, || {
        lab.client.run("chronyc", &["-h", "127.0.0.1", "tracking"]).succeeded()
    });
    assert_eq!(Report::on(SYNC, &lab.client, &[]).codes(SYNC), ["warning unsynchronised"]);
}
