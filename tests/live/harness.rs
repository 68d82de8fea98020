//! The harness proven against the real clients, before gldoctor is believed on its ground.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::clock::{self, Clock};
use crate::gitlab::{self, Gitlab, REGISTRY_NAME, REGISTRY_URL};
use crate::http::{HttpServer, Response};
use crate::lab::{CHRONYD, CLIENT, DOCKERD, FAKETIME, HOST, Lab, NGINX, REGISTRY, SERVER, SKOPEO};
use crate::node::Ran;
use crate::pki::{self, Authority};
use crate::rails::{PASSWORD, USER};
use crate::standin::ntp::{Answer, NtpStandin};
use crate::standin::tcp::{Fault, TcpStandin};

#[test]
fn nodes_are_machines_of_their_own() {
    let Some(lab) = Lab::start(&[]) else { return };
    assert_eq!(lab.server.must("hostname", &[]), format!("{HOST}\n"));
    let seen = lab.client.must("getent", &["ahostsv4", HOST]);
    assert!(seen.starts_with(SERVER), "{seen}");
    lab.server.write("/etc/gitlab/gitlab.rb", "external_url 'https://my-host.internal'\n");
    assert!(!lab.client.run("cat", &["/etc/gitlab/gitlab.rb"]).succeeded());
    assert!(lab.server.path("/etc/gitlab/gitlab.rb").exists());
    // Processes are private, too, and so is the environment.
    assert_eq!(lab.client.must("sh", &["-c", "cd /proc && ls -d 1"]), "1\n");
    assert!(!lab.client.must("env", &[]).contains("SSL_CERT_FILE"));
    assert!(lab.client.run("getent", &["hosts", "no-such-name.internal"]).stdout.is_empty());
}

#[test]
fn nothing_outlives_a_lab() {
    let Some(lab) = Lab::start(&[]) else { return };
    let dir = lab.dir().to_owned();
    let pid = lab.server.pid();
    let sleeper = lab.server.serve("sleep", &["1000"], || true);
    std::mem::forget(sleeper);
    drop(lab);
    assert!(!dir.exists());
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    assert!(!mounts.contains(dir.to_str().unwrap()));
}

#[test]
fn gldoctor_runs_on_a_node() {
    let Some(lab) = Lab::start(&[]) else { return };
    let doctor = lab.gldoctor(&["--version"]);
    assert!(doctor.succeeded(), "{doctor}");
}

#[test]
fn skopeo_accepts_a_name_where_it_belongs() {
    let Some(lab) = Lab::start(&[NGINX, REGISTRY, SKOPEO]) else { return };
    let certificate = pki::self_signed(lab.dir(), HOST);
    let _running = Gitlab::install(&lab, &certificate).start(&lab);

    let stranger = log_in(&lab, PASSWORD);
    assert_eq!(stranger.x509_error(), Some("x509: certificate signed by unknown authority"));

    // The guide's folder: the port is another, so nobody looks there.
    lab.client.write(&format!("/etc/docker/certs.d/{HOST}:5000/ca.crt"), certificate.pem());
    assert!(log_in(&lab, PASSWORD).x509_error().is_some());

    lab.client.write(&certs_d(), certificate.pem());
    let accepted = log_in(&lab, PASSWORD);
    assert!(accepted.succeeded(), "{accepted}");
    let refused = log_in(&lab, "wrong");
    assert!(refused.stderr.contains("invalid username/password"), "{refused}");

    // The images in the demo's storage are real ones.
    let image = format!("docker://{REGISTRY_NAME}/group/demo-app:1.0");
    let inspected = lab.client.run("skopeo", &["inspect", &image]);
    assert_eq!(inspected.json()["RepoTags"], serde_json::json!(["1.0"]), "{inspected}");
    let copy = format!("dir:{}", lab.dir().join("image").display());
    lab.client.must("skopeo", &["copy", "--insecure-policy", &image, &copy]);
}

#[test]
fn skopeo_refuses_the_certificate_of_the_guide() {
    let Some(lab) = Lab::start(&[NGINX, REGISTRY, SKOPEO]) else { return };
    let certificate = pki::by_the_guide(lab.dir(), HOST);
    let _running = Gitlab::install(&lab, &certificate).start(&lab);
    lab.client.write(&certs_d(), certificate.pem());
    let refused = log_in(&lab, PASSWORD);
    assert_eq!(
        refused.x509_error(),
        Some("x509: certificate relies on legacy Common Name field, use SANs instead"),
        "{refused}"
    );
}

