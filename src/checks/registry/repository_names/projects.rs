//! The list of GitLab's projects, as its API tells it to whoever has an access token.

use std::net::SocketAddr;

use super::listing::Listing;
use crate::checks::Stop;
use crate::checks::reach::chains;
use crate::checks::registry::asking::Subject;
use crate::checks::registry::passes::{self, User};
use crate::checks::registry::realm::Realm;
use crate::host::credentials::{CredentialsFor, Given};
use crate::host::network::{Body, ProjectList, ProjectListing, Response};
use crate::host::{Host, Unknown};
use crate::install::{self, Endpoint, Source, tokens};

/// What opens GitLab's API.
const TOKEN: &str = "access token";

/// How to let gldoctor ask.
const HOW: &str = "with an administrator's access token (scopes read_api and read_registry) as the \
                   password after --credentials, gldoctor asks GitLab instead";

/// What came of asking GitLab.
#[derive(Debug)]
pub(super) enum Listed {
    /// Nothing was given that opens its API; what to give, as a clause.
    NotGiven(String),
    /// The network was left out, for this reason.
    LeftOut(String),
    /// Something was given, but there is no list.
    Untold(Unknown),
    /// A list.
    Projects(Box<Listing>),
}

/// A GitLab that may be asked.
struct Gitlab {
    endpoint: Endpoint,
    registry: Option<Endpoint>,
    /// Whether the administrator has named it, in a file or after a flag, rather than a registry.
    is_named: bool,
}

/// Asks GitLab for its projects, if there is something to ask with.
pub(super) async fn look(host: &Host) -> Listed {
    match ask(host).await {
        Ok(listed) => listed,
        Err(Stop::NotApplicable(why)) => Listed::LeftOut(why),
        Err(Stop::Unknown(why)) => Listed::Untold(why),
    }
}

async fn ask(host: &Host) -> Result<Listed, Stop> {
    if !is_anything_given(host).await {
        return Ok(Listed::NotGiven(HOW.to_owned()));
    }
    let Some(gitlab) = gitlab(host).await? else {
        let why = "the list of projects is not asked for: nothing here names GitLab (--url)";
        return Ok(Listed::NotGiven(why.to_owned()));
    };
    let Gitlab { endpoint, registry, is_named } = gitlab;
    let name = &endpoint.host;
    let user = match passes::user(host, name).await {
        Ok(Some(user)) => user,
        Ok(None) => return Ok(Listed::NotGiven(HOW.to_owned())),
        Err(why) => return Ok(Listed::NotGiven(format!("{why}; {HOW}"))),
    };
    if !user.is_access_token {
        let why = format!("what was given for {name} is no {TOKEN}; {HOW}");
        return Ok(Listed::NotGiven(why));
    }
    if !user.named && !is_named {
        return Err(passes::stranger(name, TOKEN));
    }
    let address = address(host, &endpoint).await?;
    let known = registry.as_ref().unwrap_or(&endpoint);
    let login = passes::leave(host, known, &endpoint, address, TOKEN).await?;
    let url = endpoint.to_string();
    Ok(match host.ask(ProjectList { gitlab: url, address, login }).await? {
        ProjectListing::Listed(projects) => {
            let user = user.name;
            Listed::Projects(Box::new(Listing { projects, gitlab: endpoint, registry, user }))
        }
        ProjectListing::NoList(response) => no_list(&endpoint, &user, &response),
        ProjectListing::Failed(failure) => Listed::Untold(Unknown::Unreadable(format!(
            "{endpoint} was asked for its projects: {failure}"
        ))),
    })
}

/// Whether there are any credentials. Whoever gives none has nothing more looked at.
async fn is_anything_given(host: &Host) -> bool {
    let gitlab = install::gitlab::external_url(host).await.ok().flatten();
    let known = match gitlab {
        Some(gitlab) => Some(gitlab),
        None => install::registry::external(host).await.ok().flatten(),
    };
    let Some(known) = known else { return false };
    !matches!(host.ask(CredentialsFor::host(known.value.host)).await, Ok(Given::Nothing) | Err(_))
}

