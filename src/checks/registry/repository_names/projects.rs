//! The projects of GitLab, as its API names them.

use std::net::SocketAddr;

use super::{LONGEST, PROJECTS, SHOWN};
use crate::checks::reach::chains;
use crate::checks::registry::asking::Subject;
use crate::checks::registry::passes::{self, User};
use crate::checks::registry::realm::Realm;
use crate::checks::{Finding, Severity, Stop, Verdict, docs};
use crate::host::credentials::{CredentialsFor, Given};
use crate::host::files::{NameOddity, RepositoryNames, Sample};
use crate::host::network::{
    Body, OddProject, ProjectList, ProjectListing, Projects, Response, Rest,
};
use crate::host::{Host, Unknown};
use crate::install::{self, Endpoint, Source, tokens};
use crate::parse::image_name::{ImageNameOddity, of_project, refused_part};

/// What opens GitLab's API.
const TOKEN: &str = "access token";

/// How to let gldoctor ask.
const HOW: &str = "with an administrator's access token (scope read_api) as the password after \
                   --credentials, gldoctor asks GitLab instead";

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

/// The projects of a GitLab.
#[derive(Debug)]
pub(super) struct Listing {
    projects: Projects,
    gitlab: Endpoint,
    registry: Option<Endpoint>,
    /// Whose token it was.
    user: String,
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

impl Listing {
    /// Judges the paths; what the storage's own `names` tell already is left out.
    pub(super) fn judge(&self, names: Option<&RepositoryNames>, verdict: &mut Verdict) {
        for (oddity, sample) in &self.projects.odd {
            verdict.add(self.finding(*oddity, &left(*oddity, sample, names)));
        }
        if !verdict.findings.iter().any(|finding| finding.code == "name-too-long") {
            verdict.add(self.too_long());
        }
        if let Some(why) = self.rest() {
            verdict.untold(PROJECTS, Unknown::Unreadable(why));
        } else if !self.projects.is_admin && names.is_none() {
            let why = format!(
                "GitLab shows '{}' {} of them, and all to administrators alone (with Admin Mode, \
                 the token needs the scope admin_mode)",
                self.user, self.projects.count
            );
            verdict.untold(PROJECTS, Unknown::Denied(why));
        }
    }

    fn finding(&self, oddity: ImageNameOddity, sample: &Sample<OddProject>) -> Option<Finding> {
        if sample.count == 0 {
            return None;
        }
        let is_one = sample.count == 1;
        let noun = if is_one { "project" } else { "projects" };
        let (severity, code, what, advice) = words(oddity, is_one);
        let message = format!("{} {noun} {what}", sample.count);
        let mut finding = Finding::new(severity, code, self.gitlab.to_string(), message);
        for project in sample.first.iter().take(SHOWN) {
            finding = finding.seen("project", shown(project));
        }
        let more = sample.count.saturating_sub(SHOWN as u64);
        if more > 0 {
            finding = finding.seen("not shown", format!("{more} more"));
        }
        Some(finding.remedy::<String>(advice, []).docs(docs::REGISTRY_NAMES))
    }

    /// Clients count the registry's own name in.
    fn too_long(&self) -> Option<Finding> {
        let longest = self.projects.longest.as_ref().filter(|it| it.registry != Some(false))?;
        let authority = self.registry.as_ref()?.authority();
        let length = authority.len() + 1 + of_project(&longest.path).len();
        if length <= LONGEST {
            return None;
        }
        let message = format!(
            "a project's path has {length} characters with the registry's own name, and clients \
             take {LONGEST}: nothing can be pushed to its registry"
        );
        let finding = Finding::warning("path-too-long", self.gitlab.to_string(), message);
        Some(
            finding
                .seen("project", &longest.path)
                .seen("registry", authority)
                .remedy::<String>("Give the project, or a group above it, a shorter path.", [])
                .docs(docs::REGISTRY_NAMES),
        )
    }

    /// Why the list is not whole, if so.
    fn rest(&self) -> Option<String> {
        let count = self.projects.count;
        Some(match self.projects.rest.as_ref()? {
            Rest::TooMany => format!("there are more than the {count} that gldoctor asks for"),
            Rest::OutOfTime(seconds) => {
                format!("{count} of them came within {seconds} s (--timeout raises the limit)")
            }
            Rest::Failed(failure) => format!("after {count} of them: {failure}"),
            Rest::Status(status) => format!("after {count} of them GitLab answered {status}"),
            Rest::Unreadable => format!("after {count} of them came something else than a list"),
            Rest::Repeated => format!("after {count} of them the list began again"),
        })
    }
}

/// Severity, code, what is said after "1 project " or "3 projects ", and the advice.
fn words(
    oddity: ImageNameOddity,
    is_one: bool,
) -> (Severity, &'static str, &'static str, &'static str) {
    match oddity {
        ImageNameOddity::Refused => (
            Severity::Warning,
            "path-refused",
            if is_one {
                "has a path that cannot be an image name: nothing can be pushed to its registry \
                 (invalid reference format)"
            } else {
                "have paths that cannot be image names: nothing can be pushed to their registries \
                 (invalid reference format)"
            },
            "Give the project, or the group whose part of the path it is, another one of letters, \
             digits and single dots, dashes or underscores between them (Settings > General > \
             Advanced), or switch the project's container registry off.",
        ),
        ImageNameOddity::DoubleDash => (
            Severity::Notice,
            "double-dash",
            if is_one {
                "has several dashes in a row in its path: clients and the registry take it, \
                 although GitLab's guide lists it as a bad one"
            } else {
                "have several dashes in a row in their paths: clients and the registry take them, \
                 although GitLab's guide lists them as bad ones"
            },
            "There is nothing to mend. Other programs may refuse the name; if one does, rename \
             the project.",
        ),
    }
}

/// A path, and what is bad in it.
fn shown(project: &OddProject) -> String {
    let part = refused_part(&project.path);
    let part = part.map(|part| format!(", for '{part}'")).unwrap_or_default();
    format!("{}{part}", project.path)
}

/// What is left of the projects without those that have no registry, and those whose images the
/// storage has under an odd name, too.
fn left(
    oddity: ImageNameOddity,
    sample: &Sample<OddProject>,
    names: Option<&RepositoryNames>,
) -> Sample<OddProject> {
    let kinds: &[NameOddity] = match oddity {
        ImageNameOddity::Refused => &[NameOddity::Refused, NameOddity::Hidden],
        ImageNameOddity::DoubleDash => &[NameOddity::DoubleDash],
    };
    let stored = || kinds.iter().filter_map(|kind| names?.odd.get(kind)).flat_map(|it| &it.first);
    let is_told = |project: &OddProject| {
        let name = of_project(&project.path);
        stored().any(|repository| {
            repository
                .strip_prefix(&name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    let mut left = sample.clone();
    left.first.retain(|project| project.registry != Some(false) && !is_told(project));
    let gone = sample.first.len() - left.first.len();
    left.count = left.count.saturating_sub(gone as u64);
    left
}
