//! Check `clock/sync`: does anything keep this clock?

mod service;

use std::net::{Ipv4Addr, SocketAddr};

use jiff::Timestamp;

use crate::checks::{Cause, Finding, Stop, Verdict, check, docs};
use crate::host::files::FileFacts;
use crate::host::network::{ChronyTracking, NtpQuery};
use crate::host::system::{System, SystemFacts};
use crate::host::time_services::{Running, TimeServices};
use crate::host::{Host, Unknown};
use crate::install::clock::{TimeServer, TimeService, installed, time_servers};

use service::{Judge, Judged, Timesyncd};

check! {
    /// A time service runs on this system and is synchronised.
    ///
    /// ## Why it matters
    ///
    /// A clock that nothing keeps is off by seconds within days, and by minutes within months. Then
    /// login tokens are refused, two-factor codes fail, and certificates are "not yet valid". An
    /// offline site has no public time server to fall back to, so a service that runs but follows
    /// nobody is as common as one that was never installed.
    ///
    /// ## What is looked at
    ///
    /// The processes of this system (chronyd, ntpd, systemd-timesyncd), and what the one that runs
    /// says of itself: chronyd what `chronyc tracking` shows, at `127.0.0.1:323`; ntpd the reply to
    /// an NTP request at `127.0.0.1`; systemd-timesyncd the file
    /// `/run/systemd/timesync/synchronized`. The words of the service are asked for rather than the
    /// flag in the kernel, which says neither since when nor from whom. In a container the host
    /// keeps the clock, out of sight: the check is then not applicable. So it is under `--root`.
    ///
    /// A service that has heard from nobody for 6 hours is a warning, and so are two services that
    /// set one clock.
    ///
    /// ## How to fix it
    ///
    /// - None is installed: install chrony, and name the time server of your own site in
    ///   `chrony.conf`.
    /// - It is stopped: `sudo systemctl enable --now chrony` (on Red Hat's systems `chronyd`).
    /// - It is not synchronised: `chronyc -n sources -v` shows which servers it asks and what
    ///   became of that; see `clock/offset`.
    /// - Two services run: keep one, and disable the other.
    "clock/sync": "a time service keeps the clock"
}

/// The time since the last measurement from which on a service is taken for cut off. All of them
/// ask at least every 36 minutes unless told otherwise.
const STALE_S: i64 = 6 * 3600;

/// The processes that set the clock on their own account; two of them undo each other's work.
const RIVALS: [(&str, &str); 4] = [
    ("chronyd", "chrony"),
    ("ntp-daemon", "ntpd-rs"),
    ("ntpd", "ntpd"),
    ("systemd-timesyn", "systemd-timesyncd"),
];

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let system = host.ask(System).await?;
    if !system.running {
        return Err(Stop::not_applicable("what runs cannot be told from files"));
    }
    let running = host.ask(TimeServices).await?;
    let mut verdict = Verdict::default();
    let rivals: Vec<_> = rivals(&running).collect();
    if rivals.is_empty() {
        return idle(host, &system, &running).await;
    }
    verdict.add(fighting(&rivals));
    let servers = time_servers(host).await?.servers;
    let services = installed(host).await?;
    let mut left_out = None;
    for (process, name) in rivals {
        let installed = services.iter().find(|service| service.name == name).copied();
        let servers = followed_by(name, &servers);
        let judge = Judge { name, process, installed, servers, now: running.at };
        let what = format!("whether {name} is synchronised");
        match asked(host, &judge).await {
            Ok((finding, untold)) => {
                verdict.add(finding);
                let untold = untold.map(|why| (what, Unknown::Unreadable(why)));
                verdict.untold.extend(untold);
            }
            Err(Unknown::LeftOut(why)) => left_out = Some(why),
            Err(why) => verdict.untold(what, why),
        }
    }
    match left_out.filter(|_| verdict.findings.is_empty() && verdict.untold.is_empty()) {
        Some(why) => Err(Stop::NotApplicable(why)),
        None => Ok(verdict),
    }
}

/// Asks a service that runs, and judges what it says.
async fn asked(host: &Host, judge: &Judge) -> Result<Judged, Unknown> {
    Ok(match judge.name {
        "chrony" => judge.chrony(host.ask(ChronyTracking).await?),
        "ntpd" => judge.ntpd(host.ask(NtpQuery { address: NTPD }).await?),
        "systemd-timesyncd" => judge.timesyncd(timesyncd(host).await?),
        _ => (None, Some(judge.cannot_be_asked())),
    })
}

