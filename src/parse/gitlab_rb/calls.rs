//! Method calls: settings themselves, and what is done with values.

use ruby_prism::{CallNode, Node};

use super::ProblemKind;
use super::evaluator::Evaluator;
use super::merge::descend;
use super::names;
use super::place::{Place, Target};
use super::raw::{Raw, join, operate, put};
use super::shown::shows_key;
use super::writes::is_root;
use super::yaml;
use crate::parse::value::Why;

/// The evaluated arguments of a call.
type Arguments = Vec<Raw>;

impl Evaluator<'_> {
    pub(super) fn call(&mut self, call: &CallNode<'_>) -> Raw {
        if call.is_attribute_write() {
            return self.attribute_write(call);
        }
        let name = String::from_utf8_lossy(call.name().as_slice()).into_owned();
        let Some(receiver) = call.receiver() else { return self.free_call(call, &name) };
        if is_root(&receiver) && name != "[]" {
            return self.free_call(call, &name);
        }
        let is_own = ["config", "load", "merge!", "reset"].contains(&&*name);
        if names::EVALUATING.contains(&&*name) && !is_own {
            self.eval(&receiver);
            return self.evaluating_call(call);
        }
        self.method_call(call, &receiver, &name)
    }

    /// A call without receiver: a setting, or one of Ruby's own methods.
    fn free_call(&mut self, call: &CallNode<'_>, name: &str) -> Raw {
        if names::is_setting(name) {
            return self.setting_call(call, name);
        }
        if self.definitions.contains(name) {
            self.arguments(call);
            self.write(Vec::new(), Raw::Unknown(Why::Deferred), call.location().start());
            return Raw::Unknown(Why::Expression);
        }
        match name {
            "from_file" => self.included(call),
            "proc" | "lambda" | "at_exit" | "trap" => {
                self.later(|this| drop(this.arguments(call)));
                Raw::Unknown(Why::Expression)
            }
            "node" => Raw::Unknown(Why::Node),
            "system" | "spawn" => {
                self.arguments(call);
                Raw::Unknown(Why::Command)
            }
            _ if names::EVALUATING.contains(&name) => self.evaluating_call(call),
            _ => {
                if !names::is_method(name) {
                    self.note_unknown(call, name, call.arguments().is_some());
                }
                self.arguments(call);
                Raw::Unknown(Why::Expression)
            }
        }
    }

    /// `external_url 'https://…'`, and `external_url` alone.
    fn setting_call(&mut self, call: &CallNode<'_>, name: &str) -> Raw {
        let target = Target { place: Place::Setting(vec![name.to_owned()]), unclear: None };
        if call.arguments().is_none() && call.block().is_none() {
            return self.read(&target);
        }
        let has_block = call.block().is_some();
        let mut arguments = self.arguments(call);
        let value = match arguments.len() {
            _ if has_block => Raw::Unknown(Why::Loop),
            0 => Raw::Unknown(Why::Expression),
            1 => arguments.remove(0),
            _ => Raw::Array(arguments),
        };
        self.assign(target, value, &call.as_node())
    }

    fn included(&mut self, call: &CallNode<'_>) -> Raw {
        let offset = call.location().start();
        match self.arguments(call).first() {
            Some(Raw::Text(path)) => self.include(path, offset),
            _ => self.unclear_include(offset),
        }
        Raw::Unknown(Why::Expression)
    }

    /// A call that runs text or a block as a program, or calls methods by computed names.
    fn evaluating_call(&mut self, call: &CallNode<'_>) -> Raw {
        self.later(|this| drop(this.arguments(call)));
        self.write(Vec::new(), Raw::Unknown(Why::Eval), call.location().start());
        Raw::Unknown(Why::Eval)
    }

    /// A call on something: a place that is followed, or a value.
    fn method_call(&mut self, call: &CallNode<'_>, receiver: &Node<'_>, name: &str) -> Raw {
        if let Some(value) = self.library_call(call, receiver, name) {
            return value;
        }
        if name == "[]" {
            if let Some(target) = self.target(&call.as_node()) {
                return self.read(&target);
            }
        } else if let Some(target) = self.target(receiver) {
            return self.call_on(target, call, name);
        }
        if name == "[]" && self.note_unknown_section(receiver) {
            self.arguments(call);
            return Raw::Unknown(Why::Expression);
        }
        let value = self.eval(receiver);
        let arguments = self.arguments(call);
        if !names::READING.contains(&name) {
            self.disturb(&call.location());
        }
        without_effects(value, name, arguments, call.block().is_some())
    }

    /// Calls on constants of Ruby's library that are worth knowing.
    fn library_call(&mut self, call: &CallNode<'_>, on: &Node<'_>, name: &str) -> Option<Raw> {
        let constant = on.as_constant_read_node()?.name();
        let why = match (constant.as_slice(), name) {
            (b"YAML" | b"Psych", "load" | "safe_load" | "unsafe_load") => {
                return Some(match self.arguments(call).first() {
                    Some(Raw::Text(text)) => yaml::load(text),
                    Some(Raw::Unknown(why)) => Raw::Unknown(*why),
                    _ => Raw::Unknown(Why::Expression),
                });
            }
            (b"ENV", _) => Why::Environment,
            (b"File" | b"IO" | b"Dir" | b"Pathname", _) => Why::File,
            _ if names::PURE.contains(&constant.as_slice()) => {
                let arguments = self.arguments(call);
                return Some(without_effects(
                    Raw::Unknown(Why::Expression),
                    name,
                    arguments,
                    false,
                ));
            }
            (b"Proc" | b"Class" | b"Module" | b"Thread", _) => {
                self.later(|this| drop(this.arguments(call)));
                return Some(Raw::Unknown(Why::Expression));
            }
            _ => return None,
        };
        self.arguments(call);
        Some(Raw::Unknown(why))
    }

    /// A call on a setting or a variable, which may change it.
    fn call_on(&mut self, target: Target, call: &CallNode<'_>, name: &str) -> Raw {
        let position = self.reads.len();
        self.reads.push(target.place.clone());
        let arguments = self.arguments(call);
        let has_block = call.block().is_some();
        let whole = call.location();
        if names::READING.contains(&name) {
            let value = self.load(&target).unwrap_or(Raw::Unknown(Why::Expression));
            return without_effects(value, name, arguments, has_block);
        }
        if self.reads.get(position) == Some(&target.place)
            && matches!(name, "merge!" | "update" | "store")
        {
            // What is put into the receiver is not made of it.
            self.reads.remove(position);
        }
        match (name, &*arguments) {
            ("merge!" | "update", arguments) if !has_block => {
                self.merge_into(&target, arguments, call);
                self.read(&target)
            }
            ("store", [key, value]) => {
                let (key, value) = (key.clone(), value.clone());
                self.assign(target.key(key), value, &call.as_node())
            }
            ("<<" | "concat", [_]) | ("push" | "append", _) => {
                let stands = self.load(&target).unwrap_or(Raw::Unknown(Why::Mutation));
                let operator: &[u8] = if name == "concat" { b"+" } else { b"<<" };
                let add = |sum, argument| operate(sum, operator, argument);
                let value = match stands {
                    // `<<` on a number shifts and changes nothing.
                    Raw::Array(_) | Raw::Text(_) => arguments.into_iter().fold(stands, add),
                    Raw::Unknown(why) => Raw::Unknown(why),
                    _ => Raw::Unknown(Why::Mutation),
                };
                self.mutate(target, value, &whole);
                Raw::Unknown(Why::Mutation)
            }
            _ => {
                // What it does to its receiver it may do to its arguments.
                self.disturb(&whole);
                Raw::Unknown(Why::Expression)
            }
        }
    }

    fn merge_into(&mut self, target: &Target, arguments: &[Raw], call: &CallNode<'_>) {
        let whole = call.location();
        for argument in arguments {
            let Raw::Hash(entries) = argument else {
                let why = if let Raw::Unknown(why) = argument { *why } else { Why::Expression };
                let target = Target { place: target.place.clone(), unclear: Some(why) };
                self.mutate(target, Raw::Unknown(why), &whole);
                continue;
            };
            for (key, value) in entries {
                let target = Target { place: target.place.clone(), unclear: target.unclear };
                self.store(target.named(key.clone()), value.clone(), &whole);
            }
        }
    }

    /// Evaluates arguments and block.
    fn arguments(&mut self, call: &CallNode<'_>) -> Arguments {
        let mut values = Vec::new();
        let given = call.arguments().map(|arguments| arguments.arguments());
        for argument in given.iter().flatten() {
            values.push(match argument.as_splat_node() {
                Some(_) => self.unfamiliar(&argument),
                None => self.eval(&argument),
            });
        }
        if let Some(block) = call.block() {
            match block.as_block_node() {
                Some(block) => self.block(&block),
                None => drop(self.unfamiliar(&block)),
            }
        }
        values
    }

    /// Reports `frobnicate['x']`, where `receiver` is such a name. `false` where it is none.
    pub(super) fn note_unknown_section(&mut self, receiver: &Node<'_>) -> bool {
        let Some(call) = receiver.as_call_node().filter(CallNode::is_variable_call) else {
            return false;
        };
        let name = String::from_utf8_lossy(call.name().as_slice()).into_owned();
        if names::is_method(&name) || names::is_setting(&name) || self.definitions.contains(&name) {
            return false;
        }
        self.note_unknown(&call, &name, true);
        true
    }

    /// Reports a name that reconfigure will refuse. A lone word may be a part of a secret, so it is
    /// only repeated where it is used like a setting.
    fn note_unknown(&mut self, call: &CallNode<'_>, name: &str, is_used_as_setting: bool) {
        // Broken syntax leaves words over that are nobody's names.
        if self.has_syntax_errors() {
            return;
        }
        let is_name =
            name.bytes().all(|byte| byte.is_ascii_lowercase() || b"_0123456789".contains(&byte));
        let is_shown = is_used_as_setting && is_name && shows_key(name);
        let kind = ProblemKind::UnknownName {
            name: is_shown.then(|| name.to_owned()),
            nearest: names::nearest(name).map(str::to_owned),
        };
        self.problem(call.location().start(), kind);
    }
}

