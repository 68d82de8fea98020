//! `registry/repository-names`, where GitLab's API tells what the projects are called.

use serde_json::json;

use crate::gitlab::{REGISTRY_URL, Running, start_rails};
use crate::http::{HttpServer, Response};
use crate::lab::HOST;
use crate::node::Node;
use crate::object_store;
use crate::rails::{ADMIN_TOKEN, Api, MEMBER_TOKEN, PASSWORD, REGISTRY_TOKEN, Tokens, USER};
use crate::site::{CONFIG, Report, Site};

const CHECK: &str = "registry/repository-names";
const URL: &str = "https://my-host.internal";
const REPOSITORIES: &str =
    "/var/opt/gitlab/gitlab-rails/shared/registry/docker/registry/v2/repositories";

/// A file with credentials, on either node, and how gldoctor is told of it.
const NETRC: &str = "/run/home/netrc";
const WITH_TOKEN: [&str; 2] = ["--credentials", NETRC];
const FROM_OUTSIDE: [&str; 4] = ["--url", URL, "--registry-url", REGISTRY_URL];

/// A site whose client trusts the server, with an administrator's token on both nodes.
fn start() -> Option<(Site, Running)> {
    let started = Site::start(|_| ())?;
    let Site { lab } = &started.0;
    let certificate = lab.server.read(&format!("/etc/gitlab/ssl/{HOST}.crt"));
    object_store::trust_only(&lab.client, &certificate);
    object_store::trust_only(&lab.server, &certificate);
    started.0.give(ADMIN_TOKEN);
    Some(started)
}

impl Site {
    fn give(&self, password: &str) {
        for node in [&self.lab.server, &self.lab.client] {
            node.write(NETRC, format!("machine {HOST} login {USER} password {password}\n"));
        }
    }

    /// Lets GitLab have these projects.
    fn projects(&self, running: &mut Running, projects: &[(&str, bool)]) {
        let projects = projects.iter().map(|(path, registry)| ((*path).to_owned(), *registry));
        self.api(running, Api { projects: projects.collect(), instead: None });
    }

    fn api(&self, running: &mut Running, api: Api) {
        running.rails = start_rails(&self.lab.server, Tokens { api, ..Tokens::default() });
    }

    fn named_from_outside(&self) -> Report {
        judged(&self.lab.client, &[&FROM_OUTSIDE[..], &WITH_TOKEN].concat())
    }
}

fn judged(node: &Node, arguments: &[&str]) -> Report {
    Report::patiently(CHECK, node, arguments)
}

/// What was asked with an access token.
fn asked(rails: &HttpServer) -> Vec<String> {
    let all = rails.seen().into_iter().filter(|it| it.header("private-token").is_some());
    all.map(|request| request.target.clone()).collect()
}

/// Why a check is unknown.
fn reason(report: &Report) -> String {
    assert_eq!(report.status(CHECK), "unknown", "{}", report.ran);
    report.check(CHECK).to_string()
}

