//! Is the registry's debug server healthy, and does nobody else reach it?

use std::net::{IpAddr, SocketAddr};

use super::debug_report::{Debug, HEALTH, Profiles, health};
use super::keeper::Keeper;
use crate::checks::reach::reach;
use crate::checks::{Stop, Verdict, check};
use crate::host::network::{Connect, Connected, HttpGet, HttpReply, Resolve};
use crate::host::version::{RegistryVersion, major};
use crate::host::{Host, Unknown};
use crate::install::registry::Config;
use crate::install::{self, Endpoint, Source, Sourced};
use crate::parse::setting::Scalar;

check! {
    /// The registry's debug server reports health, and only to this host.
    ///
    /// ## Why it matters
    ///
    /// The debug server knows why the registry is unhealthy: while it reports a failing component,
    /// the registry answers every request with 503. It also hands out profiles of the registry's
    /// memory and the headers of its notification endpoints, secrets included, to whoever can
    /// reach its port. It knows no password.
    ///
    /// ## What is looked at
    ///
    /// `http.debug.addr` in the registry's configuration, one `GET /debug/health` at that address,
    /// and one at the address under which users reach the registry. From another computer (with
    /// `--registry-url`) the documented port 5001 is tried there. Nothing else is ever fetched.
    ///
    /// ## How to fix it
    ///
    /// Set `registry['debug_addr'] = "localhost:5001"` in `/etc/gitlab/gitlab.rb` and run
    /// `gitlab-ctl reconfigure`. Mend the component that the report names, usually the storage.
    "registry/debug-server": "the debug server is healthy and private"
}

/// The port that the documentation gives the debug server.
const DOCUMENTED_PORT: u16 = 5001;

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let config = install::registry::config(host).await?;
    let Some(address) = install::registry::debug_address(host).await? else {
        return from_another_computer(host, config.is_none()).await;
    };
    let debug = Debug { address, keeper: Keeper::of(host).await, registry: registry(host).await };
    let Some(listening) = Endpoint::listening(&debug.address.value) else {
        return Ok(Verdict { findings: vec![debug.unreadable()], ..Verdict::default() });
    };
    if let Some(registry) = install::registry::listening(host).await?
        && Endpoint::listening(&registry.value).is_some_and(|it| is_same_socket(&it, &listening))
    {
        let taken = debug.address_taken(&registry);
        return Ok(Verdict { findings: vec![taken], ..Verdict::default() });
    }
    let mut verdict = Verdict::default();
    let version = verdict.told("version of the registry", host.ask(RegistryVersion).await);
    let profiles = profiles(config.as_ref(), version.flatten().as_deref());
    let private = verdict.told("who can reach it", is_private(host, &listening.host).await);
    if private == Some(false) {
        verdict.add([debug.bound_widely(&listening.host, profiles)]);
    }
    let near = Endpoint {
        host: install::registry::reachable_from_here(&listening.host),
        https: config.as_ref().is_some_and(speaks_tls),
        ..listening.clone()
    };
    let health = match install::registry::out_of_reach(host, &near).await {
        Some(why) => Err(Unknown::LeftOut(why)),
        None => reach(host, &near, HEALTH).await,
    };
    match health {
        // What the file says is judged all the same; if that is fine, nothing has been seen of
        // the server itself, so the check does not pass.
        Err(Unknown::LeftOut(why)) if verdict.findings.is_empty() => {
            return Err(Stop::NotApplicable(why));
        }
        health => {
            let reached = verdict.told("health report", health);
            verdict.add(reached.and_then(|reached| debug.unhealthy(&near, &reached)));
        }
    }
    // Listening on every interface has been told already, with the same mend.
    if private != Some(false) {
        let outside = reached_from_outside(host, near.https, listening.port).await;
        let outside = verdict.told("the port seen from outside", outside).flatten();
        verdict.add(outside.map(|(url, address)| debug.reachable(url, address)));
    }
    Ok(verdict)
}

/// The registry's own address as `host:port`, which this server speaks for.
async fn registry(host: &Host) -> Option<String> {
    let internal = install::registry::internal(host).await.ok().flatten();
    internal.map(|endpoint| endpoint.value.socket())
}

/// Without a registry here nothing is known of its debug server, but a public one is seen.
async fn from_another_computer(host: &Host, is_elsewhere: bool) -> Result<Verdict, Stop> {
    let here = "no debug server is configured";
    if !is_elsewhere {
        return Err(Stop::not_applicable(here));
    }
    let external = install::registry::external(host).await?;
    let Some(external) = external.filter(|it| matches!(it.source, Source::Flag(_))) else {
        return Err(Stop::not_applicable(here));
    };
    let socket = Endpoint { port: DOCUMENTED_PORT, ..external.value.clone() }.socket();
    match reached_from_outside(host, false, DOCUMENTED_PORT).await? {
        Some((url, address)) => {
            let address_text = Sourced { value: socket, source: external.source };
            let debug = Debug { address: address_text, keeper: Keeper::Elsewhere, registry: None };
            Ok(Verdict { findings: vec![debug.reachable(url, address)], ..Verdict::default() })
        }
        None => Err(Stop::NotApplicable(format!("{here} here, and none answers at {socket}"))),
    }
}

