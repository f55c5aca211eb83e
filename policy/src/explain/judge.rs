//! One policy against one request: every clause with what came of it and what it read.

use super::{
    anatomy::{Clause, Part},
    open::opened,
    read::{self, Because, Read},
    words,
};
use crate::engine::look::{Ask, Asks, Open};
use cedar_policy_core::{
    ast::{EntityUID, EntityUIDEntry, Expr, Literal, PartialValue, Request, SlotEnv, Value, ValueKind},
    evaluator::Evaluator,
    extensions::Extensions,
};
use std::sync::Arc;

/// Longest value that is shown, in characters.
pub(crate) const VALUE_CHARS_MAX: usize = 200;

/// What came of a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    /// As it must for the policy to apply.
    Holds,
    /// Otherwise.
    Fails,
    /// It can't be evaluated.
    Error,
    /// It depends on what is not known here.
    Unknown,
}

/// A clause with what came of it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Judged {
    /// Where it stands.
    pub part: Part,
    /// As it was written.
    pub text: Arc<str>,
    /// Line in the file.
    pub line: usize,
    /// What it must be for the policy to apply; `false` in an `unless`.
    pub wanted: bool,
    /// What came of it.
    pub came: Came,
    /// Whether a clause before it decided already, so that it was looked at only for this explanation.
    pub past: bool,
    /// What it read, with the values.
    pub reads: Vec<Read>,
    /// Which parts of it decided, where it is an `||` or an `if`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<Because>,
    /// Why it can't be evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What would make it hold, in words.
    pub needs: String,
}

/// Evaluates clauses of one request.
pub(crate) struct Judge<'a> {
    evaluator: Evaluator<'a>,
    open: &'a [Open],
}

impl<'a> Judge<'a> {
    pub(crate) fn new(ask: &Ask<'_>, asks: &'a Asks<'_>) -> Self {
        let known = |uid: &Arc<EntityUID>| EntityUIDEntry::Known { euid: Arc::clone(uid), loc: None };
        let (principal, action, resource) = (known(&ask.principal), known(&ask.action), known(&ask.resource));
        let request = Request::new_unchecked(principal, action, resource, ask.context.clone());
        let evaluator = Evaluator::new(request, &asks.entities, Extensions::all_available());
        Self { evaluator, open: &asks.open }
    }

    /// What an expression is worth.
    pub(crate) fn value(&self, expr: &Expr) -> Result<PartialValue, String> {
        let expr = opened(expr, self.open);
        self.evaluator.partial_interpret(&expr, &SlotEnv::new()).map_err(|error| error.to_string())
    }

    /// Whether an expression holds; `None` if that depends on what is not known.
    pub(crate) fn truth(&self, expr: &Expr) -> Result<Option<bool>, String> {
        match self.value(expr)? {
            PartialValue::Residual(_) => Ok(None),
            PartialValue::Value(value) => match truth(&value) {
                Some(truth) => Ok(Some(truth)),
                None => Err(format!("it is {}, which is neither true nor false", shown(&value))),
            },
        }
    }

    /// What came of a clause, without the story.
    pub(crate) fn came(&self, clause: &Clause) -> (Came, Option<String>) {
        match self.truth(&clause.expr) {
            Ok(Some(truth)) if truth == clause.wanted => (Came::Holds, None),
            Ok(Some(_)) => (Came::Fails, None),
            Ok(None) => (Came::Unknown, None),
            Err(error) => (Came::Error, Some(error)),
        }
    }

    /// A clause with its story.
    pub(crate) fn judge(&self, clause: &Clause, line: usize, past: bool) -> Judged {
        let (came, error) = self.came(clause);
        let because = if came == Came::Holds { Vec::new() } else { read::because(self, &clause.expr) };
        Judged {
            part: clause.part,
            text: Arc::clone(&clause.text),
            line,
            wanted: clause.wanted,
            came,
            past,
            reads: read::reads(self, &clause.expr),
            because,
            error,
            needs: words::needs(clause),
        }
    }
}

pub(crate) fn truth(value: &Value) -> Option<bool> {
    match value.value_kind() {
        ValueKind::Lit(Literal::Bool(truth)) => Some(*truth),
        _ => None,
    }
}

/// A value as Cedar writes it, bounded.
pub(crate) fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= VALUE_CHARS_MAX {
        return text;
    }
    text.chars().take(VALUE_CHARS_MAX).chain("…".chars()).collect()
}
