//! The checks of certificates against real nginx, OpenSSL, curl and skopeo.

use std::path::Path;

use crate::gitlab::{Gitlab, REGISTRY_NAME, REGISTRY_URL, Running};
use crate::lab::{HOST, Lab, NGINX, REGISTRY, SERVER, SKOPEO};
use crate::node::{Node, Ran};
use crate::pki::{self, Authority, Certificate};
use crate::rails::{PASSWORD, USER};
use crate::site::{NGINX_CONF, Report, Site};

const SERVED: &str = "tls/served";
const VALIDITY: &str = "tls/validity";
const NAMES: &str = "tls/names";
const DOCKER: &str = "trust/docker";
const ALL: &str = "tls,trust/docker,registry/api";

/// The file from which nginx takes its certificate.
const FILE: &str = "/etc/gitlab/ssl/my-host.internal.crt";

/// A GitLab whose services run, and what it takes to look at it.
struct Ground {
    site: Site,
    running: Running,
}

impl Ground {
    /// With this certificate; `edit` makes a fault before nginx starts.
    fn start(
        certificate: impl FnOnce(&Path) -> Certificate,
        edit: impl FnOnce(&Lab),
    ) -> Option<Self> {
        let lab =
            Lab::start(&[NGINX, REGISTRY, SKOPEO, "curl", "openssl", "update-ca-certificates"])?;
        let certificate = certificate(lab.dir());
        let gitlab = Gitlab::install(&lab, &certificate);
        edit(&lab);
        let running = gitlab.start(&lab);
        Some(Self { site: Site { lab }, running })
    }

    fn server(&self) -> &Node {
        &self.site.lab.server
    }

    fn client(&self) -> &Node {
        &self.site.lab.client
    }

    /// Puts another certificate and key where nginx will find them.
    fn replace(&self, certificate: &Certificate) {
        self.server().write(FILE, certificate.pem());
        let key = FILE.replace(".crt", ".key");
        self.server().write(&key, certificate.key_pem());
        self.server().must("chmod", &["600", &key]);
    }

    /// Lets nginx read its files again, and waits until the new workers answer.
    fn reload(&self) {
        let before = self.shown();
        self.running.nginx.signal("HUP");
        for _ in 0..50 {
            std::thread::sleep(std::time::Duration::from_millis(100));
            if self.shown() != before {
                return;
            }
        }
    }

    /// The chain that OpenSSL is shown, as it prints it.
    fn shown(&self) -> String {
        let connect = format!("{SERVER}:4567");
        let arguments = ["s_client", "-showcerts", "-connect", &connect, "-servername", HOST];
        let shown = self.client().run("openssl", &arguments).stdout;
        let lines = shown.lines().skip_while(|line| !line.contains("Certificate chain"));
        lines.take_while(|line| !line.contains("Server certificate")).collect::<Vec<_>>().join("\n")
    }

    fn inside(&self) -> Report {
        Report::on(ALL, self.server(), &[])
    }

    fn outside(&self) -> Report {
        Report::on(ALL, self.client(), &["--registry-url", REGISTRY_URL])
    }

    /// What skopeo says with what the client's system trusts, and with Docker's folder.
    fn skopeo(&self) -> Ran {
        self.client().run("skopeo", &["login", "-u", USER, "-p", PASSWORD, REGISTRY_NAME])
    }

    fn curl(&self) -> Ran {
        self.client().run("curl", &["-sS", &format!("https://{HOST}/")])
    }

    fn record_inside(&self, check: &str, case: &str) {
        self.site.record_from_inside(check, case);
    }

    fn record_outside(&self, check: &str, case: &str) {
        self.site.record_from_outside(check, case);
    }
}

