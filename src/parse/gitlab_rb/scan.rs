//! What the bytes tell before and beside the grammar.

/// Files longer than this are not parsed. The template of all settings has 160 KB.
pub(super) const LONGEST_FILE: usize = 1 << 20;

/// Brackets inside brackets.
const DEEPEST: usize = 500;
/// `!!!!x` and `- - - 1`: the parser's time grows with the square of such a row.
const LONGEST_PREFIX: usize = 500;
/// Digits of one number, which the parser converts in quadratic time.
const LONGEST_NUMBER: usize = 4096;
/// `a and b and c`: the parser recurses once for each, without a limit of its own.
const MOST_LOGICAL: usize = 50_000;

/// Where the bytes get too deep for a recursive parser, or too laborious.
///
/// Strings and comments count like code, which is harmless with limits this far from real files.
pub(super) fn too_deep(bytes: &[u8]) -> Option<usize> {
    let (mut depth, mut prefix, mut number, mut logical) = (0_usize, 0_usize, 0_usize, 0_usize);
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match byte {
            b'!' | b'-' | b'+' | b'~' => prefix += 1,
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => prefix = 0,
        }
        number = if byte.is_ascii_digit() || byte == b'_' { number + 1 } else { 0 };
        if ends_logical_operator(bytes, at) {
            logical += 1;
        }
        if depth > DEEPEST
            || prefix > LONGEST_PREFIX
            || number > LONGEST_NUMBER
            || logical > MOST_LOGICAL
        {
            return Some(at);
        }
    }
    None
}

fn ends_logical_operator(bytes: &[u8], at: usize) -> bool {
    let read = &bytes[..=at];
    [b"&&".as_slice(), b"||", b"and", b"or", b"not"].iter().any(|operator| read.ends_with(operator))
}

/// A character that word processors and web pages put where Ruby wants another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OddCharacter {
    /// A typographic quotation mark. To Ruby it is a letter.
    SmartQuote,
    /// A non-breaking space. To Ruby it is a letter.
    NonBreakingSpace,
    /// A character of no width. To Ruby it is a letter.
    ZeroWidth,
    /// A byte order mark. Ruby skips it at the start of a file, and there only.
    ByteOrderMark,
}

/// The odd characters with their offsets.
pub(super) fn odd_characters(bytes: &[u8]) -> impl Iterator<Item = (usize, OddCharacter)> + '_ {
    bytes.iter().enumerate().filter(|(_, byte)| **byte >= 0xc2).filter_map(|(at, _)| {
        let odd = match *bytes.get(at..)? {
            [0xc2, 0xa0, ..] | [0xe2, 0x80, 0xaf, ..] => OddCharacter::NonBreakingSpace,
            [0xe2, 0x80, 0x98..=0x9f, ..] => OddCharacter::SmartQuote,
            [0xe2, 0x80, 0x8b..=0x8f, ..] => OddCharacter::ZeroWidth,
            [0xef, 0xbb, 0xbf, ..] => OddCharacter::ByteOrderMark,
            _ => return None,
        };
        Some((at, odd))
    })
}

/// Left-over placeholders like `<REPLACE_ME>`, as ranges.
pub(super) fn placeholders(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> + '_ {
    let starts = bytes.windows(2).enumerate();
    starts.filter(|(_, pair)| pair[0] == b'<' && pair[1].is_ascii_uppercase()).filter_map(
        move |(start, _)| {
            let name = bytes.get(start + 1..)?;
            let length = name.iter().take(64).position(|byte| !is_placeholder_byte(*byte))?;
            (length >= 3 && name.get(length) == Some(&b'>'))
                .then(|| (start, &bytes[start..start + length + 2]))
        },
    )
}

fn is_placeholder_byte(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte == b'_' || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_bytes_are_refused_and_ordinary_ones_are_not() {
        assert_eq!(too_deep("[".repeat(100_000).as_bytes()), Some(500));
        assert_eq!(too_deep("! ".repeat(501).as_bytes()), Some(1000));
        assert_eq!(too_deep("9".repeat(5000).as_bytes()), Some(4096));
        assert!(too_deep("a && ".repeat(60_000).as_bytes()).is_some());
        assert!(too_deep("a and ".repeat(60_000).as_bytes()).is_some());
        assert_eq!(too_deep("[]".repeat(100_000).as_bytes()), None);
    }

    #[test]
    fn odd_characters_have_their_offsets() {
        let text = "\u{feff}a \u{2018}b\u{a0}\u{200b}";
        let found: Vec<_> = odd_characters(text.as_bytes()).collect();
        assert_eq!(
            found,
            [
                (0, OddCharacter::ByteOrderMark),
                (5, OddCharacter::SmartQuote),
                (9, OddCharacter::NonBreakingSpace),
                (11, OddCharacter::ZeroWidth),
            ]
        );
    }

    #[test]
    fn placeholders_are_upper_case_in_angle_brackets() {
        let found: Vec<_> = placeholders(b"a <REPLACE_ME> <<EOS <b> <A> x<YOUR-HOST>").collect();
        assert_eq!(found, [(2, b"<REPLACE_ME>".as_slice()), (30, b"<YOUR-HOST>".as_slice())]);
    }
}
