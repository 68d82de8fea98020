//! What is written to a place, and what else a write changes.

use ruby_prism::{CallNode, Location, Node, ParenthesesNode};

use super::ProblemKind;
use super::evaluator::Evaluator;
use super::merge::{descend, insert};
use super::names;
use super::place::{Link, Place, Target};
use super::raw::Raw;
use crate::parse::value::Why;

/// Subscripts of subscripts that are followed.
const DEEPEST_TARGET: usize = 64;
/// Names for the same object that are kept track of.
const MOST_LINKS: usize = 1024;

impl Evaluator<'_> {
    /// The place that `node` stands for, with the effects of the keys in it. Nothing is evaluated
    /// where it stands for none.
    pub(super) fn target(&mut self, node: &Node<'_>) -> Option<Target> {
        self.target_within(node, DEEPEST_TARGET)
    }

    fn target_within(&mut self, node: &Node<'_>, levels: usize) -> Option<Target> {
        let levels = levels.checked_sub(1)?;
        if let Some(parentheses) = node.as_parentheses_node() {
            return self.target_within(&only_statement(&parentheses)?, levels);
        }
        if let Some(place) = base_place(node) {
            return Some(Target { place, unclear: None });
        }
        let call = node.as_call_node().filter(|call| call.name().as_slice() == b"[]")?;
        let key = only_argument(&call)?;
        let target = self.target_within(&call.receiver()?, levels)?;
        let key = self.eval(&key);
        Some(target.key(key))
    }

    /// What stands at `target` by now.
    pub(super) fn load(&mut self, target: &Target) -> Option<Raw> {
        if let Some(why) = target.unclear {
            return Some(Raw::Unknown(why));
        }
        match &target.place {
            Place::Setting(path) => self.stored(path),
            Place::Variable(name, path) => {
                let Some(variable) = self.variables.get(name) else {
                    let is_environment = name == "ENV";
                    return Some(Raw::Unknown(if is_environment {
                        Why::Environment
                    } else {
                        Why::Expression
                    }));
                };
                let value = descend(variable, path)?;
                let size = value.size(self.fuel + 1);
                let limit = Raw::Unknown(Why::Limit);
                let value = if size <= self.fuel { value.clone() } else { limit };
                self.spend(size);
                Some(value)
            }
        }
    }

    /// Gives `target` a value. `whole` is the statement that does so.
    pub(super) fn store(&mut self, target: Target, value: Raw, whole: &Location<'_>) {
        // An object that is put into itself has no end.
        let is_endless = self.reads.iter().any(|read| target.place.below(read) > Some(0));
        let why = self
            .is_broken(whole)
            .then_some(Why::Syntax)
            .or(target.unclear)
            .or((is_endless && value.is_container()).then_some(Why::Expression));
        let value = why.map_or(value, Raw::Unknown);
        // A new value for `a['k']` changes the object that `a` names, and not the one in `a['k']`.
        let changed = usize::from(target.unclear.is_none());
        self.spread(&target.place, changed, whole.start());
        let value = if self.link(&target.place, &value) { value } else { Raw::Unknown(Why::Limit) };
        self.put(target.place, value, whole.start());
    }

    /// Changes the object at `target` itself: every other name for it sees that.
    pub(super) fn mutate(&mut self, target: Target, value: Raw, whole: &Location<'_>) {
        let value = target.unclear.map_or(value, Raw::Unknown);
        self.spread(&target.place, 0, whole.start());
        self.put(target.place, value, whole.start());
    }

    fn put(&mut self, place: Place, value: Raw, offset: u32) {
        match place {
            Place::Setting(path) => self.write(path, value, offset),
            Place::Variable(name, path) => {
                let value = self.doubt.map_or(value, Raw::Unknown);
                if path.is_empty() {
                    self.variables.insert(name, value);
                } else {
                    let unset = Raw::Unknown(Why::Expression);
                    insert(self.variables.entry(name).or_insert(unset), &path, value);
                }
            }
        }
    }

    /// Writes a setting, with the doubts of where that stands.
    pub(super) fn write(&mut self, path: Vec<String>, value: Raw, offset: u32) {
        let value = self.doubt.map_or(value.with_plain_keys(), Raw::Unknown);
        self.record(path.clone(), value, offset);
        if self.in_definition {
            let source = self.source_at(offset);
            self.deferred.insert(path, source);
        }
    }

    /// An object that is not followed is changed: all that was read for this statement may be it.
    pub(super) fn disturb(&mut self, whole: &Location<'_>) {
        for place in std::mem::take(&mut self.reads) {
            let target = Target { place, unclear: Some(Why::Mutation) };
            self.mutate(target, Raw::Unknown(Why::Mutation), whole);
        }
    }

    /// Remembers that `place` got its value from what was read just now. `false` where that is more
    /// than can be remembered.
    pub(super) fn link(&mut self, place: &Place, value: &Raw) -> bool {
        let reads = std::mem::take(&mut self.reads);
        if !value.is_mutable() {
            return true;
        }
        for read in reads.into_iter().filter(|read| read != place) {
            if self.links.len() >= MOST_LINKS {
                return false;
            }
            self.links.push(Link(place.clone(), read));
        }
        true
    }

    /// Marks every other name for an object as unknown that is changed by a change at `place`, if
    /// that is at least `below` keys further down than the object.
    fn spread(&mut self, place: &Place, below: usize, offset: u32) {
        if self.links.is_empty() {
            return;
        }
        let mut reached = vec![(place.clone(), below)];
        let mut next = 0;
        while let Some((from, below)) = reached.get(next).cloned() {
            next += 1;
            if !self.spend(self.links.len()) {
                self.give_up(offset);
                return;
            }
            for Link(left, right) in &self.links {
                for (one, other) in [(left, right), (right, left)] {
                    let is_changed = from.below(one).is_some_and(|further| further >= below);
                    if is_changed && !reached.iter().any(|(place, _)| place == other) {
                        reached.push((other.clone(), 0));
                    }
                }
            }
        }
        for (place, _) in reached.into_iter().skip(1) {
            self.put(place, Raw::Unknown(Why::Mutation), offset);
        }
    }

    /// `name = …` as a local variable, where the name of a setting was probably meant as such.
    pub(super) fn note_local(&mut self, name: &str, offset: u32) {
        if names::is_setting(name) {
            self.problem(offset, ProblemKind::LocalVariable { name: name.to_owned() });
        }
    }
}

