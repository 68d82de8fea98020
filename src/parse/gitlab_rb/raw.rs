//! A value as Ruby would have it, secrets included.
//!
//! It can be neither printed nor serialized: the only way out of this module's parent is through
//! `redact`.

use std::collections::BTreeMap;

use super::merge::Nested;
use crate::parse::value::Why;

/// Texts longer than this are not built: `'x' * 1_000_000_000` is one short line.
const LONGEST_TEXT: usize = 1 << 20;

#[derive(Clone, PartialEq)]
pub(super) enum Raw {
    Nil,
    Bool(bool),
    Integer(i64),
    Float(String),
    Text(String),
    /// Equal to a text as a key of a setting, but not to Ruby.
    Symbol(String),
    Array(Vec<Raw>),
    Hash(BTreeMap<String, Raw>),
    Unknown(Why),
}

impl Raw {
    pub(super) fn text(bytes: &[u8]) -> Self {
        Self::Text(String::from_utf8_lossy(bytes).into_owned())
    }

    /// Whether Ruby takes it for true. `None` where that is not known.
    pub(super) fn truthy(&self) -> Option<bool> {
        match self {
            Self::Nil | Self::Bool(false) => Some(false),
            Self::Unknown(_) => None,
            _ => Some(true),
        }
    }

    /// The key that this is as a subscript.
    pub(super) fn into_key(self) -> Result<String, Why> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Symbol(name) => Ok(format!("{SYMBOL}{name}")),
            Self::Integer(number) => Ok(number.to_string()),
            Self::Unknown(why) => Err(why),
            _ => Err(Why::Expression),
        }
    }

    /// What interpolation would insert. A float's own text may differ from what Ruby prints.
    pub(super) fn interpolated(self) -> Result<String, Why> {
        match self {
            Self::Text(text) | Self::Symbol(text) => Ok(text),
            Self::Integer(number) => Ok(number.to_string()),
            Self::Bool(value) => Ok(value.to_string()),
            Self::Nil => Ok(String::new()),
            Self::Unknown(why) => Err(why),
            Self::Float(_) | Self::Array(_) | Self::Hash(_) => Err(Why::Expression),
        }
    }

    /// The same with the keys that a setting has: `ConfigMash` knows no symbols.
    pub(super) fn with_plain_keys(self) -> Self {
        match self {
            Self::Array(elements) => {
                Self::Array(elements.into_iter().map(Self::with_plain_keys).collect())
            }
            Self::Hash(entries) => {
                let plain = |(key, value): (String, Self)| {
                    (plain_key(&key).to_owned(), value.with_plain_keys())
                };
                Self::Hash(entries.into_iter().map(plain).collect())
            }
            other => other,
        }
    }

    /// Whether it can be changed in place, so that two names for it matter.
    pub(super) fn is_mutable(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Array(_) | Self::Hash(_) | Self::Unknown(_))
    }

    /// Whether two of this kind are equal exactly if they are written alike.
    fn is_plain(&self) -> bool {
        !self.is_container() && !matches!(self, Self::Float(_) | Self::Unknown(_))
    }

    pub(super) fn is_container(&self) -> bool {
        matches!(self, Self::Array(_) | Self::Hash(_))
    }

    /// How much it would cost to copy it, in nodes and bytes, but at most `limit`.
    pub(super) fn size(&self, limit: usize) -> usize {
        let mut size = 8;
        match self {
            Self::Text(text) | Self::Symbol(text) | Self::Float(text) => size += text.len(),
            Self::Array(elements) => {
                for element in elements {
                    if size >= limit {
                        break;
                    }
                    size += element.size(limit - size);
                }
            }
            Self::Hash(entries) => {
                for (key, value) in entries {
                    if size >= limit {
                        break;
                    }
                    size += key.len() + value.size(limit.saturating_sub(size));
                }
            }
            _ => {}
        }
        size.min(limit)
    }

    /// The levels of lists and hashes, but at most `limit` + 1.
    pub(super) fn depth(&self, limit: usize) -> usize {
        let deepest = |children: &mut dyn Iterator<Item = &Raw>| {
            if limit == 0 {
                return 1;
            }
            1 + children.map(|child| child.depth(limit - 1)).max().unwrap_or(0)
        };
        match self {
            Self::Array(elements) => deepest(&mut elements.iter()),
            Self::Hash(entries) => deepest(&mut entries.values()),
            _ => 0,
        }
    }
}

/// Marks a key that is a symbol, so that `h[:a]` and `h['a']` differ as they do in Ruby.
const SYMBOL: char = '\0';

/// The key without regard to its being a symbol.
pub(super) fn plain_key(key: &str) -> &str {
    key.strip_prefix(SYMBOL).unwrap_or(key)
}

