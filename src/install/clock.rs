//! The time servers that this host is told to follow.

use camino::{Utf8Path, Utf8PathBuf};

use super::{Source, Written, settings};
use crate::host::files::{ChronyConf, Directory, File, FileFacts, Format, NtpdConf, ReadFile};
use crate::host::request::Requested;
use crate::host::system::System;
use crate::host::{Host, Unknown};
use crate::parse::ntp_conf::{IncludeKind, NtpConf, TimesyncdConf};
use crate::parse::setting::Located;

/// The UDP port of NTP.
const PORT: u16 = 123;

/// A time server somebody configured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeServer {
    /// Name or address.
    pub host: String,
    /// UDP port, 123 unless said otherwise.
    pub port: u16,
    /// Who follows it: `chrony`, `systemd-timesyncd`, `ntpd`, `gitlab.rb`, `--ntp`.
    pub client: String,
    /// Where it stands.
    pub source: Source,
}

/// The time servers of this host, as far as they can be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimeServers {
    /// Each with its place.
    pub servers: Vec<TimeServer>,
    /// Where others may stand, and why that cannot be told.
    pub untold: Vec<(String, Unknown)>,
}

impl TimeServer {
    /// Whether nobody wrote it: a program has it built in.
    pub fn is_default(&self) -> bool {
        matches!(self.source, Source::Default(_))
    }
}

/// A time service that is installed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeService {
    /// `chrony`, `ntpd` or `systemd-timesyncd`.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// The file in which it is told whom to follow, where there is one.
    pub configuration: Option<&'static str>,
}

/// A program that follows time servers: its configuration file, by distribution, and its own place.
struct Client {
    name: &'static str,
    configurations: &'static [&'static str],
    programs: &'static [&'static str],
}

const CHRONY: Client = Client {
    name: "chrony",
    configurations: &["/etc/chrony/chrony.conf", "/etc/chrony.conf"],
    programs: &["/usr/sbin/chronyd"],
};

const NTPD: Client = Client {
    name: "ntpd",
    configurations: &["/etc/ntpsec/ntp.conf", "/etc/ntp.conf"],
    programs: &["/usr/sbin/ntpd"],
};

const TIMESYNCD: Client = Client {
    name: "systemd-timesyncd",
    configurations: &["/etc/systemd/timesyncd.conf"],
    programs: &["/usr/lib/systemd/systemd-timesyncd", "/lib/systemd/systemd-timesyncd"],
};

/// Folders of drop-ins for timesyncd, in the order in which they are laid over its file.
const TIMESYNCD_DROP_INS: [&str; 2] =
    ["/usr/lib/systemd/timesyncd.conf.d", "/etc/systemd/timesyncd.conf.d"];

/// Files that name further files: deeper nests are nobody's.
const MAX_FILES: usize = 64;

/// Every time server that is configured here or named with `--ntp`, each with its place. One file
/// that cannot be read does not hide what stands in the others.
pub async fn time_servers(host: &Host) -> Result<TimeServers, Unknown> {
    let request = host.ask(Requested).await?;
    let mut found = TimeServers::default();
    found.servers.extend(request.ntp.iter().map(|text| requested(text)));
    for (what, servers) in [
        ("the time service's servers", followed(host).await),
        ("NTP_HOST in gitlab.rb", written_for_gitlab(host).await),
    ] {
        match servers {
            Ok(servers) => found.servers.extend(servers),
            Err(Unknown::LeftOut(_)) => {}
            Err(why) => found.untold.push((what.to_owned(), why)),
        }
    }
    Ok(found)
}

/// The servers of the client that keeps this clock. A configuration file may outlive its program,
/// so where programs are to be seen, only their files count.
async fn followed(host: &Host) -> Result<Vec<TimeServer>, Unknown> {
    let mut configured = Vec::new();
    for client in [&CHRONY, &NTPD, &TIMESYNCD] {
        if let Some(path) = first_of(host, client.configurations).await? {
            let installed = first_of(host, client.programs).await?.is_some();
            configured.push((client, Utf8PathBuf::from(path), installed));
        }
    }
    let any_installed = configured.iter().any(|(.., installed)| *installed);
    configured.retain(|(.., installed)| *installed || !any_installed);
    // Distributions ship timesyncd's file everywhere; it rests where another client is set up.
    if configured.len() > 1 {
        configured.retain(|(client, ..)| client.name != TIMESYNCD.name);
    }
    let mut servers = Vec::new();
    for (client, path, _) in configured {
        servers.extend(match client.name {
            "chrony" => nested::<ChronyConf>(host, client, path, |conf| conf.0).await?,
            "ntpd" => nested::<NtpdConf>(host, client, path, |conf| conf.0).await?,
            _ => timesyncd(host, &path).await?,
        });
    }
    Ok(servers)
}

