//! Question: which projects does GitLab know whose paths matter to the registry?
//!
//! GitLab's API is asked with the administrator's own access token: the list in its shortest form,
//! page after page, and a few projects by themselves. Nothing is changed. The token goes to one
//! server alone, whose certificate was judged before, and no more once that has refused it. No
//! address that comes back is ever followed: the next page is asked for by the last project's ID.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use reqwest::Url;
use reqwest::header::HeaderValue;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::http::{Peer, Session};
use super::pinned::Pinned;
use super::response::{content_within, head};
use super::{Body, Failure, Login, Response, in_seconds, sealed};
use crate::host::files::Sample;
use crate::host::{Machine, Question, Unknown};
use crate::parse::access_token::opens_api;
use crate::parse::image_name::{ImageNameOddity, oddity, of_project};
use crate::parse::netrc::Secret;

/// As many projects a page as GitLab gives at most.
const PAGE: &str = "100";

/// As many pages as are asked for: 20,000 projects.
const MAX_PAGES: usize = 200;

/// As much of a page as is read; 100 projects with long descriptions have half a megabyte.
const MAX_BODY: usize = 4 << 20;

/// As much of a path as is kept; GitLab's have at most 255 characters or so.
const MAX_PATH: usize = 600;

/// As many projects as are asked about by themselves.
const DETAILED: usize = 20;

/// From this length on, a path may be too long together with the registry's own name.
const LONG: usize = 150;

/// Asks GitLab for its projects. That happens once in a run.
#[derive(Debug, Serialize)]
pub struct ProjectList {
    /// GitLab's URL: `https`, without user information, query and a slash at its end.
    pub gitlab: String,
    /// Where to connect, whatever the name in the URL resolves to.
    pub address: SocketAddr,
    /// Whose access token is sent, and to whom alone.
    pub login: Login,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProjectListing {
    /// A list, or the beginning of one.
    Listed(Projects),
    /// An HTTP response that is no list; of a JSON body only its errors.
    NoList(Box<Response>),
    /// No response; how far it came.
    Failed(Failure),
}

/// What the active projects are called, as far as it matters for images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Projects {
    /// All that were listed.
    pub count: u64,
    /// Those whose images would have an odd name, by what is odd about it.
    pub odd: BTreeMap<ImageNameOddity, Sample<OddProject>>,
    /// The one with the longest path, if that is long at all; of equally long ones the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest: Option<OddProject>,
    /// Why the list ends before its end, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<Rest>,
    /// Whether GitLab treats the token's owner as an administrator, who sees every project; `None`
    /// where that was not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_admin: Option<bool>,
}

/// A project whose path matters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OddProject {
    /// Its path with all groups, as it is written in GitLab.
    pub path: String,
    /// Its number in GitLab.
    pub id: u64,
    /// Whether it has a container registry, as far as that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<bool>,
}

/// Why nothing more of the list is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rest {
    /// There are more than gldoctor asks for.
    TooMany,
    /// The time for this look was over, in seconds.
    OutOfTime(u64),
    /// A later page did not come.
    Failed(Failure),
    /// A later page was answered with another status.
    Status(u16),
    /// A later page was no list.
    Unreadable,
    /// GitLab, or what answers in its place, begins again where it was before.
    Repeated,
}

impl Question for ProjectList {
    type Answer = ProjectListing;

    const KIND: &'static str = "projects";

    fn label(&self) -> String {
        format!("projects {} at {}", self.gitlab, self.address)
    }

