//! A file of the folder, judged by what reconfigure makes of it: `openssl rehash`, and then a link
//! in GitLab's own store for each certificate that it hashed.

use camino::{Utf8Path, Utf8PathBuf};

use super::STORE;
use crate::checks::Finding;
use crate::checks::shell::word;
use crate::checks::trust::client::Unread;
use crate::checks::trust::mend::{rewrite, split};
use crate::checks::trust::tell::stable;
use crate::host::files::TrustFile;

/// The endings that `openssl rehash` looks at, in any case.
const READ: [&str; 4] = ["pem", "crt", "cer", "crl"];

/// The code of a certificate that is in order, but not in GitLab's store.
pub(super) const NOT_LINKED: &str = "not-reconfigured";

/// A file of the folder.
pub(super) struct Judged<'a> {
    pub(super) path: &'a Utf8Path,
    /// `None` for a link that leads nowhere.
    pub(super) file: Option<&'a TrustFile>,
}

/// How GitLab's own store holds a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Linked {
    /// By a link to the same bytes.
    Yes,
    /// Not at all, and there is a link for another certificate of its subject.
    Other(Utf8PathBuf),
    /// Not at all.
    No,
}

/// The commands after which GitLab knows a changed folder. Reconfigure looks at it only if the
/// times of files have changed since, which a restored backup may hide.
fn reconfigure(before: impl IntoIterator<Item = String>) -> Vec<String> {
    let after = [
        "sudo rm -f /var/opt/gitlab/trusted-certs-directory-hash",
        "sudo gitlab-ctl reconfigure",
        // Reconfigure restarts Puma and Workhorse; these read the store when they start.
        "for it in sidekiq registry gitaly; do sudo gitlab-ctl restart $it; done",
    ];
    before.into_iter().chain(after.map(str::to_owned)).collect()
}

