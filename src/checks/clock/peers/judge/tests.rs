//! The judge at its bounds.

use super::*;

fn limits() -> Limits {
    Limits::new(1000, 5000)
}

/// A clock that is between so many milliseconds ahead of this one.
fn clock(role: Role, least_ms: i64, most_ms: i64) -> Known {
    let host = match role {
        Role::Gitlab => "git",
        Role::Registry => "registry",
        Role::ObjectStore => "s3",
    };
    let url = format!("https://{host}.test");
    Known {
        role,
        endpoint: Sourced::flag(Endpoint::parse(&url).unwrap(), "--url"),
        address: SocketAddr::from(([10, 0, 0, 1], 443)),
        skew: Skew { least_ms, most_ms },
        date: String::new(),
        passed_on: false,
    }
}

fn gitlab(ms: i64) -> Known {
    clock(Role::Gitlab, ms, ms)
}

fn registry(ms: i64) -> Known {
    clock(Role::Registry, ms, ms)
}

fn store(ms: i64) -> Known {
    clock(Role::ObjectStore, ms, ms)
}

/// A time server that says that this clock is `ms` behind, to a tenth of a second.
fn ntp(ms: i64) -> Ntp {
    Ntp { server: "ntp1".to_owned(), truth: Skew { least_ms: ms - 50, most_ms: ms + 50 } }
}

/// What was found, as `Severity code subject`.
fn found(known: &[Known], ntp: Option<&Ntp>) -> Vec<String> {
    let findings = judge(known, ntp, limits()).into_iter();
    findings.map(|it| format!("{:?} {} {}", it.severity, it.code, it.subject)).collect()
}

const REGISTRY: &str = "https://registry.test";

#[test]
fn clocks_that_may_agree_are_left_alone() {
    assert!(found(&[], None).is_empty());
    assert!(found(&[gitlab(0), registry(0)], None).is_empty());
    assert!(found(&[gitlab(999), registry(0)], None).is_empty());
    // The nearer end counts, however far the other one is.
    let vague = |role| clock(role, -500_000, 999);
    assert!(found(&[vague(Role::Gitlab), vague(Role::Registry)], None).is_empty());
    assert!(found(&[clock(Role::Gitlab, 999, 900_000)], None).is_empty());
}

#[test]
fn a_registry_that_is_behind_refuses_tokens_from_65_seconds_on() {
    let behind = |ms: i64| found(&[gitlab(0), registry(-ms)], None);
    assert_eq!(behind(1000), [format!("Warning registry-behind {REGISTRY}")]);
    assert_eq!(behind(65_000), [format!("Warning registry-behind {REGISTRY}")]);
    assert_eq!(behind(65_001), [format!("Error registry-behind {REGISTRY}")]);
    let ahead = |ms: i64| found(&[gitlab(0), registry(ms)], None);
    assert_eq!(ahead(90_000), [format!("Warning registry-ahead {REGISTRY}")]);
    assert_eq!(ahead(360_000), [format!("Warning registry-ahead {REGISTRY}")]);
    assert_eq!(ahead(360_001), [format!("Error registry-ahead {REGISTRY}")]);
    // Their difference is known to the sum of both doubts.
    let vague = clock(Role::Registry, -70_000, -65_499);
    assert_eq!(
        found(&[clock(Role::Gitlab, -499, 500), vague], None)[0],
        format!("Warning registry-behind {REGISTRY}")
    );
}

#[test]
fn only_what_breaks_tokens_explains_them() {
    let explains = |ms| judge(&[gitlab(0), registry(ms)], None, limits())[0].explains.clone();
    assert_eq!(explains(-66_000), [Cause::Tokens, Cause::Skew]);
    assert!(explains(-60_000).is_empty() && explains(90_000).is_empty());
}

#[test]
fn an_object_store_refuses_from_15_minutes_on() {
    let store = |ms| found(&[gitlab(0), registry(0), store(ms)], None);
    assert_eq!(store(900_000), ["Warning store-skew https://s3.test"]);
    assert_eq!(store(-900_001), ["Error store-skew https://s3.test"]);
}

#[test]
fn a_host_apart_from_both_is_one_finding() {
    let ahead = found(&[gitlab(-90_000), registry(-90_000)], None);
    assert_eq!(ahead, ["Warning host-skew https://git.test"]);
    assert_eq!(found(&[gitlab(900_001)], None), ["Error host-skew https://git.test"]);
    let finding = judge(&[gitlab(-90_000), registry(-90_500)], None, limits()).remove(0);
    assert_eq!(finding.message, "this clock is 90.0 s ahead of that of GitLab and of the registry");
    assert!(finding.explains.is_empty() && finding.follows.is_empty());
}

#[test]
fn a_time_server_tells_who_is_wrong() {
    let one = |known: &[Known], ntp: &Ntp| judge(known, Some(ntp), limits()).remove(0);
    // This clock is wrong, which clock/offset tells first.
    let ours = one(&[gitlab(90_000), registry(90_000)], &ntp(90_000));
    assert_eq!((ours.code, ours.follows), ("host-skew", vec![Cause::Clock]));
    // GitLab's is.
    let theirs = one(&[gitlab(90_000)], &ntp(0));
    assert_eq!((theirs.code, theirs.follows.len()), ("peer-skew", 0));
    assert!(theirs.remedy.advice.contains("the host of GitLab,"), "{}", theirs.remedy.advice);
    // The registry's is.
    let pair = one(&[gitlab(0), registry(-90_000)], &ntp(0));
    assert!(pair.remedy.advice.contains("the host of the registry,"), "{}", pair.remedy.advice);
    // A third opinion proves nothing.
    let neither = one(&[gitlab(90_000)], &ntp(30_000));
    assert_eq!((neither.code, neither.follows.len()), ("host-skew", 0));
}

#[test]
fn three_clocks_can_all_differ() {
    let found = found(&[gitlab(10_000), registry(-10_000)], None);
    assert_eq!(
        found,
        [
            "Warning registry-behind https://registry.test",
            "Warning host-skew https://git.test",
            "Warning host-skew https://registry.test",
        ]
    );
}

#[test]
fn a_proxys_clock_is_told_as_such() {
    let mut passed = gitlab(90_000);
    passed.passed_on = true;
    let finding = judge(&[passed], None, limits()).remove(0);
    assert!(finding.evidence[0].value.contains("or of a proxy before it"));
}
