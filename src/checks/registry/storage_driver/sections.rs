//! The section `storage` itself: which driver, and what stands beside it.

use super::subject::Subject;
use crate::checks::registry::startup::refused_setting;
use crate::checks::{Finding, Severity};
use crate::install::storage::Program;
use crate::parse::registry_yml::{Driver, UploadPurging};
use crate::parse::setting::{Located, Scalar, Setting};

pub(super) fn judge(subject: &Subject<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(how_many(subject));
    findings.extend(not_mappings(subject));
    findings.extend(readonly(subject));
    findings.extend(redirect(subject));
    findings.extend(cache(subject));
    findings.extend(purging(subject));
    findings
}

/// Exactly one driver.
fn how_many(subject: &Subject<'_>) -> Option<Finding> {
    let storage = &subject.settings.storage;
    let mut names: Vec<&str> = storage.drivers.iter().map(|it| it.name.as_str()).collect();
    let old = matches!(subject.settings.program, Program::Debian | Program::Gitlab(_));
    let tag = storage.tag.as_ref().filter(|_| old);
    names.extend(tag.map(|_| "tag"));
    let finding = match names[..] {
        [] => {
            let finding = subject.startup(
                "no-driver",
                "no storage driver is named: the registry does not start",
                "no storage configuration provided",
            );
            let finding = finding.evidence(subject.section());
            return Some(subject.write(
                finding,
                "name one",
                &["filesystem", "rootdirectory"],
                "'/var/opt/gitlab/gitlab-rails/shared/registry'",
            ));
        }
        [_] => return None,
        _ => subject.startup(
            "two-drivers",
            format!(
                "{} storage drivers are named, and the registry starts with exactly one",
                names.len()
            ),
            "must provide exactly one storage type",
        ),
    };
    let finding =
        storage.drivers.iter().fold(finding, |it, driver| it.evidence(subject.driver(driver)));
    if let Some(tag) = tag {
        let finding = finding.evidence(subject.shown(&["tag"], tag));
        return Some(subject.remove(finding, &["tag"]));
    }
    let of_variables = |driver: &Driver| Some(variables(driver.variable.as_ref()?, &driver.name));
    if let Some(variables) = storage.drivers.iter().find_map(of_variables) {
        return Some(subject.keeper.unset_variable(finding, &variables));
    }
    // The one that was there before object storage is the one that people forget.
    let old = if names.contains(&"filesystem") { "filesystem" } else { names[0] };
    Some(subject.remove(finding, &[old]))
}

/// All that bring a driver in: with one of its parameters gone, the others would still do.
fn variables(variable: &str, driver: &str) -> String {
    let all = format!("REGISTRY_STORAGE_{}", driver.to_uppercase());
    if variable.starts_with(&all) { format!("every {all}*") } else { variable.to_owned() }
}

/// A driver that this registry does not have.
pub(super) fn unknown_driver(subject: &Subject<'_>, driver: &Driver) -> Option<Finding> {
    const EVERYWHERE: [&str; 4] = ["filesystem", "inmemory", "s3", "s3aws"];
    const CLOUDS: [&str; 2] = ["gcs", "azure"];
    const REMOVED: [&str; 2] = ["swift", "oss"];
    const GITLABS: [&str; 2] = ["s3_v2", "azure_v2"];
    let (program, name) = (subject.settings.program, driver.name.as_str());
    if EVERYWHERE.contains(&name) {
        return None;
    }
    let removed = "GitLab 17.0 and Distribution 3 took it out";
    let (severity, why) = match program {
        Program::Debian if name == "swift" => return None,
        Program::Debian if CLOUDS.contains(&name) || name == "oss" => {
            (Severity::Error, "Debian builds its registry without it")
        }
        _ if CLOUDS.contains(&name) => return None,
        Program::Gitlab(_) if REMOVED.contains(&name) => match program.is_gitlab_from(17, 0) {
            Some(true) => (Severity::Error, removed),
            _ => (Severity::Warning, removed),
        },
        Program::Unknown if REMOVED.contains(&name) => (Severity::Warning, removed),
        Program::Gitlab(_) if GITLABS.contains(&name) => match program.is_gitlab_from(17, 10) {
            Some(false) => (Severity::Error, "it came with GitLab 17.10"),
            _ => return None,
        },
        Program::Unknown if GITLABS.contains(&name) => {
            (Severity::Warning, "only GitLab's own registry has it, from 17.10 on")
        }
        _ if GITLABS.contains(&name) => (Severity::Error, "only GitLab's own registry has it"),
        _ => (Severity::Error, "no registry has it"),
    };
    let code = if REMOVED.contains(&name) { "removed-driver" } else { "unknown-driver" };
    let message = format!("the storage driver '{name}' does not exist here: {why}");
    let words = format!("StorageDriver not registered: {name}");
    let finding = match severity {
        Severity::Error => subject.startup(code, message, words),
        _ => subject.finding(severity, code, message),
    };
    let finding = finding.evidence(subject.driver(driver));
    let advice = match nearest(name) {
        Some(right) => format!("name the driver '{right}'"),
        None => {
            "copy the images to a storage that this version has, and name its driver".to_owned()
        }
    };
    Some(subject.keeper.edit(finding, &advice))
}

