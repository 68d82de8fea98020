//! YAML as the real programs read it, with a line for every key.

use serde::de::DeserializeSeed;

use super::line_index::{LineIndex, Place, ROOT};
use super::node::{Builder, MERGED_SCALAR, Mapping, Node, TOO_LARGE};
use super::overlay::Overlay;
use super::setting::{Located, Scalar, Secret, Setting};
use super::text::{line_number, line_of, refuse_deep_brackets, utf8, without_byte_order_mark};
use super::{Malformed, scrub};

/// Whose idea of a boolean applies. Both read YAML 1.1, where the plain words below are booleans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// yaml.v2, which the registry uses: `yes`, `On`, `NO` and also `y` and `N`.
    Go,
    /// Psych, which Rails uses: `yes`, `on`, `no`, `off` in any case.
    Ruby,
}

/// The first document of a file. The real programs do not look at further ones either.
pub(super) struct Document {
    root: Node,
    index: LineIndex,
    dialect: Dialect,
    overlay: Overlay,
}

impl Document {
    /// Tolerates a byte order mark and CRLF, as libyaml and yaml.v2 do.
    pub(super) fn read(bytes: &[u8], dialect: Dialect) -> Result<Self, Malformed> {
        Self::read_with(&Builder::yaml(), bytes, dialect)
    }

    fn read_with(builder: &Builder, bytes: &[u8], dialect: Dialect) -> Result<Self, Malformed> {
        let text = without_byte_order_mark(utf8(bytes)?);
        refuse_deep_brackets(text)?;
        let root = match yaml_serde::Deserializer::from_str(text).next() {
            Some(document) => builder.deserialize(document).map_err(|error| told(&error, text))?,
            None => Node::Null,
        };
        Ok(Self { root, index: LineIndex::new(text), dialect, overlay: Overlay::default() })
    }

    pub(super) fn root(&self) -> Section<'_> {
        Section {
            document: self,
            node: &self.root,
            place: Some(ROOT),
            line: None,
            overlay: Some(&self.overlay),
            variable: None,
        }
    }

    /// The tree and the marks on what does not come from the file, to be changed together.
    pub(super) fn overlay(&mut self) -> (&mut Node, &mut Overlay) {
        (&mut self.root, &mut self.overlay)
    }
}

/// The value of an environment variable, which the registry parses as YAML. One builder for all
/// variables keeps what they cost together within bounds.
pub(super) fn value_of_variable(builder: &Builder, text: &str) -> Result<Node, Malformed> {
    let document = Document::read_with(builder, text.as_bytes(), Dialect::Go)?;
    Ok(document.root().resolved_throughout())
}

/// What the library's message says, unless it might quote the file.
fn told(error: &yaml_serde::Error, text: &str) -> Malformed {
    let message = error.to_string();
    let fixed = PROBLEMS.iter().find(|problem| message.contains(**problem));
    let line = error.location().and_then(|location| line_number(location.line()));
    match fixed {
        // The library gives no line for this one.
        Some(&CONTROL_CHARACTERS) => {
            let at = text.find(is_forbidden).unwrap_or_default();
            let line = line_of(text.as_bytes(), at);
            Malformed::new(line, format!("not valid YAML: {CONTROL_CHARACTERS}"))
        }
        Some(problem) => Malformed::new(line, format!("not valid YAML: {problem}")),
        None => Malformed::new(line, "not valid YAML"),
    }
}

fn is_forbidden(c: char) -> bool {
    c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}')
        || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

const CONTROL_CHARACTERS: &str = "control characters are not allowed";

/// What libyaml complains about when a human has edited the file. No message holds any of it.
const PROBLEMS: [&str; 16] = [
    "could not find expected ':'",
    "did not find expected ',' or ']'",
    "did not find expected ',' or '}'",
    "did not find expected '-' indicator",
    "did not find expected key",
    "did not find expected node content",
    "found a tab character that violates indentation",
    "found character that cannot start any token",
    "found unexpected end of stream",
    "found unknown escape character",
    "mapping values are not allowed in this context",
    "block sequence entries are not allowed in this context",
    CONTROL_CHARACTERS,
    "unknown anchor",
    MERGED_SCALAR,
    TOO_LARGE,
];

/// A value in a document, with its line.
#[derive(Clone, Copy)]
pub(super) struct Section<'doc> {
    document: &'doc Document,
    node: &'doc Node,
    place: Option<Place>,
    line: Option<u32>,
    /// What variables changed from here on downwards.
    overlay: Option<&'doc Overlay>,
    /// The variable that this value comes from.
    variable: Option<&'doc str>,
}

/// More than any name has; keys in a file are no longer than YAML allows.
const LONGEST_NAME: usize = 100;

/// What stands for the value of a key that is not there.
const ABSENT: &Node = &Node::Null;

