//! Which time servers are configured: chrony, ntpd and `NTPsec`, systemd-timesyncd.

use serde::{Deserialize, Serialize};

use super::Malformed;
use super::setting::Located;
use super::text::{utf8, without_byte_order_mark};

/// What a configuration file of chrony or ntpd says about sources of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NtpConf {
    /// The sources, in the order of the file.
    pub sources: Vec<TimeSource>,
    /// Further files and folders to read.
    pub includes: Vec<Include>,
    /// The line that lets this host pass its own clock off as synchronised: `local` of chrony,
    /// a server 127.127.1.0 of ntpd.
    pub local_clock_line: Option<u32>,
}

/// A source of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeSource {
    /// The name or address; for a reference clock its driver and device.
    pub host: String,
    /// The UDP port, 123 where none is given. None for a reference clock.
    pub port: Option<u16>,
    /// How it is used.
    pub kind: SourceKind,
    /// The line.
    pub line: u32,
}

/// How a source is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// One server.
    Server,
    /// A name with several servers.
    Pool,
    /// A host that is also a client.
    Peer,
    /// Hardware of this host.
    ReferenceClock,
}

/// A file or a folder that the configuration names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Include {
    /// The path or, for [`IncludeKind::File`], a pattern.
    pub path: String,
    /// What it is.
    pub kind: IncludeKind,
    /// The line.
    pub line: u32,
}

/// What an include names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncludeKind {
    /// Files: `include` of chrony, `includefile` of ntpd.
    File,
    /// A folder of `*.conf` files: `confdir` of chrony. Of several folders in one directive the
    /// first one that has a file of a name is the one whose file is read.
    ConfDir,
    /// A folder of `*.sources` files: `sourcedir` of chrony.
    SourceDir,
}

/// Reads a `chrony.conf`, a `*.conf` of a `confdir`, or a `*.sources` file.
///
/// A byte order mark is refused, as chrony takes it for part of a directive and does not start.
pub fn read_chrony(bytes: &[u8]) -> Result<NtpConf, Malformed> {
    let text = utf8(bytes)?;
    if text.starts_with('\u{feff}') {
        return Err(Malformed::new(1, "a byte order mark, which chrony takes for a directive"));
    }
    let mut conf = NtpConf::default();
    for (line, text) in numbered(text) {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let Some((directive, arguments)) = words.split_first() else { continue };
        let directive = directive.to_ascii_lowercase();
        let include = |kind| {
            let path = move |path: &&str| Include { path: (*path).to_owned(), kind, line };
            arguments.iter().map(path)
        };
        match directive.as_str() {
            "local" => conf.local_clock_line = Some(line),
            "include" => conf.includes.extend(include(IncludeKind::File)),
            "confdir" => conf.includes.extend(include(IncludeKind::ConfDir)),
            "sourcedir" => conf.includes.extend(include(IncludeKind::SourceDir)),
            "refclock" => conf.sources.push(reference_clock(arguments, line)),
            _ => conf.sources.extend(source(&directive, arguments, line)),
        }
    }
    Ok(conf)
}

/// Reads an `ntp.conf` of ntpd or `NTPsec`, which skip what they do not understand.
pub fn read_ntpd(bytes: &[u8]) -> Result<NtpConf, Malformed> {
    let mut conf = NtpConf::default();
    for (line, text) in numbered(utf8(bytes)?) {
        let text = text.split('#').next().unwrap_or_default();
        let mut words: Vec<&str> = text.split_ascii_whitespace().collect();
        words.retain(|word| !matches!(*word, "-4" | "-6" | "ipv4" | "ipv6"));
        match words.as_slice() {
            ["includefile", path, ..] => {
                let path = path.trim_matches('"').to_owned();
                conf.includes.push(Include { path, kind: IncludeKind::File, line });
            }
            // The local clock and other hardware of ntpd have addresses of this network.
            ["server", "127.127.1.0", ..] | ["refclock", "local", ..] => {
                conf.local_clock_line = Some(line);
            }
            ["server", address, ..] if address.starts_with("127.127.") => {
                conf.sources.push(reference_clock(&[address], line));
            }
            ["refclock", arguments @ ..] => conf.sources.push(reference_clock(arguments, line)),
            [directive, arguments @ ..] => conf.sources.extend(source(directive, arguments, line)),
            [] => {}
        }
    }
    Ok(conf)
}

