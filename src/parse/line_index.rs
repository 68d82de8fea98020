//! Where the keys of a YAML or JSON document stand.
//!
//! The YAML library builds values without positions. This index is built by a scan beside it:
//! it follows indentation, brackets, anchors and merge keys well enough to find the line of a
//! key that the library saw. It judges nothing, and a key that it cannot place is reported at
//! the line of the closest key around it.

use std::collections::HashMap;

/// A place in the document: the root, a key's value, or an element of a list.
pub(super) type Place = usize;

/// The root of the document.
pub(super) const ROOT: Place = 0;

/// More aliases on the way to a key than any file has. It ends cycles.
const MOST_HOPS: u8 = 8;

#[derive(Debug, Default)]
pub(super) struct LineIndex {
    entries: Vec<Entry>,
    children: HashMap<(Place, String), Place>,
    anchors: HashMap<String, Place>,
}

#[derive(Debug, Default)]
struct Entry {
    line: u32,
    quoted: bool,
    alias: Option<String>,
    elements: usize,
}

impl LineIndex {
    /// Scans the first document of the text.
    pub(super) fn new(text: &str) -> Self {
        let index = Self { entries: vec![Entry::default()], ..Self::default() };
        Scan { text, at: 0, line: 1, index, open: Vec::new(), started: false }.run()
    }

    /// The place of a key, through aliases and merge keys too.
    pub(super) fn child(&self, place: Place, key: &str) -> Option<Place> {
        self.child_within(place, key, MOST_HOPS)
    }

    fn child_within(&self, place: Place, key: &str, hops: u8) -> Option<Place> {
        if let Some(found) = self.children.get(&(place, key.to_owned())) {
            return Some(*found);
        }
        let hops = hops.checked_sub(1)?;
        if let Some(target) = self.aliased(place) {
            return self.child_within(target, key, hops);
        }
        let merge = *self.children.get(&(place, "<<".to_owned()))?;
        if self.entries[merge].elements == 0 {
            return self.child_within(merge, key, hops);
        }
        // A mapping that merges more than a handful of others is not worth the search.
        (0..self.entries[merge].elements.min(4)).find_map(|number| {
            let element = *self.children.get(&(merge, number.to_string()))?;
            self.child_within(element, key, hops.min(2))
        })
    }

    fn aliased(&self, place: Place) -> Option<Place> {
        self.anchors.get(self.entries[place].alias.as_ref()?).copied()
    }

    /// The line of a place, counted from 1. The root is at no line.
    pub(super) fn line(&self, place: Place) -> Option<u32> {
        self.entries.get(place).map(|entry| entry.line).filter(|line| *line > 0)
    }

    /// Whether the scalar there is written in quotes or as a block, and so is text whatever it says.
    pub(super) fn quoted(&self, place: Place) -> bool {
        self.entries[self.aliased(place).unwrap_or(place)].quoted
    }

    fn add(&mut self, parent: Place, key: String, line: u32) -> Place {
        let place = self.entries.len();
        self.entries.push(Entry { line, ..Entry::default() });
        // The last of equal keys counts, as it does for the real programs.
        self.children.insert((parent, key), place);
        place
    }

    fn add_element(&mut self, list: Place, line: u32) -> Place {
        let number = self.entries[list].elements;
        self.entries[list].elements += 1;
        self.add(list, number.to_string(), line)
    }
}

/// A block that is open: the entries at `column` are children of `place`.
#[derive(Debug)]
struct Block {
    column: usize,
    list: bool,
    place: Place,
    /// The latest child, which a deeper block would belong to.
    latest: Place,
}

/// A bracket that is open.
struct Bracket {
    list: bool,
    place: Place,
    /// In a mapping: the key whose value comes next.
    key: Option<Place>,
}

struct Scan<'text> {
    text: &'text str,
    at: usize,
    line: u32,
    index: LineIndex,
    open: Vec<Block>,
    started: bool,
}