/// What a method yields that changes nothing.
fn without_effects(value: Raw, name: &str, arguments: Arguments, has_block: bool) -> Raw {
    // `JSON.parse(File.read('x'))` is best explained by its argument.
    let is_plain = |value: &&Raw| matches!(value, Raw::Unknown(why) if *why != Why::Expression);
    let mut reasons = std::iter::once(&value).chain(&arguments);
    if let Some(unknown) = reasons.clone().find(is_plain) {
        return unknown.clone();
    }
    if let Some(unknown) = reasons.find(|value| matches!(value, Raw::Unknown(_))) {
        return unknown.clone();
    }
    if has_block {
        return Raw::Unknown(Why::Loop);
    }
    let mut arguments = arguments.into_iter();
    match (arguments.next(), arguments.next()) {
        (None, _) => without_arguments(value, name),
        (Some(argument), None) => with_argument(value, name, argument),
        _ => Raw::Unknown(Why::Expression),
    }
}

fn without_arguments(value: Raw, name: &str) -> Raw {
    match (value, name) {
        (value, "freeze" | "dup" | "clone" | "itself") => value,
        (value, "nil?") => Raw::Bool(matches!(value, Raw::Nil)),
        (value, "!") => value.truthy().map_or(value, |truthy| Raw::Bool(!truthy)),
        (Raw::Text(text), "to_s" | "to_str") => Raw::Text(text),
        (Raw::Text(text), "to_sym") => Raw::Symbol(text),
        (Raw::Text(text), "strip") => Raw::Text(text.trim_ascii().to_owned()),
        (Raw::Text(text), "chomp") => {
            let line = text.strip_suffix('\n').unwrap_or(&text);
            Raw::Text(line.strip_suffix('\r').unwrap_or(line).to_owned())
        }
        (Raw::Text(text), "downcase") => Raw::Text(text.to_lowercase()),
        (Raw::Text(text), "upcase") => Raw::Text(text.to_uppercase()),
        (Raw::Text(text), "to_i") => {
            text.parse().map_or(Raw::Unknown(Why::Expression), Raw::Integer)
        }
        (Raw::Text(text), "split") => pieces(text.split_ascii_whitespace()),
        (Raw::Symbol(name), "to_s") => Raw::Text(name),
        (Raw::Symbol(name), "to_sym") => Raw::Symbol(name),
        (Raw::Integer(number), "to_s") => Raw::Text(number.to_string()),
        (Raw::Integer(number), "to_i") => Raw::Integer(number),
        (Raw::Integer(number), "-@") => {
            number.checked_neg().map_or(Raw::Unknown(Why::Expression), Raw::Integer)
        }
        (Raw::Nil, "to_s") => Raw::Text(String::new()),
        (Raw::Array(elements), "to_a") => Raw::Array(elements),
        (Raw::Array(elements), "join") => join(elements, ""),
        (Raw::Hash(entries), "to_h") => Raw::Hash(entries),
        _ => Raw::Unknown(Why::Expression),
    }
}

