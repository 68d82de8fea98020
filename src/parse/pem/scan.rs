//! Finds the blocks of a PEM file and what is odd about it, in one pass over its lines.

use super::quirk::{Quirk, QuirkKind};

/// A block before its data is decoded. All slices are of the file.
pub(super) struct Scanned<'a> {
    pub(super) label: &'a [u8],
    pub(super) line: usize,
    pub(super) last_line: usize,
    pub(super) end: End,
    /// Whether header lines say so.
    pub(super) is_encrypted: bool,
    /// The data, with line ends and headers left out.
    pub(super) pieces: Vec<&'a [u8]>,
}

/// How a block ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Found,
    Missing,
    OtherLabel,
}

impl Scanned<'_> {
    /// Whether the data begins with a backslash, because its line ends were escaped.
    pub(super) fn begins_with_literal_newline(&self) -> bool {
        let starts = |piece: &&[u8]| piece.starts_with(br"\n") || piece.starts_with(br"\r\n");
        self.pieces.first().is_some_and(starts)
    }
}

/// All blocks, and all quirks by line.
pub(super) fn scan(bytes: &[u8]) -> (Vec<Scanned<'_>>, Vec<Quirk>) {
    let mut scanner = Scanner::default();
    let text = match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(text) => {
            scanner.note_once(QuirkKind::Bom, 1);
            text
        }
        None => bytes,
    };
    let mut rest = text;
    let mut number = 0;
    while !rest.is_empty() {
        number += 1;
        let (line, ending, after) = split_line(rest);
        match ending {
            b"\r\n" => scanner.note_once(QuirkKind::Crlf, number),
            b"\r" => scanner.note_once(QuirkKind::CrOnly, number),
            b"" => scanner.note_once(QuirkKind::NoFinalNewline, number),
            _ => {}
        }
        scanner.line(line, number);
        rest = after;
    }
    scanner.finish(number)
}

/// The first line, how it ends, and what follows.
fn split_line(text: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let end = text.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(text.len());
    let (line, rest) = text.split_at(end);
    let length = match rest {
        [b'\r', b'\n', ..] => 2,
        [] => 0,
        _ => 1,
    };
    let (ending, rest) = rest.split_at(length);
    (line, ending, rest)
}

#[derive(Default)]
struct Scanner<'a> {
    blocks: Vec<Scanned<'a>>,
    quirks: Vec<Quirk>,
    /// The block whose `END` is still to come, and where in it the scanner is.
    open: Option<(Scanned<'a>, Place)>,
    noted_in_file: Vec<QuirkKind>,
    noted_in_block: Vec<QuirkKind>,
    /// The first line of text since the last block.
    text_since: Option<usize>,
}

/// The parts of a block, in their order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Headers,
    Data,
}

impl<'a> Scanner<'a> {
    fn note_once(&mut self, kind: QuirkKind, line: usize) {
        if !self.noted_in_file.contains(&kind) {
            self.noted_in_file.push(kind);
            self.quirks.push(Quirk { kind, line });
        }
    }

    fn note_in_block(&mut self, kind: QuirkKind, line: usize) {
        if !self.noted_in_block.contains(&kind) {
            self.noted_in_block.push(kind);
            self.quirks.push(Quirk { kind, line });
        }
    }

    fn line(&mut self, line: &'a [u8], number: usize) {
        let mut position = 0;
        while let Some(marker) = Marker::find(line, position) {
            let before = &line[position..marker.start];
            let is_alone = before.trim_ascii().is_empty();
            if marker.is_begin {
                self.begin(marker.label, number);
            } else if !is_alone {
                self.text(before, number);
            }
            if !is_alone {
                self.note_in_block(QuirkKind::MarkerNotAlone, number);
            } else if position > 0 {
                self.note_in_block(QuirkKind::GluedMarkers, number);
            } else if !before.is_empty() {
                self.note_in_block(QuirkKind::Indented, number);
            }
            if !marker.is_exact {
                self.note_in_block(QuirkKind::MarkerDashes, number);
            }
            if !marker.is_begin {
                self.end(marker.label, number);
            }
            position = marker.end;
        }
        let rest = &line[position..];
        if position == 0 {
            self.text(rest, number);
        } else if !rest.trim_ascii().is_empty() {
            self.note_in_block(QuirkKind::MarkerNotAlone, number);
            self.text(rest, number);
        }
    }

    fn begin(&mut self, label: &'a [u8], number: usize) {
        if self.noted_in_block.contains(&QuirkKind::MarkerNotAlone) {
            // A sentence that mentions a marker opens no block, so none lacks its END.
            self.open = None;
        }
        // Otherwise the END of a block that is still open is not to come any more.
        self.close(End::Missing, number.saturating_sub(1));
        self.noted_in_block.clear();
        if let Some(line) = self.text_since.take() {
            let kind =
                if self.blocks.is_empty() { QuirkKind::TextBefore } else { QuirkKind::TextBetween };
            self.note_once(kind, line);
        }
        let block = Scanned {
            label,
            line: number,
            last_line: number,
            end: End::Missing,
            is_encrypted: false,
            pieces: Vec::new(),
        };
        self.open = Some((block, Place::Start));
    }

