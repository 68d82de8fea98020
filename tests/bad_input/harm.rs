//! What can be wrong with a file.

/// One way in which a file is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    Missing,
    Folder,
    Pipe,
    Socket,
    /// A link to itself.
    Circle,
    /// A link that leads nowhere.
    Dangling,
    /// A link to a healthy copy that lies outside the root.
    Outside,
    Empty,
    Garbage,
    Nuls,
    /// A byte that is not UTF-8 in the middle.
    NotText,
    /// Cut off in the middle.
    Half,
    /// 200 MB in one line.
    Huge,
    /// Its owner keeps it to himself.
    Unreadable,
    Brackets,
    Braces,
    Parentheses,
    /// `- - - -`: lists in lists in YAML.
    Dashes,
    /// `a.a.a`: tables in tables in TOML.
    Dots,
    /// `!!!!`: Ruby without an end.
    Negations,
    /// Blocks in blocks in Ruby.
    Blocks,
    /// One long line of words, commas and quotes.
    Words,
    /// A hundred thousand short lines.
    Lines,
}

/// Deeper than any stack would bear that is used once for each level.
const DEPTH: usize = 100_000;

impl Harm {
    /// What may stand in the place of anything.
    pub(crate) const PLACES: [Self; 9] = [
        Self::Missing,
        Self::Folder,
        Self::Pipe,
        Self::Socket,
        Self::Circle,
        Self::Dangling,
        Self::Outside,
        Self::Empty,
        Self::Unreadable,
    ];

    /// What any file may say.
    pub(crate) const CONTENTS: [Self; 5] =
        [Self::Garbage, Self::Nuls, Self::NotText, Self::Half, Self::Huge];

    /// What only makes a difference to a parser.
    pub(crate) const SYNTAX: [Self; 9] = [
        Self::Brackets,
        Self::Braces,
        Self::Parentheses,
        Self::Dashes,
        Self::Dots,
        Self::Negations,
        Self::Blocks,
        Self::Words,
        Self::Lines,
    ];

    /// All of them.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        [&Self::PLACES[..], &Self::CONTENTS, &Self::SYNTAX].into_iter().flatten().copied()
    }

    /// Whether something stands there, but nothing that a check could rest a pass on.
    pub(crate) fn leaves_nothing_to_read(self) -> bool {
        matches!(
            self,
            Self::Folder
                | Self::Pipe
                | Self::Socket
                | Self::Circle
                | Self::Garbage
                | Self::Huge
                | Self::Unreadable
        )
    }

    /// The harmful content; `None` where the harm lies elsewhere.
    pub(crate) fn content(self, healthy: &[u8]) -> Option<Vec<u8>> {
        let repeated = |text: &str| Some(text.repeat(DEPTH).into_bytes());
        match self {
            Self::Empty => Some(Vec::new()),
            Self::Garbage => Some(garbage()),
            Self::Nuls => Some(vec![0; 5000]),
            Self::NotText => {
                let (before, after) = healthy.split_at(healthy.len() / 2);
                Some([before, b"\xff\xfe\xc3", after].concat())
            }
            Self::Half => Some(healthy[..healthy.len() / 2].to_vec()),
            Self::Brackets => repeated("["),
            Self::Braces => repeated("a{"),
            Self::Parentheses => repeated("("),
            Self::Dashes => repeated("- "),
            Self::Dots => {
                let keys = format!("a{}", ".a".repeat(DEPTH));
                Some(format!("{keys} = 1\n[{keys}]\n").into_bytes())
            }
            Self::Negations => repeated("!"),
            Self::Blocks => repeated("if x do\n"),
            Self::Words => repeated("a \"b' ,c: &d *d "),
            Self::Lines => repeated("server a b c\n"),
            _ => None,
        }
    }
}

/// The same bytes each time, of every value.
fn garbage() -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(20_000).collect()
}
