//! The shape that every question has.

use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Machine, Unknown};

/// One typed look at a machine.
pub trait Question: Serialize + Send + Sync {
    /// The evidence. Integers instead of floats and sorted maps, so that equal evidence is equal
    /// bytes.
    type Answer: Serialize + DeserializeOwned + Send;

    /// The name in recordings; never reused for something else.
    const KIND: &'static str;

    /// What readers of a report see that was looked at, such as `file /etc/gitlab/gitlab.rb`.
    fn label(&self) -> String;

    /// Looks. The caller holds it to the deadline and contains its panics.
    fn look(&self, machine: &Machine)
    -> impl Future<Output = Result<Self::Answer, Unknown>> + Send;
}

/// The question as recordings spell it.
pub fn erase<Q: Question>(question: &Q) -> Result<Value, Unknown> {
    serde_json::to_value(question)
        .map_err(|error| Unknown::Crashed(format!("the question cannot be recorded: {error}")))
}
