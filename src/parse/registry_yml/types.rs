//! Values of a type that the registry does not read: it then refuses the whole file and does not
//! start (`yaml: unmarshal errors`).
//!
//! The table holds what Distribution 2 declares and GitLab's registry has kept, tried with the
//! former. Below `storage` and `auth` only the sections are declared; what stands in them is taken
//! as it is.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::parse::go_duration;
use crate::parse::setting::{Located, Scalar};
use crate::parse::yaml::Section;

/// A value of the wrong type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mistyped {
    /// The key, as a dotted path.
    pub key: Located<String>,
    /// What the registry wants there.
    pub wanted: Wanted,
    /// What stands there.
    pub found: Found,
}

/// The type of a value. The value itself might be a secret in the wrong place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// `true` or `false`.
    Flag,
    /// Any number.
    Number,
    /// Text, in quotes or not.
    Text,
    /// A list.
    List,
    /// A mapping.
    Mapping,
}

/// A type that the registry wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// `true` or `false`, not in quotes.
    Flag,
    /// A number, not in quotes.
    Number,
    /// A number with a unit, such as `10s`, or nanoseconds.
    Duration,
    /// Any scalar.
    Text,
    /// A list of scalars.
    Texts,
    /// A mapping.
    Section,
    /// A list of mappings.
    Sections,
    /// A mapping with a list under each name.
    Headers,
}

use Wanted::{Duration, Flag, Headers, Number, Sections, Text, Texts};

/// Every declared setting but those of `notifications`.
const DECLARED: [(&str, Wanted); 61] = [
    ("log", Wanted::Section),
    ("log.formatter", Text),
    ("log.accesslog", Wanted::Section),
    ("log.accesslog.disabled", Flag),
    ("log.fields", Wanted::Section),
    ("log.hooks", Sections),
    ("http", Wanted::Section),
    ("http.addr", Text),
    ("http.net", Text),
    ("http.host", Text),
    ("http.prefix", Text),
    ("http.secret", Text),
    ("http.relativeurls", Flag),
    ("http.draintimeout", Duration),
    ("http.tls", Wanted::Section),
    ("http.tls.certificate", Text),
    ("http.tls.key", Text),
    ("http.tls.clientcas", Texts),
    ("http.tls.minimumtls", Text),
    ("http.tls.ciphersuites", Texts),
    ("http.tls.letsencrypt", Wanted::Section),
    ("http.headers", Headers),
    ("http.debug", Wanted::Section),
    ("http.debug.addr", Text),
    ("http.debug.prometheus", Wanted::Section),
    ("http.debug.prometheus.enabled", Flag),
    ("http.debug.prometheus.path", Text),
    ("http.http2", Wanted::Section),
    ("http.http2.disabled", Flag),
    ("storage.delete", Wanted::Section),
    ("storage.cache", Wanted::Section),
    ("storage.redirect", Wanted::Section),
    ("storage.maintenance", Wanted::Section),
    ("auth.token", Wanted::Section),
    ("health", Wanted::Section),
    ("health.storagedriver", Wanted::Section),
    ("health.storagedriver.enabled", Flag),
    ("health.storagedriver.interval", Duration),
    ("health.storagedriver.threshold", Number),
    ("health.file", Sections),
    ("health.http", Sections),
    ("health.tcp", Sections),
    ("redis", Wanted::Section),
    ("catalog", Wanted::Section),
    ("catalog.maxentries", Number),
    ("proxy", Wanted::Section),
    ("proxy.remoteurl", Text),
    ("compatibility", Wanted::Section),
    ("compatibility.schema1", Wanted::Section),
    ("compatibility.schema1.enabled", Flag),
    ("validation", Wanted::Section),
    ("validation.enabled", Flag),
    ("validation.disabled", Flag),
    ("validation.manifests", Wanted::Section),
    ("validation.manifests.urls", Wanted::Section),
    ("validation.manifests.urls.allow", Texts),
    ("validation.manifests.urls.deny", Texts),
    ("policy", Wanted::Section),
    ("policy.repository", Wanted::Section),
    ("policy.repository.classes", Texts),
    ("middleware", Wanted::Section),
];

/// The values that the registry stumbles over, in the order of the table.
pub(super) fn mistyped(root: Section<'_>) -> Vec<Mistyped> {
    let mut found = Vec::new();
    for (path, wanted) in DECLARED {
        let section = path.split('.').fold(root, |section, key| section.get(key));
        if wanted == Headers && section.is_mapping() {
            for (name, values) in section.entries() {
                found.extend(judge(&format!("{path}.{name}"), values, Texts));
            }
        } else {
            found.extend(judge(path, section, wanted));
        }
    }
    found
}

