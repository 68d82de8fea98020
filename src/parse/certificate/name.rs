//! Distinguished names and the strings in them.

use crate::parse::der::{self, Fault, Lengths, Reader};

/// The object identifier of commonName, 2.5.4.3.
pub(crate) const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// The object identifier of organizationName, 2.5.4.10.
pub(crate) const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
/// The object identifier of emailAddress, 1.2.840.113549.1.9.1.
pub(crate) const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01];

/// One attribute of a name, undecoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) oid: Vec<u8>,
    pub(crate) tag: u8,
    pub(crate) value: Vec<u8>,
}

impl Attribute {
    /// The value as text, if its bytes fit its string type.
    pub(crate) fn text(&self) -> Option<String> {
        decode(self.tag, &self.value)
    }
}

/// A distinguished name: relative names in order, each of one attribute or more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Name {
    /// The bytes as they stand in the certificate.
    pub(crate) raw: Vec<u8>,
    pub(crate) relative: Vec<Vec<Attribute>>,
}

impl Name {
    /// Reads a Name; `raw` is the whole element.
    pub(crate) fn read(raw: &[u8], lengths: Lengths) -> Result<Self, Fault> {
        let mut reader = Reader::new(raw, lengths).sequence()?;
        let mut relative = Vec::new();
        while !reader.is_empty() {
            let set = reader.expect(der::SET)?;
            let mut members = reader.inside(set);
            let mut attributes = Vec::new();
            while !members.is_empty() {
                let mut pair = members.sequence()?;
                let oid = pair.oid()?.to_vec();
                let value = pair.element()?;
                attributes.push(Attribute { oid, tag: value.tag, value: value.content.to_vec() });
            }
            relative.push(attributes);
        }
        Ok(Self { raw: raw.to_vec(), relative })
    }

    /// All attributes, in the order of the bytes.
    pub(crate) fn attributes(&self) -> impl DoubleEndedIterator<Item = &Attribute> {
        self.relative.iter().flatten()
    }

    /// The attributes of one type, in the order of the bytes.
    pub(crate) fn all<'a>(
        &'a self,
        oid: &'a [u8],
    ) -> impl DoubleEndedIterator<Item = &'a Attribute> {
        self.attributes().filter(move |attribute| attribute.oid == oid)
    }

    /// The last common name, which both Go and curl take for *the* common name.
    pub(crate) fn common_name(&self) -> Option<String> {
        self.all(COMMON_NAME).next_back().and_then(Attribute::text)
    }

    /// A name is also equal to this one for OpenSSL if string types, letter case and runs of
    /// spaces differ. Equal names have equal keys, and the key of a leading part of a name is a
    /// prefix of the name's key. These are the bytes that OpenSSL compares and hashes
    /// (`x509_name_canon`).
    pub(crate) fn canonical(&self) -> Vec<u8> {
        let sets = self.relative.iter().map(|set| {
            let mut members: Vec<Vec<u8>> = set.iter().map(canonical_attribute).collect();
            members.sort();
            der::wrap(der::SET, &[&members.concat()])
        });
        sets.collect::<Vec<_>>().concat()
    }

    /// The name as people write it, most specific part first, as far as it can be decoded.
    pub(crate) fn display(&self) -> String {
        let parts: Vec<String> = self
            .attributes()
            .map(|attribute| {
                let text = attribute.text().unwrap_or_else(|| "?".to_owned());
                format!("{}={text}", label(&attribute.oid))
            })
            .collect();
        parts.join(", ")
    }
}

fn label(oid: &[u8]) -> String {
    let short = match oid {
        COMMON_NAME => "CN",
        ORGANIZATION => "O",
        EMAIL_ADDRESS => "emailAddress",
        [0x55, 0x04, 0x06] => "C",
        [0x55, 0x04, 0x07] => "L",
        [0x55, 0x04, 0x08] => "ST",
        [0x55, 0x04, 0x0b] => "OU",
        [0x55, 0x04, 0x05] => "serialNumber",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19] => "DC",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01] => "UID",
        other => return der::dotted(other),
    };
    short.to_owned()
}

fn canonical_attribute(attribute: &Attribute) -> Vec<u8> {
    let folded = match attribute.tag {
        der::NUMERIC_STRING => None,
        _ => attribute.text(),
    };
    let (tag, value) = match folded {
        Some(text) => (der::UTF8_STRING, fold(&text).into_bytes()),
        None => (attribute.tag, attribute.value.clone()),
    };
    let oid = der::wrap(der::OID, &[&attribute.oid]);
    der::wrap(der::SEQUENCE, &[&oid, &der::wrap(tag, &[&value])])
}

/// Lower case, and every run of ASCII blanks one space, none at the ends.
fn fold(text: &str) -> String {
    let words: Vec<&str> = text.split(blank).filter(|word| !word.is_empty()).collect();
    words.join(" ").to_ascii_lowercase()
}

fn blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t'..='\r')
}

/// The text of a string type; nothing where the bytes do not fit it.
pub(crate) fn decode(tag: u8, value: &[u8]) -> Option<String> {
    match tag {
        der::UTF8_STRING => String::from_utf8(value.to_vec()).ok(),
        der::BMP_STRING if value.len().is_multiple_of(2) => {
            let units: Vec<u16> =
                value.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
            String::from_utf16(&units).ok()
        }
        der::UNIVERSAL_STRING if value.len().is_multiple_of(4) => value
            .as_chunks::<4>()
            .0
            .iter()
            .map(|quad| char::from_u32(u32::from_be_bytes(*quad)))
            .collect(),
        // T.61 is taken for Latin-1 by everybody, and the others are meant to be ASCII.
        der::T61_STRING
        | der::PRINTABLE_STRING
        | der::IA5_STRING
        | der::NUMERIC_STRING
        | der::VISIBLE_STRING => Some(value.iter().copied().map(char::from).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(tag: u8, value: &[u8]) -> Name {
        let attribute = Attribute { oid: COMMON_NAME.to_vec(), tag, value: value.to_vec() };
        Name { raw: Vec::new(), relative: vec![vec![attribute]] }
    }

    #[test]
    fn spelling_does_not_matter_to_the_canonical_form() {
        let plain = name(der::UTF8_STRING, b"Lab CA");
        assert_eq!(plain.canonical(), name(der::PRINTABLE_STRING, b" lab   CA ").canonical());
        assert_eq!(plain.canonical(), name(der::BMP_STRING, b"\0L\0a\0b\0 \0C\0A").canonical());
        assert_ne!(plain.canonical(), name(der::UTF8_STRING, b"LabCA").canonical());
    }

    #[test]
    fn strings_that_do_not_fit_their_type_have_no_text() {
        assert_eq!(decode(der::UTF8_STRING, &[0xff]), None);
        assert_eq!(decode(der::BMP_STRING, &[0x00]), None);
        assert_eq!(decode(der::T61_STRING, &[0xfc]).as_deref(), Some("ü"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_can_be_read_as_a_name(bytes: Vec<u8>) {
            if let Ok(name) = Name::read(&bytes, Lengths::Padded) {
                let _ = (name.display(), name.canonical(), name.common_name());
            }
        }
    }
}
