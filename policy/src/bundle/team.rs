//! A team's folder: `team.toml` binds it to an app, and no policy in it may reach further, permit or forbid.

use super::{
    Source,
    kept::Piece,
    split::{self, Constant},
};
use crate::{
    declared::Declared,
    finding::{Finding, nearest},
    index::{Actions, Bound, Scope},
};
use serde::Deserialize;
use std::collections::BTreeSet;
use toml::Spanned;

/// The file that binds its folder.
pub const FILE: &str = "team.toml";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    app: Spanned<String>,
}

/// A folder and what its policies may name.
#[derive(Debug)]
struct Team<'a> {
    /// With its last `/`; empty for the folder that everything is in.
    folder: &'a str,
    app: String,
    functions: BTreeSet<&'a str>,
}

/// Whether a source binds its folder instead of holding policies.
pub(crate) fn is_binding(source: &Source) -> bool {
    source.file.rsplit('/').next() == Some(FILE)
}

/// Reports what reaches beyond the app of its folder. Folders within a bound one are bound with it.
pub(crate) fn check(sources: &[Source], pieces: &[Piece], declared: &Declared, findings: &mut Vec<Finding>) {
    let bindings = sources.iter().filter(|source| is_binding(source));
    let teams: Vec<Team<'_>> = bindings.filter_map(|source| read(source, declared, findings)).collect();
    for team in &teams {
        for piece in pieces.iter().filter(|piece| piece.place.source.file.starts_with(team.folder)) {
            match &piece.written {
                Some(written) => team.check(piece, &written.constants, &written.scope, findings),
                // Another folder may bind it than did when it was kept.
                None => team.check(piece, &split::constants(piece.place.text()), &piece.kept.scope(), findings),
            }
        }
    }
}

fn read<'a>(source: &'a Source, declared: &'a Declared, findings: &mut Vec<Finding>) -> Option<Team<'a>> {
    let file: File = match toml::from_str(&source.text) {
        Ok(file) => file,
        Err(error) => {
            let message = error.message().lines().next().unwrap_or_default().to_owned();
            let finding = Finding::error("team_syntax", source.file.as_ref(), message);
            findings.push(finding.at(&source.text, error.span().unwrap_or(0..0)).help("such as `app = \"shop\"`"));
            return None;
        }
    };
    let app = file.app.get_ref();
    let known = || declared.apps.iter().map(|app| app.name.as_ref());
    if !known().any(|name| name == app) {
        let finding = Finding::error("unknown_app", source.file.as_ref(), format!("there is no app `{app}`"));
        let finding = finding.at(&source.text, file.app.span());
        findings.push(match nearest(app, known()) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding,
        });
        // Its policies are not judged by an app that isn't there; the load fails anyhow.
        return None;
    }
    let own = declared.functions.iter().filter(|function| function.app.as_ref() == app);
    let functions = own.map(|function| function.name.as_str()).collect();
    let folder = source.file.strip_suffix(FILE).unwrap_or_default();
    Some(Team { folder, app: file.app.into_inner(), functions })
}

impl Team<'_> {
    fn check(&self, piece: &Piece, constants: &[Constant], scope: &Scope, findings: &mut Vec<Finding>) {
        let (place, name) = (&piece.place, &piece.kept.name);
        let foreign = constants.iter().find(|constant| !self.may_name(constant));
        if let Some(constant) = foreign {
            let message = format!("this folder is of the app `{}`, and `{}` is not in it", self.app, constant.id);
            findings.push(place.finding("foreign_name", message, Some(constant.range.clone())));
        } else if !self.within(scope) {
            let message = format!("this folder is of the app `{}`, and `{name}` reaches beyond it", self.app);
            let help = format!("write `resource in App::\"{}\"`, or name a function of it", self.app);
            findings.push(place.finding("beyond_team", message, None).help(help));
        }
    }

    /// Whether a constant is of the app, or of nobody's.
    fn may_name(&self, constant: &Constant) -> bool {
        let id = constant.id.as_str();
        match constant.entity_type.as_str() {
            "Function" => self.functions.contains(id),
            "Target" => id.rsplit_once('#').is_some_and(|(function, _)| self.functions.contains(function)),
            "App" => id == self.app,
            // Names of functions have a dot, those of groups never; fixed actions are bound by their resource.
            "Action" => !id.contains('.') || self.functions.contains(id),
            _ => true,
        }
    }

    /// Whether the head matches nothing outside. Names in it were judged before.
    fn within(&self, scope: &Scope) -> bool {
        let own = |name: &str| self.functions.contains(name);
        let actions = match &scope.action {
            Actions::Any => false,
            Actions::Eq(name) => own(name),
            Actions::In(names) => names.iter().all(|name| own(name)),
        };
        let resource = match &scope.resource {
            Bound::Eq(uid) | Bound::In(uid) | Bound::IsIn(_, uid) => {
                matches!(uid.type_name().basename(), "App" | "Function" | "Target")
            }
            Bound::Any | Bound::Is(_) => false,
        };
        actions || resource
    }
}

#[cfg(test)]
mod tests;
