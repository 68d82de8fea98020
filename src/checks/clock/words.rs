//! Times in words.

/// How a clock differs from another one that is `offset_us` later.
pub(super) fn difference(offset_us: i64) -> String {
    let direction = if offset_us < 0 { "ahead" } else { "behind" };
    format!("{} {direction}", span(offset_us.unsigned_abs()))
}

/// The same with the other one's name.
pub(super) fn compared(offset_us: i64, other: &str) -> String {
    let of = if offset_us < 0 { " of" } else { "" };
    format!("{}{of} {other}", difference(offset_us))
}

/// A duration in microseconds as people say it, rounded to what matters.
pub(super) fn span(us: u64) -> String {
    let us = us.saturating_add(unit(us) / 2) / unit(us) * unit(us);
    let seconds = us / 1_000_000;
    match seconds {
        0..10 => format!("{seconds}.{:03} s", us % 1_000_000 / 1000),
        10..600 => format!("{seconds}.{} s", us % 1_000_000 / 100_000),
        600..7200 => format!("{} min {} s", seconds / 60, seconds % 60),
        7200..172_800 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A margin of error in microseconds, never understated.
pub(super) fn margin(us: u64) -> String {
    span(us.div_ceil(unit(us)).saturating_mul(unit(us)))
}

/// The least that a duration in microseconds can be, never overstated.
pub(super) fn at_least(us: u64) -> String {
    span(us / unit(us) * unit(us))
}

/// The smallest step that is told of a duration.
fn unit(us: u64) -> u64 {
    match us / 1_000_000 {
        0..10 => 1000,
        10..600 => 100_000,
        600..7200 => 1_000_000,
        7200..172_800 => 60_000_000,
        _ => 3_600_000_000,
    }
}

/// What a clock that is this far off breaks.
pub(super) fn consequences(offset_us: i64) -> String {
    let table = [
        (900, "requests to object stores (refused from 15 minutes on)"),
        (
            60,
            "login to a registry on another host (tokens issued more than 60 s in the future are \
             refused)",
        ),
        (30, "two-factor authentication (codes last 30 s)"),
    ];
    let off = offset_us.unsigned_abs() / 1_000_000;
    let mut broken: Vec<_> =
        table.iter().filter(|(limit, _)| off >= *limit).map(|(_, what)| *what).collect();
    broken.push(if offset_us < 0 {
        "certificates and tokens made here are not yet valid elsewhere"
    } else {
        "certificates and tokens made elsewhere are not yet valid here"
    });
    broken.join("; ")
}

#[test]
fn durations_are_rounded_to_what_matters() {
    assert_eq!(span(499), "0.000 s");
    assert_eq!(span(1_234_567), "1.235 s");
    assert_eq!(span(9_999_900), "10.0 s");
    assert_eq!(span(91_999_999), "92.0 s");
    assert_eq!(span(725_000_000), "12 min 5 s");
    assert_eq!(span(21_599_990_000), "6 h 0 min");
    assert_eq!(span(31_536_000_000_000), "365 d 0 h");
    assert_eq!(span(u64::MAX), "213503982 d 8 h");
}

#[test]
fn a_margin_is_rounded_up() {
    assert_eq!(margin(0), "0.000 s");
    assert_eq!(margin(1), "0.001 s");
    assert_eq!(margin(1_000_001), "1.001 s");
    assert_eq!(margin(10_200_001), "10.3 s");
    assert_eq!(margin(700_000_001), "11 min 41 s");
    assert_eq!(margin(u64::MAX), span(u64::MAX));
}

#[test]
fn the_least_is_rounded_down() {
    assert_eq!(at_least(1_999), "0.001 s");
    assert_eq!(at_least(89_099_999), "89.0 s");
    assert_eq!(at_least(u64::MAX), "213503982 d 8 h");
}

#[test]
fn a_server_that_is_later_means_a_clock_that_is_behind() {
    assert_eq!(difference(92_000_000), "92.0 s behind");
    assert_eq!(difference(-92_000_000), "92.0 s ahead");
    assert_eq!(compared(92_000_000, "ntp1"), "92.0 s behind ntp1");
    assert_eq!(compared(-92_000_000, "ntp1"), "92.0 s ahead of ntp1");
}

#[test]
fn what_breaks_follows_from_how_far_and_which_way() {
    assert!(!consequences(29_999_999).contains("two-factor"));
    assert!(consequences(30_000_000).contains("two-factor"));
    assert!(!consequences(-59_999_999).contains("registry"));
    assert!(consequences(-60_000_000).contains("registry"));
    assert!(consequences(-900_000_000).contains("object stores"));
    assert!(consequences(2_000_000).starts_with("certificates and tokens made elsewhere"));
    assert!(consequences(-2_000_000).starts_with("certificates and tokens made here"));
}
