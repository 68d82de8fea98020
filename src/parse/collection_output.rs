//! What a garbage collection of the registry has written: did the last one fail, and why?
//!
//! Whatever the storage answers may stand in such a line, so it is kept only where nothing in it
//! looks like a credential, cut short, and in printable ASCII.

use super::scrub;

/// As much of a reason as is kept.
const LONGEST: usize = 240;

/// The words of a collection that ends early: those of Distribution and GitLab's registry, of
/// `gitlab-ctl registry-garbage-collect`, and of Go.
const FAILURES: [&str; 7] = [
    "failed to garbage collect: ",
    "failed to construct ",
    "unable to configure logging with config: ",
    "configuration error: ",
    "offline garbage collection is no longer possible",
    "Container registry is not enabled, exiting",
    ", please supply the path to registry config.yml file",
];

/// The words with which Go programs die.
const DEATHS: [&str; 2] = ["panic: ", "fatal error: "];

/// Said of every failure, after what the registry said of it.
const FAILED: &str = "Failed to run garbage-collect command";

/// What only a collection that has begun says.
const PROGRESS: [&str; 4] =
    ["Running garbage-collect using", "marking ", " blobs marked, ", "eligible for deletion"];

/// Words beside which a value may be secret.
const SECRETS: [&str; 16] = [
    "accesskey",
    "accountkey",
    "authorization",
    "basic ",
    "bearer",
    "cookie",
    "credential",
    "key id",
    "key=",
    "passw",
    "private",
    "pwd",
    "secret",
    "sig=",
    "signature",
    "token",
];

/// The programs of a collection. A file may hold the output of others, too.
const PROGRAMS: [&str; 6] = ["gitlab-ctl", "registry", "docker", "podman", "nerdctl", "kubectl"];

/// Why the last collection in this output failed; `None` if it did not, or has not ended.
pub fn last_failure(content: &[u8]) -> Option<String> {
    let mut failure = None;
    for line in content.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        if let Some(reason) = reason(line.trim_end()) {
            failure = Some(reason);
        } else if line.contains(FAILED) {
            failure.get_or_insert_with(|| FAILED.to_owned());
        } else if PROGRESS.iter().any(|words| line.contains(words)) {
            failure = None;
        }
    }
    failure
}

/// Whether a shell says that it has not found the program of a collection.
fn is_missing_program(line: &str) -> bool {
    let Some((_, said)) = line.split_once("sh: ") else { return false };
    let said = said.strip_suffix("not found").map(|said| said.trim_end_matches("command "));
    let name = said.and_then(|said| said.trim_end_matches([':', ' ']).rsplit([' ', '/']).next());
    name.is_some_and(|name| PROGRAMS.iter().any(|program| name.ends_with(program)))
}

/// The reason in a line that tells one.
fn reason(line: &str) -> Option<String> {
    // The registry ends its last words without a newline, so one line may hold those of two runs.
    let at = FAILURES
        .iter()
        .filter_map(|words| line.rfind(words).map(|at| (at, words)))
        .max()
        .map(|(at, words)| if words.starts_with(',') { 0 } else { at })
        .or_else(|| DEATHS.iter().any(|words| line.starts_with(words)).then_some(0))
        .or_else(|| is_missing_program(line).then_some(0))?;
    let line = line.get(at..)?;
    let lower = line.to_ascii_lowercase();
    if SECRETS.iter().any(|word| lower.contains(word)) {
        let words = FAILURES.iter().find(|words| line.starts_with(*words));
        let words = words.map_or("it died", |words| words.trim_end_matches([':', ' ']));
        return Some(format!("{words} (the reason may hold a secret)"));
    }
    let shown = |word: &str| {
        if word.contains("://") { scrub::url(word) } else { word.to_owned() }
    };
    let text = line.split_whitespace().map(shown).collect::<Vec<_>>().join(" ");
    let printable = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    Some(text.chars().take(LONGEST).map(printable).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MARKED: &str = "a/b\na/b: marking manifest sha256:12 \n\n5 blobs marked, 0 blobs and 0 manifests eligible for deletion\n";
    const BROKEN: &str =
        "failed to garbage collect: failed to mark: invalid checksum digest format";

    fn failure(text: &str) -> Option<String> {
        last_failure(text.as_bytes())
    }

    #[test]
    fn the_last_collection_counts() {
        assert_eq!(failure(""), None);
        assert_eq!(failure(MARKED), None);
        assert_eq!(failure(&format!("{MARKED}{BROKEN}")).as_deref(), Some(BROKEN));
        assert_eq!(failure(&format!("{BROKEN}{MARKED}")), None);
        // The next one has begun.
        assert_eq!(failure(&format!("{BROKEN}a/b\na/b: marking manifest sha256:12\n")), None);
        let ctl = format!(
            "ok: down: registry: 0s, normally up\nRunning garbage-collect using configuration [x], \
             this might take a while...\n\n{BROKEN}\n{FAILED}, starting registry service.\nok: run: \
             registry: (pid 7) 1s\n"
        );
        assert_eq!(failure(&ctl).as_deref(), Some(BROKEN));
        assert_eq!(failure(&ctl.replace(BROKEN, "x")).as_deref(), Some(FAILED));
        assert_eq!(failure(&format!("{ctl}{MARKED}")), None);
    }

    #[test]
    fn every_kind_of_failure_is_known() {
        for line in [
            "/bin/sh: 1: gitlab-ctl: not found",
            "bash: registry: command not found",
            "/bin/sh: line 1: /opt/gitlab/bin/gitlab-ctl: command not found",
            "Didn't find /x.yml, please supply the path to registry config.yml file, eg: x",
            "Container registry is not enabled, exiting...",
            "fatal error: runtime: out of memory",
            "failed to garbage collect: s3aws: NoSuchKey: The specified key does not exist",
            "failed to construct filesystem driver: x",
        ] {
            assert_eq!(failure(line).as_deref(), Some(line));
        }
        for line in
            ["a/b: manifest unknown: not found", "sh: 1: backup: not found", "sh: x not found"]
        {
            assert_eq!(failure(line), None, "{line}");
        }
    }

    #[test]
    fn nothing_secret_and_nothing_long_is_kept() {
        for secret in [
            "s3aws: SecretAccessKey=hush",
            "s3aws: InvalidAccessKeyId: hush",
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=hush",
            "Authorization: Basic hush",
            "redis: AUTH pwd hush",
            "azure: a?sv=1&sig=hush",
        ] {
            let told = failure(&format!("failed to garbage collect: {secret}")).unwrap();
            assert_eq!(told, "failed to garbage collect (the reason may hold a secret)");
        }
        let told = failure("failed to garbage collect: Get https://u:hush@h/x?hush: eof").unwrap();
        assert_eq!(told, "failed to garbage collect: Get https://h/x eof");
        let told = failure(&format!("{BROKEN} \u{1b}[1m{}", "ü".repeat(1 << 16))).unwrap();
        assert!(told.is_ascii() && told.len() == LONGEST, "{told}");
        assert!(!told.contains('\u{1b}'));
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, near in "(failed to garbage collect: |panic: |sh: |not found|, please supply the path to registry config.yml file|://|@|marking |token|ü|\\n| ){0,30}") {
            last_failure(&bytes);
            let told = last_failure(near.as_bytes());
            prop_assert!(told.is_none_or(|told| told.len() <= LONGEST));
        }
    }
}
