//! Durations as programs written in Go read them: `168h`, `1h30m`, `500ms`.

/// The units, with their length in nanoseconds. Longer names come before those they begin with.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The duration in nanoseconds; `None` where Go refuses the text. There is no unit longer than an
/// hour, and only zero may do without one.
pub(crate) fn nanoseconds(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = after.strip_prefix('.').map_or(("", after), digits);
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let (unit, length) = UNITS
            .iter()
            .filter(|(unit, _)| after.starts_with(unit))
            .max_by_key(|(unit, _)| unit.len())?;
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total.checked_add(whole.checked_mul(*length)?)?;
        total = total.checked_add(part_of(fraction, *length))?;
        rest = &after[unit.len()..];
    }
    i64::try_from(total.checked_mul(sign)?).ok()
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// What the digits behind a point come to; those too small for nanoseconds count for nothing.
fn part_of(digits: &str, unit: i128) -> i128 {
    let mut scale = unit;
    let mut sum = 0;
    for digit in digits.bytes().take(13) {
        // The units are no powers of ten, so a remainder is carried in the scale until it is gone.
        sum += scale * i128::from(digit - b'0') / 10;
        scale /= 10;
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("168h", Some(604_800_000_000_000)),
            ("1h30m", Some(5_400_000_000_000)),
            ("1.5s", Some(1_500_000_000)),
            (".5m", Some(30_000_000_000)),
            ("500ms", Some(500_000_000)),
            ("10\u{b5}s", Some(10_000)),
            ("-2ns", Some(-2)),
            ("+2m", Some(120_000_000_000)),
            ("5.s", Some(5_000_000_000)),
            ("0", Some(0)),
            ("7d", None),
            ("10", None),
            ("", None),
            ("h", None),
            ("ten", None),
            ("-", None),
            (".s", None),
            ("5x", None),
            ("5 s", None),
            ("5s3", None),
            ("1.2.3s", None),
            (" 1s", None),
            ("1s ", None),
            ("99999999999999999999h", None),
            ("3000000h", None),
        ] {
            assert_eq!(nanoseconds(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*|[-+.0-9hmnsu\u{b5}]{0,60}") {
            let _ = nanoseconds(&text);
        }
    }
}
