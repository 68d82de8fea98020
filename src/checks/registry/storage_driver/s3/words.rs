//! Words in the settings of S3: values from short lists, and parameters under another name.

use crate::checks::registry::storage_driver::subject::Subject;
use crate::checks::{Finding, Severity};
use crate::parse::registry_yml::Driver;
use crate::parse::setting::{Located, Scalar};

/// Values from short lists.
pub(super) fn values(subject: &Subject<'_>, driver: &Driver) -> Option<Finding> {
    const CLASSES: &[&str] = &[
        "NONE",
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "OUTPOSTS",
        "GLACIER_IR",
    ];
    const ACCESS: &[&str] = &[
        "private",
        "public-read",
        "public-read-write",
        "authenticated-read",
        "aws-exec-read",
        "bucket-owner-read",
        "bucket-owner-full-control",
    ];
    let lists = [("storageclass", CLASSES, "'STANDARD'"), ("objectacl", ACCESS, "'private'")];
    lists.into_iter().find_map(|(name, list, good)| {
        let setting: &Located<Scalar> = driver.get(name)?;
        let text = setting.value.to_string();
        // The registry folds the class, but not the list of access.
        let known = |word: &&str| {
            **word == text || (name == "storageclass" && word.eq_ignore_ascii_case(&text))
        };
        if list.iter().any(known) {
            return None;
        }
        let path = [driver.name.as_str(), name];
        let message = format!(
            "{} cannot be '{text}': the registry does not start",
            subject.settings.spelled(&path)
        );
        let words = if name == "objectacl" {
            format!("invalid value for {name} parameter: {text}")
        } else {
            format!("the {name} parameter must be one of")
        };
        let finding = subject.startup("value-refused", message, words);
        let finding = finding.evidence(subject.shown(&path, setting));
        Some(subject.write(finding, "take the usual one", &path, good))
    })
}

/// Names that Rails' object storage, or another program, has for the same thing: the registry
/// ignores them without a word.
pub(super) fn misspelt(subject: &Subject<'_>, driver: &Driver) -> Vec<Finding> {
    let shown =
        driver.parameters.iter().map(|(name, it)| (name.as_str(), subject.settings.source(it)));
    let hidden = driver.hidden.iter().map(|it| (it.value.as_str(), subject.settings.source(it)));
    let judged = shown.chain(hidden).filter_map(|(name, source)| {
        let right = meant(name).filter(|right| *right != name && !driver.has(right))?;
        let path = [driver.name.as_str(), name];
        let message = format!(
            "{} is read by no registry; its name for that is {right}",
            subject.settings.spelled(&path)
        );
        let finding = subject.finding(Severity::Warning, "misspelt-parameter", message);
        let finding = finding.evidence(source.evidence(subject.settings.spelled(&path), "set"));
        Some(subject.keeper.edit(finding, &format!("call it {right}")))
    });
    judged.collect()
}

fn meant(name: &str) -> Option<&'static str> {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    Some(match plain.to_ascii_lowercase().as_str() {
        "accesskey" | "accesskeyid" | "awsaccesskeyid" | "awsaccesskey" => "accesskey",
        "secretkey" | "secretaccesskey" | "awssecretaccesskey" | "awssecretkey" => "secretkey",
        "sessiontoken" => "sessiontoken",
        "region" | "awsregion" => "region",
        "bucket" | "bucketname" => "bucket",
        "regionendpoint" | "endpoint" | "endpointurl" | "host" => "regionendpoint",
        "pathstyle" | "usepathstyle" | "s3pathstyle" => "pathstyle",
        "rootdirectory" | "rootdir" | "prefix" => "rootdirectory",
        "chunksize" => "chunksize",
        "skipverify" | "insecureskipverify" => "skipverify",
        _ => return None,
    })
}
