//! The section `storage`: one driver, and what goes with every driver.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::keys::MOST;
use crate::parse::scrub;
use crate::parse::setting::{Located, Scalar, Setting};
use crate::parse::yaml::Section;

/// The section `storage`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Storage {
    /// The line of the section, if there is one.
    pub line: Option<u32>,
    /// Sections below that hold a scalar or a list where the registry needs a mapping, by name: a
    /// driver, `redirect`, or `maintenance.readonly` with nothing in it. It refuses to start.
    pub not_mappings: Vec<Located<String>>,
    /// `tag`, which only Distribution 3 does not take for a driver.
    pub tag: Setting,
    /// Every driver that is named. The registry refuses to start unless it is exactly one.
    pub drivers: Vec<Driver>,
    /// `storage.delete.enabled`.
    pub delete_enabled: Setting,
    /// `storage.redirect.disable`.
    pub redirect_disable: Setting,
    /// `storage.cache.blobdescriptor`.
    pub cache_blobdescriptor: Setting,
    /// `storage.maintenance.readonly`, which has to be a mapping.
    pub readonly: Setting,
    /// `storage.maintenance.readonly.enabled`, which has to be a boolean.
    pub readonly_enabled: Setting,
    /// `storage.maintenance.uploadpurging`. Where it is given it replaces the defaults whole.
    pub uploadpurging: Option<UploadPurging>,
}

/// The section `storage.maintenance.uploadpurging`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UploadPurging {
    /// The line of the section.
    pub line: Option<u32>,
    /// The environment variable that supplied it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
    /// Whether a mapping stands there. The registry refuses anything else, even nothing.
    pub is_mapping: bool,
    /// `enabled`.
    pub enabled: Setting,
    /// `age`.
    pub age: Setting,
    /// `interval`.
    pub interval: Setting,
    /// `dryrun`.
    pub dryrun: Setting,
}

/// A storage driver and its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Driver {
    /// `filesystem`, `s3`, `s3_v2`, `gcs`, `azure`, or what else is written there.
    pub name: String,
    /// The line.
    pub line: Option<u32>,
    /// The environment variable that named it.
    pub variable: Option<String>,
    /// The parameters that are not secret, by name.
    pub parameters: BTreeMap<String, Located<Scalar>>,
    /// The names of the parameters that are secret, or not known to be harmless, and set.
    pub hidden: Vec<Located<String>>,
}

/// What stands beside the driver. `tag` is of Distribution 3.
pub(crate) const NOT_DRIVERS: [&str; 5] = ["cache", "delete", "maintenance", "redirect", "tag"];

/// Parameters of the drivers that hold no secret, of all drivers together: no name means one
/// thing in one driver and a secret in another.
const HARMLESS: [&str; 44] = [
    "accelerate",
    "bucket",
    "checksum_algorithm",
    "checksum_disabled",
    "chunksize",
    "container",
    "credentials_type",
    "encrypt",
    "forcepathstyle",
    "keyfile",
    "keyid",
    "legacyrootprefix",
    "loglevel",
    "max_retries",
    "maxconcurrency",
    "maxrequestspersecond",
    "maxretries",
    "maxthreads",
    "multipartcopychunksize",
    "multipartcopymaxconcurrency",
    "multipartcopythresholdsize",
    "objectacl",
    "objectownership",
    "parallelwalk",
    "pathstyle",
    "realm",
    "region",
    "regionendpoint",
    "retry_delay",
    "rootdirectory",
    "secure",
    "serviceurl",
    "skipverify",
    "storageclass",
    "trimlegacyrootprefix",
    "usedualstack",
    "usefipsendpoint",
    "useragent",
    "v4auth",
    "endpoint",
    "internal",
    "authurl",
    "insecureskipverify",
    "tenantdomain",
];

pub(super) fn storage(section: Section<'_>) -> Storage {
    let maintenance = section.get("maintenance");
    let readonly = maintenance.get("readonly");
    let purging = maintenance.get("uploadpurging");
    Storage {
        line: section.line(),
        not_mappings: not_mappings(section),
        tag: section.scalar("tag"),
        drivers: drivers(section),
        delete_enabled: section.get("delete").scalar("enabled"),
        redirect_disable: section.get("redirect").scalar("disable"),
        cache_blobdescriptor: section.get("cache").scalar("blobdescriptor"),
        readonly: readonly.setting(),
        readonly_enabled: readonly.scalar("enabled"),
        uploadpurging: is_named(maintenance, "uploadpurging").then(|| uploadpurging(purging)),
    }
}

