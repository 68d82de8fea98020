//! Which names images can have.

use serde::{Deserialize, Serialize};

/// What can be odd about the name of an image, without the registry's own name before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageNameOddity {
    /// A part of it is nothing that a client can ask for.
    Refused,
    /// A part of it holds several dashes in a row, which is a good name all the same.
    DoubleDash,
}

/// What is odd about a name, if anything is.
pub fn oddity(name: &str) -> Option<ImageNameOddity> {
    if !name.split('/').all(is_component) {
        return Some(ImageNameOddity::Refused);
    }
    name.contains("--").then_some(ImageNameOddity::DoubleDash)
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

/// The name that GitLab gives to the images of a project: its path in small letters.
pub fn of_project(path: &str) -> String {
    path.to_lowercase()
}

/// The first part of a project's path that cannot be a part of an image name.
pub fn refused_part(path: &str) -> Option<&str> {
    path.split('/').find(|part| !is_component(&of_project(part)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
    fn every_part_of_a_name_counts() {
        assert_eq!(oddity("group/project"), None);
        assert_eq!(oddity("a--b/c--d"), Some(ImageNameOddity::DoubleDash));
        for bad in ["Group/project", "a--b/c-", "group/", "/group", "a//b", ""] {
            assert_eq!(oddity(bad), Some(ImageNameOddity::Refused), "{bad}");
        }
        assert_eq!(oddity(&of_project("Group/Project")), None);
        assert_eq!(refused_part("Group/_Tools/x-"), Some("_Tools"));
        assert_eq!(refused_part("Group/a--b"), None);
        // The Kelvin sign becomes a plain k, for Ruby as well.
        assert_eq!(of_project("\u{212a}"), "k");
    }

    proptest! {
        #[test]
        fn never_panics(any: String, near in "[aA0._/-]{0,20}") {
            let _ = oddity(&of_project(&any));
            let _ = oddity(&near);
        }
    }
}