impl Judged<'_> {
    /// What is wrong with the file, given how each of its certificates is linked.
    pub(super) fn finding(&self, linked: &[Linked]) -> Option<Finding> {
        let Some(file) = self.file else { return Some(self.dangling()) };
        if file.private_key {
            return Some(self.private_key());
        }
        if linked.is_empty() {
            return self.without_certificate(file);
        }
        if linked.iter().all(|linked| *linked == Linked::Yes) {
            return self.unseen_by_go(file);
        }
        let ending = self.path.extension().unwrap_or_default().to_ascii_lowercase();
        Some(if !READ.contains(&ending.as_str()) {
            self.not_read(file)
        } else if linked.len() > 1 {
            self.several(linked.len())
        } else if file.openssl.taken.is_empty() || is_trusted(file) {
            self.malformed(file)
        } else {
            self.not_linked(linked)
        })
    }

    fn error(&self, code: &'static str, message: impl Into<String>) -> Finding {
        Finding::error(code, self.path.as_str(), message)
    }

    fn dangling(&self) -> Finding {
        let message = "it is a link that leads nowhere, and reconfigure removes it";
        Finding::warning("dangling-link", self.path.as_str(), message).remedy(
            "Put the certificate itself there, not a link to it, or remove the link.",
            [format!("sudo rm {}", word(self.path.as_str()))],
        )
    }

    fn private_key(&self) -> Finding {
        let file = word(self.path.as_str());
        self.error(
            "private-key-beside-ca",
            "it holds a private key, and reconfigure lets everybody on this host read the file \
             (mode 0644)",
        )
        .remedy(
            "Take the key out, and then replace the key and its certificate wherever they are in \
             use: others may have it.",
            reconfigure([format!(
                "sudo sed -i '/-----BEGIN .*PRIVATE KEY-----/,/-----END .*PRIVATE KEY-----/d' {file}"
            )]),
        )
    }

    /// Somebody meant it for a certificate, by its name.
    fn without_certificate(&self, file: &TrustFile) -> Option<Finding> {
        let ending = self.path.extension()?.to_ascii_lowercase();
        // A list of revoked certificates has its place here.
        let list = file.openssl.notes.iter().any(|(code, _)| code == "crl");
        if !READ.contains(&ending.as_str()) || list {
            return None;
        }
        let why =
            file.openssl.notes.first().map_or("has no certificate", |(_, text)| text.as_str());
        let message = format!("GitLab trusts nothing through it: the file {why}");
        Some(Finding::warning("no-certificate", self.path.as_str(), message).remedy(
            "Put one certificate in PEM there, or remove the file.",
            [format!("sudo rm {}", word(self.path.as_str()))],
        ))
    }

    /// Linked, and so good for Rails; but Go programs read the same file by other rules.
    fn unseen_by_go(&self, file: &TrustFile) -> Option<Finding> {
        let unread = self.unread(file).filter(|_| file.go.taken.is_empty())?;
        let message = format!(
            "Rails trusts its certificate, but Gitaly, Workhorse and the registry, written in Go, do \
             not see it: the file {}",
            unread.text
        );
        Some(mend(self.error(stable(&unread.code), message), &unread))
    }

    fn unread(&self, file: &TrustFile) -> Option<Unread> {
        let harmless = ["private-key", "crl"];
        let mut notes = file.go.notes.iter().chain(&file.openssl.notes);
        let (code, text) = notes.find(|(code, _)| !harmless.contains(&code.as_str()))?;
        Some(Unread {
            path: self.path.to_owned(),
            code: code.clone(),
            text: text.clone(),
            count: file.all().count(),
            proven: false,
        })
    }

    fn not_read(&self, file: &TrustFile) -> Finding {
        let finding = self.error(
            "ending-not-read",
            "GitLab does not trust it: only names that end in .crt, .pem or .cer are read, others \
             are passed over without a word",
        );
        let (from, to) = (word(self.path.as_str()), word(self.path.with_extension("crt").as_str()));
        if is_der(file) {
            let convert = format!("sudo openssl x509 -inform DER -in {from} -out {to}");
            return finding.remedy(
                "Convert it from DER to PEM, under a name that is read.",
                reconfigure([convert, format!("sudo rm {from}")]),
            );
        }
        finding.remedy("Rename it.", reconfigure([format!("sudo mv {from} {to}")]))
    }

    fn several(&self, count: usize) -> Finding {
        self.error(
            "several-certificates",
            format!("GitLab trusts none of its {count} certificates: a file may hold only one"),
        )
        .seen(
            "reconfigure says",
            format!(
                "rehash: warning: skipping {},it does not contain exactly one certificate or CRL",
                self.path.file_name().unwrap_or_default()
            ),
        )
        .remedy("Put each certificate into a file of its own.", reconfigure(split(self.path)))
    }

    fn malformed(&self, file: &TrustFile) -> Finding {
        let unread = self.unread(file).unwrap_or_else(|| Unread {
            path: self.path.to_owned(),
            code: "no-certificate".to_owned(),
            text: "cannot be read".to_owned(),
            count: 1,
            proven: false,
        });
        let message = format!("GitLab does not trust its certificate: the file {}", unread.text);
        mend(self.error(stable(&unread.code), message), &unread)
    }

    fn not_linked(&self, linked: &[Linked]) -> Finding {
        let other = linked.iter().find_map(|linked| match linked {
            Linked::Other(link) => Some(link),
            Linked::Yes | Linked::No => None,
        });
        match other {
            // Reconfigure leaves a link alone that is there, wherever it leads.
            Some(link) => self
                .error(
                    "stale-link",
                    format!(
                        "GitLab does not trust its certificate: {link} leads to another one of the \
                         same name, and reconfigure leaves it so"
                    ),
                )
                .remedy(
                    "Remove the link, and let reconfigure make it anew.",
                    reconfigure([format!("sudo rm {}", word(link.as_str()))]),
                ),
            None => self
                .error(
                    NOT_LINKED,
                    format!(
                        "GitLab does not trust its certificate: no link in {STORE} leads to it, so \
                         there was no reconfigure since it came here"
                    ),
                )
                .remedy("Run reconfigure.", reconfigure([])),
        }
    }
}

