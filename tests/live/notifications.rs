//! `registry/notifications` against real servers: no event is ever sent.

use crate::http::{HttpServer, Response};
use crate::lab::{HOST, SERVER};
use crate::node::Node;
use crate::site::{CONFIG, Report, Site, keep};
use crate::standin::tcp::{Fault, TcpStandin};

const NOTIFICATIONS: &str = "registry/notifications";

/// Where GitLab takes events.
const EVENTS: &str = "https://my-host.internal/api/v4/container_registry_event/events";

/// What the Linux package writes for an endpoint, with this URL and more settings.
fn endpoint(url: &str, more: &str) -> String {
    format!("{{name: hook, url: '{url}', timeout: 500ms, threshold: 5, backoff: 1s{more}}}")
}

/// The site whose registry is told of these endpoints; their effect on the registry itself is not
/// waited for.
struct Told<'a> {
    site: &'a Site,
    config: String,
}

impl<'a> Told<'a> {
    fn new(site: &'a Site) -> Self {
        Self { site, config: site.lab.server.read(CONFIG) }
    }

    fn write(&self, endpoints: &[String]) {
        let list = endpoints.join(", ");
        let text = format!("{}\nnotifications: {{endpoints: [{list}]}}\n", self.config);
        self.site.lab.server.write(CONFIG, text);
    }

    /// The report, once the registry is told of these endpoints.
    fn of(&self, endpoints: &[String]) -> Report {
        self.write(endpoints);
        Report::on(NOTIFICATIONS, &self.site.lab.server, &[])
    }

    /// The codes of the findings on one endpoint.
    #[track_caller]
    fn codes(&self, url: &str, more: &str) -> Vec<String> {
        self.of(&[endpoint(url, more)]).codes(NOTIFICATIONS)
    }

    fn record(&self, case: &str) {
        self.site.record_from_inside(NOTIFICATIONS, case);
    }
}

#[test]
fn gitlab_and_other_receivers_are_reached_without_an_event() {
    let Some((site, running)) = Site::start(|_| ()) else { return };
    let told = Told::new(&site);
    let secret = ", headers: {Authorization: [lab]}";
    let report = told.of(&[endpoint(EVENTS, secret)]);
    assert_eq!(report.status(NOTIFICATIONS), "passed", "{}", report.ran);
    told.record("healthy-gitlab");

    // What a receiver makes of a GET is its own business.
    let receiver = HttpServer::tcp(site.lab.server.listen("127.0.0.1", 9080), |request| {
        match request.path() {
            "/gone" => Response::new(410, "gone"),
            "/broken" => Response::new(500, "no event in it"),
            _ => Response::new(405, ""),
        }
    });
    let off = ", disabled: true";
    let quiet = [
        endpoint("http://127.0.0.1:9080/events", ""),
        endpoint("http://localhost:9080/gone", ""),
        endpoint("http://127.0.0.1:9080/broken", ""),
        // Nobody sends anything there.
        endpoint("http://no-such-name.internal:1/x", off),
    ];
    let report = told.of(&quiet);
    assert_eq!(report.status(NOTIFICATIONS), "passed", "{}", report.ran);
    told.record("near-miss-any-answer-and-a-disabled-one");

    let ours = |request: &crate::http::Request| {
        request.header("user-agent").is_some_and(|agent| agent.starts_with("gldoctor/"))
    };
    let asked = [receiver.seen(), running.rails.seen()].concat();
    let asked: Vec<_> = asked.into_iter().filter(ours).collect();
    assert!(asked.len() >= 4);
    for request in asked {
        assert_eq!((request.method.as_str(), request.header("authorization")), ("GET", None));
    }
    assert_eq!(told.of(&[endpoint(EVENTS, off)]).status(NOTIFICATIONS), "not_applicable");
}

