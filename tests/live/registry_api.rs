//! `registry/api` against real servers; the verdict of a real client has to agree.

use crate::gitlab::{self, REGISTRY_NAME, REGISTRY_PORT, REGISTRY_URL};
use crate::http::Response;
use crate::lab::{CLIENT, HOST, Lab, REGISTRY, SERVER, wait_until};
use crate::node::Server;
use crate::site::{API, CONFIG, DEBUG, NGINX_CONF, Report, Site, changeable, keep};

/// The addresses of the server and the client that only some tests use.
const SERVER_V6: &str = "fd77::1";
const CLIENT_V6: &str = "fd77::2";

#[test]
fn a_healthy_registry_is_healthy_for_everybody() {
    let Some((site, _running)) = Site::start(|_| ()) else { return };
    let outside = site.agree_that_it_works(REGISTRY_NAME);
    assert_eq!(outside.ran.code, Some(0), "{}", outside.ran);
    let inside = site.seen_from_inside();
    assert_eq!((inside.status(API), inside.status(DEBUG)), ("passed", "passed"), "{}", inside.ran);
    // What people type: with a path, with a slash.
    for url in [format!("{REGISTRY_URL}/"), format!("{REGISTRY_URL}/v2/")] {
        assert_eq!(site.about(&url).status(API), "passed");
    }
    site.record_from_outside(API, "healthy-from-outside");
    site.record_from_inside(API, "healthy-on-the-server");
    site.record_from_inside(DEBUG, "healthy");
}

#[test]
fn the_way_ends_at_its_first_broken_stage() {
    let Some((site, _running)) = Site::start(|_| ()) else { return };
    let (client, server) = (&site.lab.client, &site.lab.server);

    // Nobody listens at the name server of the lab, so it cannot be known whether there is such
    // a name.
    site.agree_on("resolver-silent", "no-such-name.internal:4567");
    client.write("/etc/nsswitch.conf", "hosts: files\n");
    site.agree_on("name-unresolved", "no-such-name.internal:4567");
    let unresolved = ["--registry-url", "https://no-such-name.internal:4567"];
    site.record(client, &unresolved, API, "faulty-name-unresolved");

    site.agree_on("refused", &format!("{HOST}:4568"));
    let refused = format!("https://{HOST}:4568");
    site.record(client, &["--registry-url", &refused], API, "faulty-refused");

    // firewalld rejects so, which the system calls "no route to host".
    let reject = ["-A", "INPUT", "-p", "tcp", "--dport", "4569", "-j", "REJECT"];
    let how = ["--reject-with", "icmp-admin-prohibited"];
    server.must("iptables", &[&reject[..], &how].concat());
    let report = site.agree_on("unreachable", &format!("{HOST}:4569"));
    assert_eq!(report.evidence(API, "address"), [format!("{SERVER}:4569")]);

    // The opposite mistakes about TLS.
    let _plain = plain_registry(&site, "5050");
    site.agree_on("plain-http", &format!("{HOST}:5050"));
    let plain = format!("https://{HOST}:5050");
    site.record(client, &["--registry-url", &plain], API, "faulty-plain-http");
    let report = site.about(&REGISTRY_URL.replace("https", "http"));
    assert_eq!(report.codes(API), ["error http-to-tls-port"], "{}", report.ran);
    assert_eq!(report.commands(API), [format!("gldoctor run --registry-url {REGISTRY_URL}")]);
    assert_eq!(site.about(&plain.replace("https", "http")).status(API), "passed");

    client.must("ip", &["route", "add", "unreachable", "10.78.0.1"]);
    assert_eq!(site.about("https://10.78.0.1").codes(API), ["error unreachable"]);
    assert_eq!(site.about("https://10.79.0.1").codes(API), ["error no-route"]);

    server.filter(REGISTRY_PORT);
    let report = site.about(REGISTRY_URL);
    assert_eq!(report.codes(API), ["error silent"], "{}", report.ran);
    site.record_from_outside(API, "faulty-silent");
}

