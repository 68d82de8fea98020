//! What lets gldoctor in at the registry: a token from a login, or one that is signed here.
//!
//! Whatever the number of checks, there is one login in a run: all of them ask the same question.

use std::net::SocketAddr;

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};

use super::asking::{Asking, Heard, Subject};
use super::realm::Realm;
use crate::checks::Stop;
use crate::checks::path::Service;
use crate::checks::reach::{Reach, chains, reach};
use crate::checks::trust::voucher;
use crate::host::credentials::{CredentialsFor, Given};
use crate::host::network::{
    Asking as Ask, Login, PingReply, TokenAnswer, TokenFrom, TokenPing, TokenReply, TokenRequest,
};
use crate::host::{Host, Unknown};
use crate::install::tokens::{SERVICE, Signer};
use crate::install::{Endpoint, tokens};
use crate::trust::Der;

/// A token, and where it may be shown.
#[derive(Debug, Clone)]
pub(super) struct Pass {
    /// Where it comes from.
    pub(super) token: TokenFrom,
    /// The registry.
    pub(super) endpoint: Endpoint,
    /// One of its addresses.
    pub(super) address: SocketAddr,
}

impl Pass {
    /// Asks the registry for something harmless.
    pub(super) async fn ping(
        &self,
        host: &Host,
        asking: Ask,
        path: &str,
    ) -> Result<PingReply, Unknown> {
        let url = self.endpoint.url(path);
        let token = self.token.clone();
        host.ask(TokenPing { asking, url, address: self.address, token }).await
    }
}

/// A token that is signed here with GitLab's own key. `None` where GitLab's settings do not lie on
/// this host, or belong to another registry than the one that is examined.
///
/// It is sent to the address that the registry's own configuration names, or else to that which
/// GitLab's names; never to one that only a flag names.
pub(super) async fn minted(
    host: &Host,
    subject: &Subject,
    asking: &Asking,
) -> Result<Option<(Signer, Pass)>, Unknown> {
    if !subject.is_own {
        return Ok(None);
    }
    let Some(signer) = tokens::signer(host).await? else { return Ok(None) };
    let Some(key) = signer.key.as_ref().map(|key| key.value.clone()) else { return Ok(None) };
    let Some((endpoint, address)) = own_address(host, subject, asking).await? else {
        return Ok(None);
    };
    let token = TokenFrom::Minted {
        key,
        issuer: signer.issuer.as_ref().map(|issuer| issuer.value.clone()),
        service: SERVICE.to_owned(),
    };
    Ok(Some((signer, Pass { token, endpoint, address })))
}

async fn own_address(
    host: &Host,
    subject: &Subject,
    asking: &Asking,
) -> Result<Option<(Endpoint, SocketAddr)>, Unknown> {
    if let Some(internal) = &subject.internal {
        let endpoint = internal.value.server();
        if let Reach::Ways(ways) = reach(host, &endpoint, super::examined::PATH).await?
            && let Some(way) = ways.iter().find(|way| way.response().is_some())
        {
            return Ok(Some((endpoint, way.address)));
        }
    }
    Ok(match asking {
        Asking::Heard(all) => all.first().map(|it| (it.endpoint.clone(), it.address)),
        Asking::Silent | Asking::LeftOut(_) => None,
    })
}

/// What came of a login.
#[derive(Debug)]
pub(super) enum LoggedIn {
    /// There is nothing to log in with.
    NotWanted,
    /// GitLab's answer to this user.
    Answered(String, Box<TokenAnswer>),
}

/// Logs in at GitLab, once. Why not, where credentials were given and may not be sent, is an error:
/// a password goes to a server alone whose certificate somebody on this host vouches for.
pub(super) async fn login(
    host: &Host,
    subject: &Subject,
    realm: &Realm,
    address: SocketAddr,
) -> Result<LoggedIn, Stop> {
    let name = realm.url.host.clone();
    let Some(user) = user(host, &name).await? else { return Ok(LoggedIn::NotWanted) };
    if !user.named && !belongs(host, subject, &name).await? {
        return Err(stranger(&name, PASSWORD));
    }
    let registry = subject.external.as_ref().map_or(&realm.url, |it| &it.value);
    let login = Some(leave(host, registry, &realm.url, address, PASSWORD).await?);
    let realm_url = realm.url.to_string();
    let request = TokenRequest { realm: realm_url, address, service: realm.service.clone(), login };
    Ok(match host.ask(request).await? {
        TokenReply::Answered(answer) => LoggedIn::Answered(user.name, answer),
        TokenReply::Failed(failure) => {
            return Err(Stop::Unknown(Unknown::Unreadable(format!(
                "the login at {} broke off: {failure}",
                realm.endpoint()
            ))));
        }
    })
}

/// How messages call what a login sends.
const PASSWORD: &str = "password";

