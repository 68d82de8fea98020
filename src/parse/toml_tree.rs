//! TOML with a line for everything, and with errors that do not quote the file.
//!
//! Keys match in any case where there is no exact match, as in both Go libraries that read these
//! files (BurntSushi/toml in the runner, go-toml in containerd).

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Malformed;
use super::setting::Located;
use super::text::{refuse_deep_brackets, utf8};

pub(super) struct Toml<'text> {
    root: Spanned<DeTable<'text>>,
    lines: Lines,
}

/// Where the lines begin, by byte.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let after = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self(after.map(|(at, _)| at + 1).collect())
    }

    fn at(&self, offset: usize) -> u32 {
        let before = self.0.partition_point(|start| *start <= offset);
        u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
    }
}

impl<'text> Toml<'text> {
    /// Tolerates a byte order mark and CRLF, as both libraries do.
    pub(super) fn read(bytes: &'text [u8]) -> Result<Self, Malformed> {
        let text = utf8(bytes)?;
        refuse_deep_brackets(text)?;
        let lines = Lines::of(text);
        match DeTable::parse(text) {
            Ok(root) => Ok(Self { root, lines }),
            Err(error) => Err(told(&error, &lines)),
        }
    }

    pub(super) fn root(&self) -> Table<'_> {
        Table { toml: self, content: self.root.get_ref(), line: None }
    }
}

/// What the library's message says, if it is one of those that hold fixed words.
fn told(error: &toml::de::Error, lines: &Lines) -> Malformed {
    let line = error.span().map(|span| lines.at(span.start));
    let fixed = PROBLEMS.iter().find(|problem| error.message().starts_with(**problem));
    match fixed {
        Some(problem) => Malformed::new(line, format!("not valid TOML: {problem}")),
        None => Malformed::new(line, "not valid TOML"),
    }
}

const PROBLEMS: [&str; 12] = [
    "duplicate key",
    "invalid basic string",
    "invalid literal string",
    "invalid multi-line basic string",
    "invalid multi-line literal string",
    "key with no value",
    "missing value for key",
    "string values must be quoted",
    "unclosed array",
    "unclosed inline table",
    "unclosed table",
    "unexpected key or value",
];

/// A table with its line.
#[derive(Clone, Copy)]
pub(super) struct Table<'toml> {
    toml: &'toml Toml<'toml>,
    content: &'toml DeTable<'toml>,
    line: Option<u32>,
}

/// A value with the line of its key.
#[derive(Clone, Copy)]
pub(super) struct Entry<'toml> {
    toml: &'toml Toml<'toml>,
    pub(super) key: &'toml str,
    pub(super) line: u32,
    /// Where the key stands, to sort by.
    pub(super) offset: usize,
    value: &'toml Spanned<DeValue<'toml>>,
}

impl<'toml> Table<'toml> {
    pub(super) fn line(&self) -> Option<u32> {
        self.line
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry<'toml>> {
        let toml = self.toml;
        self.content.iter().map(move |(key, value)| Entry {
            toml,
            key: key.get_ref(),
            line: toml.lines.at(key.span().start),
            offset: key.span().start,
            value,
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<Entry<'toml>> {
        self.entries()
            .find(|entry| entry.key == name)
            .or_else(|| self.entries().find(|entry| entry.key.eq_ignore_ascii_case(name)))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<Located<String>>, Malformed> {
        self.get(name).map(|entry| entry.text(name)).transpose()
    }

    pub(super) fn boolean(&self, name: &str) -> Result<Option<Located<bool>>, Malformed> {
        let Some(entry) = self.get(name) else { return Ok(None) };
        let value =
            entry.value.get_ref().as_bool().ok_or_else(|| entry.unlike(name, "a boolean"))?;
        Ok(Some(Located::at(entry.line, value)))
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<Located<i64>>, Malformed> {
        let Some(entry) = self.get(name) else { return Ok(None) };
        let integer = entry.value.get_ref().as_integer();
        let value =
            integer.and_then(|value| i64::from_str_radix(value.as_str(), value.radix()).ok());
        let value = value.ok_or_else(|| entry.unlike(name, "an integer"))?;
        Ok(Some(Located::at(entry.line, value)))
    }

    /// A list of texts.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<Located<String>>, Malformed> {
        let Some(entry) = self.get(name) else { return Ok(Vec::new()) };
        entry.elements(name, "a list of strings")?.map(|element| element.text(name)).collect()
    }

    /// A text, or a list of texts.
    pub(super) fn text_or_texts(&self, name: &str) -> Result<Vec<Located<String>>, Malformed> {
        match self.get(name) {
            Some(entry) if entry.is_text() => Ok(vec![entry.text(name)?]),
            _ => self.texts(name),
        }
    }

    pub(super) fn table(&self, name: &str) -> Result<Option<Table<'toml>>, Malformed> {
        self.get(name).map(|entry| entry.table(name)).transpose()
    }

    /// An array of tables.
    pub(super) fn tables(&self, name: &str) -> Result<Vec<Table<'toml>>, Malformed> {
        let Some(entry) = self.get(name) else { return Ok(Vec::new()) };
        entry.elements(name, "a list of tables")?.map(|element| element.table(name)).collect()
    }
}

impl<'toml> Entry<'toml> {
    pub(super) fn is_text(&self) -> bool {
        self.value.get_ref().is_str()
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        self.value.get_ref().as_bool()
    }

