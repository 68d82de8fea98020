//! Words for commands that are ready to paste.

use std::fmt::Write as _;

/// A word as a shell reads it back, quoted only where it must be. Names come from disks and can
/// hold anything; what would not show is written out, as bash and its kin read it.
pub(crate) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    if !text.chars().any(hidden) {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    let mut quoted = "$'".to_owned();
    for c in text.chars() {
        match c {
            '\'' | '\\' => quoted.extend(['\\', c]),
            c if hidden(c) => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(quoted, "\\x{byte:02x}");
                }
            }
            c => quoted.push(c),
        }
    }
    quoted + "'"
}

/// Converts a file: `command` ends where its new file is to be named, and `file` is a word. The new
/// one is copied over the old one, which keeps its owner and mode.
pub(super) fn convert(file: &str, command: &str) -> String {
    format!("sudo {command} {file}.new \\\n  && {}", put_over(file))
}

/// Copies `file.new` over `file`, which is a word. Nothing is copied unless something came of it: a
/// mistyped passphrase leaves the new file empty, and a pasted command does not wait to be told so.
pub(super) fn put_over(file: &str) -> String {
    format!(
        "sudo grep -q BEGIN {file}.new \\\n  && sudo cp {file}.new {file} \\\n  && sudo rm {file}.new"
    )
}

/// Control characters, and all that does not look like what it is.
fn hidden(c: char) -> bool {
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c, '\u{200b}'..='\u{200f}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[test]
fn plain_words_stay_plain() {
    assert_eq!(word("/var/opt/a-b_c.1"), "/var/opt/a-b_c.1");
    assert_eq!(word(""), "''");
    assert_eq!(word("v 2"), "'v 2'");
    assert_eq!(word("it's"), r"'it'\''s'");
    assert_eq!(word("$(reboot)"), "'$(reboot)'");
    assert_eq!(word("~"), "'~'");
}

#[test]
fn nothing_hidden_is_pasted() {
    assert_eq!(word("a\nb"), r"$'a\x0ab'");
    assert_eq!(word("a\u{202e}'b\\"), r"$'a\xe2\x80\xae\'b\\'");
}
