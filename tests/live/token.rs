//! The token flow: `registry/auth`, `registry/token` and `registry/read-only` against a real
//! registry and a stand-in for GitLab; skopeo has to come to the same end.

use serde_json::json;

use crate::clock::{Clock, start_chronyd};
use crate::gitlab::{REGISTRY_NAME, REGISTRY_URL, Running, start_rails, start_registry};
use crate::http::{HttpServer, Response};
use crate::lab::{CHRONYD, DOCKERD, FAKETIME, HOST, Lab, SERVER};
use crate::node::Node;
use crate::pki;
use crate::rails::{PASSWORD, Tokens, USER};
use crate::site::{CONFIG, Report, Site};

pub(crate) const AUTH: &str = "registry/auth";
pub(crate) const TOKEN: &str = "registry/token";
pub(crate) const READ_ONLY: &str = "registry/read-only";

/// All of them.
pub(crate) const FLOW: &str = "registry/auth,registry/token,registry/read-only";

/// Where the registry's certificates lie.
const BUNDLE: &str = "/var/opt/gitlab/registry/gitlab-registry.crt";
/// A file with credentials, on either node.
const NETRC: &str = "/run/home/netrc";
/// How gldoctor is told of it.
const WITH_LOGIN: [&str; 2] = ["--credentials", NETRC];
/// With time for the stores of a busy machine.
pub(crate) const FROM_OUTSIDE: [&str; 4] = ["--registry-url", REGISTRY_URL, "--timeout", "30s"];

/// A site whose client trusts the server, with credentials on both nodes.
pub(crate) fn start(edit: impl FnOnce(&Lab)) -> Option<(Site, Running)> {
    let started = Site::start(edit)?;
    let Site { lab } = &started.0;
    for node in [&lab.server, &lab.client] {
        node.write(NETRC, format!("machine {HOST} login {USER} password {PASSWORD}\n"));
    }
    let certificate = lab.server.read(&format!("/etc/gitlab/ssl/{HOST}.crt"));
    lab.client.trust_system_wide("gitlab", certificate);
    Some(started)
}

impl Site {
    /// What gldoctor on the server says, from the files and with a token of its own.
    pub(crate) fn on_server(&self, more: &[&str]) -> Report {
        Report::on(FLOW, &self.lab.server, &[&["--timeout", "30s"], more].concat())
    }

    /// What gldoctor on the client says with a login.
    pub(crate) fn with_login(&self) -> Report {
        Report::on(FLOW, &self.lab.client, &[&FROM_OUTSIDE[..], &WITH_LOGIN].concat())
    }

    /// skopeo can log in and see an image, or it cannot.
    #[track_caller]
    pub(crate) fn client_logs_in(&self, expected: bool) {
        let client = self.client(REGISTRY_NAME);
        assert_eq!(client.succeeded(), expected, "{client}");
    }

    /// Starts the registry anew, so that it takes in its files.
    pub(crate) fn restart(&self, running: Running) -> Running {
        let Running { nginx, registry, rails } = running;
        registry.stop();
        Running { nginx, registry: start_registry(&self.lab.server), rails }
    }
}

/// How often somebody tried a password.
fn logins(rails: &HttpServer) -> usize {
    rails.seen().iter().filter(|it| it.header("authorization").is_some()).count()
}

