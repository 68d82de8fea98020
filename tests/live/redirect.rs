//! `registry/redirect`: a real registry sends a real client to a real object store.

use crate::gitlab::{Gitlab, REGISTRY_NAME, Running, start_registry};
use crate::lab::{HOST, Lab, SERVER, SKOPEO};
use crate::node::{Ran, Server};
use crate::object_store::{self, PORT, TLS_PORT};
use crate::pki::Authority;
use crate::rails::{PASSWORD, USER};
use crate::site::{CONFIG, Report, Site};

const CHECK: &str = "registry/redirect";
const TRUSTED: &str = "/etc/lab-trusted";
const REPOSITORY: &str = "group/demo-app";

/// A site whose registry can be moved to an object store.
struct Redirected {
    site: Site,
    running: Option<Running>,
    credentials: String,
}

impl Redirected {
    /// The client's program, told whom to trust and who it is.
    fn skopeo(&self, copy: bool, arguments: &[&str]) -> Ran {
        let (verb, prefix) = if copy { ("copy", "--src-") } else { ("inspect", "--") };
        let trust = format!("{prefix}cert-dir");
        let user = format!("{prefix}creds");
        let first = if copy { vec![verb, "--insecure-policy"] } else { vec![verb, "--raw"] };
        let who = [trust.as_str(), TRUSTED, &user, &self.credentials];
        self.site.lab.client.run("skopeo", &[&first[..], &who, arguments].concat())
    }

    /// Whether a client gets a manifest, and the layers of an image.
    fn pulls(&self) -> (bool, bool) {
        let image = format!("docker://{REGISTRY_NAME}/{REPOSITORY}:1.0");
        let to = self.site.lab.dir().join("pulled");
        std::fs::remove_dir_all(&to).ok();
        let manifest = self.skopeo(false, &[&image]);
        let all = self.skopeo(true, &[&image, &format!("dir:{}", to.display())]);
        (manifest.succeeded(), all.succeeded())
    }

    /// Moves the registry to the store, at an address and with sections beside the driver.
    fn settle(&mut self, endpoint: &str, beside: &str) {
        let server = &self.site.lab.server;
        let old = self.running.take().map(|running| {
            let Running { nginx, registry, rails } = running;
            registry.stop();
            (nginx, rails)
        });
        let (nginx, rails) = old.unwrap();
        server.edit(CONFIG, |text| {
            let line = text.lines().find(|line| line.starts_with("storage:")).unwrap();
            text.replace(line, &object_store::storage(endpoint, "", beside))
        });
        let registry: Server = start_registry(server);
        self.running = Some(Running { nginx, registry, rails });
    }

    fn judged(&self) -> Report {
        Report::on(CHECK, &self.site.lab.server, &[])
    }
}

#[test]
fn layers_come_from_where_the_client_can_go() {
    let Some((site, running)) = Site::start(|_| ()) else { return };
    let Some(_store) = object_store::start(&site.lab.server) else { return };
    let credentials = format!("{USER}:{PASSWORD}");
    let mut redirected = Redirected { site, running: Some(running), credentials };
    // In a folder: the registry serves layers itself.
    assert_eq!(redirected.judged().status(CHECK), "not_applicable");
    assert_eq!(redirected.pulls(), (true, true));

    // The image moves into the store through the registry, without redirects.
    let loopback = format!("http://127.0.0.1:{PORT}");
    let disabled = ", \"redirect\": {\"disable\": true}";
    let image = redirected.site.lab.dir().join("pulled");
    let kept = redirected.site.lab.dir().join("image");
    std::fs::rename(&image, &kept).unwrap();
    redirected.settle(&loopback, disabled);
    let pushed = redirected.site.lab.client.run(
        "skopeo",
        &[
            "copy",
            "--insecure-policy",
            "--dest-cert-dir",
            TRUSTED,
            "--dest-creds",
            &redirected.credentials,
            &format!("dir:{}", kept.display()),
            &format!("docker://{REGISTRY_NAME}/{REPOSITORY}:1.0"),
        ],
    );
    assert!(pushed.succeeded(), "{pushed}");
    assert_eq!(redirected.pulls(), (true, true));
    let report = redirected.judged();
    assert_eq!(report.status(CHECK), "passed", "{}", report.ran);
    redirected.site.record_from_inside(CHECK, "near-miss-disabled");

    // The default: clients are sent to the store, and find themselves there.
    redirected.settle(&loopback, "");
    assert_eq!(redirected.pulls(), (true, false));
    let report = redirected.judged();
    assert_eq!(report.codes(CHECK), ["error loopback"], "{}", report.ran);
    redirected.site.record_from_inside(CHECK, "faulty-loopback");

    // An address that the client reaches.
    redirected.settle(&format!("http://{SERVER}:{PORT}"), "");
    assert_eq!(redirected.pulls(), (true, true));
    let report = redirected.judged();
    assert_eq!(report.status(CHECK), "passed", "{}", report.ran);
    redirected.site.record_from_inside(CHECK, "healthy");

    // A name that only the server knows, as containers on one network do.
    let server = &redirected.site.lab.server;
    server.edit("/etc/hosts", |hosts| format!("{hosts}{SERVER} minio\n127.0.0.1 store.{HOST}\n"));
    redirected.settle(&format!("http://minio:{PORT}"), "");
    assert_eq!(redirected.pulls(), (true, false));
    assert_eq!(redirected.judged().codes(CHECK), ["warning short-name"]);
    redirected.settle(&format!("http://store.{HOST}:{PORT}"), "");
    assert_eq!(redirected.pulls(), (true, false));
    assert_eq!(redirected.judged().codes(CHECK), ["warning loopback"]);
    // The registry works without a store while nobody asks for layers.
    redirected.settle(&format!("http://{SERVER}:9999"), "");
    assert_eq!(redirected.judged().codes(CHECK), ["error store-unreachable"]);

    trust_in_the_store(&mut redirected);
}