/// The driver that somebody meant.
fn nearest(name: &str) -> Option<&'static str> {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    Some(match plain.to_ascii_lowercase().as_str() {
        "file" | "files" | "filesystem" | "fs" | "local" | "disk" | "directory" | "memory" => {
            "filesystem"
        }
        "s3" | "s3v2" | "aws" | "amazon" | "minio" | "ceph" | "awss3" | "s3compatible" => "s3",
        "gcs" | "google" | "googlecloud" | "googlecloudstorage" => "gcs",
        "azure" | "azurerm" | "azureblob" | "azurev2" => "azure",
        _ => return None,
    })
}

/// A word where the registry needs a section.
fn not_mappings(subject: &Subject<'_>) -> Vec<Finding> {
    let wrong = subject.settings.storage.not_mappings.iter();
    let finding = |wrong: &Located<String>| {
        let path: Vec<&str> = wrong.value.split('.').collect();
        let name = subject.settings.spelled(&path);
        let (message, words) = if path == ["maintenance", "readonly"] {
            (format!("{name} is empty, and the registry needs a section there"), NO_KEYS)
        } else {
            (format!("{name} is no section with parameters, as the registry needs it"), NO_MAPPING)
        };
        let finding = subject.startup("not-a-section", message, words);
        let finding = finding.evidence(subject.placed(&path, wrong, "not a mapping"));
        let (parameter, value) = match wrong.value.as_str() {
            "filesystem" => ("rootdirectory", "'/path'"),
            "delete" | "maintenance.readonly" => ("enabled", "false"),
            "redirect" => ("disable", "true"),
            "cache" => ("blobdescriptor", "'inmemory'"),
            "maintenance" => ("readonly", "{ 'enabled' => false }"),
            _ => ("bucket", "'NAME'"),
        };
        subject.write(finding, "give it its parameters", &[&path[..], &[parameter]].concat(), value)
    };
    wrong.map(finding).collect()
}

const NO_KEYS: &str = "readonly config key must contain additional keys";
const NO_MAPPING: &str = "yaml: unmarshal errors";

/// `maintenance.readonly` is a section with one boolean.
fn readonly(subject: &Subject<'_>) -> Option<Finding> {
    let storage = &subject.settings.storage;
    let path = ["maintenance", "readonly"];
    let name = subject.settings.spelled(&path);
    let (wrong, message, words) = match (&storage.readonly, &storage.readonly_enabled) {
        (Some(readonly), _) if readonly.value != Scalar::Mapping => {
            let message =
                format!("{name} is '{}', and the registry needs a section there", readonly.value);
            (subject.shown(&path, readonly), message, NO_KEYS)
        }
        (_, Some(enabled)) if enabled.value.as_bool().is_none() => {
            let message = format!("{name} is not switched by true or false, but by a text");
            let path = [path[0], path[1], "enabled"];
            (
                subject.shown(&path, enabled),
                message,
                "readonly's enabled config key must have a boolean value",
            )
        }
        _ => return None,
    };
    let finding = subject.startup("readonly-not-a-section", message, words).evidence(wrong);
    let finding = told_elsewhere(finding, "storage.maintenance.readonly");
    Some(subject.write(finding, "say it without quotes", &[path[0], path[1], "enabled"], "false"))
}

