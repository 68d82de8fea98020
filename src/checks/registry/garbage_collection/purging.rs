//! Whether uploads that nobody finished are purged.

use super::super::startup::{Configured, refused_setting};
use crate::checks::{Finding, docs};
use crate::install::Source;
use crate::parse::go_duration;
use crate::parse::registry_yml::UploadPurging;
use crate::parse::setting::{Located, Scalar, Setting};

/// What is in effect where nothing is said.
const DEFAULTS: &str =
    "storage.maintenance.uploadpurging: {enabled: true, age: 168h, interval: 24h, dryrun: false}";

/// Judges `storage.maintenance.uploadpurging`. Where it is given, nothing of the defaults holds.
pub(super) fn judge(configured: &Configured<'_>) -> Option<Finding> {
    let storage = &configured.config.yml.storage;
    let purging = storage.uploadpurging.as_ref()?;
    if !purging.is_mapping {
        let what = "uploadpurging is not a mapping with enabled, age, interval and dryrun";
        return Some(refused(configured, purging, None, what));
    }
    let enabled = purging.enabled.as_ref().map(|it| &it.value);
    if enabled == Some(&Scalar::Bool(false)) {
        return Some(switched_off(configured, purging));
    }
    if let Some(finding) = incomplete(configured, purging) {
        return Some(finding);
    }
    let is_on = |it: &Setting| it.as_ref().map(|it| &it.value) == Some(&Scalar::Bool(true));
    if is_on(&purging.dryrun) {
        let message = "uploadpurging only says what it would purge (dryrun): interrupted uploads \
                       stay in the storage for ever";
        let dryrun = purging.dryrun.as_ref();
        return Some(notice(configured, "purging-dry", purging, dryrun, message));
    }
    if is_on(&purging.enabled) && is_on(&storage.readonly_enabled) {
        let message = "uploads are purged while the registry is read-only: the storage is written \
                       to all the same";
        return Some(notice(configured, "purging-while-read-only", purging, None, message));
    }
    None
}

/// The registry does not start unless it finds all four, each of its type.
fn incomplete(configured: &Configured<'_>, purging: &UploadPurging) -> Option<Finding> {
    for (name, value) in [("age", &purging.age), ("interval", &purging.interval)] {
        let what = match value {
            None => format!("uploadpurging is given without {name}"),
            Some(Located { value: Scalar::Text(text), .. })
                if go_duration::nanoseconds(text).is_some() =>
            {
                continue;
            }
            Some(Located { value: Scalar::Text(text), .. }) => {
                format!("uploadpurging.{name} is '{text}', no duration (units are h, m and s)")
            }
            Some(other) => {
                format!("uploadpurging.{name} is {}, without a unit such as h", other.value)
            }
        };
        return Some(refused(configured, purging, value.as_ref(), &what));
    }
    let what = match &purging.dryrun {
        Some(Located { value: Scalar::Bool(_), .. }) => return None,
        None => "uploadpurging is given without dryrun".to_owned(),
        Some(other) => format!("uploadpurging.dryrun is '{}', neither true nor false", other.value),
    };
    Some(refused(configured, purging, purging.dryrun.as_ref(), &what))
}

fn refused(
    configured: &Configured<'_>,
    purging: &UploadPurging,
    setting: Option<&Located<Scalar>>,
    what: &str,
) -> Finding {
    let line = setting.and_then(|it| it.line).or(purging.line);
    let finding = configured.refusal("purging-incomplete", line, what);
    let finding = finding.explains(refused_setting("storage.maintenance.uploadpurging"));
    let finding = setting.into_iter().fold(finding, |finding, it| {
        finding.evidence(configured.setting(it).evidence("what stands there"))
    });
    let finding = match purging.variable().filter(|_| setting.is_none()) {
        Some(variable) => finding.seen("comes from", Source::of_variable(&variable)),
        None => finding,
    };
    complete(finding, configured, purging, setting)
}

fn switched_off(configured: &Configured<'_>, purging: &UploadPurging) -> Finding {
    let message = "interrupted uploads are not purged: they stay in the storage for ever";
    notice(configured, "purging-off", purging, purging.enabled.as_ref(), message)
}

fn notice(
    configured: &Configured<'_>,
    code: &'static str,
    purging: &UploadPurging,
    setting: Option<&Located<Scalar>>,
    message: &str,
) -> Finding {
    let finding = Finding::notice(code, configured.subject(purging.line), message);
    complete(finding.docs(docs::REGISTRY_GC), configured, purging, setting)
}

fn complete(
    finding: Finding,
    configured: &Configured<'_>,
    purging: &UploadPurging,
    setting: Option<&Located<Scalar>>,
) -> Finding {
    let variable = setting.map_or_else(|| purging.variable(), |it| it.variable.clone());
    configured.mend(
        finding,
        Some(&Located { value: (), line: None, variable }),
        "take uploadpurging out, or write it in full",
        Some(
            "'maintenance' => {'uploadpurging' => {'enabled' => true, 'age' => '168h', 'interval' \
             => '24h', 'dryrun' => false}} in registry['storage']",
        ),
        DEFAULTS,
    )
}
