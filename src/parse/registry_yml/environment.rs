//! The environment variables that override `config.yml`.
//!
//! The registry derives their names from the fields of its own structures: `REGISTRY_`, then the
//! field names in upper case with `_` between. Values are parsed as YAML. Less specific names
//! apply first, which is the order of a sorted map.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::storage::{Driver, NOT_DRIVERS};
use super::{RegistryYml, UploadPurging};
use crate::parse::node::Node;
use crate::parse::scrub;
use crate::parse::setting::{Located, Scalar, Secret, Setting};
use crate::parse::yaml::value_of_variable;

/// What the environment changed, by the names of the variables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// Variables whose effect is in the settings.
    pub applied: Vec<String>,
    /// Other variables that begin with `REGISTRY_`. The registry may use them or ignore them
    /// with a warning: Kubernetes adds such names for a service called `registry`.
    pub not_interpreted: Vec<String>,
}

/// Lays the environment over the settings, as the registry does when it starts.
///
/// Covers the scalar settings of [`RegistryYml`], the storage driver with its parameters, and the
/// two secrets. Lists (notification endpoints, health checkers) are not interpreted.
pub fn apply_environment(config: &mut RegistryYml, variables: &BTreeMap<String, String>) {
    for (variable, text) in variables {
        let Some(name) = variable.strip_prefix("REGISTRY_") else { continue };
        let known = apply(config, variable, name, text);
        let environment = &mut config.environment;
        let list = if known { &mut environment.applied } else { &mut environment.not_interpreted };
        list.push(variable.clone());
    }
}

fn apply(config: &mut RegistryYml, variable: &str, name: &str, text: &str) -> bool {
    let value = value_of_variable(text);
    // Not the parsed value: a secret of digits must not become a number on the way to its hash.
    let secret = || Some(Located::from_variable(variable, Secret::of(text)));
    match name {
        "HTTP_SECRET" => config.http.secret = secret(),
        "DATABASE_PASSWORD" => config.database.password = secret(),
        "AUTH" => config.auth.types = named(variable, &value),
        "STORAGE" => replace_drivers(config, variable, &value),
        "STORAGE_MAINTENANCE_READONLY_ENABLED" => readonly_by_its_key(config, variable),
        _ => {
            if let Some(slot) = slot(config, name) {
                *slot = shown(variable, name, &value);
                readonly_as_a_whole(config, variable, name, &value);
            } else {
                return name
                    .strip_prefix("STORAGE_")
                    .is_some_and(|path| apply_to_driver(config, variable, path, &value));
            }
        }
    }
    if name.starts_with("AUTH_TOKEN_") && !has_token(config) {
        config.auth.types.push(Located::from_variable(variable, "token".to_owned()));
    }
    true
}

/// The section in one variable.
fn readonly_as_a_whole(config: &mut RegistryYml, variable: &str, name: &str, value: &Node) {
    if name != "STORAGE_MAINTENANCE_READONLY" {
        return;
    }
    let storage = &mut config.storage;
    storage.readonly_enabled = None;
    if let Node::Mapping(section) = value {
        storage.readonly = Some(Located::from_variable(variable, Scalar::Mapping));
        let enabled = section.entries.get("enabled").and_then(Node::scalar);
        storage.readonly_enabled = enabled.map(|it| Located::from_variable(variable, it));
    }
}

/// Variables do not reach so deep into `storage` (measured with Distribution 2.8.2): what the file
/// says stays as it is, and where it says nothing, an empty section comes of it, with which the
/// registry does not start.
fn readonly_by_its_key(config: &mut RegistryYml, variable: &str) {
    let empty = || Located::from_variable(variable, Scalar::Text(String::new()));
    config.storage.readonly.get_or_insert_with(empty);
}

fn has_token(config: &RegistryYml) -> bool {
    config.auth.types.iter().any(|name| name.value == "token")
}

/// More than any name has; keys in a file are no longer than YAML allows.
const LONGEST_NAME: usize = 100;

fn named(variable: &str, value: &Node) -> Vec<Located<String>> {
    let name = |name: String| {
        let name: String = scrub::value(&name).chars().take(LONGEST_NAME).collect();
        Located::from_variable(variable, name)
    };
    match value {
        Node::Mapping(mapping) => mapping.entries.keys().cloned().map(name).collect(),
        other => other.raw().into_iter().map(name).collect(),
    }
}

fn shown(variable: &str, name: &str, value: &Node) -> Setting {
    let scalar = match (value, name) {
        (Node::Text(text), "AUTH_TOKEN_REALM" | "HTTP_HOST" | "PROXY_REMOTEURL") => {
            Scalar::Text(scrub::url(text))
        }
        _ => value.scalar()?,
    };
    Some(Located::from_variable(variable, scalar))
}

