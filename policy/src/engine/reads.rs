//! Which facts policies look at, so that a question is made of those alone.

use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Var};
use std::ops::BitOr;

/// A set of facts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Reads(u32);

impl Reads {
    pub(crate) const ALL: Self = Self(u32::MAX);
    pub(crate) const CALL: Self = Self(1);
    pub(crate) const NETWORK: Self = Self(0b110);
    pub(crate) const SOURCE: Self = Self(1 << 1);
    pub(crate) const ZONE: Self = Self(1 << 2);
    pub(crate) const TRANSPORT: Self = Self(1 << 3);
    pub(crate) const CLOCK: Self = Self(0b11 << 4);
    pub(crate) const NOW: Self = Self(1 << 4);
    /// Everything of the clock but the instant.
    pub(crate) const CALENDAR: Self = Self(1 << 5);
    pub(crate) const VIA: Self = Self(1 << 6);
    pub(crate) const TOKEN: Self = Self(0b11_1111 << 7);
    pub(crate) const SCOPES: Self = Self(1 << 7);
    pub(crate) const AUDIENCES: Self = Self(1 << 8);
    pub(crate) const ISSUED: Self = Self(1 << 9);
    pub(crate) const AUTHENTICATED: Self = Self(1 << 10);
    pub(crate) const AMR: Self = Self(1 << 11);
    /// Whether there is a token, and what else it says.
    pub(crate) const TOKEN_REST: Self = Self(1 << 12);
    /// Entities, besides that the question names them.
    pub(crate) const ENTITIES: Self = Self(1 << 13);

    /// What an expression looks at.
    pub(crate) fn of(expr: &Expr) -> Self {
        let mut path = Vec::new();
        if of_context(expr, &mut path) {
            let asks = matches!(expr.expr_kind(), ExprKind::HasAttr { .. } | ExprKind::ExtHasAttr { .. });
            return if asks { Self::presence(&path) } else { Self::at(&path) } | Self::beyond(&path);
        }
        parts(expr).into_iter().map(Self::of).fold(Self::entities(expr), BitOr::bitor)
    }

    /// Whether an expression itself looks into an entity; the members of any record but the context count as one's.
    fn entities(expr: &Expr) -> Self {
        match expr.expr_kind() {
            ExprKind::GetAttr { .. } | ExprKind::HasAttr { .. } | ExprKind::ExtHasAttr { .. } => Self::ENTITIES,
            ExprKind::BinaryApp { op: BinaryOp::In | BinaryOp::GetTag | BinaryOp::HasTag, .. } => Self::ENTITIES,
            _ => Self::default(),
        }
    }

    /// Of all facts only those that say who forwards a call are entities, and inputs have none.
    fn beyond(path: &[&str]) -> Self {
        if matches!(path, ["facts", "via", _, _, ..]) { Self::ENTITIES } else { Self::default() }
    }

    /// What is enough to tell whether a fact is there.
    fn presence(path: &[&str]) -> Self {
        match path {
            ["facts", "token"] => Self::TOKEN_REST,
            ["facts", "network"] => Self::ZONE,
            ["facts", "clock"] => Self::CALENDAR,
            _ => Self::at(path),
        }
    }

    /// Whether any of these are in it.
    pub(crate) fn any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }

    fn at(path: &[&str]) -> Self {
        match path {
            [] | ["facts"] => Self::ALL,
            ["facts", "call", ..] => Self::CALL,
            ["facts", "network", "source", ..] => Self::SOURCE,
            ["facts", "network", "zone", ..] => Self::ZONE,
            ["facts", "network", ..] => Self::NETWORK,
            ["facts", "transport", ..] => Self::TRANSPORT,
            ["facts", "clock", "now", ..] => Self::NOW,
            ["facts", "clock", "weekday" | "minute" | "business_day" | "frozen", ..] => Self::CALENDAR,
            ["facts", "clock", ..] => Self::CLOCK,
            ["facts", "via", ..] => Self::VIA,
            ["facts", "token", "scopes", ..] => Self::SCOPES,
            ["facts", "token", "audiences", ..] => Self::AUDIENCES,
            ["facts", "token", "issued", ..] => Self::ISSUED,
            ["facts", "token", "authenticated", ..] => Self::AUTHENTICATED,
            ["facts", "token", "amr", ..] => Self::AMR,
            ["facts", "token", "sender_bound" | "acr", ..] => Self::TOKEN_REST,
            ["facts", "token", ..] => Self::TOKEN,
            // A fact that this list doesn't know would be missed silently.
            ["facts", ..] => Self::ALL,
            // Paths, queries and inputs are not facts.
            _ => Self::default(),
        }
    }
}

