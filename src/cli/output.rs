//! Where text goes: standard output, standard error, files.

use std::io::{self, IsTerminal as _, Write as _};

use anstream::{AutoStream, ColorChoice};
use anyhow::Context as _;
use camino::Utf8Path;

use super::args::{Color, TellArgs};
use crate::report::{Report, Style, Symbols};

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

/// Says something on standard error; where that fails there is nobody left to tell.
pub(super) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A progress line on standard error, on terminals only, that leaves no trace.
pub(super) fn progress(done: usize, total: usize) {
    if !io::stderr().is_terminal() {
        return;
    }
    let text = if done == total { String::new() } else { format!("{done} of {total} checks") };
    let _ = write!(io::stderr(), "\r\x1b[K{text}");
}

/// Prints a report and writes the files that were asked for.
pub(super) fn tell(report: &Report, args: &TellArgs) -> anyhow::Result<()> {
    for (format, path) in &args.output {
        let style = Style { color: false, verbose: args.verbose, ..Style::default() };
        write(path, report.render((*format).into(), &style).as_bytes())?;
    }
    print(&report.render(args.format.into(), &style(args)))
}

/// Writes a file all at once: readers see the old content or the new, never half of it.
pub(super) fn write(path: &Utf8Path, content: &[u8]) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let unfinished = path.with_file_name(format!(
        ".{}.{}.part",
        path.file_name().with_context(|| format!("{path}: not the name of a file"))?,
        std::process::id()
    ));
    let written = (|| {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    written.with_context(|| format!("cannot write {path}"))
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
fn width() -> usize {
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
