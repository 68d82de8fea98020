//! The syntax of nginx configuration: words, `;`, and blocks in braces.

use crate::parse::Malformed;
use crate::parse::text::utf8;

/// More blocks inside one another than any configuration has.
const DEEPEST: usize = 64;

/// A directive with its block, if it has one. The words are unquoted and not scrubbed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) name: String,
    pub(super) arguments: Vec<String>,
    pub(super) line: u32,
    pub(super) block: Vec<Directive>,
}

/// The directives of a file.
///
/// CR is a blank, as for nginx. A byte order mark is refused: nginx takes it for the beginning
/// of the first directive's name.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Directive>, Malformed> {
    let text = utf8(bytes)?;
    if text.starts_with('\u{feff}') {
        return Err(Malformed::new(1, "a byte order mark, which nginx takes for a directive"));
    }
    let mut words = Words { text, at: 0, line: 1 };
    let mut open: Vec<Directive> = Vec::new();
    let mut done: Vec<Directive> = Vec::new();
    let mut pending: Option<Directive> = None;
    while let Some((line, word)) = words.next()? {
        match (word, pending.take()) {
            (Word::Text(name), None) => {
                pending = Some(Directive { name, arguments: Vec::new(), line, block: Vec::new() });
            }
            (Word::Text(argument), Some(mut directive)) => {
                directive.arguments.push(argument);
                pending = Some(directive);
            }
            (Word::End, Some(directive)) => {
                open.last_mut().map_or(&mut done, |outer| &mut outer.block).push(directive);
            }
            (Word::Open, Some(directive)) if open.len() < DEEPEST => open.push(directive),
            (Word::Open, Some(_)) => return Err(Malformed::new(line, "nested too deeply")),
            (Word::End, None) => return Err(Malformed::new(line, "unexpected \";\"")),
            (Word::Open, None) => return Err(Malformed::new(line, "unexpected \"{\"")),
            (Word::Close, Some(directive)) => {
                return Err(Malformed::new(directive.line, "directive without \";\" at its end"));
            }
            (Word::Close, None) => {
                let closed = open.pop().ok_or_else(|| Malformed::new(line, "unexpected \"}\""))?;
                open.last_mut().map_or(&mut done, |outer| &mut outer.block).push(closed);
            }
        }
    }
    match (pending, open.pop()) {
        (Some(directive), _) => {
            Err(Malformed::new(directive.line, "directive without \";\" at the end of the file"))
        }
        (None, Some(block)) => Err(Malformed::new(block.line, "block without \"}\" at its end")),
        (None, None) => Ok(done),
    }
}

#[derive(Debug)]
enum Word {
    Text(String),
    End,
    Open,
    Close,
}

struct Words<'text> {
    text: &'text str,
    at: usize,
    line: u32,
}

