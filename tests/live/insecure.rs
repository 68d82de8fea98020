//! Clients that are told to verify nothing: what gldoctor says of them, and what they do.

use serde_json::Value;

use crate::gitlab::{Gitlab, REGISTRY_NAME, REGISTRY_URL, Running};
use crate::lab::{DOCKERD, HOST, Lab, NGINX, REGISTRY, SKOPEO};
use crate::node::Ran;
use crate::pki::Authority;
use crate::rails::{PASSWORD, USER};

const CHECK: &str = "trust/docker-insecure";

/// A registry whose CA the client does not know: who logs in there verifies nothing.
struct Scene {
    _running: Running,
    lab: Lab,
}

impl Scene {
    fn start(programs: &[&str]) -> Option<Self> {
        let lab = Lab::start(&[&[NGINX, REGISTRY][..], programs].concat())?;
        let certificate = Authority::root("Lab Root").issue(lab.dir(), &[HOST]);
        let running = Gitlab::install(&lab, &certificate).start(&lab);
        Some(Self { _running: running, lab })
    }

    fn log_in(&self, client: &str) -> Ran {
        self.lab.client.run(client, &["login", "-u", USER, "-p", PASSWORD, REGISTRY_NAME])
    }

    /// What is found of the registry in use.
    fn found(&self) -> Vec<Value> {
        let flags = ["--registry-url", REGISTRY_URL, "--format", "json"];
        let report = self.lab.client.gldoctor(&[&["run", "--only", CHECK], &flags[..]].concat());
        let report = report.json();
        let checks = report["checks"].as_array().unwrap();
        let check = checks.iter().find(|it| it["id"] == CHECK).unwrap();
        assert_ne!(check["status"], "unknown", "{check:#}");
        let findings = check["findings"].as_array().cloned().unwrap_or_default();
        findings.into_iter().filter(|it| it["code"] == "registry-insecure").collect()
    }
}

#[test]
fn a_flag_of_the_docker_daemon_is_found_where_it_stands() {
    let Some(scene) = Scene::start(&[DOCKERD, "docker"]) else { return };
    let client = &scene.lab.client;
    let dockerd = client.start_dockerd(scene.lab.dir());
    assert!(!scene.log_in("docker").succeeded(), "nobody gave it the CA");
    assert!(scene.found().is_empty());
    let drop_in = "/etc/systemd/system/docker.service.d/insecure.conf";
    let start = format!("ExecStart=/usr/sbin/dockerd --insecure-registry {REGISTRY_NAME}");
    client.write(drop_in, format!("[Service]\nExecStart=\n{start}\n"));
    let later = &scene.found()[0];
    assert!(later["message"].as_str().unwrap().contains("next start"), "{later:#}");
    dockerd.stop();

    let flag = format!("--insecure-registry={REGISTRY_NAME}");
    let _dockerd = client.start_dockerd_with(scene.lab.dir(), &[&flag]);
    assert!(scene.log_in("docker").succeeded(), "it verifies nothing");
    let found = &scene.found()[0];
    assert_eq!(
        (&found["evidence"][0]["path"], &found["evidence"][0]["line"]),
        (&drop_in.into(), &3.into())
    );
    client.must("rm", &[drop_in]);
    let found = &scene.found()[0];
    let what = found["evidence"][0]["what"].as_str().unwrap();
    assert!(what.starts_with("dockerd, process "), "{found:#}");
}

#[test]
fn entries_of_registries_conf_do_what_skopeo_does_with_them() {
    let Some(scene) = Scene::start(&[SKOPEO]) else { return };
    let client = &scene.lab.client;
    let conf = "/etc/containers/registries.conf";
    let drop_in = "/etc/containers/registries.conf.d/500-lab.conf";
    // Where programs on the node find their home.
    let own = "/run/home/.config/containers/registries.conf";
    client.edit("/etc/passwd", |text| format!("{text}lab:x:4321:4321::/run/home:/bin/sh\n"));
    let table = |prefix: &str, insecure: bool| {
        format!("[[registry]]\nprefix = '{prefix}'\nlocation = '{prefix}'\ninsecure = {insecure}\n")
    };
    let wildcard = "[[registry]]\nprefix = '*.internal'\ninsecure = true\n";
    let secure = table(REGISTRY_NAME, false);
    for (case, files, insecure) in [
        ("nothing", vec![], false),
        ("name", vec![(conf, table(REGISTRY_NAME, true))], true),
        ("host alone", vec![(conf, table(HOST, true))], true),
        ("another port", vec![(conf, table(&format!("{HOST}:5000"), true))], false),
        ("wildcard", vec![(conf, wildcard.to_owned())], true),
        ("longer", vec![(conf, wildcard.to_owned()), (drop_in, secure.clone())], false),
        ("taken back", vec![(conf, table(REGISTRY_NAME, true)), (drop_in, secure)], false),
        (
            "another ending",
            vec![("/etc/containers/registries.conf.d/a.bak", wildcard.to_owned())],
            false,
        ),
        (
            "version 1",
            vec![(conf, format!("[registries.insecure]\nregistries = ['{REGISTRY_NAME}']\n"))],
            true,
        ),
        ("an account's own", vec![(own, table(REGISTRY_NAME, true))], true),
    ] {
        client.must(
            "sh",
            &["-c", "rm -rf /etc/containers/registries.conf* /run/home/.config/containers"],
        );
        for (path, content) in &files {
            client.write(path, content);
        }
        assert_eq!(scene.log_in("skopeo").succeeded(), insecure, "{case}: skopeo");
        let found = scene.found();
        assert_eq!(!found.is_empty(), insecure, "{case}: {found:#?}");
        for finding in found {
            let path = finding["evidence"][0]["path"].as_str().unwrap().to_owned();
            assert!(files.iter().any(|(file, _)| *file == path), "{case}: {path}");
        }
    }
}
