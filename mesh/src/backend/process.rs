//! A function that runs here as a process and speaks the AWS Lambda Runtime API.

use crate::{
    backend::{ConfigError, duration},
    event::{self, ANSWER_BYTES_MAX},
    host::{
        Host, is_executable,
        pool::{Pool, ProcessStats, RETURN_MAX, Work},
        recipe::Recipe,
    },
    invocation::{InvokeError, Invoking, Outbound},
};
use policy::question::FunctionName;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};

use uuid::Uuid;

pub use crate::event::{CloudEventForm, EventForm};

/// Most instances that one function may have.
const INSTANCES_MAX: usize = 256;

/// Largest memory limit, in MiB.
const MEMORY_MIB_MAX: u64 = 1024 * 1024;

/// An event's envelope around the answer's body, escapes included, has at most this size beside twice the body.
const ENVELOPE_BYTES_MAX: u64 = 256 * 1024;

/// Names that tell a function where its host is: no configuration may replace them.
const RESERVED: [&str; 2] = ["AWS_LAMBDA_RUNTIME_API", "_HANDLER"];

/// `process = { … }` in a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessConfig {
    /// Program and arguments; a relative program is looked up in `directory`, a bare name then in `PATH`.
    pub command: Vec<String>,
    /// Working directory and `LAMBDA_TASK_ROOT`.
    pub directory: Option<PathBuf>,
    /// `_HANDLER`.
    #[serde(default)]
    pub handler: String,
    /// Further environment variables. The gateway's own environment is not passed on.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// What the function is given: `"api_gateway_v2"` (default), `"api_gateway_v1"`, `"alb"`, `"alb_multi_value"`,
    /// `"function_url"`, the `"body"` alone, or `{ type = "…", source = "…" }` for an event of CloudEvents.
    #[serde(default)]
    pub event: EventForm,
    /// Most instances at once.
    #[serde(default = "instances_max")]
    pub instances_max: usize,
    /// An instance is stopped after this time without a call, such as `"60s"`.
    #[serde(default = "idle_timeout")]
    pub idle_timeout: String,
    /// An instance must ask for its first call within this time.
    #[serde(default = "start_timeout")]
    pub start_timeout: String,
    /// Address space of an instance, in MiB; no limit when absent.
    pub memory_mib: Option<u64>,
}

fn instances_max() -> usize {
    4
}

fn idle_timeout() -> String {
    "60s".to_owned()
}

fn start_timeout() -> String {
    "10s".to_owned()
}

/// The backend. A clone shares the instances; when the last one is dropped, they stop once they are free.
#[derive(Clone, Debug)]
pub struct Process(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: ProcessConfig,
    base: PathBuf,
    timeout: Duration,
    response_bytes_max: u64,
    pool: Arc<Pool>,
}

impl Process {
    /// Checks the configuration; starts nothing. Relative paths start at `base`.
    ///
    /// # Errors
    /// [`ConfigError`], naming the field.
    pub fn new(
        config: &ProcessConfig,
        base: &Path,
        function: &FunctionName,
        timeout: Duration,
        response_bytes_max: u64,
        host: &Host,
    ) -> Result<Self, ConfigError> {
        check_limits(config, host)?;
        check_environment(&config.environment)?;
        let directory = directory(config, base)?;
        let (program, arguments) = command(config, &directory)?;
        config.event.problems().into_iter().next().map_or(Ok(()), Err)?;
        let enveloped = match config.event.is_request() {
            true => response_bytes_max.saturating_mul(2).saturating_add(ENVELOPE_BYTES_MAX),
            false => response_bytes_max,
        };
        let recipe = Recipe {
            function: function.clone(),
            program,
            arguments,
            directory,
            handler: config.handler.clone(),
            environment: config.environment.clone(),
            memory_mib: config.memory_mib,
            instances_max: config.instances_max,
            idle_timeout: duration("idle_timeout", &config.idle_timeout)?,
            start_timeout: duration("start_timeout", &config.start_timeout)?,
            answer_bytes_max: usize::try_from(enveloped).unwrap_or(usize::MAX).min(ANSWER_BYTES_MAX),
        };
        let pool = Pool::new(recipe, host);
        Ok(Self(Arc::new(Inner { config: config.clone(), base: base.to_owned(), timeout, response_bytes_max, pool })))
    }

    /// Whether [`Process::new`] would make the same backend again, so that a reload can keep this one running.
    #[must_use]
    pub fn same_config(&self, config: &ProcessConfig, base: &Path, timeout: Duration, response_bytes_max: u64) -> bool {
        let inner = &self.0;
        inner.config == *config
            && inner.base == base
            && inner.timeout == timeout
            && inner.response_bytes_max == response_bytes_max
    }

    /// Whether the function is given requests.
    pub(crate) fn takes_requests(&self) -> bool {
        self.0.config.event.is_request()
    }

    /// Numbers of its instances.
    #[must_use]
    pub fn stats(&self) -> ProcessStats {
        self.0.pool.stats()
    }

