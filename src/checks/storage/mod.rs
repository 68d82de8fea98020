//! The registry's storage: is what lies there what the registry expects?

use super::Group;

mod empty_tags;
mod object_store;

/// Checks of the registry's storage.
pub(super) static GROUP: Group = Group {
    name: "storage",
    about: "what lies in the registry's storage",
    checks: &[&empty_tags::CHECK],
};