/// The statement in parentheses, if it is the only one.
pub(super) fn only_statement<'pr>(parentheses: &ParenthesesNode<'pr>) -> Option<Node<'pr>> {
    let body = parentheses.body()?.as_statements_node()?.body();
    if body.len() == 1 { body.first() } else { None }
}

/// The argument of a call, if it is the only one and no block goes with it.
pub(super) fn only_argument<'pr>(call: &CallNode<'pr>) -> Option<Node<'pr>> {
    let arguments = call.arguments()?.arguments();
    if arguments.len() == 1 && call.block().is_none() { arguments.first() } else { None }
}

/// The variable or the section of settings that `node` names.
fn base_place(node: &Node<'_>) -> Option<Place> {
    if let Some(name) = variable_name(node) {
        // `Gitlab` is the object that the file configures.
        let is_root = name == "Gitlab";
        return Some(if is_root {
            Place::Setting(Vec::new())
        } else {
            Place::Variable(name, vec![])
        });
    }
    if node.as_self_node().is_some() {
        return Some(Place::Setting(Vec::new()));
    }
    let call = node.as_call_node()?;
    if call.arguments().is_some() || call.block().is_some() {
        return None;
    }
    let name = std::str::from_utf8(call.name().as_slice()).ok()?;
    let is_root = call.receiver().is_none_or(|receiver| is_root(&receiver));
    (is_root && names::is_setting(name)).then(|| Place::Setting(vec![name.to_owned()]))
}

/// Whether `node` is the object that the file configures.
pub(super) fn is_root(node: &Node<'_>) -> bool {
    node.as_self_node().is_some()
        || node.as_constant_read_node().is_some_and(|name| name.name().as_slice() == b"Gitlab")
}

/// A variable as a whole.
pub(super) fn variable_target(name: &[u8]) -> Target {
    let name = String::from_utf8_lossy(name).into_owned();
    Target { place: Place::Variable(name, Vec::new()), unclear: None }
}

/// The name of the variable that is read, with its sigil.
pub(super) fn variable_name(node: &Node<'_>) -> Option<String> {
    if node.as_it_local_variable_read_node().is_some() {
        return Some("it".to_owned());
    }
    let name = if let Some(node) = node.as_local_variable_read_node() {
        node.name()
    } else if let Some(node) = node.as_constant_read_node() {
        node.name()
    } else if let Some(node) = node.as_global_variable_read_node() {
        node.name()
    } else {
        node.as_instance_variable_read_node()?.name()
    };
    Some(String::from_utf8_lossy(name.as_slice()).into_owned())
}
