//! How two clocks differ, as far as the `Date` of an HTTP response can tell.

use crate::checks::clock::words::{at_least, margin};
use crate::host::network::{Response, Times};
use crate::parse::http_date;

/// A `Date` is in whole seconds, cut off.
const TICK_MS: i64 = 1000;

/// A clock less another one, in milliseconds: it lies somewhere between these two, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Skew {
    pub(super) least_ms: i64,
    pub(super) most_ms: i64,
}

/// Why a response does not tell a clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoClock {
    /// It has no `Date`, or something else in its place.
    NoDate,
    /// It was kept somewhere, so its `Date` is of another time; the field that says so.
    Cached(String),
}

impl Skew {
    /// The clock behind a response, less this one. The response was made after it was asked for and
    /// before it came, within the second that it names.
    pub(super) fn of(response: &Response, times: Times) -> Result<Self, NoClock> {
        let date = response.field("date").and_then(http_date::read).ok_or(NoClock::NoDate)?;
        let least_ms = date.as_millisecond().saturating_sub(times.received_ms);
        // `Age: 0` is what a cache adds to a response that it has just fetched: less than a second old.
        let fetched_ms = if response.field("age") == Some("0") { TICK_MS } else { 0 };
        let latest_ms = date.as_millisecond().saturating_add(TICK_MS - 1 + fetched_ms);
        let most_ms = latest_ms.saturating_sub(times.sent_ms);
        match kept(response) {
            // It may have been made long before it was asked for, but not after it came.
            Some(_) if least_ms > 0 => Ok(Self { least_ms, most_ms: most_ms.max(least_ms) }),
            Some(field) => Err(NoClock::Cached(field)),
            None => Ok(Self { least_ms, most_ms: most_ms.max(least_ms) }),
        }
    }

    /// A clock less itself.
    pub(super) const ZERO: Self = Self { least_ms: 0, most_ms: 0 };

    /// How much is not known.
    pub(super) fn width_ms(self) -> u64 {
        self.most_ms.abs_diff(self.least_ms)
    }

    /// This clock less the other one, where both were compared with a third.
    pub(super) fn less(self, other: Self) -> Self {
        Self {
            least_ms: self.least_ms.saturating_sub(other.most_ms),
            most_ms: self.most_ms.saturating_sub(other.least_ms),
        }
    }

    /// The least that the two clocks can differ by, with its sign; zero if they may agree.
    pub(super) fn certain_ms(self) -> i64 {
        if self.least_ms > 0 { self.least_ms } else { self.most_ms.min(0) }
    }

    /// Whether both can be true of one pair of clocks.
    pub(super) fn overlaps(self, other: Self) -> bool {
        self.least_ms <= other.most_ms && other.least_ms <= self.most_ms
    }

    /// `89.9 s to 91.0 s ahead of`, as in "GitLab's clock is .. this one". It must be certain.
    pub(super) fn said(self) -> String {
        let us = |ms: i64| ms.unsigned_abs().saturating_mul(1000);
        let (near, far, direction) = match self.certain_ms() {
            0.. => (self.least_ms, self.most_ms, "ahead of"),
            _ => (self.most_ms, self.least_ms, "behind"),
        };
        let (near, far) = (at_least(us(near)), margin(us(far)));
        if near == far {
            format!("{near} {direction}")
        } else {
            format!("{near} to {far} {direction}")
        }
    }

    /// `-0.9 s to +0.3 s`.
    pub(super) fn signed(self) -> String {
        let end = |ms: i64, is_upper: bool| {
            let us = ms.unsigned_abs().saturating_mul(1000);
            let sign = if ms < 0 { '-' } else { '+' };
            // Away from the middle, never towards it.
            let text = if (ms < 0) == is_upper { at_least(us) } else { margin(us) };
            format!("{sign}{text}")
        };
        format!("{} to {}", end(self.least_ms, false), end(self.most_ms, true))
    }
}

/// The sign that a response was kept by a cache, if there is one.
fn kept(response: &Response) -> Option<String> {
    if let Some(age) = response.field("age").filter(|age| *age != "0") {
        let age: String = age.chars().filter(char::is_ascii_digit).take(10).collect();
        return Some(format!("Age: {age}"));
    }
    let hit = response.all("x-cache").any(|text| text.to_ascii_lowercase().contains("hit"));
    hit.then(|| "X-Cache: HIT".to_owned())
}