impl<'doc> Section<'doc> {
    /// The value of a key, null if there is none.
    pub(super) fn get(&self, key: &str) -> Section<'doc> {
        let node = self.node.mapping().and_then(|mapping| mapping.entries.get(key));
        self.step(key, node.unwrap_or(ABSENT))
    }

    fn step(&self, key: &str, node: &'doc Node) -> Section<'doc> {
        let document = self.document;
        let overlay = self.overlay.and_then(|overlay| overlay.below(key));
        let variable = overlay.and_then(Overlay::variable).or(self.variable);
        if variable.is_some() {
            return Section { document, node, place: None, line: None, overlay, variable };
        }
        let place = self.place.and_then(|place| document.index.child(place, key));
        // Where the index cannot follow, the line of what is around the key has to do.
        let line = place.and_then(|place| document.index.line(place)).or(self.line);
        Section { document, node, place, line, overlay, variable }
    }

    /// Keys and values, by key. Nothing if this is not a mapping.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'doc str, Section<'doc>)> {
        let mapping = self.node.mapping();
        let entries = mapping.into_iter().flat_map(|mapping| &mapping.entries);
        entries.map(|(key, node)| (key.as_str(), self.step(key, node)))
    }

    /// The elements of a list. Nothing if this is not a list.
    pub(super) fn elements(&self) -> impl Iterator<Item = Section<'doc>> {
        let list = if let Node::List(list) = self.node { list.as_slice() } else { &[] };
        list.iter().enumerate().map(|(number, node)| self.step(&number.to_string(), node))
    }

    pub(super) fn line(&self) -> Option<u32> {
        self.line
    }

    /// Something with the place of this value.
    pub(super) fn located<T>(&self, value: T) -> Located<T> {
        Located { value, line: self.line, variable: self.variable.map(ToOwned::to_owned) }
    }

    pub(super) fn is_null(&self) -> bool {
        *self.node == Node::Null
    }

    pub(super) fn is_mapping(&self) -> bool {
        self.node.mapping().is_some()
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.node, Node::List(_))
    }

    /// The value, with the words that YAML 1.1 takes for booleans made so.
    fn resolved(&self) -> Node {
        if let (Node::Text(word), None) = (self.node, self.variable)
            && !self.place.is_some_and(|place| self.document.index.quoted(place))
            && let Some(value) = boolean_word(word, self.document.dialect)
        {
            return Node::Bool(value);
        }
        self.node.clone()
    }

    /// The same for all that is in it.
    fn resolved_throughout(&self) -> Node {
        match self.node {
            Node::List(_) => {
                Node::List(self.elements().map(|it| it.resolved_throughout()).collect())
            }
            Node::Mapping(Mapping { duplicates, .. }) => {
                let entries = self.entries();
                let entries = entries.map(|(key, it)| (key.to_owned(), it.resolved_throughout()));
                Node::Mapping(Mapping {
                    entries: entries.collect(),
                    duplicates: duplicates.clone(),
                })
            }
            _ => self.resolved(),
        }
    }

    /// This value as a setting.
    pub(super) fn setting(&self) -> Setting {
        Some(self.located(self.resolved().scalar()?))
    }

    /// The value of a key as a setting.
    pub(super) fn scalar(&self, key: &str) -> Setting {
        self.get(key).setting()
    }

    /// The value of a key as a setting, scrubbed like a URL whatever it looks like.
    pub(super) fn url(&self, key: &str) -> Setting {
        let section = self.get(key);
        let scalar = match section.node {
            Node::Text(text) => Scalar::Text(scrub::url(text)),
            _ => return section.setting(),
        };
        Some(section.located(scalar))
    }

    /// What may be known of a secret. A list or a mapping in its place counts as set.
    pub(super) fn secret(&self, key: &str) -> Option<Located<Secret>> {
        let section = self.get(key);
        let secret = match section.node {
            Node::Null => return None,
            node => {
                node.raw().map_or(Secret { set: true, fingerprint: None }, |raw| Secret::of(&raw))
            }
        };
        Some(section.located(secret))
    }

    /// The names of the keys, with their lines.
    pub(super) fn names(&self) -> Vec<Located<String>> {
        self.entries().map(|(key, value)| value.located(scrub::value(key))).collect()
    }

    /// What is chosen in a section that names one of several kinds: its keys, or the one name
    /// that stands in place of a mapping (`storage: inmemory`).
    pub(super) fn choices(&self) -> Vec<Located<String>> {
        match self.node.raw() {
            Some(name) => {
                let name = scrub::value(&name).chars().take(LONGEST_NAME).collect();
                vec![self.located(name)]
            }
            None => self.names(),
        }
    }

    /// The scalars of a list as text, scrubbed; a lone scalar counts as a list of one.
    pub(super) fn texts(&self) -> Vec<Located<String>> {
        let show =
            |section: Section<'_>| Some(section.located(section.resolved().scalar()?.to_string()));
        if self.is_list() {
            self.elements().filter_map(show).collect()
        } else {
            show(*self).into_iter().collect()
        }
    }
}