/// Distribution's registry without anything in front of it.
fn plain_registry(site: &Site, port: &str) -> Server {
    let server = &site.lab.server;
    let config = server.read(CONFIG);
    let config = config.replace("127.0.0.1:5000", &format!("{SERVER}:{port}"));
    let path = format!("/run/plain-{port}.yml");
    server.write(&path, config.replace("localhost:5001", "localhost:5091"));
    server.serve(REGISTRY, &["serve", &path], || server.listens(port.parse().unwrap()))
}

/// Lets nginx pass the registry's port to a stand-in behind it.
fn in_place_of_the_registry(lab: &Lab) {
    lab.server.edit(NGINX_CONF, |text| text.replace("127.0.0.1:5000", "127.0.0.1:8181"));
}

/// The challenge of GitLab's registry.
const CHALLENGE: &str =
    r#"Bearer realm="https://my-host.internal/jwt/auth",service="container_registry""#;

#[test]
fn who_answers_in_place_of_the_registry_is_named() {
    let Some((site, _running)) = Site::start(in_place_of_the_registry) else { return };
    let (server, answer) = changeable(&site);
    let html = |response: Response| response.with("Content-Type", "text/html");
    let page = |title: &str| format!("<!DOCTYPE html><html><title>{title}</title></html>");
    let record = |case: &str| site.record_from_outside(API, case);

    answer(Response::new(302, "").with("Location", "https://my-host.internal/users/sign_in"));
    site.agree_on("gitlab-answers", REGISTRY_NAME);
    record("faulty-redirected-to-sign-in");
    answer(html(Response::new(404, page("404"))).with("X-Gitlab-Meta", "{\"version\":\"1\"}"));
    site.agree_on("gitlab-answers", REGISTRY_NAME);
    answer(html(Response::new(404, page("404 Not Found"))));
    site.agree_on("not-a-registry", REGISTRY_NAME);
    record("faulty-wrong-server");
    answer(html(Response::new(200, page("Welcome to nginx!"))));
    site.agree_on("nginx-default", REGISTRY_NAME);
    record("faulty-default-page");
    answer(Response::json(401, &serde_json::json!({ "message": "401 Unauthorized" })));
    site.agree_on("gitlab-answers", REGISTRY_NAME);
    answer(html(Response::new(503, page("Down for maintenance"))));
    site.agree_on("registry-down", REGISTRY_NAME);
    answer(Response::new(302, "").with("Location", "https://sso.internal/login?next=x"));
    site.agree_on("redirected", REGISTRY_NAME);
    answer(Response::new(302, "").with("Location", "https://my-host.internal:4567/v2/"));
    site.agree_on("redirect-loop", REGISTRY_NAME);
    answer(html(Response::new(401, page("401"))).with("WWW-Authenticate", "Basic realm=\"x\""));
    site.agree_on("foreign-challenge", REGISTRY_NAME);
    let refusal = serde_json::json!({ "errors": [{ "code": "UNAUTHORIZED" }] });
    answer(Response::json(401, &refusal));
    site.agree_on("challenge-lost", REGISTRY_NAME);
    answer(Response::new(404, "404 page not found\n").with(VERSION, "registry/2.0"));
    site.agree_on("registry-error", REGISTRY_NAME);
    // gldoctor asks nothing but this, and sends no credentials.
    let asked = server.seen();
    let ours = asked
        .iter()
        .filter(|it| it.header("user-agent").is_some_and(|agent| agent.starts_with("gldoctor/")));
    for request in ours {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/v2/"));
        assert_eq!(request.header("authorization"), None);
    }
}

/// Where Rails keeps the address at which it asks the registry.
const RAILS_YML: &str = "/var/opt/gitlab/gitlab-rails/etc/gitlab.yml";

const VERSION: &str = "Docker-Distribution-Api-Version";

