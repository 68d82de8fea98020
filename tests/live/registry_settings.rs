//! `registry/signing-key`, `registry/issuer`, `registry/garbage-collection` and
//! `registry/compatibility`: the real registry has to start, or not, as they say.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::gitlab::Gitlab;
use crate::lab::{HOST, Lab, REGISTRY};
use crate::node::Node;
use crate::pki;
use crate::site::{API, CONFIG, Report, record};

pub(crate) const KEY_CHECK: &str = "registry/signing-key";
pub(crate) const ISSUER: &str = "registry/issuer";
const GARBAGE: &str = "registry/garbage-collection";
pub(crate) const KEY_PAIR: &str = "tls/key-pair";
const SETTINGS: &str = "registry/compatibility";
pub(crate) const ALL: &str =
    "registry/signing-key,registry/issuer,registry/garbage-collection,registry/compatibility";

pub(crate) const BUNDLE: &str = "/var/opt/gitlab/registry/gitlab-registry.crt";
pub(crate) const KEY: &str = "/var/opt/gitlab/gitlab-rails/etc/gitlab-registry.key";
const ENVIRONMENT: &str = "/opt/gitlab/etc/registry/env";
pub(crate) const CRONTAB: &str = "/etc/cron.d/registry-garbage-collect";
pub(crate) const WEEKLY: &str = "5 4 * * 0 root gitlab-ctl registry-garbage-collect\n";

/// A key and a certificate for it, both PEM, by openssl.
pub(crate) fn pair(dir: &Path, algorithm: &[&str]) -> (String, String) {
    let dir = tempfile::tempdir_in(dir).unwrap();
    let (key, certificate) = (dir.path().join("key"), dir.path().join("crt"));
    let request = ["req", "-x509", "-nodes", "-subj", "/CN=Registry", "-days", "30"];
    let ran = Command::new("openssl")
        .args(request)
        .args(algorithm)
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    (fs::read_to_string(key).unwrap(), fs::read_to_string(certificate).unwrap())
}

pub(crate) const RSA: [&str; 2] = ["-newkey", "rsa:2048"];

/// A certificate of GitLab's key that has been out of date for years.
pub(crate) fn expired(node: &Node) -> String {
    let make = format!(
        "faketime '2020-01-01' openssl req -x509 -days 1 -subj /CN=Registry -key {KEY} 2> /dev/null"
    );
    node.must("sh", &["-c", &make])
}

/// An installation whose registry alone is started, again and again.
struct Ground {
    lab: Lab,
    config: String,
    bundle: String,
}

/// What the registry did with its configuration.
enum Start {
    Listens,
    Refused(String),
}

impl Ground {
    fn new() -> Option<Self> {
        let lab = Lab::start(&[REGISTRY, "timeout", "faketime"])?;
        let certificate = pki::self_signed(lab.dir(), HOST);
        let _gitlab = Gitlab::install(&lab, &certificate);
        lab.server.write(CRONTAB, WEEKLY);
        let (config, bundle) = (lab.server.read(CONFIG), lab.server.read(BUNDLE));
        Some(Self { lab, config, bundle })
    }

    /// Keeps what gldoctor sees as a case of a check.
    fn record(&self, check: &str, case: &str) {
        record(&self.lab, &self.lab.server, &[], check, case);
    }

    /// The installation as it was.
    fn mend(&self) {
        let server = &self.lab.server;
        server.must("sh", &["-c", &format!("rm -rf {BUNDLE}")]);
        server.write(BUNDLE, &self.bundle);
        server.must("chown", &["registry:registry", BUNDLE]);
        server.must("sh", &["-c", &format!("cat > {CONFIG} <<'X'\n{}X", self.config)]);
        server.must("rm", &["-rf", ENVIRONMENT]);
    }

    /// A variable in the registry's environment, where the Linux package keeps it.
    fn variable(&self, name: &str, value: &str) {
        self.lab.server.write(&format!("{ENVIRONMENT}/REGISTRY_{name}"), format!("{value}\n"));
    }

    /// The configuration with one thing exchanged.
    fn config(&self, old: &str, new: &str) {
        self.lab.server.edit(CONFIG, |text| text.replace(old, new));
    }

    /// The configuration with lines below a section of its own.
    fn append(&self, lines: &str) {
        self.lab.server.edit(CONFIG, |text| format!("{text}{lines}\n"));
    }

