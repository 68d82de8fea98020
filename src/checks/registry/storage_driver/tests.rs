//! Settings as people write them, and what is said of them.

use super::*;
use crate::checks::Severity::{Error, Notice, Warning};
use crate::checks::{Cause, Severity};
use crate::install::storage::{Program, StorageSettings};

pub(in crate::checks::registry) const LATEST: Program = Program::Gitlab(Some((18, 5)));

pub(in crate::checks::registry) fn settings(storage: &str, program: Program) -> StorageSettings {
    let yml = crate::parse::registry_yml::read(format!("storage: {storage}").as_bytes()).unwrap();
    StorageSettings {
        storage: yml.storage,
        path: "/var/opt/gitlab/registry/config.yml".into(),
        written_only: false,
        program,
        has_redis: false,
    }
}

/// All findings on what is written, without any look.
fn findings(storage: &str, program: Program) -> Vec<Finding> {
    let settings = settings(storage, program);
    let keeper = if program == Program::Debian { Keeper::Systemd } else { Keeper::Package };
    let subject =
        Subject { settings: &settings, keeper, service: Some("127.0.0.1:5000".to_owned()) };
    let mut findings = sections::judge(&subject);
    if let [driver] = &settings.storage.drivers[..] {
        findings.extend(judge(&subject, driver));
    }
    findings
}

fn codes(storage: &str, program: Program) -> Vec<(Severity, &'static str)> {
    findings(storage, program).iter().map(|it| (it.severity, it.code)).collect()
}

/// On GitLab's registry.
fn on_gitlab(storage: &str) -> Vec<(Severity, &'static str)> {
    codes(storage, LATEST)
}

/// Parameters besides those that every S3 driver needs.
fn s3(more: &str) -> String {
    format!("{{s3: {{region: eu-west-1, bucket: images, accesskey: a, secretkey: b, {more}}}}}")
}

#[test]
fn sound_settings_pass() {
    let minio = "regionendpoint: 'https://minio.test:9000'";
    for sound in [
        "{filesystem: {rootdirectory: /data, maxthreads: 10}, cache: {blobdescriptor: inmemory}, delete: {enabled: true}}",
        "filesystem",
        "{filesystem: , redirect: {disable: true}}",
        "{gcs: {bucket: b, keyfile: /k, chunksize: 5242880}}",
        "{azure: {accountname: a, accountkey: b, container: c, trimlegacyrootprefix: true}}",
        "{filesystem: {}, maintenance: {readonly: {enabled: false}, uploadpurging: {enabled: true, age: 168h, interval: 24h, dryrun: false}}}",
        "{filesystem: {}, maintenance: {readonly: {}, uploadpurging: {enabled: false}}}",
        &s3(""),
        &s3(minio),
        &s3("regionendpoint: 'http://minio.test:9000', skipverify: true"),
        &s3("regionendpoint: 'https://gateway.test/s3/'"),
        &s3("regionendpoint: 'https://imagestore.test'"),
        &s3("objectacl: private, objectownership: false"),
        &s3(&format!("{minio}, pathstyle: true, region: us-east-1, secure: true, v4auth: 'true'")),
        &s3("pathstyle: false, chunksize: '25000000', maxrequestspersecond: 350, encrypt: true"),
        &s3(
            "regionendpoint: 'https://bucket.vpce-1.s3.eu-west-1.vpce.amazonaws.com', pathstyle: false",
        ),
        "{s3: {region: eu-west-1, bucket: images}}",
    ] {
        assert_eq!(on_gitlab(sound), [], "{sound}");
    }
    assert_eq!(codes("{swift: {container: c}}", Program::Debian), []);
}

#[test]
fn what_a_check_of_its_own_tells_follows_from_that() {
    for (maintenance, cause) in [
        ("{readonly: true}", "readonly"),
        ("{readonly: {enabled: 'true'}}", "readonly"),
        ("{uploadpurging: {enabled: true}}", "uploadpurging"),
    ] {
        let storage = format!("{{filesystem: {{}}, maintenance: {maintenance}}}");
        let cause = Cause::Refusal(format!("registry storage.maintenance.{cause}"));
        let found = findings(&storage, LATEST);
        let found = found.iter().find(|it| it.follows.contains(&cause)).unwrap();
        // That check may not be in the run, and this lies deeper than what it explains.
        let [startup @ Cause::Startup(_)] = &found.explains[..] else { panic!("{found:?}") };
        assert!(cause < *startup);
    }
}

