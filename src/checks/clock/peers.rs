//! Check `clock/peers`: this clock, GitLab's and the registry's against each other.

mod judge;
mod skew;

use std::net::SocketAddr;

use futures::join;

use super::hearing::{hear, servers};
use super::vote::{Election, Limits, Voice};
use crate::checks::reach::{Reach, Stage, reach};
use crate::checks::{Stop, Verdict, check};
use crate::host::network::Response;
use crate::host::{Host, Unknown};
use crate::install::clock::{TimeServer, time_servers};
use crate::install::{self, Endpoint, Sourced};

use judge::{Known, Ntp, Role, judge};
use skew::{NoClock, Skew, is_passed_on};

check! {
    /// This host, GitLab and the registry agree on the time.
    ///
    /// ## Why it matters
    ///
    /// GitLab signs a login token and the registry judges its times by its own clock. A token is
    /// good for 5 minutes from 5 seconds before its issue, and the registry forgives 60 seconds: one
    /// whose clock is more than 65 seconds behind GitLab's refuses every login, and so does one that
    /// is more than 6 minutes ahead. The client says `unauthorized`, and never names the clock. An
    /// object store refuses requests that are 15 minutes off (`RequestTimeTooSkewed`). A host that
    /// is behind takes a new certificate for one that is not yet valid.
    ///
    /// ## What is looked at
    ///
    /// The `Date` of one HTTP response of GitLab, of the registry, and of an S3 endpoint that the
    /// registry's configuration names, against the time on this clock when each was asked for and
    /// when it came. A `Date` is in whole seconds, so a difference is known as an interval: a second
    /// wide, and the round trip. Nothing is concluded from less than its nearer end.
    ///
    /// A response that a cache kept (`Age` above 0, `X-Cache: HIT`) proves nothing, unless its `Date` lies
    /// in the future. Behind a proxy (`Via`) the clock may be the proxy's. Which of two clocks is
    /// wrong HTTP cannot tell; where a time server of this host answers too, it decides.
    ///
    /// ## How to fix it
    ///
    /// Let every host follow the same time server of your own site; `clock/sync` and `clock/offset`,
    /// run on each of them, tell which one does not. Then step the clock that is wrong:
    /// `sudo chronyc makestep`.
    "clock/peers": "this host, GitLab and the registry agree on the time"
}

/// A small file that GitLab gives to everybody, without a look into its database.
const GITLAB_PATH: &str = "/robots.txt";

/// The same request as that of `registry/api`.
const REGISTRY_PATH: &str = "/v2/";

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let mut verdict = Verdict::default();
    let (gitlab, registry, store) =
        join!(gitlab(host), registry(host), install::registry::s3_endpoint(host));
    let asked = [
        (Role::Gitlab, GITLAB_PATH, gitlab),
        (Role::Registry, REGISTRY_PATH, registry),
        (Role::ObjectStore, "/", store),
    ];
    let mut peers = Vec::new();
    for (role, path, endpoint) in asked {
        let what = format!("the address of {role}");
        peers.extend(verdict.told(&what, endpoint).flatten().map(|it| (role, path, it)));
    }
    // The store's clock matters to the registry only; it is no peer of a host without one.
    if !peers.iter().any(|(role, ..)| *role != Role::ObjectStore) && verdict.untold.is_empty() {
        return Err(Stop::not_applicable("no address of GitLab or of a registry is known here"));
    }
    let looks = peers.iter().map(|(_, path, it)| reach(host, &it.value, path));
    let reached = futures::future::join_all(looks).await;
    let mut known = Vec::new();
    for ((role, _, endpoint), reached) in peers.into_iter().zip(reached) {
        if let Err(Unknown::LeftOut(why)) = reached {
            return Err(Stop::NotApplicable(why));
        }
        match clock_of(role, endpoint, reached) {
            Ok(clock) => known.push(clock),
            Err((url, why)) => verdict.untold(format!("the clock of {role} ({url})"), why),
        }
    }
    let limits = Limits::of(host).await?;
    verdict.add(judge(&known, ntp(host, limits).await.as_ref(), limits));
    Ok(verdict)
}