/// The time services that are installed here, whether they run or not.
pub async fn installed(host: &Host) -> Result<Vec<TimeService>, Unknown> {
    let mut services = Vec::new();
    for client in [&CHRONY, &NTPD, &TIMESYNCD] {
        if first_of(host, client.programs).await?.is_some() {
            let configuration = first_of(host, client.configurations).await?;
            services.push(TimeService {
                name: client.name,
                unit: unit(client.name, configuration.unwrap_or_default()),
                configuration,
            });
        }
    }
    Ok(services)
}

/// The unit of a time service, which the place of its configuration tells: distributions differ.
pub fn unit(service: &str, configuration: &str) -> &'static str {
    match service {
        "chrony" if configuration == "/etc/chrony.conf" => "chronyd",
        "chrony" => "chrony",
        "ntpd" if configuration.starts_with("/etc/ntpsec/") => "ntpsec",
        "ntpd" if configuration.starts_with("/etc/openntpd/") => "openntpd",
        "ntpd" => "ntp",
        _ => "systemd-timesyncd",
    }
}

async fn first_of<'a>(host: &Host, paths: &[&'a str]) -> Result<Option<&'a str>, Unknown> {
    for path in paths {
        if host.ask(FileFacts::of(*path)).await?.is_some() {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The servers in a file and in the files that it names.
async fn nested<F: Format>(
    host: &Host,
    client: &Client,
    main: Utf8PathBuf,
    content: impl Fn(F) -> NtpConf,
) -> Result<Vec<TimeServer>, Unknown> {
    let mut servers = Vec::new();
    let mut paths = vec![main];
    let mut next = 0;
    while let Some(path) = paths.get(next).cloned().filter(|_| next < MAX_FILES) {
        next += 1;
        let conf = match host.ask(ReadFile::<F>::at(path.clone())).await? {
            File::Missing => continue,
            File::Read(conf) => content(conf),
            other => return Err(other.unknown(&path)),
        };
        // A reference clock has no port: it is no server, and keeps time without one.
        servers.extend(conf.sources.iter().filter_map(|source| {
            Some(TimeServer {
                host: source.host.clone(),
                port: source.port?,
                client: client.name.to_owned(),
                source: Source::File { path: path.clone(), line: Some(source.line) },
            })
        }));
        for include in &conf.includes {
            let included = included(host, Utf8Path::new(&include.path), include.kind).await?;
            paths.extend(included.into_iter().filter(|it| !paths.contains(it)).collect::<Vec<_>>());
        }
    }
    Ok(servers)
}

/// The files that an include stands for, sorted.
async fn included(
    host: &Host,
    path: &Utf8Path,
    kind: IncludeKind,
) -> Result<Vec<Utf8PathBuf>, Unknown> {
    let (folder, pattern) = match kind {
        IncludeKind::ConfDir => (path, "*.conf"),
        IncludeKind::SourceDir => (path, "*.sources"),
        IncludeKind::File => match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) if name.contains('*') => (folder, name),
            _ => return Ok(vec![path.to_owned()]),
        },
    };
    let (start, end) = pattern.split_once('*').unwrap_or((pattern, ""));
    let listing = host.ask(Directory::at(folder)).await?;
    let fits = |name: &&str| name.starts_with(start) && name.ends_with(end);
    Ok(listing.names().filter(fits).map(|name| folder.join(name)).collect())
}

