//! Docker's two JSON files: the daemon's `daemon.json` and a user's `config.json`.

use std::collections::BTreeMap;

use serde::de::DeserializeSeed;
use serde::{Deserialize, Serialize};
use serde_json::error::Category;

use super::line_index::{LineIndex, Place, ROOT};
use super::node::{Builder, Node};
use super::setting::{Located, Setting};
use super::text::{line_number, refuse_deep_brackets, utf8, without_byte_order_mark};
use super::{Malformed, scrub};

/// The settings of `/etc/docker/daemon.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DaemonJson {
    /// `insecure-registries`, scrubbed.
    pub insecure_registries: Vec<Located<String>>,
    /// `registry-mirrors`, scrubbed.
    pub registry_mirrors: Vec<Located<String>>,
    /// `proxies`, from Docker 23.
    pub proxies: Proxies,
    /// `hosts`: where the daemon listens. With `-H` in its unit file it refuses to start.
    pub hosts: Vec<Located<String>>,
    /// `data-root`.
    pub data_root: Setting,
    /// `features.containerd-snapshotter`: the image store of containerd.
    pub containerd_snapshotter: Setting,
    /// `tls`.
    pub tls: Setting,
    /// `tlsverify`.
    pub tlsverify: Setting,
    /// `tlscacert`.
    pub tlscacert: Setting,
    /// `dns`: what containers ask.
    pub dns: Vec<Located<String>>,
    /// The names of all other keys, values not shown.
    pub other_keys: Vec<Located<String>>,
    /// Keys of the top level that are there twice. The last one counts.
    pub duplicate_keys: Vec<Located<String>>,
    /// Keys above whose value has a type that the daemon refuses to start with.
    pub mistyped_keys: Vec<Located<String>>,
    /// Whether the file begins with a byte order mark. Docker before 24 refuses it.
    pub byte_order_mark: bool,
}

/// Proxies, scrubbed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Proxies {
    /// `http-proxy` of the daemon, `httpProxy` of a client.
    pub http: Setting,
    /// `https-proxy` of the daemon, `httpsProxy` of a client.
    pub https: Setting,
    /// `no-proxy` of the daemon, `noProxy` of a client.
    pub no: Setting,
}

/// The settings of `~/.docker/config.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientJson {
    /// The registries that `auths` has an entry for, as written there.
    pub auths: Vec<AuthEntry>,
    /// `credsStore`: the name of the helper for all registries.
    pub creds_store: Setting,
    /// `credHelpers`: the name of the helper by registry.
    pub cred_helpers: BTreeMap<String, Setting>,
    /// `proxies`, by the daemon's address or `default`. Given to containers, not to the daemon.
    pub proxies: BTreeMap<String, Proxies>,
    /// `currentContext`.
    pub current_context: Setting,
    /// The names of all other keys, values not shown.
    pub other_keys: Vec<Located<String>>,
    /// Keys of the top level that are there twice. The last one counts.
    pub duplicate_keys: Vec<Located<String>>,
}

/// An entry of `auths`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthEntry {
    /// `host:port`, or an address for Docker Hub.
    pub registry: String,
    /// Whether the credentials are in the entry, and not in a helper.
    pub inline: bool,
    /// The line.
    pub line: Option<u32>,
}