    /// Runs the function.
    pub(crate) fn invoke(&self, outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            let Outbound { head, payload, context } = outbound;
            let Inner { config, timeout, pool, .. } = &*self.0;
            let deadline = context.deadline.min(Instant::now() + *timeout);
            let body = event::whole(payload, &context).await?;
            let (answer, mut answered) = oneshot::channel();
            pool.submit(Work {
                call_id: context.call_id,
                event: config.event.event(&head, &context, body)?,
                deadline,
                trace_id: trace_id(&context.traceparent),
                client_context: config.event.client_context(&context),
                answer,
            })?;
            let _waiting = Waiting { pool, call_id: context.call_id };
            let outcome = tokio::select! {
                outcome = &mut answered => outcome,
                never = hurry(pool) => match never {},
                // From here on the instance keeps the deadline, unless none has taken the call yet.
                () = sleep_until(deadline) => match pool.withdraw(context.call_id) {
                    true => return Err(InvokeError::Busy),
                    false => answered.await,
                },
            };
            let gone = |_| Err(InvokeError::FunctionFailed("its instance was ended".to_owned()));
            config.event.reply(outcome.unwrap_or_else(gone)?, context.response_bytes_max)
        })
    }
}

/// A caller who hangs up takes a call that has not begun out of the queue.
struct Waiting<'a> {
    pool: &'a Pool,
    call_id: Uuid,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.pool.withdraw(self.call_id);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.pool.close();
    }
}

/// A call that no instance took soon gets one of its own, if it may.
async fn hurry(pool: &Arc<Pool>) -> Infallible {
    sleep(RETURN_MAX).await;
    pool.hurry();
    std::future::pending().await
}

fn check_limits(config: &ProcessConfig, host: &Host) -> Result<(), ConfigError> {
    if !(1..=INSTANCES_MAX).contains(&config.instances_max) {
        let message = format!("`{}` is not a number from 1 to {INSTANCES_MAX}", config.instances_max);
        return Err(ConfigError { field: "instances_max", message });
    }
    let Some(mib) = config.memory_mib else { return Ok(()) };
    if !(1..=MEMORY_MIB_MAX).contains(&mib) {
        let message = format!("`{mib}` is not a number of MiB from 1 to {MEMORY_MIB_MAX}");
        return Err(ConfigError { field: "memory_mib", message });
    }
    if host.tools().prlimit.is_none() {
        let message = "this machine has no `prlimit`, which sets the limit".to_owned();
        return Err(ConfigError { field: "memory_mib", message });
    }
    Ok(())
}

fn check_environment(environment: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    let bad = |message| Err(ConfigError { field: "environment", message });
    for (name, value) in environment {
        let odd = name.is_empty() || name.contains(['=', '\0']);
        match () {
            () if odd => return bad(format!("`{}` is not the name of a variable", name.escape_debug())),
            () if RESERVED.contains(&name.as_str()) => return bad(format!("`{name}` is set by the gateway")),
            // The value may be a secret: it is not repeated.
            () if value.contains('\0') => return bad(format!("the value of `{name}` has a zero byte")),
            () => {}
        }
    }
    Ok(())
}

fn directory(config: &ProcessConfig, base: &Path) -> Result<PathBuf, ConfigError> {
    let directory = config.directory.as_ref().map_or_else(|| base.to_owned(), |directory| base.join(directory));
    let bad = |message| ConfigError { field: "directory", message };
    let shown = directory.display();
    let found = directory.canonicalize().map_err(|error| bad(format!("`{shown}` can't be found: {error}")))?;
    if found.is_dir() { Ok(found) } else { Err(bad(format!("`{shown}` is not a directory"))) }
}

fn command(config: &ProcessConfig, directory: &Path) -> Result<(PathBuf, Vec<String>), ConfigError> {
    let bad = |message| ConfigError { field: "command", message };
    let Some((program, arguments)) = config.command.split_first().filter(|(program, _)| !program.is_empty()) else {
        return Err(bad("it names no program".to_owned()));
    };
    if config.command.iter().any(|part| part.contains('\0')) {
        return Err(bad("it has a zero byte".to_owned()));
    }
    let path = config.environment.get("PATH").map_or(crate::host::recipe::PATH, String::as_str);
    let elsewhere = std::env::split_paths(path).filter(|_| !program.contains('/')).map(|path| path.join(program));
    let mut places = std::iter::once(directory.join(program)).chain(elsewhere);
    match places.find(|place| is_executable(place)) {
        Some(found) => Ok((found, arguments.to_vec())),
        None if directory.join(program).exists() => Err(bad(format!("`{program}` is not an executable file"))),
        None => Err(bad(format!("`{program}` is not in `{}` or `PATH`", directory.display()))),
    }
}

/// The form in which functions of this kind know a trace, from `traceparent`.
pub(super) fn trace_id(traceparent: &http::HeaderValue) -> String {
    let text = traceparent.to_str().unwrap_or_default();
    let mut fields = text.split('-').skip(1);
    let (trace, parent, flags) = (fields.next(), fields.next(), fields.next());
    let (time, random) = trace.unwrap_or_default().split_at_checked(8).unwrap_or_default();
    let sampled = flags.and_then(|flags| u8::from_str_radix(flags, 16).ok()).is_some_and(|flags| flags & 1 == 1);
    format!("Root=1-{time}-{random};Parent={};Sampled={}", parent.unwrap_or_default(), u8::from(sampled))
}

#[cfg(test)]
mod tests;
