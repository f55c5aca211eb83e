//! Walking over the conditions of policies.

use cedar_policy::pst::{Clause, Expr, Template, Var};

/// The parts of an expression, in the order in which they are evaluated.
pub(crate) fn parts(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::UnaryOp { expr, .. }
        | Expr::GetAttr { expr, .. }
        | Expr::HasAttr { expr, .. }
        | Expr::Like { expr, .. } => vec![expr],
        Expr::BinaryOp { left, right, .. } => vec![left, right],
        Expr::Is { expr, in_expr, .. } => {
            std::iter::once(expr.as_ref()).chain(in_expr.iter().map(AsRef::as_ref)).collect()
        }
        Expr::IfThenElse { cond, then_expr, else_expr } => vec![cond, then_expr, else_expr],
        Expr::Set(items) => items.iter().map(AsRef::as_ref).collect(),
        Expr::Record(members) => members.values().map(AsRef::as_ref).collect(),
        _ => Vec::new(),
    }
}

/// Conditions of a policy.
pub(crate) fn conditions(policy: &Template) -> impl Iterator<Item = &Expr> {
    policy.clauses().iter().map(|clause| match clause {
        Clause::When(expr) | Clause::Unless(expr) => expr.as_ref(),
    })
}

/// Whether a policy looks at `context.input`. The whole context counts: who knows what becomes of it.
pub(crate) fn reads_input(policy: &Template) -> bool {
    conditions(policy).any(reads)
}

fn reads(expr: &Expr) -> bool {
    match expr {
        Expr::GetAttr { expr, attr } if is_context(expr) => attr == "input",
        Expr::HasAttr { expr, attrs } if is_context(expr) => attrs.first() == "input",
        Expr::Var(Var::Context) => true,
        _ => parts(expr).into_iter().any(reads),
    }
}

/// Whether a policy looks at anything of the context besides the facts, which are the same for every function.
pub(crate) fn reads_words(policy: &Template) -> bool {
    conditions(policy).any(beyond_facts)
}

fn beyond_facts(expr: &Expr) -> bool {
    match expr {
        Expr::GetAttr { expr, attr } if is_context(expr) => attr != "facts",
        Expr::HasAttr { expr, attrs } if is_context(expr) => attrs.first() != "facts",
        Expr::Var(Var::Context) => true,
        _ => parts(expr).into_iter().any(beyond_facts),
    }
}

fn is_context(expr: &Expr) -> bool {
    matches!(expr, Expr::Var(Var::Context))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cedar_policy::Policy;

    fn check(condition: &str, expected: bool) {
        let text = format!("permit(principal, action, resource) when {{ {condition} }};");
        let policy = Policy::parse(None, text).unwrap().to_pst().unwrap();
        assert_eq!(reads_input(policy.body()), expected, "{condition}");
    }

    #[test]
    fn finds_every_way_to_look_at_the_input() {
        for condition in [
            "context.input.a == 1",
            "context has input",
            "context has input.a.b",
            "context[\"input\"].a == 1",
            "if principal is User then context.input.a == 1 else false",
            "[1, 2].contains(context.input.a)",
            "principal is User in Group::\"a/b\" && !(context.input.n like \"x*\")",
            "{ a: context } == { a: context }",
            "decimal(\"1.0\").lessThan(context.input.d)",
        ] {
            check(condition, true);
        }
        for condition in
            ["context.facts.transport.mtls", "resource.input", "context.path.input == \"x\"", "context has query"]
        {
            check(condition, false);
        }
    }
}
