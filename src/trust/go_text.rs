//! Texts and addresses as Go reads and prints them.

use std::net::IpAddr;

/// A string in quotation marks as `%q` prints it.
pub(super) fn quote(text: &str) -> String {
    use std::fmt::Write;
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\u{b}' => quoted.push_str("\\v"),
            // Writing into a string cannot fail.
            '\0'..=' ' | '\u{7f}' if letter != ' ' => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// An address in the form that `net.ParseIP` takes; a zone is none of it.
pub(super) fn go_ip(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// An address as `net.IP.String` prints it: mapped IPv4 addresses as IPv4.
pub(super) fn go_address(address: IpAddr) -> String {
    address.to_canonical().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_follows_go() {
        assert_eq!(quote("a \"b\"\\\n\u{1}ü"), "\"a \\\"b\\\"\\\\\\n\\x01ü\"");
    }
}