/// Adds an entry to a hash. Whether `:a` and `'a'` are one key or two depends on where the hash
/// comes from and goes to, so neither is known any more.
pub(super) fn put(entries: &mut BTreeMap<String, Raw>, key: String, value: Raw) {
    let value = match entries.get_mut(&Raw::twin(&key)) {
        Some(twin) => {
            *twin = Raw::Unknown(Why::Expression);
            Raw::Unknown(Why::Expression)
        }
        None => value,
    };
    entries.insert(key, value);
}

impl Nested for Raw {
    fn twin(key: &str) -> String {
        key.strip_prefix(SYMBOL).map_or_else(|| format!("{SYMBOL}{key}"), str::to_owned)
    }

    fn hash() -> Self {
        Self::Hash(BTreeMap::new())
    }

    fn unknown(why: Why) -> Self {
        Self::Unknown(why)
    }

    fn why(&self) -> Option<Why> {
        match self {
            Self::Unknown(why) => Some(*why),
            _ => None,
        }
    }

    fn entries(&self) -> Option<&BTreeMap<String, Self>> {
        match self {
            Self::Hash(entries) => Some(entries),
            _ => None,
        }
    }

    fn entries_mut(&mut self) -> Option<&mut BTreeMap<String, Self>> {
        match self {
            Self::Hash(entries) => Some(entries),
            _ => None,
        }
    }
}

/// What a binary operator yields, for the few combinations that configuration files use.
pub(super) fn operate(left: Raw, operator: &[u8], right: Raw) -> Raw {
    match (left, operator, right) {
        (Raw::Unknown(why), _, _) | (_, _, Raw::Unknown(why)) => Raw::Unknown(why),
        // Lists and hashes may hold what is unknown; numbers have more than one spelling.
        (left, b"==", right) if left.is_plain() && right.is_plain() => Raw::Bool(left == right),
        (left, b"!=", right) if left.is_plain() && right.is_plain() => Raw::Bool(left != right),
        (Raw::Integer(left), _, Raw::Integer(right)) => {
            calculate(left, operator, right).map_or(Raw::Unknown(Why::Expression), Raw::Integer)
        }
        (Raw::Text(mut left), b"+" | b"<<", Raw::Text(right))
            if left.len() + right.len() <= LONGEST_TEXT =>
        {
            left.push_str(&right);
            Raw::Text(left)
        }
        (Raw::Text(text), b"*", Raw::Integer(times)) => match usize::try_from(times) {
            Ok(times) if text.len().saturating_mul(times) <= LONGEST_TEXT => {
                Raw::Text(text.repeat(times))
            }
            _ => Raw::Unknown(Why::Limit),
        },
        (Raw::Array(mut left), b"+", Raw::Array(right)) => {
            left.extend(right);
            Raw::Array(left)
        }
        (Raw::Array(mut left), b"<<", right) => {
            left.push(right);
            Raw::Array(left)
        }
        (Raw::Array(elements), b"*", Raw::Integer(times)) => repeat(&elements, times),
        (Raw::Array(elements), b"*", Raw::Text(separator)) => join(elements, &separator),
        _ => Raw::Unknown(Why::Expression),
    }
}

fn calculate(left: i64, operator: &[u8], right: i64) -> Option<i64> {
    match operator {
        b"+" => left.checked_add(right),
        b"-" => left.checked_sub(right),
        b"*" => left.checked_mul(right),
        b"**" => left.checked_pow(u32::try_from(right).ok()?),
        b"<<" => {
            left.checked_mul(1_i64.checked_shl(u32::try_from(right).ok().filter(|n| *n < 63)?)?)
        }
        // Ruby rounds towards minus infinity; only where that is no question is it followed.
        b"/" if left >= 0 && right > 0 => left.checked_div(right),
        b"%" if left >= 0 && right > 0 => left.checked_rem(right),
        _ => None,
    }
}

fn repeat(elements: &[Raw], times: i64) -> Raw {
    let size: usize = elements.iter().map(|element| element.size(LONGEST_TEXT)).sum();
    match usize::try_from(times) {
        Ok(times) if size.saturating_mul(times) <= LONGEST_TEXT => {
            Raw::Array(elements.iter().cycle().take(elements.len() * times).cloned().collect())
        }
        _ => Raw::Unknown(Why::Limit),
    }
}

/// The elements as one text. Only flat lists are joined.
pub(super) fn join(elements: Vec<Raw>, separator: &str) -> Raw {
    let pieces: Result<Vec<String>, Why> = elements.into_iter().map(Raw::interpolated).collect();
    match pieces {
        Ok(pieces) => {
            let length: usize = pieces.iter().map(|piece| piece.len() + separator.len()).sum();
            if length > LONGEST_TEXT {
                return Raw::Unknown(Why::Limit);
            }
            Raw::Text(pieces.join(separator))
        }
        Err(why) => Raw::Unknown(why),
    }
}
