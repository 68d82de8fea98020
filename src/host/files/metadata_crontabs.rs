//! Question: which crontab lines bring package metadata here?
//!
//! Crontabs hold passwords and tokens, so nothing of a line is kept but what is asked of it.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::crontabs::{for_each_crontab, text};
use crate::host::files::Unread;
use crate::host::{Machine, Question, Scope, Unknown};

/// The variable that the offline guide's lines use.
const VARIABLE: &str = "GITLAB_RAILS_ROOT_DIR";

/// Asks for the crontab lines that mention package metadata.
#[derive(Debug, Serialize)]
pub struct MetadataCrontabs;

/// What the crontabs have on package metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CronMentions {
    /// Sorted by file and line.
    pub lines: Vec<CronLine>,
    /// Crontabs, or folders of them, that could not be read.
    pub unread: BTreeSet<Unread>,
}

/// One line that mentions package metadata.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CronLine {
    /// The crontab.
    pub path: Utf8PathBuf,
    /// From 1.
    pub line: u32,
    /// The local paths with `package_metadata` in them, as written.
    pub targets: Vec<String>,
    /// Whether a target begins with `$GITLAB_RAILS_ROOT_DIR`, and whether cron knows it.
    pub variable: RailsVariable,
    /// Whether it copies from a Google bucket.
    pub from_bucket: bool,
    /// Whether it leaves out v1.
    pub leaves_out_v1: bool,
}

/// `$GITLAB_RAILS_ROOT_DIR` at the beginning of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RailsVariable {
    /// No target begins with it.
    Unused,
    /// Something may set it: an earlier line of the crontab, the line itself, `/etc/environment`,
    /// or a profile that the line reads.
    PerhapsSet,
    /// Nothing sets it, so that the target begins at the root of the file system.
    Unset,
}

impl Question for MetadataCrontabs {
    type Answer = CronMentions;

    const KIND: &'static str = "metadata-crontabs";

    fn label(&self) -> String {
        "crontabs".to_owned()
    }

    async fn look(&self, machine: &Machine) -> Result<CronMentions, Unknown> {
        let scope = machine.scope().clone();
        machine.off_thread(move || Ok(look(&scope))).await
    }
}

fn look(scope: &Scope) -> CronMentions {
    let everywhere = text(scope, "/etc/environment".into()).ok().flatten();
    let everywhere = everywhere.is_some_and(|text| text.lines().any(sets_variable));
    let mut lines = Vec::new();
    let unread =
        for_each_crontab(scope, |path, text| lines.extend(mentions(path, text, everywhere)));
    CronMentions { lines, unread }
}

/// The lines of one crontab.
fn mentions(path: &Utf8Path, text: &str, everywhere: bool) -> Vec<CronLine> {
    let mut set = everywhere;
    let mut lines = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim_start();
        if text.starts_with('#') {
            continue;
        }
        // An assignment counts for the lines below it.
        if sets_variable(text) {
            set = true;
        }
        if !text.contains("package_metadata") {
            continue;
        }
        let targets: Vec<_> = text.split_whitespace().filter_map(target).take(4).collect();
        let profile = ["profile", " -l", "source ", " . ", "bash -lc"];
        let own = text.contains(&format!("{VARIABLE}="))
            || profile.iter().any(|word| text.contains(word));
        lines.push(CronLine {
            path: path.to_owned(),
            line,
            variable: match targets.iter().any(|target| rest_of(target).is_some()) {
                false => RailsVariable::Unused,
                true if set || own => RailsVariable::PerhapsSet,
                true => RailsVariable::Unset,
            },
            targets,
            from_bucket: text.contains("gs://"),
            leaves_out_v1: text.contains("v1"),
        });
    }
    lines
}

/// `NAME=value`, as crontabs and `/etc/environment` have it.
fn sets_variable(line: &str) -> bool {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").unwrap_or(line);
    line.split_once('=').is_some_and(|(name, value)| {
        name.trim().trim_matches(['"', '\'']) == VARIABLE && !value.trim().is_empty()
    })
}

/// A word that is a local path of package metadata and can hold nothing else.
fn target(word: &str) -> Option<String> {
    let word = word.trim_matches(['"', '\'', ';', '&', ')', '(', '`']);
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-${}".contains(c);
    let local = word.starts_with(['/', '$']) && word.contains("package_metadata");
    (local && word.len() < 256 && word.chars().all(plain)).then(|| word.to_owned())
}

