use proptest::prelude::*;

use super::*;
use crate::parse::setting::Scalar;

fn parsed(text: &str) -> RegistryYml {
    read(text.as_bytes()).unwrap()
}

fn text(value: &str) -> Scalar {
    Scalar::Text(value.to_owned())
}

/// As the Linux package writes it, with an object store.
const PACKAGED: &str = r#"# This file is managed by gitlab-ctl.
version: 0.1
log:
  level: info
  formatter: text
  fields:
    service: registry
storage: {"s3":{"accesskey":"AKIAHUSH","secretkey":"hush","bucket":"reg","region":"x","regionendpoint":"https://me:hush@s3.internal?hush","chunksize":5242880,"pathstyle":true,"newkey":"hush"},"cache":{"blobdescriptor":"inmemory"},"delete":{"enabled":true},"maintenance":{"readonly":{"enabled":"true"}}}
http:
  addr: 127.0.0.1:5000
  secret: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  headers:
    X-Content-Type-Options: [nosniff]
    X-Bad: hush
  debug:
    addr: "localhost:5001"
    prometheus:
      enabled: true
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
auth:
  token:
    realm: https://gitlab.internal/jwt/auth
    service: container_registry
    issuer: omnibus-gitlab-issuer
    rootcertbundle: /var/opt/gitlab/registry/gitlab-registry.crt
    autoredirect: false
validation:
  disabled: true
notifications:
  endpoints: [{"name":"geo_event","url":"https://me:hush@gitlab.internal/events?token=hush","timeout":500,"threshold":5,"maxretries":5,"backoff":"1s","headers":{"Authorization":["hush"]}}]
database: {"enabled":"prefer","host":"db.internal","password":"hush"}
"#;

#[test]
fn the_packaged_file_is_read_with_types_and_lines() {
    let config = parsed(PACKAGED);
    assert_eq!(config.version, Some(Located::at(2, Scalar::Number("0.1".to_owned()))));
    assert_eq!(config.log.formatter, Some(Located::at(5, text("text"))));
    let [s3] = config.storage.drivers.as_slice() else { panic!("{:?}", config.storage) };
    assert_eq!((s3.name.as_str(), s3.line), ("s3", Some(8)));
    assert_eq!(s3.parameters["chunksize"].value, Scalar::Integer(5_242_880));
    assert_eq!(s3.parameters["regionendpoint"].value, text("https://s3.internal"));
    let hidden: Vec<&str> = s3.hidden.iter().map(|name| name.value.as_str()).collect();
    assert_eq!(hidden, ["accesskey", "newkey", "secretkey"]);
    assert_eq!(config.storage.delete_enabled.unwrap().value, Scalar::Bool(true));
    assert_eq!(config.storage.readonly.unwrap().value, Scalar::Mapping);
    assert_eq!(config.storage.readonly_enabled.unwrap().value, text("true"));
    assert_eq!(config.storage.uploadpurging, None);
    assert_eq!(config.http.addr, Some(Located::at(10, text("127.0.0.1:5000"))));
    let secret = config.http.secret.unwrap();
    assert_eq!((secret.line, secret.value.set), (Some(11), true));
    assert_eq!(secret.value.fingerprint.unwrap().len(), 16);
    let lists: Vec<bool> = config.http.headers.iter().map(|header| header.list).collect();
    assert_eq!(lists, [false, true]);
    assert_eq!(config.http.debug_prometheus_enabled.unwrap().line, Some(18));
    assert_eq!(config.auth.types, [Located::at(25, "token".to_owned())]);
    assert_eq!(config.auth.token_issuer, Some(Located::at(28, text("omnibus-gitlab-issuer"))));
    let [endpoint] = config.notifications.as_slice() else { panic!() };
    assert_eq!(endpoint.url, Some(Located::at(34, text("https://gitlab.internal/events"))));
    assert_eq!(endpoint.timeout.as_ref().unwrap().value, Scalar::Integer(500));
    assert_eq!(endpoint.headers[0].name, "Authorization");
    assert_eq!(config.database.enabled.unwrap().value, text("prefer"));
    assert!(config.unknown_keys.is_empty(), "{:?}", config.unknown_keys);
}

#[test]
fn traps_of_the_storage_section_can_be_told() {
    let names = |text: &str| {
        let drivers = parsed(text).storage.drivers;
        drivers.into_iter().map(|driver| driver.name).collect::<Vec<_>>()
    };
    assert_eq!(names("storage: inmemory\n"), ["inmemory"]);
    assert_eq!(names("storage:\n  filesystem:\n  s3:\n    bucket: b\n"), ["filesystem", "s3"]);
    assert_eq!(names("storage:\n  cache: {}\n  tag: {concurrencylimit: 8}\n"), [""; 0]);
    assert_eq!(names("storage:\n"), [""; 0]);
    let config = parsed(
        "storage:\n  maintenance:\n    readonly: true\n    uploadpurging:\n      enabled: no\n",
    );
    assert_eq!(config.storage.readonly, Some(Located::at(3, Scalar::Bool(true))));
    assert_eq!(config.storage.readonly_enabled, None);
    let purging = config.storage.uploadpurging.unwrap();
    assert_eq!(purging.enabled, Some(Located::at(5, Scalar::Bool(false))));
    assert_eq!(purging.age, None);
}