impl<'text> Scan<'text> {
    fn run(mut self) -> LineIndex {
        while self.at < self.text.len() {
            let indent = self.rest().bytes().take_while(|byte| *byte == b' ').count();
            let content = self.rest()[indent..].split('\n').next().unwrap_or_default();
            let content = content.trim_end_matches('\r');
            if indent == 0 && is_marker(content, "...")
                || indent == 0 && is_marker(content, "---") && self.started
            {
                break;
            }
            let skip = match content.as_bytes().first() {
                None | Some(b'#') => true,
                Some(b'%') => indent == 0 && !self.started,
                Some(_) => false,
            };
            if !skip {
                self.started = true;
                self.at += indent;
                if indent == 0 && is_marker(content, "---") {
                    self.at += 3;
                    self.skip_blanks();
                    self.value(ROOT, 0);
                } else {
                    self.entry(indent);
                }
            }
            self.end_line();
        }
        self.index
    }

    /// One line of block context, from its first character on: `- - key: value`.
    fn entry(&mut self, mut column: usize) {
        loop {
            let rest = self.rest();
            if rest.starts_with('-') && rest[1..].starts_with([' ', '\t', '\r', '\n'])
                || rest == "-"
            {
                let place = self.list_element(column);
                let before = self.at;
                self.at += 1;
                self.skip_blanks();
                if self.at_line_end() {
                    return;
                }
                column += self.at - before;
                let properties = self.at;
                self.properties(place);
                column += self.at - properties;
                continue;
            }
            if let Some((key, length)) = block_key(rest) {
                let place = self.mapping_key(column, key);
                self.at += length;
                self.skip_blanks();
                self.value(place, column);
            } else {
                let place = self.open.last().map_or(ROOT, |block| block.latest);
                self.value(place, column.saturating_sub(1));
            }
            return;
        }
    }

    fn list_element(&mut self, column: usize) -> Place {
        self.close_deeper_than(column);
        // A list may stand at the column of the key that it is the value of.
        let continues = self.open.last().is_some_and(|block| block.column == column && block.list);
        if !continues {
            let place = self.open.last().map_or(ROOT, |block| block.latest);
            self.open.push(Block { column, list: true, place, latest: place });
        }
        let line = self.line;
        let Some(block) = self.open.last_mut() else { return ROOT };
        block.latest = self.index.add_element(block.place, line);
        block.latest
    }

    fn mapping_key(&mut self, column: usize, key: String) -> Place {
        self.close_deeper_than(column);
        if self.open.last().is_some_and(|block| block.column == column && block.list) {
            self.open.pop();
        }
        let continues = self.open.last().is_some_and(|block| block.column == column);
        if !continues {
            let place = self.open.last().map_or(ROOT, |block| block.latest);
            self.open.push(Block { column, list: false, place, latest: place });
        }
        let line = self.line;
        let Some(block) = self.open.last_mut() else { return ROOT };
        block.latest = self.index.add(block.place, key, line);
        block.latest
    }

    fn close_deeper_than(&mut self, column: usize) {
        while self.open.last().is_some_and(|block| block.column > column) {
            self.open.pop();
        }
    }

    /// The value of `place`, whose key stands at `column`. Leaves the rest of the line to skip.
    fn value(&mut self, place: Place, column: usize) {
        self.properties(place);
        match self.rest().bytes().next() {
            Some(b'[' | b'{') => self.flow(place),
            Some(quote @ (b'"' | b'\'')) => {
                self.index.entries[place].quoted = true;
                self.quoted(quote);
            }
            Some(b'|' | b'>') => {
                self.index.entries[place].quoted = true;
                self.skip_block_scalar(column);
            }
            Some(b'*') => self.index.entries[place].alias = Some(self.name()),
            _ => {}
        }
    }

    /// Anchor and tag before a value.
    fn properties(&mut self, place: Place) {
        loop {
            match self.rest().bytes().next() {
                Some(b'&') => {
                    let name = self.name();
                    self.index.anchors.insert(name, place);
                }
                Some(b'!') => {
                    self.index.entries[place].quoted = self.rest().starts_with("!!str");
                    self.name();
                }
                _ => return,
            }
            self.skip_blanks();
        }
    }

    /// The name after `&` or `*`, which is skipped.
    fn name(&mut self) -> String {
        let rest = &self.rest()[1..];
        let length = rest.find([' ', '\t', '\r', '\n', ',', ']', '}']).unwrap_or(rest.len());
        let name = rest[..length].to_owned();
        self.at += 1 + length;
        name
    }