fn redirect(subject: &Subject<'_>) -> Option<Finding> {
    let disable = subject.settings.storage.redirect_disable.as_ref()?;
    if disable.value.as_bool().is_some() {
        return None;
    }
    let path = ["redirect", "disable"];
    let message = format!(
        "{} is '{}' and not true or false: the registry does not start",
        subject.settings.spelled(&path),
        disable.value
    );
    let finding = subject.startup("not-boolean", message, "invalid type for redirect config");
    let finding = finding.evidence(subject.shown(&path, disable));
    let value = if disable.value.to_string() == "false" { "false" } else { "true" };
    Some(subject.write(finding, "say it without quotes", &path, value))
}

fn cache(subject: &Subject<'_>) -> Option<Finding> {
    let settings = subject.settings;
    let cache = settings.storage.cache_blobdescriptor.as_ref()?;
    if settings.has_redis || cache.value.as_text() != Some("redis") {
        return None;
    }
    let path = ["cache", "blobdescriptor"];
    let finding = subject
        .startup(
            "cache-without-redis",
            "the cache is to be in Redis, but the registry is told no Redis",
            "redis configuration required to use for layerinfo cache",
        )
        .evidence(subject.shown(&path, cache));
    Some(subject.write(finding, "without Redis the cache belongs in memory", &path, "'inmemory'"))
}

/// A section given for purging replaces the defaults whole.
fn purging(subject: &Subject<'_>) -> Option<Finding> {
    let purging = subject.settings.storage.uploadpurging.as_ref()?;
    if purging.enabled.as_ref().and_then(|it| it.value.as_bool()) == Some(false) {
        return None;
    }
    let UploadPurging { age, interval, dryrun, .. } = purging;
    let (name, what) = [("age", age), ("interval", interval)]
        .into_iter()
        .find_map(|(name, setting)| Some((name, wrong_duration(setting)?)))
        .or_else(|| match dryrun {
            None => Some(("dryrun", "missing".to_owned())),
            Some(it) if it.value.as_bool().is_none() => {
                Some(("dryrun", format!("'{}', not true or false", it.value)))
            }
            Some(_) => None,
        })?;
    let path = ["maintenance", "uploadpurging", name];
    let message = format!(
        "{} is {what}: where this section is given, all of it has to be",
        subject.settings.spelled(&path)
    );
    let words = "Unable to parse upload purge configuration";
    let finding = subject.startup("purging-incomplete", message, words);
    let finding = told_elsewhere(finding, "storage.maintenance.uploadpurging");
    let finding = match [age, interval, dryrun].into_iter().flatten().next() {
        Some(near) => finding.evidence(subject.placed(&path[..2], near, "its place")),
        None => finding,
    };
    let value = match name {
        "age" => "'168h'",
        "interval" => "'24h'",
        _ => "false",
    };
    Some(subject.write(finding, "complete it", &path, value))
}

/// What another check of the registry tells as well, which knows more of it and so explains this.
fn told_elsewhere(finding: Finding, name: &str) -> Finding {
    finding.follows(refused_setting(name))
}

/// What is wrong with a text that Go is to read as a duration: numbers with units up to hours.
fn wrong_duration(setting: &Setting) -> Option<String> {
    let Some(setting) = setting else { return Some("missing".to_owned()) };
    let Some(text) = setting.value.as_text() else {
        return Some(format!("{}, which is no text with a unit", setting.value));
    };
    let mut rest = text.trim_start_matches(['+', '-']);
    let mut parts = 0;
    while !rest.is_empty() {
        let digits = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let unit = ["ns", "us", "\u{b5}s", "ms", "s", "m", "h"]
            .into_iter()
            .find(|unit| digits.starts_with(unit) && digits.len() < rest.len());
        let Some(unit) = unit else {
            return Some(format!("'{text}', which is no duration such as 24h"));
        };
        rest = &digits[unit.len()..];
        parts += 1;
    }
    (parts == 0).then(|| "empty".to_owned())
}

#[test]
fn durations_are_read_as_go_reads_them() {
    let judged =
        |text: &str| wrong_duration(&Some(Located::at(1, Scalar::Text(text.to_owned())))).is_none();
    for good in ["168h", "1h30m", "1.5h", "10s", "100ms"] {
        assert!(judged(good), "{good}");
    }
    for bad in ["", "7d", "h", "24", "1h 30m", "\u{b5}"] {
        assert!(!judged(bad), "{bad}");
    }
    assert!(wrong_duration(&Some(Located::at(1, Scalar::Integer(24)))).is_some());
}
