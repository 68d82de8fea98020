//! Whether the registry lets anything be deleted.

use super::super::startup::Configured;
use crate::checks::{Finding, docs};
use crate::parse::registry_yml::Mistyped;
use crate::parse::setting::{Located, Scalar};

/// Judges `storage.delete`.
pub(super) fn judge(configured: &Configured<'_>) -> Option<Finding> {
    let yml = &configured.config.yml;
    if let Some(wrong) = yml.mistyped.iter().find(|it| it.key.value == "storage.delete") {
        return Some(refused(configured, wrong));
    }
    // A cache of another registry deletes by itself, and takes no deletes.
    if yml.proxy_remoteurl.is_some() {
        return None;
    }
    let setting = yml.storage.delete_enabled.as_ref();
    let what = match setting.map(|it| &it.value) {
        Some(Scalar::Bool(true)) => return None,
        Some(Scalar::Bool(false)) => "deletes are switched off".to_owned(),
        Some(other) => {
            format!("storage.delete.enabled is the text '{other}' in quotes, which counts as false")
        }
        None => "deletes are not switched on, and are off by default".to_owned(),
    };
    let message = format!(
        "{what}: GitLab's cleanup policies and deletions of images fail with 405 UNSUPPORTED"
    );
    let line = setting.map_or(yml.storage.line, |it| it.line);
    let finding = Finding::warning("deletes-disabled", configured.subject(line), message)
        .docs(docs::REGISTRY_GC);
    let finding = match setting {
        Some(it) => finding.evidence(configured.setting(it).evidence("storage.delete.enabled")),
        None => finding.seen("storage.delete.enabled", "not set"),
    };
    Some(switched_on(finding, configured, setting))
}

fn refused(configured: &Configured<'_>, wrong: &Mistyped) -> Finding {
    let what = format!("storage.delete is {}, not a mapping with enabled in it", wrong.found);
    let finding = configured.refusal("delete-not-mapping", wrong.key.line, &what);
    switched_on(finding, configured, Some(&wrong.key))
}

fn switched_on<T>(
    finding: Finding,
    configured: &Configured<'_>,
    setting: Option<&Located<T>>,
) -> Finding {
    configured.mend(
        finding,
        setting,
        "let images be deleted",
        Some("registry['storage_delete_enabled'] = true, or 'delete' in registry['storage'],"),
        "storage.delete.enabled: true",
    )
}