/// The setting that a variable's name, without its prefix, stands for.
fn slot<'a>(config: &'a mut RegistryYml, name: &str) -> Option<&'a mut Setting> {
    let RegistryYml { log, http, auth, health, database, validation, storage, .. } = config;
    Some(match name {
        "VERSION" => &mut config.version,
        "LOG_LEVEL" => &mut log.level,
        "LOG_FORMATTER" => &mut log.formatter,
        "LOG_OUTPUT" => &mut log.output,
        "LOG_ACCESSLOG_DISABLED" => &mut log.accesslog_disabled,
        "LOG_ACCESSLOG_FORMATTER" => &mut log.accesslog_formatter,
        "LOGLEVEL" => &mut log.loglevel,
        "HTTP_ADDR" => &mut http.addr,
        "HTTP_NET" => &mut http.net,
        "HTTP_HOST" => &mut http.host,
        "HTTP_PREFIX" => &mut http.prefix,
        "HTTP_RELATIVEURLS" => &mut http.relativeurls,
        "HTTP_DRAINTIMEOUT" => &mut http.draintimeout,
        "HTTP_TLS_CERTIFICATE" => &mut http.tls_certificate,
        "HTTP_TLS_KEY" => &mut http.tls_key,
        "HTTP_TLS_MINIMUMTLS" => &mut http.tls_minimumtls,
        "HTTP_DEBUG_ADDR" => &mut http.debug_addr,
        "HTTP_DEBUG_PROMETHEUS_ENABLED" => &mut http.debug_prometheus_enabled,
        "HTTP_DEBUG_PROMETHEUS_PATH" => &mut http.debug_prometheus_path,
        "HTTP_DEBUG_PPROF_ENABLED" => &mut http.debug_pprof_enabled,
        "HTTP_DEBUG_TLS_ENABLED" => &mut http.debug_tls_enabled,
        "HTTP_HTTP2_DISABLED" => &mut http.http2_disabled,
        "HTTP_H2C_ENABLED" => &mut http.h2c_enabled,
        "AUTH_TOKEN_REALM" => &mut auth.token_realm,
        "AUTH_TOKEN_SERVICE" => &mut auth.token_service,
        "AUTH_TOKEN_ISSUER" => &mut auth.token_issuer,
        "AUTH_TOKEN_ROOTCERTBUNDLE" => &mut auth.token_rootcertbundle,
        "AUTH_TOKEN_JWKS" => &mut auth.token_jwks,
        "AUTH_TOKEN_AUTOREDIRECT" => &mut auth.token_autoredirect,
        "HEALTH_STORAGEDRIVER_ENABLED" => &mut health.storagedriver_enabled,
        "HEALTH_STORAGEDRIVER_INTERVAL" => &mut health.storagedriver_interval,
        "HEALTH_STORAGEDRIVER_THRESHOLD" => &mut health.storagedriver_threshold,
        "HEALTH_DATABASE_ENABLED" => &mut health.database_enabled,
        "DATABASE_ENABLED" => &mut database.enabled,
        "DATABASE_HOST" => &mut database.host,
        "DATABASE_PORT" => &mut database.port,
        "DATABASE_DBNAME" => &mut database.dbname,
        "DATABASE_SSLMODE" => &mut database.sslmode,
        "VALIDATION_ENABLED" => &mut validation.enabled,
        "VALIDATION_DISABLED" => &mut validation.disabled,
        "VALIDATION_MANIFESTS_REFERENCELIMIT" => &mut validation.referencelimit,
        "VALIDATION_MANIFESTS_PAYLOADSIZELIMIT" => &mut validation.payloadsizelimit,
        "COMPATIBILITY_SCHEMA1_ENABLED" => &mut config.compatibility_schema1_enabled,
        "GC_DISABLED" => &mut config.gc_disabled,
        "PROXY_REMOTEURL" => &mut config.proxy_remoteurl,
        "STORAGE_DELETE_ENABLED" => &mut storage.delete_enabled,
        "STORAGE_REDIRECT_DISABLE" => &mut storage.redirect_disable,
        "STORAGE_CACHE_BLOBDESCRIPTOR" => &mut storage.cache_blobdescriptor,
        "STORAGE_MAINTENANCE_READONLY" => &mut storage.readonly,
        _ => {
            let name = name.strip_prefix("STORAGE_MAINTENANCE_UPLOADPURGING_")?;
            let purging = storage.uploadpurging.get_or_insert_with(UploadPurging::default);
            purging.is_mapping = true;
            match name {
                "ENABLED" => &mut purging.enabled,
                "AGE" => &mut purging.age,
                "INTERVAL" => &mut purging.interval,
                "DRYRUN" => &mut purging.dryrun,
                _ => return None,
            }
        }
    })
}

/// `REGISTRY_STORAGE=filesystem` replaces the section's drivers.
fn replace_drivers(config: &mut RegistryYml, variable: &str, value: &Node) {
    let driver = |name: Located<String>| Driver {
        name: name.value,
        variable: name.variable,
        ..Driver::default()
    };
    config.storage.drivers = named(variable, value).into_iter().map(driver).collect();
}

/// `S3` names a driver and `S3_BUCKET` its parameter. A name is split at every underscore, so
/// drivers and parameters whose names hold one are out of reach.
fn apply_to_driver(config: &mut RegistryYml, variable: &str, path: &str, value: &Node) -> bool {
    let path = path.to_ascii_lowercase();
    let mut parts = path.split('_');
    let (name, parameter) = (parts.next().unwrap_or_default(), parts.next());
    if name.is_empty() || NOT_DRIVERS.contains(&name) || parts.next().is_some() {
        return false;
    }
    let drivers = &mut config.storage.drivers;
    let place = drivers.iter().position(|driver| driver.name == name).unwrap_or_else(|| {
        let variable = Some(variable.to_owned());
        drivers.push(Driver { name: name.to_owned(), variable, ..Driver::default() });
        drivers.len() - 1
    });
    let mut set = |key: &str, value: &Node| {
        let value = value.scalar().map(|value| Located::from_variable(variable, value));
        drivers[place].set(key, Located::from_variable(variable, ()), value);
    };
    match (parameter, value) {
        (Some(parameter), value) => set(parameter, value),
        (None, Node::Mapping(mapping)) => {
            for (key, value) in &mapping.entries {
                set(key, value);
            }
        }
        (None, _) => {}
    }
    true
}