#[test]
fn anchors_merge_and_unknown_keys_are_told() {
    let config = parsed(
        "x-base: &base\n  realm: https://g/jwt/auth\nauth:\n  token:\n    <<: *base\n    isuer: a\nhttp:\n  secrets: b\nmaintenance: {}\n",
    );
    assert_eq!(config.auth.token_realm, Some(Located::at(2, text("https://g/jwt/auth"))));
    let unknown: Vec<_> =
        config.unknown_keys.iter().map(|key| (key.value.as_str(), key.line.unwrap())).collect();
    assert_eq!(
        unknown,
        [("maintenance", 9), ("x-base", 1), ("http.secrets", 8), ("auth.token.isuer", 6)]
    );
}

#[test]
fn open_registries_and_broken_files_can_be_told() {
    assert!(parsed("version: 0.1\n").auth.types.is_empty());
    assert_eq!(parsed("auth: none\n").auth.types[0].value, "none");
    assert!(parsed("").storage.drivers.is_empty());
    assert!(
        parsed("http: text\nstorage: [1]\nnotifications: 5\nhealth: {file: 3}\n")
            .notifications
            .is_empty()
    );
    let refused = read(b"a: 1\nstorage: hush: hush\n").unwrap_err();
    assert_eq!(refused.line, Some(2));
    assert!(!refused.message.contains("hush"));
}

fn variables(pairs: &[(&str, &str)]) -> Variables {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Variables { values: pairs.iter().map(owned).collect(), reach_into_lists: true }
}

fn overlaid(text: &str, pairs: &[(&str, &str)]) -> RegistryYml {
    read_with(text.as_bytes(), &variables(pairs)).unwrap()
}

