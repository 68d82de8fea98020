//! Every shape of line that real files have, and what it must come to.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use proptest::prelude::*;

use super::{Files, OddCharacter, ProblemKind, Setting, Settings, Source, evaluate};
use crate::parse::value::{Value, Why};

const MAIN: &str = "/etc/gitlab/gitlab.rb";

fn read(text: impl AsRef<[u8]>) -> Settings {
    let files = Files::from([(MAIN.into(), Some(text.as_ref().to_vec()))]);
    evaluate(Utf8Path::new(MAIN), &files)
}

fn with_include(text: &str, other: Option<&str>) -> Settings {
    let mut files = Files::from([(MAIN.into(), Some(text.into()))]);
    files.insert("/other.rb".into(), other.map(Into::into));
    evaluate(Utf8Path::new(MAIN), &files)
}

/// What the file has at a path whose keys are written with dots.
fn at(settings: &Settings, path: &str) -> Setting {
    settings.get(&path.split('.').collect::<Vec<_>>())
}

/// The value in JSON, `unset`, or `unknown` with the reason.
fn shown(setting: &Setting) -> String {
    match setting {
        Setting::Unset => "unset".to_owned(),
        Setting::Known { value, .. } => serde_json::to_string(value).unwrap(),
        Setting::Unknown { why, .. } => format!("unknown {}", serde_json::to_string(why).unwrap()),
    }
}

fn kinds(settings: &Settings) -> Vec<&ProblemKind> {
    settings.problems.iter().map(|problem| &problem.kind).collect()
}

fn line(number: u32) -> Source {
    Source { file: Utf8PathBuf::from(MAIN), line: number }
}