    /// The storage section with something beside the driver.
    fn storage(&self, more: &str) {
        self.config("\"cache\":", &format!("{more},\"cache\":"));
    }

    /// Starts the registry as the Linux package does, and stops it at once.
    fn start(&self) -> Start {
        let server = &self.lab.server;
        let wait = format!(
            "for file in {ENVIRONMENT}/REGISTRY_*; do\n\
             [ -e \"$file\" ] && export \"${{file##*/}}=$(head -n 1 \"$file\")\"\ndone\n\
             timeout 20 setpriv --reuid registry --regid registry --clear-groups {REGISTRY} serve \
             {CONFIG} > /run/registry.log 2>&1 & pid=$!\n\
             while kill -0 $pid 2> /dev/null; do\n\
             grep -q 'listening on' /run/registry.log && {{ kill $pid; wait $pid; exit 3; }}\n\
             sleep 0.02\ndone\nwait $pid; exit 4"
        );
        let ran = server.run("sh", &["-c", &wait]);
        let log = server.read("/run/registry.log");
        match ran.code {
            Some(3) => Start::Listens,
            Some(4) => Start::Refused(log),
            _ => panic!("{ran}\n{log}"),
        }
    }

    /// gldoctor reports this and nothing else, and the registry does not start with these words.
    #[track_caller]
    fn refuses(&self, case: &str, check: &str, code: &str, words: &str) -> Report {
        let report = Report::on(ALL, &self.lab.server, &[]);
        for other in ALL.split(',') {
            let expected: &[String] = if other == check { &[format!("error {code}")] } else { &[] };
            let codes = report.codes(other);
            assert_eq!(codes, expected, "{case}: {other}: {}", report.ran);
        }
        match self.start() {
            Start::Listens => panic!("{case}: the registry starts"),
            Start::Refused(log) => assert!(log.contains(words), "{case}: {log}"),
        }
        report
    }

    /// gldoctor reports these notices at most, and the registry starts.
    #[track_caller]
    fn accepts(&self, case: &str, expected: &[(&str, &str)]) {
        let report = Report::on(ALL, &self.lab.server, &[]);
        for check in ALL.split(',') {
            let of_check = expected.iter().filter(|(id, _)| *id == check);
            let codes: Vec<_> = of_check.map(|(_, code)| (*code).to_owned()).collect();
            assert_eq!(report.codes(check), codes, "{case}: {check}: {}", report.ran);
        }
        if let Start::Refused(log) = self.start() {
            panic!("{case}: {log}");
        }
    }
}