/// A file in GitLab's own store that is no certificate.
pub(super) fn foreign(path: &Utf8Path) -> Finding {
    let name = path.file_name().unwrap_or_default();
    Finding::error(
        "foreign-file",
        path.as_str(),
        "it is no certificate: gitlab-ctl reconfigure stops at it",
    )
    .seen("reconfigure says", format!("ERROR: Not a certificate: {path}"))
    .remedy(
        "Move it out of GitLab's own store, into which only reconfigure writes.",
        [
            format!("sudo mv {} {}", word(path.as_str()), word(&format!("/root/{name}"))),
            "sudo gitlab-ctl reconfigure".to_owned(),
        ],
    )
}

fn mend(finding: Finding, unread: &Unread) -> Finding {
    match rewrite(unread) {
        Some(remedy) => finding.remedy(remedy.advice, reconfigure(remedy.commands)),
        None => finding.remedy(
            "Put one certificate in PEM there.",
            reconfigure([format!(
                "openssl x509 -noout -subject -in {}",
                word(unread.path.as_str())
            )]),
        ),
    }
}

fn is_der(file: &TrustFile) -> bool {
    file.go.notes.iter().any(|(code, _)| code == "der")
}

/// OpenSSL's own label, which is hashed, but not linked.
fn is_trusted(file: &TrustFile) -> bool {
    file.go.notes.iter().any(|(code, _)| code == "trusted-label")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = include_str!("../../../host/files/trust_file/root.pem");

    fn code(name: &str, content: &[u8], linked: &Linked) -> Option<&'static str> {
        let file = TrustFile::of(content);
        let linked: Vec<_> = file.all().map(|_| linked.clone()).collect();
        let path = Utf8PathBuf::from("/t").join(name);
        let finding = Judged { path: &path, file: Some(&file) }.finding(&linked);
        finding.map(|finding| finding.code)
    }

    #[test]
    fn what_is_linked_is_in_order() {
        for name in ["a.crt", "a.PEM", "a", "a.txt"] {
            assert_eq!(code(name, ROOT.as_bytes(), &Linked::Yes), None, "{name}");
        }
        let text = format!("text\n{ROOT}").replace('\n', "\r\n");
        assert_eq!(code("a.crt", text.as_bytes(), &Linked::Yes), None);
        assert_eq!(code("README", b"text", &Linked::No), None);
    }

    #[test]
    fn the_reason_is_named_for_what_is_not_linked() {
        let no = |name, content: &str| code(name, content.as_bytes(), &Linked::No);
        assert_eq!(no("a.crt", ROOT), Some(NOT_LINKED));
        assert_eq!(no("a.cert", ROOT), Some("ending-not-read"));
        assert_eq!(no("a.crt", &format!("{ROOT}{}", other())), Some("several-certificates"));
        assert_eq!(no("a.crt", &ROOT.replace(" CERT", " TRUSTED CERT")), Some("trusted-label"));
        assert_eq!(no("a.crt", "<html>"), Some("no-certificate"));
        let der = TrustFile::of(ROOT.as_bytes()).for_go().remove(0);
        assert_eq!(code("a.crt", &der, &Linked::No), Some("der"));
        assert_eq!(code("a.der", &der, &Linked::No), Some("ending-not-read"));
        let stale = Linked::Other("/s/1a2b3c4d.0".into());
        assert_eq!(code("a.crt", ROOT.as_bytes(), &stale), Some("stale-link"));
    }

    #[test]
    fn linked_files_may_still_be_wrong() {
        let marked = format!("\u{feff}{ROOT}");
        assert_eq!(code("a.crt", marked.as_bytes(), &Linked::Yes), Some("byte-order-mark"));
        let key = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
        let with_key = format!("{ROOT}{key}");
        assert_eq!(code("a.crt", with_key.as_bytes(), &Linked::Yes), Some("private-key-beside-ca"));
    }

    fn other() -> String {
        rcgen::generate_simple_self_signed(vec!["other.test".to_owned()]).unwrap().cert.pem()
    }
}
