//! Whatever a file is, gldoctor ends in time, in little memory, with a valid report, and takes
//! nothing unread for healthy.
//!
//! The files are those that the program itself asks for on the demo installation, so a new check
//! is covered without a line here.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![expect(clippy::disallowed_methods, reason = "a test looks at what the program did")]

mod harm;
mod installation;
mod outputs;
mod program;
mod recordings;
mod stops;

use std::collections::BTreeSet;

use serde_json::Value;

use harm::Harm;
use installation::Installation;
use program::Ran;

/// Checks that read a file and rightly pass although it holds nothing usable, with the reason.
/// The first half of an ID stands for its whole group.
const INDIFFERENT: &[(&str, &str)] = &[
    // `registry['dir']` could move it, but the configuration that reconfigure has written tells
    // where the images lie.
    ("storage", "/etc/gitlab/gitlab.rb"),
    // So it is with the addresses in use, which reconfigure has written for Rails.
    ("tls", "/etc/gitlab/gitlab.rb"),
    ("trust", "/etc/gitlab/gitlab.rb"),
    // And with the registry's own settings: what it runs with stands in its config.yml.
    ("registry", "/etc/gitlab/gitlab.rb"),
    // The other way round, GitLab's address stands in gitlab.rb.
    ("registry/auth", "/var/opt/gitlab/gitlab-rails/etc/gitlab.yml"),
    // It is the package's nginx that passes requests on, and a list of types sets no header.
    ("registry/proxy-headers", "/etc/nginx/nginx.conf"),
    ("registry/proxy-headers", "/opt/gitlab/embedded/conf/mime.types"),
    // A client that can read nothing there goes on with the system's store, and says nothing.
    ("trust", "/etc/gitlab-runner/certs/ca.crt"),
    ("trust", "/etc/gitlab-runner/certs/my-host.internal.crt"),
    // No client reads this one: it is only where the system's store was made from.
    ("trust/matrix", "/usr/local/share/ca-certificates/my-host.internal.crt"),
    // A file without any certificate completes no chain, and holds nothing weak.
    ("tls/strength", "/etc/docker/certs.d/my-host.internal:5000/ca.crt"),
    ("tls/strength", "/etc/gitlab-runner/certs/ca.crt"),
    ("tls/strength", "/usr/local/share/ca-certificates/my-host.internal.crt"),
];

/// No run may take more memory than this, in KiB, in a debug build.
const MAX_MEMORY: u64 = 300 << 10;

/// What holds of every run, whatever it met.
fn expect_sound(ran: &Ran, what: &str) -> Value {
    let said = &ran.stderr;
    assert!(!ran.timed_out, "{what}: hangs");
    assert!(!said.contains("panicked"), "{what}: {said}");
    assert!(matches!(ran.code, Some(0 | 1 | 3)), "{what}: ends with {:?}: {said}", ran.code);
    assert!(ran.memory < MAX_MEMORY, "{what}: takes {} KiB", ran.memory);
    let report: Value = serde_json::from_str(&ran.stdout)
        .unwrap_or_else(|error| panic!("{what}: no valid report: {error}"));
    assert_eq!(report["version"], 1, "{what}");
    assert_eq!(report["complete"], true, "{what}");
    assert_eq!(report["summary"]["exit_code"], ran.code.unwrap(), "{what}");
    assert!(!ran.stdout.contains("gldoctor itself failed"), "{what}: {}", ran.stdout);
    report
}

/// The checks that read a file and pass although it holds nothing usable.
fn undoubting(healthy: &Value, broken: &Value, path: &str) -> Vec<String> {
    let label = Value::from(format!("file {path}"));
    let looked = |check: &Value| check["looked_at"].as_array().unwrap().contains(&label);
    let passing = checks(healthy)
        .zip(checks(broken))
        .filter(|(before, after)| after["status"] == "passed" && looked(before) && looked(after));
    let ids = passing.map(|(_, after)| after["id"].as_str().unwrap());
    let indifferent = |id: &str| {
        INDIFFERENT.iter().any(|(it, file)| {
            *file == path
                && (*it == id || id.split_once('/').is_some_and(|(group, _)| group == *it))
        })
    };
    ids.filter(|id| !indifferent(id)).map(str::to_owned).collect()
}

fn checks(report: &Value) -> impl Iterator<Item = &Value> {
    report["checks"].as_array().unwrap().iter()
}

/// What a report says of each check, without what differs from run to run.
fn verdicts(report: &Value) -> Vec<(String, String, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let codes = |check: &Value| {
        check["findings"].as_array().unwrap().iter().map(|it| text(&it["code"])).collect()
    };
    checks(report).map(|it| (text(&it["id"]), text(&it["status"]), codes(it))).collect()
}