/// A certificate from a root, for these years.
fn issued(root: &Authority, dir: &Path, from: i32, to: i32) -> Certificate {
    let mut parameters = pki::server(&[HOST]);
    parameters.not_before = rcgen::date_time_ymd(from, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(to, 1, 1);
    root.issue_from(dir, &parameters)
}

#[test]
fn nginx_shows_the_old_certificate_until_it_is_told_to_read_the_new_one() {
    let root = Authority::root("Lab Root");
    let old = |dir: &Path| issued(&root, dir, 2020, 2021);
    let Some(ground) = Ground::start(old, |_| ()) else { return };
    ground.client().trust_system_wide("lab-root", root.pem());
    ground.server().trust_system_wide("lab-root", root.pem());

    let both = ground.inside();
    assert_eq!(both.codes(VALIDITY), ["error expired"], "{}", both.ran);
    assert_eq!(both.status(SERVED), "passed", "{}", both.ran);
    assert!(ground.skopeo().x509_error().unwrap_or_default().contains("has expired"));

    // Renewed, and forgotten.
    ground.replace(&issued(&root, ground.site.lab.dir(), 2026, 2028));
    let half = ground.inside();
    assert_eq!(half.codes(SERVED), ["error not-reloaded"], "{}", half.ran);
    let [[_, code, _, cause]] = half.findings(VALIDITY)[..] else { panic!("{}", half.ran) };
    assert_eq!((code, cause), ("expired", SERVED), "{}", half.ran);
    assert!(ground.skopeo().x509_error().unwrap_or_default().contains("has expired"));
    ground.record_inside(SERVED, "faulty-not-reloaded");

    ground.reload();
    let healthy = ground.inside();
    for check in [SERVED, VALIDITY, NAMES, "tls/strength"] {
        assert_eq!(healthy.status(check), "passed", "{check}: {}", healthy.ran);
    }
    assert!(ground.skopeo().succeeded(), "{}", ground.skopeo());
    assert!(ground.curl().succeeded(), "{}", ground.curl());
    ground.record_inside(SERVED, "healthy");
}

#[test]
fn a_missing_intermediate_is_found_where_it_can_be_known() {
    let root = Authority::root("Lab Root");
    let issuing = root.subordinate("Lab Issuing");
    let Some(ground) = Ground::start(|dir| issuing.issue(dir, &[HOST]), |_| ()) else { return };
    ground.client().trust_system_wide("lab-root", root.pem());
    // The root of a whole chain need not be on the server.
    assert_eq!(ground.inside().status(SERVED), "passed", "{}", ground.inside().ran);
    ground.record_inside(SERVED, "near-miss-root-not-here");
    assert_eq!(ground.outside().status(SERVED), "passed", "{}", ground.outside().ran);
    assert!(ground.skopeo().succeeded(), "{}", ground.skopeo());

    // The file loses it, and nginx reads that.
    let whole = ground.server().read(FILE);
    let first = whole.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
    ground.server().write(FILE, first);
    ground.reload();
    let error = ground.skopeo();
    assert_eq!(error.x509_error(), Some("x509: certificate signed by unknown authority"));
    assert!(ground.curl().stderr.contains("(60)"), "{}", ground.curl());
    let outside = ground.outside();
    assert_eq!(outside.codes(SERVED), ["warning issuer-unknown"], "{}", outside.ran);
    ground.record_outside(SERVED, "faulty-issuer-unknown");

    // Where it lies somewhere, it can be named.
    ground.server().write("/etc/gitlab/trusted-certs/issuing.crt", issuing.pem());
    let inside = ground.inside();
    assert_eq!(inside.codes(SERVED), ["error chain-incomplete"], "{}", inside.ran);
    ground.record_inside(SERVED, "faulty-intermediate-missing");
    // The remedy, word for word.
    let [append, _] = inside.commands(SERVED)[..] else { panic!("{}", inside.ran) };
    ground.server().must("sh", &["-c", &append.replace("sudo ", "")]);
    let mended = ground.inside();
    assert_eq!(mended.codes(SERVED), ["error chain-not-served"], "{}", mended.ran);
    ground.record_inside(SERVED, "faulty-chain-not-reloaded");
    ground.reload();
    assert_eq!(ground.inside().status(SERVED), "passed", "{}", ground.inside().ran);
    assert!(ground.skopeo().succeeded() && ground.curl().succeeded());
}

#[test]
fn what_is_out_of_order_or_too_much_works_and_is_told() {
    let root = Authority::root("Lab Root");
    let middle = root.subordinate("Lab Middle");
    let issuing = middle.subordinate("Lab Issuing");
    let Some(ground) = Ground::start(|dir| issuing.issue(dir, &[HOST]), |_| ()) else { return };
    ground.client().trust_system_wide("lab-root", root.pem());
    let whole = ground.server().read(FILE);
    let end = "-----END CERTIFICATE-----\n";
    let parts: Vec<_> = whole.split_inclusive(end).collect();
    let [leaf, lower, upper] = parts[..] else { panic!("{whole}") };

    ground.server().write(FILE, format!("{leaf}{upper}{lower}"));
    ground.reload();
    let report = ground.inside();
    assert_eq!(report.codes(SERVED), ["notice wrong-order"], "{}", report.ran);
    assert!(ground.skopeo().succeeded() && ground.curl().succeeded());
    ground.record_inside(SERVED, "faulty-wrong-order");

    ground.server().write(FILE, format!("{whole}{}", root.pem()));
    ground.reload();
    assert_eq!(ground.inside().codes(SERVED), ["notice root-sent"], "{}", ground.inside().ran);
    assert!(ground.skopeo().succeeded() && ground.curl().succeeded());
    ground.record_inside(SERVED, "faulty-root-sent");

    ground.server().write(FILE, format!("{leaf}{leaf}{lower}{upper}"));
    ground.reload();
    let report = ground.inside();
    assert_eq!(report.codes(SERVED), ["notice stray-certificate"], "{}", report.ran);
    assert!(ground.skopeo().succeeded() && ground.curl().succeeded());
}

#[test]
fn the_certificate_of_another_server_on_the_port_is_told() {
    let root = Authority::root("Lab Root");
    let own = |dir: &Path| root.issue(dir, &[HOST]);
    let Some(ground) = Ground::start(own, |lab| {
        let other = root.issue(lab.dir(), &["wiki.internal"]);
        lab.server.write("/etc/wiki.crt", other.pem());
        lab.server.write("/etc/wiki.key", other.key_pem());
        lab.server
            .edit(NGINX_CONF, |text| text.replace("/etc/gitlab/ssl/my-host.internal", "/etc/wiki"));
    }) else {
        return;
    };
    ground.client().trust_system_wide("lab-root", root.pem());
    ground.server().trust_system_wide("lab-root", root.pem());
    let report = ground.inside();
    let [[_, code, subject, _], ..] = report.findings(SERVED)[..] else { panic!("{}", report.ran) };
    assert_eq!((code, subject), ("other-certificate", REGISTRY_URL), "{}", report.ran);
    assert_eq!(report.findings(NAMES)[0][3], SERVED, "{}", report.ran);
    let refused = ground.skopeo();
    assert_eq!(
        refused.x509_error(),
        Some("x509: certificate is valid for wiki.internal, not my-host.internal")
    );
    assert_eq!(ground.outside().codes(NAMES), ["error name-mismatch"], "{}", ground.outside().ran);
    ground.record_inside(SERVED, "faulty-other-server");
}

#[test]
fn a_port_that_speaks_what_its_url_does_not_say_is_told() {
    let Some(ground) = Ground::start(
        |dir| pki::self_signed(dir, HOST),
        |lab| lab.server.edit(NGINX_CONF, |text| text.replace(" ssl;", ";")),
    ) else {
        return;
    };
    let report = ground.outside();
    assert_eq!(report.codes(SERVED), ["error plain-http"], "{}", report.ran);
    assert_eq!(report.findings(SERVED)[0][3], "registry/api", "{}", report.ran);
    assert!(!ground.skopeo().succeeded());
    ground.record_outside(SERVED, "faulty-plain-http");

    let http = format!("http://{HOST}:443");
    let report = Report::on(SERVED, ground.client(), &["--url", &http]);
    assert_eq!(report.codes(SERVED), ["error tls-on-http-port"], "{}", report.ran);
    let curl = ground.client().run("curl", &["-s", &http]);
    assert!(curl.stdout.contains("plain HTTP request was sent to HTTPS port"), "{curl}");
}

#[test]
fn a_server_of_another_age_is_told() {
    let Some(ground) = Ground::start(
        |dir| pki::self_signed(dir, HOST),
        |lab| {
            let old = "ssl_protocols TLSv1 TLSv1.1; ssl_ciphers DEFAULT@SECLEVEL=0; server_name";
            for file in [NGINX_CONF, "/var/opt/gitlab/nginx/conf/gitlab-http.conf"] {
                lab.server.edit(file, |text| {
                    let without = text.lines().filter(|line| !line.contains("ssl_protocols"));
                    let without = without.filter(|line| !line.contains("ssl_ciphers"));
                    without.collect::<Vec<_>>().join("\n").replacen("server_name", old, 1)
                });
            }
        },
    ) else {
        return;
    };
    let report = ground.outside();
    assert_eq!(report.codes(SERVED), ["error old-protocol"], "{}", report.ran);
    assert!(!ground.skopeo().succeeded());
    ground.record_outside(SERVED, "faulty-old-protocol");

    drop(ground.running.nginx);
    let report = Report::on(SERVED, &ground.site.lab.server, &[]);
    assert_eq!(report.status(SERVED), "unknown", "{}", report.ran);
    ground.site.record_from_inside(SERVED, "cannot-look-nginx-down");
}

#[test]
fn an_outdated_copy_explains_why_docker_refuses() {
    let Some(ground) = Ground::start(|dir| pki::self_signed(dir, HOST), |_| ()) else { return };
    let before = pki::self_signed(ground.site.lab.dir(), HOST);
    let folder = format!("/etc/docker/certs.d/{REGISTRY_NAME}/ca.crt");
    ground.client().write(&folder, before.pem());
    let report = ground.outside();
    assert_eq!(report.codes(SERVED), ["error old-copy"], "{}", report.ran);
    let docker = report.findings(DOCKER);
    assert!(docker.iter().all(|finding| finding[3] == SERVED), "{}", report.ran);
    assert!(!docker.is_empty(), "{}", report.ran);
    assert!(ground.skopeo().x509_error().is_some());
    ground.record_outside(SERVED, "faulty-old-copy");

    // Old and new side by side work.
    let new = ground.server().read(FILE);
    ground.client().write(&folder, format!("{}{new}", before.pem()));
    assert_eq!(ground.outside().status(SERVED), "passed", "{}", ground.outside().ran);
    assert!(ground.skopeo().succeeded(), "{}", ground.skopeo());
}

/// What the human report says of trust and certificates: its root causes, each with what it
/// explains, and how many findings stand alone beside them.
fn headline(node: &Node, arguments: &[&str]) -> (Vec<String>, Report) {
    let report = Report::on("tls,trust", node, arguments);
    let checks = report.json()["checks"].as_array().unwrap().iter();
    let findings = checks.flat_map(|check| {
        let findings = check["findings"].as_array().unwrap().iter();
        findings.map(|finding| (check["id"].as_str().unwrap(), finding))
    });
    let alone = findings
        .filter(|(_, finding)| finding["caused_by"].is_null() && finding["severity"] != "notice");
    let alone = alone.map(|(id, finding)| format!("{id} {}", finding["code"].as_str().unwrap()));
    (alone.collect(), report)
}

/// Every client of the server's own host is given a certificate, in each of its ways.
fn give_everybody(node: &Node, pem: &str) {
    node.write(&format!("/etc/docker/certs.d/{REGISTRY_NAME}/ca.crt"), pem);
    node.write(&format!("/etc/gitlab-runner/certs/{HOST}.crt"), pem);
    node.write("/usr/bin/gitlab-runner", "");
    let config = format!("[[runners]]\n  name = \"one\"\n  url = \"https://{HOST}\"\n");
    node.write("/etc/gitlab-runner/config.toml", config);
    node.trust_system_wide("lab", pem);
}

/// On disk = served = trusted: whichever of the three is the odd one out is the one that is named,
/// once, and all that follows from it is told under it.
#[test]
fn of_three_copies_the_odd_one_out_is_named() {
    let Some(ground) = Ground::start(|dir| pki::self_signed(dir, HOST), |_| ()) else { return };
    let server = ground.server();
    let first = server.read(FILE);
    give_everybody(server, &first);
    let (alone, report) = headline(server, &[]);
    assert!(alone.is_empty(), "{alone:?}: {}", report.ran);

    // Renewed with a new key, given to everybody, and nginx still shows the old one.
    let renewed = pki::self_signed(ground.site.lab.dir(), HOST);
    ground.replace(&renewed);
    give_everybody(server, &renewed.pem());
    let (alone, report) = headline(server, &[]);
    assert_eq!(alone, ["tls/served not-reloaded"], "{}", report.ran);
    let human = server.gldoctor(&["run", "--only", "tls,trust"]);
    assert_eq!(human.stdout.matches("explains 5 others:").count(), 1, "{human}");
    assert_eq!(human.stdout.matches("ERROR").count(), 1, "{human}");

    // nginx shows it, but the clients still have the old one.
    ground.reload();
    give_everybody(server, &first);
    let (alone, report) = headline(server, &[]);
    assert_eq!(alone, ["tls/served old-copy"], "{}", report.ran);

    // What is printed mends every client at once.
    for command in report.commands(SERVED) {
        server.must("sh", &["-c", &command.replace("sudo ", "")]);
    }
    let (alone, report) = headline(server, &[]);
    assert!(alone.is_empty(), "{alone:?}: {}", report.ran);

    // Another server block answers on the registry's port.
    let wiki = pki::self_signed(ground.site.lab.dir(), "wiki.internal");
    server.write("/etc/wiki.crt", wiki.pem());
    server.write("/etc/wiki.key", wiki.key_pem());
    server.must("chmod", &["600", "/etc/wiki.key"]);
    server.edit(NGINX_CONF, |text| text.replace("/etc/gitlab/ssl/my-host.internal", "/etc/wiki"));
    ground.reload();
    let (alone, report) = headline(server, &[]);
    assert_eq!(alone, ["tls/served other-certificate"], "{}", report.ran);
}

#[test]
fn the_certificate_of_the_guide_is_the_cause_that_is_named() {
    let Some(ground) = Ground::start(|dir| pki::by_the_guide(dir, HOST), |_| ()) else { return };
    let folder = format!("/etc/docker/certs.d/{REGISTRY_NAME}/ca.crt");
    ground.client().write(&folder, ground.server().read(FILE));
    let report = ground.outside();
    assert_eq!(report.codes(NAMES), ["error no-alternative-name"], "{}", report.ran);
    assert_eq!(report.findings(DOCKER)[0][3], NAMES, "{}", report.ran);
    let says = report.evidence(NAMES, "refused by Docker, the runner and other Go programs");
    assert_eq!(
        says,
        [
            "tls: failed to verify certificate: x509: certificate relies on legacy Common Name field, use SANs instead"
        ]
    );
    assert!(ground.skopeo().x509_error().unwrap_or_default().contains("legacy Common Name"));
    // curl takes it, once it trusts it.
    ground.client().write("/etc/lab-ca.crt", ground.server().read(FILE));
    let url = format!("https://{HOST}/");
    let curl = ground.client().run("curl", &["-sS", "--cacert", "/etc/lab-ca.crt", &url]);
    assert!(curl.succeeded(), "{curl}");

    // The remedy, word for word, on the server.
    let inside = ground.inside();
    let commands = inside.commands(NAMES);
    ground.server().must("sh", &["-c", &commands[0].replace("sudo ", "")]);
    ground.reload();
    ground.client().write(&folder, ground.server().read(FILE));
    assert_eq!(ground.outside().status(NAMES), "passed", "{}", ground.outside().ran);
    assert!(ground.skopeo().succeeded(), "{}", ground.skopeo());
}
