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
        } else if names.is_none() {
            verdict.untold.extend(self.unseen().map(|why| (PROJECTS.to_owned(), why)));
        }
    }

    /// Why there may be more projects than GitLab has shown, if so.
    fn unseen(&self) -> Option<Unknown> {
        let (user, count) = (&self.user, self.projects.count);
        match self.projects.is_admin {
            Some(true) => None,
            Some(false) => Some(Unknown::Denied(format!(
                "GitLab shows '{user}' {count} of them; an administrator's access token shows all \
                 (under Admin Mode with the scope admin_mode)"
            ))),
            None => Some(Unknown::Unreadable(format!(
                "GitLab shows '{user}' {count} of them, and does not say whether these are all"
            ))),
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
            "Give the project, or the group or user whose part of the path it is, another one of \
             letters, digits and single dots, dashes or underscores between them (Settings > General > \
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
    let part = part.map(|part| format!(", because of '{part}'")).unwrap_or_default();
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

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::checks::path::tests::response;

    fn project(path: &str, registry: Option<bool>) -> OddProject {
        OddProject { path: path.to_owned(), id: 1, registry }
    }

    /// An administrator's list of nothing but refused paths.
    pub(in super::super) fn listing(paths: &[(&str, Option<bool>)]) -> Listing {
        let mut refused = Sample::default();
        for (path, registry) in paths {
            refused.count += 1;
            refused.first.insert(project(path, *registry));
        }
        Listing {
            projects: Projects {
                count: 100,
                odd: [(ImageNameOddity::Refused, refused)].into(),
                is_admin: Some(true),
                ..Projects::default()
            },
            gitlab: Endpoint::parse("https://git.test").unwrap(),
            registry: Some(Endpoint::parse("https://registry.test:5050").unwrap()),
            user: "root".to_owned(),
        }
    }

    fn judged(listing: &Listing, names: Option<&RepositoryNames>) -> Verdict {
        let mut verdict = Verdict::default();
        listing.judge(names, &mut verdict);
        verdict
    }

    #[test]
    fn a_project_counts_if_it_has_a_registry_and_the_storage_does_not_tell() {
        let paths = [("a/b-", Some(true)), ("A/c-", None), ("a/d-", Some(false)), ("a/e-", None)];
        let verdict = judged(&listing(&paths), None);
        let [finding] = &verdict.findings[..] else { panic!("{verdict:?}") };
        assert!(finding.message.starts_with("3 projects have"), "{}", finding.message);
        let shown: Vec<_> = finding.evidence.iter().map(|it| it.value.as_str()).collect();
        let why = |part: &str, path: &str| format!("{path}, because of '{part}'");
        assert_eq!(shown, [why("c-", "A/c-"), why("b-", "a/b-"), why("e-", "a/e-")]);
        // The storage knows one by its own name, one by that of an image in it, and another.
        let sample = |names: &[&str]| Sample {
            count: names.len() as u64,
            first: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        let odd = BTreeMap::from([
            (NameOddity::Refused, sample(&["a/b-", "a/c-/image", "a/e-other"])),
            (NameOddity::DoubleDash, sample(&["a/e-"])),
        ]);
        let names = RepositoryNames { odd, longest: String::new() };
        let verdict = judged(&listing(&paths), Some(&names));
        assert!(verdict.findings[0].message.starts_with("1 project has"), "{verdict:?}");
        assert_eq!(verdict.findings[0].evidence[0].value, why("e-", "a/e-"));
        assert_eq!(judged(&listing(&paths[2..3]), None).findings, []);
    }

    #[test]
    fn the_registrys_name_counts() {
        let own = "registry.test:5050/".len();
        let codes = |length: usize, registry| {
            let mut listing = listing(&[]);
            listing.projects.longest = Some(project(&"a".repeat(length), registry));
            let findings = judged(&listing, None).findings;
            findings.into_iter().map(|finding| finding.code).collect::<Vec<_>>()
        };
        assert!(codes(LONGEST - own, None).is_empty());
        assert_eq!(codes(LONGEST - own + 1, None), ["path-too-long"]);
        assert!(codes(LONGEST - own + 1, Some(false)).is_empty());
    }

    #[test]
    fn a_part_of_the_list_is_no_pass() {
        let mut part = listing(&[]);
        part.projects.rest = Some(Rest::TooMany);
        assert_eq!(judged(&part, None).untold.len(), 1);
        assert_eq!(judged(&part, Some(&RepositoryNames::default())).untold.len(), 1);
        // What the storage holds, nobody has to see in GitLab.
        for is_admin in [Some(false), None] {
            let mut part = listing(&[]);
            part.projects.is_admin = is_admin;
            assert_eq!(judged(&part, None).untold.len(), 1);
            assert_eq!(judged(&part, Some(&RepositoryNames::default())).untold, []);
        }
        assert_eq!(judged(&listing(&[]), None).untold, []);
    }

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