/// Number of the shape, text, path, expected.
type Shape = (u32, &'static str, &'static str, &'static str);

const SHAPES: &[Shape] = &[
    (1, r#"external_url "https://gl.example""#, "external_url", r#""https://gl.example""#),
    (
        2,
        "external_url 'https://gl.example:8443/sub/'",
        "external_url",
        r#""https://gl.example:8443/sub/""#,
    ),
    (3, r#"external_url("https://gl.example")"#, "external_url", r#""https://gl.example""#),
    (4, r#"external_url = "https://gl.example""#, "external_url", "unset"),
    (5, "registry_external_url nil", "registry_external_url", "null"),
    (5, "registry_external_url ''", "registry_external_url", r#""""#),
    (6, "registry['enable'] = true", "registry.enable", "true"),
    (7, r#"registry["enable"]=true"#, "registry.enable", "true"),
    (8, "registry[:enable] = true", "registry.enable", "true"),
    (9, "letsencrypt['enable']     =  false   # offline", "letsencrypt.enable", "false"),
    (10, r#"registry['debug_addr'] = "a # b""#, "registry.debug_addr", r#""a # b""#),
    (
        11,
        "registry['storage'] = { 's3' => { 'bucket' => 'b' } }",
        "registry.storage",
        r#"{"s3":{"bucket":"b"}}"#,
    ),
    (
        12,
        "registry['storage'] = {\n  's3' => { # the store\n    'bucket' => 'b',\n    # a comment\n    'region' => 'r',\n  },\n}",
        "registry.storage",
        r#"{"s3":{"bucket":"b","region":"r"}}"#,
    ),
    (
        13,
        "gitaly['configuration'] = { storage: [ { name: 'default', path: '/x' }, ], }",
        "gitaly.configuration",
        r#"{"storage":[{"name":"default","path":"/x"}]}"#,
    ),
    (
        14,
        r#"registry['storage'] = { "s3": { "bucket": "b" } }"#,
        "registry.storage.s3.bucket",
        r#""b""#,
    ),
    (
        15,
        "registry['storage'] = { :s3 => { :bucket => 'b' } }",
        "registry.storage.s3.bucket",
        r#""b""#,
    ),
    (
        16,
        "registry['storage']['s3']['bucket'] = 'b'",
        "registry.storage",
        r#"{"s3":{"bucket":"b"}}"#,
    ),
    (
        17,
        "nginx['status']['options']['allow'] = ['127.0.0.1']",
        "nginx.status.options.allow",
        r#"["127.0.0.1"]"#,
    ),
    (
        18,
        r#"git_data_dirs({ "default" => { "path" => "/x" } })"#,
        "git_data_dirs",
        r#"{"default":{"path":"/x"}}"#,
    ),
    (
        19,
        r#"git_data_dirs "default" => { "path" => "/x" }"#,
        "git_data_dirs.default.path",
        r#""/x""#,
    ),
    (20, "roles ['a_role', 'b_role']", "roles", r#"["a_role","b_role"]"#),
    (20, "roles(['a_role'])", "roles", r#"["a_role"]"#),
    (20, "roles 'a_role'", "roles", r#""a_role""#),
    (21, "roles %w(a_role b_role)", "roles", r#"["a_role","b_role"]"#),
    (21, "roles %w{\n  a_role\n  b_role\n}", "roles", r#"["a_role","b_role"]"#),
    (
        22,
        "gitlab_rails['trusted_proxies'] = %w[10.0.0.0/8 ::1]",
        "gitlab_rails.trusted_proxies",
        r#"["10.0.0.0/8","::1"]"#,
    ),
    (23, "registry['dir'] = %q(/a'b)", "registry.dir", r#""/a'b""#),
    (23, r#"registry['dir'] = %Q(/a"b)"#, "registry.dir", r#""/a\"b""#),
    (23, "registry['dir'] = %(/a)", "registry.dir", r#""/a""#),
    (23, "roles %i[a b]", "roles", r#"["a","b"]"#),
    (24, "puma['x'] = 1_000_000", "puma.x", "1000000"),
    (24, "puma['x'] = 0644", "puma.x", "420"),
    (24, "puma['x'] = 0x1f", "puma.x", "31"),
    (24, "puma['x'] = 20.0", "puma.x", r#"{"$":"float","text":"20.0"}"#),
    (24, "puma['x'] = 1e3", "puma.x", r#"{"$":"float","text":"1e3"}"#),
    (24, "puma['x'] = -1", "puma.x", "-1"),
    (25, "puma['x'] = 24 * 60 * 60", "puma.x", "86400"),
    (25, "puma['x'] = 200 * 1024 * 1024", "puma.x", "209715200"),
    (26, "nginx['listen_addresses'] = ['*'] * 2", "nginx.listen_addresses", r#"["*","*"]"#),
    (26, r#"registry['http_secret'] = "\xDE\xAD" * 8"#, "registry.http_secret", r#"{"$":"set"}"#),
    (27, "registry['enable'] = nil", "registry.enable", "null"),
    (28, "v = 'x'\nregistry['dir'] = \"/a #{v} b\"", "registry.dir", r#""/a x b""#),
    (28, "registry['dir'] = \"/a #{v} b\"", "registry.dir", r#"unknown "expression""#),
    (28, "registry['dir'] = '/a #{v} b'", "registry.dir", r#""/a #{v} b""#),
    (
        29,
        r#"nginx['ssl_certificate'] = "/etc/gitlab/ssl/#{node['fqdn']}.crt""#,
        "nginx.ssl_certificate",
        r#"unknown "node""#,
    ),
    (
        30,
        "gitlab_rails['db_password'] = ENV['P']",
        "gitlab_rails.db_password",
        r#"unknown "environment""#,
    ),
    (
        30,
        "gitlab_rails['db_password'] = ENV.fetch('X', 'd')",
        "gitlab_rails.db_password",
        r#"unknown "environment""#,
    ),
    (
        31,
        "gitlab_rails['db_password'] = File.read('/run/secrets/pw').strip",
        "gitlab_rails.db_password",
        r#"unknown "file""#,
    ),
    (
        31,
        r#"gitlab_rails['db_password'] = IO.read('/x').gsub("\n", "")"#,
        "gitlab_rails.db_password",
        r#"unknown "file""#,
    ),
    (
        32,
        "gitlab_rails['gitlab_host'] = `hostname -f`.strip",
        "gitlab_rails.gitlab_host",
        r#"unknown "command""#,
    ),
    (
        32,
        "gitlab_rails['gitlab_host'] = %x(cmd)",
        "gitlab_rails.gitlab_host",
        r#"unknown "command""#,
    ),
    (
        33,
        "registry['enable'] = true\nfrom_file '/unread.rb'",
        "registry.enable",
        r#"unknown "include""#,
    ),
    (
        34,
        "registry['enable'] = true\neval ENV[\"GITLAB_OMNIBUS_CONFIG\"].to_s",
        "registry.enable",
        r#"unknown "eval""#,
    ),
    (34, "instance_eval(x)\nregistry['enable'] = true", "registry.enable", "true"),
    (
        35,
        "gitlab_rails['ldap_servers'] = YAML.load <<-'EOS'\n  main:\n    host: 'ldap.example'\n    port: 636\n    password: 'hunter2'\n  EOS\n",
        "gitlab_rails.ldap_servers",
        r#"{"main":{"host":"ldap.example","password":{"$":"set"},"port":636}}"#,
    ),
    (36, "registry['dir'] = <<~EOS.strip\n    /a\n  EOS\n", "registry.dir", r#""/a""#),
    (36, "registry['dir'] = <<-EOS.chomp # comment\n/a\n  EOS\n", "registry.dir", r#""/a""#),
    (36, "registry['dir'] = <<'EOS'.chomp\n/a#{x}\nEOS\n", "registry.dir", r#""/a#{x}""#),
    (36, "roles [<<A.chomp, <<B.chomp]\na\nA\nb\nB\n", "roles", r#"["a","b"]"#),
    (
        37,
        r#"registry['internal_key'] = "-----BEGIN RSA PRIVATE KEY-----\nMII\n""#,
        "registry.internal_key",
        r#"{"$":"set"}"#,
    ),
    (38, "d = '/x'\nregistry['dir'] = d", "registry.dir", r#""/x""#),
    (38, "DIR = '/x'\nregistry['dir'] = DIR + '/y'", "registry.dir", r#""/x/y""#),
    (
        39,
        "if ENV['X']\n  registry['enable'] = true\nend",
        "registry.enable",
        r#"unknown "condition""#,
    ),
    (
        39,
        "unless a?\n  registry['enable'] = true\nend",
        "registry.enable",
        r#"unknown "condition""#,
    ),
    (
        39,
        "case ENV['X']\nwhen 'a' then registry['enable'] = true\nend",
        "registry.enable",
        r#"unknown "condition""#,
    ),
    (40, "registry['enable'] = true if ENV['X']", "registry.enable", r#"unknown "condition""#),
    (41, "registry['env'] ||= {}", "registry.env", "{}"),
    (
        41,
        "registry['log_level'] = 'debug'\nregistry['log_level'] ||= 'info'",
        "registry.log_level",
        r#""debug""#,
    ),
    (41, "roles ['a']\nroles << 'b'", "roles", r#"["a","b"]"#),
    (
        41,
        "registry['storage'] = {'s3' => {}}\nregistry['storage'].merge!({'cache' => {'blobdescriptor' => 'redis'}})",
        "registry.storage",
        r#"{"cache":{"blobdescriptor":"redis"},"s3":{}}"#,
    ),
    (
        41,
        "nginx['listen_addresses'] = ['a']\nnginx['listen_addresses'] += ['b']",
        "nginx.listen_addresses",
        r#"["a","b"]"#,
    ),
    (41, "registry.merge!(ENV.to_h)", "registry.enable", r#"unknown "environment""#),
    (42, "%w(a b).each do |h|\n  registry[h] = 1\nend", "registry.a", r#"unknown "loop""#),
    (42, "3.times { registry['enable'] = true }", "registry.enable", r#"unknown "loop""#),
    (43, "=begin\nregistry['enable'] = true\n=end\n", "registry.enable", "unset"),
    (
        44,
        "registry['enable'] = true\n__END__\nregistry['enable'] = false\n",
        "registry.enable",
        "true",
    ),
    (45, "registry['enable'] = true; registry['dir'] = '/x'", "registry.dir", r#""/x""#),
    (46, "registry['dir'] = \\\n  '/x'", "registry.dir", r#""/x""#),
    (46, "registry['dir'] =\n  '/x' +\n  '/y'", "registry.dir", r#""/x/y""#),
    (47, "registry['dir'] = '/a' 'b'", "registry.dir", r#""/ab""#),
    (47, "registry['dir'] = '/a' \\\n  'b'", "registry.dir", r#""/ab""#),
    (
        48,
        "#gitlab_rails['env'] = {\n# 'A' => 'b'\n}\nregistry['enable'] = true",
        "registry.enable",
        "true",
    ),
    (49, "registry['enable'] = true\nregistry['dir'] = <REPLACE_ME>\n", "registry.enable", "true"),
    (50, "registry['enable'] = true\r\nregistry['dir'] = '/x'\r\n", "registry.dir", r#""/x""#),
    (50, "\u{feff}registry['enable'] = true", "registry.enable", "true"),
    (51, "registry['dir'] = /regex/.source", "registry.dir", r#"unknown "expression""#),
    (51, "registry['dir'] = Regexp.new('x')", "registry.dir", r#"unknown "expression""#),
    (52, "registry['dir'] = Time.now", "registry.dir", r#"unknown "expression""#),
    (52, "registry['x'] = rand", "registry.x", r#"unknown "expression""#),
    (52, "registry['x'] = Dir.glob('/x')", "registry.x", r#"unknown "file""#),
    (
        52,
        "require 'json'\nregistry['x'] = JSON.parse(File.read('/x'))",
        "registry.x",
        r#"unknown "file""#,
    ),
    (53, "registry['x'] = proc { 1 }", "registry.x", r#"unknown "expression""#),
    (53, "registry['x'] = lambda { 1 }", "registry.x", r#"unknown "expression""#),
    (53, "registry['dir'] = ?x", "registry.dir", r#""x""#),
    (53, "registry['dir'] = ENV['A'] ? 'b' : 'c'", "registry.dir", r#"unknown "condition""#),
    (53, "registry['dir'] = ENV['A']&.strip", "registry.dir", r#"unknown "environment""#),
    (
        54,
        r#"registry_nginx['listen_addresses'] = ["*", "[::]"]"#,
        "registry_nginx.listen_addresses",
        r#"["*","[::]"]"#,
    ),
    (
        55,
        r#"registry_nginx['proxy_set_headers'] = { "Host" => "$http_host" }"#,
        "registry_nginx.proxy_set_headers",
        r#"{"Host":"$http_host"}"#,
    ),
];

#[test]
fn every_shape_is_understood() {
    let mut failures = Vec::new();
    for (number, text, path, expected) in SHAPES {
        let found = shown(&at(&read(text), path));
        if found != *expected {
            failures
                .push(format!("shape {number}: {text}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let numbers: std::collections::BTreeSet<u32> = SHAPES.iter().map(|shape| shape.0).collect();
    assert!(numbers.into_iter().eq(1..=55));
}

/// Ways in which a value may change that are easy to overlook.
const TRAPS: &[(&str, &str, &str)] = &[
    // Assigning a whole hash again drops the first.
    (
        "registry['env'] = {'NTP_HOST' => 'a'}\nregistry['env'] = {'TZ' => 'b'}",
        "registry.env",
        r#"{"TZ":"b"}"#,
    ),
    (
        "registry['env'] = {'NTP_HOST' => 'a'}\nregistry['env'] = {}",
        "registry.env.NTP_HOST",
        "unset",
    ),
    // Knowledge comes back with the next plain assignment.
    ("registry['enable'] = ENV['X']\nregistry['enable'] = false", "registry.enable", "false"),
    (
        "registry['storage'] = x\nregistry['storage']['s3'] = {}",
        "registry.storage",
        r#"unknown "expression""#,
    ),
    ("registry['storage'] = x\nregistry['storage']['s3'] = {}", "registry.storage.s3", "{}"),
    ("registry['storage'] = x", "registry.storage.s3.bucket", r#"unknown "expression""#),
    // A local variable of the name of a section takes its place.
    ("registry = {}\nregistry['enable'] = true", "registry.enable", "unset"),
    // Other names for the same object.
    ("r = registry\nr['enable'] = true", "registry.enable", r#"unknown "mutation""#),
    ("d = +'/x'\nregistry['dir'] = d\nd << 'y'", "registry.dir", r#"unknown "mutation""#),
    ("d = '/x'\nregistry['dir'] = d\nd = '/y'", "registry.dir", r#""/x""#),
    (
        "registry['env'] = {}\n[registry, nginx].each { |s| s['env'] = {'TZ' => 'x'} }",
        "registry.env",
        r#"unknown "loop""#,
    ),
    (
        "registry['dir'] = '/x'\nregistry.each { |k, v| v.clear }",
        "registry.dir",
        r#"unknown "loop""#,
    ),
    (
        "registry['dir'] = '/x'\nregistry.tap { |r| r['dir'] = '/y' }",
        "registry.dir",
        r#"unknown "loop""#,
    ),
    ("registry['dir'] = '/x'\nregistry.delete('dir')", "registry.dir", r#"unknown "mutation""#),
    (
        "registry['dir'] = '/x'\nregistry['dir'].gsub!('x', 'y')",
        "registry.dir",
        r#"unknown "mutation""#,
    ),
    (
        "registry['dir'] = '/x'\nfrob(registry)['dir'] = 'y'",
        "registry.dir",
        r#"unknown "mutation""#,
    ),
    ("registry['dir'] = (a = +'/x')\na << 'y'", "registry.dir", r#"unknown "mutation""#),
    // To a hash of one's own, unlike to a section, a symbol is not a text.
    ("c = {'dir' => '/x'}\nregistry['dir'] = c[:dir]", "registry.dir", r#"unknown "expression""#),
    (
        "c = {'dir' => '/x'}\nc[:dir] = '/y'\nnginx['x'] = c",
        "nginx.x",
        r#"{"dir":{"$":"unknown","why":"expression"}}"#,
    ),
    // A section in itself has no end.
    ("registry['storage'] = [registry]", "registry.storage", r#"unknown "expression""#),
    // Not even the outer hash is there for sure.
    ("registry['storage']['s3'] = {} if ENV['X']", "registry.storage", r#"unknown "condition""#),
    // Methods and blocks run when they are called, not where they stand.
    (
        "def a\nregistry['dir'] = '/y'\nend\nregistry['dir'] = '/x'\na",
        "registry.dir",
        r#"unknown "deferred""#,
    ),
    (
        "a = -> { registry['dir'] = '/y' }\nregistry['dir'] = '/x'\na.call",
        "registry.dir",
        r#"unknown "deferred""#,
    ),
    ("registry['dir'] = '/x'\nsend(:registry)['dir'] = '/y'", "registry.dir", r#"unknown "eval""#),
    // Loops may go round with another key.
    ("k = 'x'\n2.times { registry[k] = 1; k = 'dir' }", "registry.dir", r#"unknown "loop""#),
    ("k = 'x'\n2.times { k = 'y' }\nregistry['dir'] = k", "registry.dir", r#"unknown "loop""#),
    ("k = 'x'\nk = 'y' if ENV['Z']\nregistry['dir'] = k", "registry.dir", r#"unknown "condition""#),
    // Conditions that are no question.
    ("registry['dir'] = '/x'\nif false\nregistry['dir'] = '/y'\nend", "registry.dir", r#""/x""#),
    ("registry['dir'] = true ? '/x' : '/y'", "registry.dir", r#""/x""#),
    ("registry['dir'] = nil || '/x'", "registry.dir", r#""/x""#),
    ("registry['dir'] = ENV['A'] || '/x'", "registry.dir", r#"unknown "environment""#),
    // Errors that may or may not be raised.
    ("begin\nregistry['dir'] = '/x'\nrescue\nend", "registry.dir", r#"unknown "condition""#),
    ("(registry['dir'] = '/x') rescue nil", "registry.dir", r#"unknown "condition""#),
    ("begin\nregistry['dir'] = '/x'\nend", "registry.dir", r#""/x""#),
    // The end of a file before its end.
    ("registry['dir'] = '/x'\nreturn\nregistry['dir'] = '/y'", "registry.dir", r#""/x""#),
    ("return if ENV['A']\nregistry['dir'] = '/y'", "registry.dir", r#"unknown "condition""#),
    // Other spellings of assignments.
    ("self.external_url = 'https://x'", "external_url", r#""https://x""#),
    ("Gitlab['registry']['enable'] = true", "registry.enable", "true"),
    ("registry['enable'], registry['dir'] = true, '/x'", "registry.dir", r#""/x""#),
    ("registry['a'] = registry['enable'] = true", "registry.enable", "true"),
    ("registry.store('dir', '/x')", "registry.dir", r#""/x""#),
    ("registry({ 'dir' => '/x' })", "registry.dir", r#""/x""#),
    ("registry['dir'] = registry['dir2'] = '/x'", "registry.dir", r#""/x""#),
    (
        "registry['dir'] = '/x'\nregistry['log_directory'] = \"#{registry['dir']}/log\"",
        "registry.log_directory",
        r#""/x/log""#,
    ),
    (
        "e = {'NTP_HOST' => 'n'}\ngitaly['env'] = e\npraefect['env'] = e",
        "praefect.env.NTP_HOST",
        r#""n""#,
    ),
    (
        "e = {'NTP_HOST' => 'n'}\ngitaly['env'] = {'TZ' => 'z', **e}",
        "gitaly.env.NTP_HOST",
        r#""n""#,
    ),
    ("roles ['a', *%w(b c)]", "roles", r#"["a","b","c"]"#),
    // A key of a text.
    (
        "registry['storage'] = 'x'\nregistry['storage']['s3'] = 1",
        "registry.storage",
        r#"unknown "mutation""#,
    ),
    // Broken syntax inside the value.
    ("registry['enable'] = true\nregistry['dir'] = '/x\n", "registry.dir", r#"unknown "syntax""#),
    ("puma['x'] = 99999999999999999999", "puma.x", r#"unknown "limit""#),
    ("puma['x'] = 'a' * 9_999_999_999", "puma.x", r#"unknown "limit""#),
];

#[test]
fn traps_are_not_fallen_into() {
    let mut failures = Vec::new();
    for (text, path, expected) in TRAPS {
        let found = shown(&at(&read(text), path));
        if found != *expected {
            failures.push(format!("{text}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn sources_and_overruled_lines_are_told() {
    let settings = read("external_url 'https://a'\n\nexternal_url 'https://b'\n");
    let Setting::Known { source, earlier, .. } = at(&settings, "external_url") else { panic!() };
    assert_eq!((source, earlier), (line(3), vec![line(1)]));

    let settings =
        read("registry['env'] = {}\nregistry['env']['TZ'] = 'x'\nregistry['env'] = {}\n");
    let Setting::Known { source, earlier, .. } = at(&settings, "registry.env") else { panic!() };
    assert_eq!(source, line(3));
    assert_eq!(earlier, [line(2)]);
}

#[test]
fn local_variables_and_unknown_names_are_reported() {
    let settings = read("registry_external_url = 'https://a'\n  externl_url 'x'\nfrob['x'] = 1\n");
    let unknown = |name: &str, nearest: Option<&str>| ProblemKind::UnknownName {
        name: Some(name.to_owned()),
        nearest: nearest.map(str::to_owned),
    };
    assert_eq!(
        kinds(&settings),
        [
            &ProblemKind::LocalVariable { name: "registry_external_url".to_owned() },
            &unknown("externl_url", Some("external_url")),
            &unknown("frob", None),
        ]
    );
    let problem = &settings.problems[1];
    assert_eq!((problem.source.line, problem.column, problem.offset), (2, 3, 38));
    // Names that the file defines, or that Ruby does, are none of these.
    assert_eq!(
        kinds(&read("def frob\nend\nfrob\nputs 'x'\nrequire 'json'\nnode['x']")),
        [&ProblemKind::TooDeep; 0]
    );
}

#[test]
fn words_that_may_be_secrets_are_not_repeated() {
    let settings = read("registry['http_secret'] = hunter2\nswordfish\nMIIEpAIBAAKCAQEA 1\n");
    let hidden = ProblemKind::UnknownName { name: None, nearest: None };
    assert_eq!(kinds(&settings), [&hidden, &hidden, &hidden]);
}

#[test]
fn syntax_errors_are_reported_and_the_rest_is_read() {
    let settings = read("registry['enable'] = true\nregistry['x'] = )\nexternal_url 'https://a'\n");
    assert_eq!(settings.broken.as_ref().map(|source| source.line), Some(2));
    assert!(matches!(kinds(&settings)[0], ProblemKind::Syntax { .. }));
    assert_eq!(shown(&at(&settings, "external_url")), r#""https://a""#);

    let settings = read("#registry['env'] = {\n 'A' => 'b'\n}\n");
    assert!(settings.broken.is_some());

    let settings = read("registry['dir'] = <REPLACE_ME>\n");
    assert!(settings.broken.is_some());
    let text = Some("<REPLACE_ME>".to_owned());
    assert!(kinds(&settings).contains(&&ProblemKind::Placeholder { text }));
}

#[test]
fn odd_characters_are_reported_outside_comments() {
    let odd = |character, in_text| ProblemKind::OddCharacter { character, in_text };
    let settings = read("# don\u{2019}t\nregistry[\u{2018}enable\u{2019}] = true\n");
    let found: Vec<_> =
        settings.problems.iter().map(|problem| (problem.offset, &problem.kind)).collect();
    assert!(found.contains(&(19, &odd(OddCharacter::SmartQuote, false))), "{found:?}");
    assert!(!found.iter().any(|(offset, _)| *offset < 19), "{found:?}");

    let settings =
        read("external_url 'https://a\u{a0}'\nuser['x'] = '\u{201c}x\u{201d}'\n__END__\n\u{a0}");
    assert_eq!(kinds(&settings), [&odd(OddCharacter::NonBreakingSpace, true)]);
    let settings = read("\u{feff}external_url 'https://a'\n");
    assert_eq!(kinds(&settings), [&odd(OddCharacter::ByteOrderMark, false)]);
    assert_eq!(settings.broken, None);
}

#[test]
fn included_files_are_followed_in_place() {
    let main = "registry['dir'] = '/a'\nx = 'local'\nfrom_file '/other.rb'\nregistry['log_level'] = 'info'";
    let settings = with_include(
        main,
        Some("registry['dir'] = '/b'\nregistry['log_level'] = 'debug'\nroles x"),
    );
    let Setting::Known { value, source, earlier } = at(&settings, "registry.dir") else { panic!() };
    assert_eq!(value.as_str(), Some("/b"));
    assert_eq!(source, Source { file: "/other.rb".into(), line: 1 });
    assert_eq!(earlier, [line(1)]);
    assert_eq!(shown(&at(&settings, "registry.log_level")), r#""info""#);
    // Locals do not reach into the other file.
    assert_eq!(shown(&at(&settings, "roles")), r#"unknown "expression""#);
    assert!(settings.unread.is_empty());
}

#[test]
fn unread_and_missing_includes_are_told() {
    let settings = read("from_file '/other.rb'\nregistry['dir'] = '/a'");
    assert_eq!(settings.unread, ["/other.rb"]);
    assert_eq!(shown(&at(&settings, "external_url")), r#"unknown "include""#);
    assert_eq!(shown(&at(&settings, "registry.dir")), r#""/a""#);

    let settings = with_include("from_file '/other.rb'", None);
    assert!(settings.unread.is_empty());
    assert_eq!(kinds(&settings), [&ProblemKind::IncludeMissing { path: "/other.rb".into() }]);

    assert_eq!(kinds(&read("from_file ENV['X']")), [&ProblemKind::IncludeUnclear]);
    assert_eq!(kinds(&read("from_file '/etc/gitlab/gitlab.rb'")), [&ProblemKind::IncludeUnclear]);
    assert_eq!(evaluate(Utf8Path::new(MAIN), &BTreeMap::new()).unread, [MAIN]);

    let settings =
        with_include("from_file '/other.rb' if ENV['X']", Some("registry['dir'] = '/b'"));
    assert_eq!(shown(&at(&settings, "registry.dir")), r#"unknown "condition""#);
}

/// Texts that must not come out again, at the places where people have them.
const SECRETS: &str = r##"
gitlab_rails['db_password'] = 'LEAK1'
gitlab_rails['smtp_password'] = "LEAK2"
gitlab_rails['smtp_user_name'] = "LEAK3@example"
gitlab_rails['ldap_servers'] = YAML.load <<-'EOS'
  main:
    bind_dn: 'cn=LEAK4'
    password: 'LEAK5'
    host: 'LEAK6:x@ldap.example'
EOS
gitlab_rails['omniauth_providers'] = [
  { name: "openid_connect", args: { client_options: { secret: "LEAK7", identifier: "LEAK8" } } }
]
registry['internal_key'] = "-----BEGIN RSA PRIVATE KEY-----\nLEAK9\n"
registry['http_secret'] = 'LEAK10'
registry['storage'] = { 's3' => { 'accesskey' => 'LEAK11', 'secretkey' => 'LEAK12', 'bucket' => 'b',
  'regionendpoint' => 'https://LEAK13:LEAK14@minio.example:9000/x?LEAK15=1' } }
registry['env'] = { 'REGISTRY_STORAGE_S3_SECRETKEY' => 'LEAK16', 'HTTPS_PROXY' => 'http://u:LEAK17@p:3128/LEAK18' }
registry['notifications'] = [ { 'name' => 'n', 'url' => 'https://hook.example/LEAK19',
  'headers' => { 'Authorization' => ['Bearer LEAK20'] } } ]
external_url 'https://root:LEAK21@gl.example'
gitlab_rails['gitlab_email_from'] = 'LEAK22@example'
gitlab_rails['initial_root_password'] = 9876543210
gitlab_rails['sentry_dsn'] = 'https://LEAK23@sentry/1'
nginx['custom_gitlab_server_config'] = 'auth_basic LEAK24'
nginx['ssl_ciphers'] = "-----BEGIN PRIVATE KEY-----\nLEAK25"
registry['dir'] = 'user:LEAK26@host'
pw = 'LEAK27'
gitlab_rails['otp'] = pw + "#{pw}x"
PW = 'LEAK28'
leak29word
LEAK30 = 'LEAK31'
gitlab_rails['redis_password'] ||= 'LEAK32'
gitlab_rails['object_store']['connection'] = { 'aws_secret_access_key' => 'LEAK33', 'region' => 'r' }
postgresql['sql_user_password'] = 'LEAK34'
redis['password'] = %q(LEAK35)
gitlab_rails['LEAK36abcdefghijkl0123456789'] = true
user['x'] = { 'glpat-LEAK37abcdefghij0123' => 1 }
consul['configuration'] = { encrypt: 'LEAK38', retry_join: %w(LEAK39) }
gitlab_rails['kas_pin'] = 1234567899
"##;

#[test]
fn no_secret_survives() {
    let mut texts = vec![SECRETS.to_owned()];
    // Broken files must not leak either, nor must those whose errors are elsewhere.
    texts.push(format!("{SECRETS}\n}}\nLEAK40 LEAK41 'LEAK42\n"));
    texts.push(format!("LEAK43 = <<LEAK44\n{SECRETS}"));
    texts.push(format!(
        "x = /LEAK45(/\ny = 1LEAK46\n@1LEAK47\n$-LEAK48 \"\\u{{LEAK49}}\"\n{SECRETS}"
    ));
    texts.push(SECRETS.replace('\'', "\u{2019}"));
    texts.push(SECRETS.replace("['", "['']['"));
    for text in texts {
        let settings = read(&text);
        for out in [serde_json::to_string(&settings).unwrap(), format!("{settings:?}")] {
            for secret in ["LEAK", "leak", "9876543210", "1234567899"] {
                let context = out.find(secret).map(|at| &out[at.saturating_sub(80)..at + 20]);
                assert_eq!(context, None, "in {text}");
            }
        }
    }
    // What may be shown is shown all the same.
    let settings = read(SECRETS);
    assert_eq!(settings.broken, None);
    for (path, expected) in [
        ("external_url", r#""https://gl.example""#),
        ("registry.storage.s3.bucket", r#""b""#),
        ("registry.storage.s3.regionendpoint", r#""https://minio.example:9000/x""#),
        ("registry.storage.s3.secretkey", r#"{"$":"set"}"#),
        ("registry.env.HTTPS_PROXY", r#""http://p:3128""#),
        (
            "registry.notifications",
            r#"[{"headers":{"Authorization":[{"$":"set"}]},"name":"n","url":"https://hook.example"}]"#,
        ),
        ("gitlab_rails.object_store.connection.region", r#""r""#),
    ] {
        assert_eq!(shown(&at(&settings, path)), expected, "{path}");
    }
}

#[test]
fn settings_survive_json() {
    let settings = read(SECRETS.to_owned() + "\nfrom_file '/x'\nexternal_url = 1\n}\u{2019}");
    assert!(settings.broken.is_some() && !settings.problems.is_empty());
    let json = serde_json::to_string(&settings).unwrap();
    assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), settings);
}

#[test]
fn hostile_files_are_survived() {
    let repeated = [
        "[",
        "(",
        "{",
        "!",
        "- ",
        "not ",
        "a = ",
        "if a;",
        "begin;",
        "def a;",
        "case a;when b;",
        "a ? b : ",
        "a ** ",
        "-> do ",
        "a do ",
        "a ",
        "a and ",
        "a && ",
        "a.",
        "a+",
        "\"#{",
        "<<A\n#{",
        "a rescue ",
        "a::",
        "a if a ",
        "a, ",
        "\u{1}",
        "%w(",
        "a[1]",
        "registry[",
        "a..",
        "'a' ",
        "x ||= ",
        "A|",
        "registry['a']=",
        "registry << ",
        "@",
        "\\",
        "=begin\n",
        "__END__",
        "1",
        "$a=",
        "a&.",
        "a=>",
        "rescue\n",
        "elsif a\n",
        "yield ",
        "a => ",
        "class A;",
    ];
    for unit in repeated {
        for prefix in ["", "if ", "x = ", "case a\nin ", "registry['x'] = ", "begin\n", "if a\n"] {
            let text = format!("{prefix}{}", unit.repeat(15_000 / unit.len()));
            let settings = read(&text);
            serde_json::from_str::<Settings>(&serde_json::to_string(&settings).unwrap()).unwrap();
        }
    }
    // Too long to parse at all.
    let settings = read(vec![b'x'; 2 << 20]);
    assert_eq!(kinds(&settings), [&ProblemKind::TooDeep]);
    assert_eq!(shown(&at(&settings, "external_url")), r#"unknown "limit""#);
}

#[test]
fn doubling_values_run_out_of_fuel() {
    let mut text = "x = ['aaaaaaaaaaaaaaaa']\n".to_owned();
    for _ in 0..60 {
        text.push_str("x = x + x\nregistry['x'] = [x, x]\n");
    }
    assert_eq!(shown(&at(&read(&text), "registry.x")), r#"unknown "limit""#);
    let text = format!("roles ['a']\n{}", "roles << 'b'\n".repeat(20_000));
    assert_eq!(shown(&at(&read(&text), "roles")), r#"unknown "limit""#);
}

/// The package's own template, where the corpus is at hand.
fn template() -> Option<String> {
    crate::parse::corpus::read("omnibus/gitlab.rb.template")
}

#[test]
fn the_template_sets_nothing_but_the_url() {
    let Some(template) = template() else { return };
    let settings = read(&template);
    assert_eq!(settings.problems, []);
    assert_eq!(settings.assignments.len(), 1);
    assert_eq!(shown(&at(&settings, "external_url")), r#""GENERATED_EXTERNAL_URL""#);
}

#[test]
fn the_template_without_its_comment_signs_is_read() {
    let Some(template) = template() else { return };
    let bare: Vec<&str> = template
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(setting)
                if setting.contains("'] = ")
                    && !setting.trim_end().ends_with(['{', '[', ',', '\'']) =>
            {
                setting
            }
            _ => line,
        })
        .collect();
    let settings = read(bare.join("\n"));
    assert!(settings.assignments.len() > 500, "{}", settings.assignments.len());
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        read(bytes);
    }

    #[test]
    fn arbitrary_ruby_does_no_harm(tokens in proptest::collection::vec(0_usize..TOKENS.len(), 0..60)) {
        let text: String = tokens.into_iter().map(|token| TOKENS[token]).collect();
        let settings = read(text);
        let json = serde_json::to_string(&settings).unwrap();
        prop_assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), settings);
    }

    #[test]
    fn mutated_templates_do_no_harm(start in 0_usize..150_000, length in 0_usize..4000, flips in proptest::collection::vec((0_usize..4000, any::<u8>()), 0..40)) {
        if let Some(template) = template() {
            let mut bytes: Vec<u8> = template.replace("\n# ", "\n").into_bytes();
            bytes = bytes.into_iter().skip(start).take(length).collect();
            for (at, byte) in flips {
                if let Some(target) = bytes.get_mut(at) {
                    *target = byte;
                }
            }
            read(bytes);
        }
    }
}

const TOKENS: &[&str] = &[
    "registry",
    "external_url",
    "['x']",
    "[x]",
    "x",
    " = ",
    " ||= ",
    " << ",
    " += ",
    "'a'",
    "\"#{x}\"",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ", ",
    "=> ",
    "\n",
    "\n",
    "\n",
    ";",
    " if ",
    " unless ",
    "\nend\n",
    "\ndef x\n",
    "\nbegin\n",
    "\nrescue\n",
    " do |x|\n",
    "{ |x, y| ",
    "-> { ",
    "return",
    ".merge!",
    ".each",
    ".x = ",
    "1",
    "nil",
    "true",
    "ENV['A']",
    "eval ",
    "from_file '/x'",
    "x, y = ",
    "*x",
    "**x",
    "x: ",
    ":x",
    "%w(a b)",
    "<<~E\n a\nE\n",
    "case x\n",
    "when 1\n",
    "in {x:}\n",
    "while x\n",
    "for x in y\n",
    "and ",
    " or ",
    "not ",
    "!",
    "?",
    ":",
    "&.",
    "::",
    "X",
    "@x",
    "$x",
    "__END__",
    "\u{2019}",
    "yield",
    "it",
    "_1",
    "self.",
    "Gitlab",
    "class X\n",
    "/x/",
    "`x`",
    "&x",
    "..",
    " rescue ",
];

#[test]
fn reasons_have_words() {
    assert_eq!(Why::Environment.as_str(), "taken from the environment");
    assert_eq!(Value::Unknown(Why::Loop).is_truthy(), None);
}
