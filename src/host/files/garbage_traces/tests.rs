use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::line::{Told, told};
use super::*;
use crate::parse::syslog::Line;

/// 2026-11-22T12:00:00Z.
const WRITTEN: u64 = 1_795_348_800;

fn scripts() -> BTreeSet<Utf8PathBuf> {
    BTreeSet::from(["/opt/gc.sh".into(), "/etc/cron.weekly".into()])
}

/// Who started it, whether with -m, whether dry.
fn start(text: &str) -> Option<(Starter, bool, bool)> {
    let line = format!("Nov 22 04:05:01 gitlab {text}");
    match told(&Line::read(&line)?, &scripts())? {
        Told::Start { by, delete_untagged, dry_run } => Some((by, delete_untagged, dry_run)),
        Told::Cron => None,
    }
}

#[test]
fn what_cron_and_sudo_start_is_known() {
    use Starter::{Cron, Sudo};
    let sudo = "bob : TTY=pts/0 ; PWD=/root ; USER=root ; COMMAND=";
    for (line, expected) in [
        ("CRON[7]: (root) CMD (gitlab-ctl registry-garbage-collect)", (Cron, false, false)),
        (
            "CROND[7]: (root) CMD (/opt/gitlab/bin/gitlab-ctl registry-garbage-collect -m)",
            (Cron, true, false),
        ),
        (
            "/USR/SBIN/CRON[7]: (root) CMD (registry garbage-collect -d /c.yml >/x)",
            (Cron, false, true),
        ),
        ("CRON[7]: (root) CMD (   sh -c '/opt/gc.sh' >/dev/null)", (Cron, false, false)),
        ("CRON[7]: (root) CMD (cd / && run-parts --report /etc/cron.weekly)", (Cron, false, false)),
        ("anacron[7]: Job `cron.weekly' started", (Cron, false, false)),
        ("run-parts[7]: (/etc/cron.weekly) starting gc", (Cron, false, false)),
        ("run-parts(/etc/cron.weekly)[7]: starting gc", (Cron, false, false)),
        (
            &format!("sudo:  {sudo}/usr/bin/gitlab-ctl registry-garbage-collect -m"),
            (Sudo, true, false),
        ),
        (&format!("sudo[7]:  {sudo}/opt/gc.sh"), (Sudo, false, false)),
        (
            &format!("sudo: {sudo}/usr/bin/docker exec r bin/registry garbage-collect --dry-run c"),
            (Sudo, false, true),
        ),
    ] {
        assert_eq!(start(line), Some(expected), "{line}");
    }
    for other in [
        "CRON[7]: (root) CMD (/opt/other.sh)",
        "CRON[7]: pam_unix(cron:session): session opened for user root",
        "cron[7]: (root) RELOAD (crontabs/root)",
        "CROND[7]: (root) CMDEND (gitlab-ctl registry-garbage-collect)",
        "anacron[7]: Job `cron.daily' started",
        "anacron[7]: Will run job `cron.weekly' in 45 min.",
        "run-parts[7]: (/etc/cron.weekly) finished gc",
        "CRON[7]: (root) CMD (gitlab-ctl registry-garbage-collect --help)",
        &format!("sudo: {sudo}/usr/bin/grep registry-garbage-collect /var/log/syslog"),
        &format!("sudo: {sudo}/usr/bin/vi /opt/gc.sh"),
        "sudo: bob : command not allowed ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/gitlab-ctl registry-garbage-collect",
        "sudo: bob : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/gitlab-ctl registry-garbage-collect",
        "sudo: bob : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/gitlab-ctl registry-garbage-collect",
        "bash: (root) CMD (gitlab-ctl registry-garbage-collect)",
    ] {
        assert_eq!(start(other), None, "{other}");
    }
}

struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(tree.at("")).unwrap();
        tree
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join("var/log").join(name)
    }

    /// A file that was last written some days before the 22nd of November 2026.
    fn write(&self, name: &str, content: impl AsRef<[u8]>, days: u64) {
        fs::write(self.at(name), content).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(WRITTEN - days * 86_400);
        fs::File::open(self.at(name)).unwrap().set_modified(time).unwrap();
    }

    fn look(&self) -> Traces {
        let root = Utf8PathBuf::try_from(self.0.path().to_owned()).unwrap();
        let scope = Scope { root: Some(root), ..Scope::live() };
        look(&scope, &scripts(), &Leash::default()).unwrap()
    }

    /// From where to where the only log reaches.
    fn reach(&self) -> (String, String) {
        let logs = self.look().logs;
        assert_eq!(logs.len(), 1, "{logs:?}");
        (logs[0].from.strftime("%F").to_string(), logs[0].to.strftime("%F").to_string())
    }
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn job(day: &str, command: &str) -> String {
    format!("{day} 04:05:01 gitlab CRON[7]: (root) CMD ({command})\n")
}

const GC: &str = "gitlab-ctl registry-garbage-collect";

#[test]
fn rotated_files_are_read_back_to_the_first_that_is_missing() {
    let tree = Tree::new();
    tree.write("syslog", job("Nov 22", "x"), 0);
    tree.write("syslog.1", job("Nov 15", "x") + &job("Nov 16", "x"), 6);
    tree.write("syslog.2.gz", packed(&(job("Nov  8", "x") + &job("Nov  9", GC))), 13);
    tree.write("syslog.4.gz", packed(&job("Oct 25", "/opt/gc.sh")), 28);
    assert_eq!(tree.reach(), ("2026-11-08".to_owned(), "2026-11-22".to_owned()));
    let traces = tree.look();
    assert!(traces.logs[0].of_cron && traces.unread.is_empty());
    assert_eq!(traces.starts.len(), 1, "{traces:?}");
    let last = &traces.starts[0];
    assert_eq!((last.path.as_str(), last.line), ("/var/log/syslog.2.gz", Some(2)));
    assert_eq!(last.at.to_string(), "2026-11-09T04:05:01Z");
    // Now nothing is missing any more.
    tree.write("syslog.3.gz", packed(&job("Nov  1", "x")), 20);
    assert_eq!(tree.reach().0, "2026-10-25");
    assert_eq!(tree.look().starts[0].at, last.at);
    // What is packed in another way is a hole.
    tree.write("syslog.2.gz", b"\x1f\x8bdamaged", 13);
    assert_eq!(tree.reach().0, "2026-11-15");
}

#[test]
fn dated_files_are_read_from_the_newest_on() {
    let tree = Tree::new();
    tree.write("cron", "", 0);
    tree.write("cron-20261115", job("Nov 14", "x"), 7);
    tree.write("cron-20261108.gz", packed(&job("Nov  7", GC)), 14);
    tree.write("cron-20261101.xz", "x", 21);
    tree.write("cron-20261025", job("Oct 24", "x"), 28);
    assert_eq!(tree.reach(), ("2026-11-07".to_owned(), "2026-11-14".to_owned()));
    assert_eq!(tree.look().logs[0].path, "/var/log/cron-20261115");
}

#[test]
fn the_last_of_each_kind_is_kept_and_nothing_else_of_a_line() {
    let tree = Tree::new();
    tree.write(
        "auth.log",
        "2026-11-20T01:00:00+01:00 h sudo: bob : TTY=pts/0 ; PWD=/hush ; USER=root ; \
         COMMAND=/usr/bin/gitlab-ctl registry-garbage-collect -m hush\n",
        0,
    );
    let log = job("Nov  1", GC) + &job("Nov  8", &format!("HUSH=hush {GC} hush"));
    tree.write("syslog", log + &job("Nov 15", &format!("{GC} -d")), 0);
    let traces = tree.look();
    let kinds: Vec<_> = traces
        .starts
        .iter()
        .map(|it| (it.at.strftime("%d").to_string(), it.by, it.dry_run))
        .collect();
    let (cron, sudo) = (Starter::Cron, Starter::Sudo);
    assert_eq!(
        kinds,
        [
            ("08".to_owned(), cron, false),
            ("15".to_owned(), cron, true),
            ("20".to_owned(), sudo, false)
        ]
    );
    assert_eq!(traces.logs.iter().map(|it| it.of_cron).collect::<Vec<_>>(), [false, true]);
    let text = serde_json::to_string(&traces).unwrap().to_ascii_lowercase();
    assert!(!text.contains("hush") && !text.contains("bob"), "{text}");
}

