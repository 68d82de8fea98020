//! What happens in expressions that are not followed, in loops and in methods.

use ruby_prism::{
    BlockNode, InNode, MatchPredicateNode, MatchRequiredNode, Node, RescueNode, Visit,
};

use super::evaluator::Evaluator;
use super::place::Place;
use super::raw::Raw;
use crate::parse::value::Why;

impl Evaluator<'_> {
    /// Evaluates an expression whose value is not followed: whatever it contains may happen.
    pub(super) fn unfamiliar(&mut self, node: &Node<'_>) -> Raw {
        self.in_doubt(Why::Condition, |this| this.children(node));
        Raw::Unknown(match node {
            Node::CaseNode { .. }
            | Node::CaseMatchNode { .. }
            | Node::BeginNode { .. }
            | Node::RescueModifierNode { .. } => Why::Condition,
            _ => Why::Expression,
        })
    }

    /// Evaluates whatever has effects inside `node`.
    pub(super) fn children(&mut self, node: &Node<'_>) {
        Inside { evaluator: self, depth: 0 }.visit(node);
    }

    /// Evaluates what may run any number of times. Variables may have any value there that they
    /// have at its end, so none is known.
    pub(super) fn repeatedly(&mut self, why: Why, evaluate: impl FnOnce(&mut Self)) {
        let before = std::mem::take(&mut self.variables);
        self.in_doubt(why, evaluate);
        let written = std::mem::replace(&mut self.variables, before);
        for name in written.into_keys() {
            self.variables.insert(name, Raw::Unknown(why));
        }
    }

    /// Evaluates the body of a method or a block that is called later, if ever.
    pub(super) fn later(&mut self, evaluate: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.in_definition, true);
        self.repeatedly(Why::Deferred, evaluate);
        self.in_definition = outer;
    }

    /// Methods and lambdas.
    pub(super) fn definition(&mut self, node: &Node<'_>) -> Option<Raw> {
        match node {
            Node::DefNode { .. } => {
                let name = node.as_def_node()?.name();
                self.definitions.insert(String::from_utf8_lossy(name.as_slice()).into_owned());
            }
            Node::LambdaNode { .. }
            | Node::PreExecutionNode { .. }
            | Node::PostExecutionNode { .. } => {}
            _ => return None,
        }
        self.later(|this| this.children(node));
        Some(Raw::Unknown(Why::Expression))
    }

    /// The block of a call. What it is given may be anything that was read for the call.
    pub(super) fn block(&mut self, block: &BlockNode<'_>) {
        let reads = self.reads.clone();
        let parameters = block.locals().iter().map(|name| name.as_slice().to_vec());
        for name in parameters.chain([b"it".to_vec()]) {
            let place = Place::Variable(String::from_utf8_lossy(&name).into_owned(), Vec::new());
            self.reads.clone_from(&reads);
            if !self.spend(reads.len()) || !self.link(&place, &Raw::Unknown(Why::Loop)) {
                self.give_up(block.location().start());
            }
        }
        if let Some(body) = block.body() {
            self.repeatedly(Why::Loop, |this| match body.as_statements_node() {
                Some(statements) => drop(this.statements(&statements)),
                None => drop(this.eval(&body)),
            });
        }
        self.reads = reads;
    }
}

/// Walks over what is not followed and evaluates what has effects in it.
///
/// The walk itself recurses without a limit of its own, so nodes of which a short text makes a deep
/// tree are evaluated (evaluation has a limit) or left out.
struct Inside<'e, 'f> {
    evaluator: &'e mut Evaluator<'f>,
    depth: usize,
}

/// Nodes that are evaluated, unless they are what the walk started from.
macro_rules! evaluated {
    ($($visit:ident: $node:ident;)+) => {$(
        fn $visit(&mut self, node: &ruby_prism::$node<'pr>) {
            if self.depth > 1 {
                self.evaluator.eval(&node.as_node());
            } else {
                ruby_prism::$visit(self, node);
            }
        }
    )+};
}

