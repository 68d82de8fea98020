//! `runner/reach` against real servers, and the name servers that containers ask.

use std::net::Ipv4Addr;

use crate::gitlab::Running;
use crate::http::{HttpServer, Response};
use crate::lab::{HOST, Lab, SERVER};
use crate::pki;
use crate::site::{Report, Site};
use crate::standin::dns::{Knows, NameServer};
use crate::standin::tcp::{Fault, TcpStandin};

const REACH: &str = "runner/reach";
const TRUST: &str = "trust/runner";

const CONFIG: &str = "/etc/gitlab-runner/config.toml";

/// A runner on the client that trusts GitLab's certificate; no name server answers.
fn runner() -> Option<(Site, Running)> {
    let mut pem = String::new();
    let (site, running) =
        Site::start(|lab| pem = lab.server.read(&format!("/etc/gitlab/ssl/{HOST}.crt")))?;
    site.lab.client.write(&format!("/etc/gitlab-runner/certs/{HOST}.crt"), pem);
    site.lab.client.write("/etc/resolv.conf", format!("nameserver {SERVER}\n"));
    Some((site, running))
}

impl Site {
    /// Registers a runner with these settings, and more in `[runners.docker]`.
    fn register(&self, settings: &str, docker: &str) {
        let text = format!(
            "concurrent = 1\n[[runners]]\n  name = \"lab\"\n  token = \"glrt-lab\"\n{settings}\n\
             [runners.docker]\n  image = \"ruby:2.6\"\n{docker}\n"
        );
        self.lab.client.write(CONFIG, text);
    }

    fn seen_by_runner(&self) -> Report {
        Report::patiently(&format!("{REACH},{TRUST}"), &self.lab.client, &[])
    }

    fn record_runner(&self, case: &str) {
        self.record(&self.lab.client, &[], REACH, case);
    }
}

const SHELL: &str = "executor = \"shell\"";
const DOCKER: &str = "executor = \"docker\"";

fn url(url: &str) -> String {
    format!("  url = \"{url}\"\n  {SHELL}")
}

#[test]
fn a_runner_that_reaches_gitlab_is_healthy() {
    let Some((site, running)) = runner() else { return };
    let healthy = |case: &str, settings: &str, docker: &str| {
        site.register(settings, docker);
        let report = site.seen_by_runner();
        assert_eq!(report.status(REACH), "passed", "{case}: {}", report.ran);
        assert_eq!(report.codes(TRUST), Vec::<String>::new(), "{case}: {}", report.ran);
        site.record_runner(case);
    };
    healthy("healthy", &url("https://my-host.internal/"), "");
    // Containers that are told the name, use this host's network, or find it in DNS.
    let containers = format!("  url = \"https://{HOST}\"\n  {DOCKER}");
    let told = format!("  extra_hosts = [\"{HOST}:{SERVER}\"]");
    healthy("near-miss-extra-hosts", &containers, &told);
    healthy("near-miss-network-of-the-host", &containers, "  network_mode = \"host\"");
    let address = SERVER.parse::<Ipv4Addr>().unwrap();
    let names = Box::leak(Box::new([(HOST, address)]));
    let known = NameServer::start(site.lab.server.udp(SERVER, 53), Knows::Names(names));
    healthy("near-miss-name-in-dns", &containers, "");
    healthy("near-miss-dns-of-the-runner", &containers, &format!("  dns = [\"{SERVER}\"]"));
    drop(known);
    // gldoctor asks nothing that changes or proves anything.
    for request in running.rails.seen() {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/api/v4/version"));
        assert_eq!(request.header("private-token").or(request.header("job-token")), None);
    }
}

