//! `registry/repository-names`: what a real client can name, and what the real garbage collection
//! does with the rest.

use crate::gitlab::Gitlab;
use crate::lab::{HOST, Lab, REGISTRY, SKOPEO};
use crate::node::Ran;
use crate::pki;
use crate::site::{CONFIG, Report, record};

const CHECK: &str = "registry/repository-names";
const ROOT: &str = "/var/opt/gitlab/gitlab-rails/shared/registry/docker/registry/v2";

fn collect(lab: &Lab, config: &str) -> Ran {
    lab.server.run("docker-registry", &["garbage-collect", "--dry-run", config])
}

#[test]
fn clients_and_garbage_collection_agree() {
    let Some(lab) = Lab::start(&[REGISTRY, SKOPEO]) else { return };
    let certificate = pki::self_signed(lab.dir(), HOST);
    let _gitlab = Gitlab::install(&lab, &certificate);
    let judged = || Report::on(CHECK, &lab.server, &[]);
    let shell = |script: &str| {
        lab.server.must("sh", &["-c", &format!("cd {ROOT}/repositories && {script}")])
    };
    // A name that no client has is refused before anything is sent.
    let named = |name: &str| {
        let image = format!("docker://localhost:1/{name}:1.0");
        let asked = lab.server.run("skopeo", &["inspect", &image]);
        !asked.stderr.contains("invalid reference format")
            && !asked.stderr.contains("must be lowercase")
    };
    assert_eq!(judged().status(CHECK), "passed", "{}", judged().ran);
    assert!(collect(&lab, CONFIG).succeeded());
    record(&lab, &lab.server, &[], CHECK, "healthy");
    // Good names, although some people fear them, and folders that are no repositories.
    shell("cp -a group good__name.x && mkdir -p lost+found .Trash/x _empty");
    assert!(named("good__name.x/demo-app"));
    assert_eq!(judged().status(CHECK), "passed", "{}", judged().ran);
    record(&lab, &lab.server, &[], CHECK, "near-miss-feared-names");
    shell("cp -a group a--b");
    assert!(named("a--b/demo-app") && collect(&lab, CONFIG).succeeded());
    assert_eq!(judged().codes(CHECK), ["notice double-dash"]);
    record(&lab, &lab.server, &[], CHECK, "faulty-double-dash");
    shell("rm -r a--b good__name.x");

    for bad in ["Group", "x/Group", "group-", "gr..oup", "gr___oup", "-group"] {
        shell(&format!("mkdir x && cp -a group ./{bad}"));
        assert!(!named(&format!("{bad}/demo-app")), "{bad}");
        let collected = collect(&lab, CONFIG);
        // With capitals the first part looks like the name of a host.
        assert_eq!(collected.succeeded(), bad == "Group", "{bad}: {collected}");
        assert_eq!(judged().codes(CHECK), ["error name-refused"], "{bad}");
        if bad == "Group" {
            record(&lab, &lab.server, &[], CHECK, "faulty-capitals");
        }
        shell(&format!("rm -r ./{bad} && rm -rf x"));
    }

    // Below a leading underscore and without _layers all seems well, and the layers would go.
    // "7 blobs marked, 0 blobs and 0 manifests eligible for deletion"
    let doomed = |collected: &Ran| {
        let line = collected.stdout.lines().find_map(|line| line.split_once(" blobs marked, "));
        line.unwrap().1.split(' ').next().unwrap().parse::<u32>().unwrap()
    };
    let before = doomed(&collect(&lab, CONFIG));
    shell("mv group _group");
    let collected = collect(&lab, CONFIG);
    assert!(collected.succeeded() && doomed(&collected) > before, "{collected}");
    assert_eq!(judged().codes(CHECK), ["error name-hidden"], "{}", judged().ran);
    record(&lab, &lab.server, &[], CHECK, "faulty-hidden");
    shell("mv _group group && mv group/demo-app/_layers group/demo-app/_layers.away");
    let collected = collect(&lab, CONFIG);
    assert!(collected.succeeded() && doomed(&collected) > before, "{collected}");
    assert_eq!(judged().codes(CHECK), ["error layers-lost"], "{}", judged().ran);
    shell("mv group/demo-app/_layers.away group/demo-app/_layers");
    assert_eq!(judged().status(CHECK), "passed");

    // The registry's own name counts.
    let long = "a".repeat(240);
    shell(&format!("mkdir long && cp -a group {long}"));
    assert_eq!(judged().codes(CHECK), ["error name-too-long"], "{}", judged().ran);
    shell(&format!("rm -r {long}"));

    // With the metadata database the folders mean nothing.
    shell("cp -a group Group");
    lab.server.edit(CONFIG, |text| format!("{text}database: {{enabled: prefer}}\n"));
    for check in [CHECK, "storage/empty-tags"] {
        assert_eq!(Report::on(check, &lab.server, &[]).status(check), "unknown");
    }
    record(&lab, &lab.server, &[], CHECK, "cannot-look-no-lock-file");
    shell("mkdir ../../lockfiles && touch ../../lockfiles/filesystem-in-use");
    assert_eq!(judged().codes(CHECK), ["error name-refused"]);
    lab.server.edit(CONFIG, |text| text.replace("enabled: prefer", "enabled: true"));
    for check in [CHECK, "storage/empty-tags"] {
        assert_eq!(Report::on(check, &lab.server, &[]).status(check), "not_applicable");
    }
}
