//! Assignments in all their forms.

use std::collections::BTreeMap;

use ruby_prism::{ArgumentsNode, CallNode, MultiWriteNode, Node};

use super::evaluator::Evaluator;
use super::names;
use super::place::{Place, Target};
use super::raw::{Raw, operate};
use super::writes::{is_root, variable_target};
use crate::parse::value::Why;

enum Operator {
    Or,
    And,
    Binary(Vec<u8>),
}

/// `place operator= value`, taken apart.
struct OperatorWrite<'pr> {
    /// The name of a variable, or the hash and the key.
    place: Result<Vec<u8>, (Option<Node<'pr>>, Option<ArgumentsNode<'pr>>)>,
    operator: Operator,
    value: Node<'pr>,
}

impl Evaluator<'_> {
    pub(super) fn assignment(&mut self, node: &Node<'_>) -> Option<Raw> {
        if let Some(write) = node.as_multi_write_node() {
            return Some(self.multi_write(&write));
        }
        self.plain_write(node).or_else(|| self.operator_write(node))
    }

    fn plain_write(&mut self, node: &Node<'_>) -> Option<Raw> {
        let (name, value, is_local) = if let Some(write) = node.as_local_variable_write_node() {
            (write.name(), write.value(), true)
        } else if let Some(write) = node.as_constant_write_node() {
            (write.name(), write.value(), false)
        } else if let Some(write) = node.as_global_variable_write_node() {
            (write.name(), write.value(), false)
        } else {
            let write = node.as_instance_variable_write_node()?;
            (write.name(), write.value(), false)
        };
        let target = variable_target(name.as_slice());
        if is_local {
            self.note_local(&String::from_utf8_lossy(name.as_slice()), node.location().start());
        }
        let value = self.eval(&value);
        Some(self.assign(target, value, node))
    }

    /// Stores `value` and yields it, as an assignment does.
    pub(super) fn assign(&mut self, target: Target, value: Raw, whole: &Node<'_>) -> Raw {
        let copy = if self.afford(&value) { value.clone() } else { Raw::Unknown(Why::Limit) };
        let place = target.place.clone();
        self.store(target, value, &whole.location());
        // Whoever is given the value of the assignment shares it.
        self.reads.push(place);
        copy
    }

    /// `a, b = 1, 2`.
    fn multi_write(&mut self, write: &MultiWriteNode<'_>) -> Raw {
        let value = self.eval(&write.value());
        let targets = write.lefts();
        let fits = write.rest().is_none() && write.rights().is_empty();
        let mut values = match value {
            Raw::Array(values) if fits && values.len() >= targets.len() => values.into_iter(),
            _ => Vec::new().into_iter(),
        };
        for target in &targets {
            let value = values.next().unwrap_or(Raw::Unknown(Why::Expression));
            self.write_target(&target, value);
        }
        for target in write.rest().into_iter().chain(&write.rights()) {
            self.write_target(&target, Raw::Unknown(Why::Expression));
        }
        Raw::Unknown(Why::Expression)
    }

    /// One of several targets on the left.
    fn write_target(&mut self, node: &Node<'_>, value: Raw) {
        let target = if let Some(index) = node.as_index_target_node() {
            self.element(Some(&index.receiver()), index.arguments())
        } else if let Some(splat) = node.as_splat_node() {
            if let Some(inner) = splat.expression() {
                self.write_target(&inner, Raw::Unknown(Why::Expression));
            }
            return;
        } else if let Some(several) = node.as_multi_target_node() {
            let all = several.lefts().iter().chain(several.rest()).chain(&several.rights());
            for target in all {
                self.write_target(&target, Raw::Unknown(Why::Expression));
            }
            return;
        } else if let Some(call) = node.as_call_target_node() {
            self.attribute(&call.receiver(), call.name().as_slice())
        } else {
            target_name(node).map(|name| {
                self.note_local(&String::from_utf8_lossy(name), node.location().start());
                variable_target(name)
            })
        };
        match target {
            Some(target) => self.store(target, value, &node.location()),
            None => self.disturb(&node.location()),
        }
    }

    /// The place `receiver[key]`, evaluating both. `None` where it is not followed.
    fn element(
        &mut self,
        receiver: Option<&Node<'_>>,
        key: Option<ArgumentsNode<'_>>,
    ) -> Option<Target> {
        let receiver = receiver?;
        let target = self.target(receiver);
        if target.is_none() && !self.note_unknown_section(receiver) {
            self.eval(receiver);
        }
        let mut keys = Vec::new();
        for key in &key?.arguments() {
            keys.push(self.eval(&key));
        }
        let only = if keys.len() == 1 { keys.pop() } else { None };
        Some(target?.key(only?))
    }

    /// The place `receiver.name`, as in `self.external_url = '…'`. An attribute of anything else is
    /// not followed: the whole object counts as changed.
    fn attribute(&mut self, receiver: &Node<'_>, name: &[u8]) -> Option<Target> {
        let name = String::from_utf8_lossy(name.strip_suffix(b"=").unwrap_or(name)).into_owned();
        if is_root(receiver) && names::is_setting(&name) {
            return Some(Target { place: Place::Setting(vec![name]), unclear: None });
        }
        let target = self.target(receiver);
        if target.is_none() {
            self.eval(receiver);
        }
        Some(Target { unclear: Some(Why::Mutation), ..target? })
    }

    /// `registry['enable'] = true`, which to Ruby is a call.
    pub(super) fn attribute_write(&mut self, call: &CallNode<'_>) -> Raw {
        let Some(receiver) = call.receiver() else { return Raw::Unknown(Why::Syntax) };
        let arguments = call.arguments().map(|arguments| arguments.arguments());
        let mut arguments: Vec<Node<'_>> = arguments.iter().flatten().collect();
        let value = arguments.pop();
        let target = if call.name().as_slice() == b"[]=" {
            let mut target = self.target(&receiver);
            if target.is_none() && !self.note_unknown_section(&receiver) {
                self.eval(&receiver);
            }
            if arguments.is_empty() {
                target = target.map(|target| Target { unclear: Some(Why::Mutation), ..target });
            }
            for key in &arguments {
                let key = self.eval(key);
                target = target.map(|target| target.key(key));
            }
            target
        } else {
            self.attribute(&receiver, call.name().as_slice())
        };
        let value = value.map_or(Raw::Unknown(Why::Syntax), |value| self.eval(&value));
        if let Some(target) = target {
            return self.assign(target, value, &call.as_node());
        }
        self.disturb(&call.location());
        value
    }

    /// `registry['env'] ||= {}`, `x += 1` and their like.
    fn operator_write(&mut self, node: &Node<'_>) -> Option<Raw> {
        let write = operator_write(node)?;
        let target = match write.place {
            Ok(name) => {
                self.note_local(&String::from_utf8_lossy(&name), node.location().start());
                Some(variable_target(&name))
            }
            Err((receiver, key)) => self.element(receiver.as_ref(), key),
        };
        let Some(target) = target else {
            self.in_doubt(Why::Condition, |this| drop(this.eval(&write.value)));
            self.disturb(&node.location());
            return Some(Raw::Unknown(Why::Mutation));
        };
        let stands = match self.load(&target) {
            Some(value) => value,
            // A setting that is read before it is set springs into being as an empty hash.
            None if matches!(target.place, Place::Setting(_)) => Raw::Hash(BTreeMap::new()),
            None => Raw::Unknown(Why::Expression),
        };
        let is_replaced = match write.operator {
            Operator::Or => stands.truthy().map(|truthy| !truthy),
            Operator::And => stands.truthy(),
            Operator::Binary(operator) => {
                let value = self.eval(&write.value);
                return Some(self.assign(target, operate(stands, &operator, value), node));
            }
        };
        let value = match (is_replaced, stands) {
            (Some(true), _) => self.eval(&write.value),
            (Some(false), stands) => stands,
            (None, stands) => {
                self.in_doubt(Why::Condition, |this| drop(this.eval(&write.value)));
                stands
            }
        };
        Some(self.assign(target, value, node))
    }
}

