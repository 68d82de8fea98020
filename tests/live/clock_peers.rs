//! `clock/peers` against nginx and a real registry on different clocks; whether skopeo can log in
//! has to follow from the verdict.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::clock::{self, Clock};
use crate::gitlab::{self, REGISTRY_NAME, REGISTRY_PORT, REGISTRY_URL};
use crate::http::{HttpServer, Response};
use crate::lab::{CHRONYD, CLIENT, FAKETIME, HOST, Lab, REGISTRY, SERVER};
use crate::node::{Node, Ran, Server};
use crate::pki;
use crate::rails::Tokens;
use crate::site::{CONFIG, Report, Site};

const PEERS: &str = "clock/peers";
const GITLAB_URL: &str = "https://my-host.internal";
const FROM_OUTSIDE: [&str; 4] = ["--url", GITLAB_URL, "--registry-url", REGISTRY_URL];

/// nginx with the server block in one file, on a clock that is so many seconds ahead.
#[track_caller]
fn start_nginx(node: &Node, block: &str, port: u16, ahead: i64) -> Server {
    let all = node.read("/var/opt/gitlab/nginx/conf/nginx.conf");
    let conf =
        all.lines().filter(|line| !line.contains("/nginx/conf/gitlab-") || line.contains(block));
    let conf: Vec<_> = conf.collect();
    let path = format!("/run/nginx-{port}.conf");
    let conf = conf.join("\n").replace("pid nginx.pid", &format!("pid /run/nginx-{port}.pid"));
    node.write(&path, conf);
    let shift = format!("{ahead:+}s");
    let library = clock::faketime_library();
    let environment = [("LD_PRELOAD", library.as_str()), ("FAKETIME", shift.as_str())];
    let arguments = ["-p", "/var/opt/gitlab/nginx", "-c", &path, "-e", "stderr"];
    node.serve_with("nginx", &arguments, &environment, || node.listens(port))
}

fn codes(report: &Report) -> Vec<String> {
    let found = report.codes(PEERS);
    if found.is_empty() { vec![report.status(PEERS).to_owned()] } else { found }
}

#[test]
fn a_registry_on_another_clock_refuses_what_the_verdict_says() {
    let Some((site, running)) = Site::start(|_| ()) else { return };
    if Lab::start(&[FAKETIME]).is_none() {
        return;
    }
    let gitlab::Running { nginx, registry, rails } = running;
    let report = Report::on(PEERS, &site.lab.client, &FROM_OUTSIDE);
    assert_eq!(codes(&report), ["passed"], "{}", report.ran);
    assert!(site.client(REGISTRY_NAME).succeeded());
    site.record(&site.lab.client, &FROM_OUTSIDE, PEERS, "healthy");
    assert_eq!(codes(&Report::on(PEERS, &site.lab.server, &[])), ["passed"]);
    nginx.stop();
    drop(rails);

    // GitLab's tokens and its pages tell one clock. Distribution's registry is a static program, so
    // it is GitLab's clock that is moved.
    let server = &site.lab.server;
    let _registry = start_nginx(server, "gitlab-registry.conf", REGISTRY_PORT, 0);
    for (ahead, expected, logs_in, case) in [
        (90, "error registry-behind", false, "faulty-registry-behind"),
        (-90, "warning registry-ahead", true, "faulty-registry-ahead"),
        (-400, "error registry-ahead", false, "faulty-registry-far-ahead"),
        (30, "warning registry-behind", true, "faulty-registry-a-little-behind"),
    ] {
        server.must("rm", &["-f", "/var/opt/gitlab/gitlab-workhorse/sockets/socket"]);
        let tokens = Tokens { clock_ahead: ahead, ..Tokens::default() };
        let _rails = gitlab::start_rails(server, tokens);
        let _nginx = start_nginx(server, "gitlab-http.conf", 443, ahead);
        let report = Report::on(PEERS, &site.lab.client, &FROM_OUTSIDE);
        assert_eq!(codes(&report), [expected], "{}", report.ran);
        assert_eq!(report.findings(PEERS)[0][2], REGISTRY_URL);
        let client = site.client(REGISTRY_NAME);
        assert_eq!(client.succeeded(), logs_in, "{ahead}: {client}");
        site.record(&site.lab.client, &FROM_OUTSIDE, PEERS, case);
        // From the server with its own files the same is seen.
        let inside = Report::on(PEERS, server, &[]);
        assert_eq!(codes(&inside), [expected], "{}", inside.ran);
    }
    let log = registry.log();
    assert!(log.contains("token not to be used before"), "{log}");
    assert!(log.contains("token not to be used after"), "{log}");
}