/// The GitLab whose registry is examined.
async fn gitlab(host: &Host) -> Result<Option<Gitlab>, Stop> {
    let flagged = install::gitlab::external_url(host).await.ok().flatten();
    if let Some(url) = flagged.filter(|url| matches!(url.source, Source::Flag(_))) {
        let registry = install::registry::external(host).await?.map(|it| it.value);
        return Ok(Some(Gitlab { endpoint: url.value, registry, is_named: true }));
    }
    let subject = match Subject::of(host).await {
        Ok(subject) => subject,
        Err(Stop::NotApplicable(_)) => return Ok(None),
        Err(unknown) => return Err(unknown),
    };
    let registry = subject.external.as_ref().map(|it| it.value.clone());
    if let Some(url) = subject.gitlab(host).await? {
        return Ok(Some(Gitlab { endpoint: url.value, registry, is_named: true }));
    }
    let asking = subject.ask(host).await?;
    let Some(realm) = Realm::of(host, &subject, &asking).await? else { return Ok(None) };
    let Some(path) = realm.url.path.strip_suffix(tokens::PATH) else { return Ok(None) };
    let endpoint = Endpoint { path: path.to_owned(), ..realm.url.clone() };
    let is_named = passes::belongs(host, &subject, &endpoint.host).await?;
    Ok(Some(Gitlab { endpoint, registry, is_named }))
}

/// Where GitLab shows a certificate.
async fn address(host: &Host, gitlab: &Endpoint) -> Result<SocketAddr, Stop> {
    if !gitlab.https {
        return Err(passes::unencrypted(gitlab, TOKEN));
    }
    let shown = chains(host, gitlab).await?.into_iter().find(|(_, chain)| !chain.is_empty());
    let none = || {
        let why = format!("{gitlab} cannot be reached over TLS (runner/reach says why)");
        Unknown::Unreadable(why)
    };
    Ok(shown.map(|(address, _)| address).ok_or_else(none)?)
}

/// What an answer means that is no list.
fn no_list(gitlab: &Endpoint, user: &User, response: &Response) -> Listed {
    let name = &user.name;
    let said = |key: &str| match &response.body {
        Body::Json(document) => document[key].as_str(),
        _ => None,
    };
    if response.status == 403 && said("error") == Some("insufficient_scope") {
        let why = format!("the {TOKEN} of '{name}' lacks the scope read_api; {HOW}");
        return Listed::NotGiven(why);
    }
    let said = said("error_description").or(said("message")).or(said("error"));
    let said = said.map(|said| format!(" ({said})")).unwrap_or_default();
    let why = match (response.status, &response.body) {
        (401, _) => {
            let why = format!(
                "{gitlab} refuses the {TOKEN} of '{name}'{said}: it has to be a personal one with \
                 the scope read_api, and may have expired"
            );
            return Listed::Untold(Unknown::Denied(why));
        }
        (403, _) => {
            let why = format!("{gitlab} lets '{name}' list no projects{said}");
            return Listed::Untold(Unknown::Denied(why));
        }
        (429, _) => format!("{gitlab} answers no more requests from here for a while (429)"),
        (300..=399, _) => {
            let there = response.field("location").unwrap_or("another address");
            format!("{gitlab} sends on to {there} in place of a list of projects")
        }
        (200, Body::Html { title }) => {
            let title = title.as_deref().map(|title| format!(" ('{title}')")).unwrap_or_default();
            format!("{gitlab} answers with a web page{title} in place of a list of projects")
        }
        (200, Body::TooLarge) => format!("the list of projects of {gitlab} is far too large"),
        (200, Body::Unfinished) => format!("the list of projects of {gitlab} broke off"),
        (status, _) => {
            format!("{gitlab} answers {status}{said}, and not with a list of projects")
        }
    };
    Listed::Untold(Unknown::Unreadable(why))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::path::tests::response;

    #[test]
    fn each_answer_has_its_meaning() {
        let gitlab = Endpoint::parse("https://git.test").unwrap();
        let user = User { name: "root".to_owned(), named: true, is_access_token: true };
        let told = |status, fields: &[(&str, &str)], body| match no_list(
            &gitlab,
            &user,
            &response(status, fields, body),
        ) {
            Listed::NotGiven(why) => format!("not given: {why}"),
            Listed::Untold(why) => why.to_string(),
            other => panic!("{other:?}"),
        };
        let json = |key: &str, text: &str| Body::Json(json!({ key: text }));
        let html = Body::Html { title: Some("Sign in".to_owned()) };
        let location = [("location", "/users/sign_in")];
        for (told, words) in [
            (told(403, &[], json("error", "insufficient_scope")), "not given: the access token"),
            (told(401, &[], json("message", "401 Unauthorized")), "of 'root' (401 Unauthorized)"),
            (told(403, &[], json("message", "403 Forbidden")), "no projects (403 Forbidden)"),
            (told(429, &[], Body::Empty), "for a while (429)"),
            (told(302, &location, Body::Empty), "sends on to /users/sign_in"),
            (told(200, &[], html), "with a web page ('Sign in')"),
            (told(200, &[], Body::TooLarge), "far too large"),
            (told(200, &[], Body::Unfinished), "broke off"),
            (told(200, &[], Body::Json(json!({}))), "answers 200, and not"),
            (told(502, &[], Body::Empty), "answers 502, and not"),
        ] {
            assert!(told.contains(words), "{told}");
        }
    }
}
