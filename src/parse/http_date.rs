//! Reads the `Date` of an HTTP response.

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// The time in a `Date` field, in whole seconds. `None` where it is none: the two older forms that
/// RFC 9110 keeps for clients of the nineties are written by no server of today.
pub fn read(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    // What the parser for mail would take, and HTTP does not allow: another zone than GMT.
    text.ends_with(" GMT").then(|| DateTimeParser::new().parse_timestamp(text).ok()).flatten()
}

#[test]
fn a_date_is_read_as_servers_write_it() {
    let read = |text| read(text).map(Timestamp::as_second);
    assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
    assert_eq!(read("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
    for wrong in [
        "",
        "0",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 +0100",
        "Sun, 36 Nov 1994 08:49:37 GMT",
        "Mon, 06 Nov 1994 08:49:37 GMT",
        "\u{1f570} GMT",
    ] {
        assert_eq!(read(wrong), None, "{wrong}");
    }
}
