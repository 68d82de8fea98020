//! How the registry's storage is set: in its own configuration, or, before the first reconfigure,
//! as `gitlab.rb` would set it.

use camino::Utf8PathBuf;

use super::gitlab::found;
use super::registry::{Config, config, written_storage};
use super::{GITLAB_RB, Settings, Source, Sourced, gitlab, settings, spelled};
use crate::host::files::FileFacts;
use crate::host::version::RegistryVersion;
use crate::host::{Host, Unknown};
use crate::parse::gitlab_rb::Setting as RubySetting;
use crate::parse::registry_yml::{Driver, NOT_DRIVERS, Storage};
use crate::parse::setting::{Located, Scalar, Setting};
use crate::parse::value::Value;

/// Debian's package of Distribution 2.
const DEBIANS_PROGRAM: &str = "/usr/bin/docker-registry";

/// The storage settings of the registry on this host.
#[derive(Debug, Clone)]
pub struct StorageSettings {
    /// The settings.
    pub storage: Storage,
    /// The file in which they stand.
    pub path: Utf8PathBuf,
    /// Whether that is `gitlab.rb`, because reconfigure has not written them out yet.
    pub written_only: bool,
    /// The program that reads them.
    pub program: Program,
    /// Whether Redis is set up for the registry.
    pub has_redis: bool,
}

/// Which registry reads the settings: not all know the same drivers and parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// GitLab's own, of this GitLab version (major, minor) where it is known.
    Gitlab(Option<(u32, u32)>),
    /// Distribution 2 as Debian builds it.
    Debian,
    /// Distribution of some version, or GitLab's in a container.
    Unknown,
}

/// Where the registry keeps its tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagStore {
    /// In the storage.
    Storage,
    /// In the metadata database, says `database.enabled`.
    Database(Source),
    /// `database.enabled` is `prefer`: a lock file in the storage tells.
    LockFile(Source),
}

/// The storage settings of the registry on this host; `None` if there is no registry here.
pub async fn storage_settings(host: &Host) -> Result<Option<StorageSettings>, Unknown> {
    let Some(config) = config(host).await? else { return from_gitlab_rb(host).await };
    let program = program(host, &config).await?;
    Ok(Some(StorageSettings {
        storage: config.yml.storage,
        path: config.path,
        written_only: false,
        program,
        has_redis: config.yml.redis.is_some(),
    }))
}

async fn program(host: &Host, config: &Config) -> Result<Program, Unknown> {
    if config.generated {
        return gitlabs(host).await;
    }
    let yml = &config.yml;
    if yml.database.enabled.is_some() || yml.gc_disabled.is_some() {
        return Ok(Program::Gitlab(None));
    }
    let debian = host.ask(FileFacts::of(DEBIANS_PROGRAM)).await?.is_some();
    Ok(if debian { Program::Debian } else { Program::Unknown })
}

async fn gitlabs(host: &Host) -> Result<Program, Unknown> {
    let version = gitlab::version(host).await?;
    Ok(Program::Gitlab(version.as_deref().and_then(major_and_minor).or({
        // Registry 4.0 came with GitLab 17.0; earlier ones tell no more than that.
        let registry = host.ask(RegistryVersion).await?;
        match registry.as_deref().and_then(major_and_minor) {
            Some((0..=3, _)) => Some((16, 0)),
            _ => None,
        }
    })))
}

fn major_and_minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('v').split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

async fn from_gitlab_rb(host: &Host) -> Result<Option<StorageSettings>, Unknown> {
    if written_storage(host).await?.is_none() {
        return Ok(None);
    }
    let Some(settings) = settings(host).await? else { return Ok(None) };
    let storage = match settings.all().get(&["registry", "storage"]) {
        RubySetting::Known { value: Value::Hash(entries), source, .. } => {
            let mut storage = read(&settings, entries.keys());
            storage.line = Some(source.line);
            storage
        }
        RubySetting::Unset | RubySetting::Known { value: Value::Nil, .. } => folder(host).await?,
        _ => {
            let why = format!("{} cannot be told from the file", spelled(&["registry", "storage"]));
            return Err(Unknown::Unreadable(format!("{GITLAB_RB}: {why}")));
        }
    };
    Ok(Some(StorageSettings {
        storage,
        path: GITLAB_RB.into(),
        written_only: true,
        program: gitlabs(host).await?,
        // gitlab.rb knows more than one place for it, and Rails' own may serve.
        has_redis: true,
    }))
}

