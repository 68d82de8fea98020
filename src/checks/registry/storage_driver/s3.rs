//! The S3 drivers: `s3` of every registry, `s3_v2` of GitLab's.

mod words;

use self::words::{misspelt, values};
use super::numbers::{self, GITLABS_S3, PART, is_on, number};
use super::subject::Subject;
use crate::checks::{Finding, Severity};
use crate::install::storage::Program;
use crate::parse::registry_yml::Driver;

/// As many parts as S3 makes one object of.
const PARTS: i64 = 10_000;

/// The size of a part that the registry takes by itself.
const USUAL_PART: i64 = 10 << 20;

/// What Amazon answers in a second for one prefix, at the most.
const AMAZONS_LIMIT: i64 = 5500;

/// Whether it is one of the drivers for S3.
pub(super) fn is_s3(name: &str) -> bool {
    matches!(name, "s3" | "s3_v2" | "s3aws")
}

/// Whether the store is Amazon's own, as far as its address tells.
pub(in crate::checks::registry) fn is_amazon(driver: &Driver) -> bool {
    let Some(endpoint) = driver.text("regionendpoint").filter(|it| !it.is_empty()) else {
        return true;
    };
    let rest = endpoint.split_once("://").map_or(endpoint.as_str(), |(_, rest)| rest);
    let host = rest.split(['/', ':', '?']).next().unwrap_or_default().to_ascii_lowercase();
    host.ends_with("amazonaws.com") || host.ends_with("amazonaws.com.cn")
}

