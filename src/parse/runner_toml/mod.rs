//! The runner's `config.toml`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::setting::Located;
use super::toml_tree::{Table, Toml};
use super::{Malformed, scrub};
pub use keys::UnknownKey;

mod keys;
#[cfg(test)]
mod tests;

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunnerToml {
    /// `concurrent`. The runner refuses 0.
    pub concurrent: Option<Located<i64>>,
    /// `check_interval`, in seconds.
    pub check_interval: Option<Located<i64>>,
    /// `shutdown_timeout`, in seconds.
    pub shutdown_timeout: Option<Located<i64>>,
    /// `log_level`.
    pub log_level: Option<Located<String>>,
    /// `log_format`.
    pub log_format: Option<Located<String>>,
    /// `listen_address`.
    pub listen_address: Option<Located<String>>,
    /// Whether `sentry_dsn` is set: errors are then reported to that address.
    pub sentry_dsn_set: bool,
    /// `session_server.advertise_address`, which GitLab has to reach.
    pub session_server_advertise_address: Option<Located<String>>,
    /// `[[runners]]`, in the order of the file.
    pub runners: Vec<Runner>,
    /// Keys that the runner ignores without a word.
    pub unknown_keys: Vec<UnknownKey>,
}

/// A `[[runners]]` table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Runner {
    /// The line it starts on.
    pub line: Option<u32>,
    /// `name`.
    pub name: Option<Located<String>>,
    /// `url`, scrubbed.
    pub url: Option<Located<String>>,
    /// `clone_url`, scrubbed.
    pub clone_url: Option<Located<String>>,
    /// `executor`.
    pub executor: Option<Located<String>>,
    /// `shell`.
    pub shell: Option<Located<String>>,
    /// `limit`.
    pub limit: Option<Located<i64>>,
    /// `request_concurrency`.
    pub request_concurrency: Option<Located<i64>>,
    /// `token`.
    pub token: Option<Located<Token>>,
    /// `tls-ca-file`.
    pub tls_ca_file: Option<Located<String>>,
    /// `tls-cert-file`.
    pub tls_cert_file: Option<Located<String>>,
    /// `tls-key-file`: the path.
    pub tls_key_file: Option<Located<String>>,
    /// `environment`.
    pub environment: Vec<Variable>,
    /// `feature_flags`.
    pub feature_flags: BTreeMap<String, bool>,
    /// `docker`.
    pub docker: Option<Docker>,
    /// `cache`.
    pub cache: Option<Cache>,
}

/// What may be known of a runner's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Token {
    /// The text is empty.
    Unset,
    /// `glrt-`: of a runner that was created in GitLab.
    Created,
    /// `glrtr-`, or `t1_` and the like: of a runner that registered itself, in new versions.
    Registered,
    /// 20 characters without prefix: of a runner that registered itself, in old versions.
    RegisteredOld,
    /// `GR1348941`: a registration token, which does not belong here.
    Registration,
    /// Anything else.
    Other,
}

/// A variable that every job gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// The name.
    pub name: String,
    /// The value of `GIT_SSL_NO_VERIFY` and of proxies, scrubbed. Of others only the name is kept.
    pub value: Option<String>,
    /// The line.
    pub line: Option<u32>,
}