/// What follows the variable, where a path begins with it.
fn rest_of(target: &str) -> Option<&str> {
    let rest = target.strip_prefix("${GITLAB_RAILS_ROOT_DIR}");
    rest.or_else(|| target.strip_prefix("$GITLAB_RAILS_ROOT_DIR")).filter(|it| it.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    const GUIDE: &str = r#"*/30 * * * * gsutil -m rsync -r -d -y "^v1\/" gs://prod-export-license-bucket-1a6c642fc4de57d4 $GITLAB_RAILS_ROOT_DIR/vendor/package_metadata/licenses
*/30 * * * * gsutil -m rsync -r -d gs://prod-export-advisory-bucket-1a6c642fc4de57d4 $GITLAB_RAILS_ROOT_DIR/vendor/package_metadata/advisories
"#;

    fn read(text: &str) -> Vec<CronLine> {
        mentions("/etc/crontab".into(), text, false)
    }

    #[test]
    fn the_lines_of_the_guide_have_no_variable() {
        let lines = read(GUIDE);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|it| it.variable == RailsVariable::Unset && it.from_bucket));
        assert!(lines[0].leaves_out_v1 && !lines[1].leaves_out_v1);
        assert_eq!(lines[1].line, 2);
        assert_eq!(lines[1].targets, ["$GITLAB_RAILS_ROOT_DIR/vendor/package_metadata/advisories"]);
    }

    #[test]
    fn whatever_may_set_the_variable_counts() {
        let line = "0 1 * * * root rsync x \"${GITLAB_RAILS_ROOT_DIR}/vendor/package_metadata/\"\n";
        let variable = |text: &str| read(text)[0].variable;
        assert_eq!(variable(line), RailsVariable::Unset);
        assert_eq!(variable("1 * * * * x /opt/package_metadata"), RailsVariable::Unused);
        for before in ["GITLAB_RAILS_ROOT_DIR=/opt/x\n", " \"GITLAB_RAILS_ROOT_DIR\" = '/opt/x'\n"]
        {
            assert_eq!(variable(&format!("{before}{line}")), RailsVariable::PerhapsSet, "{before}");
            assert_eq!(variable(&format!("{line}{before}")), RailsVariable::Unset, "{before}");
            assert_eq!(variable(&format!("#{before}{line}")), RailsVariable::Unset, "{before}");
        }
        let own = line.replace("rsync x", ". /etc/profile; rsync x");
        assert_eq!(variable(&own), RailsVariable::PerhapsSet);
        let everywhere = mentions("/x".into(), line, true);
        assert_eq!(everywhere[0].variable, RailsVariable::PerhapsSet);
    }

    #[test]
    fn nothing_of_a_line_is_kept_but_paths() {
        let lines = read(
            "1 * * * * curl -u u:secret https://u:secret@h/package_metadata?t=secret \
             rsync://u:secret@h/package_metadata /tmp/package_metadata?secret \
             P=secret/package_metadata /x/package_metadata;\n",
        );
        assert_eq!(lines[0].targets, ["/x/package_metadata"]);
        assert!(!format!("{lines:?}").contains("secret"));
    }

    #[test]
    fn every_place_of_crontabs_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for dir in ["etc/cron.d", "var/spool/cron/crontabs"] {
            fs::create_dir_all(at(dir)).unwrap();
        }
        let line = "* * * * * x /a/package_metadata\n";
        for file in [
            "etc/crontab",
            "etc/cron.d/gitlab",
            "var/spool/cron/crontabs/root",
            "var/spool/cron/root",
            "etc/cron.d/old.bak",
        ] {
            fs::write(at(file), line).unwrap();
        }
        let root = Utf8PathBuf::try_from(folder.path().to_owned()).unwrap();
        let found = look(&Scope { root: Some(root), ..Scope::live() });
        let paths: Vec<_> = found.lines.iter().map(|it| it.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "/etc/cron.d/gitlab",
                "/etc/crontab",
                "/var/spool/cron/crontabs/root",
                "/var/spool/cron/root"
            ]
        );
        assert!(found.unread.is_empty());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*|([\"'/$={}. #a-z_]|package_metadata|GITLAB_RAILS_ROOT_DIR|\\n){0,40}") {
            read(&text);
        }
    }
}
