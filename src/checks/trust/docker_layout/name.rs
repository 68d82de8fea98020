//! The names of folders: which one the clients look for, and which ones only look like it.

use super::{Facts, Place};
use crate::checks::shell::word;
use crate::checks::{Cause, Finding, Severity, docs};
use crate::host::files::{Entry, Kind, Listing};
use crate::install::Endpoint;

/// The names in one place.
pub(super) struct Names<'a> {
    place: &'a Place,
    facts: &'a Facts,
    /// Whether the folder that the client looks for is there, with something in it.
    has_right: bool,
    /// Whether it is there and empty.
    bare: bool,
}

impl<'a> Names<'a> {
    pub(super) fn new(place: &'a Place, facts: &'a Facts, listing: &Listing, bare: bool) -> Self {
        let right = facts.right.as_deref();
        let here = listing
            .entries()
            .iter()
            .any(|entry| Some(entry.name.as_str()) == right && entry.kind != Kind::File);
        // podman looks into Docker's folder as well.
        let elsewhere = place.also.iter().any(|it| facts.holding.contains(it));
        let has_right = !bare && (here || elsewhere);
        Self { place, facts, has_right, bare }
    }

    /// Whether a folder may be called wrong, unless a registry answers under its name.
    pub(super) fn suspects(&self, entry: &Entry) -> bool {
        entry.kind != Kind::File && self.judge(entry, &[], 0).is_some()
    }

    /// What is wrong with one entry, judged by its name; `inside` are the names in it, `before` is
    /// how many others were told to take the registry's name already.
    pub(super) fn judge(&self, entry: &Entry, inside: &[&str], before: usize) -> Option<Finding> {
        let (name, right) = (entry.name.as_str(), self.facts.right.as_deref());
        let is_right = Some(name) == right;
        if entry.kind == Kind::File {
            return (is_right || is_certificate(name)).then(|| self.loose(name, before));
        }
        if is_right || self.belongs_to_containerd(name) {
            return None;
        }
        let fault = self.fault(name)?;
        let path = format!("{}/{name}", self.place.folder);
        let message = match right {
            Some(right) if !self.has_right => {
                format!("{fault}: {} looks for a folder called {right}", self.place.client)
            }
            _ => fault,
        };
        let finding =
            Finding::new(self.severity(), "wrong-folder", &path, message).docs(docs::OFFLINE_TRUST);
        match right {
            None => Some(finding.remedy(
                "Give the folder the host and port that your image names start with.",
                Vec::<String>::new(),
            )),
            Some(_) if self.has_right => Some(finding.remedy(
                "Remove the folder: nothing reads it.",
                [format!("sudo rm -r {}", word(&path))],
            )),
            Some(right) => {
                let target = format!("{}/{right}", self.place.folder);
                let advice = match before {
                    0 => "Give the folder the host and port that stand in the image names.",
                    _ => "If it is meant for the same registry, put its certificates there too.",
                };
                Some(
                    self.explaining(finding)
                        .seen("image names start with", right)
                        .remedy(advice, self.moves(&path, inside, &target, before)),
                )
            }
        }
    }

    /// The commands that let a folder be called otherwise: an empty one of that name makes way.
    fn moves(&self, path: &str, inside: &[&str], target: &str, before: usize) -> Vec<String> {
        let way = (self.bare && before == 0).then(|| format!("sudo rmdir {}", word(target)));
        way.into_iter().chain(moves(path, inside, target, before)).collect()
    }

    /// A file where only folders are looked for.
    fn loose(&self, name: &str, before: usize) -> Finding {
        let path = format!("{}/{name}", self.place.folder);
        let client = &self.place.client;
        let message = format!("it is a file, but {client} looks for a folder for each registry");
        let finding =
            Finding::new(self.severity(), "no-folder", &path, message).docs(docs::OFFLINE_TRUST);
        let Some(right) = self.facts.right.as_deref() else {
            return finding.remedy(
                "Move it into a folder with the host and port of your image names, as ca.crt.",
                Vec::<String>::new(),
            );
        };
        if self.has_right {
            return finding
                .remedy("Remove it: nothing reads it.", [format!("sudo rm {}", word(&path))]);
        }
        let folder = format!("{}/{right}", self.place.folder);
        let file = word(&format!("{folder}/{}", numbered("ca", before)));
        let commands = if name == right {
            let aside = word(&format!("{path}.old"));
            vec![
                format!("sudo mv {} {aside}", word(&path)),
                format!("sudo mkdir {}", word(&folder)),
                format!("sudo mv {aside} {file}"),
            ]
        } else {
            vec![
                format!("sudo mkdir -p {}", word(&folder)),
                format!("sudo mv {} {file}", word(&path)),
            ]
        };
        self.explaining(finding)
            .seen("image names start with", right)
            .remedy("Move it into the registry's folder.", commands)
    }

