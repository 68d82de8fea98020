//! Can the images of every project be named by clients, and seen by garbage collection?

mod listing;
mod projects;
mod stored;

use futures::future::join;

use self::projects::Listed;
use self::stored::Stored;
use crate::checks::{Stop, Verdict, check};
use crate::host::{Host, Unknown};

check! {
    /// Every project path can be an image name.
    ///
    /// ## Why it matters
    ///
    /// Image names allow less than the paths of old GitLab projects, and much less than a folder:
    /// lower-case letters and digits, with a dot, one or two underscores or dashes between them. A
    /// repository with another name can be neither pushed nor pulled (`invalid reference format`).
    /// In the storage it can make garbage collection break off, or, where a folder starts with an
    /// underscore, delete its layers without a word.
    ///
    /// ## What is looked at
    ///
    /// The folders of the repositories in a registry that keeps its images in a folder: parts of
    /// names that no client can ask for, folders that the registry does not look into, repositories
    /// with tags that have lost their folder `_layers`, and names that are too long together with
    /// the registry's own. Two dashes in a row are a good name, although GitLab's guide lists them
    /// as a bad one: they are only mentioned. Object stores are not listed by this version, and
    /// where the registry keeps its repositories in the metadata database, the folders mean
    /// nothing.
    ///
    /// What the projects themselves are called, GitLab tells: with an access token as the password
    /// (`--credentials FILE` as curl reads it, or `GLDOCTOR_USERNAME` and `GLDOCTOR_PASSWORD`) its
    /// API is asked for the paths of all projects that are not archived, once in a run and for
    /// 20,000 at most. For the first few whose path cannot be an image name it is asked whether
    /// they have a container registry. GitLab turns capitals into small letters by itself, so they
    /// are no fault there. The token needs the scope `read_api` (and `read_registry`, for the login
    /// that `registry/token` tries with it), and to see every project its owner has to be an
    /// administrator (where Admin Mode is on, with the scope `admin_mode`). It is sent over TLS
    /// alone, to a server whose certificate a client on this host accepts, and no more once it was
    /// refused. Only paths that matter are kept; never the token. Without one, GitLab is not asked
    /// at all. A password, or a token of another kind, is not sent to the API.
    ///
    /// ## How to fix it
    ///
    /// Give the project, or the group above it, another path in GitLab and push its images again.
    /// Repositories that something else than the registry has put into the storage: move the folder
    /// out of it, or give it a good name, before the next garbage collection.
    "registry/repository-names": "every project path can be an image name"
}

/// How many names a finding shows.
const SHOWN: usize = 5;

/// As many characters as a name may have for clients, the registry's host included.
const LONGEST: usize = 255;

/// What the folders are called in a report.
const STORAGE: &str = "the repositories in the storage";

/// What the list of projects is called in a report.
const PROJECTS: &str = "the paths of GitLab's projects";

async fn run(host: &Host) -> Result<Verdict, Stop> {
    let (stored, listed) = join(stored::look(host), Box::pin(projects::look(host))).await;
    both(stored, listed)
}

/// The verdict on both: either is enough, and what both tell is told once.
fn both(stored: Result<Stored, Stop>, listed: Listed) -> Result<Verdict, Stop> {
    match (stored, listed) {
        (Ok(Stored::Walked(verdict, _)), Listed::NotGiven(_) | Listed::LeftOut(_)) => Ok(verdict),
        (Ok(Stored::Walked(mut verdict, _)), Listed::Untold(why)) => {
            verdict.untold(PROJECTS, why);
            Ok(verdict)
        }
        (Ok(Stored::Walked(mut verdict, names)), Listed::Projects(projects)) => {
            projects.judge(Some(&names), &mut verdict);
            Ok(verdict)
        }
        (Ok(Stored::Elsewhere(driver)), Listed::NotGiven(why) | Listed::LeftOut(why)) => {
            Err(not_listed(&driver, &why))
        }
        (Ok(Stored::Elsewhere(driver)), Listed::Untold(why)) => {
            Err(not_listed(&driver, &why.to_string()))
        }
        (Err(stop), Listed::NotGiven(_) | Listed::LeftOut(_)) => Err(stop),
        (Err(Stop::NotApplicable(_)), Listed::Untold(why)) => Err(why.into()),
        (Err(Stop::Unknown(storage)), Listed::Untold(why)) => {
            let mut verdict = Verdict::default();
            verdict.untold(STORAGE, storage);
            verdict.untold(PROJECTS, why);
            Ok(verdict)
        }
        (stored, Listed::Projects(projects)) => {
            let mut verdict = Verdict::default();
            projects.judge(None, &mut verdict);
            if let Err(Stop::Unknown(why)) = stored {
                verdict.untold(STORAGE, why);
            }
            Ok(verdict)
        }
    }
}

fn not_listed(driver: &str, why: &str) -> Stop {
    Stop::Unknown(Unknown::Unreadable(format!(
        "the images lie in an object store ({driver}), which this version does not list; {why}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::files::RepositoryNames;

    /// The codes of what is found, and how much is untold; or why there is no verdict.
    fn told(stored: Result<Stored, Stop>, listed: Listed) -> String {
        match both(stored, listed) {
            Ok(Verdict { findings, untold }) => {
                let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
                format!("{codes:?}, {} untold", untold.len())
            }
            Err(Stop::NotApplicable(why)) => format!("not applicable: {why}"),
            Err(Stop::Unknown(why)) => format!("unknown: {why}"),
        }
    }

    #[test]
    fn either_side_is_enough() {
        let why = |text: &str| Unknown::Unreadable(text.to_owned());
        let walked = || Ok(Stored::Walked(Verdict::default(), RepositoryNames::default()));
        let elsewhere = || Ok(Stored::Elsewhere("s3".to_owned()));
        let none = || Err(Stop::not_applicable("no registry"));
        let unread = || Err(Stop::Unknown(why("no disk")));
        let not_given = || Listed::NotGiven("give one".to_owned());
        let left_out = || Listed::LeftOut("no network".to_owned());
        let untold = || Listed::Untold(why("refused"));
        let listed = || Listed::Projects(Box::new(listing::tests::listing(&[("a/b-", None)])));

        let clean = "[], 0 untold";
        let found = r#"["path-refused"], 0 untold"#;
        assert_eq!(told(walked(), not_given()), clean);
        assert_eq!(told(walked(), left_out()), clean);
        assert_eq!(told(walked(), untold()), "[], 1 untold");
        assert_eq!(told(walked(), listed()), found);
        assert!(told(elsewhere(), not_given()).ends_with("does not list; give one"));
        assert!(told(elsewhere(), left_out()).ends_with("does not list; no network"));
        assert!(told(elsewhere(), untold()).ends_with("does not list; refused"));
        assert_eq!(told(elsewhere(), listed()), found);
        assert_eq!(told(none(), not_given()), "not applicable: no registry");
        assert_eq!(told(none(), left_out()), "not applicable: no registry");
        assert_eq!(told(none(), untold()), "unknown: refused");
        assert_eq!(told(none(), listed()), found);
        assert_eq!(told(unread(), not_given()), "unknown: no disk");
        assert_eq!(told(unread(), untold()), "[], 2 untold");
        assert_eq!(told(unread(), listed()), r#"["path-refused"], 1 untold"#);
    }
}
