//! `registry/storage-driver` against a real registry that refuses to start, or starts, and against
//! a real object store.

use crate::gitlab::{Gitlab, start_registry};
use crate::lab::{HOST, Lab, NGINX, REGISTRY, SERVER};
use crate::node::Ran;
use crate::object_store;
use crate::pki::{self, Authority};
use crate::site::{API, CONFIG, Report, record};

const CHECK: &str = "registry/storage-driver";

/// Where a registry without GitLab has its configuration.
const OWN_CONFIG: &str = "/etc/docker/registry/config.yml";

/// Debian's account for it, which the machine of the test need not have.
const ACCOUNT: &str = "
grep -q ^docker-registry: /etc/passwd ||
  echo docker-registry:x:4242:4242::/var/lib/docker-registry:/usr/sbin/nologin >> /etc/passwd
install -d -o docker-registry -g 4242 -m 750 /var/lib/images";

const FOLDER: &str = "filesystem: {rootdirectory: /var/lib/images}";

fn own_registry(lab: &Lab, storage: &str) {
    let more = if storage.contains("redis:") { "" } else { "http: {addr: '127.0.0.1:5000'}\n" };
    lab.server.write(OWN_CONFIG, format!("version: 0.1\n{more}storage: {storage}\n"));
}

/// What the registry does with its configuration: exit code 124 says that it went on running.
fn run_registry(lab: &Lab, patience: &str) -> Ran {
    lab.server.run("timeout", &[patience, "docker-registry", "serve", OWN_CONFIG])
}

fn judged(lab: &Lab) -> Report {
    Report::on(CHECK, &lab.server, &[])
}

#[test]
fn gitlab_rb_alone_tells_as_much() {
    let Some(lab) = Lab::start(&[]) else { return };
    let root = lab.dir().join("root");
    let root = root.to_str().unwrap();
    let manifest = |version: &str| {
        let path = format!("{root}/opt/gitlab/version-manifest.txt");
        lab.server.write(&path, format!("gitlab-ee {version}\n"));
    };
    let told = |storage: &str| {
        let rb = format!("registry_external_url 'https://{HOST}:4567'\n{storage}\n");
        lab.server.write(&format!("{root}/etc/gitlab/gitlab.rb"), rb);
        let report = Report::on(CHECK, &lab.server, &["--root", root]);
        assert!(!report.ran.stdout.contains("hush"), "{}", report.ran);
        match report.status(CHECK) {
            status @ ("passed" | "unknown") => vec![status.to_owned()],
            _ => report.codes(CHECK),
        }
    };
    manifest("17.11.7");
    let s3 = |more: &str| {
        format!(
            "registry['storage'] = {{ 's3' => {{ 'accesskey' => 'hush', 'secretkey' => 'hush', \
             'bucket' => 'b'{more} }} }}"
        )
    };
    for (storage, expected) in [
        (String::new(), "passed"),
        (s3(", 'region' => 'eu-west-1'"), "passed"),
        (s3(", 'region' => ENV['REGION']"), "passed"),
        (s3(", 'region' => 'us-east-1', 'chunksize' => 25_000_000"), "passed"),
        ("registry['storage'] = from_elsewhere".to_owned(), "unknown"),
        (s3(""), "error no-region"),
        (s3(", 'region' => 'eu-west-1', 'chunksize' => 1_000_000"), "error chunk-size"),
        (s3(", 'region' => 'eu-west-1', 'chunksize' => '5MB'"), "error chunk-size"),
        (
            s3(", 'region' => 'eu-west-1', 'regionendpoint' => 'minio.internal:9000'"),
            "warning endpoint-without-scheme",
        ),
        (
            s3(", 'region' => 'x', 'regionendpoint' => 'http://minio.internal', 'v4auth' => false"),
            "warning signature-v2",
        ),
        (
            "registry['storage'] = { 'swift' => { 'container' => 'c' } }".to_owned(),
            "error removed-driver",
        ),
        ("registry['storage'] = { 'filesystem' => '/data' }".to_owned(), "error not-a-section"),
        (
            "registry['storage'] = { 'filesystem' => { 'rootdirectory' => '/d' }, 's3' => {} }"
                .to_owned(),
            "error two-drivers",
        ),
        ("registry['storage']['redirect']['disable'] = 'true'".to_owned(), "error no-driver"),
    ] {
        let told = told(&storage);
        assert_eq!(told[0], expected, "{storage}: {told:?}");
    }
    let v2 = "registry['storage']['s3_v2'] = { 'bucket' => 'b', 'region' => 'eu-west-1' }";
    assert_eq!(told(v2), ["passed"]);
    manifest("17.9.0");
    assert_eq!(told(v2), ["error unknown-driver"]);
    manifest("16.11.0");
    assert_eq!(told("registry['storage'] = { 'oss' => {} }"), ["warning removed-driver"]);
}