#[test]
fn unusual_answers_of_a_registry_are_no_faults() {
    let Some((site, _running)) = Site::start(in_place_of_the_registry) else { return };
    let (_server, answer) = changeable(&site);
    let refusal = serde_json::json!({ "errors": [{ "code": "UNAUTHORIZED" }] });

    let several = Response::json(401, &refusal)
        .with(VERSION, "registry/2.0")
        .with("WWW-Authenticate", "Negotiate")
        .with("WWW-Authenticate", CHALLENGE);
    answer(several);
    assert_eq!(site.seen_from_outside().status(API), "passed");
    site.record_from_outside(API, "near-miss-several-challenges");

    let shouting = Response::json(401, &refusal)
        .with(&VERSION.to_uppercase(), "registry/2.0")
        .with("www-AUTHENTICATE", CHALLENGE);
    answer(shouting);
    assert_eq!(site.seen_from_outside().status(API), "passed");

    let open = Response::json(200, &serde_json::json!({})).with(VERSION, "registry/2.0");
    answer(open);
    assert_eq!(site.seen_from_outside().status(API), "passed");

    // The header is lost, but clients of today go by the challenge.
    answer(Response::json(401, &refusal).with("WWW-Authenticate", CHALLENGE));
    let report = site.seen_from_outside();
    assert_eq!(report.codes(API), ["warning version-header-lost"], "{}", report.ran);
    assert_eq!(report.ran.code, Some(0));
    site.record_from_outside(API, "faulty-version-header-lost");

    let elsewhere = Response::new(307, "").with("Location", "https://registry.internal/v2/");
    answer(elsewhere);
    assert_eq!(site.seen_from_outside().codes(API), ["warning redirected"]);
}

#[test]
fn a_stopped_registry_is_one_story() {
    let Some((site, running)) = Site::start(|_| ()) else { return };
    running.registry.stop();
    site.agree_on("registry-down", REGISTRY_NAME);
    let report = site.seen_from_inside();
    assert_eq!(
        report.findings(API),
        [
            ["error", "refused", "http://127.0.0.1:5000", ""],
            ["error", "registry-down", REGISTRY_URL, API],
        ],
        "{}",
        report.ran
    );
    assert_eq!(
        report.findings(DEBUG),
        [["warning", "not-answering", "http://localhost:5001/debug/health", API]]
    );
    assert!(report.commands(API).contains(&"sudo gitlab-ctl start registry"));
    site.record_from_inside(API, "faulty-registry-stopped");
    site.record_from_outside(API, "faulty-bad-gateway");
}

#[test]
fn a_stopped_nginx_leaves_the_inner_address_alone() {
    let Some((site, running)) = Site::start(|_| ()) else { return };
    running.nginx.stop();
    let report = site.seen_from_inside();
    assert_eq!(report.findings(API), [["error", "refused", REGISTRY_URL, ""]], "{}", report.ran);
    assert!(report.commands(API).contains(&"sudo gitlab-ctl status nginx"));
    site.agree_on("refused", REGISTRY_NAME);
}

#[test]
fn the_address_that_gitlab_asks_is_examined() {
    let Some((site, _running)) = Site::start(|_| ()) else { return };
    let server = &site.lab.server;
    let rails = server.read(RAILS_YML);
    let asks = |url: &str| {
        server.write(RAILS_YML, rails.replace("http://127.0.0.1:5000", url));
        site.seen_from_inside()
    };
    // The same server by another name, and the address of users.
    for same in ["http://localhost:5000", REGISTRY_URL] {
        assert_eq!(asks(same).status(API), "passed", "{same}");
    }
    let report = asks("http://127.0.0.1:5005");
    let wrong = "http://127.0.0.1:5005";
    assert_eq!(report.findings(API), [["error", "refused", wrong, ""]], "{}", report.ran);
    assert!(report.ran.stdout.contains("gitlab_rails['registry_api_url']"), "{}", report.ran);
    site.record_from_inside(API, "faulty-api-url-at-another-port");
    let report = asks(&format!("http://{SERVER}:5000"));
    assert_eq!(report.codes(API), ["error refused"], "{}", report.ran);
    assert_eq!(asks("https://localhost:5000").codes(API), ["error plain-http"]);
    // A node of its own, which listens for GitLab.
    let _remote = plain_registry(&site, "5050");
    let report = asks(&format!("http://{HOST}:5050"));
    assert_eq!(report.status(API), "passed", "{}", report.ran);
    site.record_from_inside(API, "healthy-registry-on-another-node");
    assert_eq!(asks("https://my-host.internal").codes(API), ["error not-a-registry"]);
}

