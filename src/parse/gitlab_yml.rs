//! Rails' `gitlab.yml`: what GitLab believes about itself and its registry.

use serde::{Deserialize, Serialize};

use super::Malformed;
use super::setting::{Located, Secret, Setting};
use super::yaml::{Dialect, Document, Section};

/// The settings of the section `production`, which GitLab runs with. Others are for developers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GitlabYml {
    /// The line of `production`. Without it GitLab has no settings at all.
    pub production_line: Option<u32>,
    /// `gitlab`.
    pub gitlab: Gitlab,
    /// `registry`.
    pub registry: Registry,
    /// `ee_cron_jobs` and `cron_jobs` whose name begins with `package_metadata`, by name.
    pub package_metadata_jobs: Vec<CronJob>,
}

/// The section `gitlab`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gitlab {
    /// `host`: a name, without scheme.
    pub host: Setting,
    /// `port`.
    pub port: Setting,
    /// `https`.
    pub https: Setting,
    /// `relative_url_root`.
    pub relative_url_root: Setting,
    /// `usage_ping_enabled`.
    pub usage_ping_enabled: Setting,
}

/// The section `registry`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Registry {
    /// The line of the section.
    pub line: Option<u32>,
    /// `enabled`.
    pub enabled: Setting,
    /// `host`: the name in image references.
    pub host: Setting,
    /// `port`: the one in image references.
    pub port: Setting,
    /// `api_url`: where Rails itself reaches the registry, scrubbed.
    pub api_url: Setting,
    /// `key`: the path of the key that signs tokens.
    pub key: Setting,
    /// `path`: the storage.
    pub path: Setting,
    /// `issuer`.
    pub issuer: Setting,
    /// `notification_secret`.
    pub notification_secret: Option<Located<Secret>>,
}

/// A scheduled job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CronJob {
    /// The name, such as `package_metadata_licenses_sync_worker`.
    pub name: String,
    /// `cron`: when it runs.
    pub cron: Setting,
    /// The line.
    pub line: Option<u32>,
}

/// Reads a `gitlab.yml`. Like Rails, it takes the first document, tolerates a byte order mark
/// and CRLF, and of equal keys takes the last.
pub fn read(bytes: &[u8]) -> Result<GitlabYml, Malformed> {
    let document = Document::read(bytes, Dialect::Ruby)?;
    let production = document.root().get("production");
    let gitlab = production.get("gitlab");
    Ok(GitlabYml {
        production_line: production.line(),
        gitlab: Gitlab {
            host: gitlab.url("host"),
            port: gitlab.scalar("port"),
            https: gitlab.scalar("https"),
            relative_url_root: gitlab.scalar("relative_url_root"),
            usage_ping_enabled: gitlab.scalar("usage_ping_enabled"),
        },
        registry: registry(production.get("registry")),
        package_metadata_jobs: ["cron_jobs", "ee_cron_jobs"]
            .into_iter()
            .flat_map(|jobs| package_metadata_jobs(production.get(jobs)))
            .collect(),
    })
}

fn registry(registry: Section<'_>) -> Registry {
    Registry {
        line: registry.line(),
        enabled: registry.scalar("enabled"),
        host: registry.url("host"),
        port: registry.scalar("port"),
        api_url: registry.url("api_url"),
        key: registry.scalar("key"),
        path: registry.scalar("path"),
        issuer: registry.scalar("issuer"),
        notification_secret: registry.secret("notification_secret"),
    }
}

