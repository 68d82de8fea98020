//! `registry/proxy-headers`: a real client pushes through a real nginx.

use crate::gitlab::{self, REGISTRY_NAME, Running};
use crate::lab::{HOST, Lab};
use crate::node::Ran;
use crate::rails::{PASSWORD, USER};
use crate::site::{CONFIG, NGINX_CONF, Report, Site};

const CHECK: &str = "registry/proxy-headers";
const TRUSTED: &str = "/etc/lab-trusted";

/// A site through which images are pushed.
struct Pushed {
    site: Site,
    running: Option<Running>,
    healthy: [String; 2],
    pushes: std::cell::Cell<u32>,
}

impl Pushed {
    /// Every push is of a repository that has nothing yet.
    fn push(&self) -> Ran {
        self.pushes.set(self.pushes.get() + 1);
        let image = format!("dir:{}", self.site.lab.dir().join("image").display());
        let name = format!("docker://{REGISTRY_NAME}/group/pushed-{}:1.0", self.pushes.get());
        let user = format!("{USER}:{PASSWORD}");
        let to = ["--dest-cert-dir", TRUSTED, "--dest-creds", &user];
        let copy = ["copy", "--insecure-policy", "--retry-times", "0"];
        self.site.lab.client.run("skopeo", &[&copy[..], &to, &[&image, &name]].concat())
    }

    /// Starts nginx and the registry anew with these changes to healthy files.
    fn settle(&mut self, nginx: impl Fn(&str) -> String, config: impl Fn(&str) -> String) {
        let server = &self.site.lab.server;
        let Running { nginx: old, registry, rails } = self.running.take().unwrap();
        old.stop();
        registry.stop();
        let rewrite = |path: &str, text: String| {
            server.run("sh", &["-c", "printf %s \"$1\" > \"$0\"", path, &text]);
        };
        rewrite(NGINX_CONF, nginx(&self.healthy[0]));
        rewrite(CONFIG, config(&self.healthy[1]));
        let registry = gitlab::start_registry(server);
        let nginx = gitlab::start_nginx(server);
        self.running = Some(Running { nginx, registry, rails });
    }

    #[track_caller]
    fn judged(&self, codes: &[&str], works: bool) -> Report {
        let report = Report::on(CHECK, &self.site.lab.server, &[]);
        assert_eq!(report.codes(CHECK), codes, "{}", report.ran);
        let pushed = self.push();
        assert_eq!(pushed.succeeded(), works, "{codes:?}: {pushed}");
        report
    }
}

