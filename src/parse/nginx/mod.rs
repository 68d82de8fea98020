//! nginx configuration: which servers listen where, with which certificate, and what they pass on.
//!
//! One file is read at a time. [`Nginx::includes`] says which files belong at which place; what a
//! file holds outside of any `server` block is in [`Nginx::outside`], so a fragment that is meant
//! to be included in a server can be read by itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::setting::Located;
use super::{Malformed, scrub};
use syntax::Directive;

mod syntax;
#[cfg(test)]
mod tests;

/// What one file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Nginx {
    /// The `server` blocks, in the order of the file. Of equal names on one address the first
    /// one answers.
    pub servers: Vec<Server>,
    /// The `upstream` blocks.
    pub upstreams: Vec<Upstream>,
    /// The `include` directives, at whatever depth.
    pub includes: Vec<Include>,
    /// Directives outside of any `server`: in `http`, where servers inherit them, or in a
    /// fragment.
    pub outside: Scope,
}

/// A `server` block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Server {
    /// The line of `server`.
    pub line: u32,
    /// Whether it stands in `stream` and so passes on connections, not HTTP.
    pub stream: bool,
    /// `listen`. None: nginx listens on `*:80`.
    pub listen: Vec<Listen>,
    /// The names of all `server_name` directives.
    pub names: Vec<Located<String>>,
    /// Everything else.
    pub scope: Scope,
}

/// A `listen` directive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listen {
    /// `*`, an address (IPv6 in brackets), a host name, or `unix:` and a path.
    pub address: String,
    /// The port, 80 where none is given. None for a Unix socket or a range of ports.
    pub port: Option<u16>,
    /// Whether TLS is spoken there.
    pub ssl: bool,
    /// Whether this server answers for names that no server has.
    pub default_server: bool,
    /// Whether a balancer in front sends the PROXY protocol.
    pub proxy_protocol: bool,
    /// The line.
    pub line: u32,
}

/// What holds for a server, a location, or all servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scope {
    /// The paths of `ssl_certificate`. Several: one for each type of key.
    pub ssl_certificate: Vec<Located<String>>,
    /// The paths of `ssl_certificate_key`.
    pub ssl_certificate_key: Vec<Located<String>>,
    /// The words of `ssl_protocols`.
    pub ssl_protocols: Option<Located<Vec<String>>>,
    /// `proxy_pass`, scrubbed. In a server of a stream it is not in a location.
    pub proxy_pass: Option<Located<String>>,
    /// `proxy_set_header`. Given here at all, none is inherited from outside.
    pub proxy_set_header: Vec<Header>,
    /// `return`.
    pub returns: Vec<Return>,
    /// Other directives that hold no secret, by name, the arguments joined by blanks.
    pub directives: BTreeMap<String, Vec<Located<String>>>,
    /// The paths of `include` directives at this very level, as in [`Nginx::includes`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub includes: Vec<Located<String>>,
    /// `location` blocks.
    pub locations: Vec<Location>,
}

/// A header for the server behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The name as written.
    pub name: String,
    /// The value, if the header is one of those that say who asks for what, or if the value is a
    /// variable. Otherwise it may be a credential and is not here.
    pub value: Option<String>,
    /// The line.
    pub line: u32,
}

/// A `return` directive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Return {
    /// The status. 302 for a `return` with an address alone.
    pub code: Option<u16>,
    /// Where it redirects to, scrubbed.
    pub target: Option<String>,
    /// Whether it stands in an `if`.
    pub conditional: bool,
    /// The line.
    pub line: u32,
}

/// A `location` block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Location {
    /// `=`, `~`, `~*`, `^~`, or nothing.
    pub modifier: String,
    /// The path, the pattern or the `@name`.
    pub path: String,
    /// The line.
    pub line: u32,
    /// What it says.
    pub scope: Scope,
}

/// An `upstream` block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Upstream {
    /// The name that `proxy_pass` uses.
    pub name: String,
    /// The addresses of its servers.
    pub servers: Vec<Located<String>>,
    /// The line.
    pub line: u32,
}

/// An `include` directive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Include {
    /// The path or pattern. A relative one starts at the folder of nginx.conf.
    pub path: String,
    /// Where it stands.
    pub within: Within,
    /// The line.
    pub line: u32,
}