/// What the Linux package writes where nobody says anything.
async fn folder(host: &Host) -> Result<Storage, Unknown> {
    let mut driver = Driver { name: "filesystem".to_owned(), ..Driver::default() };
    if let Some(super::registry::Storage::Filesystem(root)) = written_storage(host).await? {
        let line = match root.source {
            Source::File { line, .. } => line,
            Source::Flag(_) | Source::Default(_) => None,
        };
        let value = Located::at(line, Scalar::Text(root.value.into_string()));
        driver.parameters.insert("rootdirectory".to_owned(), value);
    }
    Ok(Storage { drivers: vec![driver], ..Storage::default() })
}

/// `registry['storage']` as the registry would find it in its own configuration.
fn read<'a>(settings: &Settings, names: impl Iterator<Item = &'a String>) -> Storage {
    let mut storage = Storage::default();
    let at = |path: &[&str]| located(settings, &[&["registry", "storage"], path].concat());
    for name in names {
        let Some((value, line)) = at(&[name]) else { continue };
        if NOT_DRIVERS.contains(&name.as_str()) {
            if !matches!(value, Value::Hash(_) | Value::Unknown(_) | Value::Nil) {
                storage.not_mappings.push(Located::at(line, name.clone()));
            }
            continue;
        }
        let mut driver = Driver { name: name.clone(), line: Some(line), ..Driver::default() };
        match &value {
            Value::Hash(entries) => {
                for key in entries.keys() {
                    let Some((value, line)) = at(&[name, key]) else { continue };
                    let shown = scalar(&value).map(|value| Located::at(line, value));
                    if matches!(value, Value::Nil) {
                        continue;
                    }
                    driver.note(key, Located::at(line, ()), shown);
                }
            }
            Value::Unknown(_) | Value::Nil => {}
            _ => storage.not_mappings.push(Located::at(line, name.clone())),
        }
        storage.drivers.push(driver);
    }
    let setting = |path: &[&str]| -> Setting {
        let (value, line) = at(path)?;
        Some(Located::at(line, scalar(&value)?))
    };
    storage.delete_enabled = setting(&["delete", "enabled"]);
    storage.redirect_disable = setting(&["redirect", "disable"]);
    storage.cache_blobdescriptor = setting(&["cache", "blobdescriptor"]);
    storage.readonly = setting(&["maintenance", "readonly"]);
    storage.readonly_enabled = setting(&["maintenance", "readonly", "enabled"]);
    storage.tag = setting(&["tag"]);
    storage
}

/// A value and its line.
fn located(settings: &Settings, path: &[&str]) -> Option<(Value, u32)> {
    match settings.all().get(path) {
        RubySetting::Unset => None,
        RubySetting::Known { value, source, .. } => Some((value, source.line)),
        RubySetting::Unknown { why, source } => Some((Value::Unknown(why), source.line)),
    }
}

/// The value as reconfigure writes it out; `None` for what is not shown or not known.
fn scalar(value: &Value) -> Option<Scalar> {
    Some(match value {
        Value::Bool(flag) => Scalar::Bool(*flag),
        Value::Integer(number) => Scalar::Integer(*number),
        Value::Float(text) => Scalar::Number(text.clone()),
        Value::String(text) => Scalar::Text(text.clone()),
        Value::Empty => Scalar::Text(String::new()),
        Value::Array(_) => Scalar::List,
        Value::Hash(_) => Scalar::Mapping,
        Value::Nil | Value::Set | Value::Unknown(_) => return None,
    })
}

