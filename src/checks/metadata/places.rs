//! Exports where GitLab does not look: at the root of the file system, and beside the data types.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::words::{DataType, merge, volume};
use crate::checks::shell::word;
use crate::checks::{Evidence, Finding, Severity, docs};
use crate::host::files::{CronLine, ExportTree, Kind, Listing, RailsVariable};

/// Where the copy ends up if `GITLAB_RAILS_ROOT_DIR` is empty.
pub(super) const STRAY: &str = "/vendor/package_metadata";

/// The installation's own places.
pub(super) struct Places<'a> {
    pub(super) rails: &'a Utf8Path,
    /// `vendor/package_metadata` of the Rails root.
    pub(super) home: &'a Utf8Path,
    /// Whether it exists.
    pub(super) home_exists: bool,
    pub(super) cron: &'a [CronLine],
}

impl Places<'_> {
    /// Exports at the root of the file system.
    pub(super) fn stray(&self, trees: &[(DataType, &ExportTree)]) -> Finding {
        let names: Vec<_> = trees.iter().map(|(data, _)| data.name()).collect();
        let message = format!(
            "{} landed at the root of the file system; GitLab reads only from {}",
            if names.is_empty() { "a folder for exports".to_owned() } else { names.join(" and ") },
            self.home
        );
        let mut finding =
            Finding::error("outside-rails-root", STRAY, message).docs(docs::OFFLINE_METADATA);
        for (data, tree) in trees {
            finding = finding.seen(data.name(), volume(tree.read_by_gitlab()));
        }
        for evidence in self.unset() {
            finding = finding.evidence(evidence);
        }
        let mut commands = if self.home_exists {
            merge(STRAY, &word(self.home.as_str())).to_vec()
        } else {
            let vendor = word(self.rails.join("vendor").as_str());
            vec![format!("sudo mkdir -p {vendor} && sudo mv -- {STRAY} {vendor}/")]
        };
        commands.extend(self.tell_cron());
        let advice = if self.unset().next().is_some() {
            "Move the exports to the Rails root, and tell cron where that is."
        } else {
            "Move the exports to the Rails root, and see that whatever copies them has \
             GITLAB_RAILS_ROOT_DIR set."
        };
        finding.remedy(advice, commands)
    }

    /// Crontab lines that copy to the root of the file system, before anything is there.
    pub(super) fn cron(&self) -> Option<Finding> {
        let first = self.unset().next()?;
        let message = "cron does not know GITLAB_RAILS_ROOT_DIR, so its copy of the exports goes to \
                       /vendor/package_metadata or fails, and GitLab gets no new ones";
        let subject = first.path.unwrap_or_default();
        let mut finding = Finding::warning("cron-without-rails-root", subject, message)
            .docs(docs::OFFLINE_METADATA);
        for evidence in self.unset() {
            finding = finding.evidence(evidence);
        }
        let commands: Vec<_> = self.tell_cron().collect();
        Some(finding.remedy("Set the variable at the top of the crontab.", commands))
    }

    fn unset(&self) -> impl Iterator<Item = Evidence> {
        let unset = self.cron.iter().filter(|it| it.variable == RailsVariable::Unset);
        unset.map(|it| {
            let targets = it.targets.join(" ");
            let value = format!("{targets}, where the variable is empty");
            Evidence::new("cron copies to", value).at(it.path.as_str(), Some(it.line))
        })
    }

    /// One command for each crontab.
    fn tell_cron(&self) -> impl Iterator<Item = String> {
        let unset = self.cron.iter().filter(|it| it.variable == RailsVariable::Unset);
        let crontabs: BTreeSet<&Utf8PathBuf> = unset.map(|it| &it.path).collect();
        let line = format!("GITLAB_RAILS_ROOT_DIR={}", self.rails);
        crontabs.into_iter().map(move |path| match owner(path) {
            // Nothing but crontab itself should write to the spool.
            Some(user) => {
                let user = word(user);
                format!(
                    "(echo {}; sudo crontab -u {user} -l) | sudo crontab -u {user} -",
                    word(&line)
                )
            }
            None => format!("sudo sed -i {} {}", word(&format!("1i {line}")), word(path.as_str())),
        })
    }

    /// What v1 leaves behind: nothing has read it since 16.3.
    pub(super) fn v1(
        &self,
        data: DataType,
        folder: &Utf8Path,
        tree: &ExportTree,
    ) -> Option<Finding> {
        if tree.v1.files == 0 {
            return None;
        }
        let subject = folder.join("v1");
        let message =
            format!("nothing has read v1 since GitLab 16.3, and it holds {}", volume(tree.v1));
        let mut commands = vec![format!("sudo rm -r -- {}", word(subject.as_str()))];
        let mut finding =
            Finding::notice("v1-leftovers", subject.as_str(), message).docs(docs::OFFLINE_METADATA);
        let fetched = self.cron.iter().filter(|it| {
            let here = |target: &String| target.trim_end_matches('/').ends_with(data.name());
            it.from_bucket && !it.leaves_out_v1 && it.targets.iter().any(here)
        });
        for line in fetched {
            let evidence = Evidence::new("cron fetches it", r#"no -y "^v1\/" in the line"#);
            finding = finding.evidence(evidence.at(line.path.as_str(), Some(line.line)));
            commands.push(match owner(&line.path) {
                Some(user) => format!("sudo crontab -u {} -e", word(user)),
                None => format!("sudoedit {}", word(line.path.as_str())),
            });
        }
        let advice = r#"Remove the folder, and give the copy -y "^v1\/", or it comes back."#;
        Some(finding.remedy(advice, commands))
    }

    /// Folders beside the data types that were meant to be one, or to lie in one.
    pub(super) fn misnamed(&self, listing: &Listing) -> Vec<Finding> {
        let exists = |data: DataType| listing.names().any(|name| name == data.name());
        let folders = listing.entries().iter().filter(|it| it.kind != Kind::File);
        let names = folders.map(|it| it.name.as_str());
        let strange = names.filter(|name| DataType::ALL.iter().all(|data| data.name() != *name));
        strange
            .filter_map(|name| {
                let path = self.home.join(name);
                if name == "v2" {
                    let message = "GitLab reads below licenses, advisories and cve_enrichment \
                                   only; nothing tells of which kind these exports are";
                    let finding = Finding::error("no-data-type", path.as_str(), message);
                    let command = format!("sudo find -L {} -maxdepth 2", word(path.as_str()));
                    let advice = "Move it into the folder of its kind.";
                    return Some(finding.remedy(advice, [command]).docs(docs::OFFLINE_METADATA));
                }
                let data = DataType::meant_by(name)?;
                let severity = if exists(data) { Severity::Warning } else { Severity::Error };
                let message = format!("GitLab does not look here; its folder is {}", data.name());
                let (from, to) = (word(path.as_str()), word(self.home.join(data.name()).as_str()));
                let commands = if exists(data) {
                    merge(&from, &to).to_vec()
                } else {
                    vec![format!("sudo mv -T -- {from} {to}")]
                };
                let finding = Finding::new(severity, "data-type-folder", path.as_str(), message);
                let advice = "Give the folder the name that GitLab reads.";
                Some(finding.remedy(advice, commands).docs(docs::OFFLINE_METADATA))
            })
            .collect()
    }
}