    /// This value as text. `name` is for the error.
    pub(super) fn text(&self, name: &str) -> Result<Located<String>, Malformed> {
        let text = self.value.get_ref().as_str().ok_or_else(|| self.unlike(name, "a string"))?;
        Ok(Located::at(self.line, text.to_owned()))
    }

    /// This value as a table. `name` is for the error.
    pub(super) fn table(&self, name: &str) -> Result<Table<'toml>, Malformed> {
        let content =
            self.value.get_ref().as_table().ok_or_else(|| self.unlike(name, "a table"))?;
        Ok(Table { toml: self.toml, content, line: Some(self.line) })
    }

    fn elements(
        &self,
        name: &str,
        wanted: &str,
    ) -> Result<impl Iterator<Item = Entry<'toml>>, Malformed> {
        let array = self.value.get_ref().as_array().ok_or_else(|| self.unlike(name, wanted))?;
        let Self { toml, key, .. } = *self;
        Ok(array.iter().map(move |value| {
            let offset = value.span().start;
            Entry { toml, key, line: toml.lines.at(offset), offset, value }
        }))
    }

    fn unlike(&self, name: &str, wanted: &str) -> Malformed {
        let found = self.value.get_ref().type_str();
        Malformed::new(
            self.line,
            format!("{name} has to be {wanted}, and a value of it is {found}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_tell_the_line_and_quote_nothing() {
        let table: [(&[u8], Option<u32>, &str); 8] = [
            (b"a = 1\nhush = \"hush\nb = 2\n", Some(2), "invalid basic string"),
            (b"a = 1\nhush\n", Some(2), "key with no value"),
            (b"hush = 1\nhush = 2\n", Some(2), "duplicate key"),
            (b"a = [1, \n", None, "unclosed array"),
            (b"a = hush\n", Some(1), "string values must be quoted"),
            (b"a = 1\n[a]\nhush = 2\n", Some(2), "duplicate key"),
            (b"a = 1\nb = \"\xff\"", Some(2), "not UTF-8"),
            (b"a.hush.hush = 1\na.hush = 1", Some(2), "duplicate key"),
        ];
        for (bytes, line, message) in table {
            let refused = Toml::read(bytes).map(|_| ()).unwrap_err();
            assert!(refused.message.contains(message), "{refused}");
            assert!(!refused.message.contains("hush"), "{refused}");
            assert!(line.is_none() || refused.line == line, "{refused}");
        }
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let toml =
            Toml::read("\u{feff}a = 1\r\n\r\n[[t]]\r\nb = [\r\n 'x',\r\n 'y']\r\n".as_bytes());
        let toml = toml.unwrap();
        assert_eq!(toml.root().integer("A").unwrap(), Some(Located::at(1, 1)));
        let tables = toml.root().tables("t").unwrap();
        assert_eq!(tables[0].line(), Some(3));
        let texts = tables[0].texts("b").unwrap();
        assert_eq!(texts[1], Located::at(6, "y".to_owned()));
        assert_eq!(tables[0].text("b").unwrap_err().line, Some(4));
    }

    #[test]
    fn depth_and_length_cost_little() {
        for text in ["[", "a = [", "{", "[[", "a.", "a = {a = "] {
            assert!(Toml::read(text.repeat(100_000).as_bytes()).is_err(), "{text}");
        }
        let dotted = format!("{}a = 1", "a.".repeat(60));
        assert!(Toml::read(dotted.as_bytes()).is_ok());
        let many = "[[a]]
[[b]]
[b.c]
"
        .repeat(20_000);
        assert!(Toml::read(many.as_bytes()).is_ok());
    }
}