/// gldoctor on the client, whose clock is so many seconds ahead.
fn ahead(node: &Node, seconds: i64, only: &str, arguments: &[&str]) -> Ran {
    let preload = format!("LD_PRELOAD={}", clock::faketime_library());
    let shift = format!("FAKETIME={seconds:+}s");
    let gldoctor = env!("CARGO_BIN_EXE_gldoctor");
    let run = [&preload, &shift, "FAKETIME_DONT_FAKE_MONOTONIC=1", gldoctor, "run", "--only", only];
    node.run("env", &[&run[..], &["--timeout", "2s", "--format", "json"], arguments].concat())
}

#[test]
fn a_host_on_another_clock_is_blamed_only_where_it_is_proven() {
    let Some((site, _running)) = Site::start(|_| ()) else { return };
    if Lab::start(&[FAKETIME, CHRONYD]).is_none() {
        return;
    }
    let client = &site.lab.client;
    for (seconds, expected) in
        [(90, "warning host-skew"), (-90, "warning host-skew"), (3900, "error host-skew")]
    {
        let report = Report::read(ahead(client, seconds, PEERS, &FROM_OUTSIDE));
        assert_eq!(codes(&report), [expected], "{}", report.ran);
        let message = report.check(PEERS)["findings"][0]["message"].as_str().unwrap();
        assert!(message.contains(if seconds > 0 { " ahead of " } else { " behind " }), "{message}");
    }
    // A time server tells who is wrong.
    let _chronyd = clock::start_chronyd(&site.lab.server, SERVER, Clock::Right);
    let arguments = [&FROM_OUTSIDE[..], &["--ntp", SERVER]].concat();
    let both = "clock/peers,clock/offset";
    let report = Report::read(ahead(client, 90, both, &arguments));
    let caused: Vec<_> = report.findings(PEERS).iter().map(|it| (it[1], it[3])).collect();
    assert_eq!(caused, [("host-skew", "clock/offset")], "{}", report.ran);
    assert_eq!(report.codes("clock/offset"), ["error offset"]);
    assert_eq!(codes(&Report::on(both, client, &arguments)), ["passed"]);
}