#[test]
fn projects_are_judged_from_outside() {
    let Some((site, mut running)) = start() else { return };
    let client = &site.lab.client;
    let with_token = [&FROM_OUTSIDE[..], &WITH_TOKEN].concat();
    let good = [("group/demo-app", true), ("Group/Other.App", true), ("group/off-", false)];
    site.projects(&mut running, &good);
    assert_eq!(site.named_from_outside().status(CHECK), "passed");
    site.record(client, &with_token, CHECK, "near-miss-projects");
    // Nobody looks there without being told to.
    let before = running.rails.seen().len();
    assert_eq!(judged(client, &FROM_OUTSIDE).status(CHECK), "not_applicable");
    assert_eq!(running.rails.seen().len(), before);

    let bad = [
        ("group/_app", true),
        ("group/trailing-", true),
        ("_Old/app", true),
        ("a.-b/app", true),
        ("a..b/app", true),
        ("a___b/app", true),
        ("group/app.", true),
    ];
    site.projects(&mut running, &[&good[..], &bad, &[("group/a--b", true)]].concat());
    let report = site.named_from_outside();
    assert_eq!(report.codes(CHECK), ["warning path-refused", "notice double-dash"]);
    let shown = report.evidence(CHECK, "project").join("\n");
    assert!(shown.contains("_Old/app, because of '_Old'") && !shown.contains("off-"), "{shown}");
    assert!(report.check(CHECK).to_string().contains("7 projects have paths"), "{}", report.ran);
    site.record(client, &with_token, CHECK, "faulty-projects");

    // Each of these alone, with the registry's name alone: an entry for the host is enough.
    let registry = ["--registry-url", REGISTRY_URL];
    for path in bad {
        site.projects(&mut running, &[path]);
        let report = judged(client, &[&registry[..], &WITH_TOKEN].concat());
        assert_eq!(report.codes(CHECK), ["warning path-refused"], "{path:?}: {}", report.ran);
    }
    let long = format!("group/{}", "a".repeat(255 - "my-host.internal:4567/group/".len()));
    site.projects(&mut running, &[(&long, true)]);
    assert_eq!(site.named_from_outside().status(CHECK), "passed");
    for (registry, codes) in [(true, &["warning path-too-long"][..]), (false, &[])] {
        site.projects(&mut running, &[(&format!("{long}b"), registry)]);
        assert_eq!(site.named_from_outside().codes(CHECK), codes);
    }
}

#[test]
fn every_page_is_read_and_no_page_too_many() {
    let Some((site, mut running)) = start() else { return };
    let many = |count| (0..count).map(|n| (format!("group/app-{n}"), true)).collect::<Vec<_>>();
    let mut projects = many(250);
    projects.push(("group/last-".to_owned(), true));
    site.api(&mut running, Api { projects: projects.clone(), instead: None });
    let report = site.named_from_outside();
    assert_eq!(report.codes(CHECK), ["warning path-refused"], "{}", report.ran);
    // Three pages and the end, the statistics, and one project.
    let all = asked(&running.rails);
    assert_eq!(all.len(), 6, "{all:?}");
    assert!(all[1].ends_with("&id_after=100") && all[5] == "/api/v4/projects/251", "{all:?}");

    let row = json!([{ "id": 1, "path_with_namespace": "group/app" }]);
    let html = Response::new(200, "<html><title>Sign in</title>").with("Content-Type", "text/html");
    let cases = [
        (Response::json(200, &row), "began again"),
        (Response::new(502, ""), "answered 502"),
        (Response::new(429, "Retry later\n"), "answered 429"),
        (Response::new(200, "[".repeat(200_000)), "something else than a list"),
        (Response::new(200, " ".repeat(5 << 20)), "something else than a list"),
        (html, "something else than a list"),
    ];
    for (instead, words) in cases {
        let api = Api { projects: projects.clone(), instead: Some((1, instead)) };
        site.api(&mut running, api);
        let report = site.named_from_outside();
        assert!(reason(&report).contains(words), "{}", report.ran);
        assert!(reason(&report).contains("after 100 of them"), "{}", report.ran);
        assert_eq!(asked(&running.rails).len(), 2);
    }
    site.api(&mut running, Api { projects: many(20_001), instead: None });
    let report = judged(
        &site.lab.client,
        &[&FROM_OUTSIDE[..], &WITH_TOKEN, &["--timeout", "120s"]].concat(),
    );
    assert!(reason(&report).contains("more than the 20000"), "{}", report.ran);
    assert_eq!(asked(&running.rails).len(), 201);
    let report =
        judged(&site.lab.client, &[&FROM_OUTSIDE[..], &WITH_TOKEN, &["--timeout", "1s"]].concat());
    assert!(reason(&report).contains("--timeout raises the limit"), "{}", report.ran);
}