#[test]
fn the_environment_overrides_the_file() {
    let file = "http:\n  addr: :5000\nstorage:\n  filesystem:\n    rootdirectory: /a\n";
    let variables = [
        ("PATH", "/bin"),
        ("REGISTRY_AUTH_TOKEN_REALM", "https://me:hush@g/jwt/auth?hush"),
        ("REGISTRY_HTTP_ADDR", "127.0.0.1:5001"),
        ("REGISTRY_HTTP_RELATIVEURLS", "true"),
        ("REGISTRY_HTTP_SECRET", "9f86d081884c7d659a2feaa0c55ad015"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS", "[{url: 'https://me:hush@h/e?hush'}]"),
        ("REGISTRY_PORT", "tcp://10.0.0.1:5000"),
        ("REGISTRY_STORAGE_DELETE_ENABLED", "yes"),
        ("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/b"),
        ("REGISTRY_STORAGE_MAINTENANCE_READONLY", "{enabled: true}"),
        ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_AGE", "1h"),
        ("REGISTRY_STORAGE_S3_SECRETKEY", "hush"),
    ];
    let config = overlaid(file, &variables);
    let addr = Located::from_variable("REGISTRY_HTTP_ADDR", text("127.0.0.1:5001"));
    assert_eq!(config.http.addr, Some(addr));
    assert_eq!(config.http.relativeurls.as_ref().unwrap().value, Scalar::Bool(true));
    assert!(config.http.secret.as_ref().unwrap().value.fingerprint.is_some());
    assert_eq!(config.storage.delete_enabled.as_ref().unwrap().value, Scalar::Bool(true));
    assert_eq!(config.storage.readonly.as_ref().unwrap().value, Scalar::Mapping);
    assert_eq!(config.storage.drivers[0].parameters["rootdirectory"].value, text("/b"));
    assert_eq!(config.storage.drivers[1].name, "s3");
    assert_eq!(config.storage.drivers[1].hidden[0].value, "secretkey");
    assert_eq!(config.notifications[0].url.as_ref().unwrap().value, text("https://h/e"));
    assert_eq!(config.auth.types[0].value, "token");
    assert_eq!(config.environment.not_interpreted, ["REGISTRY_PORT"]);
    let shown = format!("{config:?}{}", serde_json::to_string(&config).unwrap());
    assert!(!shown.to_lowercase().contains("hush"), "{shown}");
}

#[test]
fn a_driver_from_the_environment_replaces_the_section() {
    let config = overlaid("storage: {s3: {bucket: b}}\n", &[("REGISTRY_STORAGE", "filesystem")]);
    assert_eq!(config.storage.drivers.len(), 1);
    assert_eq!(config.storage.drivers[0].name, "filesystem");
}

/// Every place where a registry's configuration may hold a secret.
const SECRETS: &str = "
http: {secret: hush, host: 'https://me:hush@h', headers: {Cookie: [hush], hush1: hush}, tls: {key: '-----BEGIN hush'}}
storage:
  s3: {accesskey: hush, secretkey: hush, sessiontoken: hush, regionendpoint: 'me:hush@s3'}
  azure: {accountname: a, accountkey: hush, secret: hush, connectionstring: hush, sastoken: hush,
    serviceurl: 'https://a?sig=hush', credentials: {secret: hush}}
  gcs: {credentials: {private_key: hush, client_email: hush}, keyfile: /k}
  swift: {username: u, password: hush, secretkey: hush, accesskey: hush, tempurlcontainerkey: hush, authurl: 'https://u:hush@h'}
  oss: {accesskeyid: hush, accesskeysecret: hush}
redis: {password: hush, addr: 'redis://:hush@r', cache: {password: hush, sentinelpassword: hush}}
database: {password: hush, host: 'u:hush@d'}
notifications: {endpoints: [{name: n, url: 'https://u:hu/hush@h/e?hush', headers: {Authorization: [hush]}}]}
health: {http: [{uri: 'https://u:hush@h?hush', headers: {Authorization: [hush]}}]}
proxy: {remoteurl: 'https://u:hush@h', username: hush, password: hush}
log: {hooks: [{options: {smtp: {username: hush, password: hush}}}], fields: {token: hush}}
reporting: {sentry: {dsn: 'https://hush@s'}, bugsnag: {apikey: hush}, newrelic: {licensekey: hush}}
middleware: {storage: [{name: cloudfront, options: {privatekey: hush, keypairid: hush}}]}
auth: {htpasswd: {realm: r, path: hush}, token: {realm: 'https://u:hush@h/?hush', rootcertbundle: \"-----BEGIN\\nhush\"}}
unknown: {password: hush}
";

#[test]
fn no_secret_is_kept() {
    let config = parsed(&SECRETS.replace("hush1", "X-Name"));
    let shown = format!("{config:?}{}", serde_json::to_string(&config).unwrap());
    assert!(!shown.contains("hush"), "{shown}");
    assert!(config.http.secret.unwrap().value.set);
    assert!(config.database.password.unwrap().value.set);
    assert_eq!(config.storage.drivers.len(), 5);
    assert_eq!(config.reporting.len(), 3);
}

#[test]
fn the_answer_survives_json() {
    let config = overlaid(PACKAGED, &[("REGISTRY_LOG_LEVEL", "debug")]);
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<RegistryYml>(&json).unwrap(), config);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
        let _ = read(&bytes);
    }

    #[test]
    fn yaml_like_text_is_read_or_refused(
        text in "(storage|http|auth|notifications|endpoints|[-ab:?#&*!|>'\"\\[\\]{},\\\\é\t ]|: |- |---|<<: |\n  ){0,60}",
        value in any::<String>(),
    ) {
        let variables =
            variables(&[("REGISTRY_STORAGE_S3", &value), ("REGISTRY_NOTIFICATIONS_ENDPOINTS", &text)]);
        let _ = read_with(text.as_bytes(), &variables);
    }
}

#[test]
fn variables_reach_the_section_of_read_only_but_not_its_key() {
    let whole = "REGISTRY_STORAGE_MAINTENANCE_READONLY";
    let key = "REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED";
    let of = |file: &str, name, value| {
        let config = overlaid(file, &[(name, value)]);
        let value = |it: Setting| it.map(|it| it.value);
        (value(config.storage.readonly), value(config.storage.readonly_enabled))
    };
    let none = "storage: {filesystem: }";
    let off = "storage: {filesystem: , maintenance: {readonly: {enabled: false}}}";
    let switched = |on| (Some(Scalar::Mapping), Some(Scalar::Bool(on)));
    assert_eq!(of(none, whole, "{enabled: true}"), switched(true));
    assert_eq!(of(off, whole, "{enabled: true}"), switched(true));
    assert_eq!(of(off, whole, "true"), (Some(Scalar::Bool(true)), None));
    assert_eq!(of(off, key, "true"), switched(false));
    assert_eq!(of(none, key, "true"), (Some(text("")), None));
}

#[test]
fn what_nobody_writes_by_hand_is_cut() {
    let keys: String = (0..1000).fold(String::new(), |all, n| format!("{all}  k{n}: 1\n"));
    let top = keys.replace("  k", "k");
    let config = read(format!("{top}storage:\n{keys}").as_bytes()).unwrap();
    assert_eq!(config.unknown_keys.len(), keys::MOST);
    assert_eq!(config.storage.drivers.len(), keys::MOST);
    assert_eq!(config.storage.not_mappings.len(), keys::MOST);
    let config = overlaid("", &[("REGISTRY_STORAGE", &"s".repeat(60_000))]);
    assert!(config.storage.drivers[0].name.len() <= 100);
}