fn source(directive: &str, arguments: &[&str], line: u32) -> Option<TimeSource> {
    let kind = match directive {
        "server" => SourceKind::Server,
        "pool" => SourceKind::Pool,
        "peer" => SourceKind::Peer,
        _ => return None,
    };
    let (host, options) = arguments.split_first()?;
    let port = options.windows(2).find(|pair| pair[0].eq_ignore_ascii_case("port"));
    let port = port.map_or(Ok(123), |pair| pair[1].parse());
    Some(TimeSource { host: (*host).to_owned(), port: port.ok(), kind, line })
}

fn reference_clock(arguments: &[&str], line: u32) -> TimeSource {
    let host = arguments.iter().take(2).copied().collect::<Vec<_>>().join(" ");
    TimeSource { host, port: None, kind: SourceKind::ReferenceClock, line }
}

/// The lines with their numbers, without blanks around them and without comment lines.
fn numbered(text: &str) -> impl Iterator<Item = (u32, &str)> {
    (1..).zip(text.lines()).map(|(line, text)| (line, text.trim())).filter(|(_, text)| {
        // chrony has four ways to begin a comment; the other two programs know `#` and `;`.
        !text.is_empty() && !text.starts_with(['#', ';', '!', '%'])
    })
}

/// What a `timesyncd.conf` with its drop-ins says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimesyncdConf {
    /// `NTP=`.
    pub servers: TimesyncdServers,
    /// `FallbackNTP=`: used only if there is no other server. Where it is never set, the
    /// distribution's own public servers are.
    pub fallback: TimesyncdServers,
}

/// A list of servers. Their port is always 123.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimesyncdServers {
    /// The hosts.
    pub hosts: Vec<Located<String>>,
    /// Whether the setting is there at all, were it empty.
    pub set: bool,
    /// Whether it was emptied, which takes away what earlier files set.
    pub emptied: bool,
}

impl TimesyncdConf {
    /// Lays a drop-in over what was read before it.
    pub fn apply_drop_in(&mut self, drop_in: Self) {
        self.servers.apply(drop_in.servers);
        self.fallback.apply(drop_in.fallback);
    }
}

impl TimesyncdServers {
    fn apply(&mut self, later: Self) {
        if later.emptied {
            self.hosts.clear();
        }
        self.hosts.extend(later.hosts);
        self.set |= later.set;
        self.emptied |= later.emptied;
    }

    fn assign(&mut self, line: u32, value: &str) {
        self.set = true;
        if value.is_empty() {
            self.emptied = true;
            self.hosts.clear();
        }
        let host = |host: &str| Located::at(line, host.to_owned());
        self.hosts.extend(value.split_ascii_whitespace().map(host));
    }
}

