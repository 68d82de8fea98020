//! Files that are not there.

use super::cure::{new_certificate, new_pair};
use super::nearby::Nearby;
use super::usage::{Half, Program, Usage};
use crate::checks::shell::word;
use crate::checks::{Finding, docs};
use crate::install::{GITLAB_RB, Source};
use crate::parse::key::PublicKey;

/// Neither half is there.
pub(super) fn both(usage: &Usage, nearby: &Nearby) -> Finding {
    let message = format!("neither this certificate nor its key exists: {}", consequence(usage));
    let finding = Finding::error("missing", usage.path(Half::Certificate).as_str(), message);
    let finding = usage.describe(finding);
    let halves = [Half::Certificate, Half::Key];
    if halves.iter().all(|half| nearby.is_link(usage.path(*half))) {
        return dangling(finding, usage, halves).docs(docs_of(usage));
    }
    let finding = match usage.program() {
        Program::Tokens => tokens(finding, usage, &new_pair(usage)),
        Program::Nginx | Program::Registry => other_pair(finding, usage, nearby),
    };
    finding.docs(docs_of(usage))
}

/// One half is not there; `other` says whether the other one is, where that could be seen, and
/// `public` is its public key, if the file can be read.
pub(super) fn one(
    usage: &Usage,
    half: Half,
    other: bool,
    public: Option<&PublicKey>,
    nearby: &Nearby,
) -> Finding {
    let link = nearby.is_link(usage.path(half));
    let (this, its) = match half {
        Half::Certificate => ("certificate", "key"),
        Half::Key => ("private key", "certificate"),
    };
    let what = match (link, other) {
        (true, _) => format!("the {this} is a link that leads nowhere"),
        (false, true) => format!("the {this} does not exist, but its {its} does"),
        (false, false) => format!("the {this} does not exist"),
    };
    let message = format!("{what}: {}", usage.consequence(half));
    let finding = usage.describe(Finding::error("missing", usage.path(half).as_str(), message));
    let found = public.and_then(|public| match half {
        Half::Certificate => nearby.certificate_of(public),
        Half::Key => nearby.key_of(public),
    });
    let finding = match (found, usage.program()) {
        (Some(found), _) => {
            let copy = format!("sudo cp -p {} {}", word(found.as_str()), usage.word(half));
            finding
                .seen("belongs to the other file", found)
                .remedy("Put the file that fits into place.", with_restart(usage, half, [copy]))
        }
        (None, _) if link => dangling(finding, usage, [half]),
        (None, Program::Tokens) => tokens(finding, usage, &new(usage, half)),
        (None, Program::Nginx | Program::Registry) => make(finding, usage, half),
    };
    finding.docs(docs_of(usage))
}

/// The command that makes a file for the other one, or both where a key is to be made.
fn new(usage: &Usage, half: Half) -> String {
    match half {
        Half::Certificate => new_certificate(usage),
        Half::Key => new_pair(usage),
    }
}

/// Nothing that fits lies nearby.
fn make(finding: Finding, usage: &Usage, half: Half) -> Finding {
    let advice = match half {
        Half::Certificate => {
            "Put the certificate of this key here, one from your own CA if there is one. A \
             self-signed one, which every client must be told to trust, is made so:"
        }
        Half::Key => {
            "Put the key here that was made for this certificate. If it is lost, the certificate \
             is of no use: make a pair anew, or have your own CA make one."
        }
    };
    finding.remedy(advice, with_restart(usage, half, [new(usage, half)]))
}

/// Whoever made the link knows where the file belongs; openssl could not write through it.
fn dangling(
    finding: Finding,
    usage: &Usage,
    halves: impl IntoIterator<Item = Half> + Clone,
) -> Finding {
    let words = halves.clone().into_iter().map(|half| usage.word(half)).collect::<Vec<_>>();
    let finding = halves
        .into_iter()
        .fold(finding, |finding, half| finding.seen("a link that leads nowhere", usage.path(half)));
    finding.remedy(
        "Put the file back to which the link leads, or let the link lead to where it is now.",
        with_restart(usage, Half::Certificate, [format!("ls -l {}", words.join(" "))]),
    )
}

fn consequence(usage: &Usage) -> &'static str {
    // Without the bundle there is no registry to which anybody could log in.
    usage.consequence(Half::Certificate)
}

fn with_restart(
    usage: &Usage,
    half: Half,
    commands: impl IntoIterator<Item = String>,
) -> Vec<String> {
    let restart = usage.restart(half).map(ToOwned::to_owned);
    commands.into_iter().chain(restart).collect()
}

/// A pair under another name means that either the name or the file is wrong.
fn other_pair(finding: Finding, usage: &Usage, nearby: &Nearby) -> Finding {
    let make = new_pair(usage);
    let mut finding = finding;
    let mut name = None;
    for (certificate, key) in nearby.pairs() {
        finding = finding.seen("a pair under another name", format!("{certificate}, {key}"));
        name = name.or(certificate.file_stem());
    }
    if let (Some(_), Some(own)) = (name, &nearby.own_name) {
        finding = finding.seen("this host calls itself", own);
    }
    let is_default = matches!(usage.certificate.source, Source::Default(_));
    let (Some(name), Some(host), true) = (name, usage.hosts.first(), is_default) else {
        return finding.remedy(
            "Put the certificate and its key here, from your own CA if there is one. A \
             self-signed pair, which every client must be told to trust, is made so:",
            with_restart(usage, Half::Certificate, ssl_folder(usage).into_iter().chain([make])),
        );
    };
    let stem = usage.path(Half::Certificate).file_stem().unwrap_or_default();
    if name.eq_ignore_ascii_case(stem) {
        return finding.remedy(
            format!(
                "The names of the files follow the host as it is written, and {stem} is not \
                 {name}: write {name} into {}.",
                usage.url_settings()
            ),
            [format!("sudoedit {GITLAB_RB}"), "sudo gitlab-ctl reconfigure".to_owned()],
        );
    }
    finding.remedy(
        format!(
            "Find out which name is right, {name} or {host}. If it is {name}, write that into {}; \
             if it is {host}, put a pair for it here, from your own CA if there is one.",
            usage.url_settings()
        ),
        vec![
            format!("# if {name} is right:"),
            format!("sudoedit {GITLAB_RB}"),
            "sudo gitlab-ctl reconfigure".to_owned(),
            format!("# if {host} is right, for want of a CA:"),
            make,
            "sudo gitlab-ctl hup nginx".to_owned(),
        ],
    )
}

/// openssl makes no folders.
fn ssl_folder(usage: &Usage) -> Option<String> {
    let folder = usage.path(Half::Certificate).parent();
    folder.map(|folder| format!("sudo mkdir -p {}", word(folder.as_str())))
}

/// The Linux package writes both files again.
fn tokens(finding: Finding, usage: &Usage, mend: &str) -> Finding {
    if usage.is_written_by_package() {
        return finding.remedy(
            "Let reconfigure write the pair again, from gitlab-secrets.json.",
            ["sudo gitlab-ctl reconfigure", "sudo gitlab-ctl restart registry"],
        );
    }
    let advice = "Make what is missing: the key for GitLab, the certificate for the registry.";
    finding.remedy(advice, with_restart(usage, Half::Certificate, [mend.to_owned()]))
}

fn docs_of(usage: &Usage) -> &'static str {
    match usage.program() {
        Program::Nginx => docs::SSL,
        Program::Registry | Program::Tokens => docs::REGISTRY,
    }
}