/// A `[runners.docker]` table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Docker {
    /// The line it starts on.
    pub line: Option<u32>,
    /// `image`.
    pub image: Option<Located<String>>,
    /// `helper_image`.
    pub helper_image: Option<Located<String>>,
    /// `helper_image_flavor`.
    pub helper_image_flavor: Option<Located<String>>,
    /// `privileged`.
    pub privileged: Option<Located<bool>>,
    /// `services_privileged`.
    pub services_privileged: Option<Located<bool>>,
    /// `disable_cache`.
    pub disable_cache: Option<Located<bool>>,
    /// `volumes`.
    pub volumes: Vec<Located<String>>,
    /// `pull_policy`, a string or a list. None: `always`.
    pub pull_policy: Vec<Located<String>>,
    /// `allowed_pull_policies`. None: what `pull_policy` says.
    pub allowed_pull_policies: Vec<Located<String>>,
    /// `allowed_images`.
    pub allowed_images: Vec<Located<String>>,
    /// `extra_hosts`.
    pub extra_hosts: Vec<Located<String>>,
    /// `network_mode`.
    pub network_mode: Option<Located<String>>,
    /// `host`: the daemon's address, scrubbed.
    pub host: Option<Located<String>>,
    /// `tls_verify`.
    pub tls_verify: Option<Located<bool>>,
    /// `tls_cert_path`.
    pub tls_cert_path: Option<Located<String>>,
    /// `dns`.
    pub dns: Vec<Located<String>>,
    /// The `name` of each of `services`, an image.
    pub services: Vec<Located<String>>,
}

/// A `[runners.cache]` table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cache {
    /// `Type`.
    pub kind: Option<Located<String>>,
    /// `s3.ServerAddress`, scrubbed.
    pub server_address: Option<Located<String>>,
    /// `s3.Insecure`.
    pub insecure: Option<Located<bool>>,
}

/// Reads a `config.toml`. A value of a type that the runner refuses makes the file malformed.
pub fn read(bytes: &[u8]) -> Result<RunnerToml, Malformed> {
    let toml = Toml::read(bytes)?;
    let root = toml.root();
    let session_server = root.table("session_server")?;
    let mut unknown_keys = keys::unknown(root, &keys::GLOBAL);
    let mut runners = Vec::new();
    for table in root.tables("runners")? {
        let docker = table.table("docker")?;
        if unknown_keys.len() < keys::MOST {
            unknown_keys.extend(keys::unknown(table, &keys::RUNNER));
            unknown_keys
                .extend(docker.into_iter().flat_map(|docker| keys::unknown(docker, &keys::DOCKER)));
        }
        runners.push(runner(table)?);
    }
    Ok(RunnerToml {
        concurrent: root.integer("concurrent")?,
        check_interval: root.integer("check_interval")?,
        shutdown_timeout: root.integer("shutdown_timeout")?,
        log_level: shown(root, "log_level")?,
        log_format: shown(root, "log_format")?,
        listen_address: shown(root, "listen_address")?,
        sentry_dsn_set: root.text("sentry_dsn")?.is_some_and(|dsn| !dsn.value.is_empty()),
        session_server_advertise_address: match session_server {
            Some(table) => address(table, "advertise_address")?,
            None => None,
        },
        runners,
        unknown_keys,
    })
}

fn runner(table: Table<'_>) -> Result<Runner, Malformed> {
    let token = table.text("token")?;
    let docker = table.table("docker")?;
    let cache = table.table("cache")?;
    Ok(Runner {
        line: table.line(),
        name: shown(table, "name")?,
        url: address(table, "url")?,
        clone_url: address(table, "clone_url")?,
        executor: shown(table, "executor")?,
        shell: shown(table, "shell")?,
        limit: table.integer("limit")?,
        request_concurrency: table.integer("request_concurrency")?,
        token: token.map(|token| Located::at(token.line, Token::of(&token.value))),
        tls_ca_file: shown(table, "tls-ca-file")?,
        tls_cert_file: shown(table, "tls-cert-file")?,
        tls_key_file: shown(table, "tls-key-file")?,
        environment: table.texts("environment")?.iter().map(variable).collect(),
        feature_flags: feature_flags(table)?,
        docker: docker.map(self::docker).transpose()?,
        cache: cache.map(self::cache).transpose()?,
    })
}

