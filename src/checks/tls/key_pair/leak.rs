//! A private key in the file of the certificate, which everybody may read and which is copied to
//! clients.

use camino::{Utf8Path, Utf8PathBuf};

use super::usage::{Half, Usage, docs_of};
use crate::checks::Finding;
use crate::host::files::FileFacts;
use crate::host::{Host, Unknown};

/// Permission bits of everybody else.
const READ: u32 = 0o004;
const SEARCH: u32 = 0o001;

/// Whether any account of the host can read the file: its own mode and those of all folders above
/// it count.
pub(in crate::checks) async fn is_open_to_all(
    host: &Host,
    path: &Utf8Path,
) -> Result<bool, Unknown> {
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

/// Adds that a key which lies in the wrong place can be read by everybody.
pub(super) fn seen(finding: Finding) -> Finding {
    finding.seen("readable by", "every account of this host, so the key has to be taken for stolen")
}

/// What a private key in the file of the certificate means. It may be the only copy of its key,
/// unless that `is_kept` in its own file.
pub(super) fn finding(usage: &Usage, is_open_to_all: bool, is_kept: bool) -> Finding {
    let file = usage.path(Half::Certificate).as_str();
    let finding = if is_open_to_all {
        let message = "a private key lies in the file of the certificate, and every account of \
                       this host can read it";
        Finding::error("key-exposed", file, message)
    } else {
        let message = "a private key lies in the file of the certificate: whoever is given a copy \
                       of the file has the key";
        Finding::notice("key-in-certificate", file, message)
    };
    let advice = if is_open_to_all {
        "Take the key out of the file. Then replace it: it has to be taken for stolen."
    } else {
        "Take the key out of the file; it belongs into its own."
    };
    let finding = finding.evidence(usage.certificate.evidence("certificate"));
    let commands = if usage.is_written_by_package() {
        vec!["sudo gitlab-ctl reconfigure".to_owned()]
    } else {
        take_out(usage, is_kept)
    };
    finding.remedy(advice, commands).docs(docs_of(usage))
}

fn take_out(usage: &Usage, is_kept: bool) -> Vec<String> {
    let word = usage.word(Half::Certificate);
    let blocks = "/BEGIN .*PRIVATE KEY/,/END .*PRIVATE KEY/";
    let remove = format!("sudo sed -i '{blocks}d' {word}");
    if is_kept {
        return vec![remove];
    }
    vec![
        format!("sudo install -m 600 /dev/null {word}.key"),
        format!("sudo sed -n '{blocks}p' {word} | sudo tee {word}.key > /dev/null"),
        remove,
    ]
}