    /// A leftover beside the right folder does no harm, and where Docker accepts without any, the
    /// folder is only useless.
    fn severity(&self) -> Severity {
        match (self.has_right, self.facts.accepted) {
            (true, _) => Severity::Notice,
            (false, Some(true)) => Severity::Warning,
            // Nothing but the name of GitLab's host speaks against it.
            (false, _) if self.facts.right.is_none() => Severity::Warning,
            (false, _) => Severity::Error,
        }
    }

    /// In Docker's place, a missing folder is why Docker refuses.
    fn explaining(&self, finding: Finding) -> Finding {
        match self.facts.right.as_deref() {
            Some(right) if self.place.client == "Docker" => {
                finding.explains(Cause::File(format!("{}/{right}", self.place.folder)))
            }
            _ => finding,
        }
    }

    /// What is wrong with a name that is not the right one; `None` if it may belong to another
    /// registry.
    fn fault(&self, name: &str) -> Option<String> {
        if is_scheme(name) {
            return Some("a URL became a folder name: the scheme does not belong there".to_owned());
        }
        let folder = Endpoint::parse(&format!("https://{name}")).ok();
        let inner =
            |it: &Endpoint| Some(it.port) == self.facts.inner && self.facts.own.contains(&it.host);
        if let Some(folder) = folder.as_ref().filter(|it| inner(it)) {
            let port = folder.port;
            return Some(format!(
                "it names port {port}, on which the registry listens behind nginx, and which no \
                 image name carries"
            ));
        }
        let (registry, right) = (self.facts.registry.as_ref()?, self.facts.right.as_deref()?);
        if name.eq_ignore_ascii_case(right) {
            return Some("its case differs from the registry's name".to_owned());
        }
        let bare = name.trim_end_matches('.').replacen('_', ":", 1);
        if bare.eq_ignore_ascii_case(right) {
            return Some("it is spelled otherwise than the registry".to_owned());
        }
        // Beside the right one, it may be there for those who type no more than that.
        let short = registry.host.split_once('.').map(|(first, _)| first);
        let is_short = |it: &Endpoint| Some(it.host.as_str()) == short && !self.has_right;
        if folder.as_ref().is_some_and(is_short) {
            return Some("it names the registry's host without its domain".to_owned());
        }
        let folder = folder.filter(|it| it.host.trim_end_matches('.') == registry.host)?;
        Some(match (name.contains(':'), right.contains(':')) {
            (_, true) if folder.port == registry.port => {
                "it is spelled otherwise than the registry".to_owned()
            }
            (false, _) => "it names the registry's host without the port".to_owned(),
            (true, false) if folder.port == registry.port => {
                format!("it carries :{}, which image names leave out", registry.port)
            }
            (true, _) => format!("it names another port than the registry's {}", registry.port),
        })
    }

    /// containerd also reads `_default` and a spelling without the colon.
    fn belongs_to_containerd(&self, name: &str) -> bool {
        let right = self.facts.right.as_deref();
        let escaped = right.map(|right| format!("{}_", right.replace(':', "_")));
        self.place.containerd && (name == "_default" || Some(name) == escaped.as_deref())
    }
}

/// The name of a certificate that lies beside as many others of that name.
fn numbered(stem: &str, before: usize) -> String {
    match before {
        0 => format!("{stem}.crt"),
        _ => format!("{stem}-{}.crt", before + 1),
    }
}

/// Whether a URL was given as a folder: its scheme became one.
fn is_scheme(name: &str) -> bool {
    name == "https:" || name == "http:"
}

