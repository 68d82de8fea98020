//! Lines of the system's log, as rsyslog writes them: `Nov 22 03:00:01 host CRON[1]: ...` or
//! `2026-11-22T03:00:01.123456+00:00 host CRON[1]: ...`.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Clocks are set, and lines wait in queues; none comes later than this after the file was written.
const AHEAD: SignedDuration = SignedDuration::from_hours(48);

/// One line, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// As written.
    pub stamp: Stamp,
    /// Who wrote it: `CRON[1234]`, `sudo`, `run-parts(/etc/cron.daily)[7]`.
    pub tag: &'a str,
    /// What stands behind the tag.
    pub message: &'a str,
}

/// When a line was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// RFC 3339.
    Full(Timestamp),
    /// The traditional form, which names no year and no zone.
    Yearless {
        /// From 1.
        month: i8,
        /// From 1.
        day: i8,
        /// Of the local clock.
        time: Time,
    },
}

impl<'a> Line<'a> {
    /// Reads a line; `None` if it is none of the system's log.
    pub fn read(line: &'a str) -> Option<Self> {
        let (stamp, rest) = stamp(line)?;
        let (_host, rest) = rest.trim_start().split_once(' ')?;
        let (tag, message) = rest.trim_start().split_once(": ")?;
        Some(Self { stamp, tag, message: message.trim_start() })
    }

    /// The program of the tag: `CRON`, `sudo`.
    pub fn program(&self) -> &'a str {
        self.tag.split(['[', '(']).next().unwrap_or_default()
    }
}

impl Stamp {
    /// The time on a host whose clock shows `zone`, in a file that was last written at `written`.
    /// A year that is not told is the latest that is not ahead of that, so that what is older than
    /// a year seems younger, never older.
    pub fn at(self, zone: &TimeZone, written: Timestamp) -> Option<Timestamp> {
        let Self::Yearless { month, day, time } = self else {
            let Self::Full(at) = self else { return None };
            return Some(at);
        };
        let limit = written.checked_add(AHEAD).ok()?;
        let latest = zone.to_datetime(limit).year();
        // The 29th of February is no day of most years; eight are enough to meet one.
        (0..=8).find_map(|back| {
            let date = Date::new(latest.checked_sub(back)?, month, day).ok()?;
            let at = zone.to_timestamp(date.to_datetime(time)).ok()?;
            (at <= limit).then_some(at)
        })
    }
}

/// The time at the beginning of a line, and what follows it.
fn stamp(line: &str) -> Option<(Stamp, &str)> {
    if line.starts_with(|c: char| c.is_ascii_digit()) {
        let (text, rest) = line.split_once(' ')?;
        // No line of another kind is parsed further than this.
        let at: Timestamp = text.get(..text.len().min(40))?.parse().ok()?;
        return Some((Stamp::Full(Timestamp::new(at.as_second(), 0).ok()?), rest));
    }
    // `Nov 22 03:00:01` and `Nov  2 03:00:01` are equally long.
    let (text, rest) = line.split_at_checked(15)?;
    let month = 1 + MONTHS.iter().position(|name| text.starts_with(name))?;
    let day = text.get(4..6)?.trim_start().parse().ok()?;
    let number = |at| text.get(at..at + 2)?.parse::<i8>().ok();
    let fits = text.as_bytes()[3] == b' '
        && text.as_bytes()[6] == b' '
        && text.as_bytes()[9] == b':'
        && text.as_bytes()[12] == b':';
    let time = Time::new(number(7)?, number(10)?, number(13)?, 0).ok()?;
    let is_day = (1..=31).contains(&day);
    let month = i8::try_from(month).ok()?;
    (fits && is_day && rest.starts_with(' '))
        .then_some((Stamp::Yearless { month, day, time }, rest))
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(line: &str, written: &str) -> String {
        let stamp = Line::read(line).unwrap().stamp;
        stamp.at(&TimeZone::UTC, written.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn lines_of_both_forms_are_taken_apart() {
        let old = Line::read("Nov  2 03:00:01 gitlab CRON[1234]: (root) CMD (x: y)").unwrap();
        assert_eq!((old.tag, old.message), ("CRON[1234]", "(root) CMD (x: y)"));
        assert_eq!(old.program(), "CRON");
        let new = "2026-11-22T03:00:01.123456+01:00 gitlab sudo:     bob : TTY=pts/0";
        let read = Line::read(new).unwrap();
        assert_eq!((read.program(), read.message), ("sudo", "bob : TTY=pts/0"));
        assert_eq!(at(new, "2000-01-01T00:00:00Z"), "2026-11-22T02:00:01Z");
        let parts = Line::read("Nov 22 03:00:01 h run-parts(/etc/cron.daily)[7]: starting x");
        assert_eq!(parts.unwrap().program(), "run-parts");
        for other in [
            "",
            "Nov 22 03:00:01",
            "Nov 22 03:00:61 h x: y",
            "Nov 42 03:00:01 h x: y",
            "Nov 22 03.00.01 h x: y",
            "Nov +2 03:00:01 h x",
            "2026-11-22 h x: y",
            "9999-99-99T99:99:99Z h x: y",
            "Foo 22 03:00:01 h x: y",
            "Növ 22 03:00:01 h x: y",
        ] {
            assert_eq!(Line::read(other), None, "{other}");
        }
    }

    #[test]
    fn the_year_is_the_latest_that_the_file_admits() {
        let line = |day: &str| format!("{day} 23:59:59 h x: y");
        let written = "2026-01-10T00:00:00Z";
        assert_eq!(at(&line("Jan 10"), written), "2026-01-10T23:59:59Z");
        assert_eq!(at(&line("Jan  9"), written), "2026-01-09T23:59:59Z");
        assert_eq!(at(&line("Jan 12"), written), "2025-01-12T23:59:59Z");
        assert_eq!(at(&line("Dec 31"), written), "2025-12-31T23:59:59Z");
        assert_eq!(at(&line("Feb 29"), written), "2024-02-29T23:59:59Z");
        assert_eq!(at(&line("Jan  1"), "2025-12-31T23:00:00Z"), "2026-01-01T23:59:59Z");
    }

    #[test]
    fn times_are_those_of_the_hosts_zone() {
        let stamp = Line::read("Nov 22 03:00:01 h x: y").unwrap().stamp;
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let written = "2026-11-22T12:00:00Z".parse().unwrap();
        assert_eq!(stamp.at(&zone, written).unwrap().to_string(), "2026-11-22T01:00:01Z");
    }

    proptest! {
        #[test]
        fn never_panics(any in "\\PC*", near in "(Nov|Feb|Jan)[ +]([0-9ü ]{2})[ ü][0-9:ü]{0,10}( |h|: |x){0,6}",
                        year in -9999i64..9999, full in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+Z-]{0,20} h x: y") {
            let written = Timestamp::from_second(year * 31_556_952).unwrap_or(Timestamp::MAX);
            for line in [any, near, full] {
                if let Some(read) = Line::read(&line) {
                    let _ = (read.stamp.at(&TimeZone::UTC, written), read.program());
                }
            }
        }
    }
}