impl Inside<'_, '_> {
    /// Walks over one clause and yields the next.
    fn rescue_clause<'pr>(&mut self, clause: &RescueNode<'pr>) -> Option<RescueNode<'pr>> {
        for exception in &clause.exceptions() {
            self.visit(&exception);
        }
        if let Some(target) = clause.reference() {
            self.visit(&target);
        }
        if let Some(statements) = clause.statements() {
            self.visit_statements_node(&statements);
        }
        clause.subsequent()
    }
}

impl<'pr> Visit<'pr> for Inside<'_, '_> {
    fn visit_branch_node_enter(&mut self, _node: Node<'pr>) {
        self.depth += 1;
    }

    fn visit_branch_node_leave(&mut self) {
        self.depth -= 1;
    }

    /// Clauses follow each other, however many there are, but the tree nests them.
    fn visit_rescue_node(&mut self, node: &RescueNode<'pr>) {
        let mut next = self.rescue_clause(node);
        while let Some(clause) = next {
            next = self.rescue_clause(&clause);
        }
    }

    fn visit_in_node(&mut self, node: &InNode<'pr>) {
        self.evaluator.forget_locals();
        if let Some(statements) = node.statements() {
            self.visit_statements_node(&statements);
        }
    }

    fn visit_match_required_node(&mut self, node: &MatchRequiredNode<'pr>) {
        self.visit(&node.value());
        self.evaluator.forget_locals();
    }

    fn visit_match_predicate_node(&mut self, node: &MatchPredicateNode<'pr>) {
        self.visit(&node.value());
        self.evaluator.forget_locals();
    }

    /// Constants only name.
    fn visit_constant_path_node(&mut self, _node: &ruby_prism::ConstantPathNode<'pr>) {}

    fn visit_block_node(&mut self, node: &BlockNode<'pr>) {
        self.evaluator.block(node);
    }

    fn visit_local_variable_target_node(
        &mut self,
        node: &ruby_prism::LocalVariableTargetNode<'pr>,
    ) {
        let name = String::from_utf8_lossy(node.name().as_slice()).into_owned();
        self.evaluator.variables.insert(name, Raw::Unknown(Why::Expression));
    }

    evaluated! {
        visit_and_node: AndNode;
        visit_arguments_node: ArgumentsNode;
        visit_array_node: ArrayNode;
        visit_call_and_write_node: CallAndWriteNode;
        visit_call_node: CallNode;
        visit_call_operator_write_node: CallOperatorWriteNode;
        visit_call_or_write_node: CallOrWriteNode;
        visit_constant_write_node: ConstantWriteNode;
        visit_def_node: DefNode;
        visit_for_node: ForNode;
        visit_global_variable_write_node: GlobalVariableWriteNode;
        visit_hash_node: HashNode;
        visit_if_node: IfNode;
        visit_index_and_write_node: IndexAndWriteNode;
        visit_index_operator_write_node: IndexOperatorWriteNode;
        visit_index_or_write_node: IndexOrWriteNode;
        visit_instance_variable_write_node: InstanceVariableWriteNode;
        visit_interpolated_string_node: InterpolatedStringNode;
        visit_lambda_node: LambdaNode;
        visit_local_variable_and_write_node: LocalVariableAndWriteNode;
        visit_local_variable_operator_write_node: LocalVariableOperatorWriteNode;
        visit_local_variable_or_write_node: LocalVariableOrWriteNode;
        visit_local_variable_write_node: LocalVariableWriteNode;
        visit_multi_write_node: MultiWriteNode;
        visit_or_node: OrNode;
        visit_range_node: RangeNode;
        visit_rescue_modifier_node: RescueModifierNode;
        visit_return_node: ReturnNode;
        visit_statements_node: StatementsNode;
        visit_string_node: StringNode;
        visit_unless_node: UnlessNode;
        visit_until_node: UntilNode;
        visit_while_node: WhileNode;
    }
}
