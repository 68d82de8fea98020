//! Question: which projects does GitLab know whose paths matter to the registry?
//!
//! GitLab's API is asked with the administrator's own access token: the list in its shortest form,
//! page after page, and a few projects by themselves. Nothing is changed. The token goes to one
//! server alone, whose certificate was judged before, and no more once that has refused it. No
//! address that comes back is ever followed: the next page is asked for by the last project's ID.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use reqwest::Url;
use reqwest::header::HeaderValue;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::http::{Peer, Session, content_within, head};
use super::pinned::Pinned;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use serde_json::{Value, json};

    use super::super::standin::Standin;
    use super::*;
    use crate::host::credentials::Credentials;
    use crate::host::{Host, Scope};
    use crate::parse::netrc;

    const SECRET: &str = "glpat-hushhushhushhushhush";

    fn host(secret: &str) -> Host {
        let machine = Machine::new(Scope::live(), <_>::default(), Duration::from_secs(20));
        let netrc = format!("machine git.test login root password {secret}");
        let entries = netrc::read(netrc.as_bytes()).unwrap();
        Host::live(machine.with_credentials(Credentials::new(entries)))
    }

    fn list(gitlab: &str, standin: &Standin) -> ProjectList {
        let login = Login { host: "git.test".to_owned(), certificate: standin.sha256.clone() };
        ProjectList { gitlab: gitlab.to_owned(), address: standin.address, login }
    }

    fn answer(status: u16, body: &str) -> String {
        format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    fn target(sent: &str) -> &str {
        sent.split(' ').nth(1).unwrap_or_default()
    }

    /// A GitLab with these projects, in pages of two; `admin` is the answer to administrators.
    async fn gitlab(projects: Vec<Value>, admin: u16) -> Standin {
        Standin::start(move |sent| {
            let target = target(sent);
            let path = target.strip_prefix("/gitlab/api/v4/").unwrap();
            let header = format!("private-token: {SECRET}");
            if !sent.to_ascii_lowercase().contains(&header) {
                return answer(401, "{}");
            }
            if path == "application/statistics" {
                return answer(admin, "{}");
            }
            if let Some(id) = path.strip_prefix("projects/") {
                let id: u64 = id.parse().unwrap();
                let found = projects.iter().find(|it| it["id"] == id).unwrap();
                return answer(200, &found.to_string());
            }
            assert!(path.starts_with("projects?simple=true&archived=false&"), "{path}");
            let after = path.split_once("&id_after=").map_or(0, |(_, id)| id.parse().unwrap());
            let later = projects.iter().filter(|it| it["id"].as_u64().unwrap() > after);
            answer(200, &json!(later.take(2).collect::<Vec<_>>()).to_string())
        })
        .await
    }

    fn project(id: u64, path: &str, level: &str) -> Value {
        json!({
            "id": id, "path_with_namespace": path, "runners_token": SECRET,
            "container_registry_access_level": level, "container_registry_image_prefix": "x",
        })
    }

    async fn listed(standin: &Standin) -> Projects {
        let host = host(SECRET);
        let listing = host.ask(list("https://git.test/gitlab", standin)).await.unwrap();
        let recording = serde_json::to_string(&host.transcript()).unwrap();
        assert!(!recording.contains("hush"), "{recording}");
        match listing {
            ProjectListing::Listed(projects) => projects,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn all_pages_are_read() {
        let projects = vec![
            project(1, "Group/good", "enabled"),
            project(3, "group/_bad", "enabled"),
            project(4, "group/a--b", "enabled"),
            project(7, "group/off-", "disabled"),
            project(9, &"a/".repeat(LONG / 2), "private"),
        ];
        let standin = gitlab(projects, 200).await;
        let projects = listed(&standin).await;
        assert_eq!((projects.count, projects.is_admin, projects.rest), (5, Some(true), None));
        let odd = |oddity| {
            let sample: &Sample<OddProject> = &projects.odd[&oddity];
            sample.first.iter().map(|it| (it.path.as_str(), it.registry)).collect::<Vec<_>>()
        };
        let long = "a/".repeat(LONG / 2);
        let on = Some(true);
        let refused = [(&*long, on), ("group/_bad", on), ("group/off-", Some(false))];
        assert_eq!(odd(ImageNameOddity::Refused), refused);
        assert_eq!(odd(ImageNameOddity::DoubleDash), [("group/a--b", None)]);
        assert_eq!(projects.longest, Some(OddProject { path: long, id: 9, registry: on }));
        // Four pages, of which the last is empty, the statistics, three projects, and one again.
        assert_eq!(standin.requests.load(Ordering::SeqCst), 9);
    }

    #[tokio::test]
    async fn who_is_no_administrator_is_told() {
        for (status, is_admin) in [(403, Some(false)), (404, None), (401, None)] {
            let standin = gitlab(vec![project(1, "a/b", "enabled")], status).await;
            let projects = listed(&standin).await;
            assert_eq!((projects.count, projects.is_admin), (1, is_admin));
        }
    }

    #[tokio::test]
    async fn a_list_without_end_ends() {
        let again = Standin::start(|_| answer(200, r#"[{"id":1,"path_with_namespace":"a/b"}]"#));
        assert_eq!(listed(&again.await).await.rest, Some(Rest::Repeated));
        let after = |sent: &str| match target(sent).split_once("&id_after=") {
            Some((_, id)) => id.parse::<u64>().unwrap(),
            None => 0,
        };
        let more = Standin::start(move |sent| {
            let next = after(sent) + 1;
            answer(200, &json!([{ "id": next, "path_with_namespace": "a/b-" }]).to_string())
        });
        let projects = listed(&more.await).await;
        assert_eq!((projects.count, projects.rest), (MAX_PAGES as u64, Some(Rest::TooMany)));
        let broken = Standin::start(move |sent| match after(sent) {
            0 => answer(200, r#"[{"id":1,"path_with_namespace":"a/b"}]"#),
            _ => answer(429, "Retry later"),
        });
        let broken = broken.await;
        assert_eq!(listed(&broken).await.rest, Some(Rest::Status(429)));
        assert_eq!(broken.requests.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn the_token_is_not_kept_whoever_sends_it_back() {
        let rows = json!([{ "id": 1, "path_with_namespace": format!("a/{SECRET}") }]).to_string();
        for (status, body) in [
            (200, rows),
            (200, format!("<html><title>{SECRET}</title>")),
            (200, "x".repeat(MAX_BODY + 1)),
            (200, format!("[[[[{SECRET}")),
            (200, "[".repeat(100_000)),
            (401, json!({ "message": SECRET, "error_description": SECRET }).to_string()),
            (403, SECRET.to_owned()),
            (302, SECRET.to_owned()),
        ] {
            let standin = Standin::start(move |_| {
                let location = format!("Location: https://{SECRET}.test/{SECRET}\r\n");
                answer(status, &body).replacen("\r\n", &format!("\r\n{location}"), 1)
            });
            let standin = standin.await;
            let host = host(SECRET);
            let listing = host.ask(list("https://git.test", &standin)).await.unwrap();
            let recording = serde_json::to_string(&host.transcript()).unwrap();
            assert!(!recording.contains("hush"), "{recording}");
            let is_list = matches!(listing, ProjectListing::Listed(_));
            assert!(is_list || standin.requests.load(Ordering::SeqCst) == 1, "{listing:?}");
        }
    }

    #[tokio::test]
    async fn a_token_goes_to_the_judged_server_alone_and_only_once() {
        let standin = gitlab(Vec::new(), 200).await;
        let requests = || Arc::clone(&standin.requests).load(Ordering::SeqCst);
        let url = "https://git.test/gitlab";
        // Another certificate than the one that was judged: the handshake is the end.
        let mut foreign = list(url, &standin);
        foreign.login.certificate = "00".repeat(32);
        let listing = host(SECRET).ask(foreign).await.unwrap();
        assert!(matches!(listing, ProjectListing::Failed(Failure::Foreign(_))), "{listing:?}");
        // Neither without TLS, nor what is no token, nor to a host for which there is none.
        assert!(host(SECRET).ask(list("http://git.test", &standin)).await.is_err());
        assert!(host("password").ask(list(url, &standin)).await.is_err());
        let mut other = list(url, &standin);
        other.login.host = "other.test".to_owned();
        assert!(host(SECRET).ask(other).await.is_err());
        assert_eq!(requests(), 0);
        let host = host(SECRET);
        assert!(host.ask(list(url, &standin)).await.is_ok());
        let asked = requests();
        assert!(host.ask(list(url, &standin)).await.is_ok());
        assert!(host.ask(list("https://git.test/other", &standin)).await.is_err());
        assert_eq!(requests(), asked);
    }

    #[test]
    fn a_registry_is_there_where_gitlab_names_its_images() {
        let told = |text: &str| serde_json::from_str::<Details>(text).unwrap().has_registry();
        let level = r#"{"container_registry_access_level":"private""#;
        assert_eq!(
            told(&format!(r#"{level},"container_registry_image_prefix":"x"}}"#)),
            Some(true)
        );
        assert_eq!(told(&format!("{level}}}")), Some(false));
        assert_eq!(told(r#"{"container_registry_access_level":"disabled"}"#), Some(false));
        assert_eq!(told(r#"{"container_registry_enabled":true}"#), Some(true));
        assert_eq!(told(r#"{"container_registry_enabled":false}"#), Some(false));
        assert_eq!(told("{}"), None);
    }
}
