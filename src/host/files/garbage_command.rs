//! The commands that collect the registry's garbage, as crontabs, scripts and logs have them.

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

/// The programs that collect garbage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Collector {
    /// `gitlab-ctl registry-garbage-collect`, which stops the registry meanwhile.
    GitlabCtl,
    /// `registry garbage-collect`, which does not.
    Registry,
}

/// Why a command that is written somewhere does nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Idle {
    /// A line of the system's crontabs has the user between the time and the command, and this one
    /// has none.
    NoUser,
    /// It runs as this user, and the command needs root.
    NotRoot(String),
    /// A script in a folder of cron's that may not be executed.
    NotExecutable,
}

/// What a line says of its command.
pub(super) struct Command {
    pub(super) collector: Collector,
    pub(super) guarded: bool,
    pub(super) delete_untagged: bool,
    pub(super) dry_run: bool,
    /// Where its output goes, and its errors if they go elsewhere.
    pub(super) outputs: Outputs,
}

/// The files to which a command's output and its errors are sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Outputs {
    pub(super) output: Option<Utf8PathBuf>,
    pub(super) errors: Option<Utf8PathBuf>,
}

impl Command {
    /// What keeps cron from running a line of a crontab, or the command from working.
    pub(super) fn idle(&self, path: &Utf8Path, line: &str) -> Option<Idle> {
        let mut words = line.split_whitespace();
        let times = if line.trim_start().starts_with('@') { 1 } else { 5 };
        let next = words.nth(times)?;
        let user = match path.parent().filter(|folder| folder.starts_with("/var/spool/cron")) {
            Some(_) => path.file_name()?,
            // No name of an account has a slash in it.
            None if next.contains('/') || matches!(next, "gitlab-ctl" | "sudo") => {
                return Some(Idle::NoUser);
            }
            None => next,
        };
        let by_root =
            matches!(user, "root" | "0") || line.split_whitespace().any(|it| it == "sudo");
        let needs_root = self.collector == Collector::GitlabCtl;
        let is_name = user.len() <= 32
            && user.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        (needs_root && !by_root && is_name).then(|| Idle::NotRoot(user.to_owned()))
    }
}

impl Outputs {
    /// These, or where they say nothing, the others.
    pub(super) fn or(self, others: Self) -> Self {
        Self { output: self.output.or(others.output), errors: self.errors.or(others.errors) }
    }
}

/// The command in a line, if there is one.
pub(super) fn command(line: &str, guarded: bool) -> Option<Command> {
    let words = || line.split(|c: char| c.is_whitespace() || "\"'=`()".contains(c));
    let at = words().position(|word| BY_CTL.is(word) || BY_HAND.is(word))?;
    let word = words().nth(at)?;
    let (name, collector) = if BY_CTL.is(word) {
        (BY_CTL, Collector::GitlabCtl)
    } else if line.contains("registry") {
        (BY_HAND, Collector::Registry)
    } else {
        // Others have a command of that name as well.
        return None;
    };
    let before: Vec<_> = words().take(at).collect();
    // Every word is a part of the line, so its place is known from its address.
    let behind = word.as_ptr().addr() - line.as_ptr().addr() + name.0.len();
    let rest = line.get(behind..).unwrap_or_default();
    let mut command = Command {
        collector,
        guarded: guarded || guards(&before.join(" ")),
        delete_untagged: false,
        dry_run: false,
        outputs: outputs(rest),
    };
    let own = rest.split([';', '&', '|', '>']).next().unwrap_or_default();
    for word in own.split(|c: char| c.is_whitespace() || "\"'=`()".contains(c)) {
        let short = word.strip_prefix('-').filter(|rest| rest.chars().all(|c| "mdh".contains(c)));
        let has = |flag| short.is_some_and(|flags| flags.contains(flag));
        command.delete_untagged |= has('m') || word == "--delete-untagged";
        command.dry_run |= has('d') || word == "--dry-run";
    }
    Some(command)
}

/// The name of a command.
struct Name(&'static str);

/// What `gitlab-ctl` is told.
const BY_CTL: Name = Name("registry-garbage-collect");

/// What the registry is told.
const BY_HAND: Name = Name("garbage-collect");

impl Name {
    /// Whether a word is this name, or begins with it and ends the command.
    fn is(&self, word: &str) -> bool {
        let rest = word.strip_prefix(self.0);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([';', '&', '|', '>']))
    }
}

/// Whether a line stops the registry, or makes it read-only.
pub(super) fn guards(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    let mut words = line.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| matches!(word, "stop" | "down" | "readonly" | "kill"))
        || line.contains("read-only")
        || line.contains("scale ")
}

/// The files to which the rest of a command sends what it writes: `>> FILE`, `2> FILE`, or a pipe
/// to `tee`. What stands behind the command's end is another one's.
pub(super) fn outputs(rest: &str) -> Outputs {
    let mut found = Outputs::default();
    let mut words = rest.split_whitespace();
    while let Some(word) = words.next() {
        let is_errors = word.starts_with("2>");
        let redirect = word.strip_prefix(['1', '2', '&']).unwrap_or(word).strip_prefix('>');
        if let Some(target) = redirect {
            let target = target.trim_start_matches(['>', '|']);
            let target = if target.is_empty() { words.next().unwrap_or_default() } else { target };
            let slot = if is_errors { &mut found.errors } else { &mut found.output };
            *slot = slot.take().or_else(|| file(target));
            if target.ends_with(';') {
                break;
            }
            continue;
        }
        match word {
            "|" | "|&" if words.next() == Some("tee") => {
                found.output = found.output.or_else(|| words.find_map(file));
                break;
            }
            "|" | "|&" | "&&" | "||" | ";" | "&" => break,
            _ if word.starts_with(';') || word.ends_with(';') => break,
            _ => {}
        }
    }
    found
}

