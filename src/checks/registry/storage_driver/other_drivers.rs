//! The drivers besides S3 and folders.

use super::numbers;
use super::s3::{bucket_with_slash, missing};
use super::subject::Subject;
use crate::checks::{Finding, Severity};
use crate::install::storage::Program;
use crate::parse::registry_yml::Driver;

/// Google's driver uploads in blocks of this many bytes.
const GOOGLES_BLOCK: i64 = 256 << 10;

pub(super) fn in_memory(subject: &Subject<'_>, driver: &Driver) -> Finding {
    let message = "images are kept in memory only: every restart of the registry loses all of them";
    let finding = subject.finding(Severity::Error, "in-memory", message);
    let finding = finding.evidence(subject.driver(driver));
    subject.keeper.edit(finding, "name a storage driver that keeps images, such as filesystem")
}

pub(super) fn gcs(subject: &Subject<'_>, driver: &Driver) -> Vec<Finding> {
    let mut findings = numbers::judge(subject, driver, numbers::GCS);
    findings.extend(missing(subject, driver, "bucket", "'NAME'"));
    findings.extend(bucket_with_slash(subject, driver, "bucket"));
    let chunk = driver.get("chunksize");
    let odd = chunk.filter(|it| numbers::number(&it.value).is_some_and(|n| n % GOOGLES_BLOCK != 0));
    if let Some(chunk) = odd.filter(|_| findings.is_empty()) {
        let path = ["gcs", "chunksize"];
        let message = format!(
            "{} is {}, and Google takes multiples of {GOOGLES_BLOCK} only",
            subject.settings.spelled(&path),
            chunk.value
        );
        let words = format!(
            "the chunksize {} parameter should be a multiple of {GOOGLES_BLOCK}",
            chunk.value
        );
        let finding = subject.startup("chunk-size", message, words);
        let finding = finding.evidence(subject.shown(&path, chunk));
        findings.push(subject.write(finding, "it is a number of bytes", &path, "16777216"));
    }
    findings
}

pub(super) fn azure(subject: &Subject<'_>, driver: &Driver) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(missing(subject, driver, "accountname", "'NAME'"));
    findings.extend(missing(subject, driver, "container", "'NAME'"));
    findings.extend(bucket_with_slash(subject, driver, "container"));
    // Newer drivers know other credentials, and connection strings that name the account, too.
    let other = driver.has("credentials_type")
        || driver.has("credentials")
        || driver.has("connectionstring");
    if driver.name == "azure" && !other && subject.settings.program != Program::Unknown {
        findings.extend(missing(subject, driver, "accountkey", "'...'"));
    }
    if driver.has("connectionstring") {
        findings.retain(|finding| finding.code != "no-account");
    }
    findings.extend(root_prefix(subject, driver));
    findings
}

/// Old releases wrote below a folder whose name is a slash.
fn root_prefix(subject: &Subject<'_>, driver: &Driver) -> Option<Finding> {
    let (trim, legacy) = (driver.get("trimlegacyrootprefix"), driver.get("legacyrootprefix"));
    let switch = |it: &crate::parse::setting::Located<_>| numbers::switch(&it.value);
    if let (Some(trims), Some(keeps)) = (trim, legacy)
        && switch(trims).is_some()
        && switch(trims) == switch(keeps)
    {
        let message = "trimlegacyrootprefix and legacyrootprefix are opposites, and both are the same here: the registry does not start";
        let words = "storage.azure.trimlegacyrootprefix and storage.azure.legacyrootprefix can not both be the same";
        let finding = subject
            .startup("root-prefix", message, words)
            .evidence(subject.shown(&[&driver.name, "trimlegacyrootprefix"], trims))
            .evidence(subject.shown(&[&driver.name, "legacyrootprefix"], keeps));
        return Some(subject.remove(finding, &[&driver.name, "legacyrootprefix"]));
    }
    if !matches!(subject.settings.program, Program::Gitlab(_)) || trim.is_some() || legacy.is_some()
    {
        let legacy_way = trim.filter(|it| switch(it) == Some(false))?;
        let message = "images are looked for below '//': such as were copied here from a folder or another store are not found";
        let finding = subject.finding(Severity::Notice, "root-prefix", message);
        let finding =
            finding.evidence(subject.shown(&[&driver.name, "trimlegacyrootprefix"], legacy_way));
        return Some(subject.write(
            finding,
            "if images are missing",
            &[&driver.name, "trimlegacyrootprefix"],
            "true",
        ));
    }
    let message = "where images lie is left to the version: releases before 16.0 looked below '//', later ones below '/', and the other place looks like an empty registry";
    let finding = subject.finding(Severity::Notice, "root-prefix", message);
    let finding = finding.evidence(subject.driver(driver));
    Some(subject.write(
        finding,
        "say it, so that no update can change it (false where the container holds a folder named '/')",
        &[&driver.name, "trimlegacyrootprefix"],
        "true",
    ))
}
