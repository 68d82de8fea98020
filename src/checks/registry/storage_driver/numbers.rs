//! Parameters that are numbers or switches: what the registry's own parser takes for one.

use super::subject::Subject;
use crate::checks::Finding;
use crate::parse::registry_yml::Driver;
use crate::parse::setting::{Located, Scalar};

/// A number that a driver reads, the least and the most that it accepts, and a good value.
pub(super) type Number = (&'static str, i64, i64, &'static str);

/// The least and the most that S3 takes for a part of an upload.
pub(super) const PART: (i64, i64) = (5 << 20, 5 << 30);

/// The `filesystem` driver; fewer threads than 25 are raised to 25.
pub(super) const FILESYSTEM: &[Number] = &[("maxthreads", i64::MIN, i64::MAX, "100")];

/// The S3 drivers of all registries.
pub(super) const S3: &[Number] = &[
    ("chunksize", PART.0, PART.1, "10485760"),
    ("multipartcopychunksize", PART.0, PART.1, "33554432"),
    ("multipartcopymaxconcurrency", 1, i64::MAX, "100"),
    ("multipartcopythresholdsize", 0, PART.1, "33554432"),
];

/// Those of GitLab's registry besides.
pub(super) const GITLABS_S3: &[Number] =
    &[("maxrequestspersecond", 0, i64::MAX, "350"), ("maxretries", 0, i64::MAX, "5")];

/// The `gcs` driver.
pub(super) const GCS: &[Number] =
    &[("chunksize", 1, i64::MAX, "16777216"), ("maxconcurrency", i64::MIN, i64::MAX, "50")];

/// The numbers of a driver that the registry refuses.
pub(super) fn judge(subject: &Subject<'_>, driver: &Driver, numbers: &[Number]) -> Vec<Finding> {
    let judged = numbers.iter().filter_map(|(name, least, most, good)| {
        let setting = driver.get(name)?;
        let spelled = subject.settings.spelled(&[&driver.name, name]);
        let (message, words) = match number(&setting.value) {
            None => (
                format!(
                    "{spelled} is '{}', and the registry reads whole numbers only",
                    setting.value
                ),
                match driver.name.as_str() {
                    "filesystem" => format!(
                        "{name} config error: parameter must be an integer, '{}' invalid",
                        setting.value
                    ),
                    _ => format!("{name} parameter must be an integer, {} invalid", setting.value),
                },
            ),
            Some(number) if number < *least || number > *most => (
                format!("{spelled} is {number}, and the registry takes {}", range(*least, *most)),
                format!(
                    "the {name} {number} parameter should be a number between {least} and {most} \
                     (inclusive)"
                ),
            ),
            Some(_) => return None,
        };
        let code = if *name == "chunksize" { "chunk-size" } else { "number-refused" };
        let finding = subject.startup(code, message, words);
        let finding = finding.evidence(subject.shown(&[&driver.name, name], setting));
        let why = if *most == PART.1 { "it is a number of bytes" } else { "it is a whole number" };
        Some(subject.write(finding, why, &[&driver.name, name], good))
    });
    judged.collect()
}

fn range(least: i64, most: i64) -> String {
    if most == i64::MAX { format!("{least} or more") } else { format!("{least} to {most}") }
}

/// The switches of a driver that the registry refuses.
pub(super) fn judge_switches(
    subject: &Subject<'_>,
    driver: &Driver,
    names: &[&str],
) -> Vec<Finding> {
    let judged = names.iter().filter_map(|name| {
        let setting = driver.get(name).filter(|it| switch(&it.value).is_none())?;
        let path = [driver.name.as_str(), name];
        let message = format!(
            "{} is '{}' and not true or false: the registry does not start",
            subject.settings.spelled(&path),
            setting.value
        );
        let words = format!("the {name} parameter should be a boolean");
        let finding = subject.startup("not-boolean", message, words);
        let finding = finding.evidence(subject.shown(&path, setting));
        Some(subject.keeper.edit(finding, &format!("let {} be true or false", path.join("."))))
    });
    judged.collect()
}

/// A number, also as a text of digits.
pub(super) fn number(value: &Scalar) -> Option<i64> {
    match value {
        Scalar::Integer(number) => Some(*number),
        Scalar::Text(text) => text.parse().ok(),
        _ => None,
    }
}

/// A switch, also as one of the texts that Go takes for one.
pub(super) fn switch(value: &Scalar) -> Option<bool> {
    match value {
        Scalar::Bool(switch) => Some(*switch),
        Scalar::Text(text) => match text.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A switch of a driver; the default where it is not set or not readable.
pub(super) fn is_on(driver: &Driver, name: &str, default: bool) -> bool {
    driver.get(name).and_then(|it: &Located<Scalar>| switch(&it.value)).unwrap_or(default)
}
