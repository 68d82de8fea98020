//! Words that many checks share.

/// `a`, `a and b`, or `a, b and c`.
pub(super) fn listed(names: &[&str]) -> String {
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

#[test]
fn the_last_of_several_is_joined_with_a_word() {
    let listed = [&[][..], &["a"], &["a", "b"], &["a", "b", "c"]].map(listed);
    assert_eq!(listed, ["", "a", "a and b", "a, b and c"]);
}
