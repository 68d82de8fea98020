//! What an expression yields, and what it does on the way.

use std::collections::BTreeMap;

use ruby_prism::{ArrayNode, Integer, Node, NodeList, StatementsNode};

use super::evaluator::Evaluator;
use super::place::{Place, Target};
use super::raw::{Raw, put};
use super::writes::{only_statement, variable_name, variable_target};
use crate::parse::value::Why;

impl Evaluator<'_> {
    /// Evaluates statements in a row and yields the last one's value.
    pub(super) fn statements(&mut self, statements: &StatementsNode<'_>) -> Raw {
        let mut last = Raw::Nil;
        for statement in &statements.body() {
            self.reads.clear();
            last = self.eval(&statement);
            if self.current.may_stop && self.doubt.is_none() {
                self.doubt = Some(Why::Condition);
            }
        }
        last
    }

    fn optional_statements(&mut self, statements: Option<StatementsNode<'_>>) -> Raw {
        statements.map_or(Raw::Nil, |statements| self.statements(&statements))
    }

    /// Evaluates what may happen or not, or more than once.
    pub(super) fn in_doubt(&mut self, why: Why, evaluate: impl FnOnce(&mut Self)) {
        let outer = self.doubt;
        self.doubt = outer.or(Some(why));
        evaluate(self);
        self.doubt = outer;
    }

    pub(super) fn expression(&mut self, node: &Node<'_>) -> Raw {
        let value = self
            .literal(node)
            .or_else(|| self.collection(node))
            .or_else(|| self.variable(node))
            .or_else(|| self.assignment(node))
            .or_else(|| self.branch(node))
            .or_else(|| self.definition(node));
        if let Some(value) = value {
            return value;
        }
        if let Some(call) = node.as_call_node() {
            return self.call(&call);
        }
        self.unfamiliar(node)
    }

    fn literal(&mut self, node: &Node<'_>) -> Option<Raw> {
        Some(match node {
            Node::NilNode { .. } => Raw::Nil,
            Node::TrueNode { .. } => Raw::Bool(true),
            Node::FalseNode { .. } => Raw::Bool(false),
            Node::IntegerNode { .. } => {
                let number = to_i64(&node.as_integer_node()?.value());
                number.map_or(Raw::Unknown(Why::Limit), Raw::Integer)
            }
            Node::FloatNode { .. } => {
                let digits = String::from_utf8_lossy(node.location().as_slice()).replace('_', "");
                Raw::Float(digits)
            }
            Node::StringNode { .. } => {
                let string = node.as_string_node()?;
                let content = string.content_loc();
                self.current.texts.push((content.start(), content.end()));
                Raw::text(string.unescaped())
            }
            Node::SymbolNode { .. } => {
                let name = node.as_symbol_node()?;
                Raw::Symbol(String::from_utf8_lossy(name.unescaped()).into_owned())
            }
            Node::InterpolatedStringNode { .. } => {
                self.interpolation(&node.as_interpolated_string_node()?.parts())
            }
            Node::InterpolatedSymbolNode { .. } => {
                match self.interpolation(&node.as_interpolated_symbol_node()?.parts()) {
                    Raw::Text(name) => Raw::Symbol(name),
                    unknown => unknown,
                }
            }
            Node::XStringNode { .. } => Raw::Unknown(Why::Command),
            Node::InterpolatedXStringNode { .. } => {
                self.interpolation(&node.as_interpolated_x_string_node()?.parts());
                Raw::Unknown(Why::Command)
            }
            Node::ErrorRecoveryNode { .. } => Raw::Unknown(Why::Syntax),
            Node::ParenthesesNode { .. } => {
                let parentheses = node.as_parentheses_node()?;
                match (only_statement(&parentheses), parentheses.body()) {
                    (Some(only), _) => self.eval(&only),
                    (None, Some(body)) => self.statements(&body.as_statements_node()?),
                    (None, None) => Raw::Nil,
                }
            }
            // Neither is evaluated by Ruby.
            Node::DefinedNode { .. } | Node::AliasMethodNode { .. } => {
                Raw::Unknown(Why::Expression)
            }
            _ => return None,
        })
    }

    fn interpolation(&mut self, parts: &NodeList<'_>) -> Raw {
        // The result is a new object: what it is made of is not linked with it.
        let reads = std::mem::take(&mut self.reads);
        let mut text = Ok(String::new());
        for part in parts {
            let piece = self.interpolated(&part).interpolated();
            text = match (text, piece) {
                (Ok(mut text), Ok(piece)) => {
                    text.push_str(&piece);
                    Ok(text)
                }
                (Err(why), _) | (_, Err(why)) => Err(why),
            };
        }
        self.reads = reads;
        let text = text.map_or_else(Raw::Unknown, Raw::Text);
        if self.afford(&text) { text } else { Raw::Unknown(Why::Limit) }
    }

    fn interpolated(&mut self, part: &Node<'_>) -> Raw {
        if let Some(embedded) = part.as_embedded_statements_node() {
            return self.optional_statements(embedded.statements());
        }
        if let Some(embedded) = part.as_embedded_variable_node() {
            return self.eval(&embedded.variable());
        }
        self.eval(part)
    }

    fn collection(&mut self, node: &Node<'_>) -> Option<Raw> {
        if let Some(array) = node.as_array_node() {
            return Some(self.array(&array));
        }
        if let Some(hash) = node.as_hash_node() {
            return Some(self.hash(&hash.elements()));
        }
        if let Some(hash) = node.as_keyword_hash_node() {
            return Some(self.hash(&hash.elements()));
        }
        let implicit = node.as_implicit_node()?;
        Some(self.eval(&implicit.value()))
    }

    fn array(&mut self, array: &ArrayNode<'_>) -> Raw {
        let mut elements = Vec::new();
        let mut unclear = None;
        for element in &array.elements() {
            let Some(splat) = element.as_splat_node() else {
                elements.push(self.eval(&element));
                continue;
            };
            match splat.expression().map(|inner| self.eval(&inner)) {
                Some(Raw::Array(inner)) => elements.extend(inner),
                Some(Raw::Unknown(why)) => unclear = Some(why),
                _ => unclear = Some(Why::Expression),
            }
        }
        unclear.map_or(Raw::Array(elements), Raw::Unknown)
    }

    fn hash(&mut self, elements: &NodeList<'_>) -> Raw {
        let mut entries = BTreeMap::new();
        let mut unclear = None;
        for element in elements {
            if let Some(pair) = element.as_assoc_node() {
                let (key, value) = (self.eval(&pair.key()), self.eval(&pair.value()));
                match key.into_key() {
                    Ok(key) => put(&mut entries, key, value),
                    Err(why) => unclear = Some(why),
                }
                continue;
            }
            let splat = element.as_assoc_splat_node().and_then(|splat| splat.value());
            match splat.map(|inner| self.eval(&inner)) {
                Some(Raw::Hash(inner)) => {
                    for (key, value) in inner {
                        put(&mut entries, key, value);
                    }
                }
                Some(Raw::Unknown(why)) => unclear = Some(why),
                _ => unclear = Some(Why::Expression),
            }
        }
        unclear.map_or(Raw::Hash(entries), Raw::Unknown)
    }

    fn variable(&mut self, node: &Node<'_>) -> Option<Raw> {
        variable_name(node).map(|name| self.read(&variable_target(name.as_bytes())))
    }

    /// The value at `target`, remembered as read.
    pub(super) fn read(&mut self, target: &Target) -> Raw {
        self.reads.push(target.place.clone());
        match (self.load(target), &target.place) {
            // A whole section springs keys as it is read, so nobody knows when it is complete.
            (Some(Raw::Hash(_)) | None, Place::Setting(path)) if path.len() <= 1 => {
                Raw::Unknown(Why::Expression)
            }
            (value, _) => value.unwrap_or(Raw::Unknown(Why::Expression)),
        }
    }

    /// Conditions, sequences and loops.
    fn branch(&mut self, node: &Node<'_>) -> Option<Raw> {
        Some(match node {
            Node::IfNode { .. } => {
                let branch = node.as_if_node()?;
                let condition = self.eval(&branch.predicate());
                let (then, otherwise) = (branch.statements(), branch.subsequent());
                self.choose(condition.truthy(), then, otherwise)
            }
            Node::UnlessNode { .. } => {
                let branch = node.as_unless_node()?;
                let condition = self.eval(&branch.predicate());
                let otherwise = branch.else_clause().map(|clause| clause.as_node());
                self.choose(condition.truthy().map(|met| !met), branch.statements(), otherwise)
            }
            Node::ElseNode { .. } => self.optional_statements(node.as_else_node()?.statements()),
            Node::StatementsNode { .. } => self.statements(&node.as_statements_node()?),
            Node::AndNode { .. } => {
                let both = node.as_and_node()?;
                let left = self.eval(&both.left());
                self.circuit(left, true, &both.right())
            }
            Node::OrNode { .. } => {
                let either = node.as_or_node()?;
                let left = self.eval(&either.left());
                self.circuit(left, false, &either.right())
            }
            Node::BeginNode { .. } => {
                let begin = node.as_begin_node()?;
                if begin.rescue_clause().is_some() {
                    return None;
                }
                let value = self.optional_statements(begin.statements());
                if let Some(ensure) = begin.ensure_clause() {
                    self.optional_statements(ensure.statements());
                }
                value
            }
            Node::WhileNode { .. } | Node::UntilNode { .. } | Node::ForNode { .. } => {
                self.repeatedly(Why::Loop, |this| this.children(node));
                Raw::Unknown(Why::Loop)
            }
            Node::ReturnNode { .. } => {
                // In a method it ends the method, everywhere else the file.
                if !self.in_definition {
                    self.current.stopped = self.doubt.is_none();
                    self.current.may_stop = true;
                }
                Raw::Unknown(Why::Expression)
            }
            _ => return None,
        })
    }

    fn choose(
        &mut self,
        condition: Option<bool>,
        then: Option<StatementsNode<'_>>,
        otherwise: Option<Node<'_>>,
    ) -> Raw {
        match (condition, otherwise) {
            (Some(true), _) => self.optional_statements(then),
            (Some(false), Some(otherwise)) => self.eval(&otherwise),
            (Some(false), None) => Raw::Nil,
            (None, otherwise) => {
                self.in_doubt(Why::Condition, |this| {
                    this.optional_statements(then);
                    if let Some(otherwise) = otherwise {
                        this.eval(&otherwise);
                    }
                });
                Raw::Unknown(Why::Condition)
            }
        }
    }

    /// `left and right`, `left || right`: the right one counts if the left one's truth is `counts`.
    fn circuit(&mut self, left: Raw, counts: bool, right: &Node<'_>) -> Raw {
        match left.truthy() {
            Some(truthy) if truthy == counts => self.eval(right),
            Some(_) => left,
            None => {
                self.in_doubt(Why::Condition, |this| drop(this.eval(right)));
                left
            }
        }
    }
}

fn to_i64(integer: &Integer<'_>) -> Option<i64> {
    let (negative, digits) = integer.to_u32_digits();
    let mut magnitude = 0_i128;
    for digit in digits.iter().rev() {
        magnitude = magnitude.checked_mul(1 << 32)?.checked_add(i128::from(*digit))?;
    }
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}
