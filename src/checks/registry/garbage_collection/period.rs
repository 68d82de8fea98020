//! How often a schedule comes.

use std::ops::Range;

use jiff::civil::{Date, date};

use crate::host::files::GarbageRun;

/// As many days as are tried: every date and weekday meet in 28 years, and no two of the 29th of
/// February are further apart than four.
const DAYS: usize = 29 * 366;

/// The days of a calendar on which something comes.
struct Days {
    /// Of the month, from 0 for none.
    dates: Vec<bool>,
    months: Vec<bool>,
    /// From 0 for Sunday.
    weekdays: Vec<bool>,
    /// Whether either the date or the weekday is enough.
    either: bool,
}

/// The most days from one run to the next; `None` where that cannot be told.
pub(super) fn longest_gap(run: &GarbageRun) -> Option<u32> {
    if let Some(calendar) = &run.calendar {
        return of_timer(calendar);
    }
    match run.schedule.as_deref()? {
        "@hourly" | "@daily" | "@midnight" | "cron.hourly" | "cron.daily" => Some(1),
        "@weekly" | "cron.weekly" => Some(7),
        "@monthly" | "cron.monthly" => Some(31),
        "@yearly" | "@annually" => Some(366),
        fields => of_crontab(fields),
    }
}

/// The five fields of crontab(5).
fn of_crontab(schedule: &str) -> Option<u32> {
    let fields: Vec<_> = schedule.split(' ').collect();
    let [minute, hour, dates, months, weekdays] = fields[..] else { return None };
    values(minute, 0..60, &[])?;
    values(hour, 0..24, &[])?;
    let is_any = |field: &str| field.starts_with('*');
    let either = !is_any(dates) && !is_any(weekdays);
    let mut weekdays = values(weekdays, 0..8, &WEEKDAYS)?;
    // Both are Sunday.
    weekdays[0] |= weekdays[7];
    let months = values(months, 1..13, &MONTHS)?;
    gap(&Days { dates: values(dates, 1..32, &[])?, months, weekdays, either })
}

/// What systemd.time(7) calls a calendar event, in its usual forms.
fn of_timer(calendar: &str) -> Option<u32> {
    match calendar {
        "minutely" | "hourly" | "daily" => return Some(1),
        "weekly" => return Some(7),
        "monthly" => return Some(31),
        "quarterly" => return Some(92),
        "semiannually" => return Some(184),
        "yearly" | "annually" => return Some(366),
        _ => {}
    }
    let all = |limit| vec![true; limit];
    let mut days = Days { dates: all(32), months: all(13), weekdays: all(8), either: false };
    for word in calendar.split_whitespace() {
        if word.contains(':') || word == "UTC" {
            continue;
        }
        if let Some(dates) = word.strip_prefix("*-*-") {
            days.dates = values(&dates.replace("..", "-"), 1..32, &[])?;
        } else {
            days.weekdays = values(&word.replace("..", "-"), 0..8, &WEEKDAYS)?;
        }
    }
    gap(&days)
}

/// The most days between two that are chosen.
fn gap(days: &Days) -> Option<u32> {
    let is_chosen = |date: &Date| {
        let at = |chosen: &[bool], at: i8| {
            usize::try_from(at).is_ok_and(|at| chosen.get(at) == Some(&true))
        };
        let by_date = at(&days.dates, date.day());
        let by_weekday = at(&days.weekdays, date.weekday().to_sunday_zero_offset());
        let is_day = if days.either { by_date || by_weekday } else { by_date && by_weekday };
        is_day && at(&days.months, date.month())
    };
    let all = std::iter::successors(Some(date(2000, 1, 1)), |date| date.tomorrow().ok());
    let chosen = (0u32..).zip(all.take(DAYS)).filter(|(_, date)| is_chosen(date));
    let mut longest = None;
    let mut last: Option<u32> = None;
    for (number, _) in chosen {
        longest = last.map(|last| number - last).max(longest);
        last = Some(number);
    }
    longest
}

/// How many times a crontab's line runs on a day on which it does.
pub(super) fn times_a_day(schedule: &str) -> Option<usize> {
    match schedule {
        "@hourly" | "cron.hourly" => return Some(24),
        word if word.starts_with('@') || !word.contains(' ') => return None,
        _ => {}
    }
    let mut fields = schedule.split(' ');
    let mut times = |range| {
        let chosen = values(fields.next()?, range, &[])?;
        Some(chosen.into_iter().filter(|it| *it).count())
    };
    Some(times(0..60)? * times(0..24)?)
}

