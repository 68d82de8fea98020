//! What to do, by who follows the server.

use std::collections::BTreeSet;

use crate::checks::Remedy;
use crate::checks::clock::hearing::Server;
use crate::install::Source;
use crate::install::clock::TimeServer;

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

    /// Its unit, which the place of its configuration tells: Debian's and Red Hat's differ.
    fn unit(self, named: &TimeServer) -> &'static str {
        let path = match &named.source {
            Source::File { path, .. } => path.as_str(),
            Source::Flag(_) | Source::Default(_) => "",
        };
        match self {
            Self::Chrony if path == "/etc/chrony.conf" => "chronyd",
            Self::Chrony => "chrony",
            Self::Timesyncd => "systemd-timesyncd",
            Self::Ntpd if path.starts_with("/etc/ntpsec/") => "ntpsec",
            Self::Ntpd => "ntp",
        }
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
            vec!["chronyc makestep".to_owned(), "chronyc tracking".to_owned()],
        ),
        Some((Client::Timesyncd, _)) => remedy(
            "Let systemd-timesyncd set the clock: it does so when it starts.",
            vec![
                "systemctl restart systemd-timesyncd".to_owned(),
                "timedatectl timesync-status".to_owned(),
            ],
        ),
        Some((client @ Client::Ntpd, named)) => {
            let unit = client.unit(named);
            // ntpd gives up on more than 1000 s unless it is told -g.
            let commands = [
                format!("systemctl stop {unit}"),
                "ntpd -gq".to_owned(),
                format!("systemctl start {unit}"),
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
    host.chars().all(is_plain).then(|| format!("chronyd -q 'server {host} port {port} iburst'"))
}

/// How to see what the client makes of its servers.
pub(super) fn look(server: &Server) -> Option<&'static str> {
    Client::first_of(server).map(|(client, _)| match client {
        Client::Chrony => "chronyc -n sources -v",
        Client::Timesyncd => "timedatectl timesync-status",
        Client::Ntpd => "ntpq -pn",
    })
}

/// How to make every client of these servers read its changed configuration.
pub(super) fn restart(servers: &[&Server]) -> Vec<String> {
    let named = servers.iter().flat_map(|server| &server.named);
    let commands: BTreeSet<_> = named
        .filter_map(|named| match Client::of(named) {
            Some(client) => Some(format!("systemctl restart {}", client.unit(named))),
            None if named.client == "gitlab.rb" => Some("gitlab-ctl reconfigure".to_owned()),
            None => None,
        })
        .collect();
    commands.into_iter().collect()
}

/// Where the servers are named, for people: the files, as far as they stand in any.
pub(super) fn places(servers: &[&Server]) -> String {
    let named = servers.iter().flat_map(|server| &server.named);
    let files: BTreeSet<_> = named
        .filter_map(|named| match &named.source {
            Source::File { path, .. } => Some(path.as_str()),
            // Only timesyncd has servers that nobody wrote.
            Source::Default(_) => Some("/etc/systemd/timesyncd.conf"),
            Source::Flag(_) => None,
        })
        .collect();
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