#[test]
fn a_private_authority_works_through_the_system_store() {
    let Some(lab) = Lab::start(&[NGINX, REGISTRY, SKOPEO, "update-ca-certificates"]) else {
        return;
    };
    let root = Authority::root("Lab Root");
    let certificate = root.subordinate("Lab Issuing").issue(lab.dir(), &[HOST]);
    let _running = Gitlab::install(&lab, &certificate).start(&lab);
    lab.client.trust_system_wide("lab-root", root.pem());
    let accepted = log_in(&lab, PASSWORD);
    assert!(accepted.succeeded(), "{accepted}");
}

#[test]
fn an_expired_certificate_is_refused() {
    let Some(lab) = Lab::start(&[NGINX, REGISTRY, SKOPEO]) else { return };
    let root = Authority::root("Lab Root");
    let mut parameters = pki::server(&[HOST]);
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2020, 12, 31);
    let certificate = root.issue_from(lab.dir(), &parameters);
    let _running = Gitlab::install(&lab, &certificate).start(&lab);
    lab.client.write(&certs_d(), root.pem());
    let refused = log_in(&lab, PASSWORD);
    let error = refused.x509_error().unwrap_or_default();
    assert!(error.starts_with("x509: certificate has expired or is not yet valid"), "{refused}");
}

#[test]
fn the_registry_says_why_it_refuses_a_token() {
    let Some(lab) = Lab::start(&[NGINX, REGISTRY, SKOPEO]) else { return };
    let certificate = pki::self_signed(lab.dir(), HOST);
    let mut gitlab = Gitlab::install(&lab, &certificate);
    gitlab.tokens.clock_ahead = -3900;
    let mut running = gitlab.start(&lab);
    lab.client.write(&certs_d(), certificate.pem());
    assert!(!log_in(&lab, PASSWORD).succeeded());
    let log = running.registry.log();
    assert!(log.contains("token not to be used after"), "{log}");
    let asked = running.rails.seen().into_iter().map(|request| request.path().to_owned());
    assert!(asked.collect::<Vec<_>>().contains(&"/jwt/auth".to_owned()));

    // The same registry, and Rails with another key.
    drop(running.rails);
    let tokens =
        crate::rails::Tokens { key_pem: Some(certificate.key_pem()), ..Default::default() };
    running.rails = gitlab::start_rails(&lab.server, tokens);
    assert!(!log_in(&lab, PASSWORD).succeeded());
    let log = running.registry.log();
    assert!(log.contains("token signed by untrusted key with ID"), "{log}");
}

#[test]
fn a_stopped_registry_is_a_bad_gateway() {
    let Some(lab) = Lab::start(&[NGINX, REGISTRY, "curl"]) else { return };
    let certificate = pki::self_signed(lab.dir(), HOST);
    let running = Gitlab::install(&lab, &certificate).start(&lab);
    lab.client.write("/etc/lab-ca.crt", certificate.pem());
    let status = || {
        let url = format!("{REGISTRY_URL}/v2/");
        let curl = ["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", "/etc/lab-ca.crt"];
        lab.client.must("curl", &[&curl[..], &[&url]].concat())
    };
    assert_eq!(status(), "401");
    let health = lab.server.must("curl", &["-sS", "http://localhost:5001/debug/health"]);
    assert_eq!(health.trim(), "{}");
    running.registry.stop();
    assert_eq!(status(), "502");
    let registry = gitlab::start_registry(&lab.server);
    assert_eq!(status(), "401");
    drop(registry);
    running.nginx.signal("QUIT");
}

#[test]
fn nginx_cannot_start_on_the_demo_as_the_guide_left_it() {
    let Some(lab) = Lab::start(&[NGINX]) else { return };
    let certificate = pki::by_the_guide(lab.dir(), HOST);
    let _gitlab = Gitlab::install(&lab, &certificate);
    for file in ["gitlab-http.conf", "gitlab-registry.conf"] {
        let path = format!("/var/opt/gitlab/nginx/conf/{file}");
        lab.server.edit(&path, |text| text.replace(HOST, "gitlab.example.com"));
    }
    let conf = "/var/opt/gitlab/nginx/conf/nginx.conf";
    let test = lab.server.run("nginx", &["-t", "-p", "/var/opt/gitlab/nginx", "-c", conf]);
    let expected =
        "cannot load certificate \"/etc/gitlab/ssl/gitlab.example.com.crt\": BIO_new_file() failed";
    assert!(test.stderr.contains(expected), "{test}");
}

