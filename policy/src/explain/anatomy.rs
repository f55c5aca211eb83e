//! A policy taken apart into clauses, as it was written: each part of its head, each conjunct of a `when`, each
//! disjunct of an `unless`.
//!
//! Cut in Cedar's concrete syntax, so that a clause keeps its words: `a >= 2` is not shown as `!(a < 2)`.

use cedar_policy_core::{
    ast::Expr,
    parser::{Node, cst, text_to_cst},
};
use std::{ops::Range, sync::Arc};

/// Where a clause stands in its policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The day until which a permit grants.
    Expires,
    /// Who calls.
    Principal,
    /// What is done.
    Action,
    /// To what.
    Resource,
    /// A condition that must hold.
    When,
    /// A condition that must not hold.
    Unless,
}

impl Part {
    /// Whether it is a condition, not part of the head.
    #[must_use]
    pub fn is_condition(self) -> bool {
        matches!(self, Self::When | Self::Unless)
    }
}

/// One clause. The policy is satisfied if every clause comes out as it wants to.
#[derive(Clone, Debug)]
pub(crate) struct Clause {
    pub(crate) part: Part,
    /// As it was written, on one line.
    pub(crate) text: Arc<str>,
    /// Place in the policy's text.
    pub(crate) range: Range<usize>,
    /// What it must evaluate to.
    pub(crate) wanted: bool,
    pub(crate) expr: Expr,
}

type Read<T> = Node<Option<T>>;

/// Takes a policy apart. `None` only if Cedar can't read the text, which a bundle in force never has.
pub(crate) fn clauses(text: &str) -> Option<Vec<Clause>> {
    let read = text_to_cst::parse_policy(text).ok()?;
    let template = read.to_template(cedar_policy_core::ast::PolicyID::from_string("policy")).ok()?;
    let Some(cst::Policy::Policy(policy)) = &read.node else { return None };
    let mut cutter = Cutter { text, clauses: Vec::new() };
    let heads = [
        (Part::Principal, template.principal_constraint().as_expr()),
        (Part::Action, template.action_constraint().as_expr()),
        (Part::Resource, template.resource_constraint().as_expr()),
    ];
    for ((part, expr), variable) in heads.into_iter().zip(&policy.variables) {
        // A head that lets everything in is no clause.
        let bound = variable.node.as_ref().is_some_and(|v| v.ineq.is_some() || v.entity_type.is_some());
        if bound {
            cutter.push(part, range(variable)?, true, expr);
        }
    }
    for condition in &policy.conds {
        let condition = condition.node.as_ref()?;
        let wanted = matches!(condition.cond.node, Some(cst::Ident::When));
        let part = if wanted { Part::When } else { Part::Unless };
        cutter.expr(part, condition.expr.as_ref()?, wanted)?;
    }
    Some(cutter.clauses)
}

struct Cutter<'a> {
    text: &'a str,
    clauses: Vec<Clause>,
}

impl Cutter<'_> {
    fn push(&mut self, part: Part, range: Range<usize>, wanted: bool, expr: Expr) {
        let text = self.text.get(range.clone()).unwrap_or_default();
        let text = one_line(text).into();
        self.clauses.push(Clause { part, text, range, wanted, expr });
    }

    /// An expression that can't be cut further.
    fn leaf(&mut self, part: Part, range: Range<usize>, wanted: bool) -> Option<()> {
        let expr = self.text.get(range.clone())?.parse().ok()?;
        self.push(part, range, wanted, expr);
        Some(())
    }

    /// `&&` is cut where all must hold, `||` where none may.
    fn expr(&mut self, part: Part, expr: &Read<cst::Expr>, wanted: bool) -> Option<()> {
        let whole = range(expr)?;
        let Some(cst::Expr::Expr(data)) = &expr.node else { return None };
        let cst::ExprData::Or(or) = data.expr.as_ref() else { return self.leaf(part, whole, wanted) };
        let or_data = or.node.as_ref()?;
        if or_data.extended.is_empty() {
            return self.and(part, &or_data.initial, wanted);
        }
        if wanted {
            return self.leaf(part, whole, wanted);
        }
        std::iter::once(&or_data.initial).chain(&or_data.extended).try_for_each(|and| self.and(part, and, wanted))
    }

    fn and(&mut self, part: Part, and: &Read<cst::And>, wanted: bool) -> Option<()> {
        let data = and.node.as_ref()?;
        if data.extended.is_empty() {
            return self.relation(part, &data.initial, wanted);
        }
        if !wanted {
            return self.leaf(part, range(and)?, wanted);
        }
        std::iter::once(&data.initial).chain(&data.extended).try_for_each(|one| self.relation(part, one, wanted))
    }

    fn relation(&mut self, part: Part, relation: &Read<cst::Relation>, wanted: bool) -> Option<()> {
        match brackets(relation) {
            Some((inner, false)) => self.expr(part, inner, wanted),
            Some((inner, true)) if cuts(inner, !wanted) => self.expr(part, inner, !wanted),
            _ => self.leaf(part, range(relation)?, wanted),
        }
    }
}

/// What stands in brackets, if that is all, and whether it is negated.
fn brackets(relation: &Read<cst::Relation>) -> Option<(&Read<cst::Expr>, bool)> {
    let cst::Relation::Common { initial, extended } = relation.node.as_ref()? else { return None };
    let add = initial.node.as_ref()?;
    let mult = add.initial.node.as_ref()?;
    let unary = mult.initial.node.as_ref()?;
    let member = unary.item.node.as_ref()?;
    if !extended.is_empty() || !add.extended.is_empty() || !mult.extended.is_empty() || !member.access.is_empty() {
        return None;
    }
    let negated = match &unary.op {
        None => false,
        Some(cst::NegOp::Bang(count)) => count % 2 == 1,
        Some(_) => return None,
    };
    match member.item.node.as_ref()? {
        cst::Primary::Expr(inner) => Some((inner, negated)),
        _ => None,
    }
}

/// Whether an expression falls into several clauses.
fn cuts(expr: &Read<cst::Expr>, wanted: bool) -> bool {
    let Some(cst::Expr::Expr(data)) = &expr.node else { return false };
    let cst::ExprData::Or(or) = data.expr.as_ref() else { return false };
    let Some(or) = &or.node else { return false };
    let Some(and) = &or.initial.node else { return false };
    match (or.extended.is_empty(), and.extended.is_empty()) {
        (false, _) => !wanted,
        (true, false) => wanted,
        (true, true) => match brackets(&and.initial) {
            Some((inner, negated)) => cuts(inner, wanted != negated),
            None => false,
        },
    }
}

fn range<T>(node: &Node<T>) -> Option<Range<usize>> {
    node.loc().map(|loc| loc.start()..loc.end())
}

/// Source text with every run of blanks outside strings as one, and without comments.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    let mut end = 0;
    for token in crate::bundle::split::tokens(text) {
        if token.range.start > end && end > 0 {
            line.push(' ');
        }
        line.push_str(text.get(token.range.clone()).unwrap_or_default());
        end = token.range.end;
    }
    line
}
