//! The files in a folder, judged by their names.

use super::Place;
use crate::checks::shell::word;
use crate::checks::trust::client_pair::{incomplete_pair, unpaired};
use crate::checks::{Cause, Evidence, Finding, docs};

/// Endings under which people keep certificates, and which no client reads here.
const IGNORED: [&str; 6] = [".pem", ".cer", ".der", ".crt.txt", ".p7b", ".crt"];

pub(super) fn judge_contents(place: &Place, folder: &str, names: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    // containerd takes a certificate and its key from one file.
    if !place.containerd {
        findings.extend(unpaired(names).map(|pair| incomplete(place, folder, &pair, names)));
    }
    let read = |name: &&str| name.strip_suffix(".crt").is_some() || *name == "hosts.toml";
    if !names.iter().any(read) {
        findings.extend(unread(place, folder, names));
    }
    let explains = |finding: Finding| finding.explains(Cause::File(folder.to_owned()));
    findings.into_iter().map(explains).collect()
}

fn incomplete(
    place: &Place,
    folder: &str,
    (name, partner): &(String, String),
    names: &[&str],
) -> Finding {
    let client = &place.client;
    let message = format!(
        "there is {name} but no {partner}: {client} refuses every operation with this registry"
    );
    let words = incomplete_pair(names).map_or_else(String::new, |(words, _)| words);
    let finding = Finding::error("incomplete-pair", folder, message)
        .seen(format!("{client} says"), words)
        .docs(docs::REGISTRY_SELF_SIGNED);
    let from = word(&format!("{folder}/{name}"));
    match name.strip_suffix(".cert") {
        Some(stem) => finding.remedy(
            format!("If {name} is a CA certificate, let it end in .crt; else put {partner} there."),
            [format!("sudo mv {from} {}", word(&format!("{folder}/{stem}.crt")))],
        ),
        None => finding.remedy(
            format!("If no client certificate is needed, remove {name}; else put {partner} there."),
            [format!("sudo rm {from}")],
        ),
    }
}

/// The code of the finding on certificates that nobody reads.
pub(super) const UNREAD: &str = "ending-not-read";

/// Certificates under endings that nobody reads, where there is none that somebody reads.
fn unread(place: &Place, folder: &str, names: &[&str]) -> Option<Finding> {
    let ending = |name: &str| {
        let lower = name.to_ascii_lowercase();
        IGNORED.into_iter().find(|ending| lower.ends_with(ending))
    };
    let (name, ending) = names.iter().find_map(|name| Some((*name, ending(name)?)))?;
    let stem = &name[..name.len() - ending.len()];
    let path = format!("{folder}/{name}");
    Some(
        Finding::warning(
            UNREAD,
            folder,
            format!("{} reads only files that end in .crt, and there is only {name}", place.client),
        )
        .evidence(Evidence::new("file", name).at(&path, None))
        .remedy(
            "Rename the file.",
            [format!("sudo mv {} {}", word(&path), word(&format!("{folder}/{stem}.crt")))],
        )
        .docs(docs::REGISTRY_SELF_SIGNED),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(names: &[&str]) -> Vec<&'static str> {
        judge_contents(&Place::docker(), "/f", names).iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn endings_are_read_as_docker_reads_them() {
        assert!(codes(&["ca.crt"]).is_empty());
        assert!(codes(&["ca.crt", "ca.pem"]).is_empty());
        assert!(codes(&["ca.crt", "client.cert", "client.key"]).is_empty());
        assert_eq!(codes(&["ca.pem"]), ["ending-not-read"]);
        assert_eq!(codes(&["ca.CRT"]), ["ending-not-read"]);
        assert_eq!(codes(&["ca.cert"]), ["incomplete-pair"]);
        assert_eq!(codes(&["ca.crt", "client.key"]), ["incomplete-pair"]);
        assert!(codes(&[]).is_empty());
    }

    #[test]
    fn commands_name_the_files_that_are_there() {
        let command = |names: &[&str]| {
            let findings = judge_contents(&Place::docker(), "/f/h:1", names);
            findings[0].remedy.commands[0].clone()
        };
        assert_eq!(command(&["my.ca.pem"]), "sudo mv /f/h:1/my.ca.pem /f/h:1/my.ca.crt");
        assert_eq!(command(&["ca.CRT"]), "sudo mv /f/h:1/ca.CRT /f/h:1/ca.crt");
        assert_eq!(command(&["ca.crt.txt"]), "sudo mv /f/h:1/ca.crt.txt /f/h:1/ca.crt");
        assert_eq!(command(&["ca.cert"]), "sudo mv /f/h:1/ca.cert /f/h:1/ca.crt");
        assert_eq!(command(&["a.key"]), "sudo rm /f/h:1/a.key");
    }
}