/// One file at a time, in every way that can matter to it.
#[test]
fn no_single_file_breaks_a_report() {
    let installation = Installation::demo();
    let healthy = expect_sound(&installation.run(), "the demo");
    let asked = installation.asked_for();
    assert!(asked.contains_key("/etc/gitlab/gitlab.rb") && asked.len() > 5, "{asked:?}");
    let mut passing = Vec::new();
    // A parser need not be tried again on another file.
    let mut parsers = BTreeSet::new();
    for (path, question) in &asked {
        let mut harms = Harm::PLACES.to_vec();
        if let Some(question) = question {
            harms.extend(Harm::CONTENTS);
            if parsers.insert(question) {
                harms.extend(Harm::SYNTAX);
            }
        }
        for harm in harms {
            let what = format!("{path}: {harm:?}");
            let Some(undo) = installation.harm(path, harm) else { continue };
            let ran = match harm {
                Harm::Unreadable => installation.run_as_nobody(),
                _ => Some(installation.run()),
            };
            if let Some(ran) = ran {
                let report = expect_sound(&ran, &what);
                if harm.leaves_nothing_to_read() {
                    let ids = undoubting(&healthy, &report, path);
                    passing.extend(ids.into_iter().map(|id| format!("{what}: {id}")));
                }
            }
            undo.restore();
        }
    }
    let after = expect_sound(&installation.run(), "the demo again");
    assert_eq!(verdicts(&after), verdicts(&healthy), "the test itself changed the installation");
    assert!(passing.is_empty(), "pass unread:\n{}", passing.join("\n"));
}

/// A link to a healthy copy outside the root is worth as much as one that leads nowhere.
#[test]
fn no_link_is_followed_out_of_the_root() {
    let installation = Installation::demo();
    for path in installation.asked_for().keys() {
        let reports = [Harm::Dangling, Harm::Outside].map(|harm| {
            let undo = installation.harm(path, harm)?;
            let report = expect_sound(&installation.run(), &format!("{path}: {harm:?}"));
            let shown = installation.command("show", &[]).run();
            undo.restore();
            Some((verdicts(&report), shown.stdout))
        });
        assert_eq!(reports[0], reports[1], "{path}");
    }
}

/// Every file at once, also those that only other roles than the demo's ask for; with what the
/// other commands make of them.
#[test]
fn nothing_but_broken_files_is_still_an_installation() {
    for harm in Harm::all() {
        let installation = Installation::demo();
        let mut all = installation.files();
        all.extend(installation.asked_for().into_keys());
        // Harm to a folder would spare what lies in it.
        let is_folder = |path: &str| all.iter().any(|it| it.starts_with(&format!("{path}/")));
        let harmed: Vec<_> = all
            .iter()
            .filter(|path| !is_folder(path))
            .filter_map(|path| installation.harm(path, harm))
            .collect();
        assert!(harmed.len() > 10 || harm == Harm::Unreadable);
        let what = format!("all files: {harm:?}");
        if harm == Harm::Unreadable {
            let Some(ran) = installation.run_as_nobody() else { continue };
            let report = expect_sound(&ran, &what);
            assert!(ran.code != Some(0), "{what}: what is denied is unknown");
            assert!(report.to_string().contains("run it with sudo"), "{what}: no way is told");
            continue;
        }
        let report = expect_sound(&installation.run(), &what);
        let shown = installation.command("show", &[]).run();
        assert_eq!((shown.code, shown.stderr.as_str()), (Some(0), ""), "{what}");
        let bundle = installation.folder().join("bundle.tar.gz");
        let bundled = installation.command("bundle", &["-q", "-o", bundle.as_str()]).run();
        assert_eq!(
            (bundled.code, bundled.stderr.as_str()),
            (installation.run().code, ""),
            "{what}"
        );
        let analyzed =
            program::Command::new(&["analyze", "--format", "json", bundle.as_str()]).run();
        let replayed = expect_sound(&analyzed, &what);
        assert_eq!(verdicts(&replayed), verdicts(&report), "{what}: a replay says the same");
    }
}

/// A container's volume is under another's control, and this machine has devices.
#[test]
fn a_volume_that_links_to_devices_is_read_without_them() {
    let installation = Installation::demo();
    for target in ["/dev/zero", "/dev/tty", "/proc/kmsg", "/proc/self/mem", "/etc/passwd"] {
        let path = "/etc/gitlab/gitlab.rb";
        let undo = installation.link(path, target);
        let volume = format!("/etc/gitlab={}", installation.root().join("etc/gitlab"));
        let ran = program::Command::new(&[
            "run",
            "--format",
            "json",
            "--offline-files-only",
            "--map",
            &volume,
        ])
        .run();
        let report = expect_sound(&ran, target);
        let told = report.to_string();
        assert!(told.contains("which no --map covers"), "{target}: {told}");
        undo.restore();
    }
}
