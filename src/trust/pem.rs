//! PEM as Go and as OpenSSL read it.
//!
//! Both find what `openssl x509` writes. They part ways over byte order marks, indentation, glued
//! markers, blank lines and broken blocks, which is what certificate files on real machines
//! suffer from. Go takes what it finds and says nothing; OpenSSL refuses the file.

/// A block whose armour was in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) label: String,
    pub(super) headers: String,
    pub(super) bytes: Vec<u8>,
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// The blocks that Go finds (`encoding/pem.Decode`, in a loop until it finds none).
pub(super) fn go(mut rest: &[u8]) -> Vec<Block> {
    let mut blocks = Vec::new();
    // The first END line decides, and the last BEGIN line before it belongs to it.
    while let Some(end) = find(rest, b"\n-----END ") {
        let trailer = end + 1 + END.len();
        let Some((before, after)) = rest.split_at_checked(trailer) else { break };
        match go_block(before.get(..=end).unwrap_or_default(), after) {
            Some(block) => {
                blocks.push(block);
                rest = after.split_at_checked(line(after).1).map_or(&[][..], |(_, rest)| rest);
            }
            None => rest = after,
        }
    }
    blocks
}

/// The block that ends where `body` does; `after` is what follows "-----END ".
fn go_block(body: &[u8], after: &[u8]) -> Option<Block> {
    let begin = rfind(body, BEGIN)?;
    if begin > 0 && body.get(begin - 1) != Some(&b'\n') {
        return None;
    }
    let text = body.get(begin + BEGIN.len()..)?;
    let (first, length) = line(text);
    let label = first.strip_suffix(DASHES)?;
    let mut text = text.get(length..)?;
    let mut headers = Vec::new();
    loop {
        let (header, length) = line(text);
        if !header.contains(&b':') {
            break;
        }
        headers.extend_from_slice(header);
        headers.push(b'\n');
        text = text.get(length..)?;
    }
    let (last, _) = line(after.strip_prefix(label)?.strip_prefix(DASHES)?);
    if !last.is_empty() {
        return None;
    }
    let letters: Vec<u8> =
        text.iter().copied().filter(|byte| !matches!(byte, b' ' | b'\t')).collect();
    Some(Block {
        label: String::from_utf8_lossy(label).into_owned(),
        headers: String::from_utf8_lossy(&headers).into_owned(),
        bytes: base64(&letters)?,
    })
}

/// The next line without what ends it, and how many bytes to go on by.
fn line(text: &[u8]) -> (&[u8], usize) {
    let end = text.iter().position(|&byte| byte == b'\n');
    let (line, length) = match end {
        Some(end) => {
            let line = text.get(..end).unwrap_or_default();
            (line.strip_suffix(b"\r").unwrap_or(line), end + 1)
        }
        None => (text, text.len()),
    };
    let kept =
        line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t')).map_or(0, |last| last + 1);
    (line.get(..kept).unwrap_or_default(), length)
}

/// Why OpenSSL refuses a whole file, in its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    BadEndLine,
    BadBase64,
    /// The block has no content, or a line that is too long after a blank one: no words at all.
    Silent,
}

impl Refusal {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::BadEndLine => "bad end line",
            Self::BadBase64 => "bad base64 decode",
            Self::Silent => "PEM lib",
        }
    }
}

/// Reads blocks as OpenSSL does (`PEM_read_bio` of 3.0).
pub(super) struct OpenSsl<'a> {
    rest: &'a [u8],
}

/// `LINESIZE` less the final NUL: longer lines come in pieces.
const PIECE: usize = 254;