#[test]
fn a_receiver_that_cannot_take_events_is_told() {
    let Some((site, running)) = Site::start(|_| ()) else { return };
    let server = &site.lab.server;
    let told = Told::new(&site);
    let code = |url: &str| told.codes(url, "");

    assert_eq!(code(EVENTS), ["error no-authorization"]);
    assert_eq!(code("https://my-host.internal/notify"), ["error wrong-path"]);
    let slips = [
        format!(
            "{{name: guide, url: '{EVENTS}', timeout: 500, backoff: 1000, headers: {{Authorization: [x]}}}}"
        ),
        "{name: text, url: 'http://127.0.0.1:9', timeout: '500'}".to_owned(),
        "{name: bare, url: '127.0.0.1:9'}".to_owned(),
    ];
    let report = told.of(&slips);
    assert_eq!(
        report.codes(NOTIFICATIONS),
        [
            "error url-unusable",
            "error duration-unreadable",
            "error refused",
            "error duration-without-unit",
            "warning duration-without-unit",
        ],
        "{}",
        report.ran
    );
    told.record("faulty-slips-of-the-guide");

    // Each stage of the way, as far as no other test goes it.
    server.write("/etc/nsswitch.conf", "hosts: files\n");
    assert_eq!(code("https://no-such-name.internal/x"), ["error name-unresolved"]);
    let plain = HttpServer::tcp(server.listen(SERVER, 9081), |request| match request.path() {
        "/moved" => Response::new(301, "").with("Location", "https://my-host.internal/moved"),
        "/kept" => Response::new(308, "").with("Location", "https://my-host.internal/kept"),
        "/gateway" => Response::new(504, "").with("Via", "1.1 proxy"),
        _ => Response::new(200, "<!DOCTYPE html><title>Welcome to nginx!</title>"),
    });
    let url = |path: &str| format!("http://{HOST}:9081{path}");
    assert_eq!(code(&url("/")), ["error nginx-default", "warning unencrypted"]);
    assert_eq!(code(&url("/gateway")), ["error receiver-down", "warning unencrypted"]);
    // Go turns the POST into a GET on the one redirect, and repeats it on the other.
    assert_eq!(code(&url("/moved")), ["error redirected"]);
    told.record("faulty-redirect-loses-events");
    assert_eq!(code(&url("/kept")), ["warning redirected"]);
    assert_eq!(code(&format!("https://{HOST}:9081/x")), ["error plain-http"]);
    drop(plain);
    let silent = TcpStandin::plain(server.listen(SERVER, 9082), Fault::Silent);
    assert_eq!(
        code(&format!("http://{HOST}:9082/x")),
        ["error http-silent", "warning unencrypted"]
    );
    assert_eq!(code(&format!("https://{HOST}:9082/x")), ["error tls-silent"]);
    drop(silent);

    // What GitLab's nginx says while GitLab is down.
    drop(running.rails);
    let secret = ", headers: {Authorization: [lab]}";
    let report = told.of(&[endpoint(EVENTS, secret)]);
    assert_eq!(report.codes(NOTIFICATIONS), ["error gitlab-down"], "{}", report.ran);
    assert!(report.commands(NOTIFICATIONS).contains(&"sudo gitlab-ctl status"));
    told.record("faulty-gitlab-down");
}

#[test]
fn threshold_counts_where_the_administrator_wrote_it() {
    let Some((site, _running)) = Site::start(|_| ()) else { return };
    let told = Told::new(&site);
    let server = &site.lab.server;
    let secret = ", headers: {Authorization: [lab]}";
    told.write(&[endpoint(EVENTS, secret)]);
    let written = server.read("/etc/gitlab/gitlab.rb");
    let with = |more: &str| server.write("/etc/gitlab/gitlab.rb", format!("{written}\n{more}\n"));
    let codes = || Report::on(NOTIFICATIONS, server, &[]).codes(NOTIFICATIONS);
    let version = |version: &str| {
        server.write("/opt/gitlab/version-manifest.txt", format!("gitlab-ee {version}\n"));
    };
    let hook = "registry['notifications'] = [{ 'name' => 'hook', 'url' => 'https://h.internal',";
    with(&format!("{hook} 'threshold' => 5 }}]"));
    version("17.11.7");
    assert_eq!(codes(), ["warning threshold"]);
    told.record("faulty-threshold");
    version("18.0.1");
    assert_eq!(codes(), ["error threshold"]);
    version("18.3.0");
    assert_eq!(codes(), ["notice threshold"]);
    with("registry['default_notifications_threshold'] = 3");
    assert_eq!(codes(), ["notice threshold"]);
    with(&format!("{hook} 'maxretries' => 5 }}]"));
    assert_eq!(codes(), Vec::<String>::new());
}

#[test]
fn a_configuration_that_cannot_be_read_is_unknown() {
    let Some((site, _running)) = Site::start(|_| ()) else { return };
    let server: &Node = &site.lab.server;
    server.must("install", &["-m", "755", env!("CARGO_BIN_EXE_gldoctor"), "/run/gldoctor"]);
    server.must("install", &["-d", "-m", "777", "/run/nobody"]);
    let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "/run/gldoctor"];
    let file = "/run/nobody/recording.json";
    let bundle = ["bundle", "-q", "--only", NOTIFICATIONS, "-o", file];
    let ran = server.run("setpriv", &[&nobody[..], &bundle].concat());
    assert_eq!(ran.code, Some(3), "{ran}");
    keep(NOTIFICATIONS, "cannot-look-denied", &server.read(file));
}