    /// A flow collection, over as many lines as it takes.
    fn flow(&mut self, place: Place) {
        let mut open: Vec<Bracket> = Vec::new();
        let mut next = Some(place);
        while let Some(byte) = self.rest().bytes().next() {
            match byte {
                b'[' | b'{' => {
                    let place = next.take().unwrap_or_else(|| self.flow_child(&mut open, None));
                    open.push(Bracket { list: byte == b'[', place, key: None });
                    self.at += 1;
                }
                b']' | b'}' => {
                    open.pop();
                    self.at += 1;
                    if open.is_empty() {
                        return;
                    }
                }
                b',' => {
                    if let Some(bracket) = open.last_mut() {
                        bracket.key = None;
                    }
                    self.at += 1;
                }
                b':' | b' ' | b'\t' | b'\r' | b'?' => self.at += 1,
                b'\n' => self.end_line(),
                b'#' => self.skip_comment(),
                _ => self.flow_scalar(&mut open),
            }
        }
    }

    fn flow_scalar(&mut self, open: &mut [Bracket]) {
        let (line, start) = (self.line, self.at);
        let quote = self.rest().bytes().next().filter(|byte| matches!(byte, b'"' | b'\''));
        if let Some(quote) = quote {
            self.quoted(quote);
        } else if self.rest().starts_with(['&', '!']) {
            // Anchors inside brackets are rare; without them only a line is lost.
            self.name();
            return;
        } else {
            self.skip_flow_plain();
        }
        let text = &self.text[start..self.at];
        let key = match quote {
            Some(_) => unquote(text),
            None => text.trim_end().to_owned(),
        };
        let alias = key.strip_prefix('*').filter(|_| quote.is_none()).map(str::to_owned);
        let place = match open.last() {
            Some(Bracket { list: false, key: None, .. }) => {
                self.flow_child(open, Some((key, line)))
            }
            _ => self.flow_child(open, None),
        };
        self.index.entries[place].quoted = quote.is_some();
        self.index.entries[place].alias = alias;
    }

    /// The place that a value or a key (where one is given) in the innermost bracket has.
    fn flow_child(&mut self, open: &mut [Bracket], key: Option<(String, u32)>) -> Place {
        let line = self.line;
        let Some(bracket) = open.last_mut() else { return ROOT };
        if bracket.list {
            return self.index.add_element(bracket.place, line);
        }
        if let Some((key, line)) = key {
            let place = self.index.add(bracket.place, key, line);
            bracket.key = Some(place);
            return place;
        }
        bracket.key.unwrap_or(bracket.place)
    }

    /// A plain scalar inside brackets ends at an indicator, or at a colon before a blank.
    fn skip_flow_plain(&mut self) {
        let bytes = self.rest().as_bytes();
        let mut length = 0;
        while let Some(byte) = bytes.get(length) {
            let ends = match byte {
                b',' | b'[' | b']' | b'{' | b'}' | b'\n' => true,
                b':' => bytes.get(length + 1).is_none_or(|next| b" \t\r\n,[]{}".contains(next)),
                b'#' => length > 0 && bytes[length - 1].is_ascii_whitespace(),
                _ => false,
            };
            if ends {
                break;
            }
            length += 1;
        }
        self.at += length.max(1).min(self.text.len() - self.at);
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
    }

