//! A function that runs here as processes, in any of the protocols that function runtimes speak.

mod config;

use crate::{
    backend::{ConfigError, duration},
    event::{self, ANSWER_BYTES_MAX},
    host::{
        Host, ProcessStats,
        account::Account,
        fn_socket, http_server, is_executable, openwhisk,
        pool::{Pool, RETURN_MAX},
        recipe::{Limits, Recipe},
        way::Way,
        work::{Done, Event, Order, Work},
    },
    invocation::{CallContext, InvokeError, Invoking, Outbound},
};
use policy::question::FunctionName;
use std::{
    convert::Infallible,
    fs,
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
pub use config::{ProcessConfig, Protocol};

/// An event's envelope around the answer's body, escapes included, has at most this size beside twice the body.
const ENVELOPE_BYTES_MAX: u64 = 256 * 1024;

/// Largest code of an action, in bytes.
const CODE_BYTES_MAX: u64 = 48 * 1024 * 1024;

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
        config.problems().into_iter().next().map_or(Ok(()), Err)?;
        let directory = directory(config, base)?;
        let (program, arguments) = command(config, &directory)?;
        let way = way(config, &directory)?;
        let enveloped = match event_form(config).is_request() {
            true => response_bytes_max.saturating_mul(2).saturating_add(ENVELOPE_BYTES_MAX),
            false => response_bytes_max,
        };
        let recipe = Recipe {
            function: function.clone(),
            way,
            program,
            arguments,
            directory,
            handler: config.handler.clone(),
            environment: config.environment.clone(),
            limits: Limits {
                memory_mib: config.memory_mib,
                files_max: config.files_max,
                file_mib: config.file_mib_max,
                processes_max: config.processes_max,
            },
            account: account(config, host)?,
            port: config.port,
            instances_max: config.instances_max,
            instances_min: config.instances_min,
            calls_max: config.calls_per_instance,
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
        let config = &self.0.config;
        match config.protocol {
            Protocol::Lambda => event_form(config).is_request(),
            Protocol::Http => config.event.is_none(),
            Protocol::Grpc | Protocol::Fn | Protocol::OpenWhisk => false,
        }
    }

    /// Whether it is a server of gRPC.
    pub(crate) fn speaks_grpc(&self) -> bool {
        self.0.config.protocol == Protocol::Grpc
    }

    /// Numbers of its instances.
    #[must_use]
    pub fn stats(&self) -> ProcessStats {
        self.0.pool.stats()
    }

    /// Starts the instances that are kept ready, from now on.
    pub fn warm(&self) {
        self.0.pool.warm();
    }

    /// Starts an instance for a call that is about to be made, if there is none.
    pub(crate) fn expect_call(&self) {
        self.0.pool.expect_call();
    }

    /// Runs the function.
    pub(crate) fn invoke(&self, outbound: Outbound) -> Invoking<'_> {
        Box::pin(async move {
            let Inner { config, timeout, pool, .. } = &*self.0;
            let context = outbound.context.clone();
            let deadline = context.deadline.min(Instant::now() + *timeout);
            let order = match config.protocol {
                Protocol::Lambda => {
                    let Outbound { head, payload, .. } = outbound;
                    let (form, body) = (event_form(config), event::whole(payload, &context).await?);
                    Order::Event(Event {
                        event: form.event(&head, &context, body)?,
                        trace_id: trace_id(&context.traceparent),
                        client_context: form.client_context(&context),
                    })
                }
                Protocol::Http | Protocol::Grpc | Protocol::Fn | Protocol::OpenWhisk => {
                    let mut outbound = Box::new(outbound);
                    outbound.context.deadline = deadline;
                    Order::Request(outbound)
                }
            };
            let (answer, answered) = oneshot::channel();
            let reporting = context.reporting.clone();
            let CallContext { call_id, expected, .. } = context;
            pool.submit(Work { call_id, expected, deadline, order, tries: 0, reporting, answer })?;
            match self.answered(answered, context.call_id, deadline).await? {
                Done::Event(answered) => event_form(config).reply(answered, context.response_bytes_max),
                Done::Pieces(pieces) => pieces.reply(event_form(config), deadline, context.response_bytes_max).await,
                Done::Reply(reply) => Ok(reply),
            }
        })
    }

    async fn answered(
        &self,
        mut answered: oneshot::Receiver<Result<Done, InvokeError>>,
        call_id: Uuid,
        deadline: Instant,
    ) -> Result<Done, InvokeError> {
        let pool = &self.0.pool;
        let _waiting = Waiting { pool, call_id };
        let outcome = tokio::select! {
            outcome = &mut answered => outcome,
            never = hurry(pool) => match never {},
            // From here on the instance keeps the deadline, unless none has taken the call yet.
            () = sleep_until(deadline) => match pool.withdraw(call_id) {
                true => return Err(InvokeError::Busy),
                false => answered.await,
            },
        };
        outcome.unwrap_or_else(|_| Err(InvokeError::FunctionFailed("its instance was ended".to_owned())))
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

/// What a runtime that asks for its calls is given.
fn event_form(config: &ProcessConfig) -> EventForm {
    config.event.clone().unwrap_or_default()
}

/// How its instances are spoken with.
fn way(config: &ProcessConfig, directory: &Path) -> Result<Way, ConfigError> {
    let event = config.cloud_event();
    Ok(match config.protocol {
        Protocol::Lambda => Way::Lambda,
        Protocol::Http => Way::Http(http_server::Form { ready: config.ready.clone(), event }),
        Protocol::Grpc => Way::Grpc,
        Protocol::Fn => Way::Fn(fn_socket::Form { intent: config.intent, event }),
        Protocol::OpenWhisk => {
            let code = config.code.as_ref().map(|code| code_of(&directory.join(code))).transpose()?;
            let main = if config.handler.is_empty() { "main" } else { &config.handler };
            Way::OpenWhisk(openwhisk::Form {
                code: code.unwrap_or(openwhisk::Code::Absent),
                main: main.to_owned(),
                environment: config.environment.clone(),
            })
        }
    })
}

fn code_of(file: &Path) -> Result<openwhisk::Code, ConfigError> {
    let bad = |message: String| ConfigError { field: "code", message: format!("`{}` {message}", file.display()) };
    let length = fs::metadata(file).map_err(|error| bad(format!("can't be read: {error}")))?.len();
    if length > CODE_BYTES_MAX {
        return Err(bad(format!("is larger than {CODE_BYTES_MAX} bytes")));
    }
    let bytes = fs::read(file).map_err(|error| bad(format!("can't be read: {error}")))?;
    if bytes.is_empty() { Err(bad("is empty".to_owned())) } else { Ok(openwhisk::Code::of(bytes)) }
}

fn account(config: &ProcessConfig, host: &Host) -> Result<Option<Account>, ConfigError> {
    let Some(user) = &config.user else { return Ok(None) };
    let bad = |message| ConfigError { field: "user", message };
    if host.tools().setpriv.is_none() {
        return Err(bad("this machine has no `setpriv`, which starts processes of another user".to_owned()));
    }
    Account::named(user).map(Some).map_err(bad)
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
