//! Docker's trust, in three opinions: gldoctor's, skopeo's, and the Docker daemon's. After what
//! gldoctor prints is pasted into a shell, all of them have to accept.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::gitlab::{Gitlab, REGISTRY_NAME, REGISTRY_URL, Running};
use crate::lab::{DOCKERD, HOST, Lab, NGINX, REGISTRY, SKOPEO};
use crate::node::{Node, Ran};
use crate::pki::{self, Authority, Certificate, in_der, utf16};
use crate::rails::{PASSWORD, USER};

/// What the commands of a remedy call, where nobody has to become root and nothing supervises.
const TOOLS: &str = r#"
set -e -o pipefail
sudo() { "$@"; }
gitlab-ctl() { kill -HUP "$(cat /var/opt/gitlab/nginx/nginx.pid)"; }
"#;

/// A GitLab, and a client that trusts nobody but one public root.
struct Scene {
    running: Running,
    root: Authority,
    lab: Lab,
}

impl Scene {
    fn start(programs: &[&str]) -> Option<Self> {
        let lab = Lab::start(&[&[NGINX, REGISTRY, SKOPEO][..], programs].concat())?;
        let root = Authority::root("Lab Root");
        let certificate = root.subordinate("Lab Issuing").issue(lab.dir(), &[HOST]);
        let running = Gitlab::install(&lab, &certificate).start(&lab);
        lab.client.must("sh", &["-c", "rm -rf /etc/ssl/certs && mkdir /etc/ssl/certs"]);
        let public = Authority::root("Public Root");
        lab.client.write("/etc/ssl/certs/ca-certificates.crt", public.pem());
        Some(Self { running, root, lab })
    }

    /// Lets GitLab and the registry show another certificate.
    fn show(&self, certificate: &Certificate) {
        let file = format!("/etc/gitlab/ssl/{HOST}");
        self.lab.server.write(&format!("{file}.crt"), certificate.pem());
        self.lab.server.write(&format!("{file}.key"), certificate.key_pem());
        self.running.nginx.signal("HUP");
        self.settle();
    }

    /// Waits until nginx shows what is in its file.
    fn settle(&self) {
        let since = Instant::now();
        let file = format!("/etc/gitlab/ssl/{HOST}.crt");
        let wanted = self.lab.server.must("openssl", &["x509", "-in", &file]);
        let shown = format!("openssl s_client -connect {REGISTRY_NAME} </dev/null | openssl x509");
        while self.lab.client.run("sh", &["-c", &shown]).stdout != wanted {
            assert!(since.elapsed() < Duration::from_secs(20), "nginx shows another certificate");
        }
    }

    /// Puts files into the client's `certs.d`, in place of all that were there, and takes away
    /// what earlier cases left elsewhere.
    fn give(&self, files: &[(&str, &[u8])]) {
        let clear = "rm -rf /etc/docker /usr/local/share/ca-certificates/*";
        self.lab.client.must("sh", &["-c", clear]);
        for (name, content) in files {
            self.lab.client.write(&format!("/etc/docker/certs.d/{name}"), content);
        }
    }

    fn skopeo(&self) -> Ran {
        self.lab.client.run("skopeo", &["login", "-u", USER, "-p", PASSWORD, REGISTRY_NAME])
    }

    fn docker(&self) -> Ran {
        self.lab.client.run("docker", &["login", "-u", USER, "-p", PASSWORD, REGISTRY_NAME])
    }

    fn doctor(&self) -> Doctor {
        Doctor::on(&self.lab.client, &["--registry-url", REGISTRY_URL])
    }

    /// Pastes commands into a shell on the client, and those for GitLab's host into one there.
    fn paste(&self, commands: &[String]) {
        let mut node: &Node = &self.lab.client;
        for command in commands {
            match command.as_str() {
                "# on GitLab's own host:" => node = &self.lab.server,
                "# then on this one:" => {
                    self.settle();
                    node = &self.lab.client;
                }
                _ => {
                    let ran = node.run("bash", &["-c", &format!("{TOOLS}\n{command}")]);
                    assert!(ran.succeeded(), "{command}: {ran}");
                }
            }
        }
    }
}