    /// A quoted scalar, over as many lines as it takes.
    fn quoted(&mut self, quote: u8) {
        let bytes = self.text.as_bytes();
        self.at += 1;
        while let Some(byte) = bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'\n' => self.line = self.line.saturating_add(1),
                // Whatever is escaped, it is not the end; a line break still counts.
                b'\\' if quote == b'"' && bytes.get(self.at).is_some_and(u8::is_ascii) => {
                    if bytes[self.at] == b'\n' {
                        self.line = self.line.saturating_add(1);
                    }
                    self.at += 1;
                }
                // Two single quotes stand for one.
                b'\'' if quote == b'\'' && bytes.get(self.at) == Some(&b'\'') => self.at += 1,
                byte if *byte == quote => return,
                _ => {}
            }
        }
    }

    /// The lines of a block scalar: all that are blank or indented deeper than its key.
    fn skip_block_scalar(&mut self, column: usize) {
        self.end_line();
        loop {
            let line = self.rest().split('\n').next().unwrap_or_default();
            let blank = line.trim().is_empty();
            let indent = line.bytes().take_while(|byte| *byte == b' ').count();
            if self.at >= self.text.len() {
                return;
            }
            if !blank && indent <= column {
                // The line belongs to the next entry, so the caller's step to the line's end
                // must end the line before.
                self.at -= 1;
                self.line = self.line.saturating_sub(1);
                return;
            }
            self.end_line();
        }
    }

    fn skip_comment(&mut self) {
        self.at += self.rest().find('\n').unwrap_or(self.rest().len());
    }

    /// Skips to the start of the next line.
    fn end_line(&mut self) {
        match self.rest().find('\n') {
            Some(length) => {
                self.at += length + 1;
                self.line = self.line.saturating_add(1);
            }
            None => self.at = self.text.len(),
        }
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn at_line_end(&self) -> bool {
        self.rest().is_empty() || self.rest().starts_with(['\r', '\n', '#'])
    }

    fn rest(&self) -> &'text str {
        &self.text[self.at..]
    }
}

fn is_marker(content: &str, marker: &str) -> bool {
    content
        .strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

/// The key that a line of block context starts with, and its length with the colon.
fn block_key(rest: &str) -> Option<(String, usize)> {
    let line = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
    let quote = line.bytes().next().filter(|byte| matches!(byte, b'"' | b'\''));
    let length = match quote {
        Some(quote) => quoted_length(line, quote)?,
        None if line.starts_with(['[', '{', '#', '|', '>', '%', '@', '`']) => return None,
        None => plain_key_length(line)?,
    };
    let after = line[length..].trim_start_matches([' ', '\t']);
    let value = after.strip_prefix(':')?;
    if !(value.is_empty() || value.starts_with([' ', '\t'])) {
        return None;
    }
    let key = match quote {
        Some(_) => unquote(&line[..length]),
        None => line[..length].trim_end().to_owned(),
    };
    Some((key, line.len() - value.len()))
}

/// Up to the first colon that is followed by a blank or by nothing.
fn plain_key_length(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let blank = |at: usize| bytes.get(at).is_none_or(|byte| matches!(byte, b' ' | b'\t'));
        match byte {
            b':' if blank(at + 1) => return Some(at),
            b'#' if at > 0 && blank(at - 1) => return None,
            _ => {}
        }
    }
    None
}

