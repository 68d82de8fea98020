//! The state of an evaluation, and how a file is taken in.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use ruby_prism::{Location, Node, ParseResult};

use super::merge::merge;
use super::place::{Link, Place};
use super::raw::Raw;
use super::redact::{redact, redact_path};
use super::{Assignment, Files, Problem, ProblemKind, Settings, Source, scan};
use crate::parse::value::Why;

/// Nesting of expressions that is followed. Long chains of `+` or `.` count as nesting.
const DEEPEST: usize = 1000;
/// Lists in hashes in lists; JSON readers give up at 128.
const DEEPEST_VALUE: usize = 24;
/// Problems that are reported; a binary file would have millions.
const MOST_PROBLEMS: usize = 100;
/// Syntax errors that are reported of one file; the later ones mostly follow from the first.
const MOST_SYNTAX_ERRORS: usize = 10;
/// Files included by files, and inclusions altogether.
const DEEPEST_INCLUDE: usize = 8;
const MOST_INCLUDES: usize = 64;
/// Bytes and nodes of values that are copied: `a = [a, a]` doubles with each line.
const FUEL: usize = 16 << 20;

/// One assignment as Ruby would make it.
pub(super) struct Write {
    pub(super) path: Vec<String>,
    pub(super) value: Raw,
    pub(super) source: Source,
}

/// What belongs to the file that is being evaluated.
#[derive(Default)]
pub(super) struct Current {
    pub(super) path: Utf8PathBuf,
    /// Offsets of syntax errors, sorted.
    errors: Vec<u32>,
    /// Offsets of line starts.
    lines: Vec<u32>,
    /// Ranges of the texts that were evaluated.
    pub(super) texts: Vec<(u32, u32)>,
    /// A `return` was reached.
    pub(super) stopped: bool,
    /// A `return` may have been reached.
    pub(super) may_stop: bool,
}

pub(super) struct Evaluator<'f> {
    files: &'f Files,
    pub(super) current: Current,
    /// The files that are being evaluated, outermost first.
    including: Vec<Utf8PathBuf>,
    includes: usize,
    writes: Vec<Write>,
    /// Local variables, and constants, globals and instance variables with their sigils.
    pub(super) variables: BTreeMap<String, Raw>,
    /// Names that may mean the same object.
    pub(super) links: Vec<Link>,
    /// What was read since the last assignment began.
    pub(super) reads: Vec<Place>,
    /// Methods that the file defines itself.
    pub(super) definitions: BTreeSet<String>,
    /// What is written when some method or block is called, any time later.
    pub(super) deferred: BTreeMap<Vec<String>, Source>,
    /// Whether a method or block is being read, whose writes are deferred.
    pub(super) in_definition: bool,
    /// Why what is being evaluated may not be evaluated just once.
    pub(super) doubt: Option<Why>,
    problems: Vec<Problem>,
    broken: Option<Source>,
    unread: BTreeSet<Utf8PathBuf>,
    depth: usize,
    pub(super) fuel: usize,
}

impl<'f> Evaluator<'f> {
    pub(super) fn new(files: &'f Files) -> Self {
        Self {
            files,
            current: Current::default(),
            including: Vec::new(),
            includes: 0,
            writes: Vec::new(),
            variables: BTreeMap::new(),
            links: Vec::new(),
            reads: Vec::new(),
            definitions: BTreeSet::new(),
            deferred: BTreeMap::new(),
            in_definition: false,
            doubt: None,
            problems: Vec::new(),
            broken: None,
            unread: BTreeSet::new(),
            depth: 0,
            fuel: FUEL,
        }
    }

    pub(super) fn run(mut self, main: &Utf8Path) -> Settings {
        match self.files.get(main) {
            Some(Some(bytes)) => self.file(main, bytes),
            Some(None) => {}
            None => {
                self.unread.insert(main.to_owned());
            }
        }
        self.finish()
    }

    /// The result for a file that cannot be evaluated at all.
    pub(super) fn refuse(mut self, main: &Utf8Path) -> Settings {
        main.clone_into(&mut self.current.path);
        self.give_up(0);
        self.finish()
    }

    fn finish(mut self) -> Settings {
        for (path, source) in std::mem::take(&mut self.deferred) {
            self.writes.push(Write { path, value: Raw::Unknown(Why::Deferred), source });
        }
        let assignments = self.writes.iter().map(|write| Assignment {
            path: redact_path(&write.path),
            value: redact(&mut write.path.iter().map(String::as_str).collect(), &write.value),
            source: write.source.clone(),
        });
        Settings {
            assignments: assignments.collect(),
            problems: self.problems,
            broken: self.broken,
            unread: self.unread.into_iter().collect(),
        }
    }

