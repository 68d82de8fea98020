//! Places that can be written to, and objects that two of them share.

use super::raw::{Raw, plain_key};
use crate::parse::value::Why;

/// Keys of a path that are followed.
const LONGEST_PATH: usize = 16;

/// Something that has a value and can be given another.
#[derive(Clone, PartialEq)]
pub(super) enum Place {
    /// A setting, or a part of one.
    Setting(Vec<String>),
    /// A variable, or a part of one.
    Variable(String, Vec<String>),
}

/// Two places that may share one object, so that a change in one shows in the other.
pub(super) struct Link(pub(super) Place, pub(super) Place);

/// Where an expression like `registry['storage']['s3']` leads.
pub(super) struct Target {
    /// The place, up to the first key that is not known.
    pub(super) place: Place,
    /// Why the keys are not known to the end.
    pub(super) unclear: Option<Why>,
}

impl Place {
    fn path(&self) -> &[String] {
        match self {
            Self::Setting(path) | Self::Variable(_, path) => path,
        }
    }

    /// How many keys further than `other` this place is. `None` where it is not within it.
    pub(super) fn below(&self, other: &Self) -> Option<usize> {
        let is_same_tree = match (self, other) {
            (Self::Setting(_), Self::Setting(_)) => true,
            (Self::Variable(name, _), Self::Variable(other, _)) => name == other,
            _ => false,
        };
        (is_same_tree && self.path().starts_with(other.path()))
            .then(|| self.path().len() - other.path().len())
    }
}

impl Target {
    /// One key further.
    pub(super) fn key(self, key: Raw) -> Self {
        match key.into_key() {
            Ok(key) => self.named(key),
            Err(why) => Self { unclear: self.unclear.or(Some(why)), ..self },
        }
    }

    /// One key further, which is known.
    pub(super) fn named(mut self, key: String) -> Self {
        if self.unclear.is_some() {
            return self;
        }
        match &mut self.place {
            Place::Setting(path) | Place::Variable(_, path) if path.len() >= LONGEST_PATH => {
                self.unclear = Some(Why::Limit);
            }
            Place::Setting(path) => path.push(plain_key(&key).to_owned()),
            Place::Variable(_, path) => path.push(key),
        }
        self
    }
}
