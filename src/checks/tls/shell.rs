//! Paths and names in commands that an administrator pastes into a shell.

use std::borrow::Cow;

/// The word as a shell takes it for one word and nothing else.
pub(super) fn quoted(word: &str) -> Cow<'_, str> {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%=".contains(c);
    if !word.is_empty() && word.chars().all(harmless) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
    }
}

#[test]
fn what_a_shell_would_read_is_quoted() {
    assert_eq!(
        quoted("/etc/gitlab/ssl/my-host.internal.crt"),
        "/etc/gitlab/ssl/my-host.internal.crt"
    );
    assert_eq!(quoted("a b"), "'a b'");
    assert_eq!(quoted("it's; rm -r *"), r"'it'\''s; rm -r *'");
    assert_eq!(quoted(""), "''");
}
