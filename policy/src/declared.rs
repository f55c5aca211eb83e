//! What the catalog and the configuration declare, in the words that the vocabulary needs.

use crate::question::{FunctionName, PrincipalKind};
use std::{collections::BTreeSet, sync::Arc};

/// Everything outside the policies that the generated vocabulary and the entities are made from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declared {
    /// The node that asks. Bundles are approved for any, so no hash holds it.
    pub gateway: Arc<str>,
    /// Apps, by name.
    pub apps: Vec<App>,
    /// Functions.
    pub functions: Vec<Function>,
    /// Issuer aliases and the groups each may say.
    pub issuers: Vec<Issuer>,
    /// Zones of the network, besides `other`.
    pub zones: Vec<Arc<str>>,
}

/// An app: functions of one owner in one environment.
#[derive(Clone, Debug, PartialEq)]
pub struct App {
    /// Name.
    pub name: Arc<str>,
    /// Owning group, `<issuer alias>/<group>`.
    pub owner: Option<Arc<str>>,
    /// Environment.
    pub environment: Arc<str>,
    /// Calendar, by file name.
    pub calendar: Option<Arc<str>>,
}

/// An issuer of credentials.
#[derive(Clone, Debug, PartialEq)]
pub struct Issuer {
    /// Alias: the first part of ids and groups.
    pub alias: Arc<str>,
    /// Declared groups, each `<alias>/<group>`.
    pub groups: BTreeSet<Arc<str>>,
    /// Groups are managed elsewhere, so any may come.
    pub external_groups: bool,
}

/// A function as policy sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Name.
    pub name: FunctionName,
    /// App.
    pub app: Arc<str>,
    /// Groups of its action, such as `read` or `money`; every function is in `call` besides.
    pub action_groups: Vec<Arc<str>>,
    /// Kinds of caller it is for.
    pub principals: Vec<PrincipalKind>,
    /// Owning group, `<issuer alias>/<group>`.
    pub owner: Option<Arc<str>>,
    /// Tenant.
    pub tenant: Option<Arc<str>>,
    /// Shared by tenants.
    pub shared: bool,
    /// 0 public to 3 restricted.
    pub class: i64,
    /// Labels, such as `pii`.
    pub labels: Vec<Arc<str>>,
    /// May be repeated without further effect.
    pub idempotent: bool,
    /// Path parameters.
    pub path: Vec<Arc<str>>,
    /// Declared query parameters and their types.
    pub query: Vec<(Arc<str>, QueryType)>,
    /// Schema of the input, if it has one.
    pub input: Option<InputSchema>,
    /// Targets, in order.
    pub targets: Vec<Target>,
}

/// The type of a declared query parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryType {
    /// Text.
    String,
    /// A whole number.
    Long,
    /// `true` or `false`.
    Bool,
}

/// A JSON Schema and where it was written.
#[derive(Clone, Debug)]
pub struct InputSchema {
    /// The file as the user named it.
    pub file: Arc<str>,
    /// Its text.
    pub text: Arc<str>,
    /// The parsed text.
    pub json: Arc<serde_json::Value>,
}

impl PartialEq for InputSchema {
    /// The text says it all.
    fn eq(&self, other: &Self) -> bool {
        self.file == other.file && self.text == other.text
    }
}

/// One place where a function runs, as policy sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The backend kind, such as `http`.
    pub provider: &'static str,
    /// Region.
    pub region: Option<Arc<str>>,
    /// Payloads are encrypted for this target.
    pub sealed_to: bool,
}
