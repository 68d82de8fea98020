//! The environment variables that override `config.yml`.
//!
//! The registry derives their names from the fields of its own structures: `REGISTRY_`, then the
//! field names in upper case with `_` between, so that no key with a `_` of its own is within
//! reach. Values are parsed as YAML. Less specific names apply first, which is the order of a
//! sorted map (Distribution, `configuration/parser.go`).
//!
//! Variables change the document before anything is read from it: whatever is read is in effect.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fields::{Field, ROOT, Shape};
use crate::parse::node::{Builder, Mapping, Node};
use crate::parse::overlay::Overlay;
use crate::parse::yaml::{Document, value_of_variable};

/// What the environment of a registry says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// Values by name. Others than those that begin with `REGISTRY_` do not matter.
    pub values: BTreeMap<String, String>,
    /// Whether the registry lets a number in a name stand for the element of a list: GitLab's and
    /// Distribution 3 do, Distribution 2 ignores such names.
    pub reach_into_lists: bool,
}

/// What the environment changed, by the names of the variables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// Variables whose effect is in the settings.
    pub applied: Vec<String>,
    /// Other variables that begin with `REGISTRY_`. The registry may use them or ignore them
    /// with a warning: Kubernetes adds such names for a service called `registry`.
    pub not_interpreted: Vec<String>,
}

/// Lays the environment over the document, as the registry does when it starts.
pub(super) fn apply(document: &mut Document, variables: &Variables) -> Environment {
    let builder = Builder::yaml();
    let (root, marks) = document.overlay();
    let mut environment = Environment::default();
    for (variable, text) in &variables.values {
        let Some(name) = variable.strip_prefix("REGISTRY_") else { continue };
        let path: Vec<&str> = name.split('_').collect();
        let change = Change { variable, text, value: value_of_variable(&builder, text), variables };
        let applied = change.overwrite(root, marks, ROOT, &path);
        let list =
            if applied { &mut environment.applied } else { &mut environment.not_interpreted };
        list.push(variable.clone());
    }
    environment
}

/// One variable.
struct Change<'a> {
    variable: &'a str,
    text: &'a str,
    value: Node,
    variables: &'a Variables,
}

impl Change<'_> {
    /// Puts the value where the path leads. False if it leads nowhere; nothing is changed then.
    fn overwrite(&self, node: &mut Node, marks: &mut Overlay, shape: Shape, path: &[&str]) -> bool {
        let Some((part, rest)) = path.split_first() else {
            *node = self.value_of(shape);
            marks.replace(self.variable);
            return true;
        };
        match shape {
            Shape::Whole | Shape::Text => false,
            Shape::Fields(fields) => Field::find(fields, part).is_some_and(|field| {
                self.below(node, marks, |mapping, marks| {
                    self.entry(mapping, marks, field.key, field.shape, rest)
                })
            }),
            Shape::Keys(shape) => self.below(node, marks, |mapping, marks| {
                self.entry(mapping, marks, &key_for(mapping, part, rest), *shape, rest)
            }),
            Shape::Choice(shape) => {
                if let Some(name) = node.raw() {
                    let entries = [(name, Node::Mapping(Mapping::default()))].into();
                    *node = Node::Mapping(Mapping { entries, ..Mapping::default() });
                }
                self.overwrite(node, marks, Shape::Keys(shape), path)
            }
            Shape::List(shape) => self.element(node, marks, *shape, part, rest),
            Shape::Any => self.opaque(node, marks),
        }
    }

    /// The value as a field of this type takes it. Secrets of digits are no numbers.
    fn value_of(&self, shape: Shape) -> Node {
        match (shape, &self.value) {
            (Shape::Text, Node::Bool(_) | Node::Integer(_) | Node::Number(_)) => {
                Node::Text(self.text.trim().to_owned())
            }
            (_, value) => value.clone(),
        }
    }

    /// Changes the mapping here, or the one that comes of it where there is nothing yet.
    fn below(
        &self,
        node: &mut Node,
        marks: &mut Overlay,
        change: impl FnOnce(&mut Mapping, &mut Overlay) -> bool,
    ) -> bool {
        match node {
            Node::Mapping(mapping) => change(mapping, marks),
            Node::Null => {
                let (mut mapping, mut new) = (Mapping::default(), Overlay::default());
                new.replace(self.variable);
                let changed = change(&mut mapping, &mut new);
                if changed {
                    (*node, *marks) = (Node::Mapping(mapping), new);
                }
                changed
            }
            // A value of the wrong type, with which the registry does not come as far as this.
            _ => false,
        }
    }

    fn entry(
        &self,
        mapping: &mut Mapping,
        marks: &mut Overlay,
        key: &str,
        shape: Shape,
        rest: &[&str],
    ) -> bool {
        let is_new = !mapping.entries.contains_key(key);
        let node = mapping.entries.entry(key.to_owned()).or_default();
        let changed = self.overwrite(node, marks.enter(key), shape, rest);
        if is_new && !changed {
            mapping.entries.remove(key);
        }
        changed
    }

    /// An element of a list, or the one after the last.
    fn element(
        &self,
        node: &mut Node,
        marks: &mut Overlay,
        shape: Shape,
        part: &str,
        rest: &[&str],
    ) -> bool {
        let Some(number) = part.parse::<usize>().ok().filter(|_| {
            // The registry does not start where a name ends with the number.
            self.variables.reach_into_lists && !rest.is_empty()
        }) else {
            return false;
        };
        let mut list = match node {
            Node::List(list) => std::mem::take(list),
            Node::Null => Vec::new(),
            _ => return false,
        };
        let is_new = number == list.len();
        if is_new {
            list.push(Node::Null);
        }
        let mark = marks.enter(&number.to_string());
        let changed =
            list.get_mut(number).is_some_and(|it| self.overwrite(it, mark, shape, rest));
        if is_new && !changed {
            list.pop();
        }
        if changed || !matches!(node, Node::Null) {
            *node = Node::List(list);
        }
        changed
    }

    /// Variables do not reach so deep (measured with Distribution 2.8.2): what the file says stays
    /// as it is, and where it says nothing, something comes of it that the registry does not take
    /// for the mapping it wants there.
    fn opaque(&self, node: &mut Node, marks: &mut Overlay) -> bool {
        let nothing_yet = *node == Node::Null;
        if nothing_yet {
            *node = Node::Text(String::new());
            marks.replace(self.variable);
        }
        nothing_yet
    }
}

/// The key in a mapping with free keys: one that is there if the name goes on behind it, whatever
/// its case, and else the name in lower case.
fn key_for(mapping: &Mapping, part: &str, rest: &[&str]) -> String {
    let there = mapping.entries.iter().find(|(key, value)| {
        !rest.is_empty() && **value != Node::Null && key.to_uppercase() == part
    });
    there.map_or_else(|| part.to_lowercase(), |(key, _)| key.clone())
}