fn uploadpurging(section: Section<'_>) -> UploadPurging {
    let Located { line, variable, value: () } = section.located(());
    UploadPurging {
        line,
        variable,
        is_mapping: section.is_mapping(),
        enabled: section.scalar("enabled"),
        age: section.scalar("age"),
        interval: section.scalar("interval"),
        dryrun: section.scalar("dryrun"),
    }
}

fn not_mappings(section: Section<'_>) -> Vec<Located<String>> {
    let is_mapping = |value: Section<'_>| {
        value.is_null() || value.setting().is_none_or(|it| it.value == Scalar::Mapping)
    };
    let wrong = section.entries().filter(|(_, value)| !is_mapping(*value)).take(MOST);
    let mut wrong: Vec<_> = wrong.map(|(name, value)| value.located(scrub::value(name))).collect();
    // Another key with nothing behind it is an empty mapping.
    let maintenance = section.get("maintenance");
    let mut maintenance = maintenance.entries();
    if let Some((name, value)) =
        maintenance.find(|(name, value)| *name == "readonly" && value.is_null())
    {
        wrong.push(value.located(format!("maintenance.{name}")));
    }
    wrong
}

fn is_named(section: Section<'_>, key: &str) -> bool {
    section.entries().any(|(name, _)| name == key)
}

fn drivers(section: Section<'_>) -> Vec<Driver> {
    let name = |name: &Located<String>| Driver {
        name: name.value.clone(),
        line: name.line,
        variable: name.variable.clone(),
        ..Driver::default()
    };
    let mut drivers: Vec<Driver> = section.choices().iter().map(name).collect();
    drivers.retain(|driver| !NOT_DRIVERS.contains(&driver.name.as_str()));
    drivers.truncate(MOST);
    for driver in &mut drivers {
        for (key, value) in section.get(&driver.name).entries() {
            driver.set(key, value.located(()), value.setting());
        }
    }
    drivers
}

impl UploadPurging {
    /// The first variable that supplies any of it.
    pub fn variable(&self) -> Option<String> {
        let settings = [&self.enabled, &self.age, &self.interval, &self.dryrun];
        let of_one = settings.into_iter().flatten().find_map(|it| it.variable.clone());
        self.variable.clone().or(of_one)
    }
}

impl Driver {
    /// Something with the place of the driver.
    pub fn located<T>(&self, value: T) -> Located<T> {
        Located { value, line: self.line, variable: self.variable.clone() }
    }

    /// The place of a parameter, whether its value may be shown or not.
    pub fn place(&self, parameter: &str) -> Option<Located<()>> {
        let place = |line, variable: &Option<String>| Located {
            value: (),
            line,
            variable: variable.clone(),
        };
        if let Some(shown) = self.parameters.get(parameter) {
            return Some(place(shown.line, &shown.variable));
        }
        let hidden = self.hidden.iter().find(|it| it.value == parameter)?;
        Some(place(hidden.line, &hidden.variable))
    }

    /// Notes a parameter: with its value if it is harmless, by its name otherwise.
    pub(super) fn set(&mut self, key: &str, place: Located<()>, value: Setting) {
        if value.is_some() {
            self.note(key, place, value);
        }
    }

    /// The same for a parameter that is there although its value may not be known.
    pub(crate) fn note(&mut self, key: &str, place: Located<()>, value: Setting) {
        if let Some(value) = value.filter(|_| HARMLESS.contains(&key)) {
            self.parameters.insert(key.to_owned(), value);
            return;
        }
        self.hidden.retain(|hidden| hidden.value != key);
        let Located { line, variable, value: () } = place;
        self.hidden.push(Located { value: key.to_owned(), line, variable });
    }

    /// A parameter that may be shown.
    pub fn get(&self, name: &str) -> Option<&Located<Scalar>> {
        self.parameters.get(name)
    }

    /// A parameter that may be shown, as text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|it| it.value.to_string())
    }

    /// Whether a parameter is set, and not to an empty text.
    pub fn has(&self, name: &str) -> bool {
        match self.get(name) {
            Some(shown) => shown.value != Scalar::Text(String::new()),
            None => self.hidden.iter().any(|hidden| hidden.value == name),
        }
    }
}
