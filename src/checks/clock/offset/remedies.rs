//! What to do, by who follows the server.

use std::collections::BTreeSet;

use crate::checks::Remedy;
use crate::checks::clock::hearing::Server;
use crate::checks::shell::word;
use crate::install::Source;
use crate::install::clock::{TimeServer, unit};

/// The programs that keep a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Client {
    Chrony,
    Timesyncd,
    Ntpd,
}

impl Client {
    fn of(named: &TimeServer) -> Option<Self> {
        match named.client.as_str() {
            "chrony" => Some(Self::Chrony),
            "systemd-timesyncd" => Some(Self::Timesyncd),
            "ntpd" => Some(Self::Ntpd),
            _ => None,
        }
    }

    fn first_of(server: &Server) -> Option<(Self, &TimeServer)> {
        server.named.iter().find_map(|named| Some((Self::of(named)?, named)))
    }

    /// Its unit.
    fn unit(self, named: &TimeServer) -> &'static str {
        let path = match &named.source {
            Source::File { path, .. } => path.as_str(),
            Source::Flag(_) | Source::Default(_) => "",
        };
        let service = match self {
            Self::Chrony => "chrony",
            Self::Timesyncd => "systemd-timesyncd",
            Self::Ntpd => "ntpd",
        };
        unit(service, path)
    }
}

/// How to set the clock right, once.
pub(super) fn step(believed: &[&Server]) -> Remedy {
    let known = believed.iter().find_map(|server| Client::first_of(server));
    let remedy =
        |advice: &str, commands: Vec<String>| Remedy { advice: advice.to_owned(), commands };
    match known {
        Some((Client::Chrony, _)) => remedy(
            "Let chrony step the clock.",
            vec!["sudo chronyc makestep".to_owned(), "chronyc tracking".to_owned()],
        ),
        Some((Client::Timesyncd, _)) => remedy(
            "Let systemd-timesyncd set the clock: it does so when it starts.",
            vec![
                "sudo systemctl restart systemd-timesyncd".to_owned(),
                "timedatectl timesync-status".to_owned(),
            ],
        ),
        Some((client @ Client::Ntpd, named)) => {
            let unit = client.unit(named);
            // ntpd gives up on more than 1000 s unless it is told -g.
            let commands = [
                format!("sudo systemctl stop {unit}"),
                "sudo ntpd -gq".to_owned(),
                format!("sudo systemctl start {unit}"),
            ];
            remedy("Let ntpd set the clock while its service is stopped.", commands.into())
        }
        None => remedy(
            "Let a time service follow this server: no configuration of one names it. Until then, \
             chrony can set the clock once.",
            believed.first().and_then(|server| set_once(server)).into_iter().collect(),
        ),
    }
}

/// The command that sets the clock without a service. A name with characters that a shell or
/// chrony would take for something else gets none.
fn set_once(server: &Server) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".:-_".contains(c);
    let Server { host, port, .. } = server;
    host.chars()
        .all(is_plain)
        .then(|| format!("sudo chronyd -q 'server {host} port {port} iburst'"))
}

/// How to see what the client makes of its servers.
pub(super) fn look(server: &Server) -> Option<&'static str> {
    Client::first_of(server).map(|(client, _)| match client {
        Client::Chrony => "chronyc -n sources -v",
        Client::Timesyncd => "timedatectl timesync-status",
        Client::Ntpd => "ntpq -pn",
    })
}

/// How to name another server, and to make every client read that.
pub(super) fn rename(servers: &[&Server]) -> Vec<String> {
    let named: Vec<_> = servers.iter().flat_map(|server| &server.named).collect();
    let edits = files(&named).into_iter().map(|file| format!("sudoedit {}", word(file)));
    let restarts: BTreeSet<_> = named
        .iter()
        .filter_map(|named| match Client::of(named) {
            Some(client) => Some(format!("sudo systemctl restart {}", client.unit(named))),
            None if named.client == "gitlab.rb" => Some("sudo gitlab-ctl reconfigure".to_owned()),
            None => None,
        })
        .collect();
    edits.chain(restarts).collect()
}

/// The files in which the servers are named, or should be.
fn files<'a>(named: &[&'a TimeServer]) -> BTreeSet<&'a str> {
    let files = named.iter().filter_map(|named| match &named.source {
        Source::File { path, .. } => Some(path.as_str()),
        // Only timesyncd has servers that nobody wrote.
        Source::Default(_) => Some("/etc/systemd/timesyncd.conf"),
        Source::Flag(_) => None,
    });
    files.collect()
}

/// Where the servers are named, for people: the files, as far as they stand in any.
pub(super) fn places(servers: &[&Server]) -> String {
    let named: Vec<_> = servers.iter().flat_map(|server| &server.named).collect();
    let files = files(&named);
    match files.len() {
        0 => "the configuration of the time service".to_owned(),
        _ => files.into_iter().collect::<Vec<_>>().join(", "),
    }
}

/// Which client refuses to follow a server that is so inexact, by default.
pub(super) fn refusal(server: &Server, distance_us: u64) -> Option<&'static str> {
    let (client, _) = Client::first_of(server)?;
    let (limit_us, words) = match client {
        Client::Chrony => {
            (3_000_000, "chrony follows no server beyond 3 s, unless maxdistance says otherwise")
        }
        Client::Timesyncd => (
            5_000_000,
            "systemd-timesyncd follows no server beyond 5 s, unless RootDistanceMaxSec says otherwise",
        ),
        Client::Ntpd => {
            (1_500_000, "ntpd follows no server beyond 1.5 s, unless tos maxdist says otherwise")
        }
    };
    (distance_us > limit_us).then_some(words)
}