#[test]
fn the_docker_daemon_judges_like_skopeo() {
    let Some(lab) = Lab::start(&[NGINX, REGISTRY, DOCKERD, "docker"]) else { return };
    let certificate = pki::self_signed(lab.dir(), HOST);
    let _running = Gitlab::install(&lab, &certificate).start(&lab);
    let _dockerd = lab.client.start_dockerd(lab.dir());
    let log_in = || lab.client.run("docker", &["login", "-u", USER, "-p", PASSWORD, REGISTRY_NAME]);
    let stranger = log_in();
    assert_eq!(stranger.x509_error(), Some("x509: certificate signed by unknown authority"));
    lab.client.write(&certs_d(), certificate.pem());
    let accepted = log_in();
    assert!(accepted.succeeded(), "{accepted}");
    lab.client.must("docker", &["pull", &format!("{REGISTRY_NAME}/root/hello:latest")]);
}

#[test]
fn chronyd_serves_the_time_it_is_told() {
    let Some(lab) = Lab::start(&[CHRONYD, FAKETIME]) else { return };
    for (last, clock, expected) in [
        (11, Clock::Right, Some(0.0)),
        (12, Clock::Ahead(90), Some(90.0)),
        (13, Clock::Unsynchronized, None),
    ] {
        let address = format!("10.77.0.{last}");
        lab.server.must("ip", &["address", "add", &format!("{address}/24"), "dev", "lab0"]);
        let _chronyd = clock::start_chronyd(&lab.server, &address, clock);
        let offset: Option<f64> = clock::offset_by_chronyd(&lab.client, &address);
        match (offset, expected) {
            (Some(offset), Some(expected)) => assert!((offset - expected).abs() < 0.5, "{offset}"),
            (offset, expected) => assert_eq!(offset, expected),
        }
    }
}

#[test]
fn chronyd_believes_the_honest_stand_in_only() {
    let Some(lab) = Lab::start(&[CHRONYD]) else { return };
    let honest = NtpStandin::start(lab.server.udp(SERVER, 123), Answer::Time(-2500));
    let offset = clock::offset_by_chronyd(&lab.client, SERVER).unwrap();
    assert!((offset + 2.5).abs() < 0.1, "{offset}");
    assert!(honest.questions() > 0);
    drop(honest);
}

#[test]
fn time_servers_lie_in_every_way() {
    // On loopback, to show that stand-ins need no lab.
    let reply = |answer| {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let _standin = NtpStandin::with_other_port(server, Some(other), answer);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut question = [0_u8; 48];
        question[0] = 0x23;
        question[40..48].copy_from_slice(b"question");
        client.send_to(&question, address).unwrap();
        let mut packets = Vec::new();
        let mut packet = [0; 64];
        while let Ok((length, from)) = client.recv_from(&mut packet) {
            packets.push((packet[..length].to_vec(), from == address));
        }
        packets
    };
    let one = |answer| {
        let packets = reply(answer);
        assert_eq!(packets.len(), 1, "{answer:?}");
        packets.into_iter().next().unwrap()
    };
    let (good, from_there) = one(Answer::Time(0));
    assert!(from_there);
    assert_eq!((good.len(), good[0], good[1], &good[24..32]), (48, 0x24, 2, &b"question"[..]));
    let (kiss, _) = one(Answer::KissOfDeath(b"RATE"));
    assert_eq!((kiss[0] >> 6, kiss[1], &kiss[12..16]), (3, 0, &b"RATE"[..]));
    assert_eq!(one(Answer::StratumZero).0[1], 0);
    assert_eq!(one(Answer::Stratum16).0[1], 16);
    assert_eq!(one(Answer::Unsynchronized).0[0] >> 6, 3);
    assert_ne!(one(Answer::WrongOrigin).0[24..32], b"question"[..]);
    assert!(!one(Answer::OtherPort).1);
    assert_eq!(one(Answer::Short).0.len(), 20);
    assert_eq!(reply(Answer::Duplicates).len(), 3);
    assert!(reply(Answer::Silence).is_empty());
}

