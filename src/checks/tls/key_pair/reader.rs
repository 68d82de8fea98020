//! What a program gets out of a file that should hold certificates or a private key.
//!
//! Every rule was tried with the programs themselves: nginx 1.22 with OpenSSL 3.0, Ruby 3.1 as
//! Rails uses it, and a registry of Go 1.19. `openssl` on the command line reads more than they do.

use super::fault::{Fault, Kind};
use super::usage::{Half, Program, Usage};
use crate::parse::certificate as facts;
use crate::parse::key::{self, Algorithm, Curve, Format, Key, PublicKey};
use crate::parse::pem::{Block, Body, Broken, Missing, PemFile, QuirkKind, Shape};

/// By whose rules a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::checks) enum Reader {
    /// nginx: PEM only.
    OpenSsl,
    /// `OpenSSL::PKey::RSA.new`: PEM or DER, RSA only.
    Ruby,
    /// `tls.LoadX509KeyPair`.
    Go,
    /// What the registry does with `rootcertbundle`: Go's rules, and not every algorithm of Go.
    Bundle,
}

/// The certificates that a program gets out of a file.
#[derive(Debug, Default)]
pub(in crate::checks) struct Certificates {
    /// At least one.
    pub(in crate::checks) found: Vec<Certificate>,
    /// Blocks that it skips without a word.
    pub(in crate::checks) ignored: Vec<Fault>,
}

/// One certificate.
#[derive(Debug)]
pub(in crate::checks) struct Certificate {
    pub(in crate::checks) first_line: usize,
    pub(in crate::checks) last_line: usize,
    pub(in crate::checks) public: PublicKey,
    /// Whom it is for, as people write it.
    pub(super) subject: String,
    /// Of the whole certificate, by which other checks know it; empty where it cannot be read to its
    /// end.
    pub(super) fingerprint: String,
}

/// The keys that a program gets out of a file.
#[derive(Debug)]
pub(in crate::checks) struct Keys<'a> {
    /// The one that is used.
    pub(in crate::checks) first: &'a Key,
    /// Those behind it, which nobody reads.
    pub(in crate::checks) others: Vec<&'a Key>,
}

/// What becomes of a block.
enum Fate {
    /// The program goes on as if it were not there.
    Skipped(Fault),
    /// The program gives up.
    Refused(Fault),
}

impl Reader {
    /// By which rules a program reads one of the two files.
    pub(super) fn of(usage: &Usage, half: Half) -> Self {
        match (usage.program(), half) {
            (Program::Nginx, _) => Self::OpenSsl,
            (Program::Tokens, Half::Key) => Self::Ruby,
            (Program::Tokens, Half::Certificate) => Self::Bundle,
            (Program::Registry, _) => Self::Go,
        }
    }

    /// The certificates in the file, or why the program gets none.
    pub(in crate::checks) fn certificates(self, file: &PemFile) -> Result<Certificates, Fault> {
        let mut read = Certificates::default();
        for block in file.blocks.iter().filter(|block| block.label.ends_with("CERTIFICATE")) {
            match self.certificate(file, block) {
                Ok(certificate) => read.found.push(certificate),
                Err(Fate::Skipped(fault)) => read.ignored.push(fault),
                Err(Fate::Refused(fault)) => return Err(fault),
            }
        }
        if read.found.is_empty() {
            let skipped = read.ignored.into_iter().next();
            return Err(skipped.unwrap_or_else(|| Fault::of_file(file, Half::Certificate)));
        }
        Ok(read)
    }

    fn certificate(self, file: &PemFile, block: &Block) -> Result<Certificate, Fate> {
        self.armour(file, block)?;
        let damaged = || Fate::Refused(Fault::of_block(block));
        let der = match &block.body {
            Body::Certificate { der } if !self.is_go() || block.label == "CERTIFICATE" => der,
            Body::TrustedCertificate { der } if !self.is_go() => der,
            Body::Certificate { .. } | Body::TrustedCertificate { .. } => {
                return Err(Fate::Skipped(Fault::at(block, Kind::Label { right: "CERTIFICATE" })));
            }
            _ => return Err(damaged()),
        };
        let public = key::of_certificate(der.as_ref()).map_err(|_| damaged())?;
        if self.is_go() {
            let accepted = self.accepts(&public.algorithm);
            accepted.map_err(|kind| Fate::Refused(Fault::at(block, kind)))?;
        }
        // One that cannot be read to its end has a key all the same.
        let facts = facts::Certificate::from_der(der.as_ref());
        let (subject, fingerprint) =
            facts.map(|facts| (facts.subject, facts.fingerprint)).unwrap_or_default();
        Ok(Certificate {
            first_line: block.line,
            last_line: block.last_line,
            public,
            subject,
            fingerprint,
        })
    }