#[test]
fn what_is_no_list_is_told_and_not_asked_for_again() {
    let Some((site, mut running)) = start() else { return };
    let client = &site.lab.client;
    let with_token = [&FROM_OUTSIDE[..], &WITH_TOKEN].concat();
    let forbidden = json!({ "message": "403 Forbidden - Your account has been blocked." });
    let expired = json!({ "error": "invalid_token", "error_description": "Token is expired." });
    let cases = [
        (Response::json(401, &expired), "Token is expired"),
        (Response::json(403, &forbidden), "has been blocked"),
        (Response::new(302, "").with("Location", "/users/sign_in"), "sends on to"),
        (Response::new(200, "<html><title>Sign in</title>"), "web page ('Sign in')"),
        (Response::new(200, " ".repeat(5 << 20)), "far too large"),
        (Response::new(429, "Retry later\n"), "(429)"),
        (Response::new(503, ""), "answers 503"),
        (Response::new(404, ""), "answers 404"),
    ];
    for (instead, words) in cases {
        site.api(&mut running, Api { projects: Vec::new(), instead: Some((0, instead)) });
        let report = site.named_from_outside();
        assert!(reason(&report).contains(words), "{words}: {}", report.ran);
        assert_eq!(asked(&running.rails).len(), 1, "{words}");
    }
    // Who is no administrator sees a part, and what is wrong in it.
    let first = [("group/app", true), ("group/bad-", true)];
    site.projects(&mut running, &first);
    site.give(MEMBER_TOKEN);
    let report = site.named_from_outside();
    assert!(
        reason(&report).contains("1 of them; an administrator's access token"),
        "{}",
        report.ran
    );
    site.record(client, &with_token, CHECK, "cannot-look-member");
    site.projects(&mut running, &[first[1], first[0]]);
    let report = site.named_from_outside();
    assert_eq!(report.codes(CHECK), ["warning path-refused"], "{}", report.ran);
    // A token that GitLab does not know.
    site.give("glpat-nobody-has-this-one");
    let report = site.named_from_outside();
    assert!(reason(&report).contains("refuses the access token"), "{}", report.ran);
    site.record(client, &with_token, CHECK, "cannot-look-token-refused");
    // Nor does anybody learn one who is not trusted.
    site.give(ADMIN_TOKEN);
    let before = asked(&running.rails).len();
    client.must("sh", &["-c", "rm /etc/ssl/certs/*"]);
    let report = site.named_from_outside();
    assert!(reason(&report).contains("no access token was sent to"), "{}", report.ran);
    let plain = ["--url", "http://my-host.internal", "--registry-url", REGISTRY_URL];
    let report = judged(client, &[&plain[..], &WITH_TOKEN].concat());
    assert!(reason(&report).contains("without TLS"), "{}", report.ran);
    assert_eq!(asked(&running.rails).len(), before);
}