#[test]
fn folders_do_not_belong_into_the_name_of_a_container() {
    for storage in [
        "{azure: {accountname: a, accountkey: b, container: c/d, trimlegacyrootprefix: true}}",
        "{gcs: {bucket: 'gs://c/d'}}",
    ] {
        let found = findings(storage, LATEST);
        let found = found.iter().find(|it| it.code == "bucket-with-slash").unwrap();
        assert_eq!(found.severity, Error, "{storage}");
        assert!(found.remedy.advice.contains("= 'c' in"), "{}", found.remedy.advice);
    }
}

#[test]
fn what_keeps_the_registry_from_starting_explains_that() {
    for (storage, code) in [
        ("{delete: {enabled: true}}", "no-driver"),
        ("{filesystem: {rootdirectory: /d}, s3: {bucket: b, region: eu-west-1}}", "two-drivers"),
        ("{filesystem: {}, s3: {region: eu-west-1, bucket: b}}", "two-drivers"),
        ("{filesystem: {}, tag: {concurrencylimit: 8}}", "two-drivers"),
        ("{minio: {bucket: b}}", "unknown-driver"),
        ("{swift: {container: b}}", "removed-driver"),
        ("{oss: {bucket: b}}", "removed-driver"),
        ("{filesystem: /data}", "not-a-section"),
        ("{filesystem: {}, delete: true}", "not-a-section"),
        ("{filesystem: {}, redirect: true}", "not-a-section"),
        ("{filesystem: {}, maintenance: {readonly: }}", "not-a-section"),
        ("{filesystem: {}, redirect: {disable: 'true'}}", "not-boolean"),
        ("{filesystem: {}, cache: {blobdescriptor: redis}}", "cache-without-redis"),
        ("{filesystem: {maxthreads: many}}", "number-refused"),
        ("{s3: {region: eu-west-1}}", "no-bucket"),
        ("{s3: {bucket: b}}", "no-region"),
        ("{s3: {bucket: b, region: ''}}", "no-region"),
        ("{s3: {bucket: b, region: minio}}", "unknown-region"),
        (&s3("chunksize: 4194304"), "chunk-size"),
        (&s3("chunksize: 5M"), "chunk-size"),
        (&s3("chunksize: 1e7"), "chunk-size"),
        (&s3("chunksize: 53687091200"), "chunk-size"),
        (&s3("multipartcopychunksize: 1000"), "number-refused"),
        (&s3("multipartcopymaxconcurrency: 0"), "number-refused"),
        (&s3("maxrequestspersecond: lots"), "number-refused"),
        (&s3("secure: maybe"), "not-boolean"),
        (&s3("pathstyle: 1"), "not-boolean"),
        (&s3("v4auth: false"), "signature-v2"),
        (&s3("objectacl: private, objectownership: true"), "access-contradicts"),
        (&s3("storageclass: COLD"), "value-refused"),
        ("{gcs: {keyfile: /k}}", "no-bucket"),
        ("{gcs: {bucket: b, chunksize: 5000000}}", "chunk-size"),
        ("{azure: {accountname: a, accountkey: b}}", "no-container"),
        (
            "{azure: {accountname: a, accountkey: b, container: c, trimlegacyrootprefix: true, legacyrootprefix: true}}",
            "root-prefix",
        ),
    ] {
        let found = findings(storage, LATEST);
        let found = found.iter().find(|it| it.severity == Error);
        let found = found.unwrap_or_else(|| panic!("nothing on {storage}"));
        assert_eq!(found.code, code, "{storage}");
        assert_eq!(found.explains, [Cause::Startup("127.0.0.1:5000".to_owned())], "{storage}");
        assert_eq!(found.evidence[0].what, "the registry says");
        assert!(!found.remedy.advice.is_empty(), "{storage}");
    }
}