/// Whether a proxy passed the response on, so that its `Date` may be the proxy's.
pub(super) fn is_passed_on(response: &Response) -> bool {
    ["age", "via", "x-cache"].iter().any(|name| response.field(name).is_some())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::host::network::Body;

    /// 1994-11-06T08:49:37Z, as a server writes it.
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const DATE_MS: i64 = 784_111_777_000;

    fn response(fields: &[(&str, &str)]) -> Response {
        let fields = fields.iter();
        let fields = fields.map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()]));
        Response { status: 200, fields: fields.collect(), body: Body::Empty, times: None }
    }

    fn skew(sent_ms: i64, received_ms: i64) -> Skew {
        Skew::of(&response(&[("date", DATE)]), Times { sent_ms, received_ms }).unwrap()
    }

    #[test]
    fn a_date_is_known_to_a_second_and_the_round_trip() {
        let seen = skew(DATE_MS + 100, DATE_MS + 140);
        assert_eq!(seen, Skew { least_ms: -140, most_ms: 899 });
        assert_eq!(seen.certain_ms(), 0);
        // The clock there is 90 s ahead: exactly at the bounds, nothing is claimed beyond them.
        let ahead = skew(DATE_MS - 90_000, DATE_MS - 89_900);
        assert_eq!(ahead, Skew { least_ms: 89_900, most_ms: 90_999 });
        assert_eq!(
            (ahead.certain_ms(), ahead.said().as_str()),
            (89_900, "89.9 s to 91.0 s ahead of")
        );
        let behind = skew(DATE_MS + 90_000, DATE_MS + 90_100);
        assert_eq!(behind, Skew { least_ms: -90_100, most_ms: -89_001 });
        assert_eq!(
            (behind.certain_ms(), behind.said().as_str()),
            (-89_001, "89.0 s to 90.1 s behind")
        );
    }

    #[test]
    fn the_last_millisecond_of_a_second_is_still_that_second() {
        assert_eq!(skew(DATE_MS + 999, DATE_MS + 999).certain_ms(), 0);
        assert_eq!(skew(DATE_MS + 1000, DATE_MS + 1000).certain_ms(), -1);
        assert_eq!(skew(DATE_MS, DATE_MS).certain_ms(), 0);
        assert_eq!(skew(DATE_MS - 1, DATE_MS - 1).certain_ms(), 1);
    }

    #[test]
    fn a_kept_response_proves_only_that_a_clock_is_ahead() {
        let times = |ms| Times { sent_ms: DATE_MS + ms, received_ms: DATE_MS + ms + 10 };
        for (name, value) in [("age", "17"), ("x-cache", "HIT from proxy"), ("age", "x\x1b")] {
            let kept = response(&[("date", DATE), (name, value)]);
            assert!(matches!(Skew::of(&kept, times(60_000)), Err(NoClock::Cached(_))));
            assert!(matches!(Skew::of(&kept, times(0)), Err(NoClock::Cached(_))));
            assert_eq!(Skew::of(&kept, times(-60_000)).unwrap().certain_ms(), 59_990);
        }
        let fresh = Skew::of(&response(&[("date", DATE), ("age", "0")]), times(0)).unwrap();
        assert_eq!(fresh, Skew { least_ms: -10, most_ms: 1999 });
        let passed = response(&[("date", DATE), ("x-cache", "MISS"), ("via", "1.1 squid")]);
        assert!(Skew::of(&passed, times(60_000)).is_ok() && is_passed_on(&passed));
    }

    #[test]
    fn a_response_without_a_date_tells_nothing() {
        let times = Times { sent_ms: 0, received_ms: 1 };
        for fields in [&[][..], &[("date", "yesterday")], &[("date", "Sun, 06 Nov 1994")]] {
            assert_eq!(Skew::of(&response(fields), times), Err(NoClock::NoDate));
        }
    }

    #[test]
    fn a_difference_of_two_is_less_certain_than_either() {
        let (a, b) = (Skew { least_ms: 5, most_ms: 10 }, Skew { least_ms: -3, most_ms: 2 });
        assert_eq!(a.less(b), Skew { least_ms: 3, most_ms: 13 });
        assert!(a.overlaps(Skew { least_ms: 10, most_ms: 11 }) && !a.overlaps(b));
        assert_eq!(b.signed(), "-0.003 s to +0.002 s");
        assert_eq!(a.signed(), "+0.005 s to +0.010 s");
        let rough = Skew { least_ms: -90_050, most_ms: -89_050 };
        assert_eq!(rough.signed(), "-90.1 s to -89.0 s");
        let far = Skew { least_ms: i64::MIN, most_ms: i64::MAX };
        assert_eq!(
            (far.less(far).certain_ms(), Skew::ZERO.less(far).width_ms()),
            (0, u64::MAX - 1)
        );
    }

    proptest! {
        /// Whatever the true offset, the round trip and the moment: the truth lies in the interval.
        #[test]
        fn the_truth_is_never_excluded(
            offset_ms in -100_000_000_i64..100_000_000,
            at_ms in 0_i64..10_000,
            there_ms in 0_i64..3000,
            back_ms in 0_i64..3000,
        ) {
            let sent_ms = DATE_MS + at_ms;
            let made_ms = sent_ms + there_ms + offset_ms;
            let date = jiff::Timestamp::from_second(made_ms.div_euclid(1000)).unwrap();
            let text = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            let times = Times { sent_ms, received_ms: sent_ms + there_ms + back_ms };
            let skew = Skew::of(&response(&[("date", &text)]), times).unwrap();
            prop_assert!(skew.least_ms <= offset_ms && offset_ms <= skew.most_ms, "{skew:?}");
            prop_assert!(skew.most_ms - skew.least_ms <= there_ms + back_ms + 999);
        }
    }
}