/// Reads a `daemon.json`. A file without content counts as `{}`, as it does for the daemon.
pub fn read_daemon(bytes: &[u8]) -> Result<DaemonJson, Malformed> {
    let text = utf8(bytes)?;
    let json = Json::read(without_byte_order_mark(text))?;
    let root = json.root();
    let proxies = root.get("proxies");
    let lists = ["insecure-registries", "registry-mirrors", "hosts", "dns"];
    let rest = ["proxies", "data-root", "features", "tls", "tlsverify", "tlscacert"];
    Ok(DaemonJson {
        insecure_registries: root.get("insecure-registries").urls(),
        registry_mirrors: root.get("registry-mirrors").urls(),
        proxies: proxies.proxies("http-proxy", "https-proxy", "no-proxy"),
        hosts: root.get("hosts").urls(),
        data_root: root.get("data-root").setting(),
        containerd_snapshotter: root.get("features").get("containerd-snapshotter").setting(),
        tls: root.get("tls").setting(),
        tlsverify: root.get("tlsverify").setting(),
        tlscacert: root.get("tlscacert").setting(),
        dns: root.get("dns").urls(),
        other_keys: root.keys_except(&[lists.as_slice(), rest.as_slice()].concat()),
        duplicate_keys: root.duplicates(),
        mistyped_keys: lists
            .into_iter()
            .filter_map(|key| root.get(key).unless_texts(key))
            .collect(),
        byte_order_mark: text.starts_with('\u{feff}'),
    })
}

/// Reads a `config.json` of the client, which refuses a byte order mark.
pub fn read_client(bytes: &[u8]) -> Result<ClientJson, Malformed> {
    let text = utf8(bytes)?;
    if text.starts_with('\u{feff}') {
        return Err(Malformed::new(1, "a byte order mark, which the docker command refuses"));
    }
    let json = Json::read(text)?;
    let root = json.root();
    let auth = |(registry, entry): (&str, Value<'_>)| AuthEntry {
        registry: scrub::url(registry),
        inline: ["auth", "password", "identitytoken", "registrytoken"]
            .iter()
            .any(|key| entry.get(key).node.raw().is_some_and(|text| !text.is_empty())),
        line: entry.line,
    };
    let helper = |(name, value): (&str, Value<'_>)| (scrub::url(name), value.setting());
    let proxies = |(name, value): (&str, Value<'_>)| {
        (scrub::url(name), value.proxies("httpProxy", "httpsProxy", "noProxy"))
    };
    Ok(ClientJson {
        auths: root.get("auths").entries().map(auth).collect(),
        creds_store: root.get("credsStore").setting(),
        cred_helpers: root.get("credHelpers").entries().map(helper).collect(),
        proxies: root.get("proxies").entries().map(proxies).collect(),
        current_context: root.get("currentContext").setting(),
        other_keys: root.keys_except(&[
            "auths",
            "credsStore",
            "credHelpers",
            "proxies",
            "currentContext",
        ]),
        duplicate_keys: root.duplicates(),
    })
}

struct Json {
    root: Node,
    index: LineIndex,
}

impl Json {
    fn read(text: &str) -> Result<Self, Malformed> {
        refuse_deep_brackets(text)?;
        let mut root = Node::Null;
        if !text.trim().is_empty() {
            let mut reader = serde_json::Deserializer::from_str(text);
            let builder = Builder::json();
            root = builder.deserialize(&mut reader).map_err(|error| told(&error))?;
            reader.end().map_err(|error| told(&error))?;
            if root.mapping().is_none() {
                return Err(Malformed::new(1, "not a JSON object"));
            }
        }
        Ok(Self { root, index: LineIndex::new(text) })
    }

    fn root(&self) -> Value<'_> {
        Value { json: self, node: &self.root, place: Some(ROOT), line: None }
    }
}

/// The library's message about syntax consists of fixed words. One about data might not.
fn told(error: &serde_json::Error) -> Malformed {
    let line = line_number(error.line());
    match error.classify() {
        Category::Syntax | Category::Eof => {
            Malformed::new(line, format!("not valid JSON: {error}"))
        }
        Category::Data | Category::Io => Malformed::new(line, "not valid JSON"),
    }
}

/// A value with its line.
#[derive(Clone, Copy)]
struct Value<'json> {
    json: &'json Json,
    node: &'json Node,
    place: Option<Place>,
    line: Option<u32>,
}

const ABSENT: &Node = &Node::Null;