/// The block that an `include` stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Within {
    /// None, or `http`, `stream`, or any other that is not below.
    Outside,
    /// The server with this number in [`Nginx::servers`], or one of its locations.
    Server(usize),
    /// The upstream with this number in [`Nginx::upstreams`].
    Upstream(usize),
}

/// Directives that tell how a request is passed on and that hold no secret.
const HARMLESS: [&str; 34] = [
    "access_log",
    "allow",
    "chunked_transfer_encoding",
    "client_body_timeout",
    "client_max_body_size",
    "deny",
    "error_log",
    "http2",
    "keepalive_timeout",
    "port_in_redirect",
    "proxy_buffering",
    "proxy_cache",
    "proxy_connect_timeout",
    "proxy_http_version",
    "proxy_max_temp_file_size",
    "proxy_pass_request_headers",
    "proxy_read_timeout",
    "proxy_redirect",
    "proxy_request_buffering",
    "proxy_send_timeout",
    "proxy_ssl_name",
    "proxy_ssl_server_name",
    "proxy_ssl_trusted_certificate",
    "proxy_ssl_verify",
    "real_ip_header",
    "resolver",
    "server_tokens",
    "set_real_ip_from",
    "ssl",
    "ssl_client_certificate",
    "ssl_password_file",
    "ssl_trusted_certificate",
    "ssl_verify_client",
    "underscores_in_headers",
];

/// Headers whose value may be shown, besides all that begin with `X-Forwarded-`.
const HARMLESS_HEADERS: [&str; 7] = [
    "host",
    "x-real-ip",
    "upgrade",
    "connection",
    "accept-encoding",
    "docker-distribution-api-version",
    "x-gitlab-static-object-external-storage-path",
];

/// Reads one file, refusing what nginx would refuse for its syntax.
pub fn read(bytes: &[u8]) -> Result<Nginx, Malformed> {
    let mut nginx = Nginx::default();
    let mut outside = Scope::default();
    nginx.outer(&syntax::parse(bytes)?, false, &mut outside);
    nginx.outside = outside;
    Ok(nginx)
}

impl Nginx {
    /// The top of the file, or the content of `http` or `stream`.
    fn outer(&mut self, directives: &[Directive], stream: bool, outside: &mut Scope) {
        for directive in directives {
            match directive.name.as_str() {
                "http" => self.outer(&directive.block, false, outside),
                "stream" => self.outer(&directive.block, true, outside),
                "server" => self.server(directive, stream),
                "upstream" => self.upstream(directive),
                _ => self.directive(directive, Within::Outside, false, outside),
            }
        }
    }

    fn server(&mut self, server: &Directive, stream: bool) {
        let within = Within::Server(self.servers.len());
        let mut found = Server { line: server.line, stream, ..Server::default() };
        for directive in &server.block {
            match directive.name.as_str() {
                "listen" => found.listen.push(listen(directive)),
                "server_name" => found.names.extend(located(directive)),
                _ => self.directive(directive, within, false, &mut found.scope),
            }
        }
        self.servers.push(found);
    }

    fn upstream(&mut self, upstream: &Directive) {
        let within = Within::Upstream(self.upstreams.len());
        let mut found = Upstream { line: upstream.line, ..Upstream::default() };
        found.name = upstream.arguments.first().cloned().unwrap_or_default();
        for directive in &upstream.block {
            match directive.name.as_str() {
                "server" => found.servers.extend(located(directive).into_iter().take(1)),
                "include" => self.include(directive, within),
                _ => {}
            }
        }
        self.upstreams.push(found);
    }

    fn include(&mut self, include: &Directive, within: Within) {
        let path = include.arguments.first().cloned().unwrap_or_default();
        self.includes.push(Include { path, within, line: include.line });
    }

