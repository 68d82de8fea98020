//! containerd's `hosts.toml`, one per registry, below `/etc/containerd/certs.d`.

use serde::{Deserialize, Serialize};

use super::setting::Located;
use super::toml_tree::{Table, Toml};
use super::{Malformed, scrub};

/// What `hosts.toml` says. If it is malformed, containerd logs that and uses the `.crt` files of
/// the folder instead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostsToml {
    /// `server`: who is asked after all hosts, scrubbed.
    pub server: Option<Located<String>>,
    /// What is set at the top, which holds for `server`.
    pub top: HostSettings,
    /// The `[host."…"]` tables, in the order of the file, which is the order of the attempts.
    pub hosts: Vec<HostTable>,
    /// Keys that containerd does not read, as dotted paths.
    pub unknown_keys: Vec<Located<String>>,
}

/// A `[host."…"]` table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostTable {
    /// The address, scrubbed.
    pub host: String,
    /// The line.
    pub line: Option<u32>,
    /// What is set.
    pub settings: HostSettings,
}

/// What can be set for a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostSettings {
    /// `ca`: paths, relative ones from the folder of the file. A file that cannot be read or
    /// holds no certificate is an error for containerd.
    pub ca: Vec<Located<String>>,
    /// Whether `client` is set.
    pub client_set: bool,
    /// `skip_verify`.
    pub skip_verify: Option<Located<bool>>,
    /// `capabilities`: of `pull`, `resolve`, `push`. None: all. Any other spoils the file.
    pub capabilities: Vec<Located<String>>,
    /// `override_path`.
    pub override_path: Option<Located<bool>>,
    /// The names of the headers below `header`.
    pub headers: Vec<Located<String>>,
}

impl HostsToml {
    /// What holds for a registry itself, given as a URL and as `host[:port]`: its own table, or
    /// else the top of the file.
    pub fn settings_for(&self, url: &str, authority: &str) -> &HostSettings {
        let own = self.hosts.iter().find(|it| {
            let host = it.host.trim_end_matches('/');
            host == url || host == authority
        });
        own.map_or(&self.top, |own| &own.settings)
    }
}

const KNOWN: [&str; 7] =
    ["capabilities", "ca", "client", "skip_verify", "header", "override_path", "dial_timeout"];

/// Reads a `hosts.toml`.
pub fn read(bytes: &[u8]) -> Result<HostsToml, Malformed> {
    let toml = Toml::read(bytes)?;
    let root = toml.root();
    let mut unknown_keys = Vec::new();
    note_unknown(root, "", &["server", "host"], &mut unknown_keys);
    let mut hosts = Vec::new();
    if let Some(table) = root.table("host")? {
        let mut entries: Vec<_> = table.entries().collect();
        entries.sort_by_key(|entry| entry.offset);
        for entry in entries {
            let table = entry.table("host")?;
            let host = scrub::url(entry.key);
            note_unknown(table, &format!("host.{host}."), &[], &mut unknown_keys);
            hosts.push(HostTable { host, line: Some(entry.line), settings: settings(table)? });
        }
    }
    let server = root.text("server")?;
    Ok(HostsToml {
        server: server.map(|server| Located { value: scrub::url(&server.value), ..server }),
        top: settings(root)?,
        hosts,
        unknown_keys,
    })
}

fn settings(table: Table<'_>) -> Result<HostSettings, Malformed> {
    let scrubbed = |list: Vec<Located<String>>| -> Vec<Located<String>> {
        list.into_iter().map(|text| Located { value: scrub::value(&text.value), ..text }).collect()
    };
    let header = table.table("header")?;
    let names = header.into_iter().flat_map(|header| header.entries().collect::<Vec<_>>());
    Ok(HostSettings {
        ca: scrubbed(table.text_or_texts("ca")?),
        client_set: table.get("client").is_some(),
        skip_verify: table.boolean("skip_verify")?,
        capabilities: scrubbed(table.texts("capabilities")?),
        override_path: table.boolean("override_path")?,
        headers: names.map(|entry| Located::at(entry.line, entry.key.to_owned())).collect(),
    })
}

fn note_unknown(table: Table<'_>, path: &str, more: &[&str], unknown: &mut Vec<Located<String>>) {
    for entry in table.entries() {
        let known = |name: &&str| entry.key.eq_ignore_ascii_case(name);
        if !KNOWN.iter().chain(more).any(known) {
            let key = format!("{path}{}", scrub::value(entry.key));
            unknown.push(Located::at(entry.line, key));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SAMPLE: &str = r#"server = "https://u:hush@registry.internal:5050?hush"
skip_verify = false

[host."https://z.internal"]
  ca = ["ca.crt", "/etc/ca2.crt"]
  client = [["client.cert", "hush.key"]]
  capabilities = ["pull", "resolve"]
  insecure = true
  [host."https://z.internal".header]
    Authorization = ["hush"]

[host."https://u:hush@a.internal"]
  ca = "ca.crt"
  skip_verify = true
"#;

    #[test]
    fn hosts_keep_their_order_and_their_secrets() {
        let hosts = read(SAMPLE.as_bytes()).unwrap();
        assert_eq!(hosts.server.as_ref().unwrap().value, "https://registry.internal:5050");
        assert_eq!(hosts.top.skip_verify, Some(Located::at(2, false)));
        let [z, a] = hosts.hosts.as_slice() else { panic!("{hosts:?}") };
        assert_eq!((z.host.as_str(), z.line), ("https://z.internal", Some(4)));
        assert_eq!(z.settings.ca[1], Located::at(5, "/etc/ca2.crt".to_owned()));
        assert!(z.settings.client_set && !a.settings.client_set);
        assert_eq!(z.settings.headers, [Located::at(10, "Authorization".to_owned())]);
        assert_eq!(a.settings.ca, [Located::at(13, "ca.crt".to_owned())]);
        assert_eq!(a.settings.skip_verify, Some(Located::at(14, true)));
        let unknown = [Located::at(8, "host.https://z.internal.insecure".to_owned())];
        assert_eq!(hosts.unknown_keys, unknown);
        let json = serde_json::to_string(&hosts).unwrap();
        assert!(!format!("{hosts:?}{json}").contains("hush"), "{json}");
        assert_eq!(serde_json::from_str::<HostsToml>(&json).unwrap(), hosts);
    }

    #[test]
    fn types_are_checked() {
        assert_eq!(read(b"").unwrap(), HostsToml::default());
        for (text, line) in [("\nca = 5", 2), ("skip_verify = 'hush'", 1), ("host = 'hush'", 1)] {
            let refused = read(text.as_bytes()).unwrap_err();
            assert_eq!(refused.line, Some(line), "{refused}");
            assert!(!refused.message.contains("hush"));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
            let _ = read(&bytes);
        }

        #[test]
        fn toml_like_text_is_read_or_refused(text in "(\\[host\\.\"a\"\\]|ca|client|[a=.\\[\\]{}\"',1# \né]){0,40}") {
            let _ = read(text.as_bytes());
        }
    }
}