/// What a client gets that asks a stand-in over plain TCP and reads for at most 300 ms or 64 KiB.
fn ask(fault: Fault) -> (std::io::Result<()>, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let standin = TcpStandin::plain(listener, fault);
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let (since, mut bytes, mut buffer) = (Instant::now(), Vec::new(), [0; 4096]);
    let ended = loop {
        if since.elapsed() > Duration::from_millis(300) || bytes.len() > 65_536 {
            break Err(std::io::ErrorKind::WouldBlock.into());
        }
        match stream.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(error) => break Err(error),
        }
    };
    assert_eq!(standin.connections(), 1);
    (ended, bytes)
}

#[test]
fn tcp_stand_ins_misbehave_as_told() {
    use std::io::ErrorKind::{ConnectionReset, WouldBlock};
    let kind = |ended: std::io::Result<()>| ended.map_err(|error| error.kind());

    let (ended, bytes) = ask(Fault::Silent);
    assert_eq!((kind(ended), bytes.len()), (Err(WouldBlock), 0));
    assert_eq!(kind(ask(Fault::Reset).0), Err(ConnectionReset));
    let (ended, bytes) = ask(Fault::Hangup);
    assert_eq!((kind(ended), bytes.len()), (Ok(()), 0));
    let (ended, bytes) = ask(Fault::Says(b"SSH-2.0-lab\r\n"));
    assert_eq!((kind(ended), &bytes[..]), (Ok(()), &b"SSH-2.0-lab\r\n"[..]));
    let (ended, bytes) = ask(Fault::StalledHandshake);
    assert_eq!((kind(ended), bytes.len()), (Err(WouldBlock), 9));
    let (_, bytes) = ask(Fault::Drips(b"HTTP/1.1 200 OK", Duration::from_millis(100)));
    assert!((1..=4).contains(&bytes.len()), "{bytes:?}");
    let (ended, bytes) = ask(Fault::EndlessHeaders);
    assert!(kind(ended) == Err(WouldBlock) && bytes.ends_with(b"\n") | (bytes.len() > 65_536));
    assert!(ask(Fault::EndlessBody).1.len() > 65_536);
}

#[test]
fn a_stand_in_can_hide_behind_tls() {
    let Some(lab) = Lab::start(&["curl"]) else { return };
    let root = Authority::root("Lab Root");
    let certificate = root.issue(lab.dir(), &[HOST]);
    let listener = lab.server.listen(SERVER, 443);
    let standin = TcpStandin::tls(listener, &certificate, Fault::EndlessHeaders);
    lab.client.write("/etc/lab-ca.crt", root.pem());
    let url = format!("https://{HOST}/");
    let curl = lab.client.run("curl", &["-sS", "--cacert", "/etc/lab-ca.crt", &url]);
    // curl gives up at 300 KB of headers; a handshake that failed would be 35 or 60.
    assert_eq!(curl.code, Some(56), "{curl}");
    assert_eq!(standin.connections(), 1);
}

#[test]
fn packets_can_vanish_and_servers_can_answer_anything() {
    let Some(lab) = Lab::start(&["curl", "iptables"]) else { return };
    let server = HttpServer::tcp(lab.server.listen(SERVER, 80), |request| {
        Response::new(418, request.query("q").concat())
            .with("Date", "Thu, 01 Jan 1970 00:00:00 GMT")
    });
    let url = format!("http://{HOST}/teapot?q=a+b%21");
    let answer = lab.client.must("curl", &["-sSi", "-d", "body", &url]);
    assert!(answer.starts_with("HTTP/1.1 418") && answer.ends_with("\r\n\r\na b!"), "{answer}");
    assert!(answer.contains("Date: Thu, 01 Jan 1970"), "{answer}");
    let seen = server.seen();
    assert_eq!((seen[0].method.as_str(), &seen[0].body[..]), ("POST", &b"body"[..]));
    assert_eq!(seen[0].header("host"), Some(HOST));

    lab.server.filter(80);
    let filtered = lab.client.run("curl", &["-sS", "--connect-timeout", "1", &url]);
    assert_eq!(filtered.code, Some(28), "{filtered}");
    let refused = lab.server.run("curl", &["-sS", &format!("http://{CLIENT}/")]);
    assert_eq!(refused.code, Some(7), "{refused}");
}

fn certs_d() -> String {
    format!("/etc/docker/certs.d/{REGISTRY_NAME}/ca.crt")
}

fn log_in(lab: &Lab, password: &str) -> Ran {
    lab.client.run("skopeo", &["login", "-u", USER, "-p", password, REGISTRY_NAME])
}