fn boolean_word(word: &str, dialect: Dialect) -> Option<bool> {
    match (dialect, word) {
        (Dialect::Go, "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON") => Some(true),
        (Dialect::Go, "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF") => Some(false),
        (Dialect::Go, _) => None,
        (Dialect::Ruby, word) => match word.to_ascii_lowercase().as_str() {
            "yes" | "on" | "true" => Some(true),
            "no" | "off" | "false" => Some(false),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, path: &str) -> Setting {
        let document = Document::read(text.as_bytes(), Dialect::Go).unwrap();
        path.split('/').fold(document.root(), |section, key| section.get(key)).setting()
    }

    #[test]
    fn words_are_booleans_unless_quoted() {
        let text = "a: yes\nb: 'yes'\nc: {d: off, e: \"off\"}\nf: n\ng: true\nh: \"true\"\n";
        let is = |path: &str| shown(text, path).unwrap().value;
        assert_eq!(is("a"), Scalar::Bool(true));
        assert_eq!(is("b"), Scalar::Text("yes".to_owned()));
        assert_eq!(is("c/d"), Scalar::Bool(false));
        assert_eq!(is("c/e"), Scalar::Text("off".to_owned()));
        assert_eq!(is("f"), Scalar::Bool(false));
        assert_eq!(is("g"), Scalar::Bool(true));
        assert_eq!(is("h"), Scalar::Text("true".to_owned()));
        let ruby = Document::read(b"a: y\nb: oN\n", Dialect::Ruby).unwrap();
        assert_eq!(ruby.root().scalar("a").unwrap().value, Scalar::Text("y".to_owned()));
        assert_eq!(ruby.root().scalar("b").unwrap().value, Scalar::Bool(true));
    }

    #[test]
    fn a_merge_yields_to_what_follows_and_replaces_what_precedes() {
        let text = "b: &b {x: 1, y: 1}\nc: &c {y: 2, z: 2}\nafter: {<<: *b, x: 3}\nbefore: {x: 3, <<: *b}\nboth: {<<: [*b, *c]}\n";
        let is = |path: &str| shown(text, path).unwrap().value;
        assert_eq!(is("after/x"), Scalar::Integer(3));
        assert_eq!(is("before/x"), Scalar::Integer(1));
        assert_eq!(is("both/y"), Scalar::Integer(1));
        assert_eq!(is("both/z"), Scalar::Integer(2));
    }

    #[test]
    fn what_the_programs_tolerate_is_tolerated() {
        let text = "\u{feff}a: 1\r\na: 2\r\nb: !custom 0.1\r\n? [x]\r\n: y\r\n---\r\nc: [";
        assert_eq!(shown(text, "a"), Some(Located::at(2, Scalar::Integer(2))));
        assert_eq!(shown(text, "b").unwrap().value, Scalar::Number("0.1".to_owned()));
        assert_eq!(shown("", "a"), None);
        assert_eq!(shown("# nothing\n", "a"), None);
    }

    #[test]
    fn errors_tell_the_line_and_quote_nothing() {
        let table: [(&[u8], Option<u32>, &str); 9] = [
            (b"a: 1\nhush: b: hush\n", Some(2), "mapping values are not allowed"),
            (b"a: 1\n\thush: 2\n", Some(2), "tab character"),
            (b"a: [hush, 2\nb: 3\n", Some(2), "',' or ']'"),
            (b"a: *hush\n", Some(1), "unknown anchor"),
            (b"a: !!int hush\n", Some(1), "not valid YAML"),
            (b"<<: hush\n", Some(1), "only mappings can be merged"),
            (b"a: \"hush\n", Some(2), "unexpected end of stream"),
            (b"a: hush\n\xff", Some(2), "not UTF-8"),
            (b"a: hush\nb: \x01", Some(2), "control characters"),
        ];
        for (bytes, line, message) in table {
            let refused = Document::read(bytes, Dialect::Go).map(|_| ()).unwrap_err();
            assert!(refused.message.contains(message), "{refused}");
            assert!(!refused.message.contains("hush"), "{refused}");
            assert_eq!(refused.line, line, "{refused}");
        }
    }

    #[test]
    fn bombs_are_refused_quickly() {
        let laugh = |n: u32| format!("a{}: &a{} [{}]\n", n + 1, n + 1, format!("*a{n},").repeat(9));
        let laughs = format!("a0: &a0 [x]\n{}", (0..30).map(laugh).collect::<String>());
        let quadratic = format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(20_000), "*a,".repeat(20_000));
        let bombs = [
            laughs,
            quadratic,
            "a: &a [*a]\n".to_owned(),
            "[".repeat(100_000),
            "{a: ".repeat(100_000),
            "- ".repeat(100_000),
            "? ".repeat(100_000),
        ];
        for bomb in bombs {
            assert!(Document::read(bomb.as_bytes(), Dialect::Go).is_err(), "{}", &bomb[..20]);
        }
        for harmless in ["[] ", "\"\" ", "!a ", "a:\n "] {
            assert!(Document::read(harmless.repeat(100_000).as_bytes(), Dialect::Go).is_ok());
        }
        assert!(Document::read("a: []\n".repeat(100_000).as_bytes(), Dialect::Go).is_ok());
    }
}
