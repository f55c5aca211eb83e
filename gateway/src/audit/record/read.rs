//! The bodies of `intent`, `refused` and `closed`, as they are read back.

use super::{Outcome, Request, Run, Stage};
use policy::{
    permit::{BundleId, DenialReason, PolicyName, TargetIndex},
    question::{Facts, FunctionName, Principal, Verb},
};
use serde::Deserialize;
use std::{collections::BTreeMap, net::IpAddr};

/// `intent`, as it is read back.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct IntentBody {
    /// Function.
    pub function: FunctionName,
    /// The function's tenant.
    pub tenant: Option<String>,
    /// Who calls.
    pub principal: Principal,
    /// What it wants.
    pub verb: Verb,
    /// What policy knew besides the input.
    pub facts: Facts,
    /// Path parameters.
    #[serde(default)]
    pub path: BTreeMap<String, String>,
    /// Declared query parameters.
    #[serde(default)]
    pub query: BTreeMap<String, Vec<String>>,
    /// What is recorded of the input, when policy read it.
    pub input: Option<serde_json::Value>,
    /// The places of the input that were read, as JSON pointers into it; absent when all of it is recorded.
    #[serde(default)]
    pub input_read: Option<Vec<String>>,
    /// What stands for each concealed field, by its place. Where a fact must be there, `facts` has a stand-in.
    #[serde(default)]
    pub protected: BTreeMap<String, String>,
    /// Which bundle decided.
    pub bundle: BundleId,
    /// `allow`, or `deny` where that was only observed.
    pub decision: String,
    /// Why policy said no, where that was only observed.
    pub observed: Option<DenialReason>,
    /// The call ran before the log took this, as its function's configuration allows.
    #[serde(default)]
    pub late: bool,
    /// The permits that were satisfied.
    pub determining: Vec<PolicyName>,
    /// The targets on which it may run.
    pub targets: Vec<TargetIndex>,
    /// The target that is asked first.
    pub target: TargetIndex,
    /// Why that one, where there are others: see `mesh::dispatch::Chosen`.
    #[serde(default)]
    pub chosen: Option<String>,
    /// Those that are allowed and were passed over because they did not work at the time.
    #[serde(default)]
    pub resting: Vec<TargetIndex>,
    /// Listener.
    pub listener: Option<String>,
    /// Trace id.
    pub trace: Option<String>,
    /// Request line.
    pub request: Option<Request>,
    /// Members that were cut because the record was too large.
    #[serde(default)]
    pub truncated: Vec<String>,
}

/// `refused`, as it is read back: as much as was known.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct RefusedBody {
    /// Audit word of the refusal.
    pub refusal: String,
    /// HTTP status that was answered.
    pub status: u16,
    /// Step of the pipeline that refused.
    pub stage: Stage,
    /// Listener.
    pub listener: Option<String>,
    /// The caller's address.
    pub source: Option<IpAddr>,
    /// Function, if the call was routed.
    pub function: Option<FunctionName>,
    /// The function's tenant.
    pub tenant: Option<String>,
    /// Who called, if it was identified.
    pub principal: Option<Principal>,
    /// What it wanted.
    pub verb: Option<Verb>,
    /// What policy knew besides the input.
    pub facts: Option<Facts>,
    /// Path parameters.
    #[serde(default)]
    pub path: BTreeMap<String, String>,
    /// Declared query parameters.
    #[serde(default)]
    pub query: BTreeMap<String, Vec<String>>,
    /// What is recorded of the input, when policy read it.
    pub input: Option<serde_json::Value>,
    /// The places of the input that were read, as JSON pointers into it; absent when all of it is recorded.
    #[serde(default)]
    pub input_read: Option<Vec<String>>,
    /// What stands for each concealed field, by its place. Where a fact must be there, `facts` has a stand-in.
    #[serde(default)]
    pub protected: BTreeMap<String, String>,
    /// Which bundle decided.
    pub bundle: Option<BundleId>,
    /// Why policy said no.
    pub reason: Option<DenialReason>,
    /// The forbids that were satisfied, or the policies that could not be evaluated.
    #[serde(default)]
    pub determining: Vec<PolicyName>,
    /// Evaluation errors or absent entities, in words.
    #[serde(default)]
    pub errors: Vec<String>,
    /// Whether the caller may know that the function exists.
    pub may_describe: Option<bool>,
    /// Trace id.
    pub trace: Option<String>,
    /// Request line.
    pub request: Option<Request>,
    /// From arrival to refusal.
    pub duration_us: u64,
    /// Bytes of the request body that were read.
    pub bytes_in: u64,
    /// Members that were cut because the record was too large.
    #[serde(default)]
    pub truncated: Vec<String>,
}

/// `closed`, as it is read back.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ClosedBody {
    /// How it ended.
    pub outcome: Outcome,
    /// HTTP status; absent when none was sent.
    pub status: Option<u16>,
    /// Bytes of the request body.
    pub bytes_in: u64,
    /// Bytes of the reply's body.
    pub bytes_out: u64,
    /// From arrival to end.
    pub duration_us: u64,
    /// What failed, as a word.
    pub error: Option<String>,
    /// How the last attempt ran, as far as it is known.
    #[serde(default)]
    pub run: Option<Run>,
}
