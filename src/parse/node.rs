//! A YAML or JSON document as a tree, tolerant of what the real programs tolerate.
//!
//! The libraries' own trees refuse duplicate keys, which GitLab and the registry accept, and
//! copy every alias in full: a file of one megabyte can stand for terabytes. This one counts
//! what it builds.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::scrub;
use super::setting::Scalar;

/// What a document may cost in memory with its aliases copied, in bytes, roughly.
const BUDGET: usize = 16 << 20;

/// The text of the error when aliases multiply beyond the budget.
pub(super) const TOO_LARGE: &str = "too large once its aliases are expanded";

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Node {
    #[default]
    Null,
    Bool(bool),
    Integer(i64),
    Number(String),
    Text(String),
    List(Vec<Node>),
    Mapping(Mapping),
}

/// The entries whose keys are scalars, by the key's text. Of equal keys the last one counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Mapping {
    pub(super) entries: BTreeMap<String, Node>,
    /// Keys that were written more than once.
    pub(super) duplicates: Vec<String>,
}

impl Node {
    /// A scalar to show, scrubbed. Nothing for null.
    pub(super) fn scalar(&self) -> Option<Scalar> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(value) => Scalar::Bool(*value),
            Self::Integer(value) => Scalar::Integer(*value),
            Self::Number(value) => Scalar::Number(value.clone()),
            Self::Text(value) => Scalar::Text(scrub::value(value)),
            Self::List(_) => Scalar::List,
            Self::Mapping(_) => Scalar::Mapping,
        })
    }

    /// The plain text of a scalar, unscrubbed, for deciding and for fingerprints only.
    pub(super) fn raw(&self) -> Option<String> {
        match self {
            Self::Bool(value) => Some(value.to_string()),
            Self::Integer(value) => Some(value.to_string()),
            Self::Number(value) | Self::Text(value) => Some(value.clone()),
            Self::Null | Self::List(_) | Self::Mapping(_) => None,
        }
    }

    pub(super) fn mapping(&self) -> Option<&Mapping> {
        if let Self::Mapping(mapping) = self { Some(mapping) } else { None }
    }
}

/// Builds a [`Node`] within a budget.
pub(super) struct Builder {
    left: Cell<usize>,
    merge_keys: bool,
}

impl Builder {
    /// For YAML, where `<<` merges. As in yaml.v2 (the registry) and Psych (Rails), a merge
    /// replaces what stands before it and yields to what stands after it.
    pub(super) fn yaml() -> Self {
        Self { left: Cell::new(BUDGET), merge_keys: true }
    }

    /// For JSON, where `<<` is a name like any other.
    pub(super) fn json() -> Self {
        Self { left: Cell::new(BUDGET), merge_keys: false }
    }

    fn spend<E: Error>(&self, text: usize) -> Result<(), E> {
        let left = self.left.get().checked_sub(text.saturating_add(size_of::<Node>()));
        self.left.set(left.ok_or_else(|| E::custom(TOO_LARGE))?);
        Ok(())
    }

    fn insert<E: Error>(&self, mapping: &mut Mapping, key: &Node, value: Node) -> Result<(), E> {
        // A key that is itself a list or a mapping names no setting.
        let Some(key) = key.raw() else { return Ok(()) };
        if !(self.merge_keys && key == "<<") {
            if mapping.entries.insert(key.clone(), value).is_some() {
                mapping.duplicates.push(key);
            }
            return Ok(());
        }
        let merged = match value {
            Node::List(list) => list,
            one => vec![one],
        };
        // Backwards, for the first of several merged mappings has precedence.
        for node in merged.into_iter().rev() {
            let Node::Mapping(node) = node else {
                return Err(E::custom(MERGED_SCALAR));
            };
            mapping.entries.extend(node.entries);
        }
        Ok(())
    }
}

/// The text of the error when `<<` is given something else than mappings.
pub(super) const MERGED_SCALAR: &str = "only mappings can be merged";

impl<'de> DeserializeSeed<'de> for &Builder {
    type Value = Node;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Node, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &Builder {
    type Value = Node;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        self.spend(0)?;
        Ok(Node::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Node, E> {
        self.visit_unit()
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        self.spend(0)?;
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        self.spend(0)?;
        Ok(Node::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        self.spend(20)?;
        Ok(i64::try_from(value).map_or_else(|_| Node::Number(value.to_string()), Node::Integer))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Node, E> {
        self.spend(40)?;
        Ok(Node::Number(value.to_string()))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Node, E> {
        self.spend(40)?;
        Ok(Node::Number(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        let text = value.to_string();
        self.spend(text.len())?;
        Ok(Node::Number(text))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        self.spend(value.len())?;
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Node, A::Error> {
        self.spend(0)?;
        let mut list = Vec::new();
        while let Some(element) = from.next_element_seed(self)? {
            list.push(element);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Node, A::Error> {
        self.spend(0)?;
        let mut mapping = Mapping::default();
        while let Some((key, value)) = from.next_entry_seed(self, self)? {
            self.insert(&mut mapping, &key, value)?;
        }
        Ok(Node::Mapping(mapping))
    }

    /// A value with a tag of its own (`!ruby/regexp`): the tag is dropped.
    fn visit_enum<A: EnumAccess<'de>>(self, from: A) -> Result<Node, A::Error> {
        let (_tag, value) = from.variant_seed(self)?;
        value.newtype_variant_seed(self)
    }
}