    /// A directive that may stand in a server or a location.
    fn directive(&mut self, directive: &Directive, within: Within, in_if: bool, scope: &mut Scope) {
        let joined = || Located::at(directive.line, scrub::value(&directive.arguments.join(" ")));
        match directive.name.as_str() {
            "include" => {
                scope.includes.extend(located(directive).into_iter().take(1));
                self.include(directive, within);
            }
            "if" | "limit_except" => {
                for inner in &directive.block {
                    self.directive(inner, within, true, scope);
                }
            }
            "location" => {
                let location = self.location(directive, within);
                scope.locations.push(location);
            }
            "ssl_certificate" => scope.ssl_certificate.push(joined()),
            "ssl_certificate_key" => scope.ssl_certificate_key.push(joined()),
            "ssl_protocols" => {
                let words = directive.arguments.iter().map(|word| scrub::value(word)).collect();
                scope.ssl_protocols = Some(Located::at(directive.line, words));
            }
            "proxy_pass" => {
                let url = directive.arguments.first().map(|url| scrub::url(url));
                scope.proxy_pass = url.map(|url| Located::at(directive.line, url));
            }
            "proxy_set_header" => scope.proxy_set_header.push(header(directive)),
            "return" => scope.returns.push(returned(directive, in_if)),
            // A file with secrets is none. Who writes the passphrase itself there is not told on.
            "ssl_password_file" if !joined().value.starts_with('/') => {}
            name if HARMLESS.contains(&name) => {
                scope.directives.entry(name.to_owned()).or_default().push(joined());
            }
            _ => {}
        }
    }

    fn location(&mut self, location: &Directive, within: Within) -> Location {
        let (modifier, path) = match location.arguments.as_slice() {
            [modifier, path, ..] => (modifier.clone(), path.clone()),
            // The modifier need not stand apart: `location ~^/api`.
            [path] => {
                let modifier =
                    ["=", "^~", "~*", "~"].into_iter().find(|mark| path.starts_with(mark));
                let modifier = modifier.unwrap_or_default();
                (modifier.to_owned(), path[modifier.len()..].to_owned())
            }
            [] => (String::new(), String::new()),
        };
        let path = scrub::value(&path);
        let mut found = Location { modifier, path, line: location.line, ..Location::default() };
        for directive in &location.block {
            self.directive(directive, within, false, &mut found.scope);
        }
        found
    }
}

fn located(directive: &Directive) -> Vec<Located<String>> {
    let word = |word: &String| Located::at(directive.line, scrub::value(word));
    directive.arguments.iter().map(word).collect()
}

fn listen(directive: &Directive) -> Listen {
    let (first, flags) = match directive.arguments.split_first() {
        Some((first, flags)) => (first.as_str(), flags),
        None => ("", [].as_slice()),
    };
    let has = |flag: &str| flags.iter().any(|word| word == flag);
    let (address, port) = address_and_port(first);
    Listen {
        address: address.to_owned(),
        port,
        ssl: has("ssl") || has("quic"),
        default_server: has("default_server") || has("default"),
        proxy_protocol: has("proxy_protocol"),
        line: directive.line,
    }
}

/// `443`, `*:443`, `[::]:443`, `[::]`, `localhost`, `unix:/path`.
fn address_and_port(text: &str) -> (&str, Option<u16>) {
    if text.starts_with("unix:") {
        return (text, None);
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return ("*", text.parse().ok());
    }
    match text.rsplit_once(':') {
        Some((address, port)) if !port.ends_with(']') => (address, port.parse().ok()),
        _ => (text, Some(80)),
    }
}

fn header(directive: &Directive) -> Header {
    let mut words = directive.arguments.iter();
    let name = words.next().cloned().unwrap_or_default();
    let value = words.next().map(String::as_str).unwrap_or_default();
    let lower = name.to_ascii_lowercase();
    let harmless = HARMLESS_HEADERS.contains(&lower.as_str()) || lower.starts_with("x-forwarded-");
    let value = (harmless || is_variable(value) || value.is_empty()).then(|| scrub::value(value));
    Header { name, value, line: directive.line }
}

fn is_variable(value: &str) -> bool {
    value.strip_prefix('$').is_some_and(|name| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_{}".contains(&byte))
    })
}

fn returned(directive: &Directive, conditional: bool) -> Return {
    let (code, target) = match directive.arguments.as_slice() {
        [only] => match only.parse() {
            Ok(code) => (Some(code), None),
            Err(_) => (Some(302), Some(only)),
        },
        [code, target, ..] => (code.parse().ok(), Some(target)),
        [] => (None, None),
    };
    // Anything else is the body of an answer.
    let is_address = |target: &&String| target.contains("://") || target.starts_with(['/', '$']);
    let target = target.filter(is_address).map(|target| scrub::url(target));
    Return { code, target, conditional, line: directive.line }
}
