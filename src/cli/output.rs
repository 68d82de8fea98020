//! Where text goes: standard output, standard error, files.

use std::io::{self, IsTerminal as _, Write as _};

use anstream::{AutoStream, ColorChoice};
use anyhow::Context as _;
use camino::{Utf8Path, Utf8PathBuf};

use super::args::{Color, TellArgs};
use crate::host::files::Kind;
use crate::report::{Report, Style, Symbols, plain};

/// The narrowest and the widest page.
const WIDTHS: std::ops::RangeInclusive<usize> = 60..=100;

/// Prints text. A reader that has gone away (`| head`) is no error.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("standard output"),
    }
}

/// Says something on standard error; where that fails there is nobody left to tell. What it quotes
/// may come from a hostile file.
pub(super) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{}", plain(text));
}

/// A progress line on standard error, on terminals only, that leaves no trace.
pub(super) fn progress(done: usize, total: usize) {
    if !io::stderr().is_terminal() {
        return;
    }
    let text = if done == total { String::new() } else { format!("{done} of {total} checks") };
    let _ = write!(io::stderr(), "\r\x1b[K{text}");
}

/// Prints a report and writes the files that were asked for. A file that cannot be written is an
/// error, but takes the report from nobody.
pub(super) fn tell(report: &Report, args: &TellArgs) -> anyhow::Result<()> {
    let written = args.output.iter().map(|(format, path)| {
        let style = Style { color: false, verbose: args.verbose, ..Style::default() };
        write(path, report.render((*format).into(), &style).as_bytes())
    });
    let written: Vec<_> = written.collect();
    print(&report.render(args.format.into(), &style(args)))?;
    written.into_iter().collect()
}

/// Writes a file all at once: readers see the old content or the new, never half of it.
pub(super) fn write(path: &Utf8Path, content: &[u8]) -> anyhow::Result<()> {
    refuse_strange(path)?;
    let (unfinished, mut file) =
        unfinished(path).with_context(|| format!("cannot write {path}"))?;
    let written = file
        .write_all(content)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&unfinished, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    written.with_context(|| format!("cannot write {path}"))
}

/// To put a file in the place of `/dev/null`, of a pipe, or of a link that somebody laid in `/tmp`
/// is never what is meant.
#[expect(clippy::disallowed_methods, reason = "the user's own file is no evidence")]
fn refuse_strange(path: &Utf8Path) -> anyhow::Result<()> {
    anyhow::ensure!(path.file_name().is_some(), "cannot write '{path}': not the name of a file");
    match std::fs::symlink_metadata(path) {
        Ok(there) if !there.is_file() => {
            let kind = Kind::from(&there);
            anyhow::bail!("cannot write {path}: {kind} is there, and only files are replaced")
        }
        // What else stands in the way, the attempt will say.
        _ => Ok(()),
    }
}

/// A new file in the same folder, readable for its owner alone.
fn unfinished(path: &Utf8Path) -> io::Result<(Utf8PathBuf, std::fs::File)> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut attempt = 0;
    loop {
        let name = path.with_file_name(format!(".gldoctor-{}-{attempt}.part", std::process::id()));
        match options.open(&name) {
            // Left behind by a process that had the same id, as the first of a container has.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < 100 => {
                attempt += 1;
            }
            opened => return Ok((name, opened?)),
        }
    }
}

fn style(args: &TellArgs) -> Style {
    Style {
        width: width(),
        symbols: symbols(),
        verbose: args.verbose,
        quiet: args.quiet,
        color: color(args.color),
    }
}

fn color(wanted: Color) -> bool {
    match wanted {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => AutoStream::choice(&io::stdout()) != ColorChoice::Never,
    }
}

/// The terminal's width; 80 in a pipe.
pub(super) fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    let columns = size.map_or(80, |size| usize::from(size.ws_col));
    columns.clamp(*WIDTHS.start(), *WIDTHS.end())
}

/// Symbols beyond ASCII where the locale is UTF-8; the font of the Linux console has none.
#[expect(clippy::disallowed_methods, reason = "how text is shown is no evidence")]
fn symbols() -> Symbols {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable);
    let utf8 = locale.is_some_and(|it| it.to_ascii_lowercase().replace('-', "").contains("utf8"));
    let console = variable("TERM").is_some_and(|term| term == "linux");
    if utf8 && !console { Symbols::Unicode } else { Symbols::Ascii }
}
