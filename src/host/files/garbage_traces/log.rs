//! Reading one file of a log, in constant memory.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom};

use camino::{Utf8Path, Utf8PathBuf};
use flate2::bufread::MultiGzDecoder;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::line::{Told, told};
use super::{GAP, Kinds, Start, Starter, keep};
use crate::host::files::open::{Opened, modified, open, refusal};
use crate::host::files::walk::Leash;
use crate::host::{Scope, Unknown};
use crate::parse::syslog::Line;

/// As much of a line as is looked at; cron and sudo write shorter ones.
const MAX_LINE: usize = 8 << 10;

/// Lines of several programs come in no strict order, and clocks are set.
const DISORDER: SignedDuration = SignedDuration::from_hours(48);

/// By what a file is read.
pub(super) struct Read<'a> {
    pub(super) zone: &'a TimeZone,
    pub(super) scripts: &'a BTreeSet<Utf8PathBuf>,
    pub(super) leash: &'a Leash,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) modified: Timestamp,
    /// From where to where it has no hole.
    pub(super) span: Option<(Timestamp, Timestamp)>,
    pub(super) of_cron: bool,
    pub(super) starts: Kinds,
    /// Whether it has no hole, and was read from its first line on.
    pub(super) is_whole: bool,
    /// Whether its last lines were not read.
    pub(super) is_cut: bool,
}

/// Reads a file, of a large one the end, and takes what was read from the budget. `None` where
/// there is no such file.
pub(super) fn read(
    scope: &Scope,
    path: &Utf8Path,
    by: &Read<'_>,
    budget: &mut u64,
) -> Result<Option<Seen>, Unknown> {
    let Opened::File { mut handle, size } = open(scope, path)? else { return Ok(None) };
    let failed = |error: io::Error| refusal(path, &error);
    let mut seen = Seen { modified: modified(&handle).map_err(failed)?, ..Seen::default() };
    if path.as_str().ends_with(".gz") {
        let mut text = BufReader::new(MultiGzDecoder::new(BufReader::new(handle)).take(*budget));
        let read = scan(&mut text, path, by, Some(1), &mut seen);
        let left = text.into_inner().limit();
        *budget = left;
        // One that is damaged ends where it cannot be read any further.
        seen.is_cut = read.is_err() || left == 0;
        seen.is_whole &= !seen.is_cut;
        return Ok(Some(seen));
    }
    let start = size.saturating_sub(*budget);
    handle.seek(SeekFrom::Start(start)).map_err(failed)?;
    let mut text = BufReader::with_capacity(64 << 10, handle.take(*budget));
    if start > 0 {
        text.skip_until(b'\n').map_err(failed)?;
    }
    scan(&mut text, path, by, (start == 0).then_some(1), &mut seen).map_err(failed)?;
    *budget = text.into_inner().limit();
    seen.is_whole &= start == 0;
    Ok(Some(seen))
}

/// Reads line by line, `first` being the number of the first one.
fn scan(
    text: &mut impl BufRead,
    path: &Utf8Path,
    by: &Read<'_>,
    first: Option<u32>,
    seen: &mut Seen,
) -> io::Result<()> {
    let mut span = Span { whole: true, ..Span::default() };
    let mut number = first;
    let mut line = Vec::with_capacity(MAX_LINE);
    while !by.leash.is_cut() && next_line(text, &mut line)? {
        let read = String::from_utf8_lossy(&line);
        if let Some(read) = Line::read(&read)
            && let Some(at) = read.stamp.at(by.zone, seen.modified)
        {
            span.add(at);
            match told(&read, by.scripts) {
                Some(Told::Start { by, delete_untagged, dry_run }) => {
                    let path = path.to_owned();
                    let start = Start { at, by, delete_untagged, dry_run, path, line: number };
                    seen.of_cron |= by == Starter::Cron;
                    keep(&mut seen.starts, start);
                }
                Some(Told::Cron) => seen.of_cron = true,
                None => {}
            }
        }
        number = number.map(|number| number.saturating_add(1));
        seen.span = span.from.zip(span.last);
        seen.is_whole = span.whole;
    }
    seen.is_whole = span.whole;
    Ok(())
}

/// The part of a file that has no hole, as far as it has been read.
#[derive(Default)]
struct Span {
    from: Option<Timestamp>,
    last: Option<Timestamp>,
    highest: Option<Timestamp>,
    whole: bool,
}

impl Span {
    /// Goes on to the next line's time. Where the clock jumps, what stands above shows nothing of
    /// the time below, so the part begins anew: forwards, at this line; backwards, not before the
    /// latest time that was ever shown.
    fn add(&mut self, at: Timestamp) {
        let highest = self.highest.map_or(at, |highest| highest.max(at));
        if let Some(last) = self.last {
            let step = at.duration_since(last);
            if step > GAP {
                self.from = Some(at);
                self.whole = false;
            } else if step < -DISORDER {
                self.from = Some(highest);
                self.whole = false;
            }
        }
        self.from.get_or_insert(at);
        self.last = Some(at);
        self.highest = Some(highest);
    }
}

/// The next line without its end, cut short; false where there is none.
fn next_line(text: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut any = false;
    loop {
        let chunk = match text.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            chunk => chunk?,
        };
        if chunk.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        line.extend_from_slice(&part[..part.len().min(MAX_LINE - line.len())]);
        let taken = end.map_or(chunk.len(), |end| end + 1);
        text.consume(taken);
        if end.is_some() {
            return Ok(true);
        }
    }
}