const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// From 1, as months are counted.
const MONTHS: [&str; 13] =
    ["", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// The values that a field stands for; a star stands for all that are `possible`.
fn values(field: &str, possible: Range<usize>, names: &[&str]) -> Option<Vec<bool>> {
    let mut chosen = vec![false; possible.end];
    let value = |word: &str| {
        let by_name = names.iter().position(|name| !name.is_empty() && is_name(word, name));
        by_name.or_else(|| word.parse().ok())
    };
    for part in field.split(',') {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        let step: usize = step.parse().ok().filter(|step| *step > 0)?;
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (possible.start, possible.end - 1),
            Some((first, last)) => (value(first)?, value(last)?),
            None => {
                let only = value(range)?;
                (only, only)
            }
        };
        chosen.get_mut(first..=last)?.iter_mut().step_by(step).for_each(|it| *it = true);
    }
    Some(chosen)
}

/// `Sun`, as cron and systemd read it; systemd takes `Sunday` as well.
fn is_name(word: &str, name: &str) -> bool {
    word.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(name))
        && word.bytes().all(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_are_counted() {
        for (schedule, expected) in [
            ("5 4 * * 0", Some(1)),
            ("* 4 * * 0", Some(60)),
            ("*/15 4,5 * * *", Some(8)),
            ("0 */6 * * *", Some(4)),
            ("0 1-3 * * *", Some(3)),
            ("@hourly", Some(24)),
            ("@weekly", None),
            ("cron.weekly", None),
            ("gc.timer", None),
            ("61 4 * * *", None),
            ("3-1 4 * * *", None),
            ("0 */0 * * *", None),
            ("0-99999999999 4 * * *", None),
        ] {
            assert_eq!(times_a_day(schedule), expected, "{schedule}");
        }
    }

    #[test]
    fn gaps_are_those_of_the_calendar() {
        for (schedule, expected) in [
            ("5 4 * * *", Some(1)),
            ("* * * * *", Some(1)),
            ("5 4 * * 0", Some(7)),
            ("5 4 * * 7", Some(7)),
            ("5 4 * * Sun", Some(7)),
            ("5 4 * * 1-5", Some(3)),
            ("5 4 * * Mon-Fri", Some(3)),
            ("5 4 * * 2,5", Some(4)),
            ("5 4 1 * *", Some(31)),
            ("5 4 31 * *", Some(61)),
            ("5 4 */10 * *", Some(10)),
            ("5 4 1 1,7 *", Some(184)),
            ("5 4 1 JAN *", Some(366)),
            ("5 4 29 2 *", Some(1461)),
            // Either of both, for neither begins with a star.
            ("5 4 1 * 0", Some(7)),
            // The first Sunday of a month is never told in this way.
            ("5 4 1-7 * 0", Some(7)),
            // Both.
            ("5 4 */2 * 0", Some(21)),
            ("5 4 30 2 *", None),
            ("5 25 * * *", None),
            ("5 4 * *", None),
            ("5 4 * * x", None),
            ("5 4 * * ü", None),
            ("@reboot", None),
            ("@weekly", Some(7)),
            ("cron.monthly", Some(31)),
            ("gc.timer", None),
        ] {
            assert_eq!(longest_gap(&run(schedule, None)), expected, "{schedule}");
        }
    }

    #[test]
    fn timers_have_calendars_of_their_own() {
        for (calendar, expected) in [
            ("weekly", Some(7)),
            ("Sun 04:05", Some(7)),
            ("Sun *-*-* 04:05:00", Some(7)),
            ("Sunday 04:05 UTC", Some(7)),
            ("Mon..Fri 04:05", Some(3)),
            ("Sat,Sun 04:05", Some(6)),
            ("*-*-* 04:05:00", Some(1)),
            ("04:05", Some(1)),
            ("*-*-01 04:05", Some(31)),
            ("*-*-1..7 04:05", Some(25)),
            ("Sun *-*-1..7 04:05", Some(35)),
            ("*-01-01 04:05", None),
            ("Sun 04:05 Europe/Berlin", None),
            ("now and then", None),
        ] {
            assert_eq!(longest_gap(&run("gc.timer", Some(calendar))), expected, "{calendar}");
        }
    }

    fn run(schedule: &str, calendar: Option<&str>) -> GarbageRun {
        GarbageRun {
            schedule: Some(schedule.to_owned()),
            calendar: calendar.map(str::to_owned),
            ..super::super::tests::run(crate::host::files::Collector::GitlabCtl)
        }
    }

    proptest! {
        #[test]
        fn no_schedule_makes_it_panic(text in "\\PC*|([0-9*/,-]{1,4} ){4}[0-9a-zA-Zü*,-]{1,4}") {
            longest_gap(&run(&text, None));
            longest_gap(&run("gc.timer", Some(&text)));
            times_a_day(&text);
        }
    }
}
