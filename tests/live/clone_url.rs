//! Servers from which jobs clone: what gldoctor says, and what git says with what the runner hands
//! it.

use crate::gitlab::{Gitlab, REGISTRY_URL};
use crate::lab::{HOST, Lab, NGINX, REGISTRY};
use crate::pki::Authority;
use crate::site::keep;

const CA_FILE: &str = "/etc/gitlab-runner/certs/lab.crt";

#[test]
fn git_and_gldoctor_agree_on_clone_url() {
    let Some(lab) = Lab::start(&[NGINX, REGISTRY, "git"]) else { return };
    let root = Authority::root("Lab Root");
    let other = Authority::root("Other Root");
    let certificate = root.issue(lab.dir(), &[HOST]);
    let _running = Gitlab::install(&lab, &certificate).start(&lab);
    // Debian's own roots would make long recordings.
    lab.client.must("sh", &["-c", "rm -rf /etc/ssl/certs && mkdir /etc/ssl/certs"]);
    let public = Authority::root("Public Root");
    let bundle = format!("{}{}", public.pem(), root.pem());
    lab.client.write("/etc/ssl/certs/ca-certificates.crt", bundle);
    lab.client.write("/usr/local/share/ca-certificates/lab.crt", root.pem());
    lab.client.write("/usr/bin/gitlab-runner", "");
    let elsewhere = format!("https://registry.{HOST}");
    for (case, url, given, found) in [
        ("near-miss-clone-url-of-the-same-ca", REGISTRY_URL, root.pem(), None),
        ("faulty-clone-url-of-another-name", &*elsewhere, root.pem(), Some("name-mismatch")),
        // The runner itself goes by the system's store too.
        ("faulty-clone-url-of-another-ca", REGISTRY_URL, other.pem(), Some("unknown-authority")),
    ] {
        lab.client.write(CA_FILE, given);
        let config = format!(
            "[[runners]]\nurl = 'https://{HOST}'\nclone_url = '{url}'\nexecutor = 'docker'\n\
             tls-ca-file = '{CA_FILE}'\n"
        );
        lab.client.write("/etc/gitlab-runner/config.toml", config);
        let git = format!(
            "GIT_TERMINAL_PROMPT=0 git -c http.{url}.sslCAInfo={CA_FILE} -c http.sslCAPath=/nowhere \
             ls-remote {url}/group/project.git"
        );
        let git = lab.client.run("sh", &["-c", &git]);
        let refuses = git.to_string().contains("SSL") || git.to_string().contains("certificate");
        assert_eq!(refuses, found.is_some(), "{case}: {git}");

        let run = ["run", "--only", "trust/runner", "--format", "json"];
        let report = lab.client.gldoctor(&run).json();
        let checks = report["checks"].as_array().unwrap();
        let check = checks.iter().find(|it| it["id"] == "trust/runner").unwrap();
        let codes: Vec<_> =
            check["findings"].as_array().unwrap().iter().map(|it| it["code"].as_str()).collect();
        assert_eq!(codes, found.map(Some).into_iter().collect::<Vec<_>>(), "{case}: {check:#}");
        assert!(check["status"] != "unknown", "{check:#}");
        let bundle = ["bundle", "--quiet", "--only", "trust/runner", "-o", "/run/r.json"];
        lab.client.gldoctor(&bundle);
        keep("trust/runner", case, &lab.client.read("/run/r.json"));
        lab.client.must("rm", &["/run/r.json"]);
    }
}