fn operator_write<'pr>(node: &Node<'pr>) -> Option<OperatorWrite<'pr>> {
    variable_operator_write(node).or_else(|| index_operator_write(node))
}

/// The operator writes of one kind of variable.
macro_rules! variable_writes {
    ($node:ident: $($or:ident, $and:ident, $binary:ident;)+) => {$(
        if let Some(write) = $node.$or() {
            let place = Ok(write.name().as_slice().to_vec());
            return Some(OperatorWrite { place, operator: Operator::Or, value: write.value() });
        }
        if let Some(write) = $node.$and() {
            let place = Ok(write.name().as_slice().to_vec());
            return Some(OperatorWrite { place, operator: Operator::And, value: write.value() });
        }
        if let Some(write) = $node.$binary() {
            let place = Ok(write.name().as_slice().to_vec());
            let operator = Operator::Binary(write.binary_operator().as_slice().to_vec());
            return Some(OperatorWrite { place, operator, value: write.value() });
        }
    )+};
}

fn variable_operator_write<'pr>(node: &Node<'pr>) -> Option<OperatorWrite<'pr>> {
    variable_writes! { node:
        as_local_variable_or_write_node, as_local_variable_and_write_node,
            as_local_variable_operator_write_node;
        as_constant_or_write_node, as_constant_and_write_node, as_constant_operator_write_node;
        as_global_variable_or_write_node, as_global_variable_and_write_node,
            as_global_variable_operator_write_node;
        as_instance_variable_or_write_node, as_instance_variable_and_write_node,
            as_instance_variable_operator_write_node;
    }
    None
}

fn index_operator_write<'pr>(node: &Node<'pr>) -> Option<OperatorWrite<'pr>> {
    if let Some(write) = node.as_index_or_write_node() {
        let place = Err((write.receiver(), write.arguments()));
        return Some(OperatorWrite { place, operator: Operator::Or, value: write.value() });
    }
    if let Some(write) = node.as_index_and_write_node() {
        let place = Err((write.receiver(), write.arguments()));
        return Some(OperatorWrite { place, operator: Operator::And, value: write.value() });
    }
    let write = node.as_index_operator_write_node()?;
    let operator = Operator::Binary(write.binary_operator().as_slice().to_vec());
    let place = Err((write.receiver(), write.arguments()));
    Some(OperatorWrite { place, operator, value: write.value() })
}

fn target_name<'pr>(node: &Node<'pr>) -> Option<&'pr [u8]> {
    let name = if let Some(target) = node.as_local_variable_target_node() {
        target.name()
    } else if let Some(target) = node.as_constant_target_node() {
        target.name()
    } else if let Some(target) = node.as_global_variable_target_node() {
        target.name()
    } else {
        node.as_instance_variable_target_node()?.name()
    };
    Some(name.as_slice())
}
