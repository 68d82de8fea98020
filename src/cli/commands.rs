//! What each command does.

use std::fmt::Write as _;

use anyhow::Context as _;
use camino::Utf8PathBuf;

use super::args::{AnalyzeArgs, BundleArgs, ExplainArgs, ListArgs, RunArgs, ShowArgs, ShowFormat};
use super::output::{complain, print, tell, write};
use super::page;
use super::runner::{block_on, cut_short, examination, machine};
use crate::bundle;
use crate::checks::{self, Check, threshold};
use crate::host::{Host, Recording};
use crate::install;
use crate::report::{Report, plain_lines};

/// The largest bundle that is read.
const MAX_BUNDLE: u64 = 128 << 20;

pub(super) fn run(args: &RunArgs) -> anyhow::Result<u8> {
    args.tell.check()?;
    let examination = examination(&args.select, Some(args.look.deadline))?;
    let machine = machine(&args.look)?;
    let machine =
        if args.plan { machine.without_network("--plan asks no network") } else { machine };
    let host = Host::live(machine);
    let report = block_on(examination.of(&host))??;
    if args.plan {
        print(&plain_lines(&plan_text(&report)))?;
        return Ok(0);
    }
    tell(&report, &args.tell)?;
    Ok(report.summary.exit_code)
}

/// What each check asked for. The network was left out, so what stands behind it is named only as
/// far as the files tell.
fn plan_text(report: &Report) -> String {
    let mut out = String::new();
    for check in report.checks.iter().filter(|check| !check.looked_at.is_empty()) {
        let _ = writeln!(out, "{}", check.id);
        for look in &check.looked_at {
            let _ = writeln!(out, "  {look}");
        }
    }
    out
}

pub(super) fn bundle(args: &BundleArgs) -> anyhow::Result<u8> {
    anyhow::ensure!(
        args.output.as_ref().is_none_or(|path| path != "-"),
        "a bundle is written to a file, not to standard output (./- is a file)"
    );
    let examination = examination(&args.select, Some(args.look.deadline))?;
    let host = Host::live(machine(&args.look)?);
    let report = block_on(examination.of(&host))??;
    let recording = Recording::of(host.transcript());
    let path = args.output.clone().unwrap_or_else(|| {
        let stamp = report.started_at.strftime("%Y%m%dT%H%M%SZ");
        Utf8PathBuf::from(format!("gldoctor-{}-{stamp}.tar.gz", in_file_name(&report.host.name)))
    });
    if path.extension() == Some("json") {
        write(&path, recording.to_text().as_bytes())?;
    } else {
        write(&path, &bundle::pack(&recording, &report)?)?;
    }
    if !args.quiet {
        complain(&format!("wrote {path}; look at it with: gldoctor analyze {path}"));
    }
    Ok(report.summary.exit_code)
}

/// A host's name as part of a file's: under `--root` it comes from a file, and may be anything.
fn in_file_name(host: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-.".contains(c) { c } else { '_' };
    host.chars().take(64).map(safe).collect()
}

pub(super) fn analyze(args: &AnalyzeArgs) -> anyhow::Result<u8> {
    args.tell.check()?;
    let examination = examination(&args.select, None)?;
    let content = read(&args.file)?;
    let recording =
        bundle::open(&content).map_err(|why| anyhow::anyhow!("{}: {why}", args.file))?;
    let host = Host::recorded(recording.looks);
    let report = block_on(examination.of(&host))??;
    tell(&report, &args.tell)?;
    Ok(report.summary.exit_code)
}

pub(super) fn show(args: &ShowArgs) -> anyhow::Result<u8> {
    let host = Host::live(machine(&args.look)?);
    let installation = block_on(async {
        tokio::select! {
            biased;
            all = install::Installation::of(&host) => all,
            _ = cut_short(args.look.deadline) => {
                install::Installation::of(&host.as_far_as_known()).await
            }
        }
    })?;
    print(&match args.format {
        ShowFormat::Human => plain_lines(&installation.to_text()),
        ShowFormat::Json => serde_json::to_string_pretty(&installation)? + "\n",
    })?;
    Ok(0)
}

pub(super) fn list(args: &ListArgs) -> anyhow::Result<u8> {
    print(&match args.format {
        ShowFormat::Human => list_text(),
        ShowFormat::Json => list_json()?,
    })?;
    Ok(0)
}

fn list_text() -> String {
    let mut out = String::new();
    let width = checks::all().map(|check| check.id.len()).max().unwrap_or_default() + 2;
    for group in checks::GROUPS {
        let _ = writeln!(out, "{}: {}", group.name, group.about);
        for check in group.checks {
            let _ = writeln!(out, "  {:<width$}{}", check.id, check.title);
        }
    }
    let _ = writeln!(out, "\nthresholds (--threshold KEY=VALUE):");
    for threshold in threshold::ALL {
        let _ = writeln!(out, "  {}={}  {}", threshold.key, threshold.default, threshold.about);
    }
    out
}

fn list_json() -> anyhow::Result<String> {
    let checks: Vec<_> = checks::all()
        .map(|check| serde_json::json!({ "id": check.id, "title": check.title }))
        .collect();
    Ok(serde_json::to_string_pretty(&checks)? + "\n")
}

/// The page of a check, or those of all checks of a group.
pub(super) fn explain(args: &ExplainArgs) -> anyhow::Result<u8> {
    let page =
        |check: &Check| format!("{}: {}\n\n{}", check.id, check.title, page::text(check.page));
    let group = checks::GROUPS.iter().find(|group| group.name == args.id.trim_end_matches('/'));
    let pages: Vec<_> = match group {
        Some(group) => group.checks.iter().copied().map(page).collect(),
        None => vec![page(checks::find(&args.id)?)],
    };
    print(&pages.join("\n"))?;
    Ok(0)
}

/// Reads a file that the user named.
fn read(path: &Utf8PathBuf) -> anyhow::Result<Vec<u8>> {
    use std::io::Read as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    // Without the flag, opening a pipe would wait for somebody to write into it.
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let opened = options.read(true).custom_flags(nonblock).open(path);
    let file = opened.with_context(|| path.to_string())?;
    let metadata = file.metadata().with_context(|| path.to_string())?;
    anyhow::ensure!(metadata.is_file(), "{path}: not a regular file");
    let mut content = Vec::new();
    file.take(MAX_BUNDLE + 1).read_to_end(&mut content).with_context(|| path.to_string())?;
    anyhow::ensure!(content.len() as u64 <= MAX_BUNDLE, "{path}: larger than any bundle");
    Ok(content)
}

#[test]
fn the_name_of_a_host_leads_nowhere() {
    assert_eq!(in_file_name("my-host.internal"), "my-host.internal");
    assert_eq!(in_file_name("../../etc/x\n"), ".._.._etc_x_");
}
