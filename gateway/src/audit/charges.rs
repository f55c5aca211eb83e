//! What runs are estimated to have cost, from the records of a log.

use super::{
    query::{Line, Problem, What},
    record::{Kind, Run},
};
use jiff::Timestamp;
use policy::question::FunctionName;
use serde::Deserialize;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};
use uuid::Uuid;

/// Most calls whose end is awaited; the oldest is forgotten.
const OPEN_MAX: usize = 64 * 1024;

/// A run that a record tells of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Charge {
    /// When it was recorded.
    pub(crate) at: Timestamp,
    pub(crate) function: FunctionName,
    /// Who called; what stands for it where callers are concealed.
    pub(crate) caller: Arc<str>,
    pub(crate) run: Run,
    /// How long the call took, and bytes of its request: of the last run of a call.
    pub(crate) call: Option<(u64, u64)>,
}

/// Joins the records of calls.
#[derive(Debug, Default)]
pub(crate) struct Charges {
    open: HashMap<Uuid, (FunctionName, Arc<str>)>,
    order: VecDeque<Uuid>,
}

#[derive(Deserialize)]
struct Begun {
    function: FunctionName,
    principal: Who,
}

#[derive(Deserialize)]
struct Who {
    id: Arc<str>,
}

#[derive(Deserialize)]
struct Ended {
    run: Option<Run>,
    duration_us: Option<u64>,
    bytes_in: Option<u64>,
}

impl Charges {
    /// What a record says that a run cost, if it does.
    ///
    /// # Errors
    /// When it is malformed.
    pub(crate) fn take(&mut self, line: &Line) -> Result<Option<Charge>, Problem> {
        let malformed = |error: serde_json::Error| Problem {
            file: Arc::clone(&line.file),
            line: Some(line.line),
            what: What::Malformed(error.to_string()),
        };
        let Some(call) = line.head.call else { return Ok(None) };
        match line.head.kind {
            Kind::Intent => {
                let Begun { function, principal } = serde_json::from_slice(&line.bytes).map_err(malformed)?;
                if self.order.len() == OPEN_MAX
                    && let Some(oldest) = self.order.pop_front()
                {
                    self.open.remove(&oldest);
                }
                self.open.insert(call, (function, principal.id));
                self.order.push_back(call);
                Ok(None)
            }
            Kind::Attempt | Kind::Closed => {
                let Ended { run, duration_us, bytes_in } = serde_json::from_slice(&line.bytes).map_err(malformed)?;
                let known = match line.head.kind {
                    Kind::Closed => self.open.remove(&call),
                    _ => self.open.get(&call).cloned(),
                };
                let Some(((function, caller), run)) = known.zip(run) else { return Ok(None) };
                let call = duration_us.zip(bytes_in);
                Ok(Some(Charge { at: line.head.at, function, caller, run, call }))
            }
            Kind::Answered | Kind::Refused | Kind::Shadow | Kind::Summary | Kind::Admin | Kind::System => Ok(None),
        }
    }
}
