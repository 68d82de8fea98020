//! Does GitLab issue tokens, and does the registry accept them?

mod login;
mod refused;
mod trusted;

use futures::future::join;

use super::asking::{Asking, Subject};
use super::passes::{self, LoggedIn, Pass};
use super::realm::Realm;
use crate::checks::path::{self, Looked};
use crate::checks::reach::Reach;
use crate::checks::{Cause, Finding, Stop, Verdict, check};
use crate::host::network::{Asking as Ask, PingReply, Response};
use crate::host::{Host, Unknown};
use crate::install::{self, Endpoint};
use crate::parse::token::TokenFacts;
use refused::Refused;

check! {
    /// GitLab issues tokens for the registry, and the registry accepts them.
    ///
    /// ## Why it matters
    ///
    /// Docker asks the registry, is sent to GitLab, logs in there, and comes back with a token.
    /// When GitLab cannot be reached under that address, or the registry refuses its token because
    /// of another key, issuer, service or time, `docker login` says `unauthorized` and nothing else.
    ///
    /// ## What is looked at
    ///
    /// The realm to which the registry sends its clients: its name, every address, TLS, whether
    /// the Docker that accepts the registry accepts it too, and its answer to a request for a token
    /// as nobody. A healthy GitLab refuses that one with 403.
    ///
    /// Where GitLab's signing key can be read, gldoctor signs a token of its own with it, which
    /// permits nothing and lasts a minute, and shows it to the registry. With credentials
    /// (`--credentials FILE` as curl reads it, or `GLDOCTOR_USERNAME` and `GLDOCTOR_PASSWORD`) it
    /// logs in, once in a run and never again after a refusal, for GitLab shuts out whoever fails
    /// too often. A password is only sent over TLS, to a server whose certificate a client on this
    /// host accepts. No scope is asked for. Of a token its key ID, issuer, audience and times are
    /// kept; never the token, the password or the key.
    ///
    /// ## How to fix it
    ///
    /// Mend the address, the name or the certificate of the realm first. Where the registry
    /// refuses the token, the finding says which of key, issuer, service and clock it is:
    /// `gitlab-ctl reconfigure` writes matching ones on both sides, and the registry reads them
    /// only when it starts.
    "registry/token": "GitLab issues tokens and the registry accepts them"
}

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let subject = Subject::of(host).await?;
    // Where the registry does not answer, its realm is looked at in the same time.
    let (asking, ()) = join(subject.ask(host), look_ahead(host, &subject)).await;
    let asking = asking?;
    if let Asking::LeftOut(why) = asking {
        return Err(Stop::NotApplicable(why));
    }
    let Some(realm) = Realm::of(host, &subject, &asking).await? else {
        return Err(Stop::not_applicable(
            "the registry asks for no token of GitLab's (registry/auth says more)",
        ));
    };
    let mut verdict = Verdict::default();
    let looked = realm.look(host).await?;
    verdict.add(path::judge(&realm, &looked).map(|it| on_one_host(it, &looked, &subject, &realm)));
    let untrusted = trusted::judge(host, &subject, &realm, &looked).await;
    match untrusted {
        Ok(finding) => verdict.add(finding),
        Err(Stop::Unknown(why)) => verdict.untold("who trusts the realm", why),
        Err(Stop::NotApplicable(_)) => {}
    }
    let accepted = prove(host, &subject, &asking, &realm, &looked, &mut verdict).await?;
    if accepted || !verdict.findings.is_empty() || !verdict.untold.is_empty() {
        return Ok(verdict);
    }
    Err(Stop::not_applicable(match asking {
        Asking::Silent => "the registry does not answer (registry/api says why)",
        _ => {
            "GitLab answers; whether the registry accepts its tokens, only a login tells \
             (--credentials)"
        }
    }))
}

/// Looks at the realm that the files name: mostly the one that the registry will name.
async fn look_ahead(host: &Host, subject: &Subject) {
    if let Ok(Some(realm)) = Realm::of(host, subject, &Asking::Silent).await {
        let _ = realm.look(host).await;
    }
}

/// A dead name of both is one story, that of `registry/api`.
fn on_one_host(finding: Finding, looked: &Looked, subject: &Subject, realm: &Realm) -> Finding {
    let shared = subject.external.as_ref().is_some_and(|it| it.value.host == realm.url.host);
    if shared && matches!(looked.reached, Reach::NoName(_)) {
        let name = Cause::Name(realm.url.host.clone());
        return Finding { explains: Vec::new(), ..finding }.follows(name);
    }
    finding
}

/// Comes to the registry with every token that can be had; whether one is accepted.
async fn prove(
    host: &Host,
    subject: &Subject,
    asking: &Asking,
    realm: &Realm,
    looked: &Looked,
    verdict: &mut Verdict,
) -> Result<bool, Stop> {
    let (good, _) = looked.split(realm);
    let mut tried = Vec::new();
    if let Some(way) = good.first() {
        match passes::login(host, subject, realm, way.address).await {
            Ok(LoggedIn::NotWanted) => {}
            Ok(LoggedIn::Answered(user, answer)) => match login::judge(realm, &user, &answer) {
                Some(finding) => verdict.add([finding]),
                None => match passes::from_login(host, subject, asking).await {
                    Ok(Some(pass)) => tried.extend(show(host, pass, verdict).await),
                    Ok(None) => {}
                    Err(Stop::Unknown(why)) => verdict.untold("the token of the login", why),
                    Err(stop) => return Err(stop),
                },
            },
            Err(Stop::Unknown(why)) => verdict.untold("a login", why),
            Err(stop) => return Err(stop),
        }
    }
    let minted = passes::minted(host, subject, asking).await;
    if let Some((_, pass)) = verdict.told("GitLab's signing key", minted).flatten() {
        tried.extend(show(host, pass, verdict).await);
    }
    let accepted = tried.iter().any(|shown| shown.response.status == 200);
    // A login is what users do; a token of our own tells more only where there was none.
    if let Some(shown) = tried.iter().find(|shown| shown.response.status == 401) {
        let config = if subject.is_own { install::registry::config(host).await? } else { None };
        let refused = Refused::gather(host, shown, config, subject.keeper, accepted).await;
        verdict.add([refused.finding()]);
    }
    Ok(accepted)
}

/// A token that the registry has seen, and what it said.
struct Shown {
    endpoint: Endpoint,
    response: Response,
    token: TokenFacts,
}

async fn show(host: &Host, pass: Pass, verdict: &mut Verdict) -> Option<Shown> {
    let reply = pass.ping(host, Ask::Get, super::examined::PATH).await;
    match verdict.told("whether the registry accepts a token", reply)? {
        PingReply::Answered { response, token } => {
            Some(Shown { endpoint: pass.endpoint, response: *response, token })
        }
        // registry/api tells of it.
        PingReply::Failed(_) => None,
        PingReply::Unsigned(why) => {
            verdict.untold("a token signed with GitLab's key", Unknown::Unreadable(why));
            None
        }
    }
}