impl BitOr for Reads {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Whether an expression is a member of the context, or asks for one; then `path` leads to it.
pub(super) fn of_context<'a>(expr: &'a Expr, path: &mut Vec<&'a str>) -> bool {
    match expr.expr_kind() {
        ExprKind::Var(Var::Context) => true,
        ExprKind::GetAttr { expr, attr } | ExprKind::HasAttr { expr, attr } => {
            let found = of_context(expr, path);
            path.push(attr);
            found
        }
        ExprKind::ExtHasAttr { expr, attrs } => {
            let found = of_context(expr, path);
            path.extend(attrs.iter().map(|attr| attr.as_str()));
            found
        }
        _ => false,
    }
}

/// The parts of an expression, in the order in which they are evaluated. Every kind is named, so that one that a new
/// version of Cedar brings is not overlooked.
pub(crate) fn parts(expr: &Expr) -> Vec<&Expr> {
    match expr.expr_kind() {
        ExprKind::Lit(_) | ExprKind::Var(_) | ExprKind::Slot(_) | ExprKind::Unknown(_) => Vec::new(),
        ExprKind::If { test_expr, then_expr, else_expr } => vec![test_expr, then_expr, else_expr],
        ExprKind::And { left, right } | ExprKind::Or { left, right } => vec![left, right],
        ExprKind::BinaryApp { arg1, arg2, .. } => vec![arg1, arg2],
        ExprKind::UnaryApp { arg, .. } => vec![arg],
        ExprKind::ExtensionFunctionApp { args, .. } => args.iter().collect(),
        ExprKind::GetAttr { expr, .. }
        | ExprKind::HasAttr { expr, .. }
        | ExprKind::ExtHasAttr { expr, .. }
        | ExprKind::Like { expr, .. }
        | ExprKind::Is { expr, .. } => vec![expr],
        ExprKind::Set(items) => items.iter().collect(),
        ExprKind::Record(members) => members.values().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cedar_policy::Policy;

    fn check(condition: &str, expected: Reads) {
        let text = format!("permit(principal, action, resource) when {{ {condition} }};");
        let policy = Policy::parse(None, text).unwrap();
        let policy: &cedar_policy_core::ast::Policy = policy.as_ref();
        assert_eq!(Reads::of(policy.non_scope_constraints().unwrap()), expected, "{condition}");
    }

    #[test]
    fn a_fact_is_read_wherever_it_stands() {
        check("context.facts.network.source.isInRange(ip(\"10.0.0.0/8\"))", Reads::SOURCE);
        let scopes = Reads::SCOPES | Reads::TOKEN_REST;
        check("context.facts has token && context.facts.token.scopes.contains(\"a\")", scopes);
        check("context.facts.token == { a: 1 }", Reads::TOKEN);
        check("context.facts has token.issued", Reads::ISSUED);
        check("context[\"facts\"][\"clock\"].now > datetime(\"2026-01-01\")", Reads::NOW);
        check("principal == User::\"x\" && context.input.a == 1 && context.path has sku", Reads::default());
        check("context.facts.network == { zone: \"x\" }", Reads::NETWORK);
        let both = Reads::TRANSPORT | Reads::CALENDAR;
        check("if context.facts.transport.mtls then context.facts.clock.minute > 1 else false", both);
        check("[context.facts.clock.frozen].contains(!context.facts.transport.sealed)", both);
    }

    #[test]
    fn a_look_into_an_entity_is_seen() {
        for condition in [
            "principal in Group::\"a\"",
            "principal.name == \"x\"",
            "principal has name",
            "principal.hasTag(\"x\")",
            "(if true then principal else principal) has name",
            "{ a: principal }.a in Group::\"a\"",
            "resource is Function in App::\"shop\"",
        ] {
            check(condition, Reads::ENTITIES);
        }
        check("context.facts.via.workload.attested", Reads::VIA | Reads::ENTITIES);
        check("context.facts.via has workload", Reads::VIA);
        check("context.facts.via.workload in Group::\"a\"", Reads::VIA | Reads::ENTITIES);
        check("principal is User && resource == Function::\"a\"", Reads::default());
    }

    #[test]
    fn what_takes_the_whole_reads_all() {
        check("context == { a: 1 }", Reads::ALL);
        check("{ a: context.facts } == { a: context.facts }", Reads::ALL);
        check("context.facts.brand_new", Reads::ALL);
    }
}