#[test]
fn a_healthy_flow_is_healthy_from_everywhere() {
    let Some((site, running)) = start(|_| ()) else { return };
    let server = &site.lab.server;
    site.client_logs_in(true);
    // On the server: GitLab's own key proves everything without a login.
    let before = logins(&running.rails);
    let report = site.on_server(&[]);
    for check in [AUTH, TOKEN, READ_ONLY] {
        assert_eq!(report.status(check), "passed", "{check}: {}", report.ran);
        site.record(server, &["--only", check], check, "healthy-on-the-server");
    }
    assert_eq!(logins(&running.rails), before);
    // From outside: only a login tells.
    let report = Report::on(FLOW, &site.lab.client, &FROM_OUTSIDE);
    let statuses = [AUTH, TOKEN, READ_ONLY].map(|check| report.status(check).to_owned());
    assert_eq!(statuses, ["passed", "not_applicable", "not_applicable"], "{}", report.ran);
    assert_eq!(report.ran.code, Some(0));
    site.record_from_outside(AUTH, "healthy-from-outside");
    let report = site.with_login();
    for check in [AUTH, TOKEN, READ_ONLY] {
        assert_eq!(report.status(check), "passed", "{check}: {}", report.ran);
    }
    assert_eq!(logins(&running.rails), before + 1, "one login for all checks");
    // From the environment, for the GitLab that a flag names.
    let url = format!("https://{HOST}");
    let gldoctor = env!("CARGO_BIN_EXE_gldoctor");
    let name = format!("GLDOCTOR_USERNAME={USER}");
    let password = format!("GLDOCTOR_PASSWORD={PASSWORD}");
    let run = [gldoctor, "run", "--only", TOKEN, "--url", &url, "--format", "json"];
    let ran = site.lab.client.run("env", &[&[&*name, &password], &run[..], &FROM_OUTSIDE].concat());
    assert_eq!(ran.json()["summary"]["status"], "ok", "{ran}");
    // Keys in rotation: the old and the new one.
    let other = pki::self_signed(site.lab.dir(), "Registry");
    server.edit(BUNDLE, |bundle| format!("{}{bundle}", other.pem()));
    let mut running = site.restart(running);
    assert_eq!(site.on_server(&[]).status(TOKEN), "passed");
    site.record(server, &[], TOKEN, "near-miss-two-keys");
    // A clock that differs by less than the registry bears.
    for clock_ahead in [50, -300] {
        running.rails = start_rails(server, Tokens { clock_ahead, ..Tokens::default() });
        let report = site.with_login();
        assert_eq!(report.status(TOKEN), "passed", "{clock_ahead}: {}", report.ran);
        site.client_logs_in(true);
    }
    // Files alone.
    let root = ["--offline-files-only"];
    let report = site.on_server(&root);
    let statuses = [AUTH, TOKEN, READ_ONLY].map(|check| report.status(check).to_owned());
    assert_eq!(statuses, ["passed", "not_applicable", "passed"], "{}", report.ran);
}

#[test]
fn a_token_that_the_registry_refuses_is_told_apart() {
    let Some((site, mut running)) = start(|_| ()) else { return };
    let server = &site.lab.server;
    let with_login =
        || Report::on(TOKEN, server, &[&WITH_LOGIN[..], &["--timeout", "30s"]].concat());
    let refused = |tokens: Tokens, code: &str| {
        let rails = start_rails(server, tokens);
        let report = with_login();
        assert_eq!(report.codes(TOKEN), [format!("error {code}")], "{}", report.ran);
        site.client_logs_in(false);
        rails
    };
    let tokens = Tokens::default();
    let other = "another-issuer".to_owned();
    running.rails = refused(Tokens { issuer: other, ..tokens.clone() }, "untrusted-issuer");
    let other = "another_service".to_owned();
    running.rails = refused(Tokens { audience: other, ..tokens.clone() }, "other-audience");
    running.rails = refused(Tokens { clock_ahead: 3600, ..tokens.clone() }, "token-not-yet-valid");
    site.record(server, &WITH_LOGIN, TOKEN, "faulty-clock-behind");
    running.rails = refused(Tokens { clock_ahead: -3900, ..tokens.clone() }, "token-expired");
    let key = pki::self_signed(site.lab.dir(), "Registry").key_pem();
    running.rails = refused(Tokens { key_pem: Some(key), ..tokens.clone() }, "untrusted-key");
    // From outside nobody can tell key, issuer and service apart, but that it is one of them.
    let report = site.with_login();
    assert_eq!(report.codes(TOKEN), ["error token-refused"], "{}", report.ran);
    assert_eq!(report.evidence(TOKEN, "issuer of the token"), ["omnibus-gitlab-issuer"]);
    running.rails = start_rails(server, tokens.clone());

    // The registry's side, found without any login.
    let bundle = server.read(BUNDLE);
    server.write(BUNDLE, pki::self_signed(site.lab.dir(), "Registry").pem());
    server.must("chown", &["registry:registry", BUNDLE]);
    running = site.restart(running);
    let report = site.on_server(&[]);
    assert_eq!(report.codes(TOKEN), ["error untrusted-key"], "{}", report.ran);
    let ids = [
        report.evidence(TOKEN, "key ID of the token"),
        report.evidence(TOKEN, "key IDs that it trusts"),
    ];
    assert!(ids.iter().all(|ids| ids.len() == 1 && ids[0].len() == 59), "{ids:?}");
    assert_ne!(ids[0], ids[1]);
    site.client_logs_in(false);
    // The log of the service, as svlogd would have it.
    let log = running.registry.log().replace("time=", "2026-11-22_12:00:00.00000 time=");
    server.write("/var/log/gitlab/registry/current", log);
    let report = site.on_server(&[]);
    let logged = report.evidence(TOKEN, "the registry's log");
    assert!(logged[0].starts_with(&format!("untrusted key: {}", ids[0][0])), "{logged:?}");
    site.record(server, &[], TOKEN, "faulty-untrusted-key");
    // The file is right again, but the process has not read it.
    server.write(BUNDLE, bundle);
    let report = site.on_server(&[]);
    assert_eq!(report.codes(TOKEN), ["error token-refused"], "{}", report.ran);
    assert!(report.commands(TOKEN).contains(&"sudo gitlab-ctl restart registry"));
    site.client_logs_in(false);

    server.edit(CONFIG, |text| text.replace("issuer: omnibus-gitlab-issuer", "issuer: other"));
    running = site.restart(running);
    let report = site.on_server(&[]);
    assert_eq!(report.codes(TOKEN), ["error untrusted-issuer"], "{}", report.ran);
    site.client_logs_in(false);
    drop(running);
}