    /// Evaluates a file at this point.
    fn file(&mut self, path: &Utf8Path, bytes: &[u8]) {
        let fresh = Current { path: path.to_owned(), ..Current::default() };
        let outer = std::mem::replace(&mut self.current, fresh);
        // Locals end with their file; constants and globals do not.
        let locals = self.forget_locals();
        self.including.push(path.to_owned());
        let hostile = scan::too_deep(bytes);
        if bytes.len() > scan::LONGEST_FILE || hostile.is_some() {
            self.current.lines = line_starts(bytes);
            self.give_up(u32::try_from(hostile.unwrap_or(0)).unwrap_or(0));
        } else {
            self.parsed(bytes, &ruby_prism::parse(bytes));
        }
        self.including.pop();
        self.forget_locals();
        self.variables.extend(locals);
        self.current = outer;
    }

    fn parsed(&mut self, bytes: &[u8], program: &ParseResult<'_>) {
        self.current.lines = program.line_offsets().to_vec();
        self.syntax_errors(program);
        let doubt = self.doubt;
        if let Some(root) = program.node().as_program_node() {
            self.statements(&root.statements());
        }
        // A `return` under a condition casts doubt on the rest of its own file only.
        self.doubt = doubt;
        self.odd_text(bytes, program);
    }

    fn syntax_errors(&mut self, program: &ParseResult<'_>) {
        let mut errors: Vec<(u32, String)> = program
            .errors()
            .map(|error| (error.location().start(), without_source(error.message())))
            .collect();
        errors.sort_by_key(|(offset, _)| *offset);
        self.current.errors = errors.iter().map(|(offset, _)| *offset).collect();
        for (offset, message) in errors.into_iter().take(MOST_SYNTAX_ERRORS) {
            if self.broken.is_none() {
                self.broken = Some(self.source_at(offset));
            }
            self.problem(offset, ProblemKind::Syntax { message });
        }
    }

    /// Reports what looks like a slip of typing outside comments.
    fn odd_text(&mut self, bytes: &[u8], program: &ParseResult<'_>) {
        let mut comments: Vec<(u32, u32)> =
            program.comments().map(|comment| range(&comment.location())).collect();
        comments.extend(program.data_loc().map(|data| range(&data)));
        let mut texts = std::mem::take(&mut self.current.texts);
        texts.sort_unstable();
        let is_in = |ranges: &[(u32, u32)], offset: u32| {
            let after = ranges.partition_point(|(start, _)| *start <= offset);
            after > 0 && offset < ranges[after - 1].1
        };
        for (at, character) in scan::odd_characters(bytes) {
            let Ok(offset) = u32::try_from(at) else { continue };
            let in_text = is_in(&texts, offset);
            // Typographic quotes in a text are nothing but good typography.
            if is_in(&comments, offset) || (in_text && character == scan::OddCharacter::SmartQuote)
            {
                continue;
            }
            self.problem(offset, ProblemKind::OddCharacter { character, in_text });
        }
        for (at, name) in scan::placeholders(bytes) {
            let Ok(offset) = u32::try_from(at) else { continue };
            if is_in(&comments, offset) {
                continue;
            }
            let text = (!is_in(&texts, offset)).then(|| String::from_utf8_lossy(name).into_owned());
            self.problem(offset, ProblemKind::Placeholder { text });
        }
    }

    /// `from_file path`.
    pub(super) fn include(&mut self, path: &str, offset: u32) {
        let path = Utf8Path::new(path);
        let is_loop = self.including.iter().any(|outer| outer == path);
        let too_many = self.including.len() > DEEPEST_INCLUDE || self.includes >= MOST_INCLUDES;
        // What a relative path is relative to is up to how reconfigure was started.
        if !path.is_absolute() || is_loop || too_many {
            self.unclear_include(offset);
            return;
        }
        self.includes += 1;
        match self.files.get(path) {
            Some(Some(bytes)) => self.file(path, bytes),
            Some(None) => {
                self.problem(offset, ProblemKind::IncludeMissing { path: path.to_owned() });
                self.write(Vec::new(), Raw::Unknown(Why::Include), offset);
            }
            None => {
                self.unread.insert(path.to_owned());
                self.write(Vec::new(), Raw::Unknown(Why::Include), offset);
            }
        }
    }

    pub(super) fn unclear_include(&mut self, offset: u32) {
        self.problem(offset, ProblemKind::IncludeUnclear);
        self.write(Vec::new(), Raw::Unknown(Why::Include), offset);
    }

    /// Evaluates one expression or statement, with its effects.
    pub(super) fn eval(&mut self, node: &Node<'_>) -> Raw {
        if self.current.stopped {
            return Raw::Unknown(Why::Expression);
        }
        if self.depth >= DEEPEST {
            self.give_up(node.location().start());
            return Raw::Unknown(Why::Limit);
        }
        self.depth += 1;
        let value = self.expression(node);
        self.depth -= 1;
        value
    }