#[test]
fn where_the_clock_jumps_a_log_begins_anew() {
    let tree = Tree::new();
    // A machine whose battery is empty begins in the first of January.
    let boot = "2026-01-01T00:00:09Z h kernel: x\n2026-11-21T04:05:01Z h kernel: x\n";
    tree.write("syslog", boot, 0);
    tree.write("syslog.1", job("Oct  1", "x"), 0);
    assert_eq!(tree.reach().0, "2026-11-21");
    let back =
        "2026-11-20T00:00:00Z h x: y\n2026-10-20T00:00:00Z h x: y\n2026-11-21T00:00:00Z h x: y\n";
    tree.write("syslog", back, 0);
    assert_eq!(tree.reach().0, "2026-11-20");
    tree.write("syslog", "9999-01-01T00:00:00Z h x: y\n2026-11-21T00:00:00Z h x: y\n", 0);
    let (from, to) = tree.reach();
    assert!(from > to, "it shows nothing: {from} {to}");
}

#[test]
fn times_are_read_in_the_zone_of_the_host() {
    let tree = Tree::new();
    tree.write("syslog", job("Nov 22", GC), 0);
    fs::create_dir_all(tree.0.path().join("etc")).unwrap();
    let zone = Path::new("/usr/share/zoneinfo/Asia/Tokyo");
    if let Ok(zone) = fs::read(zone) {
        fs::write(tree.0.path().join("etc/localtime"), zone).unwrap();
        assert_eq!(tree.look().starts[0].at.to_string(), "2026-11-21T19:05:01Z");
    }
    fs::write(tree.0.path().join("etc/localtime"), "x").unwrap();
    assert_eq!(tree.look().starts[0].at.to_string(), "2026-11-22T04:05:01Z");
}

#[test]
fn of_a_large_file_the_end_is_read() {
    let tree = Tree::new();
    let mut file = fs::File::create(tree.at("syslog")).unwrap();
    writeln!(file, "{}", job("Oct  1", GC)).unwrap();
    // One line that never ends, as a hole on the disk.
    file.set_len(MAX_TEXT * 4).unwrap();
    let mut file = fs::File::options().append(true).open(tree.at("syslog")).unwrap();
    write!(file, "\n{}{}", job("Nov 21", GC), job("Nov 22", "x")).unwrap();
    drop(file);
    let traces = tree.look();
    assert_eq!((traces.starts.len(), traces.starts[0].line), (1, None));
    assert_eq!(traces.logs[0].from.strftime("%m-%d").to_string(), "11-21");
}

#[test]
fn whatever_lies_there_is_no_log() {
    let tree = Tree::new();
    assert_eq!(tree.look(), Traces::default());
    rustix::fs::mkfifoat(rustix::fs::CWD, tree.at("syslog"), 0o644.into()).unwrap();
    fs::create_dir(tree.at("messages")).unwrap();
    tree.write("cron", [0xff, 0, b'\n', 0x80], 0);
    std::os::unix::fs::symlink("secure", tree.at("secure")).unwrap();
    // A packed file that would fill every disk.
    tree.write("auth.log", "", 0);
    tree.write("auth.log.1.gz", packed(&"\n".repeat(usize::try_from(MAX_TEXT).unwrap() + 1)), 0);
    let traces = tree.look();
    assert_eq!((traces.logs.len(), traces.starts.len()), (0, 0));
    let unread: Vec<_> = traces.unread.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(unread, ["/var/log/secure"]);
}

#[test]
fn a_cut_leash_ends_it() {
    let leash = Leash::default();
    leash.cut();
    let root = Utf8PathBuf::from("/nonexistent");
    assert!(look(&Scope { root: Some(root), ..Scope::live() }, &scripts(), &leash).is_err());
}

proptest! {
    #[test]
    fn no_line_makes_it_panic(tag in "CRON|sudo|anacron|run-parts|run-parts\\(x\\)", text in "\\PC*|(\\(root\\) CMD \\(|registry|-garbage-collect|garbage-collect| : | ; COMMAND=|[A-Z]=|Job `|' started|\\(|\\)|starting |/opt/gc.sh| |ü){0,20}") {
        start(&format!("{tag}[1]: {text}"));
    }
}