#[test]
fn the_docker_daemon_comes_to_the_same_end() {
    if Lab::start(&[DOCKERD, "docker"]).is_none() {
        return;
    }
    let Some((site, mut running)) = start(|_| ()) else { return };
    let (server, client) = (&site.lab.server, &site.lab.client);
    let folder = format!("/etc/docker/certs.d/{REGISTRY_NAME}");
    client.write(&format!("{folder}/ca.crt"), client.read("/etc/lab-trusted/ca.crt"));
    let _docker = client.start_dockerd(site.lab.dir());
    let disabled =
        json!({ "errors": [{ "code": "UNAVAILABLE", "message": "registry not enabled" }] });
    let disabled = Response::json(404, &disabled);
    let healthy = Tokens::default();
    let cases = [
        (healthy.clone(), None),
        (Tokens { clock_ahead: 50, ..healthy.clone() }, None),
        (Tokens { clock_ahead: 120, ..healthy.clone() }, Some("token-not-yet-valid")),
        (Tokens { issuer: "other".to_owned(), ..healthy.clone() }, Some("token-refused")),
        (Tokens { instead: Some(disabled), ..healthy }, Some("registry-disabled")),
    ];
    for (tokens, code) in cases {
        running.rails = start_rails(server, tokens);
        let report = site.with_login();
        let found = report.codes(TOKEN);
        assert_eq!(found, code.map(|code| format!("error {code}")).as_slice(), "{}", report.ran);
        let login = client.run("docker", &["login", "-u", USER, "-p", PASSWORD, REGISTRY_NAME]);
        assert_eq!(login.succeeded(), code.is_none(), "{code:?}: {login}");
    }
}

#[test]
fn a_wrong_clock_explains_a_refused_token() {
    if Lab::start(&[CHRONYD, FAKETIME]).is_none() {
        return;
    }
    let Some((site, mut running)) = start(|_| ()) else { return };
    let server = &site.lab.server;
    running.rails = start_rails(server, Tokens { clock_ahead: 3600, ..Tokens::default() });
    let _time = start_chronyd(server, SERVER, Clock::Ahead(3600));
    let flags = [&WITH_LOGIN[..], &["--ntp", SERVER, "--timeout", "30s"]].concat();
    let report = Report::on("registry/token,clock/offset", server, &flags);
    let explained = [["error", "token-not-yet-valid", REGISTRY_URL, "clock/offset"]];
    assert_eq!(report.findings(TOKEN), explained, "{}", report.ran);
    site.client_logs_in(false);
}