/// The `Date` of a clock that is so many milliseconds ahead.
fn date(ahead_ms: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let ms = i64::try_from(now.as_millis()).unwrap() + ahead_ms;
    let seconds = u64::try_from(ms.div_euclid(1000)).unwrap();
    let then = UNIX_EPOCH + Duration::from_secs(seconds);
    let then = jiff::Timestamp::try_from(then).unwrap();
    then.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A server of plain HTTP on the lab's server.
fn start(lab: &Lab, port: u16, ahead_ms: i64, fields: &'static [(&str, &str)]) -> HttpServer {
    HttpServer::tcp(lab.server.listen(SERVER, port), move |_| {
        let dated = Response::new(200, "").with("Date", &date(ahead_ms));
        fields.iter().fold(dated, |response, (name, value)| response.with(name, value))
    })
}

fn about(lab: &Lab, port: u16) -> Report {
    Report::on(PEERS, &lab.client, &["--url", &format!("http://{HOST}:{port}")])
}

#[test]
fn nothing_is_claimed_beyond_the_nearer_end() {
    let Some(lab) = Lab::start(&[]) else { return };
    for (port, ahead_ms, expected) in [
        (81, 0, "passed"),
        (82, 990, "passed"),
        (83, -990, "passed"),
        // 2.5 s less what the second cuts off, and half a second of a busy machine.
        (84, 2500, "warning host-skew"),
        (85, -2500, "warning host-skew"),
        (86, 90_000, "warning host-skew"),
        (87, -90_000, "warning host-skew"),
        (88, -899_000, "warning host-skew"),
        (89, -902_000, "error host-skew"),
    ] {
        let _server = start(&lab, port, ahead_ms, &[]);
        let report = about(&lab, port);
        assert_eq!(codes(&report), [expected], "{ahead_ms}: {}", report.ran);
    }
}

#[test]
fn a_slow_answer_widens_the_doubt() {
    let Some(lab) = Lab::start(&[]) else { return };
    let _slow = HttpServer::tcp(lab.server.listen(SERVER, 80), |_| {
        let dated = Response::new(200, "").with("Date", &date(2000));
        std::thread::sleep(Duration::from_millis(1300));
        dated
    });
    let report = about(&lab, 80);
    assert_eq!(codes(&report), ["passed"], "{}", report.ran);
}

#[test]
fn a_cache_proves_little_and_a_proxy_less_than_the_service() {
    let Some(lab) = Lab::start(&[]) else { return };
    let past = start(&lab, 81, -300_000, &[("Age", "300")]);
    let report = about(&lab, 81);
    assert_eq!(codes(&report), ["unknown"], "{}", report.ran);
    let reason = report.check(PEERS)["reason"].as_str().unwrap();
    assert!(reason.contains("a cache kept its response (Age: 300)"), "{reason}");
    let lab_of = &lab;
    let record = |port: u16, case: &str| {
        let url = format!("http://{HOST}:{port}");
        let bundle = ["bundle", "--quiet", "--only", PEERS, "--url", &url, "-o", "/run/r.json"];
        lab_of.client.gldoctor(&bundle);
        crate::site::keep(PEERS, case, &lab_of.client.read("/run/r.json"));
        lab_of.client.must("rm", &["/run/r.json"]);
    };
    record(81, "cannot-look-cached");
    drop(past);
    // What was kept cannot come from the future.
    let _future = start(&lab, 82, 300_000, &[("X-Cache", "HIT from squid.internal")]);
    assert_eq!(codes(&about(&lab, 82)), ["warning host-skew"]);
    let _via = start(&lab, 83, 0, &[("Via", "1.1 squid.internal"), ("X-Cache", "MISS")]);
    assert_eq!(codes(&about(&lab, 83)), ["passed"]);
    record(83, "near-miss-behind-a-proxy");
    let _wrong = start(&lab, 84, 90_000, &[("Via", "1.1 squid.internal")]);
    let report = about(&lab, 84);
    let evidence = report.evidence(PEERS, "the clock of GitLab");
    assert!(evidence[0].contains("or of a proxy before it"), "{evidence:?}");
    record(84, "faulty-host-behind");
    let _no_date = HttpServer::tcp(lab.server.listen(SERVER, 85), |_| Response::new(200, ""));
    assert_eq!(codes(&about(&lab, 85)), ["unknown"]);
    assert_eq!(codes(&about(&lab, 86)), ["unknown"]);
    let root = Report::on(PEERS, &lab.client, &["--root", "/etc"]);
    assert_eq!(codes(&root), ["not_applicable"], "{}", root.ran);
}

#[test]
fn a_registry_of_ones_own_is_compared_with_where_its_tokens_come_from() {
    let Some(lab) = Lab::start(&[REGISTRY]) else { return };
    let config = format!(
        "version: 0.1\nstorage: {{inmemory: {{}}}}\nhttp: {{addr: ':5000'}}\nauth: {{token: {{\
         realm: 'http://{HOST}/jwt/auth', service: container_registry, issuer: gitlab-issuer, \
         rootcertbundle: /run/ca.crt}}}}\n"
    );
    lab.client.write("/etc/docker/registry/config.yml", config);
    lab.client.write("/run/ca.crt", pki::self_signed(lab.dir(), HOST).pem());
    let arguments = ["serve", "/etc/docker/registry/config.yml"];
    let _registry = lab.client.serve(REGISTRY, &arguments, || lab.client.listens(5000));
    let check = |ahead_ms| {
        let _gitlab = start(&lab, 80, ahead_ms, &[]);
        codes(&Report::on(PEERS, &lab.client, &[]))
    };
    assert_eq!(check(0), ["passed"]);
    assert_eq!(check(70_000), ["error registry-behind"]);
    assert_eq!(check(-70_000), ["warning registry-ahead"]);
}

#[test]
fn an_object_store_on_another_clock_refuses_requests() {
    let Some((site, _running)) = Site::start(|_| ()) else { return };
    let server = &site.lab.server;
    // Only gldoctor reads this: the registry runs with what was there before.
    let config = server.read(CONFIG);
    let (before, rest) = config.split_once("\nstorage:").unwrap();
    let after = rest.lines().skip(1).skip_while(|line| line.starts_with(' ')).collect::<Vec<_>>();
    let store = format!("http://{CLIENT}:9000");
    let s3 = format!(
        "storage:\n  s3:\n    bucket: images\n    region: lab\n    regionendpoint: {store}\n"
    );
    server.write(CONFIG, format!("{before}\n{s3}{}\n", after.join("\n")));
    for (ahead_ms, expected) in
        [(0, "passed"), (20_000, "warning store-skew"), (1_200_000, "error store-skew")]
    {
        let listener = site.lab.client.listen(CLIENT, 9000);
        let store = HttpServer::tcp(listener, move |_| {
            Response::new(403, "<Error><Code>AccessDenied</Code></Error>")
                .with("Date", &date(ahead_ms))
        });
        let report = Report::on(PEERS, server, &[]);
        assert_eq!(codes(&report), [expected], "{}", report.ran);
        let asked = store.seen();
        assert_eq!((asked.len(), asked[0].target.as_str()), (1, "/"));
        if ahead_ms > 900_000 {
            site.record(server, &[], PEERS, "faulty-store-refuses");
        }
    }
}
