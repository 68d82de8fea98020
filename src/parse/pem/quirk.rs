//! Peculiarities of a PEM file, each of which some program stumbles over.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A peculiarity and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quirk {
    /// What it is.
    pub kind: QuirkKind,
    /// The line, counted from 1.
    pub line: usize,
}

/// The kinds of peculiarities. What is said of OpenSSL was tried with 3.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuirkKind {
    /// A UTF-8 byte order mark. Go loses the block on the same line; OpenSSL reads it.
    Bom,
    /// Lines end with CR and LF. Harmless; the first such line.
    Crlf,
    /// Lines end with CR alone. OpenSSL and Go see one long line. The first such line.
    CrOnly,
    /// The last line does not end. Harmless until another file is appended.
    NoFinalNewline,
    /// Text before the first block. Harmless; `openssl x509 -text` and `pkcs12` write it.
    TextBefore,
    /// Text between two blocks. Harmless.
    TextBetween,
    /// Text after the last block. Harmless.
    TextAfter,
    /// An `END` to which no `BEGIN` belongs: the head of a block is lost.
    EndWithoutBegin,
    /// Blanks before a marker. Go ignores the block; OpenSSL refuses the file.
    Indented,
    /// Two markers on one line, as from `cat` with a file that lacks its final newline. Go loses
    /// both blocks; OpenSSL refuses the file.
    GluedMarkers,
    /// Other text on the line of a marker. Go ignores the block; OpenSSL refuses the file.
    MarkerNotAlone,
    /// A marker with other than five dashes, or blanks inside them. Neither Go nor OpenSSL
    /// knows the block.
    MarkerDashes,
    /// `Name: value` lines in the block. Harmless where they say how a key is encrypted; Go reads
    /// others as well, for which OpenSSL refuses a certificate.
    Headers,
    /// An empty line within or after the data of a block. Go reads it; OpenSSL refuses the file.
    BlankLine,
}

impl fmt::Display for QuirkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bom => "a byte order mark",
            Self::Crlf => "Windows line ends",
            Self::CrOnly => "line ends of carriage returns alone",
            Self::NoFinalNewline => "no newline at the end of the file",
            Self::TextBefore => "text before the first block",
            Self::TextBetween => "text between blocks",
            Self::TextAfter => "text after the last block",
            Self::EndWithoutBegin => "an END line without its BEGIN line",
            Self::Indented => "blanks before a BEGIN or END line",
            Self::GluedMarkers => "END and BEGIN on one line",
            Self::MarkerNotAlone => "other text on a BEGIN or END line",
            Self::MarkerDashes => "a BEGIN or END line without exactly five dashes on each side",
            Self::Headers => "header lines in a block",
            Self::BlankLine => "an empty line in the data of a block",
        })
    }
}
