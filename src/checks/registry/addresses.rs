//! Which addresses of the registry are examined: the one of users, its own, and the one that GitLab
//! asks.

use super::examined::{Examined, Side};
use super::keeper::Keeper;
use crate::checks::{Cause, Finding, Stop, Verdict, docs};
use crate::host::Host;
use crate::install::{self, Endpoint, Source, Sourced};

/// Why nothing is asked.
pub(super) const NONE: &str = "no registry is configured on this host";
pub(super) const UNIX: &str = "the registry listens on a Unix socket alone, which is not asked";

/// The addresses to be examined; what is wrong with an address as it is written is in the verdict.
pub(super) async fn addresses(host: &Host, verdict: &mut Verdict) -> Result<Vec<Examined>, Stop> {
    let external = install::registry::external(host).await;
    let external = verdict.told("the registry's address for users", external).flatten();
    let listening = install::registry::listening(host).await;
    let listening = verdict.told("the registry's own address", listening).flatten();
    let internal = install::registry::internal(host).await.ok().flatten();
    let api = install::registry::api_url(host).await;
    let api = verdict.told("the address at which GitLab asks the registry", api).flatten();
    let unix = install::registry::unix_socket(host).await.ok().flatten();
    if external.is_none() && listening.is_none() && api.is_none() && verdict.untold.is_empty() {
        return Err(Stop::not_applicable(if unix.is_some() { UNIX } else { NONE }));
    }
    let keeper = Keeper::of(host).await;
    let unreadable = listening.as_ref().filter(|_| internal.is_none());
    verdict.add(unreadable.map(|address| unheard(address, keeper)));

    // A flag may name the registry of another host, which this host's own does not stand behind.
    let is_own = external.as_ref().is_some_and(|it| !matches!(it.source, Source::Flag(_)));
    let own = internal.as_ref().map(|inner| inner.value.socket());
    let behind = own.or_else(|| listening.map(|address| address.value)).or(unix);
    let same = |a: &Endpoint, other: Option<&Sourced<Endpoint>>| {
        other.is_some_and(|other| is_same(a, &other.value))
    };
    let api = api
        .filter(|api| !same(&api.value, internal.as_ref()) && !same(&api.value, external.as_ref()));
    let (internal, hidden) = within_reach(host, internal).await;
    let (api, api_hidden) = within_reach(host, api).await;
    let why = hidden.or(api_hidden).filter(|_| verdict.untold.is_empty());
    if let Some(why) = why.filter(|_| external.is_none() && internal.is_none() && api.is_none()) {
        return Err(Stop::NotApplicable(why));
    }
    let sides = [
        (external, Side::External(behind.clone().filter(|_| is_own))),
        (internal, Side::Internal),
        (api, Side::Api(behind)),
    ];
    let examined = sides.into_iter().filter_map(|(endpoint, side)| {
        let endpoint = endpoint?;
        let is_remote = matches!(side, Side::Api(_)) && !endpoint.value.is_loopback();
        let keeper = if is_remote { Keeper::Elsewhere } else { keeper };
        Some(Examined::new(endpoint, side, keeper))
    });
    Ok(examined.collect())
}

/// An address, unless nobody can reach it from here; then why.
async fn within_reach(
    host: &Host,
    endpoint: Option<Sourced<Endpoint>>,
) -> (Option<Sourced<Endpoint>>, Option<String>) {
    let Some(endpoint) = endpoint else { return (None, None) };
    match install::registry::out_of_reach(host, &endpoint.value).await {
        Some(why) => (None, Some(why)),
        None => (Some(endpoint), None),
    }
}

/// Whether two addresses are one server. `localhost` is as good as `127.0.0.1`.
fn is_same(a: &Endpoint, b: &Endpoint) -> bool {
    let alike = (a.https, a.port) == (b.https, b.port);
    a.is_server(b) || (alike && a.is_loopback() && b.is_loopback())
}

/// The registry is told to listen where nobody can find it.
fn unheard(address: &Sourced<String>, keeper: Keeper) -> Finding {
    let written = &address.value;
    let message = match written.rsplit_once(':') {
        Some((_, "")) => {
            format!("'{written}' names no port: the registry takes another one at each start")
        }
        Some((_, port)) if !written.ends_with(']') => {
            format!("'{written}' has '{port}' for a port: the registry does not listen there")
        }
        _ => format!("'{written}' names no port: the registry does not start"),
    };
    let finding = Finding::error("address-unreadable", written, message)
        .evidence(address.evidence("http.addr"))
        .explains(Cause::Backend(written.clone()))
        .docs(docs::REGISTRY);
    keeper.configure(
        finding,
        "give the registry an address and a port",
        "registry['registry_http_addr'] = \"127.0.0.1:5000\"",
        "http.addr: 127.0.0.1:5000",
    )
}

#[test]
fn localhost_is_one_server_under_both_names() {
    let read = |url| Endpoint::parse(url).unwrap();
    let inner = read("http://127.0.0.1:5000");
    assert!(is_same(&read("http://localhost:5000/"), &inner));
    assert!(!is_same(&read("http://localhost:5005"), &inner));
    assert!(!is_same(&read("https://localhost:5000"), &inner));
    assert!(!is_same(&read("http://10.0.0.7:5000"), &inner));
}

#[test]
fn what_is_wrong_with_an_address_is_told() {
    let message = |address: &str| {
        let address = Sourced::default(address.to_owned(), "a test");
        unheard(&address, Keeper::Package).message
    };
    assert_eq!(message("127.0.0.1"), "'127.0.0.1' names no port: the registry does not start");
    assert!(message("[::1]").contains("names no port: the registry does not start"));
    assert!(message("localhost:").contains("another one at each start"));
    assert!(message(":99999").contains("has '99999' for a port"));
}