/// GitLab's address; on a host with nothing but a registry the one to which that sends its clients.
async fn gitlab(host: &Host) -> Result<Option<Sourced<Endpoint>>, Unknown> {
    match install::gitlab::external_url(host).await? {
        Some(address) => Ok(Some(address)),
        None => install::registry::token_server(host).await,
    }
}

/// The registry's address; on a host with nothing but a registry the one on which it listens.
async fn registry(host: &Host) -> Result<Option<Sourced<Endpoint>>, Unknown> {
    if let Some(address) = install::registry::external(host).await? {
        return Ok(Some(address));
    }
    let is_alone = install::gitlab::external_url(host).await?.is_none()
        && install::registry::token_server(host).await?.is_some();
    let inner = install::registry::internal(host).await?.filter(|_| is_alone);
    let Some(inner) = inner else { return Ok(None) };
    let hidden = install::registry::out_of_reach(host, &inner.value).await.is_some();
    Ok((!hidden).then_some(inner))
}

/// The clock behind an endpoint; of several addresses the one that is farthest from this clock.
fn clock_of(
    role: Role,
    endpoint: Sourced<Endpoint>,
    reached: Result<Reach, Unknown>,
) -> Result<Known, (String, Unknown)> {
    let url = endpoint.value.to_string();
    let ways = match reached {
        Ok(Reach::Ways(ways)) => ways,
        Ok(Reach::NoName(_)) => {
            let why = format!("{} does not resolve", endpoint.value.host);
            return Err((url, Unknown::Unreadable(why)));
        }
        Err(why) => return Err((url, why)),
    };
    let mut reason = None;
    let mut farthest: Option<(SocketAddr, Skew, &Response)> = None;
    for way in &ways {
        let seen = match &way.stage {
            Stage::Answered(response) => seen(response).map(|skew| (way.address, skew, response)),
            Stage::Connection(failure) | Stage::Tls(failure) | Stage::Http(failure) => {
                Err(Unknown::Unreadable(format!("no response: {failure}")))
            }
        };
        match seen {
            Ok(seen) => {
                let is_farther = farthest.is_none_or(|(_, other, _)| {
                    seen.1.certain_ms().unsigned_abs() > other.certain_ms().unsigned_abs()
                });
                farthest = if is_farther { Some(seen) } else { farthest };
            }
            Err(why) => reason = reason.or(Some(why)),
        }
    }
    match farthest {
        Some((address, skew, response)) => Ok(Known {
            role,
            endpoint,
            address,
            skew,
            date: response.field("date").unwrap_or_default().to_owned(),
            passed_on: is_passed_on(response),
        }),
        None => Err((url, reason.unwrap_or(Unknown::NotRecorded))),
    }
}

fn seen(response: &Response) -> Result<Skew, Unknown> {
    let times = response.times.ok_or(Unknown::NotRecorded)?;
    Skew::of(response, times).map_err(|why| {
        Unknown::Unreadable(match why {
            NoClock::NoDate => "its response has no Date".to_owned(),
            NoClock::Cached(field) => {
                format!("a cache kept its response ({field}), so its Date is of another time")
            }
        })
    })
}

/// What this host's time servers say of its clock, where a majority of them does. That is evidence
/// beside the point of this check, so what cannot be told is left to `clock/offset`.
async fn ntp(host: &Host, limits: Limits) -> Option<Ntp> {
    let found = time_servers(host).await.ok()?;
    let named = found.servers.into_iter().filter(|server: &TimeServer| !server.is_default());
    let heard = hear(host, servers(named.collect())).await.ok()?;
    let voices: Vec<_> = heard.iter().flat_map(Voice::of).collect();
    let election = Election::of(&voices, limits)?;
    if election.contradiction().is_some() {
        return None;
    }
    let (voice, _) = election.verdict();
    let margin_us = i64::try_from(voice.margin_us()).unwrap_or(i64::MAX);
    let (least_us, most_us) =
        (voice.offset_us.saturating_sub(margin_us), voice.offset_us.saturating_add(margin_us));
    // A server that is later by so much: the same sense as that of the peers' clocks.
    let truth = Skew { least_ms: least_us.div_euclid(1000), most_ms: most_us.div_euclid(1000) + 1 };
    Some(Ntp { server: voice.server.name(), truth })
}