    fn end(&mut self, label: &[u8], number: usize) {
        match &self.open {
            Some((block, _)) if block.label == label => self.close(End::Found, number),
            Some(_) => self.close(End::OtherLabel, number),
            None => self.note_once(QuirkKind::EndWithoutBegin, number),
        }
    }

    fn close(&mut self, end: End, last_line: usize) {
        if let Some((block, _)) = self.open.take() {
            let last_line = last_line.max(block.line);
            self.blocks.push(Scanned { last_line, end, ..block });
        }
    }

    fn text(&mut self, text: &'a [u8], number: usize) {
        let trimmed = text.trim_ascii();
        let Some((block, place)) = &mut self.open else {
            if !trimmed.is_empty() {
                self.text_since.get_or_insert(number);
            }
            return;
        };
        let continues = text.first().is_some_and(u8::is_ascii_whitespace);
        match *place {
            // OpenSSL takes no offence at an empty line that comes first.
            Place::Start if trimmed.is_empty() => {}
            Place::Data if trimmed.is_empty() => self.note_in_block(QuirkKind::BlankLine, number),
            Place::Headers if trimmed.is_empty() => *place = Place::Data,
            Place::Headers if continues => {}
            Place::Start | Place::Headers if trimmed.contains(&b':') => {
                block.is_encrypted |=
                    trimmed.starts_with(b"Proc-Type:") && trimmed.ends_with(b"ENCRYPTED");
                *place = Place::Headers;
                self.note_in_block(QuirkKind::Headers, number);
            }
            Place::Start | Place::Headers | Place::Data => {
                *place = Place::Data;
                block.pieces.push(trimmed);
            }
        }
    }

    fn finish(mut self, last_line: usize) -> (Vec<Scanned<'a>>, Vec<Quirk>) {
        self.close(End::Missing, last_line);
        if let Some(line) = self.text_since.filter(|_| !self.blocks.is_empty()) {
            self.note_once(QuirkKind::TextAfter, line);
        }
        self.quirks.sort_by_key(|quirk| (quirk.line, quirk.kind));
        (self.blocks, self.quirks)
    }
}

/// A `BEGIN` or `END` with its dashes, somewhere in a line.
struct Marker<'a> {
    is_begin: bool,
    label: &'a [u8],
    start: usize,
    end: usize,
    /// Five dashes on both sides and no blanks inside them.
    is_exact: bool,
}

impl<'a> Marker<'a> {
    /// Fewer dashes than this are not taken for a damaged marker.
    const FEWEST_DASHES: usize = 3;
    const DASHES: usize = 5;
    /// No label in use is half as long. The bound keeps the search linear.
    const LONGEST_LABEL: usize = 64;

    fn find(line: &'a [u8], from: usize) -> Option<Self> {
        let mut position = from;
        loop {
            let start = position + line[position..].iter().position(|byte| *byte == b'-')?;
            let dashes = count_dashes(&line[start..]);
            position = start + dashes;
            if dashes >= Self::FEWEST_DASHES
                && let Some(marker) = Self::after_dashes(line, start, dashes)
            {
                return Some(marker);
            }
        }
    }

    fn after_dashes(line: &'a [u8], start: usize, dashes: usize) -> Option<Self> {
        let after = start + dashes;
        let text = &line[after..line.len().min(after + Self::LONGEST_LABEL)];
        let length = text.iter().position(|byte| *byte == b'-')?;
        let text = &text[..length];
        let (is_begin, label) = keyword(text.trim_ascii())?;
        let mut closing = count_dashes(&line[after + length..]);
        if closing < Self::FEWEST_DASHES {
            return None;
        }
        let behind = &line[after + length + closing..];
        let next = &behind[..behind.len().min(Self::LONGEST_LABEL)];
        if closing >= 2 * Self::FEWEST_DASHES && keyword(next.trim_ascii_start()).is_some() {
            // The dashes of two markers that are glued together.
            closing /= 2;
        }
        let is_exact =
            dashes == Self::DASHES && closing == Self::DASHES && text.trim_ascii() == text;
        Some(Self { is_begin, label, start, end: after + length + closing, is_exact })
    }
}

/// Splits `BEGIN label` or `END label`.
fn keyword(text: &[u8]) -> Option<(bool, &[u8])> {
    let begin = text.strip_prefix(b"BEGIN ").map(|label| (true, label));
    begin.or_else(|| text.strip_prefix(b"END ").map(|label| (false, label)))
}

fn count_dashes(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| **byte == b'-').count()
}
