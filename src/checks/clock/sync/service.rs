//! What a time service that runs says of itself, and what that is worth.

use jiff::Timestamp;

use super::super::words::span;
use super::age_us;
use crate::checks::shell::word;
use crate::checks::{Cause, Finding, Remedy, docs};
use crate::host::network::{ChronyReply, NtpReply};
use crate::install::clock::{TimeServer, TimeService};
use crate::parse::chrony_packet::Tracking;
use crate::parse::ntp_packet::{Header, NoTime};

/// The rest that chronyd has still to correct, in microseconds, from which on the clock is wrong
/// for those who use it meanwhile.
const CORRECTING_US: u64 = 1_000_000;

/// Judges one service that runs.
pub(super) struct Judge {
    /// As `chrony`.
    pub(super) name: &'static str,
    /// As `chronyd`.
    pub(super) process: &'static str,
    /// Its unit and its configuration, where they are known.
    pub(super) installed: Option<TimeService>,
    /// Whom it is told to follow.
    pub(super) servers: Vec<TimeServer>,
    pub(super) now: Timestamp,
}

/// What timesyncd left behind.
#[derive(Clone, Copy)]
pub(super) enum Timesyncd {
    /// No folder of its own: a version before systemd 239 says nothing.
    Mute,
    /// When it last set the clock, if it ever did since the system started.
    Told(Option<Timestamp>),
}

/// What was found, or why that cannot be told.
pub(super) type Judged = (Option<Finding>, Option<String>);

impl Judge {
    pub(super) fn chrony(&self, reply: ChronyReply) -> Judged {
        let tracking = match reply {
            ChronyReply::Tracking(tracking) => tracking,
            ChronyReply::Nothing(_) | ChronyReply::Failed(_) => {
                let why = "it does not tell at 127.0.0.1:323 (look with: sudo chronyc tracking)";
                return (None, Some(format!("{} runs, but {why}", self.process)));
            }
        };
        let Tracking { synchronised, local, updated_s, behind_us, .. } = tracking;
        let finding = if !synchronised {
            Some(self.unsynchronised())
        } else if local {
            self.own_clock()
        } else {
            updated_s.and_then(|then| self.stale(then)).or_else(|| self.correcting(behind_us))
        };
        let seen = format!(
            "reference {}, stratum {}, {} off, +-{}",
            tracking.reference,
            tracking.stratum,
            span(behind_us.unsigned_abs()),
            span(tracking.distance_us),
        );
        (finding.map(|finding| finding.seen("chronyc tracking", seen)), None)
    }

    /// By its reply to an ordinary request from this system.
    pub(super) fn ntpd(&self, reply: NtpReply) -> Judged {
        let (header, finding) = match reply {
            NtpReply::Time { header, .. } => {
                let finding = match header.reference_age_s {
                    _ if is_own_clock(&header) => self.own_clock(),
                    Some(age) => self.stale(self.now.as_second().saturating_sub(age)),
                    None => None,
                };
                (header, finding)
            }
            NtpReply::NoTime { header, why: NoTime::Unsynchronised } => {
                (header, Some(self.unsynchronised()))
            }
            NtpReply::NoTime { .. } | NtpReply::Strays { .. } | NtpReply::Failed(_) => {
                let why = "it does not tell at 127.0.0.1:123 (look with: ntpq -pn)";
                return (None, Some(format!("{} runs, but {why}", self.process)));
            }
        };
        let Header { leap, stratum, reference, .. } = header;
        let seen = format!("leap {leap}, stratum {stratum}, reference {reference}");
        (finding.map(|finding| finding.seen("127.0.0.1:123", seen)), None)
    }

    pub(super) fn timesyncd(&self, told: Timesyncd) -> Judged {
        match told {
            Timesyncd::Mute => {
                let why = "this version leaves no sign (look with: timedatectl)";
                (None, Some(format!("{} runs, but {why}", self.name)))
            }
            Timesyncd::Told(None) => {
                let file = "/run/systemd/timesync/synchronized";
                let finding = self.unsynchronised().seen(file, "missing: never since the start");
                (Some(finding), None)
            }
            Timesyncd::Told(Some(then)) => (self.stale(then.as_second()), None),
        }
    }

    pub(super) fn cannot_be_asked(&self) -> String {
        format!("{} runs, which gldoctor cannot ask", self.process)
    }

    fn unsynchronised(&self) -> Finding {
        let message = format!("{} runs but is not synchronised with any server", self.name);
        self.warning("unsynchronised", message)
    }

    /// It vouches for its own clock. That is how the time server of a site without any reference
    /// works; where it is told to follow others, it has lost them.
    fn own_clock(&self) -> Option<Finding> {
        let lost = !self.servers.is_empty();
        lost.then(|| {
            let message = format!("{} has lost its servers and follows its own clock", self.name);
            self.warning("own-clock", message)
        })
    }

    fn stale(&self, then_s: i64) -> Option<Finding> {
        let ago = span(age_us(self.now, then_s)?);
        let message = format!("{} has heard from no server for {ago}", self.name);
        Some(self.warning("stale", message))
    }

    fn correcting(&self, behind_us: i64) -> Option<Finding> {
        let off = behind_us.unsigned_abs();
        (off >= CORRECTING_US).then(|| {
            let message = format!(
                "the clock is still {} off: {} corrects it little by little",
                span(off),
                self.name
            );
            self.warning("correcting", message).remedy(
                "Let chrony step the clock instead.",
                ["sudo chronyc makestep", "chronyc tracking"],
            )
        })
    }

    /// To find out about the servers that it has, or to name one.
    fn remedy(&self) -> Remedy {
        let look = look(self.name).to_owned();
        if !self.servers.is_empty() {
            let advice = "Find out why none of its servers is followed.".to_owned();
            return Remedy { advice, commands: vec![look] };
        }
        let mut commands = Vec::new();
        if let Some(TimeService { configuration: Some(file), unit, .. }) = self.installed {
            commands.push(format!("sudoedit {}", word(file)));
            commands.push(format!("sudo systemctl restart {unit}"));
        }
        commands.push(look);
        let advice = "Name the time server of your own site in its configuration, and restart it."
            .to_owned();
        Remedy { advice, commands }
    }

    fn warning(&self, code: &'static str, message: String) -> Finding {
        let mut finding = Finding::warning(code, self.name, message)
            .docs(docs::OFFLINE_NTP)
            .explains(Cause::TimeService);
        finding.remedy = self.remedy();
        for TimeServer { host, port, source, client } in &self.servers {
            let endpoint = if host.contains(':') {
                format!("[{host}]:{port}")
            } else {
                format!("{host}:{port}")
            };
            finding.evidence.push(source.evidence(client, host));
            finding = finding.follows(Cause::TimeServer(endpoint.to_ascii_lowercase()));
        }
        finding
    }
}

fn look(service: &str) -> &'static str {
    match service {
        "chrony" => "chronyc -n sources -v",
        "ntpd" => "ntpq -pn",
        _ => "timedatectl timesync-status",
    }
}

/// ntpd's driver for the system's own clock.
fn is_own_clock(header: &Header) -> bool {
    matches!(header.reference.as_str(), "LOCL" | "LCL" | "127.127.1.0" | "127.127.1.1")
}
