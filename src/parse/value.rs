//! A value as a configuration file spells it, in a form that is safe to record.
//!
//! JSON shows what can be shown as itself: `"text"`, `5000`, `true`, `null`, lists and objects. What
//! JSON has no word for is an object with the one key `$`, as in `{"$": "set"}`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

/// A value that may be shown. Text that might be a secret is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Spelling")]
pub enum Value {
    /// `nil`, which GitLab takes as "not set".
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number, as the file spells it, without underscores.
    Float(String),
    /// Text, or a symbol: the two are equal to GitLab.
    String(String),
    /// A list.
    Array(Vec<Value>),
    /// Keys and values. Ruby's order is lost; nothing in GitLab's configuration depends on it.
    Hash(BTreeMap<String, Value>),
    /// Something is set here that is not shown, because it might be a secret.
    Set,
    /// An empty text stands where a text would not be shown.
    Empty,
    /// An element that reading the file cannot tell.
    Unknown(Why),
}

/// Why a value is not statically known. It is never guessed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It depends on a condition, or on an error being raised or not.
    Condition,
    /// A loop or a block decides.
    Loop,
    /// It stands in an environment variable.
    Environment,
    /// It stands in another file, which the program would read.
    File,
    /// A command would have to be run.
    Command,
    /// It is an attribute of the Chef node.
    Node,
    /// It is computed in a way that is not followed.
    Expression,
    /// It is changed in place in a way that is not followed.
    Mutation,
    /// Text is evaluated as a program.
    Eval,
    /// A method or a block that is called later may change it.
    Deferred,
    /// An included file was not read.
    Include,
    /// The syntax is broken here.
    Syntax,
    /// It is too deep, too long or too laborious to follow.
    Limit,
}

impl Why {
    /// The reason in words, to follow "not statically known: ".
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Condition => "set under a condition",
            Self::Loop => "set in a loop or block",
            Self::Environment => "taken from the environment",
            Self::File => "read from another file",
            Self::Command => "printed by a command",
            Self::Node => "an attribute of the Chef node",
            Self::Expression => "computed",
            Self::Mutation => "changed in place",
            Self::Eval => "evaluated as a program",
            Self::Deferred => "changed by a method or block",
            Self::Include => "set in an included file that was not read",
            Self::Syntax => "inside broken syntax",
            Self::Limit => "too deep or too long",
        }
    }
}

impl Value {
    /// The text, where this is a text that may be shown.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, where this is `true` or `false` itself.
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The whole number, also where it is written as text: GitLab takes `'5000'` for a port.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(*value),
            Self::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The elements of a list.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The entries of a hash.
    pub const fn as_hash(&self) -> Option<&BTreeMap<String, Value>> {
        match self {
            Self::Hash(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value under `key`, where this is a hash that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_hash()?.get(key)
    }

    /// Whether Ruby takes it for true. `None` where that is not known.
    pub const fn is_truthy(&self) -> Option<bool> {
        match self {
            Self::Nil | Self::Bool(false) => Some(false),
            Self::Unknown(_) => None,
            _ => Some(true),
        }
    }
}

/// What JSON has no word for.
#[derive(Serialize, Deserialize)]
#[serde(tag = "$", rename_all = "snake_case", deny_unknown_fields)]
enum Mark {
    Set,
    Empty,
    Float { text: String },
    Unknown { why: Why },
}

/// The JSON form. No key of a hash is a lone `$`, so the marks cannot be confused with hashes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Spelling {
    Nil,
    Bool(bool),
    Integer(i64),
    String(String),
    Array(Vec<Value>),
    Mark(Mark),
    Hash(BTreeMap<String, Value>),
}

impl From<Spelling> for Value {
    fn from(spelling: Spelling) -> Self {
        match spelling {
            Spelling::Nil => Self::Nil,
            Spelling::Bool(value) => Self::Bool(value),
            Spelling::Integer(value) => Self::Integer(value),
            Spelling::String(text) => Self::String(text),
            Spelling::Array(elements) => Self::Array(elements),
            Spelling::Hash(entries) => Self::Hash(entries),
            Spelling::Mark(Mark::Set) => Self::Set,
            Spelling::Mark(Mark::Empty) => Self::Empty,
            Spelling::Mark(Mark::Float { text }) => Self::Float(text),
            Spelling::Mark(Mark::Unknown { why }) => Self::Unknown(why),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nil => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(elements) => elements.serialize(serializer),
            Self::Hash(entries) => entries.serialize(serializer),
            Self::Set => Mark::Set.serialize(serializer),
            Self::Empty => Mark::Empty.serialize(serializer),
            Self::Float(text) => Mark::Float { text: text.clone() }.serialize(serializer),
            Self::Unknown(why) => Mark::Unknown { why: *why }.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_survives_json() {
        let value = Value::Hash(BTreeMap::from([
            ("nil".to_owned(), Value::Nil),
            ("bool".to_owned(), Value::Bool(true)),
            ("integer".to_owned(), Value::Integer(-5)),
            ("float".to_owned(), Value::Float("1.50".to_owned())),
            ("string".to_owned(), Value::String("x".to_owned())),
            ("array".to_owned(), Value::Array(vec![Value::Set, Value::Empty])),
            ("unknown".to_owned(), Value::Unknown(Why::Environment)),
            ("hash".to_owned(), Value::Hash(BTreeMap::new())),
        ]));
        let json = serde_json::to_string(&value).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"array":[{"$":"set"},{"$":"empty"}],"bool":true,"#,
                r#""float":{"$":"float","text":"1.50"},"hash":{},"integer":-5,"nil":null,"#,
                r#""string":"x","unknown":{"$":"unknown","why":"environment"}}"#
            )
        );
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
    }

    #[test]
    fn a_port_may_be_written_as_text() {
        assert_eq!(Value::String("5000".to_owned()).as_integer(), Some(5000));
        assert_eq!(Value::String("x".to_owned()).as_integer(), None);
    }
}
