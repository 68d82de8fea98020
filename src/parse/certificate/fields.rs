//! The fields of a certificate as they lie in the bytes, interpreted as little as possible.
//!
//! What one client refuses another one takes, so nothing is refused here that any of them takes.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::name::Name;
use crate::parse::der::{self, Element, Fault, Lengths, Reader};

/// An algorithm and its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Algorithm {
    pub(crate) oid: Vec<u8>,
    /// The whole element after the identifier; empty if there is none.
    pub(crate) parameters: Vec<u8>,
}

impl Algorithm {
    /// Reads the fields of an `AlgorithmIdentifier`.
    fn read(mut fields: Reader<'_>) -> Result<Self, Fault> {
        let oid = fields.oid()?.to_vec();
        let parameters =
            if fields.is_empty() { Vec::new() } else { fields.element()?.whole.to_vec() };
        Ok(Self { oid, parameters })
    }
}

/// A moment as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) tag: u8,
    pub(crate) text: Vec<u8>,
}

/// One extension, undecoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extension {
    pub(crate) oid: Vec<u8>,
    pub(crate) critical: bool,
    /// Whether `critical` is spelt as DER asks, or left out.
    pub(crate) strict: bool,
    pub(crate) value: Vec<u8>,
}

/// A certificate, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    /// The whole certificate.
    pub(crate) der: Vec<u8>,
    /// The signed part.
    pub(crate) signed: Vec<u8>,
    /// 1, 2 or 3, seldom more.
    pub(crate) version: u64,
    pub(crate) serial: Vec<u8>,
    /// The algorithm in the signed part, and the one beside the signature.
    pub(crate) inner_algorithm: Algorithm,
    pub(crate) algorithm: Algorithm,
    pub(crate) issuer: Name,
    pub(crate) not_before: Time,
    pub(crate) not_after: Time,
    pub(crate) subject: Name,
    /// The whole `SubjectPublicKeyInfo`.
    pub(crate) key_info: Vec<u8>,
    pub(crate) key_algorithm: Algorithm,
    pub(crate) key: Vec<u8>,
    /// Whether the key's bits fill its bytes.
    pub(crate) key_is_whole: bool,
    pub(crate) extensions: Vec<Extension>,
    /// Whether there are extensions that cannot be read, in a version that should have none.
    pub(crate) has_lost_extensions: bool,
    pub(crate) signature: Vec<u8>,
    /// Whether every length is in its shortest form down to the extensions.
    pub(crate) strict: bool,
}

impl Fields {
    /// Takes a certificate apart. Bytes after it are returned with it: some formats append
    /// something. The error says which part cannot be read.
    pub(crate) fn read(bytes: &[u8]) -> Result<(Self, &[u8]), &'static str> {
        Self::read_with(bytes, Lengths::Minimal)
            .or_else(|_| Self::read_with(bytes, Lengths::Padded))
    }

    fn read_with(bytes: &[u8], lengths: Lengths) -> Result<(Self, &[u8]), &'static str> {
        let mut outer = Reader::new(bytes, lengths);
        let whole =
            outer.expect(der::SEQUENCE).map_err(|_| "the certificate is cut short or none")?;
        let mut parts = outer.inside(whole);
        let signed = parts.expect(der::SEQUENCE).map_err(|_| "the signed part is malformed")?;
        // Go's order, so that its first complaint is the one that is found here too.
        let mut tbs = parts.inside(signed);
        let version = version(&mut tbs)?;
        let serial = tbs.expect(der::INTEGER).map_err(|_| "the serial number is malformed")?;
        let inner_algorithm = algorithm(&mut tbs)?;
        let algorithm = algorithm(&mut parts)?;
        let issuer = name(&mut tbs, lengths).map_err(|_| "a name is malformed")?;
        let (not_before, not_after) = validity(&mut tbs).map_err(|_| "the dates are malformed")?;
        let subject = name(&mut tbs, lengths).map_err(|_| "a name is malformed")?;
        let key_info = tbs.expect(der::SEQUENCE).map_err(|_| "the public key is malformed")?;
        let (key_algorithm, key, key_is_whole) =
            key(tbs.inside(key_info)).map_err(|_| "the public key is malformed")?;
        let extensions = extensions(&mut tbs);
        if extensions.is_err() && version >= 3 {
            return Err("the extensions are malformed");
        }
        let signature = parts
            .expect(der::BIT_STRING)
            .and_then(|bits| der::bit_string(bits.content))
            .map_err(|_| "the signature is malformed")?;
        let fields = Self {
            der: whole.whole.to_vec(),
            signed: signed.whole.to_vec(),
            version,
            serial: serial.content.to_vec(),
            inner_algorithm,
            algorithm,
            issuer,
            not_before,
            not_after,
            subject,
            key_info: key_info.whole.to_vec(),
            key_algorithm,
            key,
            key_is_whole,
            has_lost_extensions: extensions.is_err(),
            extensions: extensions.unwrap_or_default(),
            // No algorithm makes signatures of broken bytes, and nobody accepts one.
            signature: if signature.1 == 0 { signature.0.to_vec() } else { Vec::new() },
            strict: lengths == Lengths::Minimal,
        };
        Ok((fields, outer.rest()))
    }

    /// How lengths are to be read in what is left undecoded.
    pub(crate) fn lengths(&self) -> Lengths {
        if self.strict { Lengths::Minimal } else { Lengths::Padded }
    }

    /// The first extension with this identifier.
    pub(crate) fn extension(&self, oid: &[u8]) -> Option<&Extension> {
        self.extensions.iter().find(|extension| extension.oid == oid)
    }

    /// What the first extension with this identifier says, if `read` can read it.
    pub(crate) fn decoded<'a, T>(
        &'a self,
        oid: &[u8],
        read: impl Fn(&'a [u8], Lengths) -> Result<T, Fault>,
    ) -> Option<T> {
        read(&self.extension(oid)?.value, self.lengths()).ok()
    }
}