impl<'json> Value<'json> {
    fn get(&self, key: &str) -> Value<'json> {
        let node = self.node.mapping().and_then(|mapping| mapping.entries.get(key));
        self.step(key, node.unwrap_or(ABSENT))
    }

    fn step(&self, key: &str, node: &'json Node) -> Value<'json> {
        let place = self.place.and_then(|place| self.json.index.child(place, key));
        let line = place.and_then(|place| self.json.index.line(place)).or(self.line);
        Value { json: self.json, node, place, line }
    }

    fn entries(&self) -> impl Iterator<Item = (&'json str, Value<'json>)> {
        let entries = self.node.mapping().into_iter().flat_map(|mapping| &mapping.entries);
        entries.map(|(key, node)| (key.as_str(), self.step(key, node)))
    }

    fn setting(&self) -> Setting {
        Some(Located::at(self.line, self.node.scalar()?))
    }

    fn proxy(&self) -> Setting {
        match self.node {
            Node::Text(text) => {
                let scrubbed = Node::Text(scrub::url_list(text));
                Some(Located::at(self.line, scrubbed.scalar()?))
            }
            _ => self.setting(),
        }
    }

    fn proxies(&self, http: &str, https: &str, no: &str) -> Proxies {
        let proxy = |key: &str| self.get(key).proxy();
        Proxies { http: proxy(http), https: proxy(https), no: proxy(no) }
    }

    fn urls(&self) -> Vec<Located<String>> {
        let Node::List(list) = self.node else { return Vec::new() };
        let url = |(number, node): (usize, &'json Node)| {
            let text = node.raw()?;
            Some(Located::at(self.step(&number.to_string(), node).line, scrub::url(&text)))
        };
        list.iter().enumerate().filter_map(url).collect()
    }

    /// The key, if its value is there and is not a list of texts.
    fn unless_texts(&self, key: &str) -> Option<Located<String>> {
        let fits = match self.node {
            Node::Null => true,
            Node::List(list) => list.iter().all(|node| matches!(node, Node::Text(_))),
            _ => false,
        };
        (!fits).then(|| Located::at(self.line, key.to_owned()))
    }

    fn keys_except(&self, known: &[&str]) -> Vec<Located<String>> {
        let others = self.entries().filter(|(key, _)| !known.contains(key));
        others.map(|(key, value)| Located::at(value.line, scrub::value(key))).collect()
    }

    fn duplicates(&self) -> Vec<Located<String>> {
        let duplicates = self.node.mapping().into_iter().flat_map(|mapping| &mapping.duplicates);
        duplicates.map(|key| Located::at(self.get(key).line, scrub::value(key))).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::parse::setting::Scalar;

    fn text(value: &str) -> Scalar {
        Scalar::Text(value.to_owned())
    }

    #[test]
    fn a_daemon_is_read_with_lines() {
        let daemon = read_daemon(
            br#"{
  "insecure-registries": ["gitlab.internal:5050",
    "10.0.0.0/8"],
  "registry-mirrors": ["https://u:hush@mirror.internal?hush"],
  "proxies": {"http-proxy": "http://u:hu/sh@proxy:3128", "no-proxy": "localhost,.internal"},
  "hosts": ["unix:///var/run/docker.sock"],
  "data-root": "/data",
  "features": {"containerd-snapshotter": true},
  "log-opts": {"splunk-token": "hush"},
  "hosts": ["fd://"]
}"#,
        )
        .unwrap();
        let insecure = [
            Located::at(2, "gitlab.internal:5050".to_owned()),
            Located::at(3, "10.0.0.0/8".to_owned()),
        ];
        assert_eq!(daemon.insecure_registries, insecure);
        assert_eq!(daemon.registry_mirrors[0].value, "https://mirror.internal");
        assert_eq!(daemon.proxies.http, Some(Located::at(5, text("http://proxy:3128"))));
        assert_eq!(daemon.proxies.no.as_ref().unwrap().value, text("localhost,.internal"));
        assert_eq!(daemon.containerd_snapshotter, Some(Located::at(8, Scalar::Bool(true))));
        assert_eq!(daemon.hosts, [Located::at(10, "fd://".to_owned())]);
        assert_eq!(daemon.other_keys, [Located::at(9, "log-opts".to_owned())]);
        assert_eq!(daemon.duplicate_keys, [Located::at(10, "hosts".to_owned())]);
        let json = serde_json::to_string(&daemon).unwrap();
        assert!(!format!("{daemon:?}{json}").contains("hush"), "{json}");
        assert_eq!(serde_json::from_str::<DaemonJson>(&json).unwrap(), daemon);
    }

    #[test]
    fn broken_files_are_told_with_the_line() {
        let table: [(&[u8], Option<u32>); 7] = [
            (b"{\n \"a\": \"hush\",\n}", Some(3)),
            (b"{\n \"a\": hush\n}", Some(2)),
            (b"{\n // hush\n}", Some(2)),
            (b"{\"a\": 1}\nhush", Some(2)),
            (b"[\"hush\"]", Some(1)),
            (b"{\"a\": \"hush", Some(1)),
            (b"{\"a\": \"\xff\"}", Some(1)),
        ];
        for (bytes, line) in table {
            let refused = read_daemon(bytes).unwrap_err();
            assert_eq!(refused.line, line, "{refused}");
            assert!(!refused.message.contains("hush"), "{refused}");
        }
        for deep in ["[", "{\"a\":", "[{\"a\":"] {
            assert!(read_daemon(deep.repeat(100_000).as_bytes()).is_err());
        }
    }

    #[test]
    fn what_docker_tolerates_is_tolerated() {
        assert_eq!(read_daemon(b" \r\n").unwrap(), DaemonJson::default());
        let marked =
            read_daemon("\u{feff}{\"<<\": 1, \"dns\": \"10.0.0.1\", \"hosts\": [1]}".as_bytes());
        let marked = marked.unwrap();
        assert!(marked.byte_order_mark);
        assert_eq!(marked.other_keys[0].value, "<<");
        let mistyped: Vec<&str> =
            marked.mistyped_keys.iter().map(|key| key.value.as_str()).collect();
        assert_eq!(mistyped, ["hosts", "dns"]);
        assert_eq!(read_client("\u{feff}{}".as_bytes()).unwrap_err().line, Some(1));
    }

    #[test]
    fn of_a_client_only_names_are_kept() {
        let client = read_client(
            br#"{"auths": {
  "gitlab.internal:5050": {"auth": "hush"},
  "https://u:hush@index.docker.io/v1/": {},
  "r": {"identitytoken": "hush"}},
 "credsStore": "pass", "credHelpers": {"r.internal": "secretservice"},
 "proxies": {"default": {"httpProxy": "u:hush@proxy:1", "noProxy": "a,b"}},
 "HttpHeaders": {"X-Meta": "hush"}, "currentContext": "rootless"}"#,
        )
        .unwrap();
        let registries: Vec<_> =
            client.auths.iter().map(|auth| (auth.registry.as_str(), auth.inline)).collect();
        assert_eq!(
            registries,
            [("gitlab.internal:5050", true), ("https://index.docker.io/v1/", false), ("r", true)]
        );
        assert_eq!(client.auths[0].line, Some(2));
        assert_eq!(client.proxies["default"].http.as_ref().unwrap().value, text("proxy:1"));
        assert_eq!(client.other_keys[0].value, "HttpHeaders");
        let json = serde_json::to_string(&client).unwrap();
        assert!(!format!("{client:?}{json}").contains("hush"), "{json}");
        assert_eq!(serde_json::from_str::<ClientJson>(&json).unwrap(), client);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
            let _ = (read_daemon(&bytes), read_client(&bytes));
        }

        #[test]
        fn json_like_text_is_read_or_refused(
            text in "\\{(\"hosts\"|\"auths\"|\"proxies\"|\"a\"|true|1e999|[:,\\[\\]{} \n\"\\\\é]){0,40}\\}"
        ) {
            let _ = (read_daemon(text.as_bytes()), read_client(text.as_bytes()));
        }
    }
}