/// Whose crontab it is, where it lies in the spool.
fn owner(path: &Utf8Path) -> Option<&str> {
    if path.starts_with("/var/spool/cron") { path.file_name() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::files::{Chunks, Entry, Volume};

    const RAILS: &str = "/opt/gitlab/rails";
    const HOME: &str = "/opt/gitlab/rails/vendor/package_metadata";

    fn line(path: &str, variable: RailsVariable) -> CronLine {
        CronLine {
            path: path.into(),
            line: 2,
            targets: vec!["$GITLAB_RAILS_ROOT_DIR/vendor/package_metadata/licenses".to_owned()],
            variable,
            from_bucket: true,
            leaves_out_v1: false,
        }
    }

    fn places(cron: &[CronLine], home_exists: bool) -> Places<'_> {
        Places { rails: RAILS.into(), home: HOME.into(), home_exists, cron }
    }

    fn tree() -> ExportTree {
        let volume = Volume { files: 2, bytes: 100 };
        let chunks = Chunks { sequences: 1, oldest: 1, newest: 1, volume };
        let v1 = Volume { files: 1, bytes: 9 };
        ExportTree { registries: [("npm".to_owned(), chunks)].into(), v1, ..ExportTree::default() }
    }

    #[test]
    fn a_stray_folder_is_moved_home_and_cron_is_told() {
        let cron = [
            line("/etc/cron.d/metadata", RailsVariable::Unset),
            line("/var/spool/cron/crontabs/root", RailsVariable::Unset),
            line("/etc/crontab", RailsVariable::PerhapsSet),
        ];
        let found = places(&cron, false).stray(&[(DataType::Licenses, &tree())]);
        assert_eq!(found.severity, Severity::Error);
        assert_eq!(
            found.remedy.commands,
            [
                format!("sudo mkdir -p {RAILS}/vendor && sudo mv -- {STRAY} {RAILS}/vendor/"),
                format!("sudo sed -i '1i GITLAB_RAILS_ROOT_DIR={RAILS}' /etc/cron.d/metadata"),
                format!(
                    "(echo GITLAB_RAILS_ROOT_DIR={RAILS}; sudo crontab -u root -l) | sudo crontab -u root -"
                ),
            ]
        );
        assert_eq!(found.evidence.len(), 3);
        let found = places(&cron, true).stray(&[(DataType::Licenses, &tree())]);
        assert!(found.remedy.commands[0].starts_with("sudo cp -an "));
    }

    #[test]
    fn a_cron_line_alone_is_a_warning_unless_the_variable_may_be_set() {
        let unset = [line("/etc/crontab", RailsVariable::Unset)];
        let found = places(&unset, true).cron().unwrap();
        assert_eq!((found.severity, found.subject.as_str()), (Severity::Warning, "/etc/crontab"));
        for variable in [RailsVariable::PerhapsSet, RailsVariable::Unused] {
            assert_eq!(places(&[line("/etc/crontab", variable)], true).cron(), None);
        }
    }

    #[test]
    fn v1_names_the_line_that_fetches_it() {
        let folder = Utf8Path::new(HOME).join("licenses");
        let mut cron = [line("/etc/crontab", RailsVariable::Unset)];
        let found = places(&cron, true).v1(DataType::Licenses, &folder, &tree()).unwrap();
        assert_eq!(found.evidence[0].line, Some(2));
        assert_eq!(
            found.remedy.commands,
            [format!("sudo rm -r -- {folder}/v1"), "sudoedit /etc/crontab".into()]
        );
        cron[0].leaves_out_v1 = true;
        let found = places(&cron, true).v1(DataType::Licenses, &folder, &tree()).unwrap();
        assert_eq!(found.evidence, []);
        let clean = ExportTree::default();
        assert_eq!(places(&cron, true).v1(DataType::Licenses, &folder, &clean), None);
    }

    #[test]
    fn folders_with_near_names_are_told_the_right_one() {
        let entry = |name: &str| Entry { name: name.to_owned(), kind: Kind::Directory };
        let listing = |names: &[&str]| Listing::Entries {
            entries: names.iter().map(|name| entry(name)).collect(),
            cut_off: false,
        };
        let judged = |names: &[&str]| places(&[], true).misnamed(&listing(names));
        assert_eq!(judged(&["advisories", "cve_enrichment", "licenses", "lost+found"]), []);
        let found = judged(&["license"]);
        assert_eq!(found[0].severity, Severity::Error);
        assert_eq!(
            found[0].remedy.commands,
            [format!("sudo mv -T -- {HOME}/license {HOME}/licenses")]
        );
        assert_eq!(judged(&["license", "licenses"])[0].severity, Severity::Warning);
        assert_eq!(judged(&["v2"])[0].code, "no-data-type");
    }
}