fn quoted_length(line: &str, quote: u8) -> Option<usize> {
    let bytes = line.as_bytes();
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if quote == b'"' => at += 1,
            b'\'' if quote == b'\'' && bytes.get(at + 1) == Some(&b'\'') => at += 1,
            byte if *byte == quote => return Some(at + 1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// A quoted key without its quotes. Escapes beyond the quotes themselves are left alone: no
/// setting that is looked up has any in its name.
fn unquote(text: &str) -> String {
    let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
    if text.starts_with('\'') { inner.replace("''", "'") } else { inner.replace("\\\"", "\"") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{LineIndex, ROOT};

    fn line(text: &str, path: &str) -> Option<u32> {
        let index = LineIndex::new(text);
        let place = path.split('/').try_fold(ROOT, |place, key| index.child(place, key));
        place.and_then(|place| index.line(place))
    }

    #[test]
    fn keys_of_blocks_are_found() {
        let text = "# c\n---\na:   # note: x\n  b: 1\n\n  'c d': 2\n\nl:\n- x: 1\n  y: 2\n- - z\nm:\n  - n:\n      o: 1\n";
        let table = [
            ("a", 3),
            ("a/b", 4),
            ("a/c d", 6),
            ("l", 8),
            ("l/0", 9),
            ("l/0/y", 10),
            ("l/1/0", 11),
            ("m", 12),
            ("m/0/n/o", 14),
        ];
        for (path, expected) in table {
            assert_eq!(line(text, path), Some(expected), "{path}");
            assert_eq!(line(&text.replace('\n', "\r\n"), path), Some(expected), "{path}, CRLF");
        }
        assert_eq!(line(text, "b"), None);
    }

    #[test]
    fn scalars_over_several_lines_hold_no_keys() {
        let text = "a: |\n  x: 1\n\n  y: 2\nb: \"one\n  x: 1\n  two\"\nc: 'it''s\n  x: 1'\nd: >-\n  x: 1\ne: 1";
        let table = [("b", 5), ("c", 8), ("d", 10), ("e", 12)];
        for (path, expected) in table {
            assert_eq!(line(text, path), Some(expected), "{path}");
        }
        assert_eq!(line(text, "a/x"), None);
        assert_eq!(line(text, "x"), None);
    }

    #[test]
    fn keys_in_brackets_are_found() {
        let text = "s: {\"f\":{\"r\":\"/x\"},\n  \"d\": {e: true, # {\n    g: [1,\n 'a,b', {h: http://x}]}}\nt: []\nu: 1";
        let table = [
            ("s/f/r", 1),
            ("s/d", 2),
            ("s/d/e", 2),
            ("s/d/g", 3),
            ("s/d/g/1", 4),
            ("s/d/g/2/h", 4),
            ("t", 5),
            ("u", 6),
        ];
        for (path, expected) in table {
            assert_eq!(line(text, path), Some(expected), "{path}");
        }
        assert_eq!(line("{\n \"a\": 1,\n \"b\": {\"c\": \"}\"},\n \"d\": 2}", "d"), Some(4));
    }

    #[test]
    fn anchors_and_merges_lead_to_the_line_that_was_written() {
        let text = "base: &b\n  x: 1\nother: &o\n  y: 2\nuse:\n  <<: *b\n  z: 3\nboth:\n  <<: [*b, *o]\nis: *o\n";
        let table = [("use/x", 2), ("use/z", 7), ("both/x", 2), ("both/y", 4), ("is/y", 4)];
        for (path, expected) in table {
            assert_eq!(line(text, path), Some(expected), "{path}");
        }
    }

    #[test]
    fn quotes_are_noticed() {
        let index = LineIndex::new("a: yes\nb: \"yes\"\nc: {d: yes, e: 'yes'}\nf: !!str yes\n");
        let quoted = |path: &str| {
            let place = path.split('/').try_fold(ROOT, |place, key| index.child(place, key));
            index.quoted(place.unwrap())
        };
        assert!(!quoted("a") && quoted("b") && !quoted("c/d") && quoted("c/e") && quoted("f"));
    }

    #[test]
    fn only_the_first_document_and_the_last_of_equal_keys_count() {
        assert_eq!(line("a: 1\na: 2\n---\na: 3\nb: 1\n", "a"), Some(2));
        assert_eq!(line("a: 1\n---\nb: 1\n", "b"), None);
        assert_eq!(line("a: 1\n...\nb: 1\n", "b"), None);
    }

    #[test]
    fn cycles_end() {
        let index = LineIndex::new("a: &a *b\nb: &b *a\nc: &c\n  <<: [*c, *c, *c]\n");
        for key in ["a", "b", "c"] {
            assert_eq!(index.child(ROOT, key).and_then(|place| index.child(place, "none")), None);
        }
    }

    #[test]
    fn depth_costs_linear_time() {
        for text in ["[", "{a: ", "- ", "? ", "{", "\"", "a:\n ", "&a ", "'", "|\n", "-", "#"] {
            let index = LineIndex::new(&text.repeat(100_000));
            assert!(!index.entries.is_empty());
        }
        let mut steps = String::new();
        for depth in 0..1500 {
            steps.push_str(&" ".repeat(depth));
            steps.push_str("k:\n");
        }
        assert_eq!(LineIndex::new(&steps).entries.len(), 1501);
    }

    proptest! {
        #[test]
        fn any_text_is_indexed(text in any::<String>()) {
            LineIndex::new(&text);
        }

        #[test]
        fn yaml_like_text_is_indexed(text in "([-ab:?#&*!|>'\"\\[\\]{},\\\\ é\r\n\t]|: |- |---|<<: |\n  ){0,60}") {
            let index = LineIndex::new(&text);
            for place in 0..index.entries.len() {
                index.child(place, "a");
                index.quoted(place);
            }
        }
    }
}