#[test]
fn the_way_to_the_realm_is_a_part_of_it() {
    let Some((site, mut running)) = start(|_| ()) else { return };
    let (server, client) = (&site.lab.server, &site.lab.client);
    client.write("/etc/nsswitch.conf", "hosts: files\n");
    let realm = |old: &str, new: &str| {
        let set = |url: &str| format!("realm: {url}");
        server.edit(CONFIG, |text| text.replace(&set(old), &set(new)));
    };
    // A dead name of both is one story.
    let nowhere = ["--url", "https://nowhere.internal", "--registry-url"];
    let nowhere = [&nowhere[..], &["https://nowhere.internal:4567"]].concat();
    let report = Report::on("registry/api,registry/token", client, &nowhere);
    let explained = [["error", "name-unresolved", "https://nowhere.internal", "registry/api"]];
    assert_eq!(report.findings(TOKEN), explained, "{}", report.ran);
    let good = format!("https://{HOST}/jwt/auth");
    let mut last = good.clone();
    let cases = [
        (
            "https://no-such-name.internal/jwt/auth",
            "error realm-elsewhere",
            "error name-unresolved",
        ),
        ("https://my-host.internal:4568/jwt/auth", "error realm-elsewhere", "error refused"),
        ("https://my-host.internal/jwt/other", "error realm-path", "error not-gitlab"),
        ("https://my-host.internal/auth/token", "error autoredirect", "error not-gitlab"),
        ("http://my-host.internal/jwt/auth", "error realm-http", "error refused"),
    ];
    for (url, auth, token) in cases {
        realm(&last, url);
        url.clone_into(&mut last);
        running = site.restart(running);
        let mut flags = FROM_OUTSIDE.to_vec();
        let gitlab = format!("https://{HOST}");
        flags.extend(["--url", &gitlab]);
        let report = Report::on(FLOW, client, &flags);
        assert_eq!(report.codes(AUTH), [auth], "{url}: {}", report.ran);
        assert_eq!(report.codes(TOKEN), [token], "{url}: {}", report.ran);
        site.client_logs_in(false);
        if token == "error name-unresolved" {
            site.record(client, &flags, TOKEN, "faulty-realm-unresolved");
        }
        if auth == "error realm-http" {
            // What the file says is enough.
            let report = site.on_server(&["--offline-files-only"]);
            assert_eq!(report.codes(AUTH), [auth], "{}", report.ran);
            site.record(server, &["--offline-files-only"], AUTH, "faulty-realm-http-on-disk");
        }
    }
    realm(&last, &good);
    server.edit(CONFIG, |text| text.replace("autoredirect: false", "autoredirect: true"));
    running = site.restart(running);
    let report = site.on_server(&[]);
    assert_eq!(report.codes(AUTH), ["error autoredirect"], "{}", report.ran);
    site.client_logs_in(false);
    server.edit(CONFIG, |text| text.replace("autoredirect: true", "autoredirect: false"));
    let service = "service: container_registry\n    issuer";
    server.edit(CONFIG, |text| text.replace(service, "service: other\n    issuer"));
    running = site.restart(running);
    let report = site.on_server(&[]);
    assert_eq!(report.codes(AUTH), ["error wrong-service"], "{}", report.ran);
    assert!(report.codes(TOKEN).contains(&"error service-refused".to_owned()), "{}", report.ran);
    site.client_logs_in(false);
    site.record(server, &[], AUTH, "faulty-wrong-service");
    drop(running);
}