impl Words<'_> {
    fn next(&mut self) -> Result<Option<(u32, Word)>, Malformed> {
        self.skip_blanks_and_comments();
        let line = self.line;
        let Some(first) = self.take() else { return Ok(None) };
        let word = match first {
            ';' => Word::End,
            '{' => Word::Open,
            '}' => Word::Close,
            '"' | '\'' => Word::Text(self.quoted(first)?),
            other => Word::Text(self.plain(other)),
        };
        Ok(Some((line, word)))
    }

    fn skip_blanks_and_comments(&mut self) {
        loop {
            match self.peek() {
                Some('#') => {
                    let rest = &self.text[self.at..];
                    self.at += rest.find('\n').unwrap_or(rest.len());
                }
                Some(' ' | '\t' | '\r' | '\n') => {
                    self.take();
                }
                _ => return,
            }
        }
    }

    /// A word ends at a blank, `;` or `{`. A `}` in its middle belongs to it, and so does the
    /// brace of `${name}`.
    fn plain(&mut self, first: char) -> String {
        let mut word = String::new();
        let mut previous = first;
        self.push(&mut word, first);
        while let Some(next) = self.peek() {
            match next {
                ' ' | '\t' | '\r' | '\n' | ';' => break,
                '{' if previous != '$' => break,
                _ => {}
            }
            self.take();
            self.push(&mut word, next);
            previous = next;
        }
        word
    }

    fn quoted(&mut self, quote: char) -> Result<String, Malformed> {
        let start = self.line;
        let mut word = String::new();
        while let Some(next) = self.take() {
            if next == quote {
                return match self.peek() {
                    None | Some(' ' | '\t' | '\r' | '\n' | ';' | '{' | ')') => Ok(word),
                    Some(_) => Err(Malformed::new(self.line, "text right after a closing quote")),
                };
            }
            self.push(&mut word, next);
        }
        Err(Malformed::new(start, "quote without an end"))
    }

    /// Adds a character; a backslash takes the next one with it.
    fn push(&mut self, word: &mut String, next: char) {
        if next != '\\' {
            word.push(next);
            return;
        }
        match self.take() {
            Some(escaped @ ('"' | '\'' | '\\')) => word.push(escaped),
            Some('t') => word.push('\t'),
            Some('r') => word.push('\r'),
            Some('n') => word.push('\n'),
            Some(other) => word.extend(['\\', other]),
            None => word.push('\\'),
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        if next == '\n' {
            self.line = self.line.saturating_add(1);
        }
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut directives = parse(text.as_bytes()).unwrap();
        let directive = directives.remove(0);
        let mut words = vec![directive.name];
        words.extend(directive.arguments);
        words
    }

    #[test]
    fn words_are_split_as_nginx_does() {
        let table: [(&str, &[&str]); 8] = [
            ("listen  443\tssl ;", &["listen", "443", "ssl"]),
            ("a \"b ; { # c\" 'd\"e';", &["a", "b ; { # c", "d\"e"]),
            ("a b#c; # d", &["a", "b#c"]),
            ("a ${b}c;", &["a", "${b}c"]),
            (r#"a \"b "c\"d\\" \d+;"#, &["a", "\"b", "c\"d\\", "\\d+"]),
            ("a\r\n  b\r\n;\r\n", &["a", "b"]),
            ("a b}c;", &["a", "b}c"]),
            ("a '';", &["a", ""]),
        ];
        for (text, expected) in table {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn blocks_nest_and_lines_are_kept() {
        let directives = parse(b"a;\nb c {\n  d;\n  e{f g;}\n}\nh;").unwrap();
        let names = |list: &[Directive]| -> Vec<(String, u32)> {
            list.iter().map(|d| (d.name.clone(), d.line)).collect()
        };
        let at = |name: &str, line| (name.to_owned(), line);
        assert_eq!(names(&directives), [at("a", 1), at("b", 2), at("h", 6)]);
        assert_eq!(names(&directives[1].block), [at("d", 3), at("e", 4)]);
        assert_eq!(names(&directives[1].block[1].block), [at("f", 4)]);
    }

    #[test]
    fn what_nginx_refuses_is_refused_without_quoting_it() {
        let table: [(&[u8], u32); 9] = [
            (b"a;\n}", 2),
            (b"a {\n hush 1;\n", 1),
            (b"a {\n hush 1\n}", 2),
            (b"a;\nhush", 2),
            (b"a 'hush;\n", 1),
            (b"a \"hush\"b;", 1),
            (b"a;\n{ hush; }", 2),
            (b"a;;", 1),
            (b"\xef\xbb\xbfhush;", 1),
        ];
        for (bytes, line) in table {
            let refused = parse(bytes).unwrap_err();
            assert_eq!(refused.line, Some(line), "{refused}");
            assert!(!refused.message.contains("hush"), "{refused}");
        }
        assert!(parse("a{".repeat(100_000).as_bytes()).is_err());
        assert!(parse("a \"".repeat(100_001).as_bytes()).is_err());
        assert!(parse("a ".repeat(100_000).as_bytes()).is_err());
        assert!(parse("a{}".repeat(100_000).as_bytes()).is_ok());
    }
}
