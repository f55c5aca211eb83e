//! `policy decide`: answers requests in bulk, one JSON line each, by any Cedar policies.

mod policies;
mod request;

use super::Exit;
use crate::{
    bundle::Source,
    engine::set::{Answer, Set, absent},
    finding::Finding,
};
use cedar_policy::{EntityUid, Schema};
use cedar_policy_core::{
    ast::{Context, Value},
    entities::Entities,
};
use jiff::Timestamp;
use request::{Asked, Line};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    io::{self, BufRead, Write},
};

/// Longest line of requests, in bytes.
pub const LINE_BYTES_MAX: usize = 1 << 20;
/// How many steps from what a request names an entity must be there, under the gateway's rules.
const STEPS: u32 = 2;

/// What requests are answered by.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Files of policies, in order; `.json` ones are in Cedar's JSON format.
    pub policies: Vec<Source>,
    /// A schema, in Cedar's syntax or JSON.
    pub schema: Option<Source>,
    /// Entities, in JSON.
    pub entities: Option<Source>,
    /// By the gateway's rules rather than Cedar's alone: `@id`, `@expires` and `@mode` count, errors and absent entities deny.
    pub gateway: bool,
}

struct Decider {
    set: Set,
    schema: Option<Schema>,
    entities: Entities,
    gateway: bool,
}

/// What one request is answered.
#[derive(Serialize)]
#[serde(untagged)]
enum Reply<'a> {
    Answer {
        decision: &'static str,
        reason: &'a BTreeSet<String>,
        errors: &'a BTreeSet<String>,
        #[serde(flatten)]
        gateway: Option<Because>,
    },
    Malformed {
        error: String,
    },
}

/// What the gateway's rules add.
#[derive(Serialize)]
struct Because {
    because: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    absent: Vec<String>,
}

/// Answers every line of `requests`, in order.
///
/// # Errors
/// When `requests` can't be read or `out` not be written.
pub fn decide(
    given: &Given,
    now: Timestamp,
    requests: &mut dyn BufRead,
    out: &mut dyn Write,
    talk: &mut dyn Write,
) -> io::Result<Exit> {
    let decider = match Decider::new(given, now) {
        Ok(decider) => decider,
        Err(findings) => {
            findings.iter().try_for_each(|finding| writeln!(talk, "{finding}"))?;
            return Ok(Exit::Invalid);
        }
    };
    let (mut exit, mut number, mut line) = (Exit::Ok, 0_u64, Vec::new());
    while let Some(whole) = next(requests, &mut line)? {
        number += 1;
        if line.iter().all(u8::is_ascii_whitespace) && whole {
            continue;
        }
        let asked = if whole {
            Line::read(&line).and_then(|line| line.asked(decider.schema.as_ref()))
        } else {
            Err(format!("more than {LINE_BYTES_MAX} bytes"))
        };
        match asked {
            Ok(asked) => decider.reply(asked, out)?,
            Err(error) => {
                exit = Exit::Invalid;
                write(&Reply::Malformed { error: format!("line {number}: {error}") }, out)?;
            }
        }
    }
    out.flush()?;
    Ok(exit)
}

/// Reads the next line into `line`; `None` at the end, and whether all of it fitted.
fn next(requests: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    let (mut any, mut whole) = (false, true);
    loop {
        let buffer = requests.fill_buf()?;
        if buffer.is_empty() {
            return Ok(any.then_some(whole));
        }
        any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
        whole &= line.len() + part.len() <= LINE_BYTES_MAX;
        if whole {
            line.extend_from_slice(part);
        }
        let used = part.len() + usize::from(end.is_some());
        requests.consume(used);
        if end.is_some() {
            return Ok(Some(whole));
        }
    }
}

fn write(reply: &Reply<'_>, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, reply)?;
    out.write_all(b"\n")
}

impl Decider {
    fn new(given: &Given, now: Timestamp) -> Result<Self, Vec<Finding>> {
        let policies = if given.gateway {
            policies::ours(&given.policies, now)?
        } else {
            policies::any(&given.policies).map_err(|finding| vec![finding])?
        };
        let broken = |source: &Source, code, error: &dyn std::error::Error| {
            let mut message = error.to_string();
            // Cedar says what is wrong in the sources of its errors.
            let mut cause = error.source();
            while let Some(error) = cause {
                message.push_str(&format!(": {error}"));
                cause = error.source();
            }
            vec![Finding::error(code, source.file.as_ref(), message)]
        };
        let schema = match &given.schema {
            Some(source) => Some(schema(&source.text).map_err(|error| broken(source, "invalid_schema", &*error))?),
            None => None,
        };
        let entities = match (&given.entities, &schema) {
            (Some(source), schema) => cedar_policy::Entities::from_json_str(&source.text, schema.as_ref())
                .map_err(|error| broken(source, "invalid_entities", &error))?,
            (None, Some(schema)) => {
                let file = given.schema.as_ref().map(|source| source.file.to_string()).unwrap_or_default();
                let invalid = |error: cedar_policy::entities_errors::EntitiesError| {
                    vec![Finding::error("invalid_schema", file, error.to_string())]
                };
                schema.action_entities().map_err(invalid)?
            }
            (None, None) => cedar_policy::Entities::empty(),
        };
        let entities: &Entities = entities.as_ref();
        Ok(Self { set: Set::new(policies), schema, entities: entities.clone(), gateway: given.gateway })
    }

    fn reply(&self, asked: Asked, out: &mut dyn Write) -> io::Result<()> {
        let because = self.gateway.then(|| self.absent(&asked));
        let mut answer = self.set.answer(asked.request(), &self.entities);
        let gateway = because.map(|absent| because_of(&mut answer, absent));
        let decision = if answer.allow { "allow" } else { "deny" };
        write(&Reply::Answer { decision, reason: &answer.reason, errors: &answer.errors, gateway }, out)
    }

    fn absent(&self, asked: &Asked) -> Vec<String> {
        let context = match &asked.context {
            Context::Value(members) => Value::record_arc(std::sync::Arc::clone(members), None),
            Context::RestrictedResidual(_) => Value::empty_record(None),
        };
        let scope = [&asked.principal, &asked.action, &asked.resource].map(<EntityUid as AsRef<_>>::as_ref);
        absent(scope, &context, &self.entities, STEPS).iter().map(ToString::to_string).collect()
    }
}

/// Denies what Cedar allows in spite of an error or of an entity that is not there.
fn because_of(answer: &mut Answer, absent: Vec<String>) -> Because {
    let because = match (absent.is_empty(), answer.errors.is_empty(), answer.allow) {
        (false, ..) => "absent_entity",
        (true, ..) if !answer.allow && !answer.reason.is_empty() => "forbidden",
        (true, false, _) => "policy_error",
        (true, true, false) => "not_permitted",
        (true, true, true) => "permitted",
    };
    if because != "permitted" {
        if answer.allow {
            answer.reason.clear();
        }
        answer.allow = false;
    }
    Because { because, absent }
}

/// Reads a schema in either syntax: only JSON begins with a brace.
fn schema(text: &str) -> Result<Schema, Box<dyn std::error::Error>> {
    if text.trim_start().starts_with('{') {
        return Ok(Schema::from_json_str(text)?);
    }
    Ok(Schema::from_cedarschema_str(text)?.0)
}

#[cfg(test)]
mod tests;