#[test]
fn what_the_registry_refuses_is_found_in_its_own_words() {
    let Some(lab) = Lab::start(&[REGISTRY]) else { return };
    lab.server.must("sh", &["-c", ACCOUNT]);
    let s3 = |more: &str| {
        format!("{{s3: {{region: us-east-1, bucket: b, accesskey: a, secretkey: hush{more}}}}}")
    };
    let beside = |more: &str| format!("{{{FOLDER}, {more}}}");
    let cases = [
        ("no-driver", "{delete: {enabled: true}}".to_owned()),
        ("two-drivers", beside("inmemory: {}")),
        ("two-drivers", beside("tag: {concurrencylimit: 8}")),
        ("unknown-driver", "{minio: {bucket: b}}".to_owned()),
        ("unknown-driver", "{s3_v2: {region: us-east-1, bucket: b}}".to_owned()),
        ("unknown-driver", "{gcs: {bucket: b}}".to_owned()),
        ("removed-driver", "{oss: {bucket: b}}".to_owned()),
        ("not-a-section", "{filesystem: /var/lib/images}".to_owned()),
        ("not-a-section", beside("delete: true")),
        ("not-a-section", beside("maintenance: {readonly: }")),
        ("readonly-not-a-section", beside("maintenance: {readonly: true}")),
        ("readonly-not-a-section", beside("maintenance: {readonly: {enabled: 'true'}}")),
        ("purging-incomplete", beside("maintenance: {uploadpurging: {enabled: true}}")),
        (
            "purging-incomplete",
            beside("maintenance: {uploadpurging: {age: 7d, interval: 24h, dryrun: false}}"),
        ),
        ("not-boolean", beside("redirect: {disable: 'true'}")),
        ("cache-without-redis", beside("cache: {blobdescriptor: redis}")),
        (
            "number-refused",
            "{filesystem: {rootdirectory: /var/lib/images, maxthreads: x}}".to_owned(),
        ),
        ("no-region", "{s3: {bucket: b}}".to_owned()),
        ("no-bucket", "{s3: {region: us-east-1}}".to_owned()),
        ("unknown-region", "{s3: {region: minio, bucket: b}}".to_owned()),
        ("chunk-size", s3(", chunksize: 4194304")),
        ("chunk-size", s3(", chunksize: 5M")),
        ("number-refused", s3(", multipartcopymaxconcurrency: 0")),
        ("not-boolean", s3(", secure: maybe")),
        ("signature-v2", s3(", v4auth: false")),
        ("value-refused", s3(", storageclass: COLD")),
        ("value-refused", s3(", objectacl: everybody")),
    ];
    for (code, storage) in cases {
        own_registry(&lab, &storage);
        let registry = run_registry(&lab, "10");
        assert!(matches!(registry.code, Some(1 | 2)), "{storage}: {registry}");
        let report = judged(&lab);
        assert_eq!(report.codes(CHECK), [format!("error {code}")], "{storage}: {}", report.ran);
        let words = report.evidence(CHECK, "the registry says");
        let said = registry.stderr + &registry.stdout;
        assert!(said.contains(words[0]), "{storage}: {words:?} is not in {said}");
        assert!(!report.ran.stdout.contains("hush"), "{}", report.ran);
        if storage.contains("5M") {
            record(&lab, &lab.server, &[], CHECK, "faulty-chunk-size");
        }
        if storage.contains("inmemory") {
            record(&lab, &lab.server, &[], CHECK, "faulty-two-drivers");
        }
    }
    // What does not start does not answer, and the report says which of the two is the cause.
    own_registry(&lab, &s3(", chunksize: 5M"));
    let report = Report::on(&format!("{CHECK},{API}"), &lab.server, &[]);
    let [[_, code, _, cause]] = report.findings(API)[..] else { panic!("{}", report.ran) };
    assert_eq!((code, cause), ("refused", CHECK), "{}", report.ran);
}