    /// Nothing is known any more.
    pub(super) fn give_up(&mut self, offset: u32) {
        let is_deep = |problem: &Problem| problem.kind == ProblemKind::TooDeep;
        if !self.problems.iter().any(is_deep) {
            self.problem(offset, ProblemKind::TooDeep);
        }
        self.record(Vec::new(), Raw::Unknown(Why::Limit), offset);
    }

    /// Adds an assignment, unless what is written is too costly to keep.
    pub(super) fn record(&mut self, path: Vec<String>, value: Raw, offset: u32) {
        let affordable = self.afford(&value) && value.depth(DEEPEST_VALUE) <= DEEPEST_VALUE;
        let value = if affordable { value } else { Raw::Unknown(Why::Limit) };
        let source = self.source_at(offset);
        self.writes.push(Write { path, value, source });
    }

    /// Whether there is fuel left to copy `value`; takes it.
    pub(super) fn afford(&mut self, value: &Raw) -> bool {
        self.spend(value.size(self.fuel + 1))
    }

    pub(super) fn spend(&mut self, amount: usize) -> bool {
        let enough = amount <= self.fuel;
        self.fuel = self.fuel.saturating_sub(amount);
        enough
    }

    /// What the settings have at `path` by now.
    pub(super) fn stored(&mut self, path: &[String]) -> Option<Raw> {
        if !self.spend(self.writes.len()) {
            return Some(Raw::Unknown(Why::Limit));
        }
        // Parts that were written one by one are put together anew for each reader.
        let parts = self
            .writes
            .iter()
            .filter(|write| write.path.len() > path.len() && write.path.starts_with(path));
        let cost: usize = parts.map(|write| write.value.size(FUEL)).sum();
        if !self.spend(cost) {
            return Some(Raw::Unknown(Why::Limit));
        }
        let writes = self.writes.iter().map(|write| (&*write.path, &write.value, &write.source));
        let value = merge(writes, path).value?;
        let size = value.size(self.fuel + 1);
        let value = if size <= self.fuel { value.into_owned() } else { Raw::Unknown(Why::Limit) };
        self.spend(size);
        Some(value)
    }

    pub(super) fn problem(&mut self, offset: u32, kind: ProblemKind) {
        if self.problems.len() < MOST_PROBLEMS {
            let (source, column) = (self.source_at(offset), offset - self.line_start(offset) + 1);
            self.problems.push(Problem { source, column, offset, kind });
        }
    }

    pub(super) fn has_syntax_errors(&self) -> bool {
        !self.current.errors.is_empty()
    }

    /// Whether the parser stumbled in this part of the file, so that it may mean something else.
    pub(super) fn is_broken(&self, location: &Location<'_>) -> bool {
        let next = self.current.errors.partition_point(|offset| *offset < location.start());
        self.current.errors.get(next).is_some_and(|offset| *offset <= location.end())
    }

    pub(super) fn source_at(&self, offset: u32) -> Source {
        let line = self.current.lines.partition_point(|start| *start <= offset).max(1);
        Source { file: self.current.path.clone(), line: u32::try_from(line).unwrap_or(u32::MAX) }
    }

    fn line_start(&self, offset: u32) -> u32 {
        let line = self.current.lines.partition_point(|start| *start <= offset);
        line.checked_sub(1).and_then(|line| self.current.lines.get(line)).copied().unwrap_or(0)
    }

    /// Takes the local variables out of scope. Constants, `$globals` and `@instance` ones stay.
    pub(super) fn forget_locals(&mut self) -> BTreeMap<String, Raw> {
        let is_local = |name: &str| name.starts_with(|c: char| c.is_lowercase() || c == '_');
        let all = std::mem::take(&mut self.variables);
        let (locals, others) = all.into_iter().partition(|(name, _)| is_local(name));
        self.variables = others;
        locals
    }
}

fn range(location: &Location<'_>) -> (u32, u32) {
    (location.start(), location.end())
}

fn line_starts(bytes: &[u8]) -> Vec<u32> {
    let newlines = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let starts = newlines.filter_map(|(at, _)| u32::try_from(at + 1).ok());
    std::iter::once(0).chain(starts).collect()
}

/// The parser's message, if it is one of those that quote nothing from the file.
fn without_source(message: &[u8]) -> String {
    let message = String::from_utf8_lossy(message);
    let (first, _) = message.split_once(';').unwrap_or((&message, ""));
    let quotes_source = first.contains("resulting in") || first.contains("can't find string");
    let is_fixed =
        ["unexpected ", "expected ", "unterminated "].iter().any(|start| first.starts_with(start));
    if is_fixed && !quotes_source {
        let whole = if first.starts_with("unterminated ") { first } else { &*message };
        return whole.to_owned();
    }
    "the file is not valid Ruby here".to_owned()
}
