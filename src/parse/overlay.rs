//! What in a document does not come from its file.

use std::collections::BTreeMap;

/// Which values variables of the environment have replaced, as a tree beside the document's.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    variable: Option<String>,
    below: BTreeMap<String, Overlay>,
}

impl Overlay {
    /// The variable that the value here comes from, unless it is one further up.
    pub(super) fn variable(&self) -> Option<&str> {
        self.variable.as_deref()
    }

    /// What is known of the value of a key, or of an element by its number.
    pub(super) fn below(&self, key: &str) -> Option<&Self> {
        self.below.get(key)
    }

    /// The same, to be changed.
    pub(super) fn enter(&mut self, key: &str) -> &mut Self {
        self.below.entry(key.to_owned()).or_default()
    }

    /// Notes that a variable replaced the value here with all that is in it.
    pub(super) fn replace(&mut self, variable: &str) {
        *self = Self { variable: Some(variable.to_owned()), below: BTreeMap::new() };
    }
}