#[test]
fn the_way_to_gitlab_ends_at_its_first_broken_stage() {
    let Some((site, running)) = runner() else { return };
    let server = &site.lab.server;
    let codes = |address: &str| {
        site.register(&url(address), "");
        Report::on(REACH, &site.lab.client, &[]).codes(REACH)
    };
    site.lab.client.write("/etc/nsswitch.conf", "hosts: files\n");
    assert_eq!(codes("https://no-such-name.internal"), ["error name-unresolved"]);
    site.record_runner("faulty-name-unresolved");
    assert_eq!(codes(&format!("https://{HOST}:8443")), ["error refused"]);
    site.record_runner("faulty-refused");
    assert_eq!(codes("gitlab.internal"), ["error url-unusable"]);
    assert_eq!(codes(&format!("http://{HOST}:443")), ["error http-to-tls-port"]);
    assert_eq!(codes(&format!("https://{HOST}:4567")), ["error registry-answers"]);
    site.record_runner("faulty-address-of-the-registry");

    let plain = HttpServer::tcp(server.listen(SERVER, 8080), |request| {
        let page =
            |title: &str| Response::new(200, format!("<!DOCTYPE html><title>{title}</title>"));
        match request.path() {
            path if path.starts_with("/moved") => {
                Response::new(301, "").with("Location", "https://my-host.internal/api/v4/version")
            }
            path if path.starts_with("/web") => page("Sign in \u{b7} GitLab"),
            path if path.starts_with("/gateway") => {
                Response::new(504, "gateway").with("Via", "1.1 p")
            }
            path if path.starts_with("/loop") => Response::new(302, "").with("Location", path),
            _ => page("Welcome to nginx on Debian!"),
        }
    });
    let at = |path: &str| codes(&format!("http://{HOST}:8080{path}"));
    assert_eq!(at(""), ["error nginx-default"]);
    site.record_runner("faulty-default-page");
    assert_eq!(at("/moved"), ["warning redirected"]);
    assert_eq!(at("/web"), ["error wrong-path"]);
    assert_eq!(at("/gateway"), ["error gitlab-down"]);
    assert_eq!(at("/loop"), ["error redirect-loop"]);
    assert_eq!(codes(&format!("https://{HOST}:8080")), ["error plain-http"]);
    drop(plain);

    let drip = TcpStandin::plain(
        server.listen(SERVER, 8081),
        Fault::Drips(b"HTTP/1.1 200 OK\r\n\r\n", std::time::Duration::from_secs(1)),
    );
    assert_eq!(codes(&format!("http://{HOST}:8081")), ["error http-silent"]);
    drop(drip);
    server.filter(8082);
    assert_eq!(codes(&format!("https://{HOST}:8082")), ["error silent"]);

    drop(running.rails);
    assert_eq!(codes(&format!("https://{HOST}")), ["error gitlab-down"]);
    site.record_runner("faulty-gitlab-down");
}

#[test]
fn a_refused_certificate_is_one_story() {
    let Some((site, _running)) = runner() else { return };
    site.register(&url("https://my-host.internal"), "");
    let other = pki::self_signed(&site.lab.dir().join("."), HOST);
    site.lab.client.write(&format!("/etc/gitlab-runner/certs/{HOST}.crt"), other.pem());
    let report = site.seen_by_runner();
    assert_eq!(
        report.findings(REACH),
        [["error", "certificate-refused", "https://my-host.internal", TRUST]],
        "{}",
        report.ran
    );
    assert_eq!(report.evidence(REACH, "the runner says").len(), 1);
    site.record_runner("faulty-certificate-refused");
}

#[test]
fn a_name_that_only_the_host_knows_is_told() {
    let Some((site, _running)) = runner() else { return };
    site.register(&format!("  url = \"https://{HOST}\"\n  {DOCKER}"), "");
    let codes = || site.seen_by_runner().codes(REACH);
    // Nobody listens at the name server.
    assert_eq!(codes(), ["notice unresolved-in-containers"]);
    let fails = NameServer::start(site.lab.server.udp(SERVER, 53), Knows::Fails);
    assert_eq!(codes(), ["notice unresolved-in-containers"]);
    drop(fails);
    std::thread::sleep(std::time::Duration::from_millis(100));
    let knows_others = NameServer::start(
        site.lab.server.udp(SERVER, 53),
        Knows::Names(&[("other.internal", Ipv4Addr::LOCALHOST)]),
    );
    let report = site.seen_by_runner();
    assert_eq!(report.codes(REACH), ["error unresolved-in-containers"], "{}", report.ran);
    site.record_runner("faulty-known-to-the-host-alone");
    drop(knows_others);
    site.lab.client.write("/etc/resolv.conf", "# no DNS on this site\n");
    assert_eq!(codes(), ["error unresolved-in-containers"]);
}

#[test]
fn without_a_runner_there_is_nothing_to_reach() {
    let Some(lab) = Lab::start(&[]) else { return };
    let report = Report::on(REACH, &lab.client, &[]);
    assert_eq!(report.status(REACH), "not_applicable", "{}", report.ran);
    lab.client.must("mkdir", &["-p", CONFIG]);
    let report = Report::on(REACH, &lab.client, &[]);
    assert_eq!(report.status(REACH), "unknown", "{}", report.ran);
    let file = lab.dir().join("recording.json");
    let bundle = ["bundle", "-q", "--only", REACH, "-o", file.to_str().unwrap()];
    lab.client.gldoctor(&bundle);
    crate::site::keep(REACH, "cannot-look-no-file", &std::fs::read_to_string(file).unwrap());
}
