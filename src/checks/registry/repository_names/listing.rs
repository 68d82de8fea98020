//! The verdict on the paths of GitLab's projects.

use super::{LONGEST, PROJECTS, SHOWN};
use crate::checks::{Finding, Severity, Verdict, docs};
use crate::host::Unknown;
use crate::host::files::{NameOddity, RepositoryNames, Sample};
use crate::host::network::{OddProject, Projects, Rest};
use crate::install::Endpoint;
use crate::parse::image_name::{ImageNameOddity, of_project, refused_part};

/// The projects of a GitLab.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) projects: Projects,
    pub(super) gitlab: Endpoint,
    pub(super) registry: Option<Endpoint>,
    /// Whose token it was.
    pub(super) user: String,
}

impl Listing {
    /// Judges the paths; what the storage's own `names` tell already is left out.
    pub(super) fn judge(&self, names: Option<&RepositoryNames>, verdict: &mut Verdict) {
        for (oddity, sample) in &self.projects.odd {
            verdict.add(self.finding(*oddity, &left(*oddity, sample, names)));
        }
        if !verdict.findings.iter().any(|finding| finding.code == "name-too-long") {
            verdict.add(self.too_long());
        }
        if let Some(why) = self.rest() {
            verdict.untold(PROJECTS, Unknown::Unreadable(why));
        } else if names.is_none() {
            verdict.untold.extend(self.unseen().map(|why| (PROJECTS.to_owned(), why)));
        }
    }

    /// Why there may be more projects than GitLab has shown, if so.
    fn unseen(&self) -> Option<Unknown> {
        let (user, count) = (&self.user, self.projects.count);
        match self.projects.is_admin {
            Some(true) => None,
            Some(false) => Some(Unknown::Denied(format!(
                "GitLab shows '{user}' {count} of them; an administrator's access token shows all \
                 (under Admin Mode with the scope admin_mode)"
            ))),
            None => Some(Unknown::Unreadable(format!(
                "GitLab shows '{user}' {count} of them, and does not say whether these are all"
            ))),
        }
    }

    fn finding(&self, oddity: ImageNameOddity, sample: &Sample<OddProject>) -> Option<Finding> {
        if sample.count == 0 {
            return None;
        }
        let is_one = sample.count == 1;
        let noun = if is_one { "project" } else { "projects" };
        let (severity, code, what, advice) = words(oddity, is_one);
        let message = format!("{} {noun} {what}", sample.count);
        let mut finding = Finding::new(severity, code, self.gitlab.to_string(), message);
        for project in sample.first.iter().take(SHOWN) {
            finding = finding.seen("project", shown(project));
        }
        let more = sample.count.saturating_sub(SHOWN as u64);
        if more > 0 {
            finding = finding.seen("not shown", format!("{more} more"));
        }
        Some(finding.remedy::<String>(advice, []).docs(docs::REGISTRY_NAMES))
    }

    /// Clients count the registry's own name in.
    fn too_long(&self) -> Option<Finding> {
        let longest = self.projects.longest.as_ref().filter(|it| it.registry != Some(false))?;
        let authority = self.registry.as_ref()?.authority();
        let length = authority.len() + 1 + of_project(&longest.path).len();
        if length <= LONGEST {
            return None;
        }
        let message = format!(
            "a project's path has {length} characters with the registry's own name, and clients \
             take {LONGEST}: nothing can be pushed to its registry"
        );
        let finding = Finding::warning("path-too-long", self.gitlab.to_string(), message);
        Some(
            finding
                .seen("project", &longest.path)
                .seen("registry", authority)
                .remedy::<String>("Give the project, or a group above it, a shorter path.", [])
                .docs(docs::REGISTRY_NAMES),
        )
    }

    /// Why the list is not whole, if so.
    fn rest(&self) -> Option<String> {
        let count = self.projects.count;
        Some(match self.projects.rest.as_ref()? {
            Rest::TooMany => format!("there are more than the {count} that gldoctor asks for"),
            Rest::OutOfTime(seconds) => {
                format!("{count} of them came within {seconds} s (--timeout raises the limit)")
            }
            Rest::Failed(failure) => format!("after {count} of them: {failure}"),
            Rest::Status(status) => format!("after {count} of them GitLab answered {status}"),
            Rest::Unreadable => format!("after {count} of them came something else than a list"),
            Rest::Repeated => format!("after {count} of them the list began again"),
        })
    }
}

/// Severity, code, what is said after "1 project " or "3 projects ", and the advice.
fn words(
    oddity: ImageNameOddity,
    is_one: bool,
) -> (Severity, &'static str, &'static str, &'static str) {
    match oddity {
        ImageNameOddity::Refused => (
            Severity::Warning,
            "path-refused",
            if is_one {
                "has a path that cannot be an image name: nothing can be pushed to its registry \
                 (invalid reference format)"
            } else {
                "have paths that cannot be image names: nothing can be pushed to their registries \
                 (invalid reference format)"
            },
            "Give the project, or the group or user whose part of the path it is, another one of \
             letters, digits and single dots, dashes or underscores between them (Settings > General > \
             Advanced), or switch the project's container registry off.",
        ),
        ImageNameOddity::DoubleDash => (
            Severity::Notice,
            "double-dash",
            if is_one {
                "has several dashes in a row in its path: clients and the registry take it, \
                 although GitLab's guide lists it as a bad one"
            } else {
                "have several dashes in a row in their paths: clients and the registry take them, \
                 although GitLab's guide lists them as bad ones"
            },
            "There is nothing to mend. Other programs may refuse the name; if one does, rename \
             the project.",
        ),
    }
}

