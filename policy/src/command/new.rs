//! `policy new`: a policy and its cases for one function, as a beginning that already loads and passes.

use crate::{
    bundle::{Source, load},
    cases,
    declared::{Declared, Function},
    engine::Effect,
    finding::{Finding, Severity},
    question::{FunctionName, PrincipalKind},
    vocabulary::{Vocabulary, Words},
};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use std::{fmt::Write as _, sync::Arc};

mod sample;

/// How many days a new permit grants unless it is said otherwise.
pub const EXPIRES_DAYS: i64 = 90;

/// What is wished.
#[derive(Clone, Debug)]
pub struct Wished {
    /// The function.
    pub function: String,
    /// Whether it permits or forbids.
    pub effect: Effect,
    /// Its id; made from function and caller if absent.
    pub id: Option<String>,
    /// Who answers for it; the function's or its app's owner if absent.
    pub owner: Option<String>,
    /// The group that it is for; the owner's, or the first that is declared, if absent.
    pub group: Option<String>,
    /// The last day of a permit, such as `2027-03-31`; in 90 days if absent.
    pub expires: Option<String>,
}

/// The texts of two new files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Name of the file of policies, without its folder.
    pub policies_file: String,
    /// Its text.
    pub policies: String,
    /// Name of the file of cases.
    pub cases_file: String,
    /// Its text.
    pub cases: String,
    /// What is to be known of it: cases that the other policies make fail.
    pub findings: Vec<Finding>,
}

/// Writes a policy and its cases, and sees that they load beside the policies that are there.
///
/// # Errors
/// What is wrong with the wish, or with the policies that are there.
pub fn draft(
    wished: &Wished,
    declared: &Arc<Declared>,
    there: &[Source],
    now: Timestamp,
) -> Result<Draft, Vec<Finding>> {
    let (vocabulary, _) = Vocabulary::new(declared)?;
    let name = FunctionName::parse(&wished.function).ok();
    let function = declared.functions.iter().find(|function| Some(&function.name) == name.as_ref());
    let Some((function, words)) = function.and_then(|f| Some((f, vocabulary.function(&f.name)?))) else {
        let message = format!("there is no function `{}`", wished.function);
        let finding = Finding::error("unknown_function", "FUNCTION", message);
        return Err(vec![finding.nearest(&wished.function, vocabulary.functions())]);
    };
    let caller = Caller::of(wished, function, declared);
    let id = wished.id.clone().unwrap_or_else(|| format!("{}.{}", function.name, caller.word()));
    let policies_file = format!("{}.cedar", function.name);
    let cases_file = format!("{}.cases.toml", function.name);
    let policies = policy(wished, &id, (function, words), &caller, declared, now);
    let own = Source { file: policies_file.as_str().into(), text: policies.as_str().into() };
    let all: Vec<_> = there.iter().cloned().chain([own]).collect();
    let snapshot = load(&all, Arc::clone(declared), now).map_err(|findings| {
        let wrong = findings.into_iter().filter(|finding| finding.severity == Severity::Error);
        wrong.collect::<Vec<_>>()
    })?;
    let run = |text: &str| {
        let source = Source { file: cases_file.as_str().into(), text: text.into() };
        cases::run(&[source], &snapshot.0, now)
    };
    let member = case(wished.effect, &id, (function, words), &caller, now);
    let stranger = stranger(wished.effect, (function, words), &caller);
    // Another policy may let everybody in; then it is not for this one to say that strangers stay outside.
    let both = format!("{member}{stranger}");
    let cases = if run(&both).cases.last().is_some_and(|case| case.passed) { both } else { member };
    let report = run(&cases);
    let failing = report.cases.iter().filter(|case| !case.passed).map(|case| {
        let message = format!("the case `{}` does not pass yet: {}", case.name, case.differences.join("; "));
        Finding::error("case_fails", cases_file.as_str(), message).warning()
    });
    let findings = failing.chain(report.findings.iter().cloned()).collect();
    Ok(Draft { policies_file, policies, cases_file, cases, findings })
}

/// Whom the policy is for.
struct Caller {
    kind: PrincipalKind,
    group: Option<String>,
    alias: String,
}

impl Caller {
    fn of(wished: &Wished, function: &Function, declared: &Declared) -> Self {
        let nameable = |kind: &&PrincipalKind| {
            !matches!(kind, PrincipalKind::Agent | PrincipalKind::Anonymous | PrincipalKind::System)
        };
        let kind = function.principals.iter().filter(nameable).min().or(function.principals.first());
        let kind = kind.copied().unwrap_or(PrincipalKind::User);
        let first = declared.issuers.iter().flat_map(|issuer| &issuer.groups).next();
        let group =
            wished.group.clone().or_else(|| function.owner.as_deref().or(first.map(AsRef::as_ref)).map(str::to_owned));
        let group = group.filter(|_| kind != PrincipalKind::Anonymous);
        let alias = group.as_ref().and_then(|group| group.split_once('/')).map(|(alias, _)| alias.to_owned());
        let some_issuer = || declared.issuers.first().map_or_else(|| "issuer".to_owned(), |i| i.alias.to_string());
        Self { kind, group, alias: alias.unwrap_or_else(some_issuer) }
    }

