//! What is wrong with a file by itself: a program cannot use it, whatever the other file holds.

use super::usage::{Half, Program};
use crate::parse::pem::{Block, Body, Broken, PemFile, QuirkKind, Shape};

/// A fault and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::checks) struct Fault {
    pub(in crate::checks) kind: Kind,
    /// Counted from 1; `None` for the file as a whole.
    pub(in crate::checks) line: Option<usize>,
}

/// The kinds of faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::checks) enum Kind {
    /// The file is not PEM.
    Shape(Box<Shape>),
    /// The file of one half holds the other half.
    Swapped,
    /// PEM, but with neither half in it. Says what there is.
    Holds(String),
    /// A private key that needs a passphrase.
    Encrypted,
    /// A private key in OpenSSH's own format.
    OpenSsh,
    /// A public key where a private one should be.
    PublicKey,
    /// A peculiarity over which the program stumbles.
    Quirk(QuirkKind),
    /// The end of a block is missing.
    Truncated,
    /// A block that cannot be read, and why.
    Damaged(Broken),
    /// A label under which the program does not look for such a block.
    Label {
        /// The label under which it would.
        right: &'static str,
    },
    /// A kind of key that the program cannot use.
    Algorithm {
        /// Its name.
        algorithm: String,
    },
}

impl Fault {
    /// A fault of one block.
    pub(super) fn at(block: &Block, kind: Kind) -> Self {
        Self { kind, line: Some(block.line) }
    }

    /// What is wrong with a block that should hold what its label says.
    pub(super) fn of_block(block: &Block) -> Self {
        let kind = match &block.body {
            Body::Truncated { .. } => Kind::Truncated,
            Body::Broken { why } => Kind::Damaged(*why),
            other => Kind::Holds(other.to_string()),
        };
        Self::at(block, kind)
    }

    /// Why there is no `half` in a file that has no block for it.
    pub(super) fn of_file(file: &PemFile, half: Half) -> Self {
        let is_swapped = match half {
            Half::Certificate => file.has_private_key(),
            Half::Key => file.certificates().next().is_some(),
        };
        let public = file.blocks.iter().find(|it| matches!(it.body, Body::PublicKey(_)));
        let kind = match (&file.shape, file.blocks.first()) {
            // A certificate in DER is a certificate first, and one in the wrong place second.
            (Shape::Pem, _) if is_swapped => Kind::Swapped,
            (Shape::Pem, _) if half == Half::Key && public.is_some() => Kind::PublicKey,
            (Shape::Pem, Some(block)) => Kind::Holds(block.body.to_string()),
            (shape, _) => Kind::Shape(Box::new(shape.clone())),
        };
        Self { kind, line: None }
    }

    /// A stable name.
    pub(in crate::checks) fn code(&self) -> &'static str {
        match &self.kind {
            Kind::Shape(shape) => code_of_shape(shape),
            Kind::Swapped => "swapped",
            Kind::Holds(_) | Kind::PublicKey => "wrong-contents",
            Kind::Encrypted => "encrypted",
            Kind::OpenSsh => "openssh-format",
            Kind::Quirk(QuirkKind::Bom) => "byte-order-mark",
            Kind::Quirk(_) | Kind::Damaged(_) => "damaged",
            Kind::Truncated => "truncated",
            Kind::Label { .. } => "mislabelled",
            Kind::Algorithm { .. } => "unusable-algorithm",
        }
    }

    /// The fault as a clause.
    pub(in crate::checks) fn clause(&self, program: Program, half: Half) -> String {
        let noun = noun(half);
        match &self.kind {
            Kind::Shape(shape) if **shape == Shape::Empty => "the file is empty".to_owned(),
            Kind::Shape(shape) => format!("the file is {shape} where PEM is wanted"),
            Kind::Swapped if half == Half::Key => {
                "the file holds a certificate where the private key should be".to_owned()
            }
            Kind::Swapped => "the file holds a private key where the certificate should be".into(),
            Kind::Holds(what) => format!("the file holds {what} and no {noun}"),
            Kind::PublicKey => "the file holds a public key and no private key".to_owned(),
            Kind::Encrypted if program == Program::Nginx => {
                "the private key is encrypted and nginx is told no passphrase".to_owned()
            }
            Kind::Encrypted => "the private key is encrypted".to_owned(),
            Kind::OpenSsh => "the private key is in the format of OpenSSH".to_owned(),
            Kind::Quirk(kind) => format!("the {noun} is unreadable because of {kind}"),
            Kind::Truncated => format!("the {noun} is cut short"),
            Kind::Damaged(why) => format!("the {noun} is damaged ({why})"),
            Kind::Label { right } => {
                format!("the {noun} is labelled as something else than '{right}'")
            }
            Kind::Algorithm { algorithm } => format!(
                "the {noun} is of a kind that {} cannot use ({algorithm})",
                user_of(program, half)
            ),
        }
    }
}

fn code_of_shape(shape: &Shape) -> &'static str {
    match shape {
        Shape::Empty => "empty",
        Shape::Pkcs12 => "pkcs12",
        Shape::Utf16 => "utf-16",
        Shape::LiteralNewlines => "literal-newlines",
        Shape::DerCertificate { .. }
        | Shape::DerKey { .. }
        | Shape::DerEncryptedKey
        | Shape::DerOther { .. } => "der",
        Shape::DerCutShort => "truncated",
        _ => "not-pem",
    }
}

/// What should be in a file.
pub(super) fn noun(half: Half) -> &'static str {
    match half {
        Half::Certificate => "certificate",
        Half::Key => "private key",
    }
}

/// Who cannot use it.
fn user_of(program: Program, half: Half) -> &'static str {
    match (program, half) {
        (Program::Nginx, _) => "TLS",
        (Program::Tokens, Half::Key) => "GitLab",
        _ => "the registry",
    }
}