#[test]
fn the_registry_does_not_start_with_a_bundle_that_is_none() {
    let Some(ground) = Ground::new() else { return };
    let (server, dir) = (&ground.lab.server, ground.lab.dir());
    let der = Command::new("sh")
        .args(["-c", "openssl x509 -outform DER -in \"$1\"", "sh"])
        .arg(server.path(BUNDLE))
        .output()
        .unwrap();
    let no_certificate = "at least one token signing root certificate";
    let ed25519 = pair(dir, &["-newkey", "ed25519"]);
    let p224 = pair(dir, &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp224r1"]);
    let unsupported = "public key type ed25519.PublicKey is not supported";
    let write = |content: &[u8]| server.write(BUNDLE, content);
    let refuses = |case: &str, code: &str, words: &str| {
        let report = ground.refuses(case, KEY_CHECK, code, words);
        ground.mend();
        report
    };
    write(b"");
    ground.record(KEY_CHECK, "faulty-bundle-empty");
    // Nobody answers, because of that.
    let report = Report::on(&format!("{KEY_CHECK},{API}"), server, &[]);
    let internal = report.findings(API).into_iter().find(|it| it[2].contains("127.0.0.1:5000"));
    assert_eq!(internal.map(|it| (it[1], it[3])), Some(("refused", KEY_CHECK)), "{}", report.ran);
    refuses("empty", "bundle-unusable", no_certificate);
    write(&der.stdout);
    refuses("DER", "bundle-unusable", no_certificate);
    write(server.read(KEY).as_bytes());
    refuses("a private key", "bundle-unusable", no_certificate);
    write(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    refuses("no certificate", "bundle-unusable", no_certificate);
    write(ed25519.1.as_bytes());
    refuses("Ed25519", "bundle-unusable", unsupported);
    write(format!("{}{}", ground.bundle, ed25519.1).as_bytes());
    refuses("Ed25519 behind a good one", "bundle-unusable", unsupported);
    write(p224.1.as_bytes());
    refuses("P-224", "bundle-unusable", "unsupported elliptic curve");
    server.must("rm", &[BUNDLE]);
    refuses("missing", "bundle-missing", "no such file or directory");
    server.must("sh", &["-c", &format!("rm {BUNDLE} && mkdir {BUNDLE}")]);
    refuses("a folder", "bundle-unusable", "is a directory");
    server.must("sh", &["-c", &format!("chown root: {BUNDLE} && chmod 600 {BUNDLE}")]);
    refuses("closed", "bundle-unreadable", "permission denied");
    ground.config("    rootcertbundle: ", "    rootcertbundles: ");
    let report = Report::on(KEY_CHECK, server, &[]);
    assert_eq!(report.codes(KEY_CHECK), ["error bundle-unset"], "{}", report.ran);
    assert!(matches!(ground.start(), Start::Refused(log) if log.contains("\"rootcertbundle\"")));
}

#[test]
fn the_registry_does_not_start_without_the_options_of_its_tokens() {
    let Some(ground) = Ground::new() else { return };
    let refuses = |code: &str, words: &str| {
        ground.refuses(code, ISSUER, code, words);
        ground.mend();
    };
    ground.config("    issuer: omnibus-gitlab-issuer\n", "");
    refuses("option-missing", "valid option string: \"issuer\"");
    ground.config(&format!("    realm: https://{HOST}/jwt/auth\n"), "");
    refuses("option-missing", "valid option string: \"realm\"");
    ground.config("    service: container_registry\n", "");
    refuses("option-missing", "valid option string: \"service\"");
    ground.config("issuer: omnibus-gitlab-issuer", "issuer: 5");
    refuses("option-not-text", "valid option string: \"issuer\"");
    ground.config("autoredirect: false", "autoredirect: 'false'");
    refuses("option-not-flag", "valid option bool: autoredirect");
    ground.config("auth:\n", "auth:\n  htpasswd: {realm: x, path: /x}\n");
    refuses("auth-several", "must provide exactly one type");
    ground.config("  token:\n", "  oidc:\n");
    refuses("auth-unknown", "no access controller registered with name: oidc");
}

#[test]
fn the_registry_does_not_start_with_settings_that_it_cannot_read() {
    let Some(ground) = Ground::new() else { return };
    let refuses = |code: &str, words: &str| {
        ground.refuses(code, SETTINGS, code, words);
        ground.mend();
    };
    ground.config("version: 0.1", "version: 0.2");
    refuses("version", "unsupported version");
    ground.config("X-Content-Type-Options: [nosniff]", "X-Content-Type-Options: nosniff");
    ground.record(SETTINGS, "faulty-header-is-no-list");
    refuses("mistyped", "unmarshal errors");
    ground.config("    threshold: 3", "    threshold: '3'");
    refuses("mistyped", "unmarshal errors");
    ground.config("    interval: 10s", "    interval: 10d");
    refuses("mistyped", "unmarshal errors");
    ground.append("compatibility: {schema1: {enabled: 'true'}}");
    refuses("mistyped", "unmarshal errors");
    ground.config("level: info", "level: verbose");
    refuses("unknown-value", "invalid loglevel");
    ground.config("formatter: text", "formatter: xml");
    refuses("unknown-value", "unsupported logging formatter");
    ground.append("proxy: {remoteurl: 'https://registry-1.docker.io'}");
    ground.record(SETTINGS, "faulty-pull-through");
    refuses("pull-through", "registry-1.docker.io");
    ground.config("http:\n", "http:\n  tls: {certificate: /x}\n");
    refuses("tls-key-unset", "no such file or directory");
    ground.config("addr: 127.0.0.1:5000", "addr: '5000'");
    refuses("address-without-port", "missing port in address");
    ground.append("x:\n\ty: 1");
    ground.record(SETTINGS, "faulty-not-yaml");
    let report = Report::on(SETTINGS, &ground.lab.server, &[]);
    assert_eq!(report.codes(SETTINGS), ["error unreadable"], "{}", report.ran);
    assert!(matches!(ground.start(), Start::Refused(_)));
}

#[test]
fn the_registry_does_not_start_with_half_a_purge() {
    let Some(ground) = Ground::new() else { return };
    let refuses = |purging: &str, words: &str| {
        ground.storage(&format!("\"maintenance\":{{\"uploadpurging\":{purging}}}"));
        ground.record(GARBAGE, "faulty-half-a-purge");
        ground.refuses(purging, GARBAGE, "purging-incomplete", words);
        ground.mend();
    };
    refuses("{\"enabled\":true,\"interval\":\"24h\",\"dryrun\":false}", "age missing");
    refuses("{\"enabled\":true,\"age\":\"168h\",\"dryrun\":false}", "interval missing");
    refuses("{\"enabled\":true,\"age\":\"168h\",\"interval\":\"24h\"}", "dryrun missing");
    refuses("{\"age\":168,\"interval\":\"24h\",\"dryrun\":false}", "age is not a string");
    refuses("{\"age\":\"7d\",\"interval\":\"24h\",\"dryrun\":false}", "unknown unit");
    refuses("{}", "age missing");
    refuses("true", "must contain additional keys");
    refuses("null", "must contain additional keys");
    ground.config("\"delete\":{\"enabled\":true}", "\"delete\":true");
    ground.refuses("delete", GARBAGE, "delete-not-mapping", "unmarshal errors");
}

/// Checks that judge what variables may change.
const OVERRIDDEN: [&str; 6] = [
    ISSUER,
    GARBAGE,
    SETTINGS,
    "registry/notifications",
    "registry/storage-driver",
    "registry/read-only",
];

#[test]
fn variables_change_what_the_registry_does_and_what_is_said_of_it() {
    let Some(ground) = Ground::new() else { return };
    // What each says, and what the registry says if it does not start.
    let judge = |variables: &[(&str, &str)], expected: &[(&str, &str)], words: Option<&str>| {
        for (name, value) in variables {
            ground.variable(name, value);
        }
        let report = Report::on(&OVERRIDDEN.join(","), &ground.lab.server, &[]);
        for check in OVERRIDDEN {
            let of_check = expected.iter().filter(|(id, _)| *id == check);
            let codes: Vec<_> = of_check.map(|(_, code)| (*code).to_owned()).collect();
            assert_eq!(report.codes(check), codes, "{variables:?}: {check}: {}", report.ran);
        }
        match (ground.start(), words) {
            (Start::Listens, None) => {}
            (Start::Refused(log), Some(words)) => assert!(log.contains(words), "{log}"),
            (Start::Listens, Some(_)) => panic!("{variables:?}: the registry starts"),
            (Start::Refused(log), None) => panic!("{variables:?}: {log}"),
        }
        ground.mend();
    };
    let (notifications, driver, read_only) = (OVERRIDDEN[3], OVERRIDDEN[4], OVERRIDDEN[5]);
    let no_keys = Some("config key must contain additional keys");

    let half = [(GARBAGE, "error purging-incomplete"), (driver, "error purging-incomplete")];
    judge(&[("STORAGE_MAINTENANCE_UPLOADPURGING_AGE", "1h")], &half, no_keys);
    let whole = [("STORAGE_MAINTENANCE_UPLOADPURGING", "{enabled: true, interval: 24h}")];
    judge(&whole, &half, Some("age missing"));
    let endpoint = "[{name: a, url: 'https://127.0.0.1:1/e', timeout: '500', headers: {A: [b]}}]";
    judge(
        &[("NOTIFICATIONS_ENDPOINTS", endpoint)],
        &[(notifications, "error refused"), (notifications, "error duration-unreadable")],
        Some("unmarshal errors"),
    );
    let mistyped = [(SETTINGS, "error mistyped")];
    judge(&[("HTTP_HEADERS", "{X-A: nosniff}")], &mistyped, Some("unmarshal errors"));
    judge(&[("HTTP_RELATIVEURLS", "'true'")], &mistyped, Some("unmarshal errors"));
    judge(&[("HEALTH_STORAGEDRIVER_INTERVAL", "10d")], &mistyped, Some("unmarshal errors"));
    let malformed = [(SETTINGS, "error variable-malformed")];
    judge(&[("HTTP_HOST", "'https://a")], &malformed, Some("unexpected end of stream"));
    judge(&[("PORT", "'https://a")], &[], None);
    let option = [(ISSUER, "error option-not-text")];
    judge(&[("AUTH_TOKEN_ISSUER", "5")], &option, Some("valid option string"));
    let several = [(driver, "error two-drivers")];
    judge(&[("STORAGE_S3_BUCKET", "a")], &several, Some("multiple storage drivers"));
    let malformed =
        [(read_only, "error readonly-malformed"), (driver, "error readonly-not-a-section")];
    judge(&[("STORAGE_MAINTENANCE_READONLY", "true")], &malformed, no_keys);
    judge(&[("STORAGE_MAINTENANCE_READONLY_ENABLED", "true")], &malformed, no_keys);

    judge(&[("PORT", "tcp://10.0.0.1:5000"), ("SERVICE_HOST", "10.0.0.1")], &[], None);
    judge(&[("VERSION", "0.2")], &[], None);
    judge(&[("LOG_LEVEL", "DEBUG")], &[], None);
    let deletes = [(GARBAGE, "warning deletes-disabled")];
    judge(&[("STORAGE_DELETE_ENABLED", "no")], &deletes, None);
    let schema1 = [(SETTINGS, "notice schema1")];
    judge(&[("COMPATIBILITY_SCHEMA1_ENABLED", "true")], &schema1, None);
    ground.storage("\"maintenance\":{\"readonly\":{}}");
    judge(&[], &[], None);
    // Variables do not reach into what the file says there.
    ground.storage(
        "\"maintenance\":{\"uploadpurging\":{\"enabled\":true,\"age\":\"168h\",\"interval\":\"24h\",\
         \"dryrun\":false}}",
    );
    judge(&[("STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED", "false")], &[], None);
}

#[test]
fn whoever_is_in_the_run_tells_why_nobody_answers() {
    let Some(ground) = Ground::new() else { return };
    let (driver, read_only) = (OVERRIDDEN[4], OVERRIDDEN[5]);
    ground.storage("\"maintenance\":{\"readonly\":true}");
    let cause = |checks: &str, of: &str, subject: &str| {
        let report = Report::on(checks, &ground.lab.server, &[]);
        let finding = report.findings(of).into_iter().find(|it| it[2].contains(subject));
        finding.map_or_else(|| panic!("{}", report.ran), |it| it[3].to_owned())
    };
    assert_eq!(cause(&format!("{driver},{API}"), API, "127.0.0.1:5000"), driver);
    let all = format!("{driver},{API},{read_only}");
    assert_eq!(cause(&all, driver, CONFIG), read_only);
}

#[test]
fn what_the_registry_takes_is_no_fault() {
    let Some(ground) = Ground::new() else { return };
    let (server, dir) = (&ground.lab.server, ground.lab.dir());
    let accepts = |case: &str, expected: &[(&str, &str)]| {
        ground.accepts(case, expected);
        ground.mend();
    };
    accepts("as installed", &[]);
    ground.record(SETTINGS, "healthy");
    let other = pair(dir, &RSA).1;
    let ec = pair(dir, &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]).1;
    server.write(BUNDLE, format!("{other}{ec}{}", ground.bundle).as_bytes());
    accepts("several certificates", &[]);
    server.write(BUNDLE, format!("old\r\n{}", ground.bundle.replace('\n', "\r\n")).as_bytes());
    accepts("text before, and line ends of Windows", &[]);
    server.write(BUNDLE, expired(server).as_bytes());
    accepts("out of date", &[(KEY_CHECK, "notice certificate-expired")]);
    ground.config("version: 0.1", "version: '0.1'");
    ground.record(SETTINGS, "near-miss-version-in-quotes");
    accepts("the version in quotes", &[]);
    ground.storage(
        "\"maintenance\":{\"uploadpurging\":{\"enabled\":true,\"age\":\"168h\",\"interval\":\"24h\",\
         \"dryrun\":false}}",
    );
    accepts("purging in full", &[]);
    ground.storage("\"maintenance\":{\"uploadpurging\":{\"enabled\":false}}");
    accepts("no purging", &[(GARBAGE, "notice purging-off")]);
    ground.config("\"delete\":{\"enabled\":true}", "\"delete\":{\"enabled\":\"true\"}");
    ground.record(GARBAGE, "faulty-deletes-by-a-text");
    accepts("deletes by a text", &[(GARBAGE, "warning deletes-disabled")]);
    ground.append("compatibility: {schema1: {enabled: true}}");
    ground.record(SETTINGS, "faulty-schema1");
    accepts("schema1", &[(SETTINGS, "notice schema1")]);
    ground.append("cache: {blobdescriptor: inmemory}");
    ground.record(SETTINGS, "faulty-key-in-the-wrong-place");
    accepts("a key in the wrong place", &[(SETTINGS, "notice unknown-key")]);
    ground.config("    interval: 10s", "    interval: 10");
    accepts("nanoseconds", &[]);
}

#[test]
fn what_rails_cannot_sign_with_is_told_without_rails() {
    let Some(ground) = Ground::new() else { return };
    let server = &ground.lab.server;
    server.must("cp", &["-p", KEY, &format!("{KEY}.good")]);
    let told = |code: &str, change: &str| {
        server.must("sh", &["-c", &change.replace("KEY", KEY)]);
        let report = Report::on(&format!("{KEY_CHECK},{KEY_PAIR}"), server, &[]);
        assert_eq!(report.codes(KEY_CHECK), [format!("error {code}")], "{change}: {}", report.ran);
        ground.record(KEY_CHECK, &format!("faulty-{code}"));
        for [.., caused_by] in report.findings(KEY_PAIR) {
            assert_eq!(caused_by, KEY_CHECK, "{change}: {}", report.ran);
        }
        server.must(
            "sh",
            &[
                "-c",
                &format!("rm -rf {KEY} && cp -p {KEY}.good {KEY} && chmod 700 $(dirname {KEY})"),
            ],
        );
    };
    told("key-missing", "rm KEY");
    told(
        "key-unusable",
        "openssl pkey -in KEY -aes256 -passout pass:x -out KEY.new && cat KEY.new > KEY",
    );
    told("key-unusable", "openssl pkey -in KEY.good -pubout -out KEY");
    told("key-unusable", "openssl genpkey -algorithm ed25519 -out KEY 2> /dev/null");
    told("key-unusable", &format!("cp {BUNDLE} KEY"));
    told("key-unusable", ": > KEY");
    told("key-unreadable", "chown root: KEY && chmod 600 KEY");
    told("key-unreadable", "chown root: $(dirname KEY)");
}

#[test]
fn garbage_is_told_by_its_schedule() {
    let Some(ground) = Ground::new() else { return };
    let server = &ground.lab.server;
    let told = |case: &str, crontab: &str, expected: &[&str]| {
        server.write(CRONTAB, crontab);
        let report = Report::on(GARBAGE, server, &[]);
        assert_eq!(report.codes(GARBAGE), expected, "{case}: {}", report.ran);
        ground.record(GARBAGE, case);
    };
    let direct = "registry garbage-collect /var/opt/gitlab/registry/config.yml";
    told("healthy", WEEKLY, &[]);
    told("faulty-no-schedule", "", &["notice no-schedule"]);
    told(
        "faulty-registry-not-stopped",
        &format!("5 4 * * 0 root /opt/gitlab/embedded/bin/{direct}\n"),
        &["warning writable-collection"],
    );
    told(
        "near-miss-registry-stopped",
        &format!(
            "5 4 * * 0 root gitlab-ctl stop registry && {direct}; gitlab-ctl start registry\n"
        ),
        &[],
    );
    told(
        "faulty-every-minute",
        "* 4 * * 0 root gitlab-ctl registry-garbage-collect\n",
        &["warning too-often"],
    );
    server.write("/usr/local/bin/clean", format!("#!/bin/sh\n{direct}\n"));
    // /usr/local/bin is where administrators put their scripts.
    told(
        "faulty-in-a-script",
        "5 4 * * 0 root /usr/local/bin/clean\n",
        &["warning writable-collection"],
    );
    told("healthy", WEEKLY, &[]);
    // Garbage collection in earnest: the command that is judged safe runs beside no registry.
    assert!(matches!(ground.start(), Start::Listens));
    let collected = server.run(REGISTRY, &["garbage-collect", "--dry-run", CONFIG]);
    assert!(collected.succeeded(), "{collected}");
}