    /// The private key in the file, or why the program gets none.
    pub(in crate::checks) fn key(self, file: &PemFile) -> Result<Keys<'_>, Fault> {
        if let (Self::Ruby, Shape::DerKey { key }) = (self, &file.shape) {
            self.accepts(&key.algorithm).map_err(|kind| Fault { kind, line: None })?;
            return Ok(Keys { first: key, others: Vec::new() });
        }
        let mut keys = Vec::new();
        let mut skipped = None;
        for block in file.blocks.iter().filter(|block| block.is_private_key()) {
            match self.private_key(file, block) {
                Ok(key) => keys.push(key),
                Err(Fate::Skipped(fault)) => skipped = skipped.or(Some(fault)),
                // What comes behind a key is not read any more.
                Err(Fate::Refused(_)) if !keys.is_empty() => break,
                Err(Fate::Refused(fault)) => return Err(fault),
            }
        }
        let mut keys = keys.into_iter();
        match keys.next() {
            Some(first) => Ok(Keys { first, others: keys.collect() }),
            None => Err(skipped.unwrap_or_else(|| Fault::of_file(file, Half::Key))),
        }
    }

    fn private_key<'a>(self, file: &PemFile, block: &'a Block) -> Result<&'a Key, Fate> {
        self.armour(file, block)?;
        let fault = |kind| Fault::at(block, kind);
        match &block.body {
            Body::PrivateKey(key) => {
                if !self.is_go() && !openssl_reads_label(block, key) {
                    let right = key.format.label();
                    return Err(Fate::Skipped(fault(Kind::Label { right })));
                }
                self.accepts(&key.algorithm).map_err(|kind| Fate::Refused(fault(kind)))?;
                Ok(key)
            }
            Body::EncryptedKey { .. } => Err(Fate::Refused(fault(Kind::Encrypted))),
            Body::OpenSshKey => Err(Fate::Refused(fault(Kind::OpenSsh))),
            _ if self.is_go() => Err(Fate::Refused(Fault::of_block(block))),
            _ => Err(Fate::Skipped(Fault::of_block(block))),
        }
    }

    /// Whether the program can use such a key at all.
    fn accepts(self, algorithm: &Algorithm) -> Result<(), Kind> {
        let accepted = match self {
            Self::OpenSsl => !matches!(algorithm, Algorithm::Dsa | Algorithm::Other(_)),
            Self::Ruby => matches!(algorithm, Algorithm::Rsa { .. }),
            Self::Go => go_knows(algorithm),
            Self::Bundle => go_knows(algorithm) && libtrust_knows(algorithm),
        };
        if accepted { Ok(()) } else { Err(Kind::Algorithm { algorithm: algorithm.to_string() }) }
    }

    /// Whether the program gets past the markers and lines of a block.
    fn armour(self, file: &PemFile, block: &Block) -> Result<(), Fate> {
        if file.shape == Shape::LiteralNewlines {
            let fault = Fault { kind: Kind::Shape(Box::new(file.shape.clone())), line: None };
            return Err(Fate::Refused(fault));
        }
        // Without line feeds the file is one line, whichever line the first one is.
        let whole = file.quirks.iter().filter(|quirk| quirk.kind == QuirkKind::CrOnly);
        for quirk in file.quirks_of(block).chain(whole) {
            let fault = Fault { kind: Kind::Quirk(quirk.kind), line: Some(quirk.line) };
            match (self, quirk.kind) {
                (_, QuirkKind::CrOnly) | (Self::Go | Self::Bundle, QuirkKind::Bom) => {
                    return Err(Fate::Skipped(fault));
                }
                (
                    _,
                    QuirkKind::Indented
                    | QuirkKind::GluedMarkers
                    | QuirkKind::MarkerNotAlone
                    | QuirkKind::MarkerDashes,
                ) => {
                    // Go looks for both markers before it begins; OpenSSL stumbles over the second.
                    let unseen = self.is_go() || quirk.line == block.line;
                    return Err(if unseen { Fate::Skipped(fault) } else { Fate::Refused(fault) });
                }
                (Self::OpenSsl | Self::Ruby, QuirkKind::BlankLine) => {
                    return Err(Fate::Refused(fault));
                }
                (Self::OpenSsl | Self::Ruby, QuirkKind::Headers) if !block.is_private_key() => {
                    return Err(Fate::Refused(fault));
                }
                _ => {}
            }
        }
        match &block.body {
            Body::Truncated { missing: Missing::EndMarker }
            | Body::Broken { why: Broken::Base64 | Broken::Labels }
                if self.is_go() =>
            {
                Err(Fate::Skipped(Fault::of_block(block)))
            }
            _ => Ok(()),
        }
    }

    fn is_go(self) -> bool {
        matches!(self, Self::Go | Self::Bundle)
    }
}

/// OpenSSL takes PKCS#8 under any of the old labels, but nothing else under the label of PKCS#8.
fn openssl_reads_label(block: &Block, key: &Key) -> bool {
    let old = ["RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY"];
    block.label == key.format.label()
        || (key.format == Format::Pkcs8 && old.contains(&block.label.as_str()))
}

/// The algorithms in Go's standard library.
fn go_knows(algorithm: &Algorithm) -> bool {
    match algorithm {
        Algorithm::Rsa { .. } | Algorithm::Ed25519 => true,
        Algorithm::Ec { curve, explicit: false } => {
            matches!(curve, Curve::P224 | Curve::P256 | Curve::P384 | Curve::P521)
        }
        _ => false,
    }
}

/// What the registry makes an ID of, among those.
fn libtrust_knows(algorithm: &Algorithm) -> bool {
    let p224 = Algorithm::Ec { curve: Curve::P224, explicit: false };
    *algorithm != Algorithm::Ed25519 && *algorithm != p224
}

#[cfg(test)]
mod tests;