#[test]
fn what_the_registry_starts_with_passes() {
    let Some(lab) = Lab::start(&[REGISTRY]) else { return };
    lab.server.must("sh", &["-c", ACCOUNT]);
    let beside = |more: &str| format!("{{{FOLDER}, {more}}}");
    for storage in [
        beside("maintenance: {readonly: {enabled: false}}"),
        beside("maintenance: {readonly: {}}"),
        beside("maintenance: {uploadpurging: {age: 168h, interval: 24h, dryrun: false}}"),
        beside("cache: {blobdescriptor: inmemory}, redirect: {disable: true}"),
        "{filesystem: {rootdirectory: /var/lib/images, maxthreads: 10}}".to_owned(),
        "{s3: {region: us-east-1, bucket: b, chunksize: '25000000', secure: 'true'}}".to_owned(),
    ] {
        own_registry(&lab, &storage);
        let registry = run_registry(&lab, "0.5");
        assert_eq!(registry.code, Some(124), "{storage}: {registry}");
        let report = judged(&lab);
        assert_eq!(report.status(CHECK), "passed", "{storage}: {}", report.ran);
        if storage.contains("maxthreads") {
            record(&lab, &lab.server, &[], CHECK, "healthy-folder");
        }
        if storage.contains("chunksize") {
            record(&lab, &lab.server, &[], CHECK, "near-miss-numbers-as-text");
        }
    }
    // It starts, too, and loses everything at each restart.
    own_registry(&lab, "inmemory");
    assert_eq!(run_registry(&lab, "0.5").code, Some(124));
    assert_eq!(judged(&lab).codes(CHECK), ["error in-memory"]);
}

#[test]
fn folders_are_open_to_their_accounts_and_to_nobody_needless() {
    let Some(lab) = Lab::start(&[REGISTRY]) else { return };
    let certificate = pki::self_signed(lab.dir(), HOST);
    let _gitlab = Gitlab::install(&lab, &certificate);
    let server = &lab.server;
    let root = "/var/opt/gitlab/gitlab-rails/shared/registry";
    let shell = |script: &str| server.must("sh", &["-c", script]);
    let may = |account: &str| {
        let user = ["--reuid", account, "--regid", account, "--init-groups"];
        let path = format!("{root}/probe");
        let made = server.run("setpriv", &[&user[..], &["mkdir", &path]].concat());
        server.run("rmdir", &[&path]);
        made.succeeded()
    };
    // What the package itself leaves.
    assert!(may("registry") && may("git"));
    assert_eq!(judged(&lab).status(CHECK), "passed", "{}", judged(&lab).ran);
    record(&lab, &lab.server, &[], CHECK, "healthy-package");

    shell(&format!("chown root:root {root} && chmod 755 {root}"));
    assert!(!may("registry") && !may("git"));
    let report = judged(&lab);
    assert_eq!(report.codes(CHECK), ["error folder-refused"]);
    record(&lab, &lab.server, &[], CHECK, "faulty-folder-refused");

    shell(&format!("chown registry:registry {root} && chmod 700 {root}"));
    assert!(may("registry") && !may("git"));
    assert_eq!(judged(&lab).codes(CHECK), ["warning folder-refused-to-git"]);

    shell(&format!("chown registry:git {root} && chmod 770 {root} && chmod 750 {root}/.."));
    assert!(!may("registry") && may("git"));
    let report = judged(&lab);
    assert_eq!(report.codes(CHECK), ["error folder-refused"], "{}", report.ran);
    assert_eq!(report.commands(CHECK), ["sudo chmod a+x /var/opt/gitlab/gitlab-rails/shared"]);
    shell(&format!("chmod 751 {root}/.."));

    // What a copy as root leaves behind.
    shell(&format!("chown root:root {root}/docker/registry/v2/repositories"));
    assert_eq!(judged(&lab).codes(CHECK), ["error folder-refused"]);
    shell(&format!("chown registry:git {root}/docker/registry/v2/repositories"));
    assert_eq!(judged(&lab).status(CHECK), "passed");

    shell(&format!("mv {root} {root}.away"));
    assert_eq!(judged(&lab).codes(CHECK), ["error folder-missing"]);
    record(&lab, &lab.server, &[], CHECK, "faulty-folder-missing");
    shell(&format!("touch {root}"));
    assert_eq!(judged(&lab).codes(CHECK), ["error not-a-folder"]);

    // As files of another system, without its network.
    let copy = lab.dir().join("root");
    let script =
        "mkdir -p $0/var/opt/gitlab $0/etc && cp -a /etc/passwd /etc/group /etc/gitlab $0/etc &&
        cp -a /var/opt/gitlab/registry $0/var/opt/gitlab";
    server.must("sh", &["-c", script, copy.to_str().unwrap()]);
    let copied = || Report::on(CHECK, server, &["--root", copy.to_str().unwrap()]);
    // Somebody may have left the images behind.
    assert_eq!(copied().status(CHECK), "unknown", "{}", copied().ran);
    let shared = copy.join("var/opt/gitlab/gitlab-rails/shared");
    std::fs::create_dir_all(&shared).unwrap();
    assert_eq!(copied().codes(CHECK), ["error folder-missing"], "{}", copied().ran);
    // Unpacked without their owners, they are all of the one who unpacked them.
    std::fs::create_dir(shared.join("registry")).unwrap();
    assert_eq!(copied().status(CHECK), "passed", "{}", copied().ran);
    server.must("chown", &["git:git", shared.to_str().unwrap()]);
    assert_eq!(copied().codes(CHECK), ["error folder-refused"], "{}", copied().ran);
}