    /// A word for ids.
    fn word(&self) -> String {
        let group = self.group.as_ref().and_then(|group| group.split_once('/'));
        group.map_or_else(|| self.kind.as_str().to_lowercase(), |(_, group)| group.replace(['/', ' '], "-"))
    }

    fn scope(&self) -> String {
        match &self.group {
            Some(group) => format!("principal in Group::\"{}\"", group.escape_default()),
            None => format!("principal is {}", self.kind.as_str()),
        }
    }

    /// Its `[principal.NAME]` in cases.
    fn described(&self, name: &str, member: bool) -> String {
        let id = match self.kind {
            PrincipalKind::Workload => format!("spiffe://example.test/{name}"),
            _ => format!("{}/{name}", self.alias),
        };
        let groups = self.group.as_ref().filter(|_| member).map(|group| format!("groups = [{}]\n", quoted(group)));
        format!(
            "[principal.{name}]\nkind = \"{}\"\nid = {}\n{}",
            self.kind.as_str(),
            quoted(&id),
            groups.unwrap_or_default()
        )
    }
}

fn policy(
    wished: &Wished,
    id: &str,
    (function, words): (&Function, &Words),
    caller: &Caller,
    declared: &Declared,
    now: Timestamp,
) -> String {
    let name = &function.name;
    let mut text = String::new();
    let (verb, who) = match wished.effect {
        Effect::Permit => ("permit", "Who may call"),
        Effect::Forbid => ("forbid", "Who must not call"),
    };
    let _ = writeln!(
        text,
        "// {who} `{name}`. A condition narrows it: `when {{ … }}` or `unless {{ … }}`, before the semicolon."
    );
    let fields = sample::fields(words);
    if !fields.is_empty() {
        text.push_str("// Besides `context.facts` it can look at:\n");
        for field in fields {
            let _ = writeln!(text, "//   {field}");
        }
    }
    let app = declared.apps.iter().find(|app| app.name == function.app);
    let owner = function.owner.as_ref().or_else(|| app.and_then(|app| app.owner.as_ref()));
    let owner = wished.owner.clone().unwrap_or_else(|| owner.map_or_else(|| caller.alias.clone(), ToString::to_string));
    let _ = writeln!(text, "@id(\"{}\")\n@owner(\"{}\")", id.escape_default(), owner.escape_default());
    if wished.effect == Effect::Permit {
        let last = || TimeZone::UTC.to_datetime(now).date().saturating_add(EXPIRES_DAYS.days()).to_string();
        let _ = writeln!(text, "@expires(\"{}\")", wished.expires.clone().unwrap_or_else(last).escape_default());
    }
    let (scope, action) = (caller.scope(), name.as_str());
    let _ = writeln!(
        text,
        "{verb} (\n  {scope},\n  action == Action::\"{action}\",\n  resource == Function::\"{action}\"\n);"
    );
    text
}

/// The case that the policy decides.
fn case(effect: Effect, id: &str, of: (&Function, &Words), caller: &Caller, now: Timestamp) -> String {
    let name = &of.0.name;
    let (may, expect) = match effect {
        Effect::Permit => ("may", "expect = \"allow\"".to_owned()),
        Effect::Forbid => ("must not", "expect = \"deny\"\nreason = \"forbidden\"".to_owned()),
    };
    let (who, described) = match caller.kind {
        PrincipalKind::Anonymous => ("anonymous", String::new()),
        _ => ("member", format!("{}\n", caller.described("member", true))),
    };
    let whom = caller.group.clone().unwrap_or_else(|| caller.kind.as_str().to_owned());
    let parameters = sample::parameters(of.1, of.0.input.as_ref());
    let title = quoted(&format!("{whom} {may} call {name}"));
    format!(
        "# What policy must answer to calls of `{name}`.\n\n{described}[facts.clock]\nnow = {now:.0}\n\n[[case]]\n\
         name = {title}\nprincipal = \"{who}\"\nfunction = \"{name}\"\n{parameters}{expect}\nbecause = [{}]\n",
        quoted(id)
    )
}

/// The case that it does not decide.
fn stranger(effect: Effect, of: (&Function, &Words), caller: &Caller) -> String {
    if effect == Effect::Forbid || caller.group.is_none() {
        return String::new();
    }
    let (name, parameters) = (&of.0.name, sample::parameters(of.1, of.0.input.as_ref()));
    format!(
        "\n[[case]]\nname = \"nobody else may call {name}\"\nprincipal = \"stranger\"\nfunction = \"{name}\"\n\
         {parameters}expect = \"deny\"\n\n{}",
        caller.described("stranger", false)
    )
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests;
