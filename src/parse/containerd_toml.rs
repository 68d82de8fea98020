//! containerd's `config.toml`: where its CRI plugin looks for the settings of registries.

use serde::{Deserialize, Serialize};

use super::setting::Located;
use super::toml_tree::{Table, Toml};
use super::{Malformed, scrub};

/// What the file says of registries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerdToml {
    /// `config_path`: a list of folders with colons in between; empty where none is set.
    pub config_path: Option<Located<String>>,
    /// Registries, as `host[:port]`, whose certificates are not verified by the old setting
    /// `registry.configs.NAME.tls.insecure_skip_verify`, which counts only without `config_path`.
    pub skips: Vec<Located<String>>,
    /// Other files that are read as well, as written.
    pub imports: Vec<Located<String>>,
    /// Whether the CRI plugin is switched off.
    pub cri_disabled: bool,
}

/// The names of the plugin that pulls images for Kubernetes, by version of the format, latest
/// first.
const PLUGINS: [&str; 3] = ["io.containerd.cri.v1.images", "io.containerd.grpc.v1.cri", "cri"];

/// Reads the file.
pub fn read(bytes: &[u8]) -> Result<ContainerdToml, Malformed> {
    let toml = Toml::read(bytes)?;
    let root = toml.root();
    let disabled = root.texts("disabled_plugins")?;
    let mut found = ContainerdToml {
        imports: root.texts("imports")?,
        cri_disabled: disabled.iter().any(|it| PLUGINS.contains(&it.value.as_str())),
        ..ContainerdToml::default()
    };
    let plugins = root.table("plugins")?;
    for name in PLUGINS {
        let Some(plugins) = plugins else { break };
        let Some(plugin) = plugins.table(name)? else { continue };
        let Some(registry) = plugin.table("registry")? else { continue };
        let path = registry.text("config_path")?.filter(|path| !path.value.is_empty());
        found.config_path = found.config_path.or(path);
        found.skips.extend(skips(registry)?);
    }
    Ok(found)
}

fn skips(registry: Table<'_>) -> Result<Vec<Located<String>>, Malformed> {
    let mut found = Vec::new();
    let Some(configs) = registry.table("configs")? else { return Ok(found) };
    for entry in configs.entries() {
        let Some(tls) = entry.table("configs")?.table("tls")? else { continue };
        let skip = tls.boolean("insecure_skip_verify")?;
        if let Some(skip) = skip.filter(|skip| skip.value) {
            found.push(Located::at(skip.line, scrub::url(entry.key)));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_names_its_folders() {
        for plugin in [
            "plugins.cri",
            "plugins.'io.containerd.grpc.v1.cri'",
            "plugins.'io.containerd.cri.v1.images'",
        ] {
            let text = format!("version = 2\n[{plugin}.registry]\nconfig_path = '/a:/b'\n");
            let read = read(text.as_bytes()).unwrap();
            assert_eq!(read.config_path, Some(Located::at(3, "/a:/b".to_owned())), "{plugin}");
        }
        assert_eq!(read(b"").unwrap(), ContainerdToml::default());
        let other = b"[plugins.other.registry]\nconfig_path = '/a'\n# config_path = '/b'\n";
        assert_eq!(read(other).unwrap().config_path, None);
    }

    #[test]
    fn the_old_setting_is_read_without_its_secrets() {
        let read = read(
            br#"imports = ["/etc/containerd/conf.d/*.toml"]
disabled_plugins = ["cri"]
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = ""
[plugins."io.containerd.grpc.v1.cri".registry.configs."git.test:5050".tls]
  insecure_skip_verify = true
[plugins."io.containerd.grpc.v1.cri".registry.configs."git.test:5050".auth]
  password = "hush"
[plugins."io.containerd.grpc.v1.cri".registry.configs."other.test".tls]
  insecure_skip_verify = false
"#,
        )
        .unwrap();
        assert_eq!(read.skips, [Located::at(6, "git.test:5050".to_owned())]);
        assert!(read.cri_disabled && read.config_path.is_none());
        assert_eq!(read.imports[0].line, Some(1));
        assert!(!serde_json::to_string(&read).unwrap().contains("hush"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