/// What gldoctor says.
struct Doctor {
    report: Value,
}

impl Doctor {
    fn on(node: &Node, more: &[&str]) -> Self {
        let run = ["run", "--only", "trust/docker,trust/docker-layout", "--format", "json"];
        Self { report: node.gldoctor(&[&run[..], more].concat()).json() }
    }

    fn findings(&self, check: &str) -> Vec<&Value> {
        let checks = self.report["checks"].as_array().unwrap();
        let check = checks.iter().find(|it| it["id"] == check).unwrap();
        check["findings"].as_array().unwrap().iter().collect()
    }

    fn codes(&self, check: &str) -> Vec<&str> {
        let findings = self.findings(check);
        findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect()
    }

    fn error(&self) -> Option<&Value> {
        self.findings("trust/docker").into_iter().find(|finding| finding["severity"] == "error")
    }

    /// Docker's words for its refusal, if it refuses.
    fn refusal(&self) -> Option<&str> {
        let evidence = self.error()?["evidence"].as_array().unwrap().iter();
        let mut said = evidence.filter(|it| it["what"] == "Docker says");
        Some(said.next().unwrap()["value"].as_str().unwrap())
    }

    /// Whether it has looked at a certificate and has nothing against it.
    fn accepts(&self) -> bool {
        let checks = self.report["checks"].as_array().unwrap();
        let check = checks.iter().find(|it| it["id"] == "trust/docker").unwrap();
        let status = check["status"].as_str().unwrap();
        matches!(status, "passed" | "notice" | "warning")
    }

    /// The commands of what is at the bottom of the refusal.
    fn commands(&self) -> Vec<String> {
        let error = self.error().unwrap();
        let cause = error["caused_by"].as_str();
        let finding = match cause {
            Some(check) => self.findings(check)[0],
            None => error,
        };
        let commands = finding["remedy"]["commands"].as_array().unwrap().iter();
        commands.map(|command| command.as_str().unwrap().to_owned()).collect()
    }
}

/// Words without what two clients may see differently: the second, and Go's advice of the year.
fn core(words: &str) -> &str {
    let words = words.find("x509: ").map_or(words, |at| &words[at..]);
    let words = words.split(" current time ").next().unwrap();
    words.split(" (possibly because of ").next().unwrap().trim_end_matches(['"', '\\'])
}

/// Compares the opinions of gldoctor and a real client; whether they accept.
#[track_caller]
fn agree(case: &str, doctor: &Doctor, client: &Ran) -> bool {
    let accepts = client.succeeded();
    assert_eq!(doctor.accepts(), accepts, "{case}: {client}\n{:#}", doctor.report);
    if let (false, Some(words)) = (accepts, client.x509_error()) {
        assert_eq!(core(doctor.refusal().unwrap()), core(words), "{case}: {client}");
    }
    accepts
}

/// A case: refused as `code`, and accepted after what gldoctor prints is done.
#[track_caller]
fn refused_and_mended(scene: &Scene, case: &str, code: &str) {
    let doctor = scene.doctor();
    assert!(!agree(case, &doctor, &scene.skopeo()), "{case} is accepted");
    assert_eq!(doctor.error().unwrap()["code"], code, "{case}");
    let commands = doctor.commands();
    assert!(!commands.is_empty(), "{case}: {:#}", doctor.report);
    scene.paste(&commands);
    if commands.iter().any(|command| command.contains("gitlab-ctl")) {
        scene.settle();
    }
    let doctor = scene.doctor();
    assert!(agree(case, &doctor, &scene.skopeo()), "{case} after {commands:#?}");
}

/// A case: accepted, with these notices.
#[track_caller]
fn accepted(scene: &Scene, case: &str, notices: &[&str]) {
    let doctor = scene.doctor();
    assert!(agree(case, &doctor, &scene.skopeo()), "{case} is refused");
    assert_eq!(doctor.codes("trust/docker"), notices, "{case}");
}