#[test]
fn what_gitlab_answers_has_its_meaning() {
    let Some((site, mut running)) = start(|_| ()) else { return };
    let server = &site.lab.server;
    let page = |status: u16, title: &str| {
        let page = format!("<!DOCTYPE html><html><title>{title}</title></html>");
        Response::new(status, page).with("Content-Type", "text/html; charset=utf-8")
    };
    let disabled =
        json!({ "errors": [{ "code": "UNAVAILABLE", "message": "registry not enabled" }] });
    let cases = [
        (Response::json(404, &disabled), "registry-disabled"),
        (Response::new(403, "Forbidden\n").with("Content-Type", "text/plain"), "shut-out"),
        (page(500, "Something went wrong (500)"), "gitlab-error"),
        (page(502, "GitLab is not responding (502)"), "gitlab-down"),
        (page(404, "404: Page not found"), "not-gitlab"),
        (Response::new(302, "").with("Location", "/users/sign_in"), "wrong-path"),
        (Response::json(200, &json!({ "hello": "world" })), "no-token"),
    ];
    for (instead, code) in cases {
        running.rails = start_rails(server, Tokens { instead: Some(instead), ..Tokens::default() });
        let report = site.with_login();
        assert_eq!(report.codes(TOKEN), [format!("error {code}")], "{}", report.ran);
        assert_eq!(report.status(AUTH), "passed");
        assert_eq!(logins(&running.rails), 0, "no password for a server that is not well");
        site.client_logs_in(false);
        if code == "registry-disabled" {
            site.record_from_outside(TOKEN, "faulty-registry-disabled");
        }
    }
    running.rails = start_rails(server, Tokens::default());

    // A wrong password is tried once, however many checks and runs of retries there could be.
    site.lab.client.write(NETRC, format!("machine {HOST} login {USER} password wrong\n"));
    let before = logins(&running.rails);
    let report = site.with_login();
    assert_eq!(report.codes(TOKEN), ["error login-refused"], "{}", report.ran);
    assert_eq!(logins(&running.rails), before + 1);
    site.record(
        &site.lab.client,
        &[&FROM_OUTSIDE[..], &WITH_LOGIN].concat(),
        TOKEN,
        "faulty-login-refused",
    );
    // No password is sent where nobody here vouches for the server.
    site.lab.client.must("rm", &["/usr/local/share/ca-certificates/gitlab.crt"]);
    site.lab.client.must("update-ca-certificates", &["--fresh"]);
    let before = logins(&running.rails);
    let report = site.with_login();
    assert_eq!(report.status(TOKEN), "unknown", "{}", report.ran);
    assert_eq!(logins(&running.rails), before);
    site.record(
        &site.lab.client,
        &[&FROM_OUTSIDE[..], &WITH_LOGIN].concat(),
        TOKEN,
        "cannot-look-untrusted",
    );
    // The registry goes on, but GitLab is gone.
    running.nginx.stop();
    drop(running.rails);
}

#[test]
fn a_realm_with_a_certificate_of_its_own_needs_it_in_the_registry_s_folder() {
    let gitlab = "/etc/gitlab/ssl/own.crt";
    let conf = "/var/opt/gitlab/nginx/conf/gitlab-http.conf";
    let Some((site, _running)) = start(|lab| {
        let certificate = pki::self_signed(lab.dir(), HOST);
        lab.server.write(gitlab, certificate.pem());
        lab.server.write("/etc/gitlab/ssl/own.key", certificate.key_pem());
        let own = |name: &str| format!("/etc/gitlab/ssl/{name}.");
        lab.server.edit(conf, |text| text.replace(&own(HOST), &own("own")));
    }) else {
        return;
    };
    let client = &site.lab.client;
    // The client of the site trusts the registry system-wide, and not GitLab.
    let folder = format!("/etc/docker/certs.d/{REGISTRY_NAME}");
    client.write(&format!("{folder}/ca.crt"), client.read("/etc/lab-trusted/ca.crt"));
    let login = ["login", "-u", USER, "-p", PASSWORD, REGISTRY_NAME];
    let report = Report::on(FLOW, client, &FROM_OUTSIDE);
    assert_eq!(report.codes(TOKEN), ["error realm-untrusted"], "{}", report.ran);
    let refused = client.run("skopeo", &login);
    assert!(refused.x509_error().is_some(), "{refused}");
    site.record(client, &FROM_OUTSIDE, TOKEN, "faulty-realm-untrusted");
    // With the check that says more of it, it is one story.
    let report = Report::on("registry/token,trust/docker", client, &FROM_OUTSIDE);
    let explained = [["error", "realm-untrusted", &format!("https://{HOST}"), "trust/docker"]];
    assert_eq!(report.findings(TOKEN), explained, "{}", report.ran);
    // A folder that is named after GitLab does not help, a second file does.
    client.write(&format!("/etc/docker/certs.d/{HOST}/ca.crt"), site.lab.server.read(gitlab));
    let report = Report::on(FLOW, client, &FROM_OUTSIDE);
    assert_eq!(report.codes(TOKEN), ["error realm-untrusted"], "{}", report.ran);
    client.write(&format!("{folder}/gitlab.crt"), site.lab.server.read(gitlab));
    let report = Report::on(FLOW, client, &[&FROM_OUTSIDE[..], &WITH_LOGIN].concat());
    assert_eq!(report.status(TOKEN), "passed", "{}", report.ran);
    assert!(client.run("skopeo", &login).succeeded());
}