fn judge(path: &str, section: Section<'_>, wanted: Wanted) -> Option<Mistyped> {
    let value = section.setting()?.value;
    let fits = match (wanted, &value) {
        (Flag, Scalar::Bool(_))
        | (Number | Duration, Scalar::Integer(_) | Scalar::Number(_))
        | (Wanted::Section | Headers, Scalar::Mapping) => true,
        (Duration, Scalar::Text(text)) => go_duration::nanoseconds(text).is_some(),
        (Text, value) => !matches!(value, Scalar::List | Scalar::Mapping),
        (Texts, Scalar::List) => section.elements().all(|element| {
            element.setting().is_none_or(|it| !matches!(it.value, Scalar::List | Scalar::Mapping))
        }),
        (Sections, Scalar::List) => {
            section.elements().all(|element| element.is_null() || element.is_mapping())
        }
        _ => false,
    };
    let key = section.located(path.to_owned());
    (!fits).then(|| Mistyped { key, wanted, found: Found::from(&value) })
}

impl From<&Scalar> for Found {
    fn from(value: &Scalar) -> Self {
        match value {
            Scalar::Bool(_) => Self::Flag,
            Scalar::Integer(_) | Scalar::Number(_) => Self::Number,
            Scalar::Text(_) => Self::Text,
            Scalar::List => Self::List,
            Scalar::Mapping => Self::Mapping,
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "true or false",
            Self::Number => "a number",
            Self::Text => "text",
            Self::List => "a list",
            Self::Mapping => "a mapping",
        })
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flag => "true or false without quotes",
            Number => "a number without quotes",
            Duration => "a duration with a unit, such as 10s",
            Text => "a single value",
            Texts => "a list, such as [a, b]",
            Self::Section => "a mapping",
            Sections => "a list of mappings",
            Headers => "a mapping from names to lists",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;

    /// What docker-registry 2.8.2 refuses with `yaml: unmarshal errors`, and what it takes.
    #[test]
    fn types_are_judged_as_the_registry_does() {
        let wrong = |text: &str| -> Vec<String> {
            let mistyped = read(text.as_bytes()).unwrap().mistyped;
            mistyped.into_iter().map(|it| it.key.value).collect()
        };
        for (text, key) in [
            ("http: {headers: {X-A: nosniff}}", "http.headers.X-A"),
            ("http: {headers: [a]}", "http.headers"),
            ("http: {relativeurls: 'true'}", "http.relativeurls"),
            ("http: {draintimeout: ten}", "http.draintimeout"),
            ("http: {draintimeout: '10'}", "http.draintimeout"),
            ("http: {debug: 'localhost:5001'}", "http.debug"),
            ("http: {debug: {prometheus: true}}", "http.debug.prometheus"),
            ("health: true", "health"),
            ("health: {storagedriver: true}", "health.storagedriver"),
            ("health: {storagedriver: {interval: ten}}", "health.storagedriver.interval"),
            ("health: {storagedriver: {threshold: '3'}}", "health.storagedriver.threshold"),
            ("health: {storagedriver: {enabled: 'true'}}", "health.storagedriver.enabled"),
            ("health: {file: {file: /x}}", "health.file"),
            ("compatibility: {schema1: {enabled: 'true'}}", "compatibility.schema1.enabled"),
            ("validation: true", "validation"),
            ("storage: {filesystem: {}, delete: true}", "storage.delete"),
            ("storage: {filesystem: {}, cache: inmemory}", "storage.cache"),
            ("redis: '127.0.0.1:6379'", "redis"),
            ("catalog: {maxentries: abc}", "catalog.maxentries"),
            ("policy: {repository: {classes: image}}", "policy.repository.classes"),
            ("log: {fields: a}", "log.fields"),
            ("log: {hooks: a}", "log.hooks"),
            ("log: {accesslog: {disabled: 'yes'}}", "log.accesslog.disabled"),
        ] {
            assert_eq!(wrong(text), [key], "{text}");
        }
        for right in [
            "http: {addr: 5000, secret: 12, draintimeout: 10, headers: {A: [b], C: }}",
            "health: {storagedriver: {enabled: yes, interval: 10, threshold: 3}, file: }",
            "http: {relativeurls: on, debug: , tls: {clientcas: [/a]}}",
            "storage: filesystem",
            "auth: {token: {issuer: 5}}",
        ] {
            assert_eq!(wrong(right), [""; 0], "{right}");
        }
    }
}