/// Where the registry of this host keeps its tags, as far as its settings tell.
pub async fn tag_store(host: &Host) -> Result<TagStore, Unknown> {
    let enabled = match config(host).await? {
        Some(config) => config.yml.database.enabled.map(|enabled| Sourced {
            source: found(&config.path, &enabled),
            value: enabled.value.to_string(),
        }),
        None => match settings(host).await? {
            Some(settings) => {
                let path = ["registry", "database", "enabled"];
                match located(&settings, &path) {
                    Some((Value::Unknown(_), _)) => settings.text(&path).told()?,
                    Some((value, line)) => {
                        let text = scalar(&value).map(|it| it.to_string()).unwrap_or_default();
                        Some(Sourced::file(text, GITLAB_RB, Some(line)))
                    }
                    None => None,
                }
            }
            None => None,
        },
    };
    Ok(match enabled {
        Some(enabled) if enabled.value == "true" => TagStore::Database(enabled.source),
        Some(enabled) if enabled.value == "prefer" => TagStore::LockFile(enabled.source),
        _ => TagStore::Storage,
    })
}

impl StorageSettings {
    /// A setting's name as it is spelt in the file: `storage.s3.region` or
    /// `registry['storage']['s3']['region']`.
    pub fn spelled(&self, path: &[&str]) -> String {
        if self.written_only {
            spelled(&[&["registry", "storage"], path].concat())
        } else {
            [&["storage"], path].concat().join(".")
        }
    }

    /// The environment variable that supplies a setting, or the section in which it is missing.
    pub fn variable(&self, path: &[&str]) -> Option<String> {
        let storage = &self.storage;
        let dotted = path.join(".");
        let is_above = |name: &str| dotted == name || dotted.starts_with(&format!("{name}."));
        if let Some(wrong) = storage.not_mappings.iter().find(|it| is_above(&it.value)) {
            return wrong.variable.clone();
        }
        let of = |setting: &Setting| setting.as_ref().and_then(|it| it.variable.clone());
        match path {
            ["delete", ..] => of(&storage.delete_enabled),
            ["redirect", ..] => of(&storage.redirect_disable),
            ["cache", ..] => of(&storage.cache_blobdescriptor),
            ["maintenance", "readonly", ..] => {
                of(&storage.readonly_enabled).or_else(|| of(&storage.readonly))
            }
            ["maintenance", "uploadpurging", ..] => storage.uploadpurging.as_ref()?.variable(),
            [name, parameters @ ..] => {
                let driver = storage.drivers.iter().find(|driver| driver.name == *name)?;
                let place = parameters.first().and_then(|parameter| driver.place(parameter));
                place.unwrap_or_else(|| driver.located(())).variable
            }
            [] => None,
        }
    }

    /// Where something in the file stands.
    pub fn source<T>(&self, located: &Located<T>) -> Source {
        found(&self.path, located)
    }
}

impl Program {
    /// Whether it is GitLab's, and of at least this version, as far as that is known.
    pub fn is_gitlab_from(self, major: u32, minor: u32) -> Option<bool> {
        match self {
            Self::Gitlab(Some(version)) => Some(version >= (major, minor)),
            Self::Debian => Some(false),
            Self::Gitlab(None) | Self::Unknown => None,
        }
    }
}

#[test]
fn versions_are_compared_by_their_numbers() {
    let gitlab = |version| Program::Gitlab(major_and_minor(version));
    assert_eq!(gitlab("17.11.7").is_gitlab_from(17, 10), Some(true));
    assert_eq!(gitlab("17.9.0-pre").is_gitlab_from(17, 10), Some(false));
    assert_eq!(gitlab("9").is_gitlab_from(17, 10), None);
    assert_eq!(Program::Debian.is_gitlab_from(1, 0), Some(false));
    assert_eq!(major_and_minor("v4.19.0-gitlab"), Some((4, 19)));
}
