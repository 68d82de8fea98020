//! `registries.conf` of podman, skopeo, buildah and CRI-O: which registries are not verified.

use serde::{Deserialize, Serialize};

use super::setting::Located;
use super::toml_tree::{Table, Toml};
use super::{Malformed, scrub};

/// What the file says of registries, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RegistriesConf {
    /// The `[[registry]]` tables, and the lines of `[registries.insecure]` in files of the first
    /// version.
    pub registries: Vec<Registry>,
}

/// A registry, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    /// What image names start with that it is about: `host[:port]`, with or without a path, or
    /// `*.domain`; scrubbed.
    pub prefix: String,
    /// Where such images are asked for, if not under their own name; scrubbed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Whether it is said that its certificate is not verified.
    pub insecure: Option<Located<bool>>,
    /// Where its images are asked for first.
    pub mirrors: Vec<Mirror>,
}

/// A mirror of a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// As in [`Registry::prefix`].
    pub location: String,
    /// As in [`Registry::insecure`].
    pub insecure: Option<Located<bool>>,
}

/// Reads the file.
pub fn read(bytes: &[u8]) -> Result<RegistriesConf, Malformed> {
    let toml = Toml::read(bytes)?;
    let root = toml.root();
    let mut registries = Vec::new();
    for table in root.tables("registry")? {
        let mirrors = table.tables("mirror")?.into_iter().map(|mirror| {
            let location = place(mirror, "location")?.unwrap_or_default();
            Ok(Mirror { location, insecure: mirror.boolean("insecure")? })
        });
        let location = place(table, "location")?;
        let prefix = place(table, "prefix")?.or_else(|| location.clone()).unwrap_or_default();
        registries.push(Registry {
            location: location.filter(|location| *location != prefix),
            prefix,
            insecure: table.boolean("insecure")?,
            mirrors: mirrors.collect::<Result<_, _>>()?,
        });
    }
    if let Some(lists) = root.table("registries")?
        && let Some(insecure) = lists.table("insecure")?
    {
        for name in insecure.texts("registries")? {
            registries.push(Registry {
                prefix: trimmed(&name.value),
                location: None,
                insecure: Some(Located::at(name.line, true)),
                mirrors: Vec::new(),
            });
        }
    }
    Ok(RegistriesConf { registries })
}

/// A registry as it is written there; `None` where nothing is.
fn place(table: Table<'_>, key: &str) -> Result<Option<String>, Malformed> {
    let written = table.text(key)?.map(|text| trimmed(&text.value));
    Ok(written.filter(|text| !text.is_empty()))
}

fn trimmed(text: &str) -> String {
    scrub::url(text).trim_end_matches('/').to_owned()
}

/// How much of an image's name a prefix covers, in bytes; `None` if it is about other images. Of
/// several, the longest counts (`refMatchingPrefix` in containers/image).
pub fn covered(prefix: &str, name: &str) -> Option<usize> {
    let end = match prefix.strip_prefix('*') {
        Some(domain) if domain.starts_with('.') => {
            let at = name.find(domain)?;
            // The domain is one of the host, not of a path.
            (!name[..at].contains('/')).then_some(at + domain.len())?
        }
        _ if !prefix.is_empty() && name.starts_with(prefix) => prefix.len(),
        _ => return None,
    };
    // A host without a port stands for all of its ports.
    name[end..].chars().next().is_none_or(|next| matches!(next, ':' | '/' | '@')).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_read_with_lines() {
        let conf = read(
            br#"unqualified-search-registries = ["docker.io"]
[[registry]]
location = "https://u:hush@git.test:5050/"
insecure = true
[[registry.mirror]]
location = "mirror.test"
insecure = true

[[registry]]
prefix = "*.example.test"
location = ""

[registries.insecure]
registries = [
  "old.test",
]
"#,
        )
        .unwrap();
        let [first, second, old] = &conf.registries[..] else { panic!("{conf:?}") };
        assert_eq!((first.prefix.as_str(), &first.location), ("https://git.test:5050", &None));
        assert_eq!(first.insecure, Some(Located::at(4, true)));
        assert_eq!(first.mirrors[0].insecure, Some(Located::at(7, true)));
        assert_eq!((second.prefix.as_str(), &second.insecure), ("*.example.test", &None));
        assert_eq!(
            (old.prefix.as_str(), old.insecure.as_ref().unwrap().line),
            ("old.test", Some(15))
        );
        let json = serde_json::to_string(&conf).unwrap();
        assert!(!json.contains("hush"));
        assert_eq!(serde_json::from_str::<RegistriesConf>(&json).unwrap(), conf);
        assert!(read(b"[[registry]]\ninsecure = \"hush\"\n").is_err());
    }

    #[test]
    fn images_may_come_from_another_place_than_their_name() {
        let text = b"[[registry]]\nprefix = 'docker.io/a'\nlocation = 'u:hush@git.test/a'\n";
        let registry = &read(text).unwrap().registries[0];
        assert_eq!(registry.location.as_deref(), Some("git.test/a"));
    }

    /// All measured with skopeo 1.9.
    #[test]
    fn prefixes_cover_whole_parts_of_names() {
        let covers = |prefix, name| covered(prefix, name).is_some();
        let image = "git.test:5050/group/a";
        for prefix in ["git.test", "git.test:5050", "git.test:5050/group", "*.test"] {
            assert!(covers(prefix, image), "{prefix}");
        }
        for prefix in ["git", "git.test:505", "git.test:5050/gr", "*.git.test", "Git.test", ""] {
            assert!(!covers(prefix, image), "{prefix}");
        }
        assert!(covers("*.example.test", "a.git.example.test/b"));
        assert!(!covers("*.example.test", "git.test/a.example.test"));
        assert!(!covers("git.test:5050", "git.test/group"));
        assert!(covered("git.test:5050", image) > covered("*.test", image));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, prefix: String, name: String) {
            let _ = read(&bytes);
            covered(&prefix, &name);
        }

        #[test]
        fn any_name_is_held_against_a_prefix(prefix in "[*.a/:é]{0,8}", name in "[*.a/:é]{0,12}") {
            covered(&prefix, &name);
        }
    }
}
