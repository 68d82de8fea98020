//! Question: which proxies does the environment name?

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Machine, Question, Unknown};
use crate::parse::{network, scrub};

/// Asks for the proxy variables that gldoctor, and every client started beside it, inherits.
#[derive(Debug, Serialize)]
pub struct ProxyVariables;

/// The proxy variables, without user names and passwords.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxies {
    /// `HTTPS_PROXY` or `https_proxy`: which, and its value.
    pub https: Option<(String, String)>,
    /// `HTTP_PROXY` or `http_proxy`.
    pub http: Option<(String, String)>,
    /// `NO_PROXY` or `no_proxy`, split at its commas.
    pub exceptions: Vec<String>,
}

impl Question for ProxyVariables {
    type Answer = Proxies;

    const KIND: &'static str = "proxy-variables";

    fn label(&self) -> String {
        "environment (proxy variables)".to_owned()
    }

    async fn look(&self, machine: &Machine) -> Result<Proxies, Unknown> {
        if !machine.scope().is_running() {
            return Ok(Proxies::default());
        }
        let variable = |names: [&str; 2]| {
            names.into_iter().find_map(|name| {
                let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
                Some((name.to_owned(), scrub::url(&value)))
            })
        };
        let exceptions = variable(["NO_PROXY", "no_proxy"]).map(|(_, list)| list);
        Ok(Proxies {
            https: variable(["HTTPS_PROXY", "https_proxy"]),
            http: variable(["HTTP_PROXY", "http_proxy"]),
            exceptions: exceptions
                .unwrap_or_default()
                .split(',')
                .map(|it| it.trim().to_owned())
                .filter(|it| !it.is_empty())
                .collect(),
        })
    }
}

impl Proxies {
    /// The variable and the proxy that a Go client would use for this host, if any.
    pub fn for_url(&self, https: bool, host: &str) -> Option<(&str, &str)> {
        let (name, proxy) = if https { self.https.as_ref()? } else { self.http.as_ref()? };
        (!self.excepts(host)).then_some((name.as_str(), proxy.as_str()))
    }

    /// As golang.org/x/net/http/httpproxy reads `NO_PROXY`: loopback never goes through a proxy; a
    /// name covers itself and everything below it, one with a leading dot only what lies below.
    fn excepts(&self, host: &str) -> bool {
        let address: Option<IpAddr> = host.parse().ok();
        if host == "localhost" || address.is_some_and(|it| it.is_loopback()) {
            return true;
        }
        self.exceptions.iter().any(|exception| covers(exception, host, address))
    }
}

fn covers(exception: &str, host: &str, address: Option<IpAddr>) -> bool {
    let exception = exception.to_ascii_lowercase();
    if exception == "*" {
        return true;
    }
    if let Some(address) = address {
        return exception.parse() == Ok(address) || network::contains(&exception, address);
    }
    // A port in the exception narrows it to that port; the port asked for is not known here.
    let name = exception.rsplit_once(':').map_or(exception.as_str(), |(name, _)| name);
    let name = name.trim_start_matches('*');
    let host = host.to_ascii_lowercase();
    match name.strip_prefix('.') {
        Some(domain) => host.ends_with(&format!(".{domain}")),
        None => host == name || host.ends_with(&format!(".{name}")),
    }
}

#[test]
fn exceptions_are_read_as_go_reads_them() {
    let proxies = |list: &str| Proxies {
        https: Some(("HTTPS_PROXY".to_owned(), "proxy:3128".to_owned())),
        http: None,
        exceptions: list.split(',').map(str::to_owned).collect(),
    };
    let through = |list, host| proxies(list).for_url(true, host).is_some();
    assert!(through("other.test", "git.example.test"));
    assert!(!through("example.test", "git.example.test"));
    assert!(!through(".example.test", "git.example.test"));
    assert!(through(".example.test", "example.test"));
    assert!(!through("*.example.test", "git.example.test"));
    assert!(!through("*", "git.example.test"));
    assert!(!through("10.0.0.0/8", "10.1.2.3") && through("10.0.0.0/8", "11.1.2.3"));
    assert!(!through("x", "localhost") && !through("x", "127.0.0.1"));
    assert!(proxies("x").for_url(false, "git.example.test").is_none());
}