#[test]
fn files_that_go_does_not_read_are_mended() {
    let Some(scene) = Scene::start(&[]) else { return };
    let root = scene.root.pem();
    let other = Authority::root("Other Root");
    let indented = format!("    {}\n", root.trim_end().replace('\n', "\n    "));
    let glued = format!("{}{root}", other.pem().trim_end());
    let labelled = root.replace(" CERTIFICATE", " X509 CERTIFICATE");
    let file = format!("{REGISTRY_NAME}/ca.crt");
    for (code, content) in [
        ("der", in_der(root)),
        ("byte-order-mark", [b"\xef\xbb\xbf", root.as_bytes()].concat()),
        ("indented", indented.into_bytes()),
        ("glued-markers", glued.into_bytes()),
        ("x509-label", labelled.into_bytes()),
        ("utf-16", utf16(root)),
    ] {
        scene.give(&[(&file, &content)]);
        refused_and_mended(&scene, code, code);
    }
}

#[test]
fn odd_files_that_go_reads_are_no_fault() {
    let Some(scene) = Scene::start(&[]) else { return };
    let root = scene.root.pem();
    let other = Authority::root("Other Root");
    let file = format!("{REGISTRY_NAME}/ca.crt");
    for (case, content) in [
        ("plain", root.to_owned()),
        ("CRLF", root.replace('\n', "\r\n")),
        ("text before", format!("Certificate:\n    Data:\n        Version: 3 (0x2)\n{root}")),
        ("several", format!("{}{root}", other.pem())),
        ("no last line end", root.trim_end().to_owned()),
    ] {
        scene.give(&[(&file, content.as_bytes())]);
        accepted(&scene, case, &[]);
    }
    let odd = format!("{REGISTRY_NAME}/odd.crt");
    scene.give(&[(&file, root.as_bytes()), (&odd, b"nothing")]);
    accepted(&scene, "a second, useless file", &[]);
}

#[test]
fn stores_that_end_with_the_next_renewal_are_accepted_with_a_notice() {
    let Some(scene) = Scene::start(&[]) else { return };
    let chain = scene.lab.server.read(&format!("/etc/gitlab/ssl/{HOST}.crt"));
    let second = chain[1..].find("-----BEGIN").unwrap() + 1;
    let (leaf, issuing) = chain.split_at(second);
    let file = format!("{REGISTRY_NAME}/ca.crt");
    for content in [leaf, issuing] {
        scene.give(&[(&file, content.as_bytes())]);
        accepted(&scene, content, &["fragile-trust"]);
    }
}

#[test]
fn folders_and_files_of_the_wrong_name_are_mended() {
    let Some(scene) = Scene::start(&[]) else { return };
    let root = scene.root.pem().as_bytes();
    for (folder, code) in [
        (format!("{HOST}:5000"), "wrong-folder"),
        (HOST.to_owned(), "wrong-folder"),
        ("My-Host.internal:4567".to_owned(), "wrong-folder"),
        (format!("{HOST}_4567"), "wrong-folder"),
    ] {
        scene.give(&[(&format!("{folder}/ca.crt"), root)]);
        assert_eq!(scene.doctor().codes("trust/docker-layout"), [code], "{folder}");
        refused_and_mended(&scene, &folder, "unknown-authority");
        assert!(scene.doctor().findings("trust/docker-layout").is_empty(), "{folder}");
    }
    scene.give(&[(&format!("{REGISTRY_NAME}/ca.pem"), root)]);
    assert_eq!(scene.doctor().codes("trust/docker-layout"), ["ending-not-read"]);
    refused_and_mended(&scene, "ca.pem", "unknown-authority");
    scene.give(&[(&format!("{REGISTRY_NAME}/ca.cert"), root)]);
    assert_eq!(scene.doctor().codes("trust/docker-layout"), ["incomplete-pair"]);
    let refused = scene.skopeo();
    assert!(refused.stderr.contains("missing key ca.key for client certificate"), "{refused}");
    refused_and_mended(&scene, "ca.cert", "folder-unusable");
    scene.give(&[("ca.crt", root)]);
    assert_eq!(scene.doctor().codes("trust/docker-layout"), ["no-folder"]);
    refused_and_mended(&scene, "no folder", "unknown-authority");
}

