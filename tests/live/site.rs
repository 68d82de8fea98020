//! A healthy GitLab whose certificate the client trusts, and gldoctor's report on it: the ground of
//! the tests on the registry.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::gitlab::{Gitlab, REGISTRY_URL, Running};
use crate::http::{HttpServer, Response};
use crate::lab::{HOST, Lab, NGINX, REGISTRY, SKOPEO};
use crate::node::{Node, Ran};
use crate::pki;
use crate::rails::{PASSWORD, USER};

/// The registry's configuration on the server.
pub(crate) const CONFIG: &str = "/var/opt/gitlab/registry/config.yml";
/// nginx's server block for the registry.
pub(crate) const NGINX_CONF: &str = "/var/opt/gitlab/nginx/conf/gitlab-registry.conf";
/// The check that most tests here are about.
pub(crate) const API: &str = "registry/api";
/// The other one.
pub(crate) const DEBUG: &str = "registry/debug-server";

/// Where the client keeps what it trusts, on every port.
const TRUSTED: &str = "/etc/lab-trusted";

/// A server and a client that ought to get along.
pub(crate) struct Site {
    pub(crate) lab: Lab,
}

impl Site {
    /// Installs GitLab, lets `edit` make a fault, and starts every service. `None` where the lab
    /// cannot run.
    pub(crate) fn start(edit: impl FnOnce(&Lab)) -> Option<(Self, Running)> {
        let lab = Lab::start(&[NGINX, REGISTRY, SKOPEO, "iptables"])?;
        let certificate = pki::self_signed(lab.dir(), HOST);
        let gitlab = Gitlab::install(&lab, &certificate);
        lab.client.write(&format!("{TRUSTED}/ca.crt"), certificate.pem());
        edit(&lab);
        let running = gitlab.start(&lab);
        Some((Self { lab }, running))
    }

    /// What the client's own program says: can it log in, and see an image?
    pub(crate) fn client(&self, registry: &str) -> Ran {
        let skopeo = |arguments: &[&str]| self.lab.client.run("skopeo", arguments);
        let trust = ["--cert-dir", TRUSTED];
        let login = ["login", "-u", USER, "-p", PASSWORD, registry];
        let logged_in = skopeo(&[&login[..1], &trust, &login[1..]].concat());
        if !logged_in.succeeded() {
            return logged_in;
        }
        // A login is content with any page that comes back with status 200.
        let image = format!("docker://{registry}/group/demo-app:1.0");
        skopeo(&["inspect", trust[0], trust[1], &image])
    }

    /// gldoctor finds nothing wrong with the registry, and the client can log in.
    #[track_caller]
    pub(crate) fn agree_that_it_works(&self, registry: &str) -> Report {
        let report = self.about(&format!("https://{registry}"));
        assert_eq!(report.status(API), "passed", "{}", report.ran);
        let client = self.client(registry);
        assert!(client.succeeded(), "{client}");
        report
    }

    /// gldoctor reports one error on the registry, and the client cannot log in.
    #[track_caller]
    pub(crate) fn agree_on(&self, code: &str, registry: &str) -> Report {
        let report = self.about(&format!("https://{registry}"));
        assert_eq!(report.codes(API), [format!("error {code}")], "{}", report.ran);
        assert_eq!(report.ran.code, Some(1));
        let client = self.client(registry);
        assert!(!client.succeeded(), "{code}: {client}");
        report
    }

    /// gldoctor on the client, about the registry's public address.
    pub(crate) fn seen_from_outside(&self) -> Report {
        self.about(REGISTRY_URL)
    }

    /// gldoctor on the client, about another address.
    pub(crate) fn about(&self, url: &str) -> Report {
        Report::of(&self.lab.client, &["--registry-url", url])
    }

    /// gldoctor on the server.
    pub(crate) fn seen_from_inside(&self) -> Report {
        Report::of(&self.lab.server, &[])
    }

    /// Keeps what gldoctor sees on a node as a case of a check.
    pub(crate) fn record(&self, node: &Node, arguments: &[&str], check: &str, case: &str) {
        record(&self.lab, node, arguments, check, case);
    }

    /// The same on the client, about the registry's public address.
    pub(crate) fn record_from_outside(&self, check: &str, case: &str) {
        self.record(&self.lab.client, &["--registry-url", REGISTRY_URL], check, case);
    }

    /// The same on the server.
    pub(crate) fn record_from_inside(&self, check: &str, case: &str) {
        self.record(&self.lab.server, &[], check, case);
    }
}

/// A server behind nginx whose answer can be changed, and the way to change it.
pub(crate) fn changeable(site: &Site) -> (HttpServer, impl Fn(Response) + use<>) {
    let answer = Arc::new(Mutex::new(Response::new(404, "")));
    let shown = Arc::clone(&answer);
    let server = HttpServer::tcp(site.lab.server.listen("127.0.0.1", 8181), move |_| {
        shown.lock().unwrap().clone()
    });
    (server, move |response| *answer.lock().unwrap() = response)
}