#[test]
fn pushes_go_where_the_registry_believes_to_be() {
    let Some((site, running)) = Site::start(|_| ()) else { return };
    let healthy = [site.lab.server.read(NGINX_CONF), site.lab.server.read(CONFIG)];
    let mut pushed = Pushed { site, running: Some(running), healthy, pushes: 0.into() };
    let image = format!("docker://{REGISTRY_NAME}/group/demo-app:1.0");
    let to = format!("dir:{}", pushed.site.lab.dir().join("image").display());
    let user = format!("{USER}:{PASSWORD}");
    let from = ["--src-cert-dir", TRUSTED, "--src-creds", &user, &image, &to];
    let copy = ["copy", "--insecure-policy"];
    pushed.site.lab.client.must("skopeo", &[&copy[..], &from].concat());
    assert_eq!(pushed.judged(&[], true).status(CHECK), "passed");
    pushed.site.record_from_inside(CHECK, "healthy");

    let same = |text: &str| text.to_owned();
    let replaced = |from: &'static str, to: &'static str| {
        move |text: &str| {
            assert!(text.contains(from), "{text}");
            text.replace(from, to)
        }
    };
    let proto = "    proxy_set_header X-Forwarded-Proto https;\n";
    let host = "proxy_set_header Host $http_host;";
    pushed.settle(replaced(proto, ""), same);
    pushed.judged(&["error proto-missing"], false);
    pushed.site.record_from_inside(CHECK, "faulty-proto-missing");
    pushed.settle(replaced("Proto https", "Proto http"), same);
    pushed.judged(&["error proto-wrong"], false);
    pushed.settle(replaced(host, "proxy_set_header Host $host;"), same);
    pushed.judged(&["error port-dropped"], false);
    pushed.site.record_from_inside(CHECK, "faulty-port-dropped");
    pushed.settle(replaced(host, ""), same);
    pushed.judged(&["error host-missing"], false);
    // Here nginx inherits nothing from the level above, since there is another header.
    pushed.settle(
        |text| {
            text.replace(host, "")
                .replace("  location /", "  proxy_set_header Host $http_host;\n  location /")
        },
        same,
    );
    pushed.judged(&["error host-missing"], false);
    pushed.settle(replaced("client_max_body_size 0", "client_max_body_size 100"), same);
    let report = pushed.judged(&["error body-limit"], false);
    assert!(report.ran.stdout.contains("413"));
    pushed.site.record_from_inside(CHECK, "faulty-body-limit");
    pushed.settle(replaced("client_max_body_size 0;", ""), same);
    let report = Report::on(CHECK, &pushed.site.lab.server, &[]);
    assert_eq!(report.codes(CHECK), ["error body-limit"]);

    // The registry's own settings win over what it is told.
    let http = |more: &'static str| {
        move |text: &str| text.replace("\nhttp:\n", &format!("\nhttp:\n  {more}\n"))
    };
    pushed.settle(same, http("host: https://my-host.internal"));
    pushed.judged(&["error host-differs"], false);
    pushed.site.record_from_inside(CHECK, "faulty-host-differs");
    pushed.settle(replaced(proto, ""), http("host: https://my-host.internal:4567"));
    pushed.judged(&[], true);
    pushed.settle(replaced(proto, ""), http("relativeurls: true"));
    pushed.judged(&[], true);
    pushed.site.record_from_inside(CHECK, "near-miss-relative-urls");
    pushed.settle(replaced("Proto https", "Proto $scheme"), same);
    pushed.judged(&[], true);
    pushed.settle(replaced(host, "proxy_set_header Host $host:$server_port;"), same);
    pushed.judged(&[], true);
    pushed.settle(replaced(host, "proxy_set_header X-Forwarded-Host $http_host;"), same);
    pushed.judged(&[], true);
    // A text that is no URL is ignored.
    pushed.settle(same, http("host: my-host.internal:4567"));
    pushed.judged(&["notice host-ignored"], true);

    environment_and_login(&mut pushed);
}

fn environment_and_login(pushed: &mut Pushed) {
    let same = |text: &str| text.to_owned();
    pushed.settle(same, |text| text.replace("autoredirect: false", "autoredirect: true"));
    pushed.judged(&["error autoredirect"], false);
    pushed.settle(same, same);
    let folder = "/opt/gitlab/etc/registry/env";
    pushed
        .site
        .lab
        .server
        .write(&format!("{folder}/REGISTRY_HTTP_HOST"), format!("https://old.{HOST}"));
    let report = Report::on(CHECK, &pushed.site.lab.server, &[]);
    assert_eq!(report.codes(CHECK), ["error host-differs"], "{}", report.ran);
    assert!(report.ran.stdout.contains("REGISTRY_HTTP_HOST"));
}