    async fn look(&self, machine: &Machine) -> Result<ProjectListing, Unknown> {
        let _permit = machine.network().await?;
        let unreadable = |why: String| Err(Unknown::Unreadable(why));
        let base = match Url::parse(&self.gitlab) {
            Ok(url) if url.scheme() == "https" => self.gitlab.trim_end_matches('/'),
            _ => return unreadable("an access token is never sent without TLS".to_owned()),
        };
        let given = machine.credentials().login(&self.login.host);
        let Some((_, token)) = given.filter(|(_, secret)| opens_api(secret.reveal())) else {
            return unreadable(format!("no access token for {}", self.login.host));
        };
        if !machine.listing().begin() {
            return unreadable("gldoctor asks for projects once in a run, and has done so".into());
        }
        let verifier = Pinned::on(&self.login.certificate);
        let peer = Peer { url: base, address: self.address, verifier };
        let deadline = machine.stage();
        let session = peer.open(deadline)?;
        Api { session, base, token, started: Instant::now(), deadline }.list().await
    }
}

/// GitLab's API, for as long as this look lasts.
struct Api<'a> {
    session: Session,
    base: &'a str,
    token: &'a Secret,
    started: Instant,
    deadline: Duration,
}

/// A project in the list. All else in there is passed over.
#[derive(Deserialize)]
struct Row {
    id: u64,
    path_with_namespace: String,
}

/// A project by itself. It holds secrets, which are passed over like all else.
#[derive(Deserialize)]
struct Details {
    #[serde(rename = "container_registry_access_level")]
    access_level: Option<String>,
    #[serde(rename = "container_registry_enabled")]
    is_enabled: Option<bool>,
    #[serde(rename = "container_registry_image_prefix")]
    image_prefix: Option<String>,
}

/// What an administrator alone may see.
#[derive(Deserialize)]
struct Statistics {}

/// What an answer is, if it is not what was asked for.
enum Other {
    Response(Response),
    Failed(Failure),
}

impl Other {
    /// Whether nothing more is to be asked for.
    fn is_refusal(&self) -> bool {
        match self {
            Self::Response(response) => matches!(response.status, 401 | 429),
            Self::Failed(_) => true,
        }
    }
}