#[test]
fn what_works_today_or_only_fails_later_is_told_too() {
    let own = "regionendpoint: 'http://minio.test:9000'";
    for (storage, expected) in [
        ("{inmemory: {}}", (Error, "in-memory")),
        ("{s3: {region: eu-west-1, bucket: 'images/registry'}}", (Error, "bucket-with-slash")),
        (&s3("regionendpoint: 'minio.test:9000'"), (Warning, "endpoint-without-scheme")),
        (&s3("chunksize: 5242880"), (Notice, "small-chunks")),
        (&s3("pathstyle: true"), (Notice, "path-style")),
        (&s3("regionendpoint: 'https://minio.test:9000/images/'"), (Warning, "bucket-twice")),
        (&s3("regionendpoint: 'https://images.minio.test:9000'"), (Warning, "bucket-twice")),
        (&s3("skipverify: true"), (Warning, "certificate-unverified")),
        (&s3("maxrequestspersecond: 0"), (Notice, "request-limit")),
        (&s3("maxrequestspersecond: 2"), (Warning, "request-limit")),
        (&s3("maxrequestspersecond: 100000"), (Notice, "request-limit")),
        (&s3("encrypt: true, keyid: 'arn:aws:kms:x'"), (Warning, "customer-key")),
        (&s3("keyid: 'arn:aws:kms:x'"), (Warning, "key-without-encrypt")),
        (&s3("ssecustomerkey: hush"), (Warning, "customer-key")),
        (&s3(&format!("{own}, v4auth: false")), (Warning, "signature-v2")),
        ("{s3: {region: eu-west-1, bucket: b, accesskey: a}}", (Error, "half-credentials")),
        (
            "{s3_v2: {region: us-east-1, bucket: b, regionendpoint: 'minio.test:9000'}}",
            (Error, "endpoint-without-scheme"),
        ),
        (
            "{s3_v2: {region: us-east-1, bucket: b, regionendpoint: 'https://minio.test:9000'}}",
            (Notice, "checksums"),
        ),
        ("{azure: {accountname: a, accountkey: b, container: c}}", (Notice, "root-prefix")),
        (
            "{azure: {accountname: a, accountkey: b, container: c, trimlegacyrootprefix: false}}",
            (Notice, "root-prefix"),
        ),
    ] {
        assert!(on_gitlab(storage).contains(&expected), "{storage}: {:?}", on_gitlab(storage));
    }
    let rails = "{s3: {region: eu-west-1, bucket: b, aws_access_key_id: hush, aws_secret_access_key: hush, endpoint: 'http://x'}}";
    assert_eq!(on_gitlab(rails), [(Warning, "misspelt-parameter"); 3]);
    assert!(!format!("{:?}", findings(rails, LATEST)).contains("hush"));
}

#[test]
fn each_registry_has_its_own_drivers() {
    let s3_v2 = "{s3_v2: {region: eu-west-1, bucket: b}}";
    assert_eq!(on_gitlab(s3_v2), []);
    assert_eq!(codes(s3_v2, Program::Gitlab(Some((17, 9)))), [(Error, "unknown-driver")]);
    assert_eq!(codes(s3_v2, Program::Debian), [(Error, "unknown-driver")]);
    assert_eq!(codes(s3_v2, Program::Unknown), [(Warning, "unknown-driver")]);
    let swift = "{swift: {container: c}}";
    assert_eq!(codes(swift, Program::Gitlab(Some((16, 11)))), [(Warning, "removed-driver")]);
    assert_eq!(codes(swift, Program::Unknown), [(Warning, "removed-driver")]);
    assert_eq!(codes("{gcs: {bucket: b}}", Program::Debian), [(Error, "unknown-driver")]);
    let own = s3("regionendpoint: 'http://minio.test:9000'");
    assert_eq!(codes(&own, Program::Debian), []);
    assert_eq!(codes(&own, Program::Unknown), [(Notice, "path-style")]);
}

#[test]
fn the_remedy_is_in_the_language_of_the_file() {
    let region = "{s3: {bucket: b}}";
    let advice = |program| findings(region, program)[0].remedy.clone();
    assert_eq!(
        advice(LATEST).advice,
        "The driver needs region: write registry['storage']['s3']['region'] = 'us-east-1' in \
         /etc/gitlab/gitlab.rb and reconfigure."
    );
    assert!(advice(Program::Debian).advice.contains("write storage.s3.region: 'us-east-1' in"));
}

#[test]
fn all_variables_of_a_driver_have_to_go() {
    use crate::parse::registry_yml::{Variables, read_with};
    let advice = |variables: &[(&str, &str)]| {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let values = variables.iter().map(owned).collect();
        let variables = Variables { values, reach_into_lists: false };
        let storage = read_with(b"storage: {filesystem: {}}", &variables).unwrap().storage;
        let settings = StorageSettings { storage, ..settings("filesystem", Program::Debian) };
        let subject = Subject { settings: &settings, keeper: Keeper::Systemd, service: None };
        let [found] = &sections::judge(&subject)[..] else { panic!("one finding") };
        assert_eq!((found.code, found.remedy.commands.len()), ("two-drivers", 2));
        // No variable stands there.
        assert!(!found.remedy.commands[0].contains("config.yml"));
        found.remedy.advice.clone()
    };
    let several =
        advice(&[("REGISTRY_STORAGE_S3_BUCKET", "b"), ("REGISTRY_STORAGE_S3_REGION", "r")]);
    assert!(several.starts_with("Take every REGISTRY_STORAGE_S3* out"), "{several}");
    let whole = advice(&[("REGISTRY_STORAGE", "{filesystem: {}, s3: {bucket: b}}")]);
    assert!(whole.starts_with("Take REGISTRY_STORAGE out"), "{whole}");
}