#[test]
fn two_proxies_and_files_alone() {
    let Some((site, running)) = Site::start(|_| ()) else { return };
    let server = &site.lab.server;
    // The inner nginx without TLS overwrites what the outer one has said.
    let outer = format!(
        "server {{ listen 4567 ssl; server_name {HOST}; client_max_body_size 0;
           ssl_certificate /etc/gitlab/ssl/{HOST}.crt; ssl_certificate_key /etc/gitlab/ssl/{HOST}.key;
           location / {{ proxy_pass http://127.0.0.1:8081; proxy_set_header Host $http_host;
             proxy_set_header X-Forwarded-Proto https; }} }}\n"
    );
    let inner = |proto: &str, text: &str| {
        let text = text.replace("listen *:4567 ssl;", "listen *:8081;");
        text.replace("Proto https", &format!("Proto {proto}")) + &outer
    };
    let healthy = [server.read(NGINX_CONF), server.read(CONFIG)];
    let mut pushed = Pushed { site, running: Some(running), healthy, pushes: 0.into() };
    let same = |text: &str| text.to_owned();
    let image = format!("docker://{REGISTRY_NAME}/group/demo-app:1.0");
    let to = format!("dir:{}", pushed.site.lab.dir().join("image").display());
    let user = format!("{USER}:{PASSWORD}");
    let from = ["--src-cert-dir", TRUSTED, "--src-creds", &user, &image, &to];
    pushed.site.lab.client.must("skopeo", &[&["copy", "--insecure-policy"][..], &from].concat());
    pushed.settle(|text| inner("$scheme", text), same);
    pushed.judged(&["error proto-overwritten"], false);
    pushed.site.record_from_inside(CHECK, "faulty-two-proxies");
    pushed.settle(|text| inner("$http_x_forwarded_proto", text), same);
    pushed.judged(&[], true);
    pushed.settle(|text| inner("https", text), same);
    pushed.judged(&[], true);
    pushed.site.record_from_inside(CHECK, "near-miss-two-proxies");

    // Before the first reconfigure there is gitlab.rb alone.
    let root = pushed.site.lab.dir().join("root");
    let root = root.to_str().unwrap();
    let judged = |rb: &str| {
        let path = format!("{root}/etc/gitlab/gitlab.rb");
        let text = format!("registry_external_url 'https://{HOST}:4567'\n{rb}\n");
        pushed.site.lab.server.write(&path, text);
        Report::on(CHECK, &pushed.site.lab.server, &["--root", root])
    };
    let headers = |headers: &str| format!("registry_nginx['proxy_set_headers'] = {{ {headers} }}");
    assert_eq!(judged("").status(CHECK), "passed", "{}", judged("").ran);
    let plain = "registry_nginx['listen_https'] = false\n";
    let report = judged(&format!("{plain}{}", headers("'X-Forwarded-Proto' => '$scheme'")));
    assert_eq!(report.codes(CHECK), ["error proto-overwritten"], "{}", report.ran);
    let report = judged(&format!("{plain}{}", headers("'X-Forwarded-Proto' => 'https'")));
    assert_eq!(report.status(CHECK), "passed", "{}", report.ran);
    let report = judged(&headers("'Host' => '$host'"));
    assert_eq!(report.codes(CHECK), ["error port-dropped"], "{}", report.ran);
    let report = judged("registry['autoredirect'] = true");
    assert_eq!(report.codes(CHECK), ["error autoredirect"], "{}", report.ran);
}

#[test]
fn an_nginx_of_ones_own_is_read_with_what_it_includes() {
    let Some(lab) = Lab::start(&[]) else { return };
    let root = lab.dir().join("root");
    let root = root.to_str().unwrap();
    let write = |path: &str, text: &str| lab.server.write(&format!("{root}{path}"), text);
    write(
        "/etc/docker/registry/config.yml",
        "version: 0.1\nstorage: filesystem\nhttp: {addr: ':5000'}\n",
    );
    write("/etc/nginx/nginx.conf", "http { include conf.d/*.conf; include sites-enabled/*; }");
    // As Debian ships it.
    write(
        "/etc/nginx/proxy_params",
        "proxy_set_header Host $http_host;\nproxy_set_header X-Forwarded-Proto $scheme;\n",
    );
    let site = |location: &str| {
        let text = format!(
            "upstream images {{ server 127.0.0.1:5000; }}
             server {{ listen 443 ssl; server_name images.test; client_max_body_size 0;
               location /v2/ {{ proxy_pass http://images; {location} }} }}"
        );
        write("/etc/nginx/sites-enabled/images", &text);
        Report::on(CHECK, &lab.server, &["--root", root])
    };
    assert_eq!(site("include proxy_params;").status(CHECK), "passed");
    assert_eq!(site("include /etc/nginx/proxy_par*;").status(CHECK), "passed");
    let report = site("");
    assert_eq!(
        report.codes(CHECK),
        ["error host-missing", "error proto-missing"],
        "{}",
        report.ran
    );
    assert!(report.commands(CHECK).contains(&"sudoedit /etc/nginx/sites-enabled/images"));
    assert_eq!(site("include snippets/registry.conf;").status(CHECK), "unknown");
    let report = site("proxy_set_header X-Forwarded-Proto http; include proxy_params;");
    assert_eq!(report.codes(CHECK), ["error proto-wrong"], "{}", report.ran);
    // For all servers.
    write(
        "/etc/nginx/conf.d/proxy.conf",
        "include /etc/nginx/proxy_params; client_max_body_size 1m;",
    );
    assert_eq!(site("").status(CHECK), "passed", "{}", site("").ran);
}