#[test]
fn an_address_without_a_port_is_the_cause() {
    let Some((site, running)) = Site::start(|_| ()) else { return };
    running.registry.stop();
    let without = |text: &str| text.replace("addr: 127.0.0.1:5000", "addr: 127.0.0.1");
    site.lab.server.edit(CONFIG, without);
    let report = site.seen_from_inside();
    assert_eq!(
        report.findings(API),
        [
            ["error", "address-unreadable", "127.0.0.1", ""],
            ["error", "refused", "http://127.0.0.1:5000", API],
            ["error", "registry-down", REGISTRY_URL, API],
        ],
        "{}",
        report.ran
    );
    site.record_from_inside(API, "faulty-address-without-port");
    // It stops at once.
    let ran = site.lab.server.run(REGISTRY, &["serve", CONFIG]);
    assert!(ran.stderr.contains("missing port in address"), "{ran}");
}

#[test]
fn unhealthy_storage_is_one_story() {
    // Above the storage, where the registry's account has to pass.
    let above = "/var/opt/gitlab/gitlab-rails/shared";
    let soon = |text: &str| text.replace("interval: 10s", "interval: 50ms");
    let Some((site, _running)) = Site::start(|lab| lab.server.edit(CONFIG, soon)) else { return };
    site.lab.server.must("chmod", &["700", above]);
    wait_until(|| site.seen_from_inside().status(DEBUG) != "passed");
    let report = site.seen_from_inside();
    let health = "http://localhost:5001/debug/health";
    assert_eq!(report.findings(DEBUG), [["error", "unhealthy", health, ""]], "{}", report.ran);
    assert_eq!(report.evidence(DEBUG, "storagedriver_filesystem").len(), 1);
    assert_eq!(
        report.findings(API),
        [
            ["error", "unhealthy", "http://127.0.0.1:5000", DEBUG],
            ["error", "unhealthy", REGISTRY_URL, DEBUG],
        ],
        "{}",
        report.ran
    );
    site.agree_on("unhealthy", REGISTRY_NAME);
    site.record_from_inside(DEBUG, "faulty-unhealthy-storage");
    site.record_from_outside(API, "faulty-unhealthy");
    // Without the debug server the inner address has to do.
    site.lab
        .server
        .edit(CONFIG, |text| text.replace("  debug:\n    addr: localhost:5001\n", "  x:\n"));
    let report = site.seen_from_inside();
    assert_eq!(report.status(DEBUG), "not_applicable");
    let explained: Vec<_> = report.findings(API).iter().map(|finding| finding[3]).collect();
    assert_eq!(explained, ["", API]);
}

#[test]
fn a_dead_address_beside_a_good_one_is_a_warning() {
    let Some((site, running)) = Site::start(|_| ()) else { return };
    let (client, server) = (&site.lab.client, &site.lab.server);
    let address = |node: &crate::node::Node, address: &str| {
        let with_bits = format!("{address}/64");
        node.must("ip", &["-6", "address", "add", &with_bits, "dev", "lab0", "nodad"]);
    };
    client.edit("/etc/hosts", |hosts| format!("{hosts}{SERVER_V6} {HOST}\n"));
    // The client has no IPv6 of its own yet, so nobody can tell.
    let report = site.seen_from_outside();
    assert_eq!(report.codes(API), ["notice address-untried"], "{}", report.ran);
    address(server, SERVER_V6);
    address(client, CLIENT_V6);
    let report = site.seen_from_outside();
    assert_eq!(report.codes(API), ["warning addresses-differ"], "{}", report.ran);
    assert!(site.client(REGISTRY_NAME).succeeded());
    site.record_from_outside(API, "faulty-ipv6-dead");
    // Somebody else answers there: whoever gets that address fails.
    server.edit(NGINX_CONF, |text| format!(
        "{text}\nserver {{ listen [::]:4567 ssl; server_name other.internal; \
         ssl_certificate /etc/gitlab/ssl/{HOST}.crt; ssl_certificate_key /etc/gitlab/ssl/{HOST}.key; \
         return 404; }}\n"
    ));
    running.nginx.signal("HUP");
    wait_until(|| site.seen_from_outside().codes(API) == ["error addresses-differ"]);
}