#[test]
fn what_a_client_lacks_is_found() {
    let Some(scene) = Scene::start(&[]) else { return };
    let other = Authority::root("Other Root");
    let file = format!("{REGISTRY_NAME}/ca.crt");
    // Added for the system, but nobody ran update-ca-certificates.
    scene.give(&[(&file, other.pem().as_bytes())]);
    scene.lab.client.write("/usr/local/share/ca-certificates/lab.crt", scene.root.pem());
    refused_and_mended(&scene, "elsewhere", "unknown-authority");
    assert!(scene.lab.client.read(&format!("/etc/docker/certs.d/{file}")).contains("BEGIN"));

    // The server sends its root along.
    let chain = scene.lab.server.read(&format!("/etc/gitlab/ssl/{HOST}.crt"));
    let path = format!("/etc/gitlab/ssl/{HOST}.crt");
    scene.lab.server.write(&path, format!("{chain}{}", scene.root.pem()));
    scene.running.nginx.signal("HUP");
    std::thread::sleep(Duration::from_millis(500));
    scene.give(&[]);
    refused_and_mended(&scene, "sent along", "unknown-authority");
}

#[test]
fn certificates_that_are_bad_in_themselves_are_refused_in_the_same_words() {
    let Some(scene) = Scene::start(&[]) else { return };
    let file = format!("{REGISTRY_NAME}/ca.crt");
    let root = scene.root.pem().as_bytes();
    let dir = scene.lab.dir();
    let dated = |from: i32, to: i32| {
        let mut parameters = pki::server(&[HOST]);
        parameters.not_before = rcgen::date_time_ymd(from, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(to, 1, 1);
        scene.root.issue_from(dir, &parameters)
    };
    let issuing = scene.root.subordinate("Lab Issuing").issue(dir, &[HOST]);
    let alone = issuing.first_only(dir);
    for (code, certificate) in [
        ("expired", dated(2020, 2021)),
        ("not-yet-valid", dated(2090, 2095)),
        ("name-mismatch", scene.root.issue(dir, &["other.internal"])),
        ("unknown-authority", alone),
    ] {
        scene.show(&certificate);
        scene.give(&[(&file, root)]);
        let doctor = scene.doctor();
        assert!(!agree(code, &doctor, &scene.skopeo()));
        assert_eq!(doctor.error().unwrap()["code"], code);
    }
}

#[test]
fn self_signed_certificates_are_given_or_made_anew() {
    let Some(scene) = Scene::start(&[]) else { return };
    let file = format!("{REGISTRY_NAME}/ca.crt");
    let dir = scene.lab.dir();

    let certificate = pki::self_signed(dir, HOST);
    scene.show(&certificate);
    scene.give(&[(&file, certificate.pem().as_bytes())]);
    accepted(&scene, "a copy", &[]);
    scene.give(&[]);
    refused_and_mended(&scene, "no copy", "unknown-authority");

    // Renewed with a new key, and nobody replaced the copy.
    scene.show(&pki::self_signed(dir, HOST));
    refused_and_mended(&scene, "an old copy", "unknown-authority");

    for (code, certificate) in [
        ("common-name-only", pki::by_the_guide(dir, HOST)),
        ("name-mismatch", pki::self_signed(dir, "other.internal")),
    ] {
        scene.show(&certificate);
        scene.give(&[(&file, certificate.pem().as_bytes())]);
        refused_and_mended(&scene, code, code);
    }
}

#[test]
fn the_system_store_is_trusted() {
    let Some(scene) = Scene::start(&["update-ca-certificates"]) else { return };
    scene.give(&[]);
    scene.lab.client.trust_system_wide("lab", scene.root.pem());
    accepted(&scene, "the system's store", &[]);
    // The guide's folder does no harm then.
    let folder = format!("/etc/docker/certs.d/{HOST}:5000/ca.crt");
    scene.lab.client.write(&folder, scene.root.pem());
    let doctor = scene.doctor();
    assert!(doctor.accepts());
    assert_eq!(doctor.findings("trust/docker-layout")[0]["severity"], "warning");
}

/// GitLab shows another certificate than the registry, on the same host.
fn with_another_realm(scene: &Scene) -> Certificate {
    let certificate = pki::self_signed(scene.lab.dir(), HOST);
    scene.lab.server.write("/etc/gitlab/ssl/gitlab.crt", certificate.pem());
    scene.lab.server.write("/etc/gitlab/ssl/gitlab.key", certificate.key_pem());
    scene.lab.server.edit("/var/opt/gitlab/nginx/conf/gitlab-http.conf", |text| {
        text.replace(&format!("/etc/gitlab/ssl/{HOST}."), "/etc/gitlab/ssl/gitlab.")
    });
    scene.running.nginx.signal("HUP");
    let shown = format!("openssl s_client -connect {HOST}:443 </dev/null | openssl x509");
    let since = Instant::now();
    while scene.lab.client.run("sh", &["-c", &shown]).stdout.trim() != certificate.pem().trim() {
        assert!(since.elapsed() < Duration::from_secs(20), "nginx shows another certificate");
    }
    certificate
}

#[test]
fn the_token_server_is_judged_with_the_folder_of_the_registry() {
    let Some(scene) = Scene::start(&[]) else { return };
    let certificate = with_another_realm(&scene);
    let root = scene.root.pem().as_bytes();
    scene.give(&[
        (&format!("{REGISTRY_NAME}/ca.crt"), root),
        // Nobody looks here.
        (&format!("{HOST}:443/ca.crt"), certificate.pem().as_bytes()),
    ]);
    let subject = scene.doctor().error().unwrap()["subject"].as_str().unwrap().to_owned();
    assert_eq!(subject, format!("https://{HOST}"));
    refused_and_mended(&scene, "the realm", "unknown-authority");
}

#[test]
fn the_docker_daemon_agrees() {
    let Some(scene) = Scene::start(&[DOCKERD, "docker", "update-ca-certificates"]) else { return };
    let _dockerd = scene.lab.client.start_dockerd(scene.lab.dir());
    let root = scene.root.pem();
    let marked = [b"\xef\xbb\xbf", root.as_bytes()].concat();
    let chain = scene.lab.server.read(&format!("/etc/gitlab/ssl/{HOST}.crt"));
    let file = format!("{REGISTRY_NAME}/ca.crt");
    for (case, name, content, accepts) in [
        ("root", &*file, root.as_bytes(), true),
        ("leaf and issuing", &file, chain.as_bytes(), true),
        ("marked", &file, &marked, false),
        ("port", &format!("{HOST}:5000/ca.crt"), root.as_bytes(), false),
        ("pem", &format!("{REGISTRY_NAME}/ca.pem"), root.as_bytes(), false),
        ("cert", &format!("{REGISTRY_NAME}/ca.cert"), root.as_bytes(), false),
    ] {
        scene.give(&[(name, content)]);
        let doctor = scene.doctor();
        assert_eq!(agree(case, &doctor, &scene.docker()), accepts, "{case}");
        if !accepts {
            scene.paste(&doctor.commands());
            assert!(agree(case, &scene.doctor(), &scene.docker()), "{case} is not mended");
        }
    }
    let guide = pki::by_the_guide(scene.lab.dir(), HOST);
    scene.show(&guide);
    scene.give(&[(&file, guide.pem().as_bytes())]);
    let doctor = scene.doctor();
    assert!(!agree("guide", &doctor, &scene.docker()));
    scene.paste(&doctor.commands());
    assert!(agree("guide", &scene.doctor(), &scene.docker()), "the guide's is not mended");
}

#[test]
fn the_docker_daemon_reads_the_systems_store_once() {
    let Some(scene) = Scene::start(&[DOCKERD, "docker", "update-ca-certificates"]) else { return };
    let dockerd = scene.lab.client.start_dockerd(scene.lab.dir());
    scene.give(&[]);
    // It reads the store when it first needs it.
    assert!(!scene.docker().succeeded());
    // A file's time has whole seconds here.
    std::thread::sleep(Duration::from_millis(1100));
    scene.lab.client.trust_system_wide("lab", scene.root.pem());
    assert_eq!(scene.docker().x509_error(), Some("x509: certificate signed by unknown authority"));
    assert_eq!(scene.doctor().codes("trust/docker"), ["restart-needed"]);
    dockerd.stop();
    std::thread::sleep(Duration::from_millis(1100));
    let _dockerd = scene.lab.client.start_dockerd(scene.lab.dir());
    assert!(agree("after the restart", &scene.doctor(), &scene.docker()));
    assert!(scene.doctor().codes("trust/docker").is_empty());
}

#[test]
fn docker_verifies_nothing_on_loopback_and_gldoctor_says_so() {
    let Some(scene) = Scene::start(&[DOCKERD, "docker"]) else { return };
    let server = &scene.lab.server;
    // Ubuntu's installer writes this line.
    server.edit("/etc/hosts", |text| format!("127.0.1.1 {HOST}\n{text}"));
    let _dockerd = server.start_dockerd(scene.lab.dir());
    let log_in = ["login", "-u", USER, "-p", PASSWORD, REGISTRY_NAME];
    assert!(server.run("docker", &log_in).succeeded(), "nobody trusts the certificate");
    let doctor = Doctor::on(server, &[]);
    assert_eq!(doctor.findings("trust/docker")[0]["severity"], "warning");
    assert_eq!(doctor.codes("trust/docker"), ["unknown-authority"]);
    server.write(&format!("/etc/docker/certs.d/{REGISTRY_NAME}/ca.crt"), scene.root.pem());
    assert_eq!(Doctor::on(server, &[]).codes("trust/docker"), ["not-verified"]);
}

#[test]
fn a_client_that_knows_no_gitlab_is_judged_by_its_folders() {
    let Some(scene) = Scene::start(&[]) else { return };
    let root = scene.root.pem().as_bytes();
    let file = format!("{REGISTRY_NAME}/ca.crt");
    let dead = [("gone.internal:5050/ca.crt", root), ("my-host.internal:5000/ca.crt", root)];
    scene.give(&[(&file, root), dead[0], dead[1]]);
    let look = || Doctor::on(&scene.lab.client, &[]);
    assert!(look().accepts(), "stale folders are no fault");
    assert!(look().findings("trust/docker-layout").is_empty());

    // Its runner knows GitLab's name, and with it the guide's slip.
    let config = format!("[[runners]]\nurl = \"https://{HOST}\"\n");
    scene.lab.client.write("/etc/gitlab-runner/config.toml", config);
    assert_eq!(look().codes("trust/docker-layout"), ["wrong-folder"]);
    scene.give(&dead);
    assert!(look().findings("trust/docker").is_empty());
    assert!(!look().accepts(), "nothing was looked at");

    scene.give(&[(&file, Authority::root("Other").pem().as_bytes())]);
    assert!(!agree("another root", &look(), &scene.skopeo()));
}

#[test]
fn the_table_of_clients_agrees_with_them() {
    let Some(scene) = Scene::start(&["curl"]) else { return };
    let guide = pki::by_the_guide(scene.lab.dir(), HOST);
    scene.show(&guide);
    scene.give(&[(&format!("{REGISTRY_NAME}/ca.crt"), guide.pem().as_bytes())]);
    scene.lab.client.write("/etc/ssl/certs/ca-certificates.crt", guide.pem());
    let table = scene.lab.gldoctor(&["trust", REGISTRY_NAME, "--format", "json"]);
    assert_eq!(table.code, Some(1), "{table}");
    let table = table.json();
    let cell = |client: &str| {
        let mut cells = table["rows"][0]["clients"].as_array().unwrap().iter();
        cells.find(|cell| cell["client"] == client).unwrap().clone()
    };
    let curl = scene.lab.client.run("curl", &["-sSo", "/dev/null", &format!("{REGISTRY_URL}/v2/")]);
    assert_eq!(cell("git/curl")["accepted"], curl.succeeded(), "{curl}");
    let skopeo = scene.skopeo();
    assert_eq!(cell("podman")["accepted"], skopeo.succeeded(), "{skopeo}");
    let error = cell("podman")["error"].as_str().unwrap().to_owned();
    assert_eq!(core(&error), core(skopeo.x509_error().unwrap()));
    assert_eq!(cell("Docker")["accepted"], false);
}