#[test]
fn no_secret_leaves_the_machine() {
    let Some((site, running)) = start(|_| ()) else { return };
    let server = &site.lab.server;
    let key = server.read("/var/opt/gitlab/gitlab-rails/etc/gitlab-registry.key");
    // A server that sends back all that it was sent.
    let echo = format!("you sent {PASSWORD}, {}", base64(&format!("{USER}:{PASSWORD}")));
    let errors =
        json!({ "errors": [{ "code": "DENIED", "message": "access forbidden" }], "echo": echo });
    let mut told = Vec::new();
    for flags in [WITH_LOGIN.to_vec(), [&WITH_LOGIN[..], &["--timeout", "30s"]].concat()] {
        for format in ["human", "short", "json"] {
            let ran = server.gldoctor(
                &[&["run", "--only", "registry", "--verbose", "--format", format], &flags[..]]
                    .concat(),
            );
            told.push(ran.stdout + &ran.stderr);
        }
        let recording = site.lab.dir().join("recording.json");
        let bundle = site.lab.dir().join("bundle.tar.gz");
        for file in [&recording, &bundle] {
            let file = file.to_str().unwrap();
            let ran = server
                .gldoctor(&[&["bundle", "--only", "registry", "-o", file], &flags[..]].concat());
            told.push(ran.stdout + &ran.stderr);
        }
        told.push(std::fs::read_to_string(&recording).unwrap());
        told.push(server.must("tar", &["-xzOf", bundle.to_str().unwrap()]));
        drop(start_rails(
            server,
            Tokens {
                instead: Some(Response::json(403, &errors).with("Server", PASSWORD)),
                ..Tokens::default()
            },
        ));
    }
    assert!(logins(&running.rails) > 0);
    let basic = base64(&format!("{USER}:{PASSWORD}"));
    for text in &told {
        assert!(!text.contains(PASSWORD), "the password: {text}");
        assert!(!text.contains(&basic), "the password in base64: {text}");
        // The claims of every JWT start so, behind its header.
        assert!(!text.contains(".eyJ"), "a token: {text}");
        // A PKCS#1 file starts with the modulus, 512 bytes that stand in the certificate as well.
        for line in key.lines().skip(13).filter(|line| line.len() > 40) {
            assert!(!line.starts_with('-') && !text.contains(line), "the key: {text}");
        }
    }
    assert!(told.iter().any(|text| text.contains(USER)), "the user name may be shown");
}

fn base64(text: &str) -> String {
    data_encoding::BASE64.encode(text.as_bytes())
}

#[test]
fn without_the_right_to_read_the_key_it_is_unknown() {
    let Some((site, _running)) = start(|_| ()) else { return };
    let server = &site.lab.server;
    server.must("install", &["-m", "755", env!("CARGO_BIN_EXE_gldoctor"), "/run/gldoctor"]);
    server.must("install", &["-d", "-m", "777", "/run/nobody"]);
    let record = |node: &Node, check: &str| {
        let file = "/run/nobody/recording.json";
        let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "/run/gldoctor"];
        let bundle = ["bundle", "-q", "--only", check, "-o", file];
        let ran = node.run("setpriv", &[&nobody[..], &bundle].concat());
        assert_eq!(ran.code, Some(3), "{check}: {ran}");
        crate::site::keep(check, "cannot-look-denied", &node.read(file));
    };
    for check in [AUTH, TOKEN, READ_ONLY] {
        record(server, check);
    }
}