impl<'a> OpenSsl<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next block; `Ok(None)` when no further one begins.
    pub(super) fn next(&mut self) -> Result<Option<Block>, Refusal> {
        let mut first = true;
        while let Some(piece) = self.piece() {
            let piece = match piece.strip_prefix(b"\xef\xbb\xbf") {
                Some(unmarked) if first => unmarked,
                _ => piece,
            };
            first = false;
            let label = sanitize(piece).strip_prefix(BEGIN).and_then(|l| l.strip_suffix(DASHES));
            if let Some(label) = label {
                return self.content(label).map(Some);
            }
        }
        Ok(None)
    }

    fn piece(&mut self) -> Option<&'a [u8]> {
        let most = self.rest.get(..PIECE).unwrap_or(self.rest);
        let end = most.iter().position(|&byte| byte == b'\n').map_or(most.len(), |end| end + 1);
        let (piece, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (!piece.is_empty()).then_some(piece)
    }

    fn content(&mut self, label: &[u8]) -> Result<Block, Refusal> {
        let (mut headers, mut data) = (Vec::new(), Vec::new());
        let mut state = Header::Maybe;
        let (mut short, mut partial) = (false, false);
        loop {
            let piece = self.piece().ok_or(Refusal::BadEndLine)?;
            let was_partial = partial;
            partial = piece.len() == PIECE && !piece.ends_with(b"\n");
            if state == Header::Maybe && piece.contains(&b':') {
                state = Header::Inside;
            }
            let text = sanitize(piece);
            if text.is_empty() {
                if was_partial {
                    continue;
                }
                if state == Header::Past {
                    return Err(Refusal::BadEndLine);
                }
                state = Header::Past;
            } else if let Some(end) = text.strip_prefix(END) {
                if end.strip_prefix(label) != Some(DASHES) {
                    return Err(Refusal::BadEndLine);
                }
                break;
            } else if short {
                return Err(Refusal::BadEndLine);
            } else {
                let into = if state == Header::Past { &mut data } else { &mut headers };
                into.extend_from_slice(text);
                into.push(b'\n');
                if state == Header::Past {
                    if text.len() > 64 {
                        return Err(Refusal::Silent);
                    }
                    short = text.len() < 64;
                }
            }
        }
        // Without any blank line or colon there was no header: all of it was content.
        if state == Header::Maybe {
            data = std::mem::take(&mut headers);
        }
        if data.is_empty() {
            return Err(Refusal::Silent);
        }
        // A dash ends the data (`EVP_DecodeUpdate`): a block without END swallows the next one.
        let data = data.into_iter().take_while(|byte| *byte != b'-');
        let letters: Vec<u8> = data.filter(|byte| !matches!(byte, b' ' | b'\t' | b'\r')).collect();
        Ok(Block {
            label: String::from_utf8_lossy(label).into_owned(),
            headers: String::from_utf8_lossy(&headers).into_owned(),
            bytes: base64(&letters).ok_or(Refusal::BadBase64)?,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Header {
    Maybe,
    Inside,
    Past,
}

/// Drops what OpenSSL takes for blanks at the end of a line: everything up to the space, and,
/// since its `char` is signed, everything beyond ASCII. A NUL within ends the line.
fn sanitize(piece: &[u8]) -> &[u8] {
    let last = piece.iter().rposition(|&byte| byte > b' ' && byte < 0x80);
    last.and_then(|last| piece.get(..=last)).unwrap_or_default()
}

/// Standard base 64 with padding; line ends do not count.
pub(super) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let letters: Vec<u8> =
        text.iter().copied().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
    let (quads, []) = letters.as_chunks::<4>() else { return None };
    let mut bytes = Vec::with_capacity(quads.len() * 3);
    for (index, quad) in quads.iter().enumerate() {
        let padding = quad.iter().rev().take_while(|&&letter| letter == b'=').count();
        if padding > 2 || (padding > 0 && index + 1 < quads.len()) {
            return None;
        }
        let mut bits = 0u32;
        for &letter in quad.iter().take(4 - padding) {
            bits = bits << 6 | u32::from(value(letter)?);
        }
        bits <<= 6 * padding;
        let [_, triple @ ..] = bits.to_be_bytes();
        bytes.extend_from_slice(triple.get(..3 - padding)?);
    }
    Some(bytes)
}

fn value(letter: u8) -> Option<u8> {
    Some(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

pub(super) fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn rfind(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).rposition(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "-----BEGIN A-----\nAAEC\n-----END A-----\n";

    fn labels(blocks: &[Block]) -> Vec<&str> {
        blocks.iter().map(|block| block.label.as_str()).collect()
    }

    fn openssl(text: &str) -> Result<Vec<Block>, Refusal> {
        let mut reader = OpenSsl::new(text.as_bytes());
        let mut blocks = Vec::new();
        while let Some(block) = reader.next()? {
            blocks.push(block);
        }
        Ok(blocks)
    }

    #[track_caller]
    fn both(text: &str, go_finds: usize, openssl_finds: Result<usize, Refusal>) {
        assert_eq!(go(text.as_bytes()).len(), go_finds, "Go");
        assert_eq!(openssl(text).map(|blocks| blocks.len()), openssl_finds, "OpenSSL");
    }

    #[test]
    fn content_is_decoded() {
        assert_eq!(go(GOOD.as_bytes())[0].bytes, [0, 1, 2]);
        assert_eq!(openssl(GOOD).unwrap()[0].bytes, [0, 1, 2]);
        assert_eq!(base64(b"AA==").unwrap(), [0]);
        assert_eq!(base64(b"AAE=").unwrap(), [0, 1]);
        assert_eq!(base64(b"AAE"), None);
        assert_eq!(base64(b"A=AA"), None);
        assert_eq!(base64(b"AA==AAEC"), None);
    }

    #[test]
    fn marks_blanks_and_text() {
        both(&format!("\u{feff}{GOOD}{GOOD}"), 1, Ok(2));
        both(&format!("text\n{GOOD}more"), 1, Ok(1));
        both(&GOOD.replace('\n', "\r\n"), 1, Ok(1));
        both(GOOD.trim_end(), 1, Ok(1));
        both(&GOOD.replace("-----\n", "-----  \n"), 1, Ok(1));
        both(&GOOD.replace("-----B", "  -----B"), 0, Ok(0));
        both(&GOOD.replace("-----E", "  -----E"), 0, Err(Refusal::BadEndLine));
        both(&GOOD.replace("AAEC", "  AAEC"), 1, Ok(1));
        both("", 0, Ok(0));
    }

    #[test]
    fn glued_and_broken_blocks() {
        let glued = format!("{}{GOOD}", GOOD.trim_end());
        both(&glued, 0, Err(Refusal::BadEndLine));
        both(&format!("{}{GOOD}", GOOD.replace("AAEC", "AA!C")), 1, Err(Refusal::BadBase64));
        both(&format!("{GOOD}-----BEGIN A-----\n"), 1, Err(Refusal::BadEndLine));
        both(&format!("-----BEGIN A-----\n{GOOD}"), 1, Ok(1));
        both(&format!("-----BEGIN A-----\nAAEC\n{GOOD}"), 1, Ok(1));
        both(&format!("-----BEGIN A-----\nAAE\n{GOOD}"), 1, Err(Refusal::BadBase64));
        both(&GOOD.replace("END A", "END B"), 0, Err(Refusal::BadEndLine));
    }

    #[test]
    fn blank_lines_matter_to_openssl() {
        both(&GOOD.replace("A-----\nA", "A-----\n\nA"), 1, Ok(1));
        both(&GOOD.replace("AAEC\n", "AAEC\n\n"), 1, Err(Refusal::Silent));
    }

    #[test]
    fn headers_are_kept() {
        let text = GOOD.replace("AAEC", "Proc-Type: x\n\nAAEC");
        assert_eq!(go(text.as_bytes())[0].headers, "Proc-Type: x\n");
        assert_eq!(openssl(&text).unwrap()[0].headers, "Proc-Type: x\n");
    }

    #[test]
    fn many_blocks_take_linear_time() {
        let many = GOOD.repeat(20_000);
        assert_eq!(labels(&go(many.as_bytes())).len(), 20_000);
        assert_eq!(openssl(&many).unwrap().len(), 20_000);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_can_be_scanned(bytes: Vec<u8>) {
            let _ = go(&bytes);
            let mut reader = OpenSsl::new(&bytes);
            while let Ok(Some(_)) = reader.next() {}
        }
    }
}