#[test]
fn storage_and_projects_go_together() {
    let Some((site, mut running)) = start() else { return };
    let server = &site.lab.server;
    let shell = |script: &str| {
        server.must("sh", &["-c", &format!("cd {REPOSITORIES} && {script}")]);
    };
    let codes = |arguments: &[&str]| judged(server, arguments).codes(CHECK).join(",");
    site.projects(&mut running, &[("Bad-/demo-app", true), ("bad-/other", true)]);
    assert_eq!(codes(&[]), "");
    assert!(running.rails.seen().is_empty(), "nobody asked for that");
    assert_eq!(codes(&WITH_TOKEN), "warning path-refused");
    site.record(server, &WITH_TOKEN, CHECK, "faulty-project-never-pushed");
    // Told by both: the storage knows more.
    shell("cp -a group bad-");
    let report = judged(server, &WITH_TOKEN);
    assert_eq!(report.codes(CHECK).join(","), "error name-refused,warning path-refused");
    assert_eq!(report.evidence(CHECK, "project"), ["bad-/other, because of 'bad-'"]);
    site.projects(&mut running, &[("Bad-/demo-app", true)]);
    assert_eq!(codes(&WITH_TOKEN), "error name-refused");
    shell("mv bad- a--b");
    site.projects(&mut running, &[("a--b/demo-app", true)]);
    assert_eq!(codes(&WITH_TOKEN), "notice double-dash");
    shell("rm -r a--b");
    // What is good for a login alone makes nothing worse, and is not sent.
    for password in [PASSWORD, REGISTRY_TOKEN, "gldt-lab-lab-lab-lab-lab"] {
        site.give(password);
        let before = asked(&running.rails).len();
        let report = judged(server, &WITH_TOKEN);
        assert_eq!(report.status(CHECK), "passed", "{}", report.ran);
        let more = usize::from(password == REGISTRY_TOKEN);
        assert_eq!(asked(&running.rails).len(), before + more, "{password}");
    }
    site.give(MEMBER_TOKEN);
    site.projects(&mut running, &[("group/app", true)]);
    assert_eq!(judged(server, &WITH_TOKEN).status(CHECK), "passed");

    // An object store is not listed: then GitLab tells it, or nobody.
    server.edit(CONFIG, |text| {
        let line = text.lines().find(|line| line.starts_with("storage:")).unwrap();
        text.replace(line, &object_store::storage("https://store.internal", "", ""))
    });
    let report = judged(server, &[]);
    assert!(reason(&report).contains("object store (s3)"), "{}", report.ran);
    assert!(reason(&report).contains("scopes read_api and read_registry"), "{}", report.ran);
    site.record(server, &[], CHECK, "cannot-look-object-store");
    let why = [
        (PASSWORD, "is no access token"),
        (REGISTRY_TOKEN, "lacks the scope read_api"),
        (MEMBER_TOKEN, "an administrator's access token shows all"),
    ];
    for (password, words) in why {
        site.give(password);
        let report = judged(server, &WITH_TOKEN);
        assert!(reason(&report).contains(words), "{}", report.ran);
    }
    site.give(ADMIN_TOKEN);
    assert_eq!(judged(server, &WITH_TOKEN).status(CHECK), "passed");
    site.record(server, &WITH_TOKEN, CHECK, "healthy-object-store");
    site.projects(&mut running, &[("_old/app", true)]);
    assert_eq!(codes(&WITH_TOKEN), "warning path-refused");
    site.record(server, &WITH_TOKEN, CHECK, "faulty-object-store");
    let files = judged(server, &[&WITH_TOKEN[..], &["--offline-files-only"]].concat());
    assert!(reason(&files).contains("object store (s3)"), "{}", files.ran);
}

#[test]
fn no_access_token_leaves_the_machine() {
    let Some((site, mut running)) = start() else { return };
    let server = &site.lab.server;
    let echo = json!({ "message": ADMIN_TOKEN, "error": ADMIN_TOKEN });
    let row = json!([{ "id": 1, "path_with_namespace": format!("_x/{ADMIN_TOKEN}") }]);
    let mut told = Vec::new();
    for instead in [
        None,
        Some((0, Response::json(403, &echo).with("Server", ADMIN_TOKEN))),
        Some((0, Response::json(401, &echo))),
        Some((0, Response::json(200, &row))),
        Some((0, Response::new(302, "").with("Location", ADMIN_TOKEN))),
    ] {
        let projects = vec![("_old/app".to_owned(), true)];
        site.api(&mut running, Api { projects, instead });
        for format in ["human", "json"] {
            let run = ["run", "--only", CHECK, "--verbose", "--format", format];
            let ran = server.gldoctor(&[&run[..], &WITH_TOKEN].concat());
            told.push(ran.stdout + &ran.stderr);
        }
        let file = site.lab.dir().join("recording.json");
        let bundle = ["bundle", "--only", CHECK, "-o", file.to_str().unwrap()];
        let ran = server.gldoctor(&[&bundle[..], &WITH_TOKEN].concat());
        told.push(ran.stdout + &ran.stderr);
        told.push(std::fs::read_to_string(&file).unwrap());
        assert!(!asked(&running.rails).is_empty());
    }
    for text in &told {
        assert!(!text.contains(ADMIN_TOKEN), "the token: {text}");
        assert!(!text.contains("lab-runners-token"), "another token: {text}");
    }
}