impl Token {
    fn of(token: &str) -> Self {
        let partitioned = |token: &str| {
            let rest = token.strip_prefix('t').unwrap_or_default();
            rest.split_once('_').is_some_and(|(digits, _)| {
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
            })
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        match token {
            "" => Self::Unset,
            _ if token.starts_with("glrtr-") || partitioned(token) => Self::Registered,
            _ if token.starts_with("glrt-") => Self::Created,
            _ if token.starts_with("GR1348941") => Self::Registration,
            _ if token.len() == 20 && token.bytes().all(plain) => Self::RegisteredOld,
            _ => Self::Other,
        }
    }
}

fn variable(entry: &Located<String>) -> Variable {
    let (name, value) = entry.value.split_once('=').unwrap_or((&entry.value, ""));
    let lower = name.to_ascii_lowercase();
    let value = match lower.as_str() {
        // Git takes anything but a few words for true, so only those and the usual ones are shown.
        "git_ssl_no_verify" => Some(value).filter(|value| value.len() <= 5).map(str::to_owned),
        "http_proxy" | "https_proxy" | "no_proxy" | "all_proxy" | "ftp_proxy" => {
            Some(scrub::url_list(value))
        }
        _ => None,
    };
    // What is not a name may be a value in the wrong place.
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let named = is_name && entry.value.contains('=');
    let name = if named { name } else { "(no name)" };
    Variable { name: name.to_owned(), value: value.filter(|_| named), line: entry.line }
}

fn feature_flags(table: Table<'_>) -> Result<BTreeMap<String, bool>, Malformed> {
    let Some(flags) = table.table("feature_flags")? else { return Ok(BTreeMap::new()) };
    let flags = flags.entries().filter_map(|flag| Some((flag.key.to_owned(), flag.boolean()?)));
    Ok(flags.collect())
}

fn docker(table: Table<'_>) -> Result<Docker, Malformed> {
    let mut services = Vec::new();
    for service in table.tables("services")? {
        services.extend(shown(service, "name")?);
    }
    Ok(Docker {
        line: table.line(),
        image: address(table, "image")?,
        helper_image: address(table, "helper_image")?,
        helper_image_flavor: shown(table, "helper_image_flavor")?,
        privileged: table.boolean("privileged")?,
        services_privileged: table.boolean("services_privileged")?,
        disable_cache: table.boolean("disable_cache")?,
        volumes: list(table.texts("volumes")?),
        pull_policy: list(table.text_or_texts("pull_policy")?),
        allowed_pull_policies: list(table.texts("allowed_pull_policies")?),
        allowed_images: list(table.texts("allowed_images")?),
        extra_hosts: list(table.texts("extra_hosts")?),
        network_mode: shown(table, "network_mode")?,
        host: address(table, "host")?,
        tls_verify: table.boolean("tls_verify")?,
        tls_cert_path: shown(table, "tls_cert_path")?,
        dns: list(table.texts("dns")?),
        services,
    })
}

fn cache(table: Table<'_>) -> Result<Cache, Malformed> {
    let kind = shown(table, "Type")?;
    let Some(s3) = table.table("s3")? else { return Ok(Cache { kind, ..Cache::default() }) };
    let (server_address, insecure) = (address(s3, "ServerAddress")?, s3.boolean("Insecure")?);
    Ok(Cache { kind, server_address, insecure })
}

/// A text that holds no secret, scrubbed all the same.
fn shown(table: Table<'_>, name: &str) -> Result<Option<Located<String>>, Malformed> {
    let text = table.text(name)?;
    Ok(text.map(|text| Located { value: scrub::value(&text.value), ..text }))
}

/// An address without user name, password and query. An image has its digest after an at sign.
fn address(table: Table<'_>, name: &str) -> Result<Option<Located<String>>, Malformed> {
    let text = table.text(name)?;
    let scrubbed = |text: &str| {
        let image = text.split_once("@sha256:").filter(|(name, _)| !name.contains('@'));
        if image.is_some() { text.to_owned() } else { scrub::url(text) }
    };
    Ok(text.map(|text| Located { value: scrubbed(&text.value), ..text }))
}

fn list(texts: Vec<Located<String>>) -> Vec<Located<String>> {
    texts.into_iter().map(|text| Located { value: scrub::value(&text.value), ..text }).collect()
}