#[test]
fn proxy_variables_in_the_way_are_told() {
    let Some((site, _running)) = Site::start(|_| ()) else { return };
    let gldoctor = env!("CARGO_BIN_EXE_gldoctor");
    let run = |proxy: &[&str]| {
        let arguments = [gldoctor, "run", "--only", API, "--registry-url", REGISTRY_URL];
        let ran = site.lab.client.run("env", &[proxy, &arguments, &["--format", "json"]].concat());
        assert_eq!(ran.code, Some(0), "{ran}");
        ran.json()["summary"]["status"].as_str().unwrap().to_owned()
    };
    let proxy = "HTTPS_PROXY=http://me:hush@proxy.internal:3128";
    assert_eq!(run(&[proxy]), "notice");
    assert_eq!(run(&[proxy, "NO_PROXY=.internal"]), "ok");
}

#[test]
fn a_registry_of_ones_own_is_mended_with_systemd() {
    let Some(lab) = Lab::start(&[REGISTRY]) else { return };
    lab.client.write(
        "/etc/docker/registry/config.yml",
        "version: 0.1\nstorage: {inmemory: {}}\nhttp: {addr: ':5000', debug: {addr: ':5001'}}\n",
    );
    let report = Report::of(&lab.client, &[]);
    assert_eq!(report.findings(API), [["error", "refused", "http://127.0.0.1:5000", ""]]);
    assert!(report.commands(API).contains(&"sudo systemctl start docker-registry"));
    let registry =
        lab.client.serve(REGISTRY, &["serve", "/etc/docker/registry/config.yml"], || {
            lab.client.listens(5000) && lab.client.listens(5001)
        });
    let report = Report::of(&lab.client, &[]);
    assert_eq!(report.status(API), "passed", "{}", report.ran);
    assert_eq!(report.codes(DEBUG), ["error bound-widely"], "{}", report.ran);
    assert!(report.commands(DEBUG).contains(&"sudo systemctl restart docker-registry"));
    drop(registry);
}

#[test]
fn a_dead_installation_is_reported_in_full() {
    let Some(lab) = Lab::start(&["iptables"]) else { return };
    let certificate = crate::pki::self_signed(lab.dir(), HOST);
    let _gitlab = gitlab::Gitlab::install(&lab, &certificate);
    lab.server.filter(5000);
    let url = format!("http://{CLIENT}:81");
    // Every check there is, and every endpoint dead in one way or another.
    let ran = lab.server.gldoctor(&["run", "--timeout", "1s", "--url", &url, "--format", "json"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    let report = ran.json();
    assert_eq!(report["complete"], true);
    assert!(report["summary"]["errors"].as_u64() >= Some(1), "{ran}");
    for check in report["checks"].as_array().unwrap() {
        let reason = check["reason"].as_str().unwrap_or_default();
        assert!(!reason.contains("gldoctor itself"), "{check}");
    }
}

/// The checks that the registry's configuration decides.
const CONFIGURED: [&str; 5] =
    [API, DEBUG, "registry/storage-driver", "registry/redirect", "registry/proxy-headers"];

#[test]
fn what_cannot_be_read_is_unknown() {
    let Some((site, _running)) = Site::start(|_| ()) else { return };
    let server = &site.lab.server;
    // A program of one's own, because the account may not see where it was built.
    server.must("install", &["-m", "755", env!("CARGO_BIN_EXE_gldoctor"), "/run/gldoctor"]);
    server.must("install", &["-d", "-m", "777", "/run/nobody"]);
    let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "/run/gldoctor"];
    let as_nobody = |arguments: &[&str]| server.run("setpriv", &[&nobody[..], arguments].concat());
    let ran = as_nobody(&["run", "--only", "registry", "--format", "json"]);
    assert_eq!(ran.code, Some(3), "{ran}");
    let report = ran.json();
    for check in report["checks"].as_array().unwrap() {
        if CONFIGURED.contains(&check["id"].as_str().unwrap()) {
            assert_eq!(check["status"], "unknown", "{ran}");
            assert!(check["reason"].as_str().unwrap().contains(CONFIG), "{check}");
        }
    }
    for check in CONFIGURED {
        let file = "/run/nobody/recording.json";
        as_nobody(&["bundle", "-q", "--only", check, "-o", file]);
        keep(check, "cannot-look-denied", &server.read(file));
    }
}
