//! An address under which something is reached over HTTP.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;
use serde::Serialize;

/// A scheme, a host and a port; and whether the port was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Endpoint {
    /// Whether clients speak TLS to it.
    pub https: bool,
    /// The host as written, in lower case: a name or an address; IPv6 without brackets.
    pub host: String,
    /// The port, written or not.
    pub port: u16,
    /// The path below which everything lies, without a slash at its end: nothing or `/gitlab`.
    pub path: String,
}

impl Endpoint {
    /// Reads an `http` or `https` URL; the error says what is wrong with it.
    pub fn parse(url: &str) -> Result<Self, String> {
        let url = Url::parse(url).map_err(|error| format!("'{url}' is no URL: {error}"))?;
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            other => return Err(format!("its scheme is '{other}', not http or https")),
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or("it names no host")?;
        Ok(Self {
            https,
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port_or_known_default().unwrap_or(443),
            path: url.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Reads a listening address such as `127.0.0.1:5000`, `:5001` or `[::1]:5000`. An address
    /// that means "every interface" stays empty.
    pub fn listening(address: &str) -> Option<Self> {
        let address = address.trim_start_matches("http://").trim_end_matches('/');
        let (host, port) = address.rsplit_once(':')?;
        Some(Self {
            https: false,
            host: host.trim_matches(['[', ']']).to_owned(),
            port: port.parse().ok()?,
            path: String::new(),
        })
    }

    /// `host:port`, the port always given: what certificates and services are told apart by.
    pub fn socket(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    /// The host and, unless it is the scheme's own, the port: what an image name starts with.
    pub fn authority(&self) -> String {
        let default = if self.https { 443 } else { 80 };
        if self.port == default { self.bracketed() } else { self.socket() }
    }

    /// Whether both are one server, whatever lies below it.
    pub fn is_server(&self, other: &Self) -> bool {
        (self.https, &self.host, self.port) == (other.https, &other.host, other.port)
    }

    /// The server alone, without a path.
    #[must_use]
    pub fn server(&self) -> Self {
        Self { path: String::new(), ..self.clone() }
    }

    /// Whether the host is an address rather than a name.
    pub fn is_address(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }

    /// Whether it is on whatever host asks: `localhost`, or a loopback address.
    pub fn is_loopback(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        self.host == "localhost" || address.is_ok_and(|it| it.to_canonical().is_loopback())
    }

    /// A URL below this endpoint; `path` starts with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{self}{path}")
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

/// The URL, without a slash at its end.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

#[test]
fn urls_are_read_as_clients_read_them() {
    let read = |url| Endpoint::parse(url).unwrap();
    assert_eq!(read("https://Git.Example:5050/").to_string(), "https://git.example:5050");
    assert_eq!(read("https://git.example:443").authority(), "git.example");
    assert_eq!(
        read("https://git.example/gitlab/").url("/jwt/auth"),
        "https://git.example/gitlab/jwt/auth"
    );
    assert_eq!(read("https://[fd00::1]:4567").socket(), "[fd00::1]:4567");
    assert!(Endpoint::parse("ftp://x").is_err() && Endpoint::parse("git.example").is_err());
}

#[test]
fn listening_addresses_keep_what_was_written() {
    let read = |address| Endpoint::listening(address).unwrap();
    assert_eq!(read(":5001").host, "");
    assert_eq!(read("[::1]:5000").host, "::1");
    assert_eq!(read("http://127.0.0.1:5000").socket(), "127.0.0.1:5000");
    assert!(Endpoint::listening("5000").is_none());
}
