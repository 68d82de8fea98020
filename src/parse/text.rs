//! What every configuration file is checked for before a parser sees it.

use super::Malformed;

/// The largest configuration file that is read, in bytes.
///
/// Real ones stay below 200 KB. The limit keeps a mistaken path (a log, a disk image) from
/// costing minutes.
const LARGEST: usize = 4 << 20;

/// Nesting that no real file comes near. The YAML library takes quadratic time in the depth of
/// brackets, so it must not see more than this.
const DEEPEST: u32 = 256;

/// The bytes as text, or the line of the first byte that is not UTF-8.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, Malformed> {
    if bytes.len() > LARGEST {
        return Err(Malformed::new(None, "larger than any configuration file (4 MiB)"));
    }
    std::str::from_utf8(bytes)
        .map_err(|error| Malformed::new(line_of(bytes, error.valid_up_to()), "not UTF-8 text"))
}

/// The text without the byte order mark that some Windows editors put first.
pub(super) fn without_byte_order_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Refuses text whose brackets nest deeper than any configuration.
///
/// Brackets in strings and comments count too. They would have to be hundreds and unbalanced to
/// matter, and a scan that knew about strings would have to know each format's rules for them.
pub(super) fn refuse_deep_brackets(text: &str) -> Result<(), Malformed> {
    let mut depth = 0_u32;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err(Malformed::new(line_of(text.as_bytes(), at), "nested too deeply"));
        }
    }
    Ok(())
}

/// The line, counted from 1, that holds the byte at `offset`.
pub(super) fn line_of(bytes: &[u8], offset: usize) -> u32 {
    let before = &bytes[..offset.min(bytes.len())];
    u32::try_from(before.split(|byte| *byte == b'\n').count()).unwrap_or(u32::MAX)
}

/// A line number from a parser that counts in `usize`, counted from 1.
pub(super) fn line_number(line: usize) -> Option<u32> {
    u32::try_from(line).ok().filter(|line| *line > 0)
}

#[test]
fn a_stray_byte_is_told_with_its_line() {
    let refused = utf8(b"one\ntwo \xff\n").unwrap_err();
    assert_eq!(refused, Malformed::new(2, "not UTF-8 text"));
}

#[test]
fn deep_brackets_are_refused_and_balanced_ones_are_not() {
    assert!(refuse_deep_brackets(&"[]".repeat(100_000)).is_ok());
    let refused = refuse_deep_brackets(&format!("\n{}", "[".repeat(300))).unwrap_err();
    assert_eq!(refused.line, Some(2));
}

#[test]
fn a_disk_image_is_not_a_configuration_file() {
    assert!(utf8(&vec![b' '; LARGEST]).is_ok());
    assert!(utf8(&vec![b' '; LARGEST + 1]).is_err());
}