pub(super) fn judge(subject: &Subject<'_>, driver: &Driver) -> Vec<Finding> {
    // An address that is set but not shown, or set where nobody sees it, may be anybody's.
    let mut findings = numbers::judge(subject, driver, numbers::S3);
    let gitlab = matches!(subject.settings.program, Program::Gitlab(_));
    let mut switches = vec!["secure", "skipverify", "encrypt", "v4auth"];
    if gitlab {
        findings.extend(numbers::judge(subject, driver, GITLABS_S3));
        switches.extend(["pathstyle", "parallelwalk", "objectownership", "checksum_disabled"]);
    }
    findings.extend(numbers::judge_switches(subject, driver, &switches));
    let rules: [fn(&Subject<'_>, &Driver) -> Option<Finding>; 15] = [
        no_bucket,
        |subject, driver| bucket_with_slash(subject, driver, "bucket"),
        region,
        scheme,
        bucket_twice,
        path_style,
        small_chunks,
        requests,
        encryption,
        signature,
        checksums,
        half_credentials,
        values,
        access_of_two_kinds,
        unverified,
    ];
    findings.extend(rules.iter().filter_map(|rule| rule(subject, driver)));
    findings.extend(misspelt(subject, driver));
    findings
}

fn no_bucket(subject: &Subject<'_>, driver: &Driver) -> Option<Finding> {
    missing(subject, driver, "bucket", "'NAME'")
}

/// A parameter that the registry does not start without.
pub(super) fn missing(
    subject: &Subject<'_>,
    driver: &Driver,
    name: &str,
    value: &str,
) -> Option<Finding> {
    if driver.has(name) {
        return None;
    }
    let path = [driver.name.as_str(), name];
    let code = match name {
        "region" => "no-region",
        "bucket" => "no-bucket",
        "container" => "no-container",
        _ => "no-account",
    };
    let message =
        format!("{} is not set: the registry does not start", subject.settings.spelled(&path));
    let finding = subject.startup(code, message, format!("no {name} parameter provided"));
    let finding = finding.evidence(subject.driver(driver));
    Some(subject.write(finding, &format!("the driver needs {name}"), &path, value))
}

/// A folder behind the name of the bucket, which Azure calls a container.
pub(super) fn bucket_with_slash(
    subject: &Subject<'_>,
    driver: &Driver,
    parameter: &str,
) -> Option<Finding> {
    let bucket = driver.get(parameter)?;
    let text = bucket.value.to_string();
    let inner = text.split_once("://").map_or(text.as_str(), |(_, inner)| inner).trim_matches('/');
    if !text.contains('/') {
        return None;
    }
    let path = [driver.name.as_str(), parameter];
    let message = format!(
        "'{text}' is no {parameter}: a {parameter}'s name holds no slash, and no folder goes with it"
    );
    let finding = subject
        .finding(Severity::Error, "bucket-with-slash", message)
        .evidence(subject.shown(&path, bucket));
    let (name, folder) = inner.split_once('/').unwrap_or((inner, ""));
    let finding =
        subject.write(finding, &format!("name the {parameter} alone"), &path, &format!("'{name}'"));
    if folder.is_empty() {
        return Some(finding);
    }
    let root = subject.spelled_where_written(&[&driver.name, "rootdirectory"]);
    let advice = format!("{} The folder is a setting of its own: {root}.", finding.remedy.advice);
    let commands = finding.remedy.commands.clone();
    Some(finding.remedy(advice, commands))
}

/// Needed in any case; without an endpoint it makes the address of the store.
fn region(subject: &Subject<'_>, driver: &Driver) -> Option<Finding> {
    if let Some(missing) = missing(subject, driver, "region", "'us-east-1'") {
        return Some(missing);
    }
    let region = driver.get("region")?;
    let text = region.value.to_string();
    if driver.has("regionendpoint") || looks_like_region(&text) {
        return None;
    }
    let path = [driver.name.as_str(), "region"];
    let message =
        format!("'{text}' is no region of Amazon's, and no regionendpoint names another store");
    let finding = subject
        .startup("unknown-region", message, format!("invalid region provided: {text}"))
        .evidence(subject.shown(&path, region));
    let path = [driver.name.as_str(), "regionendpoint"];
    Some(subject.write(
        finding,
        "a store of one's own has an address (and any region)",
        &path,
        "'https://STORE:9000'",
    ))
}

/// `eu-west-1`, `us-gov-west-1`, `us-isob-east-1`: new ones come every year.
fn looks_like_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    match &parts[..] {
        [area, words @ .., number] if !words.is_empty() => {
            (2..=4).contains(&area.len())
                && word(area)
                && words.iter().all(word)
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    }
}

fn scheme(subject: &Subject<'_>, driver: &Driver) -> Option<Finding> {
    let endpoint = driver.get("regionendpoint")?;
    let text = endpoint.value.to_string();
    if text.is_empty() || text.starts_with("http://") || text.starts_with("https://") {
        return None;
    }
    let path = [driver.name.as_str(), "regionendpoint"];
    let scheme = if is_on(driver, "secure", true) { "https" } else { "http" };
    let (severity, message) = if driver.name == "s3_v2" {
        (Severity::Error, format!("'{text}' has no scheme, and s3_v2 takes whole URLs only"))
    } else {
        let message = format!(
            "'{text}' has no scheme: s3 takes it for {scheme}, by the setting secure; s3_v2, which \
             takes its place, refuses it"
        );
        (Severity::Warning, message)
    };
    let finding = subject.finding(severity, "endpoint-without-scheme", message);
    let finding = finding.evidence(subject.shown(&path, endpoint));
    let rest = text.rsplit("//").next().unwrap_or(&text);
    let value = format!("'{scheme}://{}'", rest.trim_start_matches('/'));
    Some(subject.write(finding, "write the whole URL", &path, &value))
}

/// The bucket in the address of the store as well, as some stores show it for a bucket.
fn bucket_twice(subject: &Subject<'_>, driver: &Driver) -> Option<Finding> {
    let endpoint = driver.get("regionendpoint").filter(|_| !is_amazon(driver))?;
    let bucket = driver.text("bucket").filter(|it| !it.is_empty())?;
    let text = endpoint.value.to_string();
    let (scheme, rest) = text.split_once("://").unwrap_or(("https", &text));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let bare_host = host.strip_prefix(bucket.as_str()).and_then(|it| it.strip_prefix('.'));
    let in_path = path.trim_end_matches('/') == bucket;
    if bare_host.is_none() && !in_path {
        return None;
    }
    let path = [driver.name.as_str(), "regionendpoint"];
    let message = format!(
        "the bucket '{bucket}' stands in the address of the store as well: the registry asks there \
         for a bucket '{bucket}' once more"
    );
    let finding = subject.finding(Severity::Warning, "bucket-twice", message);
    let finding = finding.evidence(subject.shown(&path, endpoint));
    let value = format!("'{scheme}://{}'", bare_host.unwrap_or(host));
    Some(subject.write(finding, "name the store alone", &path, &value))
}

/// Whether `host/bucket/key` is asked for rather than `bucket.host/key`.
pub(super) fn uses_path_style(program: Program, driver: &Driver) -> bool {
    let own_endpoint = driver.has("regionendpoint");
    match program {
        Program::Gitlab(_) => is_on(driver, "pathstyle", own_endpoint),
        Program::Debian | Program::Unknown => own_endpoint,
    }
}

fn path_style(subject: &Subject<'_>, driver: &Driver) -> Option<Finding> {
    let amazon = is_amazon(driver);
    let path = [driver.name.as_str(), "pathstyle"];
    match subject.settings.program {
        Program::Gitlab(_) if amazon && uses_path_style(subject.settings.program, driver) => {
            let message = "buckets are asked for in the path, which Amazon means to give up";
            let finding = subject.finding(Severity::Notice, "path-style", message);
            let finding = match driver.get("pathstyle") {
                Some(set) => finding.evidence(subject.shown(&path, set)),
                None => finding.evidence(subject.driver(driver)),
            };
            Some(subject.write(
                finding,
                "Amazon wants the bucket in the host's name",
                &path,
                "false",
            ))
        }
        // With the network the name that comes of it is looked up, see `endpoint`.
        Program::Unknown if !amazon && !is_on(driver, "forcepathstyle", false) => {
            let path = [driver.name.as_str(), "forcepathstyle"];
            let message = "Distribution 3 asks for 'bucket.host' unless it is told otherwise, and \
                           most stores of one's own have no such name";
            let finding = subject.finding(Severity::Notice, "path-style", message);
            let finding = finding.evidence(subject.driver(driver));
            Some(subject.write(finding, "before an update to Distribution 3", &path, "true"))
        }
        _ => None,
    }
}

/// S3 makes an object of 10,000 parts at most.
fn small_chunks(subject: &Subject<'_>, driver: &Driver) -> Option<Finding> {
    let setting = driver.get("chunksize")?;
    let size = number(&setting.value).filter(|size| (PART.0..USUAL_PART).contains(size))?;
    let path = [driver.name.as_str(), "chunksize"];
    let message = format!(
        "no layer over {} can be pushed: S3 takes {PARTS} parts, and each holds {}",
        gibibytes(size.saturating_mul(PARTS)),
        mebibytes(size)
    );
    let finding = subject.finding(Severity::Notice, "small-chunks", message);
    let finding = finding.evidence(subject.shown(&path, setting));
    Some(subject.write(finding, "larger parts allow larger layers", &path, "25000000"))
}

fn gibibytes(bytes: i64) -> String {
    let tenths = bytes / ((1 << 30) / 10);
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

fn mebibytes(bytes: i64) -> String {
    let tenths = bytes / ((1 << 20) / 10);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

fn requests(subject: &Subject<'_>, driver: &Driver) -> Option<Finding> {
    let setting = driver.get("maxrequestspersecond")?;
    let path = [driver.name.as_str(), "maxrequestspersecond"];
    let number = number(&setting.value)?;
    let gitlab = !matches!(subject.settings.program, Program::Debian);
    let (severity, message) = match number {
        _ if !gitlab => {
            (Severity::Notice, "only GitLab's registry reads it; this one sets no limit".to_owned())
        }
        0 => {
            (Severity::Notice, "0 is no limit: a busy registry meets S3's own, and 503".to_owned())
        }
        1..10 => {
            let message = format!("{number} requests a second: pushes and cleanup will crawl");
            (Severity::Warning, message)
        }
        number if number > AMAZONS_LIMIT && is_amazon(driver) => {
            let message = format!(
                "{number} is more than the {AMAZONS_LIMIT} requests a second that Amazon answers \
                 for one prefix: it limits nothing"
            );
            (Severity::Notice, message)
        }
        _ => return None,
    };
    let finding = subject.finding(severity, "request-limit", message);
    let finding = finding.evidence(subject.shown(&path, setting));
    Some(if gitlab {
        subject.write(finding, "take what the store can do; this is the default", &path, "350")
    } else {
        subject.remove(finding, &path)
    })
}

/// Keys of one's own for the encryption in the store.
fn encryption(subject: &Subject<'_>, driver: &Driver) -> Option<Finding> {
    let foreign = |name: &str| name.starts_with("sse") || name.contains("customer");
    if let Some(asked) = driver.hidden.iter().find(|hidden| foreign(&hidden.value)) {
        let path = [driver.name.as_str(), asked.value.as_str()];
        let message = format!(
            "{} is read by no registry: encryption with keys that clients send (SSE-C) is not \
             supported",
            subject.settings.spelled(&path)
        );
        let finding = subject.finding(Severity::Warning, "customer-key", message);
        let finding = finding.evidence(subject.placed(&path, asked, "set, not shown"));
        return Some(subject.remove(finding, &path));
    }
    let key = driver.get("keyid").filter(|it| !it.value.to_string().is_empty())?;
    let path = [driver.name.as_str(), "keyid"];
    let encrypts = is_on(driver, "encrypt", false);
    if !encrypts {
        let message = "keyid is set, but encrypt is not: nothing is encrypted with that key";
        let finding = subject.finding(Severity::Warning, "key-without-encrypt", message);
        let finding = finding.evidence(subject.shown(&path, key));
        return Some(subject.remove(finding, &path));
    }
    if !matches!(subject.settings.program, Program::Gitlab(_)) {
        return None;
    }
    let message = "a key of one's own (CMK) is asked for, which GitLab does not support; the \
                   bucket's default encryption works without it";
    let finding = subject.finding(Severity::Warning, "customer-key", message);
    let finding = finding.evidence(subject.shown(&path, key));
    Some(subject.remove(finding, &path))
}

fn signature(subject: &Subject<'_>, driver: &Driver) -> Option<Finding> {
    let setting = driver.get("v4auth").filter(|it| numbers::switch(&it.value) == Some(false))?;
    let path = [driver.name.as_str(), "v4auth"];
    let finding = if driver.has("regionendpoint") {
        let message = "requests are signed in the old way (version 2), which GitLab 19 and \
                       Distribution 3 gave up";
        subject.finding(Severity::Warning, "signature-v2", message)
    } else {
        let words = "on Amazon S3 this storage driver can only be used with v4 authentication";
        subject.startup("signature-v2", "Amazon takes no signatures of version 2", words)
    };
    let finding = finding.evidence(subject.shown(&path, setting));
    Some(subject.write(finding, "let it sign with version 4", &path, "true"))
}

/// Newer checksums, which older stores refuse.
fn checksums(subject: &Subject<'_>, driver: &Driver) -> Option<Finding> {
    let off = is_on(driver, "checksum_disabled", false);
    if driver.name != "s3_v2" || is_amazon(driver) || off {
        return None;
    }
    let path = ["s3_v2", "checksum_disabled"];
    let message = "s3_v2 sends checksums that older stores other than Amazon's refuse: pushes fail \
                   there";
    let finding = subject.finding(Severity::Notice, "checksums", message);
    let finding = finding.evidence(subject.driver(driver));
    Some(subject.write(finding, "if pushes fail with 400 or 501", &path, "true"))
}

/// GitLab's registry leaves access to the bucket's owner, or sets it for each object.
fn access_of_two_kinds(subject: &Subject<'_>, driver: &Driver) -> Option<Finding> {
    let by_object = driver.get("objectacl")?;
    let gitlab = matches!(subject.settings.program, Program::Gitlab(_));
    if !gitlab || !is_on(driver, "objectownership", false) {
        return None;
    }
    let path = [driver.name.as_str(), "objectacl"];
    let message = "objectacl is set beside objectownership, which excludes it: the registry does \
                   not start";
    let words = "object ACL parameter should not be set when object ownership is enabled";
    let finding = subject.startup("access-contradicts", message, words);
    let finding = finding.evidence(subject.shown(&path, by_object));
    let owned = driver.get("objectownership").into_iter();
    let finding = owned.fold(finding, |finding, it| {
        finding.evidence(subject.shown(&[&driver.name, "objectownership"], it))
    });
    Some(subject.remove(finding, &path))
}

/// Over plain HTTP there is no certificate to look at.
fn unverified(subject: &Subject<'_>, driver: &Driver) -> Option<Finding> {
    let setting = driver.get("skipverify").filter(|it| numbers::switch(&it.value) == Some(true))?;
    if driver.text("regionendpoint").is_some_and(|it| it.starts_with("http://")) {
        return None;
    }
    let path = [driver.name.as_str(), "skipverify"];
    let message = "the registry takes whatever certificate the object store shows: whoever stands \
                   between them can read and change images";
    let finding = subject.finding(Severity::Warning, "certificate-unverified", message);
    let finding = finding.evidence(subject.shown(&path, setting));
    let why = "let the registry trust the store's CA (/etc/gitlab/trusted-certs), and verify";
    Some(subject.write(finding, why, &path, "false"))
}

fn half_credentials(subject: &Subject<'_>, driver: &Driver) -> Option<Finding> {
    let (has, lacks) = match (driver.has("accesskey"), driver.has("secretkey")) {
        (true, false) => ("accesskey", "secretkey"),
        (false, true) => ("secretkey", "accesskey"),
        _ => return None,
    };
    let path = [driver.name.as_str(), lacks];
    let message = format!(
        "{has} is set without {lacks}: the store refuses what it signs, or takes it for another's"
    );
    let finding = subject.finding(Severity::Error, "half-credentials", message);
    let finding = match driver.hidden.iter().find(|hidden| hidden.value == has) {
        Some(set) => finding.evidence(subject.placed(&[&driver.name, has], set, "set")),
        None => finding.evidence(subject.driver(driver)),
    };
    Some(subject.write(finding, "set both, or neither for the role of the machine", &path, "'...'"))
}

#[test]
fn regions_are_known_by_their_form() {
    for good in [
        "us-east-1",
        "eu-central-2",
        "us-gov-west-1",
        "us-isob-east-1",
        "ap-southeast-10",
        "eusc-de-east-1",
    ] {
        assert!(looks_like_region(good), "{good}");
    }
    for bad in [
        "",
        "minio",
        "your-s3-region",
        "us-east",
        "us-east-1a",
        "US-EAST-1",
        "mars-1",
        "default",
        "us--1",
    ] {
        assert!(!looks_like_region(bad), "{bad}");
    }
}

#[test]
fn sizes_are_told_in_tenths() {
    assert_eq!(gibibytes((5 << 20) * PARTS), "48.8 GiB");
    assert_eq!(mebibytes(5 << 20), "5.0 MiB");
}