/// What timesyncd follows: `NTP=`, or without it `FallbackNTP=`, or the distribution's own servers.
async fn timesyncd(host: &Host, main: &Utf8Path) -> Result<Vec<TimeServer>, Unknown> {
    let mut files = vec![main.to_owned()];
    for folder in TIMESYNCD_DROP_INS {
        files.extend(included(host, Utf8Path::new(folder), IncludeKind::ConfDir).await?);
    }
    let mut conf = TimesyncdConf::default();
    let mut places = Vec::new();
    for path in files {
        match host.ask(ReadFile::<TimesyncdConf>::at(path.clone())).await? {
            File::Missing => {}
            File::Read(read) => {
                let hosts = [&read.servers, &read.fallback].map(|list| list.hosts.clone());
                places.extend(hosts.into_iter().flatten().map(|it| (it, path.clone())));
                conf.apply_drop_in(read);
            }
            other => return Err(other.unknown(&path)),
        }
    }
    let server = |name: &str, source: Source| TimeServer {
        host: name.to_owned(),
        port: PORT,
        client: TIMESYNCD.name.to_owned(),
        source,
    };
    let list = if conf.servers.hosts.is_empty() { &conf.fallback } else { &conf.servers };
    if list.hosts.is_empty() && !conf.fallback.set {
        let default = default_server(host).await?;
        return Ok(default
            .map(|(name, whose)| server(name, Source::Default(format!("the default of {whose}"))))
            .into_iter()
            .collect());
    }
    let place = |it: &Located<String>| {
        let found = places.iter().rev().find(|(other, _)| other == it);
        let (located, path) = found?;
        Some(server(&it.value, Source::File { path: path.clone(), line: located.line }))
    };
    Ok(list.hosts.iter().filter_map(place).collect())
}

/// The server that a distribution builds into its timesyncd.
async fn default_server(host: &Host) -> Result<Option<(&'static str, &'static str)>, Unknown> {
    let system = host.ask(System).await?;
    Ok(match system.os_id.as_deref() {
        Some("ubuntu") => Some(("ntp.ubuntu.com", "Ubuntu's systemd-timesyncd")),
        Some("debian") => Some(("0.debian.pool.ntp.org", "Debian's systemd-timesyncd")),
        _ => None,
    })
}

/// `NTP_HOST` in the environment that `gitlab.rb` gives to Gitaly, Praefect and Rails.
async fn written_for_gitlab(host: &Host) -> Result<Vec<TimeServer>, Unknown> {
    let Some(settings) = settings(host).await? else { return Ok(Vec::new()) };
    let servers = ["gitaly", "praefect", "gitlab_rails"].into_iter().filter_map(|section| {
        match settings.text(&[section, "env", "NTP_HOST"]) {
            Written::Known(name) => Some(TimeServer {
                host: name.value,
                port: PORT,
                client: "gitlab.rb".to_owned(),
                source: name.source,
            }),
            Written::Unset | Written::Untold(_) => None,
        }
    });
    Ok(servers.collect())
}

/// A server named with `--ntp HOST[:PORT]`.
fn requested(text: &str) -> TimeServer {
    let (host, port) = host_and_port(text);
    let client = "--ntp".to_owned();
    TimeServer { host, port, source: Source::Flag(client.clone()), client }
}

/// Splits `HOST`, `HOST:PORT`, `[IPv6]`, `[IPv6]:PORT` or a bare IPv6 address.
fn host_and_port(text: &str) -> (String, u16) {
    let bare = |host: &str| host.trim_matches(['[', ']']).to_owned();
    match text.rsplit_once(':') {
        // A bare IPv6 address has more colons, and no port behind the last.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => match port.parse() {
            Ok(port) => (bare(host), port),
            Err(_) => (bare(text), PORT),
        },
        _ => (bare(text), PORT),
    }
}

#[test]
fn a_requested_server_is_a_host_and_perhaps_a_port() {
    let split = |text| {
        let (host, port) = host_and_port(text);
        format!("{host} {port}")
    };
    assert_eq!(split("ntp1"), "ntp1 123");
    assert_eq!(split("ntp1:11123"), "ntp1 11123");
    assert_eq!(split("10.0.0.1:1"), "10.0.0.1 1");
    assert_eq!(split("fd00::1"), "fd00::1 123");
    assert_eq!(split("[fd00::1]"), "fd00::1 123");
    assert_eq!(split("[fd00::1]:1"), "fd00::1 1");
}
