//! Places that cannot be written to: a clear error, nothing half done, nothing replaced.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::installation::Installation;
use crate::program::{Command, Ran};

fn expect_error(ran: &Ran, named: &str) {
    assert!(!ran.timed_out, "{named}: hangs");
    assert_eq!(ran.code, Some(2), "{named}: {}", ran.stderr);
    assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains(named), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
}

#[test]
fn what_cannot_be_written_is_an_error_and_takes_the_report_from_nobody() {
    let installation = Installation::demo();
    let folder = installation.folder().join("out");
    fs::create_dir(&folder).unwrap();
    fs::create_dir(folder.join("a-folder")).unwrap();
    fs::write(folder.join("a-file"), "keep").unwrap();
    symlink("a-file", folder.join("a-link")).unwrap();
    symlink("/dev/null", folder.join("a-device")).unwrap();
    mknodat(CWD, folder.join("a-pipe").as_std_path(), FileType::Fifo, Mode::from(0o600), 0)
        .unwrap();
    let before = fs::read_dir(&folder).unwrap().count();
    let names =
        ["a-folder", "a-folder/", "a-pipe", "a-link", "a-device", "a-file/x", "none/x", "."];
    let paths = names.iter().map(|name| folder.join(name).to_string());
    for path in paths.chain(["/".to_owned(), "/proc/gldoctor".to_owned(), String::new()]) {
        let output = format!("json={path}");
        let ran = installation.command("run", &["--output", &output]).run();
        expect_error(&ran, &path);
        assert!(ran.stdout.contains("gldoctor"), "{path}: the report is lost");
        expect_error(&installation.command("bundle", &["-o", &path]).run(), &path);
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), before, "something was left behind");
    assert_eq!(fs::read_to_string(folder.join("a-file")).unwrap(), "keep");
    assert!(folder.join("a-pipe").metadata().unwrap().file_type().is_fifo());
    assert!(folder.join("a-link").symlink_metadata().unwrap().is_symlink());
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}

#[test]
fn a_folder_of_somebody_else_is_an_error() {
    let installation = Installation::demo();
    let folder = installation.folder().join("out");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    let path = folder.join("report.json");
    let Some(command) =
        installation.command("run", &["--output", &format!("json={path}")]).into_nobodys()
    else {
        return;
    };
    let ran = command.run();
    expect_error(&ran, path.as_str());
    assert!(ran.stderr.contains("Permission denied"), "{}", ran.stderr);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn a_file_is_replaced_whole_and_is_its_owners_alone() {
    let installation = Installation::demo();
    let path = installation.folder().join("report.json");
    fs::write(&path, "old").unwrap();
    // What a killed process of the same id would have left behind is no obstacle; which id the
    // next process has, nobody knows, so only the ordinary case is seen here.
    let ran = installation.command("run", &["--output", &format!("json={path}")]).run();
    assert_eq!(ran.stderr, "");
    let written: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(written["version"], 1);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_full_disk_behind_standard_output_is_an_error() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran = Command::new(&["list"]).stdout(full).run();
    expect_error(&ran, "standard output");
}

/// The default name of a bundle is made of a name that a foreign file may give.
#[test]
fn a_foreign_host_name_does_not_say_where_to_write() {
    let installation = Installation::demo();
    fs::write(installation.root().join("etc/hostname"), "x/../../../../tmp/y\u{1b}[2J\n").unwrap();
    let ran = installation.command("run", &[]).run();
    assert!(ran.stdout.contains("x/../../../../tmp/y [2J"), "{}", ran.stdout);
    let shown = installation.command("show", &[]).run();
    assert!(!shown.stdout.contains('\u{1b}'), "{}", shown.stdout);
}
