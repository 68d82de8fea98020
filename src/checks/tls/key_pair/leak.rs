//! A private key in the file of the certificate, which everybody may read and which is copied to
//! clients.

use camino::{Utf8Path, Utf8PathBuf};

use super::fault::docs_of;
use super::usage::{Half, Usage};
use crate::checks::Finding;
use crate::host::files::FileFacts;
use crate::host::{Host, Unknown};
use crate::install::Sourced;

/// Permission bits of everybody else.
const READ: u32 = 0o004;
const SEARCH: u32 = 0o001;

/// Whether any account of the host can read the file: its own mode and those of all folders above
/// it count.
pub(super) async fn is_open_to_all(host: &Host, path: &Utf8Path) -> Result<bool, Unknown> {
    let Some(facts) = host.ask(FileFacts::of(path)).await? else { return Ok(false) };
    if facts.mode & READ == 0 {
        return Ok(false);
    }
    let target = facts.link.map(Utf8PathBuf::from);
    let real = match (target, path.parent()) {
        (Some(target), Some(folder)) => folder.join(target),
        _ => path.to_owned(),
    };
    for folder in real.ancestors().skip(1) {
        let facts = host.ask(FileFacts::of(folder)).await?;
        if facts.is_some_and(|facts| facts.mode & SEARCH == 0) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a private key in the file of the certificate means.
pub(super) fn finding(usage: &Usage, is_open_to_all: bool) -> Finding {
    let file = usage.path(Half::Certificate).as_str();
    let word = usage.word(Half::Certificate);
    let finding = if is_open_to_all {
        let message = "a private key lies in the file of the certificate, and every account of \
                       this host can read it";
        Finding::error("key-exposed", file, message)
    } else {
        let message = "a private key lies in the file of the certificate: whoever is given a copy \
                       of the file has the key";
        Finding::notice("key-in-certificate", file, message)
    };
    let take_out = format!("sudo sed -i '/BEGIN .*PRIVATE KEY/,/END .*PRIVATE KEY/d' {word}");
    let advice = if is_open_to_all {
        "Take the key out of the file. Then replace it: it has to be taken for stolen."
    } else {
        "Take the key out of the file; it has a file of its own."
    };
    let Sourced { source, .. } = &usage.certificate;
    finding
        .evidence(source.evidence("certificate", file))
        .remedy(advice, [take_out])
        .docs(docs_of(usage))
}
