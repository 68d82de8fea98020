//! Base 64, both ways, for tests.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn decode(text: &str) -> Vec<u8> {
    let mut bits = 0u32;
    let mut count = 0;
    let mut bytes = Vec::new();
    for letter in text.bytes().filter(|letter| !matches!(letter, b'=' | b'\n')) {
        let value = ALPHABET.iter().position(|&other| other == letter).expect("base 64");
        bits = bits << 6 | u32::try_from(value).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    bytes
}

#[allow(dead_code, reason = "not every test encodes")]
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, &byte| bits << 8 | u32::from(byte))
            << (8 * (3 - chunk.len()));
        for index in 0..4usize {
            let value = usize::try_from(bits >> (18 - 6 * index) & 63).unwrap();
            text.push(if index > chunk.len() { '=' } else { char::from(ALPHABET[value]) });
        }
    }
    text
}

#[allow(dead_code, reason = "not every test writes PEM")]
pub(crate) fn pem(der: &[u8]) -> String {
    let text = encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
