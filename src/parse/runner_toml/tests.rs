use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> RunnerToml {
    read(text.as_bytes()).unwrap()
}

const SAMPLE: &str = r#"concurrent = 4
check_interval = 0
sentry_dsn = "https://hush@sentry"
[session_server]
  advertise_address = "u:hush@runner:8093"

[[runners]]
  name = "one"
  url = "https://u:hush@gitlab.internal/?hush"
  id = 5
  token = "glrt-hushhushhushhushhush"
  token_obtained_at = 0001-01-01T00:00:00Z
  tls_ca_file = "/ca.crt"
  executor = "docker"
  environment = ["GIT_SSL_NO_VERIFY=true", "https_proxy=http://u:hush@proxy:3128", "KEY=hush", "hush"]
  [runners.feature_flags]
    FF_RESOLVE_FULL_TLS_CHAIN = false
  [runners.cache]
    Type = "s3"
    [runners.cache.s3]
      ServerAddress = "minio.internal:9000"
      AccessKey = "hush"
      SecretKey = "hush"
  [runners.docker]
    image = "alpine@sha256:0123"
    helper_image = "u:hush@registry.internal/helper"
    privileged = true
    volumes = ["/cache",
      "/var/run/docker.sock:/var/run/docker.sock"]
    pull_policy = ["if-not-present", "never"]
    services = [{ name = "docker:dind", environment = ["A=hush"] }]
    pull-polices = 1

[[runners]]
  token = ""
  TLS-CA-FILE = "/b.crt"
  docker = { image = "x", pull_policy = "always", host = "tcp://u:hush@d:2376", tls_verify = true }
"#;

#[test]
fn a_configuration_is_read_with_lines() {
    let config = parsed(SAMPLE);
    assert_eq!(config.concurrent, Some(Located::at(1, 4)));
    assert!(config.sentry_dsn_set);
    let [one, two] = config.runners.as_slice() else { panic!("{config:?}") };
    assert_eq!((one.line, two.line), (Some(7), Some(34)));
    assert_eq!(one.url, Some(Located::at(9, "https://gitlab.internal/".to_owned())));
    assert_eq!(one.token, Some(Located::at(11, Token::Created)));
    assert_eq!(one.tls_ca_file, None);
    assert_eq!(two.tls_ca_file, Some(Located::at(36, "/b.crt".to_owned())));
    assert_eq!(two.token, Some(Located::at(35, Token::Unset)));
    assert!(!one.feature_flags["FF_RESOLVE_FULL_TLS_CHAIN"]);
    let cache = one.cache.as_ref().unwrap();
    assert_eq!(cache.server_address.as_ref().unwrap().value, "minio.internal:9000");
    let docker = one.docker.as_ref().unwrap();
    assert_eq!(docker.image.as_ref().unwrap().value, "alpine@sha256:0123");
    assert_eq!(docker.volumes[1].line, Some(29));
    assert_eq!(docker.pull_policy[1], Located::at(30, "never".to_owned()));
    assert_eq!(docker.services[0].value, "docker:dind");
    let docker = two.docker.as_ref().unwrap();
    assert_eq!(docker.pull_policy, [Located::at(37, "always".to_owned())]);
    assert!(docker.tls_verify.as_ref().unwrap().value);
    let unknown: Vec<_> = config
        .unknown_keys
        .iter()
        .map(|unknown| (unknown.key.as_str(), unknown.near.as_deref(), unknown.line))
        .collect();
    assert_eq!(
        unknown,
        [("tls_ca_file", Some("tls-ca-file"), 13), ("pull-polices", Some("pull_policy"), 32)]
    );
}

#[test]
fn no_secret_is_kept() {
    let config = parsed(SAMPLE);
    let json = serde_json::to_string(&config).unwrap();
    assert!(!format!("{config:?}{json}").contains("hush"), "{json}");
    assert_eq!(serde_json::from_str::<RunnerToml>(&json).unwrap(), config);
    let variables: Vec<_> = config.runners[0]
        .environment
        .iter()
        .map(|variable| (variable.name.as_str(), variable.value.as_deref()))
        .collect();
    assert_eq!(
        variables,
        [
            ("GIT_SSL_NO_VERIFY", Some("true")),
            ("https_proxy", Some("http://proxy:3128")),
            ("KEY", None),
            ("(no name)", None)
        ]
    );
}

#[test]
fn tokens_are_told_apart() {
    let table = [
        ("", Token::Unset),
        ("glrt-t1_abc", Token::Created),
        ("glrtr-abc", Token::Registered),
        ("t1_abc", Token::Registered),
        ("t_abc", Token::Other),
        ("GR1348941abc", Token::Registration),
        ("abcdefghij_ABCDEF-12", Token::RegisteredOld),
        ("abc", Token::Other),
    ];
    for (token, kind) in table {
        assert_eq!(Token::of(token), kind, "{token}");
    }
}

#[test]
fn what_the_runner_refuses_is_malformed() {
    let table = [
        ("\nconcurrent = \"4\"", 2),
        ("concurrent = 4.0", 1),
        ("[[runners]]\nurl = 5", 2),
        ("[[runners]]\n[runners.docker]\nprivileged = 'hush'", 3),
        ("[[runners]]\n[runners.docker]\npull_policy = ['a', 5]", 3),
        ("[[runners]]\n[runners.docker]\nvolumes = '/cache'", 3),
        ("[runners]\nurl = 'hush'", 1),
        ("[[runners]]\nurl = \"hush", 2),
        ("a = 1\na = 2", 2),
    ];
    for (text, line) in table {
        let refused = read(text.as_bytes()).unwrap_err();
        assert_eq!(refused.line, Some(line), "{refused}");
        assert!(!refused.message.contains("hush"), "{refused}");
    }
    assert_eq!(parsed("\u{feff}# empty\r\n"), RunnerToml::default());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
        let _ = read(&bytes);
    }

    #[test]
    fn toml_like_text_is_read_or_refused(
        text in "(\\[\\[runners\\]\\]\n|\\[runners.docker\\]\n|token|environment|volumes|[a=.\\[\\]{}\"',1# \né]){0,40}"
    ) {
        let _ = read(text.as_bytes());
    }

    #[test]
    fn any_token_and_variable_is_classified(text in any::<String>()) {
        Token::of(&text);
        variable(&Located::at(1, text));
    }
}
