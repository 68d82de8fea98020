//! The system's own store, filled by the real `update-ca-certificates`, in four opinions:
//! gldoctor's, curl's, OpenSSL's, and through skopeo Go's. After what gldoctor prints is pasted
//! into a shell, all of them have to accept.

use serde_json::Value;

use crate::gitlab::{Gitlab, REGISTRY_NAME, REGISTRY_URL, Running};
use crate::lab::{HOST, Lab, NGINX, REGISTRY, SKOPEO};
use crate::pki::{self, Authority, Certificate, in_der};
use crate::rails::{PASSWORD, USER};

const DROP_IN: &str = "/usr/local/share/ca-certificates";

/// OpenSSL as on Debian 12 and before, where it goes by hash links alone.
const BY_LINKS: &str = "mount -t tmpfs lab /usr/lib/ssl && \
                        ln -s /etc/ssl/certs /etc/ssl/openssl.cnf /usr/lib/ssl/";

/// A registry, and a client with nothing but Debian's own store.
struct Scene {
    _running: Running,
    lab: Lab,
}

impl Scene {
    fn start(certificate: impl FnOnce(&Lab) -> Certificate) -> Option<Self> {
        let programs = [NGINX, REGISTRY, SKOPEO, "curl", "update-ca-certificates"];
        let lab = Lab::start(&programs)?;
        let running = Gitlab::install(&lab, &certificate(&lab)).start(&lab);
        lab.client.must("sh", &["-c", BY_LINKS]);
        Some(Self { _running: running, lab })
    }

    /// A store to which these files were added in turn, the store being updated after each.
    fn add(&self, files: &[(&str, &[u8])]) {
        self.sh(&format!("rm -rf {DROP_IN}/*"));
        self.update("--fresh");
        for (name, content) in files {
            self.lab.client.write(&format!("{DROP_IN}/{name}"), content);
            self.update("");
        }
    }

    fn update(&self, flag: &str) {
        self.sh(&format!("update-ca-certificates {flag}"));
    }

    fn sh(&self, script: &str) {
        self.lab.client.must("bash", &["-c", script]);
    }

    /// Whether curl, OpenSSL and Go accept.
    fn accepts(&self) -> [bool; 3] {
        let run = |program, arguments: &[&str]| self.lab.client.run(program, arguments).succeeded();
        let s_client = format!(
            "openssl s_client -connect {REGISTRY_NAME} -verify_return_error -verify_hostname {HOST} \
             </dev/null"
        );
        [
            run("curl", &["-sS", "-o", "/dev/null", REGISTRY_URL]),
            run("sh", &["-c", &s_client]),
            run("skopeo", &["login", "-u", USER, "-p", PASSWORD, REGISTRY_NAME]),
        ]
    }

