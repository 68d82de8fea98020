//! Lists of projects, well-meant and not.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::*;
use crate::host::credentials::Credentials;
use crate::host::network::standin::Standin;
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
    assert_eq!(told(&format!(r#"{level},"container_registry_image_prefix":"x"}}"#)), Some(true));
    assert_eq!(told(&format!("{level}}}")), Some(false));
    assert_eq!(told(r#"{"container_registry_access_level":"disabled"}"#), Some(false));
    assert_eq!(told(r#"{"container_registry_enabled":true}"#), Some(true));
    assert_eq!(told(r#"{"container_registry_enabled":false}"#), Some(false));
    assert_eq!(told("{}"), None);
}