/// Where ntpd answers; it serves its own system even where it serves nobody else.
const NTPD: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 123);

fn rivals(running: &Running) -> impl Iterator<Item = (&'static str, &'static str)> {
    RIVALS.into_iter().filter(|(process, _)| running.services.contains_key(*process))
}

fn followed_by(name: &str, servers: &[TimeServer]) -> Vec<TimeServer> {
    servers.iter().filter(|server| server.client == name).cloned().collect()
}

/// What timesyncd leaves behind: a file that it touches whenever it has set the clock.
async fn timesyncd(host: &Host) -> Result<Timesyncd, Unknown> {
    let folder = FileFacts::of("/run/systemd/timesync");
    let file = FileFacts::of("/run/systemd/timesync/synchronized");
    Ok(match (host.ask(folder).await?, host.ask(file).await?) {
        (None, None) => Timesyncd::Mute,
        (_, facts) => Timesyncd::Told(facts.map(|facts| facts.modified)),
    })
}

/// No time service runs that is known to set the clock.
async fn idle(host: &Host, system: &SystemFacts, running: &Running) -> Result<Verdict, Stop> {
    if running.contained {
        return Err(Stop::not_applicable("this is a container, and its host keeps the clock"));
    }
    let mut verdict = Verdict::default();
    if let Some(other) = running.services.keys().next() {
        let look = match other.as_str() {
            "vmtoolsd" => "vmware-toolbox-cmd timesync status",
            "VBoxService" => "VBoxManage guestproperty enumerate on the host",
            _ => "journalctl -b -t phc2sys -t timemaster",
        };
        let why = format!("only {other} runs, which gldoctor cannot ask (look with {look})");
        verdict.untold("what keeps this clock", Unknown::Unreadable(why));
        return Ok(verdict);
    }
    verdict.add([nothing_runs(&installed(host).await?, system)]);
    Ok(verdict)
}

fn nothing_runs(installed: &[TimeService], system: &SystemFacts) -> Finding {
    let finding = match installed.first() {
        Some(service) => {
            let TimeService { name, unit, .. } = service;
            let message = format!("{name} is installed but does not run: nothing keeps this clock");
            let start = format!("sudo systemctl enable --now {unit}");
            Finding::warning("stopped", *name, message).remedy(
                "Start the time service, and let it start with the system.",
                [start, format!("systemctl status {unit}")],
            )
        }
        None => Finding::warning(
            "none-installed",
            system.name.as_str(),
            "no time service is installed: nothing keeps this clock",
        )
        .remedy(
            "Install chrony, and name the time server of your own site in its configuration.",
            install_command(system),
        ),
    };
    finding.docs(docs::OFFLINE_NTP).explains(Cause::TimeService)
}

fn install_command(system: &SystemFacts) -> Option<&'static str> {
    let mut families = system.os_id.iter().chain(&system.os_like).map(String::as_str);
    families.find_map(|family| match family {
        "debian" | "ubuntu" => Some("sudo apt-get install chrony"),
        "rhel" | "fedora" | "centos" | "amzn" => Some("sudo dnf install chrony"),
        "suse" | "sles" | "opensuse" => Some("sudo zypper install chrony"),
        _ => None,
    })
}

/// Several services that all set the clock.
fn fighting(rivals: &[(&str, &str)]) -> Option<Finding> {
    let ((_, keep), rest) = rivals.split_first().filter(|(_, rest)| !rest.is_empty())?;
    let names: Vec<_> = rivals.iter().map(|(_, name)| *name).collect();
    let message = format!("{} time services set this clock: {}", names.len(), names.join(", "));
    let disable = rest.iter().map(|(_, name)| {
        let unit = crate::install::clock::unit(name, "");
        format!("sudo systemctl disable --now {unit}")
    });
    let finding = Finding::warning("fighting", names.join(", "), message)
        .docs(docs::OFFLINE_NTP)
        .remedy(format!("Keep one of them, such as {keep}, and disable the rest."), disable);
    Some(finding)
}

/// How long ago something was, in microseconds, as far as it was in the past.
fn age_us(now: Timestamp, then_s: i64) -> Option<u64> {
    let age = now.as_second().checked_sub(then_s).filter(|age| *age > STALE_S)?;
    u64::try_from(age).ok()?.checked_mul(1_000_000)
}

#[cfg(test)]
mod tests;
