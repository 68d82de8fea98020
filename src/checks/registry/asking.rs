//! What the registry says to somebody without a token.

use std::net::SocketAddr;

use futures::future::join;

use super::addresses::{NONE, UNIX};
use super::examined::{Examined, Side};
use super::keeper::Keeper;
use crate::checks::Stop;
use crate::checks::path::{self, Answerer};
use crate::checks::reach::Reach;
use crate::host::network::Response;
use crate::host::{Host, Unknown};
use crate::install::{self, Endpoint, Source, Sourced};

/// An answer of the registry on `/v2/`.
#[derive(Debug)]
pub(super) struct Heard {
    /// Where it was asked; without a path.
    pub(super) endpoint: Endpoint,
    /// Which of its addresses answered.
    pub(super) address: SocketAddr,
    /// The answer.
    pub(super) response: Response,
}

/// What came of asking the registry.
#[derive(Debug)]
pub(super) enum Asking {
    /// It answers, or something in front of it that refuses in its place: where clients ask it, or
    /// else where nginx does. At least one answer, by address.
    Heard(Vec<Heard>),
    /// It does not.
    Silent,
    /// The network was left out, for this reason.
    LeftOut(String),
}

/// The registry that is examined.
#[derive(Debug)]
pub(super) struct Subject {
    /// Where clients reach it, where that is known.
    pub(super) external: Option<Sourced<Endpoint>>,
    /// Where nginx reaches it, if it runs on this host and can be reached from here.
    pub(super) internal: Option<Sourced<Endpoint>>,
    /// Whether the files on this host are about this registry, rather than a flag of the user.
    pub(super) is_own: bool,
    /// What keeps it running.
    pub(super) keeper: Keeper,
}

impl Subject {
    /// The registry that flags name, or that is configured on this host.
    pub(super) async fn of(host: &Host) -> Result<Self, Stop> {
        let external = install::registry::external(host).await?;
        let flagged = external.as_ref().is_some_and(|it| matches!(it.source, Source::Flag(_)));
        let is_own = match &external {
            Some(url) if flagged => {
                let configured = install::registry::configured(host).await.ok().flatten();
                configured.is_some_and(|own| own.value.is_server(&url.value))
            }
            _ => true,
        };
        let internal = if is_own { install::registry::internal(host).await? } else { None };
        if external.is_none() && internal.is_none() {
            let unix = if is_own { install::registry::unix_socket(host).await? } else { None };
            return Err(Stop::not_applicable(if unix.is_some() { UNIX } else { NONE }));
        }
        let internal = match internal {
            Some(it) if install::registry::out_of_reach(host, &it.value).await.is_none() => {
                Some(it)
            }
            _ => None,
        };
        let keeper = if is_own { Keeper::of(host).await } else { Keeper::Elsewhere };
        Ok(Self { external, internal, is_own, keeper })
    }

    /// GitLab's address, as far as it is known to belong to this registry.
    pub(super) async fn gitlab(&self, host: &Host) -> Result<Option<Sourced<Endpoint>>, Unknown> {
        if self.is_own {
            return install::gitlab::configured_url(host).await;
        }
        let url = install::gitlab::external_url(host).await?;
        Ok(url.filter(|url| matches!(url.source, Source::Flag(_))))
    }

    /// Asks the registry for `/v2/` without a token.
    pub(super) async fn ask(&self, host: &Host) -> Result<Asking, Unknown> {
        // Both at once: where neither answers, that costs one timeout.
        let (outside, inside) = join(
            self.heard(host, self.external.as_ref(), Side::External(None)),
            self.heard(host, self.internal.as_ref(), Side::Internal),
        )
        .await;
        for heard in [outside, inside] {
            match heard {
                Err(Unknown::LeftOut(why)) => return Ok(Asking::LeftOut(why)),
                Ok(heard) if heard.is_empty() => {}
                heard => return Ok(Asking::Heard(heard?)),
            }
        }
        Ok(Asking::Silent)
    }

    /// The answers at one address of the registry, which may have none.
    async fn heard(
        &self,
        host: &Host,
        endpoint: Option<&Sourced<Endpoint>>,
        side: Side,
    ) -> Result<Vec<Heard>, Unknown> {
        let Some(endpoint) = endpoint else { return Ok(Vec::new()) };
        let examined = Examined::new(endpoint.clone(), side, self.keeper);
        let Reach::Ways(ways) = path::look(host, &examined).await?.reached else {
            return Ok(Vec::new());
        };
        let heard = ways.into_iter().filter_map(|way| {
            let response = way.response().filter(|it| is_about_access(it))?.clone();
            let endpoint = examined.endpoint.clone();
            Some(Heard { endpoint, address: way.address, response })
        });
        Ok(heard.collect())
    }
}

/// Whether an answer lets in, or says how to get in. Others `registry/api` tells of.
fn is_about_access(response: &Response) -> bool {
    matches!(
        Answerer::of(response),
        Answerer::Registry | Answerer::OtherChallenge(_) | Answerer::NoChallenge
    )
}