/// The path of a file that is written plainly and can hold nothing else.
fn file(word: &str) -> Option<Utf8PathBuf> {
    let word = word.trim_matches(['"', '\'', ';', ')', '`']);
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,".contains(c);
    let is_file = word.starts_with('/') && !word.starts_with("/dev/") && word.len() < 256;
    (is_file && word.chars().all(plain)).then(|| word.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Collector, guarded, untagged, dry.
    fn read(line: &str) -> Option<(Collector, bool, bool, bool)> {
        command(line, false).map(|it| (it.collector, it.guarded, it.delete_untagged, it.dry_run))
    }

    #[test]
    fn lines_that_do_nothing_are_known() {
        let ctl = "gitlab-ctl registry-garbage-collect";
        let idle = |path: &str, line: &str| command(line, false).unwrap().idle(path.into(), line);
        for good in [
            format!("5 4 * * 0 root {ctl}"),
            format!("@weekly root {ctl}"),
            format!("5 4 * * 0 git sudo {ctl}"),
            "5 4 * * 0 registry /opt/gitlab/embedded/bin/registry garbage-collect c.yml".to_owned(),
        ] {
            assert_eq!(idle("/etc/cron.d/gc", &good), None, "{good}");
        }
        let own = format!("5 4 * * 0 /opt/gitlab/bin/{ctl}");
        assert_eq!(idle("/var/spool/cron/crontabs/root", &own), None);
        assert_eq!(idle("/var/spool/cron/git", &own), Some(Idle::NotRoot("git".to_owned())));
        let git = format!("5 4 * * 0 git /opt/gitlab/bin/{ctl}");
        assert_eq!(idle("/etc/crontab", &git), Some(Idle::NotRoot("git".to_owned())));
        for bad in [own, format!("@weekly {ctl}"), format!("5 4 * * 0 sudo {ctl}")] {
            assert_eq!(idle("/etc/cron.d/gc", &bad), Some(Idle::NoUser), "{bad}");
        }
    }

    #[test]
    fn commands_are_told_by_program_and_flags() {
        use Collector::{GitlabCtl, Registry};
        let yml = "/var/opt/gitlab/registry/config.yml";
        for (line, expected) in [
            (
                "5 4 * * 0  root gitlab-ctl registry-garbage-collect",
                (GitlabCtl, false, false, false),
            ),
            (
                "@weekly /opt/gitlab/bin/gitlab-ctl registry-garbage-collect -m",
                (GitlabCtl, false, true, false),
            ),
            (
                &format!("1 2 * * * root /opt/gitlab/embedded/bin/registry garbage-collect {yml}"),
                (Registry, false, false, false),
            ),
            (
                &format!("1 2 * * * root registry garbage-collect -m -d {yml} > /x -m"),
                (Registry, false, true, true),
            ),
            (
                &format!("registry garbage-collect --delete-untagged=true {yml}"),
                (Registry, false, true, false),
            ),
            (
                "systemctl stop docker-registry && docker-registry garbage-collect c.yml",
                (Registry, true, false, false),
            ),
            (
                "1 * * * * root docker exec registry bin/registry garbage-collect /c.yml; docker stop x",
                (Registry, false, false, false),
            ),
            ("sh -c 'gitlab-ctl registry-garbage-collect'", (GitlabCtl, false, false, false)),
            ("gitlab-ctl registry-garbage-collect; x -m", (GitlabCtl, false, false, false)),
            ("gitlab-ctl registry-garbage-collect -m;x -d", (GitlabCtl, false, true, false)),
            ("gitlab-ctl registry-garbage-collect>/x", (GitlabCtl, false, false, false)),
        ] {
            assert_eq!(read(line), Some(expected), "{line}");
        }
        for other in ["1 2 * * * root restic garbage-collect", "x registry-garbage-collector", ""] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn outputs_are_those_of_the_command_itself() {
        let read = |line: &str| {
            let found = command(line, false).unwrap().outputs;
            let text = |path: Option<Utf8PathBuf>| path.map(Utf8PathBuf::into_string);
            (text(found.output), text(found.errors))
        };
        let log = |path: &str| Some(path.to_owned());
        let gc = "5 4 * * 0 root gitlab-ctl registry-garbage-collect";
        for (rest, output, errors) in [
            ("", None, None),
            (" >> /var/log/gc.log 2>&1", log("/var/log/gc.log"), None),
            (
                " -m >/var/log/gc.log 2>/var/log/gc.err",
                log("/var/log/gc.log"),
                log("/var/log/gc.err"),
            ),
            (" &>> /var/log/gc.log", log("/var/log/gc.log"), None),
            (" > /dev/null 2>> /var/log/gc.err", None, log("/var/log/gc.err")),
            (" 2>&1 | tee -a /var/log/gc.log", log("/var/log/gc.log"), None),
            (" | logger -t gc > /x", None, None),
            (" && date > /var/log/stamp", None, None),
            ("; date > /var/log/stamp", None, None),
            (";date > /var/log/stamp", None, None),
            (">>/var/log/gc.log 2>&1", log("/var/log/gc.log"), None),
            (" > \"/var/log/gc.log\"; echo > /x", log("/var/log/gc.log"), None),
            (" > /var/log/gc-$(date).log", None, None),
            (" > gc.log", None, None),
            (" >", None, None),
        ] {
            assert_eq!(read(&format!("{gc}{rest}")), (output, errors), "{rest}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in "\\PC*|(registry |garbage-collect|[-@*/ ;&'\"#a-z0-9>|2]|ü){0,40}") {
            let _ = (command(&line, false), outputs(&line));
        }
    }
}