    fn findings(&self) -> Vec<Value> {
        let arguments = ["run", "--only", "trust/system", "--registry-url", REGISTRY_URL];
        let ran = self.lab.gldoctor(&[&arguments[..], &["--format", "json"]].concat());
        let report = ran.json();
        let checks = report["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["id"] == "trust/system").unwrap();
        assert_ne!(check["status"], "unknown", "{report:#}");
        check["findings"].as_array().unwrap().clone()
    }

    /// A case that some of curl, OpenSSL and Go accept, that gldoctor calls `codes`, and that its
    /// commands mend for all.
    #[track_caller]
    fn told_and_mended(&self, codes: &[&str], accept: [bool; 3]) {
        assert_eq!(self.accepts(), accept, "{codes:?}");
        let findings = self.findings();
        let found: Vec<_> = findings.iter().map(|it| it["code"].as_str().unwrap()).collect();
        assert_eq!(found, codes, "{findings:#?}");
        for command in findings[0]["remedy"]["commands"].as_array().unwrap() {
            let command = command.as_str().unwrap();
            self.sh(&format!("set -e -o pipefail; sudo() {{ \"$@\"; }}; {command}"));
        }
        assert_eq!(self.accepts(), [true; 3], "{codes:?} after {findings:#?}");
        let left = self.findings();
        assert!(left.is_empty(), "{codes:?}: {left:#?}");
    }
}

#[test]
fn files_that_never_come_into_the_store_are_mended() {
    let root = Authority::root("Lab Root");
    let Some(scene) = Scene::start(|lab| root.issue(lab.dir(), &[HOST])) else { return };
    let pem = root.pem();
    let nobody = [false; 3];
    for (name, code, content) in [
        ("lab.pem", "ending-not-read", pem.as_bytes().to_vec()),
        ("Lab Root (1).CRT", "ending-not-read", pem.as_bytes().to_vec()),
        ("lab.der", "ending-not-read", in_der(pem)),
        ("lab.crt", "der", in_der(pem)),
        ("lab.crt", "indented", pem.replace("-----BEGIN", "  -----BEGIN").into_bytes()),
    ] {
        scene.add(&[(name, &content)]);
        scene.told_and_mended(&[code], nobody);
    }
    scene.add(&[]);
    scene.lab.client.write(&format!("{DROP_IN}/lab.crt"), pem);
    scene.told_and_mended(&["not-updated"], nobody);
}

#[test]
fn files_that_only_some_programs_read_are_mended() {
    let root = Authority::root("Lab Root");
    let other = Authority::root("Other Root");
    let Some(scene) = Scene::start(|lab| root.issue(lab.dir(), &[HOST])) else { return };
    let pem = root.pem();
    scene.add(&[("lab.crt", &[b"\xef\xbb\xbf", pem.as_bytes()].concat())]);
    scene.told_and_mended(&["byte-order-mark"], [true, true, false]);
    scene.add(&[("lab.crt", pem.replace(" CERT", " X509 CERT").as_bytes())]);
    scene.told_and_mended(&["x509-label"], [true, true, false]);
    scene.add(&[("lab.crt", format!("{}{pem}", other.pem()).as_bytes())]);
    scene.told_and_mended(&["several-certificates"], [true, false, true]);
    scene.add(&[("lab.crt", other.pem().as_bytes()), ("lab.crt", pem.as_bytes())]);
    scene.told_and_mended(&["stale-hash-link"], [true, false, true]);
    // One broken file spoils the bundle for all others, and for every server.
    let broken = &other.pem()[..300];
    scene.add(&[("lab.crt", pem.as_bytes()), ("a.crt", broken.as_bytes())]);
    scene.told_and_mended(&["breaks-the-bundle"], [false, true, true]);
}

#[test]
fn a_store_to_which_nobody_added_anything_is_mended() {
    let Some(scene) = Scene::start(|lab| pki::self_signed(lab.dir(), HOST)) else { return };
    scene.add(&[]);
    assert_eq!(scene.findings()[0]["severity"], "warning");
    scene.told_and_mended(&["unknown-authority"], [false; 3]);
}

/// What reconfigure does for GitLab's own store, in place of `gitlab-ctl`: `openssl rehash`, and a
/// link for each certificate that it hashed where there is none yet.
const RECONFIGURE: &str = r#"
set -e -o pipefail
sudo() { "$@"; }
gitlab-ctl() {
  [ "$1" = reconfigure ] || return 0
  cd /etc/gitlab/trusted-certs
  openssl rehash .
  for link in *.[0-9]; do
    [ -L "$link" ] || continue
    grep -q TRUSTED "$link" && continue
    [ -L "/opt/gitlab/embedded/ssl/certs/$link" ] ||
      ln -s "$PWD/$(readlink "$link")" "/opt/gitlab/embedded/ssl/certs/$link"
  done
}
"#;

/// Whether OpenSSL, looking for it by links as Rails does, finds a root in GitLab's own store.
fn rails_trusts(lab: &Lab, pem: &str) -> bool {
    lab.server.write("/run/root.crt", pem);
    let store = "/opt/gitlab/embedded/ssl/certs";
    let arguments = ["verify", "-no-CAfile", "-CApath", store, "/run/root.crt"];
    lab.server.run("openssl", &arguments).succeeded()
}

#[test]
fn files_that_reconfigure_passes_over_are_mended() {
    let Some(lab) = Lab::start(&[]) else { return };
    let (root, other) = (Authority::root("Lab Root"), Authority::root("Other Root"));
    let pem = root.pem();
    let sh = |script: &str| {
        lab.server.must("bash", &["-c", &format!("{RECONFIGURE}\n{script}")]);
    };
    lab.server.write("/etc/gitlab/gitlab.rb", format!("external_url 'https://{HOST}'\n"));
    for (name, code, content) in [
        ("lab.crt", None, pem.as_bytes().to_vec()),
        ("lab.CER", None, pem.replace('\n', "\r\n").into_bytes()),
        ("lab.cert", Some("ending-not-read"), pem.as_bytes().to_vec()),
        ("lab.der", Some("ending-not-read"), in_der(pem)),
        ("lab.crt", Some("der"), in_der(pem)),
        ("lab.crt", Some("several-certificates"), format!("{pem}{}", other.pem()).into_bytes()),
    ] {
        sh("rm -rf /etc/gitlab/trusted-certs /opt/gitlab/embedded/ssl/certs; \
            mkdir -p /etc/gitlab/trusted-certs /opt/gitlab/embedded/ssl/certs");
        lab.server.write(&format!("/etc/gitlab/trusted-certs/{name}"), content);
        sh("gitlab-ctl reconfigure");
        let told = || {
            let run = ["run", "--only", "trust/gitlab-store", "--format", "json"];
            let report = lab.server.gldoctor(&run).json();
            let checks = report["checks"].as_array().unwrap();
            let check = checks.iter().find(|check| check["id"] == "trust/gitlab-store").unwrap();
            check["findings"].as_array().unwrap().clone()
        };
        let findings = told();
        let codes: Vec<_> = findings.iter().map(|it| it["code"].as_str().unwrap()).collect();
        assert_eq!(codes, code.as_slice(), "{name}: {findings:#?}");
        assert_eq!(rails_trusts(&lab, pem), code.is_none(), "{name}");
        for finding in &findings {
            for command in finding["remedy"]["commands"].as_array().unwrap() {
                sh(command.as_str().unwrap());
            }
            assert!(rails_trusts(&lab, pem), "{name} after {finding:#?}");
            assert!(told().is_empty(), "{name}");
        }
    }
}

#[test]
fn what_the_store_lacks_is_told_once() {
    let root = Authority::root("Lab Root");
    let Some(scene) = Scene::start(|lab| root.issue(lab.dir(), &[HOST])) else { return };
    scene.add(&[]);
    scene.lab.client.write(&format!("/etc/docker/certs.d/{REGISTRY_NAME}/ca.crt"), root.pem());
    let run = ["run", "--only", "trust/system,trust/matrix", "--registry-url", REGISTRY_URL];
    let report = scene.lab.gldoctor(&[&run[..], &["--format", "json"]].concat()).json();
    let checks = report["checks"].as_array().unwrap().iter();
    let matrix = checks.into_iter().find(|it| it["id"] == "trust/matrix").unwrap();
    let finding = &matrix["findings"][0];
    assert_eq!(finding["code"], "clients-disagree", "{report:#}");
    assert_eq!(finding["caused_by"], "trust/system", "{report:#}");
}
