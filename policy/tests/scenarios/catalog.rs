//! What a scenario's catalog declares, and its files.

use policy::{
    bundle::Source,
    declared::{App, Declared, Function, InputSchema, Issuer, QueryType, Target},
    question::{FunctionName, PrincipalKind},
};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalog {
    #[serde(default)]
    zones: Vec<Arc<str>>,
    issuer: BTreeMap<Arc<str>, RawIssuer>,
    app: BTreeMap<Arc<str>, RawApp>,
    function: BTreeMap<FunctionName, RawFunction>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIssuer {
    #[serde(default)]
    groups: BTreeSet<Arc<str>>,
    #[serde(default)]
    external: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawApp {
    owner: Option<Arc<str>>,
    environment: Arc<str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFunction {
    app: Arc<str>,
    #[serde(default)]
    action_groups: Vec<Arc<str>>,
    principals: Option<Vec<PrincipalKind>>,
    tenant: Option<Arc<str>>,
    #[serde(default)]
    shared: bool,
    class: Option<i64>,
    #[serde(default)]
    labels: Vec<Arc<str>>,
    #[serde(default)]
    idempotent: bool,
    #[serde(default)]
    path: Vec<Arc<str>>,
    #[serde(default)]
    query: BTreeMap<Arc<str>, String>,
    input: Option<String>,
    regions: Vec<Arc<str>>,
}

/// Every scenario with cases: the folders with a catalog, at any depth.
pub(crate) fn folders() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")];
    while let Some(folder) = open.pop() {
        if folder.join("catalog.toml").exists() {
            assert!(folder.join("README.md").exists(), "{} needs a README", folder.display());
            found.push(folder);
        } else {
            open.extend(fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()));
        }
    }
    found.sort();
    found
}

pub(crate) fn declared(folder: &Path) -> Declared {
    let catalog: Catalog = toml::from_str(&fs::read_to_string(folder.join("catalog.toml")).unwrap()).unwrap();
    let app =
        |(name, raw): (Arc<str>, RawApp)| App { name, owner: raw.owner, environment: raw.environment, calendar: None };
    let issuer =
        |(alias, raw): (Arc<str>, RawIssuer)| Issuer { alias, groups: raw.groups, external_groups: raw.external };
    Declared {
        gateway: "gw-1".into(),
        apps: catalog.app.into_iter().map(app).collect(),
        functions: catalog.function.into_iter().map(|(name, raw)| function(name, raw, folder)).collect(),
        issuers: catalog.issuer.into_iter().map(issuer).collect(),
        zones: catalog.zones,
    }
}

fn function(name: FunctionName, raw: RawFunction, folder: &Path) -> Function {
    let query = |(name, kind): (Arc<str>, String)| match kind.as_str() {
        "String" => (name, QueryType::String),
        "Long" => (name, QueryType::Long),
        "Bool" => (name, QueryType::Bool),
        other => panic!("no query type {other}"),
    };
    let input = raw.input.map(|file| {
        let text = fs::read_to_string(folder.join(&file)).unwrap();
        InputSchema { json: Arc::new(serde_json::from_str(&text).unwrap()), text: text.into(), file: file.into() }
    });
    let target = |region| Target { provider: "http", region: Some(region), sealed_to: false };
    Function {
        name,
        app: raw.app,
        action_groups: raw.action_groups,
        principals: raw.principals.unwrap_or(PrincipalKind::ALL.to_vec()),
        owner: None,
        tenant: raw.tenant,
        shared: raw.shared,
        class: raw.class.unwrap_or(1),
        labels: raw.labels,
        idempotent: raw.idempotent,
        path: raw.path,
        query: raw.query.into_iter().map(query).collect(),
        input,
        targets: raw.regions.into_iter().map(target).collect(),
    }
}

pub(crate) fn files(folder: &Path, suffix: &str) -> Vec<Source> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let wanted = paths.into_iter().filter(|path| path.to_string_lossy().ends_with(suffix));
    wanted
        .map(|path| Source { file: path.to_string_lossy().into(), text: fs::read_to_string(&path).unwrap().into() })
        .collect()
}