/// Whose secret there is for a host.
#[derive(Debug)]
pub(super) struct User {
    /// The user name.
    pub(super) name: String,
    /// Whether it was given for this very host.
    pub(super) named: bool,
    /// Whether the secret may open GitLab's API.
    pub(super) is_access_token: bool,
}

/// Whose secret there is for a host; `None` where no secret was given at all.
pub(super) async fn user(host: &Host, name: &str) -> Result<Option<User>, Unknown> {
    match host.ask(CredentialsFor::host(name)).await {
        // A recording of somebody who was not asked for any.
        Ok(Given::Nothing) | Err(Unknown::NotRecorded) => Ok(None),
        Ok(Given::ForOthers) => {
            Err(Unknown::Unreadable(format!("the file with credentials has no 'machine {name}'")))
        }
        Ok(Given::User { name, named, is_access_token }) => {
            Ok(Some(User { name, named, is_access_token }))
        }
        Err(unknown) => Err(unknown),
    }
}

/// Why a host that only the registry names gets no secret.
pub(super) fn stranger(name: &str, secret: &str) -> Stop {
    Stop::Unknown(Unknown::Unreadable(format!(
        "no {secret} was sent to {name}, to which the registry sends its clients: nothing here \
         says that it is GitLab (--url https://{name} does, or an entry 'machine {name}' in the \
         file)"
    )))
}

/// Why a server without TLS gets no secret.
pub(super) fn unencrypted(endpoint: &Endpoint, secret: &str) -> Stop {
    Stop::Unknown(Unknown::Unreadable(format!(
        "no {secret} was sent to {endpoint}: without TLS, everybody on the way could read it"
    )))
}

/// Leave to send a secret to a server: it speaks TLS, and somebody on this host vouches for its
/// certificate, by what is trusted for it or for the registry.
pub(super) async fn leave(
    host: &Host,
    registry: &Endpoint,
    endpoint: &Endpoint,
    address: SocketAddr,
    secret: &str,
) -> Result<Login, Stop> {
    let name = &endpoint.host;
    if !endpoint.https {
        return Err(unencrypted(endpoint, secret));
    }
    let chain = chain_at(host, endpoint, address).await?;
    let Some(certificate) = vouched(host, registry, endpoint, &chain).await? else {
        return Err(Stop::Unknown(Unknown::Unreadable(format!(
            "no {secret} was sent to {name}: no client on this host accepts its certificate (put \
             its CA into the system's store, or into /etc/docker/certs.d/{}/ca.crt)",
            registry.authority()
        ))));
    };
    Ok(Login { host: name.clone(), certificate })
}

/// Whether a host is the registry's or GitLab's, by what the administrator wrote.
pub(super) async fn belongs(host: &Host, subject: &Subject, name: &str) -> Result<bool, Unknown> {
    let registry = subject.external.as_ref().is_some_and(|it| it.value.host == name);
    let gitlab = subject.gitlab(host).await?.is_some_and(|it| it.value.host == name);
    Ok(registry || gitlab)
}

/// The token of the login, to be shown to the registry where clients reach it. `None` where the
/// registry does not answer there; that nothing vouches for it is an error.
pub(super) async fn from_login(
    host: &Host,
    subject: &Subject,
    asking: &Asking,
) -> Result<Option<Pass>, Stop> {
    let Asking::Heard(all) = asking else { return Ok(None) };
    let external = subject.external.as_ref().map(|it| it.value.server());
    let reached = |heard: &&Heard| external.as_ref() == Some(&heard.endpoint);
    let Some(heard) = all.iter().find(reached).filter(|it| it.endpoint.https) else {
        return Ok(None);
    };
    let chain = chain_at(host, &heard.endpoint, heard.address).await?;
    let certificate = vouched(host, &heard.endpoint, &heard.endpoint, &chain).await?;
    let certificate = certificate.ok_or_else(|| {
        Unknown::Unreadable(
            "it was not shown to the registry, whose certificate no client on this host accepts"
                .into(),
        )
    })?;
    let token = TokenFrom::Login { certificate };
    Ok(Some(Pass { token, endpoint: heard.endpoint.clone(), address: heard.address }))
}

/// The SHA-256 of a server's certificate, if somebody here vouches for it.
async fn vouched(
    host: &Host,
    registry: &Endpoint,
    endpoint: &Endpoint,
    chain: &[Der],
) -> Result<Option<String>, Stop> {
    let Some(leaf) = chain.first() else { return Ok(None) };
    let voucher = voucher(host, registry, endpoint, chain).await?;
    Ok(voucher.map(|_| HEXLOWER.encode(digest(&SHA256, leaf).as_ref())))
}

async fn chain_at(
    host: &Host,
    endpoint: &Endpoint,
    address: SocketAddr,
) -> Result<Vec<Der>, Unknown> {
    let all = chains(host, endpoint).await?;
    Ok(all.into_iter().find(|(at, _)| *at == address).map(|(_, chain)| chain).unwrap_or_default())
}