/// Reads a `timesyncd.conf` or one of its drop-ins. Like systemd, it tolerates a byte order mark
/// and takes settings only from the section `[Time]`.
pub fn read_timesyncd(bytes: &[u8]) -> Result<TimesyncdConf, Malformed> {
    let mut conf = TimesyncdConf::default();
    let mut in_time = false;
    let mut continued: Option<(u32, String)> = None;
    for (line, text) in numbered(without_byte_order_mark(utf8(bytes)?)) {
        let (line, text) = match continued.take() {
            Some((start, mut before)) => {
                before.extend([" ", text]);
                (start, before)
            }
            None => (line, text.to_owned()),
        };
        if text.ends_with('\\') {
            let mut before = text;
            before.pop();
            continued = Some((line, before));
            continue;
        }
        if text.starts_with('[') {
            in_time = text == "[Time]";
        }
        let Some((key, value)) = text.split_once('=').filter(|_| in_time) else { continue };
        match key.trim_end() {
            "NTP" => conf.servers.assign(line, value.trim()),
            "FallbackNTP" => conf.fallback.assign(line, value.trim()),
            _ => {}
        }
    }
    Ok(conf)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(host: &str, port: Option<u16>, kind: SourceKind, line: u32) -> TimeSource {
        TimeSource { host: host.to_owned(), port, kind, line }
    }

    #[test]
    fn chrony_is_read() {
        let conf = read_chrony(
            b"# server no\r\n! server no\n; server no\n% server no\n\
Server ntp1.internal iburst Port 1123\npool pool.internal maxsources 4\npeer 10.0.0.1\n\
refclock PHC /dev/ptp0 poll 2\nconfdir /etc/chrony/conf.d /run/c\nsourcedir /run/chrony-dhcp\n\
include /etc/chrony/*.inc\nlocal stratum 10\nkeyfile /k\nserver\nserver x port hush\n",
        )
        .unwrap();
        assert_eq!(
            conf.sources,
            [
                at("ntp1.internal", Some(1123), SourceKind::Server, 5),
                at("pool.internal", Some(123), SourceKind::Pool, 6),
                at("10.0.0.1", Some(123), SourceKind::Peer, 7),
                at("PHC /dev/ptp0", None, SourceKind::ReferenceClock, 8),
                at("x", None, SourceKind::Server, 15),
            ]
        );
        let includes: Vec<_> = conf
            .includes
            .iter()
            .map(|include| (include.path.as_str(), include.kind, include.line))
            .collect();
        assert_eq!(
            includes,
            [
                ("/etc/chrony/conf.d", IncludeKind::ConfDir, 9),
                ("/run/c", IncludeKind::ConfDir, 9),
                ("/run/chrony-dhcp", IncludeKind::SourceDir, 10),
                ("/etc/chrony/*.inc", IncludeKind::File, 11),
            ]
        );
        assert_eq!(conf.local_clock_line, Some(12));
        assert_eq!(read_chrony("\u{feff}# a".as_bytes()).unwrap_err().line, Some(1));
        assert_eq!(read_chrony(b"# a\n# \xff").unwrap_err().line, Some(2));
    }

    #[test]
    fn ntpd_is_read() {
        let conf = read_ntpd(
            b"server -4 ntp1.internal iburst # server no\npool 0.debian.pool.ntp.org\npeer 10.0.0.1\n\
server 127.127.1.0\nserver 127.127.20.0 mode 1\nrefclock shm unit 0\nincludefile \"/etc/ntp/x.conf\"\n\
crypto pw hush\nrestrict default\n",
        )
        .unwrap();
        assert_eq!(
            conf.sources,
            [
                at("ntp1.internal", Some(123), SourceKind::Server, 1),
                at("0.debian.pool.ntp.org", Some(123), SourceKind::Pool, 2),
                at("10.0.0.1", Some(123), SourceKind::Peer, 3),
                at("127.127.20.0", None, SourceKind::ReferenceClock, 5),
                at("shm unit", None, SourceKind::ReferenceClock, 6),
            ]
        );
        assert_eq!(conf.local_clock_line, Some(4));
        assert_eq!(conf.includes[0].path, "/etc/ntp/x.conf");
        let json = serde_json::to_string(&conf).unwrap();
        assert!(!format!("{conf:?}{json}").contains("hush"), "{json}");
        assert_eq!(serde_json::from_str::<NtpConf>(&json).unwrap(), conf);
    }

    #[test]
    fn timesyncd_is_read_with_its_drop_ins() {
        let hosts = |servers: &TimesyncdServers| -> Vec<String> {
            servers.hosts.iter().map(|host| host.value.clone()).collect()
        };
        let text = "\u{feff}[Other]\nNTP=no\n[Time]\n#NTP=no\nNTP=a b \\\n  c\nNTP = d\nFallbackNTP=\nPollIntervalMaxSec=5\n";
        let mut conf = read_timesyncd(text.as_bytes()).unwrap();
        assert_eq!(hosts(&conf.servers), ["a", "b", "c", "d"]);
        assert_eq!((conf.servers.hosts[2].line, conf.servers.hosts[3].line), (Some(5), Some(7)));
        assert!(conf.fallback.set && conf.fallback.hosts.is_empty());
        conf.apply_drop_in(read_timesyncd(b"[Time]\nNTP=e\n").unwrap());
        assert_eq!(hosts(&conf.servers), ["a", "b", "c", "d", "e"]);
        conf.apply_drop_in(read_timesyncd(b"[Time]\nNTP=\nNTP=f\n").unwrap());
        assert_eq!(hosts(&conf.servers), ["f"]);
        assert!(!read_timesyncd(b"[Time]\n").unwrap().fallback.set);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
            let _ = (read_chrony(&bytes), read_ntpd(&bytes), read_timesyncd(&bytes));
        }

        #[test]
        fn similar_text_is_read(text in "(server|pool|port|refclock|include|\\[Time\\]|NTP=|\\\\|[ #;a1=\n\té])*") {
            prop_assert!(read_chrony(text.as_bytes()).is_ok());
            prop_assert!(read_ntpd(text.as_bytes()).is_ok());
            prop_assert!(read_timesyncd(text.as_bytes()).is_ok());
        }
    }
}
