//! What a repository may be called.

use super::NameOddity;
use crate::parse::image_name::{ImageNameOddity, oddity};

/// What is odd about the path of a repository, if anything is: the worst of it.
pub(super) fn oddity_of(repository: &str) -> Option<NameOddity> {
    // What the registry does not look into cannot be refused by it.
    if repository.split('/').any(|part| part.starts_with('_')) {
        return Some(NameOddity::Hidden);
    }
    oddity(repository).map(|oddity| match oddity {
        ImageNameOddity::Refused => NameOddity::Refused,
        ImageNameOddity::DoubleDash => NameOddity::DoubleDash,
    })
}

#[test]
fn the_worst_is_told() {
    assert_eq!(oddity_of("group/project"), None);
    assert_eq!(oddity_of("Group/Project"), Some(NameOddity::Refused));
    assert_eq!(oddity_of("a--b/c--d"), Some(NameOddity::DoubleDash));
    assert_eq!(oddity_of("a--b/c-"), Some(NameOddity::Refused));
    assert_eq!(oddity_of("_group/Project"), Some(NameOddity::Hidden));
    assert_eq!(oddity_of("group/"), Some(NameOddity::Refused));
}