/// The commands that let a folder be called otherwise. `mkdir -p` makes a folder in a folder of a
/// URL, and the inner one is meant. Only the first folder can take the name: what is in others
/// joins it there.
fn moves(path: &str, inside: &[&str], target: &str, before: usize) -> Vec<String> {
    let scheme = path.rsplit('/').next().is_some_and(is_scheme);
    if before > 0 {
        let joined = inside.iter().filter_map(|name| Some((name, name.strip_suffix(".crt")?)));
        return joined
            .map(|(name, stem)| {
                let to = format!("{target}/{}", numbered(stem, before));
                format!("sudo mv {} {}", word(&format!("{path}/{name}")), word(&to))
            })
            .collect();
    }
    match inside {
        [name] if scheme && !is_certificate(name) => vec![
            format!("sudo mv {} {}", word(&format!("{path}/{name}")), word(target)),
            format!("sudo rmdir {}", word(path)),
        ],
        _ => vec![format!("sudo mv {} {}", word(path), word(target))],
    }
}

fn is_certificate(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".crt", ".pem", ".cer", ".cert"].iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::files::PodmanHome;

    fn facts(registry: &str) -> Facts {
        let registry = Endpoint::parse(registry).unwrap();
        Facts {
            right: Some(registry.authority()),
            own: vec![registry.host.clone()],
            registry: Some(registry),
            inner: Some(5000),
            accepted: Some(false),
            holding: Vec::new(),
        }
    }

    fn listing(names: &[&str], kind: Kind) -> Listing {
        let entry = |name: &&str| Entry { name: (*name).to_owned(), kind };
        Listing::Entries { entries: names.iter().map(entry).collect(), cut_off: false }
    }

    fn judge_all(facts: &Facts, place: &Place, listing: &Listing) -> Vec<Finding> {
        let names = Names::new(place, facts, listing, false);
        listing.entries().iter().filter_map(|entry| names.judge(entry, &[], 0)).collect()
    }

    fn severities(facts: &Facts, names: &[&str]) -> Vec<Severity> {
        let listing = listing(names, Kind::Directory);
        let findings = judge_all(facts, &Place::docker(), &listing);
        findings.iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn the_right_name_and_other_registries_are_fine() {
        let facts = facts("https://git.example.test:5050");
        let names = ["git.example.test:5050", "other.example.test", "docker.io"];
        assert!(severities(&facts, &names).is_empty());
    }

    #[test]
    fn near_misses_of_the_name_are_found() {
        let facts = facts("https://git.example.test:5050");
        for wrong in [
            "git.example.test",
            "git.example.test.",
            "git.example.test:443",
            "git.example.test:5000",
            "Git.Example.test:5050",
            "git.example.test_5050",
            "https:",
        ] {
            assert_eq!(severities(&facts, &[wrong]), [Severity::Error], "{wrong}");
            let both = [wrong, "git.example.test:5050"];
            assert_eq!(severities(&facts, &both), [Severity::Notice], "{wrong}");
        }
    }

    #[test]
    fn the_name_without_its_domain_is_wrong_where_it_is_the_only_one() {
        let facts = facts("https://git.example.test:5050");
        assert_eq!(severities(&facts, &["git:5050"]), [Severity::Error]);
        assert!(severities(&facts, &["git:5050", "git.example.test:5050"]).is_empty());
    }

    #[test]
    fn the_port_of_https_is_left_out() {
        let facts = facts("https://git.example.test");
        assert!(severities(&facts, &["git.example.test"]).is_empty());
        assert_eq!(severities(&facts, &["git.example.test:443"]), [Severity::Error]);
    }

    #[test]
    fn trust_in_the_system_makes_it_a_warning() {
        let facts = Facts { accepted: Some(true), ..facts("https://git.example.test:5050") };
        assert_eq!(severities(&facts, &["git.example.test"]), [Severity::Warning]);
    }

    #[test]
    fn the_guides_own_folder_is_found_under_any_name_of_this_host() {
        let own = vec!["my-host.internal".to_owned()];
        let facts = Facts { own, ..facts("https://registry.example.test") };
        assert_eq!(severities(&facts, &["my-host.internal:5000"]).len(), 1);
        assert!(severities(&facts, &["other.internal:5000"]).is_empty());
    }

    #[test]
    fn files_beside_the_folders_are_found() {
        let facts = facts("https://git.example.test:5050");
        for (name, commands) in [("ca.crt", 2), ("git.example.test:5050", 3)] {
            let listing = listing(&[name], Kind::File);
            let findings = judge_all(&facts, &Place::docker(), &listing);
            assert_eq!(findings[0].code, "no-folder", "{name}");
            assert_eq!(findings[0].remedy.commands.len(), commands, "{name}");
        }
        let listing = listing(&["README"], Kind::File);
        assert!(judge_all(&facts, &Place::docker(), &listing).is_empty());
    }

    #[test]
    fn the_folder_in_the_folder_of_a_url_is_the_one_to_move() {
        let facts = facts("https://git.example.test:5050");
        let listing = listing(&["https:"], Kind::Directory);
        let place = Place::docker();
        let names = Names::new(&place, &facts, &listing, false);
        let judged = names.judge(&listing.entries()[0], &["git.example.test:5050"], 0).unwrap();
        let folder = "/etc/docker/certs.d";
        let from = format!("sudo mv {folder}/https:/git.example.test:5050");
        assert_eq!(
            judged.remedy.commands,
            [
                format!("{from} {folder}/git.example.test:5050"),
                format!("sudo rmdir {folder}/https:")
            ]
        );
    }

    /// To remove the other one, as a leftover, would be to remove the only copy.
    #[test]
    fn an_empty_folder_of_the_right_name_is_none() {
        let place = Place::docker();
        let holding = vec![place.folder.clone()];
        let facts = Facts { holding, ..facts("https://git.example.test:5050") };
        let folders = ["git.example.test:5000", "git.example.test:5050"];
        let listing = listing(&folders, Kind::Directory);
        let names = Names::new(&place, &facts, &listing, true);
        let judged = names.judge(&listing.entries()[0], &["ca.crt"], 0).unwrap();
        assert_eq!(judged.severity, Severity::Error);
        let folder = "/etc/docker/certs.d/git.example.test";
        assert_eq!(
            judged.remedy.commands,
            [format!("sudo rmdir {folder}:5050"), format!("sudo mv {folder}:5000 {folder}:5050")]
        );
    }

    #[test]
    fn only_one_folder_takes_the_name() {
        let facts = facts("https://git.example.test:5050");
        let listing = listing(&["git.example.test", "git.example.test:5000"], Kind::Directory);
        let place = Place::docker();
        let names = Names::new(&place, &facts, &listing, false);
        let commands = |at: usize| {
            let judged = names.judge(&listing.entries()[at], &["ca.crt", "x.pem"], at).unwrap();
            judged.remedy.commands
        };
        let folder = "/etc/docker/certs.d/git.example.test";
        assert_eq!(commands(0), [format!("sudo mv {folder} {folder}:5050")]);
        assert_eq!(commands(1), [format!("sudo mv {folder}:5000/ca.crt {folder}:5050/ca-2.crt")]);
    }

    #[test]
    fn a_folder_elsewhere_suffices_where_the_client_looks_there() {
        let facts = facts("https://git.example.test:5050");
        let listing = listing(&["git.example.test"], Kind::Directory);
        let home = PodmanHome { user: "a".to_owned(), folder: "/home/a/.config/containers".into() };
        let severity =
            |facts: &Facts| judge_all(facts, &Place::podman(Some(&home)), &listing)[0].severity;
        assert_eq!(severity(&facts), Severity::Error);
        let holding = vec!["/etc/containers/certs.d".into()];
        assert_eq!(severity(&Facts { holding, ..facts }), Severity::Notice);
    }

    #[test]
    fn containerd_has_spellings_of_its_own() {
        let facts = facts("https://git.example.test:5050");
        let listing = listing(&["_default", "git.example.test_5050_"], Kind::Directory);
        assert!(
            judge_all(
                &facts,
                &Place::containerd("/etc/containerd/certs.d".into(), Vec::new()),
                &listing
            )
            .is_empty()
        );
    }
}
