//! What a repository may be called.

use super::NameOddity;

/// What is odd about the path of a repository. Where it holds more than one oddity of a kind, that
/// kind is told once.
pub(super) fn oddities(repository: &str) -> impl Iterator<Item = NameOddity> {
    let any = |test: fn(&str) -> bool| repository.split('/').any(test);
    // What the registry does not look into cannot be refused by it.
    let hidden = any(|part| part.starts_with('_'));
    let refused = !hidden && any(|part| !is_component(part));
    let dashes = !hidden && !refused && any(|part| part.contains("--"));
    let told = [
        (hidden, NameOddity::Hidden),
        (refused, NameOddity::Refused),
        (dashes, NameOddity::DoubleDash),
    ];
    told.into_iter().filter(|(is, _)| *is).map(|(_, oddity)| oddity)
}

/// Whether clients take this for a part of a name:
/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, as the OCI specification says.
fn is_component(part: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends = part.starts_with(plain) && part.ends_with(plain);
    let mut between = part.split(plain).filter(|separator| !separator.is_empty());
    ends && between.all(|separator| {
        matches!(separator, "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
    })
}

#[test]
fn names_follow_the_specification() {
    for good in ["a", "0", "a.b", "a_b", "a__b", "a-b", "a--b", "a---b", "demo-app2"] {
        assert!(is_component(good), "{good}");
    }
    for bad in [
        "",
        "A",
        "aB",
        "-a",
        "a-",
        "_a",
        "a_",
        ".a",
        "a.",
        "a..b",
        "a___b",
        "a._b",
        "a-_b",
        "a b",
        "a+b",
        "\u{e9}",
        "\u{fffd}",
        "lost+found",
    ] {
        assert!(!is_component(bad), "{bad}");
    }
}

#[test]
fn each_oddity_is_told_once() {
    let told = |name: &str| oddities(name).collect::<Vec<_>>();
    assert_eq!(told("group/project"), []);
    assert_eq!(told("Group/Project"), [NameOddity::Refused]);
    assert_eq!(told("a--b/c--d"), [NameOddity::DoubleDash]);
    assert_eq!(told("a--b/c-"), [NameOddity::Refused]);
    assert_eq!(told("_group/Project"), [NameOddity::Hidden]);
    assert_eq!(told("group/"), [NameOddity::Refused]);
}