impl Api<'_> {
    async fn list(&self) -> Result<ProjectListing, Unknown> {
        let mut projects = Projects::default();
        let mut last = None;
        for page in 0..=MAX_PAGES {
            if page == MAX_PAGES {
                projects.rest = Some(Rest::TooMany);
                break;
            }
            let rows: Vec<Row> = match self.get(&listed_after(last)).await? {
                Ok(rows) => rows,
                Err(Other::Response(response)) if page == 0 => {
                    return Ok(ProjectListing::NoList(Box::new(response)));
                }
                Err(Other::Failed(failure)) if page == 0 => {
                    return Ok(ProjectListing::Failed(failure));
                }
                Err(other) => {
                    projects.rest = Some(self.rest(other));
                    break;
                }
            };
            // GitLab lets the list end with an empty page.
            let Some(first) = rows.iter().map(|row| row.id).min() else { break };
            if last.is_some_and(|last| first <= last) {
                projects.rest = Some(Rest::Repeated);
                break;
            }
            last = rows.iter().map(|row| row.id).max();
            for row in &rows {
                projects.add(row, self.token.reveal());
            }
        }
        self.complete(&mut projects).await?;
        Ok(ProjectListing::Listed(projects))
    }

    /// Looks at what the list itself does not tell, as far as time allows.
    async fn complete(&self, projects: &mut Projects) -> Result<(), Unknown> {
        if !matches!(projects.rest, None | Some(Rest::TooMany)) {
            return Ok(());
        }
        // Their counts are estimates, which cost GitLab next to nothing.
        match self.get::<Statistics>("application/statistics").await? {
            Ok(Statistics {}) => projects.is_admin = Some(true),
            Err(Other::Response(Response { status: 403, .. })) => projects.is_admin = Some(false),
            Err(other) if other.is_refusal() => return Ok(()),
            Err(_) => {}
        }
        let Projects { odd, longest, .. } = projects;
        let mut named: Vec<_> = odd
            .get_mut(&ImageNameOddity::Refused)
            .map(|sample| std::mem::take(&mut sample.first).into_iter().collect())
            .unwrap_or_default();
        for project in named.iter_mut().take(DETAILED).chain(longest) {
            match self.get::<Details>(&format!("projects/{}", project.id)).await? {
                Ok(details) => project.registry = details.has_registry(),
                Err(other) if other.is_refusal() => break,
                Err(_) => {}
            }
        }
        if let Some(sample) = odd.get_mut(&ImageNameOddity::Refused) {
            sample.first = named.into_iter().collect();
        }
        Ok(())
    }

    /// One document of the API.
    async fn get<T: DeserializeOwned>(&self, what: &str) -> Result<Result<T, Other>, Unknown> {
        let left = self.deadline.saturating_sub(self.started.elapsed());
        if left.is_zero() {
            return Ok(Err(Other::Failed(Failure::silent(self.deadline))));
        }
        let url = format!("{}/api/v4/{what}", self.base);
        let mut token = HeaderValue::from_str(self.token.reveal())
            .map_err(|_| Unknown::Unreadable("the access token is no word".to_owned()))?;
        token.set_sensitive(true);
        let sent =
            self.session.send(left, |client, _| client.get(url).header("PRIVATE-TOKEN", token));
        let mut response = match sent.await? {
            Ok(response) => response,
            Err(failure) => return Ok(Err(Other::Failed(failure))),
        };
        let (status, fields) = head(&response);
        let body = match content_within(MAX_BODY, &mut response).await {
            Ok(content) if status == 200 => match serde_json::from_slice(&content) {
                Ok(document) => return Ok(Ok(document)),
                Err(_) => sealed::body(status, &content),
            },
            Ok(content) => sealed::body(status, &content),
            Err(Body::Unfinished) if self.is_over() => {
                return Ok(Err(Other::Failed(Failure::silent(self.deadline))));
            }
            Err(body) => body,
        };
        let response = Response { status, fields, body, times: None };
        Ok(Err(Other::Response(sealed::without(response, &[self.token.reveal()]))))
    }

    fn is_over(&self) -> bool {
        self.started.elapsed() >= self.deadline
    }

    fn rest(&self, other: Other) -> Rest {
        match other {
            _ if self.is_over() => Rest::OutOfTime(in_seconds(self.deadline)),
            Other::Failed(Failure::Silent(_)) => Rest::OutOfTime(in_seconds(self.deadline)),
            Other::Failed(failure) => Rest::Failed(failure),
            Other::Response(Response { status: 200, body: Body::Unfinished, .. }) => {
                Rest::Failed(Failure::Reset)
            }
            Other::Response(Response { status: 200, .. }) => Rest::Unreadable,
            Other::Response(Response { status, .. }) => Rest::Status(status),
        }
    }
}

/// The page that follows a project. Archived projects take no images.
fn listed_after(last: Option<u64>) -> String {
    let after = last.map(|id| format!("&id_after={id}")).unwrap_or_default();
    format!(
        "projects?simple=true&archived=false&pagination=keyset&order_by=id&sort=asc\
         &per_page={PAGE}{after}"
    )
}

impl Details {
    fn has_registry(&self) -> Option<bool> {
        match (self.access_level.as_deref(), self.is_enabled) {
            (Some("disabled"), _) | (None, Some(false)) => Some(false),
            // Every version that tells the level also tells the name of the images, unless GitLab
            // itself has no registry.
            (Some(_), _) => Some(self.image_prefix.is_some()),
            (None, is_enabled) => is_enabled,
        }
    }
}

impl Projects {
    /// Notes a project. What holds the token is no path, whoever made it up, and is not kept.
    fn add(&mut self, row: &Row, token: &str) {
        self.count += 1;
        if row.path_with_namespace.contains(token) {
            return;
        }
        let path = row.path_with_namespace.chars().take(MAX_PATH).collect();
        let project = OddProject { path, id: row.id, registry: None };
        let longest = self.longest.as_ref().map_or(LONG - 1, |it| it.path.len());
        if project.path.len() > longest {
            self.longest = Some(project.clone());
        }
        if let Some(oddity) = oddity(&of_project(&project.path)) {
            self.odd.entry(oddity).or_default().add(project);
        }
    }
}