fn package_metadata_jobs(jobs: Section<'_>) -> Vec<CronJob> {
    let ours = jobs.entries().filter(|(name, _)| name.starts_with("package_metadata"));
    let job = |(name, job): (&str, Section<'_>)| CronJob {
        name: name.to_owned(),
        cron: job.scalar("cron"),
        line: job.line(),
    };
    ours.map(job).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::parse::corpus;
    use crate::parse::setting::Scalar;

    fn text(value: &str) -> Scalar {
        Scalar::Text(value.to_owned())
    }

    #[test]
    fn the_package_s_own_file_is_read() {
        let Some(template) = corpus::read("omnibus/gitlab.yml.tmpl") else { return };
        let filled = corpus::fill(
            &template,
            &[
                ("GITLAB_HOST", "gitlab.internal"),
                ("GITLAB_PORT", "443"),
                ("GITLAB_HTTPS", "true"),
                ("USAGE_PING", "false"),
                ("REGISTRY_ENABLED", "true"),
                ("REGISTRY_HOST", "gitlab.internal"),
                ("REGISTRY_PORT", "5050"),
                ("REGISTRY_API_URL", "http://127.0.0.1:5000"),
                ("REGISTRY_ISSUER", "omnibus-gitlab-issuer"),
                ("NOTIFICATION_SECRET", "hush"),
            ],
        );
        let config = read(filled.as_bytes()).unwrap();
        let line = |key: &str| {
            let at = filled.lines().position(|line| line.trim_start().starts_with(key));
            u32::try_from(at.unwrap() + 1).unwrap()
        };
        assert_eq!(config.production_line, Some(line("production:")));
        assert_eq!(config.gitlab.host, Some(Located::at(line("host:"), text("gitlab.internal"))));
        assert_eq!(config.gitlab.port.unwrap().value, Scalar::Integer(443));
        assert_eq!(config.gitlab.https.unwrap().value, Scalar::Bool(true));
        assert_eq!(config.gitlab.relative_url_root, None);
        let usage_ping = config.gitlab.usage_ping_enabled.unwrap();
        assert_eq!(usage_ping, Located::at(line("usage_ping_enabled:"), Scalar::Bool(false)));
        assert_eq!(config.registry.line, Some(line("registry:")));
        let port = config.registry.port.unwrap();
        assert_eq!(port, Located::at(line("registry:") + 3, Scalar::Integer(5050)));
        let api_url = Located::at(line("api_url:"), text("http://127.0.0.1:5000"));
        assert_eq!(config.registry.api_url, Some(api_url));
        assert!(config.registry.notification_secret.unwrap().value.set);
    }

    const SAMPLE: &str = "\
defaults: &defaults
  registry:
    enabled: On
    issuer: a
  gitlab: {host: g.internal, https: yes}
production: &base
  <<: *defaults
  registry: {enabled: 'on', api_url: 'http://u:hush@h?hush', notification_secret: hush, port: }
  ee_cron_jobs:
    package_metadata_licenses_sync_worker:
      cron: '*/5 * * * *'
    other: {cron: hush}
development:
  <<: *base
  gitlab: {host: localhost}
";

    #[test]
    fn anchors_and_types_are_kept() {
        let config = read(SAMPLE.as_bytes()).unwrap();
        assert_eq!(config.gitlab.host, Some(Located::at(5, text("g.internal"))));
        assert_eq!(config.gitlab.https.unwrap().value, Scalar::Bool(true));
        // Written in quotes, so it is text, and Rails takes any text for true.
        assert_eq!(config.registry.enabled, Some(Located::at(8, text("on"))));
        assert_eq!(config.registry.issuer, None);
        assert_eq!(config.registry.port, None);
        let [job] = config.package_metadata_jobs.as_slice() else { panic!() };
        assert_eq!((job.line, job.cron.as_ref().unwrap().line), (Some(10), Some(11)));
    }

    #[test]
    fn no_secret_is_kept() {
        let config = read(SAMPLE.as_bytes()).unwrap();
        let json = serde_json::to_string(&config).unwrap();
        assert!(!format!("{config:?}{json}").contains("hush"), "{json}");
        assert_eq!(serde_json::from_str::<GitlabYml>(&json).unwrap(), config);
    }

    #[test]
    fn a_file_without_production_says_so() {
        assert_eq!(read(b"").unwrap(), GitlabYml::default());
        assert_eq!(read(b"test: {gitlab: {host: a}}").unwrap(), GitlabYml::default());
        assert_eq!(read(b"production:\n\tgitlab:").unwrap_err().line, Some(2));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
            let _ = read(&bytes);
        }

        #[test]
        fn yaml_like_text_is_read_or_refused(
            text in "(production:|registry|gitlab|[-ab:#&*!|>'\"\\[\\]{},\\\\\t ]|: |- |<<: |\n  ){0,60}"
        ) {
            let _ = read(text.as_bytes());
        }
    }
}