/// Whether no two servers can listen at both.
fn is_same_socket(registry: &Endpoint, debug: &Endpoint) -> bool {
    let is_every = |host: &str| matches!(host, "" | "*" | "0.0.0.0" | "::");
    let told =
        |host: &str| if host == "localhost" { "127.0.0.1".to_owned() } else { host.to_owned() };
    registry.port == debug.port
        && (told(&registry.host) == told(&debug.host)
            || is_every(&registry.host)
            || is_every(&debug.host))
}

/// Whether only this host can connect to what listens on `host`.
async fn is_private(host: &Host, listening: &str) -> Result<bool, Unknown> {
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    if let Ok(address) = listening.parse() {
        return Ok(is_loopback(address));
    }
    match listening {
        "localhost" => Ok(true),
        "" | "*" => Ok(false),
        name => {
            // A name that leads nowhere is told where the server is asked for its health.
            let addresses = install::names::addresses_of(host, name).await?;
            Ok(addresses.into_keys().all(is_loopback))
        }
    }
}

/// Distribution shows them always, GitLab's registry from 4.0 on only if it is told to.
fn profiles(config: Option<&Config>, version: Option<&str>) -> Profiles {
    match (config, version.and_then(major)) {
        (Some(config), _) if !config.generated => Profiles::Shown,
        (_, Some(0..4)) => Profiles::Shown,
        (Some(config), Some(_)) => {
            let told = config.yml.http.debug_pprof_enabled.as_ref();
            let shown = told.and_then(|it| it.value.as_bool()) == Some(true);
            if shown { Profiles::Shown } else { Profiles::Hidden }
        }
        (None, Some(4_u32..)) => Profiles::Hidden,
        (_, None) => Profiles::Perhaps,
    }
}

fn speaks_tls(config: &Config) -> bool {
    let told = config.yml.http.debug_tls_enabled.as_ref();
    told.map(|it| &it.value).and_then(Scalar::as_bool) == Some(true)
}

/// Whether the debug port answers at the address that users know, as a published container port
/// or a forwarding rule makes it: the URL and the address.
async fn reached_from_outside(
    host: &Host,
    https: bool,
    port: u16,
) -> Result<Option<(String, SocketAddr)>, Unknown> {
    let Some(external) = install::registry::external(host).await? else { return Ok(None) };
    let host_name = external.value.host;
    let resolved = host.ask(Resolve { host: host_name.clone() }).await?;
    let url = Endpoint { https, host: host_name, port, path: String::new() }.url(HEALTH);
    let addresses: Vec<_> =
        resolved.addresses().filter(|address| !address.to_canonical().is_loopback()).collect();
    let looks = addresses.into_iter().map(async |address| {
        let address = SocketAddr::new(address, port);
        if host.ask(Connect { address }).await? != Connected::Accepted {
            return Ok(None);
        }
        Ok(match host.ask(HttpGet::new(&url, address)).await? {
            HttpReply::Answered(response) => health(&response).map(|_| address),
            HttpReply::Failed(_) => None,
        })
    });
    let found = futures::future::try_join_all(looks).await?.into_iter().flatten().next();
    Ok(found.map(|address| (url, address)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(generated: bool, pprof: &str) -> Config {
        let yml =
            format!("http: {{debug: {{addr: 'localhost:5001', pprof: {{enabled: {pprof}}}}}}}");
        let yml = crate::parse::registry_yml::read(yml.as_bytes()).unwrap();
        Config { path: "/config.yml".into(), yml, generated }
    }

    #[test]
    fn profiles_depend_on_the_version_and_on_the_setting() {
        let of = |config: &Config, version| profiles(Some(config), version);
        let (package, own) = (config(true, "false"), config(false, "false"));
        assert_eq!(of(&package, Some("v3.92.0-gitlab")), Profiles::Shown);
        assert_eq!(of(&package, Some("v4.19.0-gitlab")), Profiles::Hidden);
        assert_eq!(of(&config(true, "true"), Some("v4.19.0-gitlab")), Profiles::Shown);
        assert_eq!(of(&package, None), Profiles::Perhaps);
        assert_eq!(of(&own, None), Profiles::Shown);
        assert_eq!(profiles(None, None), Profiles::Perhaps);
    }

    #[test]
    fn two_servers_need_two_sockets() {
        let same = |one: &str, other: &str| {
            let listening = |address| Endpoint::listening(address).unwrap();
            is_same_socket(&listening(one), &listening(other))
        };
        for other in ["127.0.0.1:5000", "localhost:5000", ":5000", "0.0.0.0:5000", "[::]:5000"] {
            assert!(same("127.0.0.1:5000", other), "{other}");
        }
        for other in ["127.0.0.1:5001", "127.0.0.2:5000", "[::1]:5000"] {
            assert!(!same("127.0.0.1:5000", other), "{other}");
        }
    }

    #[tokio::test]
    async fn only_loopback_is_private() {
        let nobody = Host::recorded(<_>::default());
        for private in ["localhost", "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(is_private(&nobody, private).await, Ok(true), "{private}");
        }
        for public in ["", "*", "0.0.0.0", "::", "10.0.0.5"] {
            assert_eq!(is_private(&nobody, public).await, Ok(false), "{public}");
        }
        assert!(is_private(&nobody, "registry.test").await.is_err());
    }
}