fn algorithm(reader: &mut Reader<'_>) -> Result<Algorithm, &'static str> {
    reader.sequence().and_then(Algorithm::read).map_err(|_| "the signature algorithm is malformed")
}

fn version(reader: &mut Reader<'_>) -> Result<u64, &'static str> {
    const MALFORMED: &str = "the version is malformed";
    let Some(wrapped) = reader.optional(der::CONTEXT_0).map_err(|_| MALFORMED)? else {
        return Ok(1);
    };
    reader
        .inside(wrapped)
        .expect(der::INTEGER)
        .and_then(|number| der::natural_u64(number.content))
        .ok()
        .and_then(|number| number.checked_add(1))
        .ok_or(MALFORMED)
}

fn name(reader: &mut Reader<'_>, lengths: Lengths) -> Result<Name, Fault> {
    Name::read(reader.expect(der::SEQUENCE)?.whole, lengths)
}

fn validity(reader: &mut Reader<'_>) -> Result<(Time, Time), Fault> {
    let mut times = reader.sequence()?;
    let mut time = || match times.element()? {
        Element { tag: tag @ (der::UTC_TIME | der::GENERALIZED_TIME), content, .. } => {
            Ok(Time { tag, text: content.to_vec() })
        }
        _ => Err(Fault::Malformed),
    };
    Ok((time()?, time()?))
}

fn key(mut reader: Reader<'_>) -> Result<(Algorithm, Vec<u8>, bool), Fault> {
    let algorithm = Algorithm::read(reader.sequence()?)?;
    let (bits, unused) = der::bit_string(reader.expect(der::BIT_STRING)?.content)?;
    Ok((algorithm, bits.to_vec(), unused == 0))
}

/// The extensions of any version: which versions may have some is up to the client.
fn extensions(reader: &mut Reader<'_>) -> Result<Vec<Extension>, Fault> {
    for unique_identifier in [der::primitive(1), der::primitive(2)] {
        reader.optional(unique_identifier)?;
    }
    let Some(wrapped) = reader.optional(der::constructed(3))? else { return Ok(Vec::new()) };
    let mut list = reader.inside(wrapped).sequence()?;
    let mut extensions = Vec::new();
    while !list.is_empty() {
        extensions.push(extension(list.sequence()?)?);
    }
    Ok(extensions)
}

fn extension(mut reader: Reader<'_>) -> Result<Extension, Fault> {
    let oid = reader.oid()?.to_vec();
    let flag = match reader.optional(der::BOOLEAN)?.map(|flag| flag.content) {
        Some(&[flag]) => Some(flag),
        Some(_) => return Err(Fault::Malformed),
        None => None,
    };
    let value = reader.expect(der::OCTET_STRING)?.content.to_vec();
    // BER takes every byte but zero for true; DER and Go know one only.
    let critical = flag.is_some_and(|flag| flag != 0);
    Ok(Extension { oid, critical, strict: matches!(flag, None | Some(0 | 0xff)), value })
}

/// A moment, and the offset from UTC that it is written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) instant: Timestamp,
    pub(crate) offset: Offset,
}

impl Time {
    /// Whether the time is written as RFC 5280 asks: down to the second, in UTC.
    pub(crate) fn is_exact(&self) -> bool {
        let length = if self.tag == der::UTC_TIME { 13 } else { 15 };
        self.text.len() == length && self.text.ends_with(b"Z")
    }

    /// The moment. Go also reads `UTCTime` without seconds and times with an offset from UTC; others
    /// do not. Certificates that never expire say so with the last second of 9999; that is the end
    /// of time here.
    pub(crate) fn moment(&self) -> Option<Moment> {
        let (digits, offset) = self.split()?;
        let (year, rest) =
            digits.split_at_checked(if self.tag == der::UTC_TIME { 2 } else { 4 })?;
        let year = match (number(year)?, self.tag) {
            (year @ 0..50, der::UTC_TIME) => 2000 + year,
            (year, der::UTC_TIME) => 1900 + year,
            (year, _) => year,
        };
        let has_seconds = match (rest.len(), self.tag) {
            (10, _) => true,
            (8, der::UTC_TIME) => false,
            _ => return None,
        };
        let mut parts = rest.chunks(2).map(|pair| number(pair).and_then(|n| i8::try_from(n).ok()));
        let mut part = || parts.next().flatten();
        let (month, day, hour, minute) = (part()?, part()?, part()?, part()?);
        let second = if has_seconds { part()? } else { 0 };
        let civil = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
        Some(Moment { instant: offset.to_timestamp(civil).unwrap_or(Timestamp::MAX), offset })
    }

    /// The digits, and the offset from UTC after them, which is zero only as `Z`.
    fn split(&self) -> Option<(&[u8], Offset)> {
        if let Some(digits) = self.text.strip_suffix(b"Z") {
            return Some((digits, Offset::UTC));
        }
        let (digits, zone) = self.text.split_at_checked(self.text.len().checked_sub(5)?)?;
        let (sign, zone) = zone.split_first()?;
        let (hours, minutes) = zone.split_at_checked(2)?;
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        let seconds = i32::from(hours) * 3600 + i32::from(minutes) * 60;
        let seconds = match sign {
            b'+' => seconds,
            b'-' => -seconds,
            _ => return None,
        };
        let valid = hours < 24 && minutes < 60 && seconds != 0;
        Some((digits, Offset::from_seconds(seconds).ok().filter(|_| valid)?))
    }
}

fn number(digits: &[u8]) -> Option<i16> {
    digits.iter().try_fold(0i16, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| i16::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(tag: u8, text: &str) -> Option<String> {
        Time { tag, text: text.into() }.moment().map(|moment| moment.instant.to_string())
    }

    #[test]
    fn two_digit_years_turn_at_fifty() {
        let utc = |text| moment(der::UTC_TIME, text);
        assert_eq!(utc("491231235959Z").as_deref(), Some("2049-12-31T23:59:59Z"));
        assert_eq!(utc("500101000000Z").as_deref(), Some("1950-01-01T00:00:00Z"));
    }

    #[test]
    fn a_certificate_may_be_valid_forever() {
        let end = Time { tag: der::GENERALIZED_TIME, text: b"99991231235959Z".to_vec() };
        assert_eq!(end.moment().unwrap().instant, Timestamp::MAX);
        assert!(end.is_exact());
    }

    #[test]
    fn what_only_go_reads_is_read_and_not_exact() {
        let offset = Time { tag: der::UTC_TIME, text: b"260101000000+0100".to_vec() };
        assert_eq!(offset.moment().unwrap().instant.to_string(), "2025-12-31T23:00:00Z");
        let short = Time { tag: der::UTC_TIME, text: b"2601010000Z".to_vec() };
        assert!(short.moment().is_some() && !short.is_exact() && !offset.is_exact());
    }

    #[test]
    fn times_out_of_form_are_none() {
        for text in
            ["260101000000+0000", "261301000000Z", "26010100000\u{e9}Z", "", "26010100000000Z"]
        {
            assert_eq!(moment(der::UTC_TIME, text), None, "{text}");
        }
        assert_eq!(moment(der::GENERALIZED_TIME, "20260101000000.5Z"), None);
        assert_eq!(moment(der::GENERALIZED_TIME, "202601010000Z"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_can_be_taken_apart(bytes: Vec<u8>) {
            let _ = Fields::read(&bytes);
            let _ = Time { tag: der::UTC_TIME, text: bytes }.moment();
        }
    }
}