#[test]
fn an_object_store_is_asked_without_credentials() {
    let Some(lab) = Lab::start(&[REGISTRY, NGINX, "curl"]) else {
        return;
    };
    let Some(store) = object_store::start(&lab.server) else { return };
    let certificate = pki::self_signed(lab.dir(), HOST);
    let _gitlab = Gitlab::install(&lab, &certificate);
    let server = &lab.server;
    let settle = |endpoint: &str, more: &str| {
        server.edit(CONFIG, |text| {
            let line = text.lines().find(|line| line.starts_with("storage:")).unwrap();
            text.replace(line, &object_store::storage(endpoint, more, ""))
        });
    };
    let own = format!("http://{SERVER}:{}", object_store::PORT);
    server.edit(CONFIG, |text| text.replace("interval: 10s", "interval: 1s"));
    settle(&own, "");
    let registry = start_registry(server);
    let health = || server.must("curl", &["-sS", "http://localhost:5001/debug/health"]);
    assert_eq!(judged(&lab).status(CHECK), "passed", "{}", judged(&lab).ran);
    record(&lab, &lab.server, &[], CHECK, "healthy-object-store");
    assert_eq!(health().trim(), "{}");
    registry.stop();

    object_store::trust_only(server, &certificate.pem());
    // The scheme is not the store's, in both directions; then an unknown authority.
    let authority = Authority::root("Store Root");
    let name = format!("registry.{HOST}");
    let tls = authority.issue(lab.dir(), &[&name]);
    let _tls = object_store::start_tls(server, &tls.pem(), &tls.key_pem());
    let secure = format!("https://{name}:{}", object_store::TLS_PORT);
    for (endpoint, code) in [
        (own.replace("http", "https"), "store-plain-http"),
        (secure.replace("https", "http"), "store-speaks-tls"),
        (secure.clone(), "store-not-trusted"),
        (format!("http://{SERVER}:9999"), "store-unreachable"),
        ("http://no-such-store.internal:9004".to_owned(), "store-resolver-silent"),
        // nginx' own page where the store should be.
        (format!("http://{SERVER}:9333"), "not-a-store"),
    ] {
        settle(&endpoint, "");
        let report = judged(&lab);
        assert_eq!(report.codes(CHECK), [format!("error {code}")], "{}", report.ran);
        if code == "store-not-trusted" {
            record(&lab, &lab.server, &[], CHECK, "faulty-store-not-trusted");
            let said = report.evidence(CHECK, "the registry says");
            let registry = start_registry(server);
            std::thread::sleep(std::time::Duration::from_secs(5));
            // Go's libraries have found more words for it since.
            let words = said[0].trim_start_matches("tls: failed to verify certificate: ");
            let health = health();
            assert!(health.contains(words), "{said:?}: {health} {}", registry.log());
        }
    }
    settle(&secure, ", \"skipverify\": true");
    let codes = judged(&lab).codes(CHECK);
    assert_eq!(codes, ["warning certificate-unverified"], "{}", judged(&lab).ran);
    object_store::trust_only(server, authority.pem());
    settle(&secure, ", \"secure\": true");
    assert_eq!(judged(&lab).status(CHECK), "passed", "{}", judged(&lab).ran);
    settle(&secure, ", \"pathstyle\": false");
    assert_eq!(judged(&lab).codes(CHECK), ["error host-style"], "{}", judged(&lab).ran);

    // With the store gone the registry refuses everything, and the report says why.
    settle(&own, "");
    let _registry = start_registry(server);
    store.signal("KILL");
    std::thread::sleep(std::time::Duration::from_secs(6));
    let report = Report::on(&format!("{CHECK},{API}"), server, &[]);
    assert_eq!(report.codes(CHECK), ["error store-unreachable"], "{}", report.ran);
    record(&lab, &lab.server, &[], CHECK, "faulty-store-unreachable");
    let causes: Vec<_> =
        report.findings(API).iter().map(|[_, code, _, cause]| (*code, *cause)).collect();
    assert!(causes.contains(&("unhealthy", CHECK)), "{causes:?}: {}", report.ran);
}
