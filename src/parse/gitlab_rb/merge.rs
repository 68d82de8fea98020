//! What a list of writes amounts to: the last one wins, keys of hashes add up.
//!
//! The evaluator and the readers of its result share this, so a file that reads back its own
//! settings sees what `Settings::get` tells.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::parse::value::{Value, Why};

/// What both the raw and the shown values can do.
pub(super) trait Nested: Clone {
    fn hash() -> Self;
    fn unknown(why: Why) -> Self;
    fn why(&self) -> Option<Why>;
    fn entries(&self) -> Option<&BTreeMap<String, Self>>;
    fn entries_mut(&mut self) -> Option<&mut BTreeMap<String, Self>>;
    /// The other key that may be meant by `key`.
    fn twin(key: &str) -> String;
}

impl Nested for Value {
    fn twin(key: &str) -> String {
        key.to_owned()
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
        self.as_hash()
    }

    fn entries_mut(&mut self) -> Option<&mut BTreeMap<String, Self>> {
        match self {
            Self::Hash(entries) => Some(entries),
            _ => None,
        }
    }
}

/// What stands at one path after all writes.
pub(super) struct Merged<'a, V: Clone, S> {
    /// `None` where nothing stands.
    pub(super) value: Option<Cow<'a, V>>,
    /// The write that decided last.
    pub(super) by: Option<&'a S>,
    /// The writes that it overruled, oldest first.
    pub(super) earlier: Vec<&'a S>,
}

/// Replays `writes` and tells what stands at `wanted`.
pub(super) fn merge<'a, V: Nested + 'a, S, K: AsRef<str>>(
    writes: impl Iterator<Item = (&'a [String], &'a V, &'a S)>,
    wanted: &[K],
) -> Merged<'a, V, S> {
    let mut merged = Merged { value: None, by: None, earlier: Vec::new() };
    for (path, value, source) in writes {
        if path.iter().zip(wanted).any(|(key, wanted)| key != wanted.as_ref()) {
            continue;
        }
        if let Some(rest) = wanted.get(path.len()..) {
            merged.earlier.extend(merged.by.take());
            merged.value = descend(value, rest).map(Cow::Borrowed);
            merged.by = merged.value.as_ref().map(|_| source);
        } else if merged.value.as_ref().is_none_or(|value| value.why().is_none()) {
            // A section of settings exists in any case, what is in it only if it was written.
            if merged.value.is_none() && wanted.len() > 1 && may_not_happen(value) {
                merged.value = Some(Cow::Borrowed(value));
            } else {
                let target = merged.value.get_or_insert_with(|| Cow::Owned(V::hash()));
                insert(target.to_mut(), &path[wanted.len()..], value.clone());
            }
            merged.by = Some(source);
        }
    }
    merged
}

/// The value at `path` below `value`. Below what is unknown all is unknown for the same reason.
pub(super) fn descend<'a, V: Nested, K: AsRef<str>>(value: &'a V, path: &[K]) -> Option<&'a V> {
    let mut value = value;
    for key in path {
        if value.why().is_some() {
            break;
        }
        value = value.entries()?.get(key.as_ref())?;
    }
    Some(value)
}

/// Whether a write of `value` may not take place, so that not even the hashes on its way are sure.
fn may_not_happen<V: Nested>(value: &V) -> bool {
    matches!(value.why(), Some(Why::Condition | Why::Loop | Why::Deferred))
}

/// Puts `value` at `path` below `target`, making hashes on the way. What has no keys of its own
/// becomes unknown: Ruby would change a text, or fail.
pub(super) fn insert<V: Nested>(target: &mut V, path: &[String], value: V) {
    let mut target = target;
    for key in path {
        if target.why().is_some() {
            return;
        }
        if target.entries().is_none() {
            *target = V::unknown(Why::Mutation);
            return;
        }
        let Some(entries) = target.entries_mut() else { return };
        let twin = V::twin(key);
        if twin != *key && entries.contains_key(&twin) {
            entries.insert(twin, V::unknown(Why::Expression));
            entries.insert(key.clone(), V::unknown(Why::Expression));
            return;
        }
        if may_not_happen(&value) && !entries.contains_key(key) {
            entries.insert(key.clone(), value);
            return;
        }
        target = entries.entry(key.clone()).or_insert_with(V::hash);
    }
    *target = value;
}
