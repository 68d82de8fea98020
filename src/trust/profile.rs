//! The clients, each a value: which library reads for it, how it looks for a path, which rules it
//! applies in which order, and in what words it refuses.

use super::Client;
use super::breach::{Breach, Kind};
use super::host_name;
use super::rules::Rule;

/// Who reads files and certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Library {
    /// crypto/x509 of Go 1.26.
    Go,
    /// libcrypto of OpenSSL 3, at security level 2 (Debian, Ubuntu, upstream from 3.2 on).
    OpenSsl,
}

/// How a path from the leaf to the store is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Search {
    /// Every path is followed, and a candidate has to pass these rules to be part of one (Go,
    /// `buildChains`). What fails the first ones is passed over; the second ones end the search
    /// with their error if nothing better is found.
    EveryPath { signing: &'static [Rule], standing: &'static [Rule] },
    /// The first issuer whose name and key identifier fit is taken, the store's before those that
    /// were sent, and there is no way back (OpenSSL, `build_chain`). With partial chains any
    /// certificate of the store ends the path, else only a self-signed one.
    FirstIssuer { partial: bool },
}

/// One step of a client's judgement.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Rules on the leaf alone.
    Leaf(&'static [Rule]),
    /// Look for paths.
    Build,
    /// Rules on each certificate of the path, the leaf first.
    Up(&'static [Rule]),
    /// Rules on each certificate of the path, the anchor first.
    Down(&'static [Rule]),
    /// Rules on the path as a whole.
    Whole(&'static [Rule]),
}

/// A client.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) library: Library,
    pub(super) search: Search,
    pub(super) steps: &'static [Step],
    pub(super) host_name: host_name::Check,
    /// The error that users see.
    pub(super) words: fn(&Breach) -> String,
}

impl Profile {
    pub(super) fn of(client: Client) -> &'static Self {
        match client {
            Client::Go => &GO,
            Client::OpenSsl => &OPENSSL,
            Client::Curl => &CURL,
            Client::Ruby => &RUBY,
        }
    }

    pub(super) fn partial(&self) -> bool {
        matches!(self.search, Search::FirstIssuer { partial: true })
    }
}

/// crypto/tls: parse, then `Certificate.Verify`, then the kind of the key.
static GO: Profile = Profile {
    library: Library::Go,
    search: Search::EveryPath {
        signing: &[Rule::MaySign, Rule::SoundAlgorithm, Rule::Signature],
        standing: &[Rule::Critical, Rule::Dates, Rule::Authority, Rule::PathLength],
    },
    steps: &[
        Step::Leaf(&[Rule::Critical, Rule::Dates, Rule::HostName]),
        Step::Build,
        Step::Whole(&[Rule::Policies, Rule::Purpose, Rule::NameConstraints]),
        Step::Leaf(&[Rule::UsableKey]),
    ],
    host_name: host_name::go,
    words: go_words,
};

const LEAF_KEY: Step = Step::Leaf(&[Rule::KeyStrength]);
const EXTENSIONS: Step =
    Step::Up(&[Rule::Critical, Rule::Authority, Rule::NamedCurve, Rule::Purpose, Rule::PathLength]);
const STRENGTH: Step = Step::Up(&[Rule::AuthorityKeyStrength, Rule::SignatureStrength]);
const SIGNATURES: Step = Step::Down(&[Rule::Dates, Rule::MaySign, Rule::Signature]);
const NAME: Step = Step::Leaf(&[Rule::HostName]);
const CONSTRAINTS: Step = Step::Whole(&[Rule::NameConstraints]);

/// `openssl s_client -verify_return_error` with `-verify_hostname` or `-verify_ip`: the order of
/// `X509_verify_cert` and `verify_chain`.
static OPENSSL: Profile = Profile {
    library: Library::OpenSsl,
    search: Search::FirstIssuer { partial: false },
    steps: &[LEAF_KEY, Step::Build, EXTENSIONS, STRENGTH, NAME, SIGNATURES, CONSTRAINTS],
    host_name: host_name::openssl,
    words: openssl_words,
};

/// curl and git with an OpenSSL libcurl: partial chains are on, and the name is compared by curl
/// itself when all else is done.
static CURL: Profile = Profile {
    library: Library::OpenSsl,
    search: Search::FirstIssuer { partial: true },
    steps: &[LEAF_KEY, Step::Build, EXTENSIONS, STRENGTH, SIGNATURES, CONSTRAINTS, NAME],
    host_name: host_name::curl,
    words: curl_words,
};

/// Ruby's `Net::HTTP`, as in Rails: the name is compared in the verify callback for the leaf, which
/// comes after the dates and before the name constraints.
static RUBY: Profile = Profile {
    library: Library::OpenSsl,
    search: Search::FirstIssuer { partial: false },
    steps: &[LEAF_KEY, Step::Build, EXTENSIONS, STRENGTH, SIGNATURES, NAME, CONSTRAINTS],
    host_name: host_name::ruby,
    words: ruby_words,
};

/// What Go's TLS client puts before the error of a chain that it has parsed, from 1.20 on.
pub const GO_PREFIX: &str = "tls: failed to verify certificate: ";

fn go_words(breach: &Breach) -> String {
    match &breach.kind {
        Kind::Unreadable { words, .. } => {
            format!("tls: failed to parse certificate from server: {words}")
        }
        Kind::NoCertificate | Kind::UnsupportedKey(_) => breach.kind.go(),
        kind => format!("{GO_PREFIX}{}", kind.go()),
    }
}

/// What OpenSSL says of a file without any certificate; other refusals come from its PEM reader.
pub(super) const NOTHING_FOUND: &str = "no certificate or crl found";

fn openssl_words(breach: &Breach) -> String {
    match (&breach.kind, breach.kind.openssl()) {
        (Kind::StoreRefused { words, .. }, _) if words == NOTHING_FOUND => {
            format!("x509 certificate routines:X509_load_cert_crl_file_ex:{words}")
        }
        (Kind::StoreRefused { words, .. }, _) => format!("PEM routines:{words}"),
        (_, (0, words)) => format!("tls_process_server_certificate:{words}"),
        (_, (number, words)) => format!("verify error:num={number}:{words}"),
    }
}

fn curl_words(breach: &Breach) -> String {
    match (&breach.kind, breach.kind.openssl()) {
        (Kind::StoreRefused { file, .. }, _) => {
            format!("curl: (77) error setting certificate file: {file}")
        }
        (Kind::CommonNameMismatch { common, wanted }, _) => format!(
            "curl: (60) SSL: certificate subject name '{common}' does not match target host name \
             '{wanted}'"
        ),
        (Kind::NameMismatch { wanted, .. }, _) => format!(
            "curl: (60) SSL: no alternative certificate subject name matches target host name \
             '{wanted}'"
        ),
        (Kind::Invalid(_), _) => {
            "curl: (35) error:1100009E:X509 V3 routines::invalid certificate".to_owned()
        }
        (_, (0, words)) => format!("curl: (35) {words}"),
        (_, (_, words)) => format!("curl: (60) SSL certificate problem: {words}"),
    }
}

fn ruby_words(breach: &Breach) -> String {
    match (&breach.kind, breach.kind.openssl()) {
        (Kind::StoreRefused { words, .. }, _) => {
            let words = if words == NOTHING_FOUND { words } else { "PEM lib" };
            format!("SSL_CTX_load_verify_file: {words}")
        }
        // Ruby has one error for a name that does not match, be it an address.
        (Kind::NameMismatch { .. }, _) => {
            ruby_error("certificate verify failed (hostname mismatch)")
        }
        (_, (0, words)) => ruby_error(words),
        (_, (_, words)) => ruby_error(&format!("certificate verify failed ({words})")),
    }
}

fn ruby_error(words: &str) -> String {
    format!("SSL_connect returned=1 errno=0 state=error: {words}")
}