/// A path, and what is bad in it.
fn shown(project: &OddProject) -> String {
    let part = refused_part(&project.path);
    let part = part.map(|part| format!(", because of '{part}'")).unwrap_or_default();
    format!("{}{part}", project.path)
}

/// What is left of the projects without those that have no registry, and those whose images the
/// storage has under an odd name, too.
fn left(
    oddity: ImageNameOddity,
    sample: &Sample<OddProject>,
    names: Option<&RepositoryNames>,
) -> Sample<OddProject> {
    let kinds: &[NameOddity] = match oddity {
        ImageNameOddity::Refused => &[NameOddity::Refused, NameOddity::Hidden],
        ImageNameOddity::DoubleDash => &[NameOddity::DoubleDash],
    };
    let stored = || kinds.iter().filter_map(|kind| names?.odd.get(kind)).flat_map(|it| &it.first);
    let is_told = |project: &OddProject| {
        let name = of_project(&project.path);
        stored().any(|repository| {
            repository
                .strip_prefix(&name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    let mut left = sample.clone();
    left.first.retain(|project| project.registry != Some(false) && !is_told(project));
    let gone = sample.first.len() - left.first.len();
    left.count = left.count.saturating_sub(gone as u64);
    left
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn project(path: &str, registry: Option<bool>) -> OddProject {
        OddProject { path: path.to_owned(), id: 1, registry }
    }

    /// An administrator's list of nothing but refused paths.
    pub(in super::super) fn listing(paths: &[(&str, Option<bool>)]) -> Listing {
        let mut refused = Sample::default();
        for (path, registry) in paths {
            refused.count += 1;
            refused.first.insert(project(path, *registry));
        }
        Listing {
            projects: Projects {
                count: 100,
                odd: [(ImageNameOddity::Refused, refused)].into(),
                is_admin: Some(true),
                ..Projects::default()
            },
            gitlab: Endpoint::parse("https://git.test").unwrap(),
            registry: Some(Endpoint::parse("https://registry.test:5050").unwrap()),
            user: "root".to_owned(),
        }
    }

    fn judged(listing: &Listing, names: Option<&RepositoryNames>) -> Verdict {
        let mut verdict = Verdict::default();
        listing.judge(names, &mut verdict);
        verdict
    }

    #[test]
    fn a_project_counts_if_it_has_a_registry_and_the_storage_does_not_tell() {
        let paths = [("a/b-", Some(true)), ("A/c-", None), ("a/d-", Some(false)), ("a/e-", None)];
        let verdict = judged(&listing(&paths), None);
        let [finding] = &verdict.findings[..] else { panic!("{verdict:?}") };
        assert!(finding.message.starts_with("3 projects have"), "{}", finding.message);
        let shown: Vec<_> = finding.evidence.iter().map(|it| it.value.as_str()).collect();
        let why = |part: &str, path: &str| format!("{path}, because of '{part}'");
        assert_eq!(shown, [why("c-", "A/c-"), why("b-", "a/b-"), why("e-", "a/e-")]);
        // The storage knows one by its own name, one by that of an image in it, and another.
        let sample = |names: &[&str]| Sample {
            count: names.len() as u64,
            first: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        let odd = BTreeMap::from([
            (NameOddity::Refused, sample(&["a/b-", "a/c-/image", "a/e-other"])),
            (NameOddity::DoubleDash, sample(&["a/e-"])),
        ]);
        let names = RepositoryNames { odd, longest: String::new() };
        let verdict = judged(&listing(&paths), Some(&names));
        assert!(verdict.findings[0].message.starts_with("1 project has"), "{verdict:?}");
        assert_eq!(verdict.findings[0].evidence[0].value, why("e-", "a/e-"));
        assert_eq!(judged(&listing(&paths[2..3]), None).findings, []);
    }

    #[test]
    fn the_registrys_name_counts() {
        let own = "registry.test:5050/".len();
        let codes = |length: usize, registry| {
            let mut listing = listing(&[]);
            listing.projects.longest = Some(project(&"a".repeat(length), registry));
            let findings = judged(&listing, None).findings;
            findings.into_iter().map(|finding| finding.code).collect::<Vec<_>>()
        };
        assert!(codes(LONGEST - own, None).is_empty());
        assert_eq!(codes(LONGEST - own + 1, None), ["path-too-long"]);
        assert!(codes(LONGEST - own + 1, Some(false)).is_empty());
    }

    #[test]
    fn a_part_of_the_list_is_no_pass() {
        let mut part = listing(&[]);
        part.projects.rest = Some(Rest::TooMany);
        assert_eq!(judged(&part, None).untold.len(), 1);
        assert_eq!(judged(&part, Some(&RepositoryNames::default())).untold.len(), 1);
        // What the storage holds, nobody has to see in GitLab.
        for is_admin in [Some(false), None] {
            let mut part = listing(&[]);
            part.projects.is_admin = is_admin;
            assert_eq!(judged(&part, None).untold.len(), 1);
            assert_eq!(judged(&part, Some(&RepositoryNames::default())).untold, []);
        }
        assert_eq!(judged(&listing(&[]), None).untold, []);
    }
}