/// The client on the server itself has the registry's certificate, but not the store's authority.
fn trust_in_the_store(redirected: &mut Redirected) {
    let name = format!("registry.{HOST}");
    let authority = Authority::root("Store Root");
    let tls = authority.issue(redirected.site.lab.dir(), &[&name]);
    let server = &redirected.site.lab.server;
    let _tls = object_store::start_tls(server, &tls.pem(), &tls.key_pem());
    let folder = format!("/etc/docker/certs.d/{REGISTRY_NAME}");
    server.must(
        "sh",
        &["-c", &format!("mkdir -p {folder} && cp /etc/gitlab/ssl/{HOST}.crt {folder}/ca.crt")],
    );
    object_store::trust_only(server, Authority::root("Other Root").pem());
    // The registry itself verifies nothing, so that the client's verdict is the only one.
    let more = format!("https://{name}:{TLS_PORT}");
    redirected.settle(&more, "");
    server_skips_verification(redirected);
    let pulled = |redirected: &Redirected| {
        let image = format!("docker://{REGISTRY_NAME}/{REPOSITORY}:1.0");
        let copy = ["copy", "--insecure-policy", "--src-creds", &redirected.credentials, &image];
        let to = format!("dir:/run/pulled-{}", std::process::id());
        redirected.site.lab.server.run("skopeo", &[&copy[..], &[&to]].concat())
    };
    let refused = pulled(redirected);
    let error = "x509: certificate signed by unknown authority";
    assert_eq!(refused.x509_error(), Some(error), "{refused}");
    let report = redirected.judged();
    assert_eq!(report.codes(CHECK), ["error store-not-trusted"], "{}", report.ran);
    redirected.site.record_from_inside(CHECK, "faulty-store-not-trusted");

    redirected.site.lab.server.write(&format!("{folder}/store.crt"), authority.pem());
    let accepted = pulled(redirected);
    assert!(accepted.succeeded(), "{accepted}");
    assert_eq!(redirected.judged().status(CHECK), "passed", "{}", redirected.judged().ran);
}

fn server_skips_verification(redirected: &mut Redirected) {
    let server = &redirected.site.lab.server;
    server.edit(CONFIG, |text| {
        text.replace("\"regionendpoint\"", "\"skipverify\": true, \"regionendpoint\"")
    });
    let Running { nginx, registry, rails } = redirected.running.take().unwrap();
    registry.stop();
    let registry = start_registry(server);
    redirected.running = Some(Running { nginx, registry, rails });
}

#[test]
fn files_alone_tell_the_worst() {
    let Some(lab) = Lab::start(&[SKOPEO]) else { return };
    let certificate = crate::pki::self_signed(lab.dir(), HOST);
    let _gitlab = Gitlab::install(&lab, &certificate);
    let root = lab.dir().join("root");
    let root = root.to_str().unwrap();
    let judged = |rb: &str| {
        let path = format!("{root}/etc/gitlab/gitlab.rb");
        lab.server.write(&path, format!("registry_external_url 'https://{HOST}:4567'\n{rb}\n"));
        Report::on(CHECK, &lab.server, &["--root", root])
    };
    let s3 =
        "registry['storage'] = { 's3' => { 'bucket' => 'b', 'region' => 'x', 'secretkey' => 'hush'";
    let report = judged(&format!("{s3}, 'regionendpoint' => 'http://localhost:9000' }} }}"));
    assert_eq!(report.codes(CHECK), ["error loopback"], "{}", report.ran);
    assert!(!report.ran.stdout.contains("hush"));
    let report = judged(&format!("{s3} }} }}"));
    assert_eq!(report.codes(CHECK), ["notice redirect-to-cloud"], "{}", report.ran);
    let report = judged(&format!("{s3} }}, 'redirect' => {{ 'disable' => true }} }}"));
    assert_eq!(report.status(CHECK), "passed", "{}", report.ran);
    let report = judged(&format!("{s3}, 'regionendpoint' => 'https://s3.{HOST}:9000' }} }}"));
    assert_eq!(report.status(CHECK), "passed", "{}", report.ran);
}