fn with_argument(value: Raw, name: &str, argument: Raw) -> Raw {
    match (value, name, argument) {
        (Raw::Array(elements), "join", Raw::Text(separator)) => join(elements, &separator),
        (Raw::Text(text), "split", Raw::Text(separator)) if !separator.trim().is_empty() => {
            let mut parts: Vec<&str> = text.split(&*separator).collect();
            // Ruby drops empty pieces at the end.
            while parts.last().is_some_and(|part| part.is_empty()) {
                parts.pop();
            }
            pieces(parts.into_iter())
        }
        (Raw::Hash(mut entries), "merge", Raw::Hash(others)) => {
            for (key, value) in others {
                put(&mut entries, key, value);
            }
            Raw::Hash(entries)
        }
        (hash @ Raw::Hash(_), "fetch" | "dig", key) => match key.into_key() {
            Ok(key) => descend(&hash, &[key]).cloned().unwrap_or(Raw::Unknown(Why::Expression)),
            Err(why) => Raw::Unknown(why),
        },
        (value, operator, argument) => operate(value, operator.as_bytes(), argument),
    }
}

fn pieces<'a>(parts: impl Iterator<Item = &'a str>) -> Raw {
    Raw::Array(parts.map(|part| Raw::Text(part.to_owned())).collect())
}