/// Keeps what gldoctor sees on a node of a lab as a case of a check.
pub(crate) fn record(lab: &Lab, node: &Node, arguments: &[&str], check: &str, case: &str) {
    let file = lab.dir().join("recording.json");
    let file = file.to_str().unwrap();
    let patience = ["--timeout", "2s"];
    let patience = if arguments.contains(&patience[0]) { &[] } else { &patience[..] };
    let bundle = ["bundle", "--quiet", "--only", check, "-o", file];
    node.gldoctor(&[&bundle[..], patience, arguments].concat());
    keep(check, case, &fs::read_to_string(file).unwrap());
    fs::remove_file(file).unwrap();
}

/// Makes a recording a case of a check. That happens only on request, since every recording holds
/// its own times.
pub(crate) fn keep(check: &str, case: &str, recording: &str) {
    if std::env::var_os("RECORD_FIXTURES").is_none() {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(check);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{case}.json")), recording).unwrap();
}

/// gldoctor's report on the registry's checks.
pub(crate) struct Report {
    pub(crate) ran: Ran,
    json: Value,
}

impl Report {
    /// Runs gldoctor on a node.
    pub(crate) fn of(node: &Node, arguments: &[&str]) -> Self {
        Self::on(&format!("{API},{DEBUG}"), node, arguments)
    }

    /// Runs some checks of gldoctor on a node.
    pub(crate) fn on(only: &str, node: &Node, arguments: &[&str]) -> Self {
        Self::within("2s", only, node, arguments)
    }

    /// The same with more time for each look, where nothing is silent: on a busy machine the
    /// system's store alone takes seconds.
    pub(crate) fn patiently(only: &str, node: &Node, arguments: &[&str]) -> Self {
        Self::within("30s", only, node, arguments)
    }

    fn within(timeout: &str, only: &str, node: &Node, arguments: &[&str]) -> Self {
        let timeout = ["--timeout", timeout];
        let timeout = if arguments.contains(&timeout[0]) { &[] } else { &timeout[..] };
        let run = ["run", "--only", only, "--format", "json"];
        Self::read(node.gldoctor(&[&run[..], timeout, arguments].concat()))
    }

    /// The report in JSON that gldoctor has written.
    pub(crate) fn read(ran: Ran) -> Self {
        let json = ran.json();
        assert_eq!(json["complete"], true, "{ran}");
        assert_eq!(Some(json["summary"]["exit_code"].as_i64().unwrap()), ran.code.map(i64::from));
        Self { ran, json }
    }

    /// All of it.
    pub(crate) fn json(&self) -> &Value {
        &self.json
    }

    /// What the report says of a check.
    #[track_caller]
    pub(crate) fn check(&self, id: &str) -> &Value {
        let checks = self.json["checks"].as_array().unwrap();
        checks.iter().find(|check| check["id"] == id).expect("the check is in the report")
    }

    /// A check's status, and its reason where that is unknown or not applicable.
    #[track_caller]
    pub(crate) fn status(&self, id: &str) -> &str {
        self.check(id)["status"].as_str().unwrap()
    }

    /// A check's findings in short: severity, code, subject, and the check that explains each.
    #[track_caller]
    pub(crate) fn findings<'a>(&'a self, id: &str) -> Vec<[&'a str; 4]> {
        let findings = self.check(id)["findings"].as_array().unwrap();
        let keys = ["severity", "code", "subject", "caused_by"];
        let short = |finding: &'a Value| keys.map(|key| finding[key].as_str().unwrap_or_default());
        findings.iter().map(short).collect()
    }

    /// The codes of a check's errors and warnings, in order, as `error refused`.
    #[track_caller]
    pub(crate) fn codes(&self, id: &str) -> Vec<String> {
        self.findings(id).iter().map(|[severity, code, ..]| format!("{severity} {code}")).collect()
    }

    /// The values of all evidence of a check's findings.
    #[track_caller]
    pub(crate) fn evidence(&self, id: &str, what: &str) -> Vec<&str> {
        let findings = self.check(id)["findings"].as_array().unwrap();
        findings
            .iter()
            .flat_map(|finding| finding["evidence"].as_array().unwrap())
            .filter(|evidence| evidence["what"] == what)
            .map(|evidence| evidence["value"].as_str().unwrap())
            .collect()
    }

    /// The commands of all remedies of a check.
    #[track_caller]
    pub(crate) fn commands(&self, id: &str) -> Vec<&str> {
        let findings = self.check(id)["findings"].as_array().unwrap();
        let commands =
            findings.iter().flat_map(|finding| finding["remedy"]["commands"].as_array().unwrap());
        commands.map(|command| command.as_str().unwrap()).collect()
    }
}
