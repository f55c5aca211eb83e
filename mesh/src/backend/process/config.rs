//! `process = { … }` as it is written, and what is wrong with it.

use crate::{
    backend::{
        ConfigError, duration, endpoint,
        fn_protocol::{FnCall, FnIntent, Form},
    },
    event::{
        EventForm,
        cloud_events::{CloudEventConfig, Mode},
    },
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// Most instances that one function may have.
const INSTANCES_MAX: usize = 256;

/// Most calls at once in one instance.
const CALLS_MAX: usize = 1_000;

/// Largest memory limit, in MiB.
const MEMORY_MIB_MAX: u64 = 1024 * 1024;

/// Largest number of descriptors or processes.
const COUNT_MAX: u64 = 1_000_000;

/// `process = { … }` in a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessConfig {
    /// How the program is spoken with.
    #[serde(default)]
    pub protocol: Protocol,
    /// Program and arguments; a relative program is looked up in `directory`, a bare name then in `PATH`. `{port}` stands
    /// for the port on which a server must listen, `{socket}` for the Unix socket of `"fn"`.
    pub command: Vec<String>,
    /// Working directory, and `LAMBDA_TASK_ROOT`.
    pub directory: Option<PathBuf>,
    /// What of the program is the function: `_HANDLER`; of `"http"` `FUNCTION_TARGET`; of `"openwhisk"` the action's main
    /// function.
    #[serde(default)]
    pub handler: String,
    /// Further environment variables. The gateway's own environment is not passed on.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// What the function is given. Of `"lambda"`: `"api_gateway_v2"` (default), `"api_gateway_v1"`, `"alb"`,
    /// `"alb_multi_value"`, `"function_url"`, the `"body"` alone, or `{ type = "…", source = "…" }` for an event of
    /// CloudEvents. Of `"http"` and `"fn"`: such an event, instead of the request.
    pub event: Option<EventForm>,
    /// Of `"fn"`: what the function takes its call for; without it, it gets the body alone.
    pub intent: Option<FnIntent>,
    /// Of `"openwhisk"`: the file in `directory` with the action's code: a source file or an archive.
    pub code: Option<PathBuf>,
    /// Of `"http"`: an instance is ready when a GET of this path is a success, such as `"/healthz"`; without it, when it
    /// listens.
    pub ready: Option<String>,
    /// The port on which the program listens whatever it is told; then there is one instance.
    pub port: Option<u16>,
    /// Of `"http"` and `"grpc"`: most calls at once in one instance.
    #[serde(default = "one")]
    pub calls_per_instance: usize,
    /// Most instances at once.
    #[serde(default = "instances_max")]
    pub instances_max: usize,
    /// Instances that are kept ready, even if nobody calls.
    #[serde(default)]
    pub instances_min: usize,
    /// An instance is stopped after this time without a call, such as `"60s"`.
    #[serde(default = "idle_timeout")]
    pub idle_timeout: String,
    /// An instance must be ready for its first call within this time.
    #[serde(default = "start_timeout")]
    pub start_timeout: String,
    /// Memory that an instance may use, in MiB: it is killed when it uses more. No limit when absent.
    pub memory_mib: Option<u64>,
    /// Descriptors that each of its processes may have open.
    pub files_max: Option<u64>,
    /// Size of a file that it may write, in MiB.
    pub file_mib_max: Option<u64>,
    /// Processes and threads of `user`, which must be given.
    pub processes_max: Option<u64>,
    /// The user whose processes they are, if the gateway runs as root: without further groups, and without a way to gain
    /// rights.
    pub user: Option<String>,
}

/// How a process on this machine is spoken with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// It asks for its calls, by AWS Lambda's Runtime API.
    #[default]
    Lambda,
    /// It is a server of HTTP, and told its port (`PORT`, `{port}`).
    Http,
    /// It is a server of gRPC without TLS, and told its port.
    Grpc,
    /// It listens on a Unix socket (`FN_LISTENER`), as function kits of Fn do.
    Fn,
    /// It is initialised (`/init`) and run (`/run`), as action containers of OpenWhisk are.
    OpenWhisk,
}

impl Protocol {
    /// Names that tell a function where its host is: no configuration may replace them.
    fn reserved(self) -> &'static [&'static str] {
        match self {
            Self::Lambda => &["AWS_LAMBDA_RUNTIME_API", "_HANDLER"],
            Self::Http | Self::Grpc | Self::OpenWhisk => &["PORT"],
            Self::Fn => &["FN_LISTENER", "FN_FORMAT"],
        }
    }
}

fn one() -> usize {
    1
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

impl ProcessConfig {
    /// What every key that may be absent is when it is.
    #[cfg(test)]
    pub(crate) fn of(command: Vec<String>) -> Self {
        Self {
            protocol: Protocol::default(),
            command,
            directory: None,
            handler: String::new(),
            environment: BTreeMap::new(),
            event: None,
            intent: None,
            code: None,
            ready: None,
            port: None,
            calls_per_instance: one(),
            instances_max: instances_max(),
            instances_min: 0,
            idle_timeout: idle_timeout(),
            start_timeout: start_timeout(),
            memory_mib: None,
            files_max: None,
            file_mib_max: None,
            processes_max: None,
            user: None,
        }
    }

    /// What is wrong with it as it is written: all of it. Nothing is read.
    #[must_use]
    pub fn problems(&self) -> Vec<ConfigError> {
        let mut problems = self.misplaced();
        problems.extend(self.command_problem());
        problems.extend(self.environment_problem());
        problems.extend(self.out_of_range());
        problems.extend(self.event_problems());
        if self.port.is_some() && self.instances_max != 1 {
            let message = "one port has room for one instance: `instances_max = 1`".to_owned();
            problems.push(endpoint::bad("instances_max", message));
        }
        if self.processes_max.is_some() && self.user.is_none() {
            let message = "processes are counted by user: name one in `user`".to_owned();
            problems.push(endpoint::bad("processes_max", message));
        }
        if self.ready.as_ref().is_some_and(|path| !path.starts_with('/') || !path.bytes().all(|b| b.is_ascii_graphic()))
        {
            problems.push(endpoint::bad("ready", "it is a path such as `/healthz`".to_owned()));
        }
        for (field, text) in [("idle_timeout", &self.idle_timeout), ("start_timeout", &self.start_timeout)] {
            problems.extend(duration(field, text).err());
        }
        problems
    }

    /// Keys of another protocol.
    fn misplaced(&self) -> Vec<ConfigError> {
        use Protocol::{Fn, Grpc, Http, Lambda, OpenWhisk};
        let several = self.calls_per_instance != 1;
        let all: [(&'static str, bool, &[Protocol], &str); 7] = [
            ("event", self.event.is_some(), &[Lambda, Http, Fn], "functions that take events"),
            ("intent", self.intent.is_some(), &[Fn], "`protocol = \"fn\"`"),
            ("code", self.code.is_some(), &[OpenWhisk], "`protocol = \"openwhisk\"`"),
            ("ready", self.ready.is_some(), &[Http], "`protocol = \"http\"`"),
            ("port", self.port.is_some(), &[Http, Grpc, OpenWhisk], "servers that listen on a port"),
            ("calls_per_instance", several, &[Http, Grpc], "`protocol = \"http\"` and `\"grpc\"`"),
            ("handler", !self.handler.is_empty(), &[Lambda, Http, OpenWhisk], "protocols that name a function"),
        ];
        let wrong = all.into_iter().filter(|(_, given, of, _)| *given && !of.contains(&self.protocol));
        wrong.map(|(field, _, _, what)| endpoint::bad(field, format!("it is for {what}"))).collect()
    }

    fn command_problem(&self) -> Option<ConfigError> {
        let message = match self.command.first() {
            None => "it names no program",
            Some(program) if program.is_empty() => "it names no program",
            Some(_) if self.command.iter().any(|part| part.contains('\0')) => "it has a zero byte",
            Some(_) => return None,
        };
        Some(endpoint::bad("command", message.to_owned()))
    }

    fn environment_problem(&self) -> Option<ConfigError> {
        let message = self.environment.iter().find_map(|(name, value)| match () {
            () if name.is_empty() || name.contains(['=', '\0']) => {
                Some(format!("`{}` is not the name of a variable", name.escape_debug()))
            }
            () if self.protocol.reserved().contains(&name.as_str()) => Some(format!("`{name}` is set by the gateway")),
            // The value may be a secret: it is not repeated.
            () if value.contains('\0') => Some(format!("the value of `{name}` has a zero byte")),
            () => None,
        });
        message.map(|message| endpoint::bad("environment", message))
    }

    fn out_of_range(&self) -> Vec<ConfigError> {
        let count = |number: usize| Some(number as u64);
        let all = [
            ("instances_max", count(self.instances_max), 1, INSTANCES_MAX as u64),
            ("instances_min", count(self.instances_min), 0, self.instances_max.min(INSTANCES_MAX) as u64),
            ("calls_per_instance", count(self.calls_per_instance), 1, CALLS_MAX as u64),
            ("memory_mib", self.memory_mib, 1, MEMORY_MIB_MAX),
            ("files_max", self.files_max, 8, COUNT_MAX),
            ("file_mib_max", self.file_mib_max, 1, MEMORY_MIB_MAX),
            ("processes_max", self.processes_max, 1, COUNT_MAX),
            ("port", self.port.map(u64::from), 1, u64::from(u16::MAX)),
        ];
        let wrong = all.into_iter().filter_map(|(field, number, low, high)| {
            let number = number.filter(|number| !(low..=high).contains(number))?;
            Some(endpoint::bad(field, format!("`{number}` is not a number from {low} to {high}")))
        });
        wrong.collect()
    }

    fn event_problems(&self) -> Vec<ConfigError> {
        match (self.protocol, &self.event) {
            (Protocol::Lambda, Some(event)) => event.problems(),
            (Protocol::Http, Some(event @ EventForm::CloudEvent(_))) => event.problems(),
            (Protocol::Fn, Some(EventForm::CloudEvent(_))) => {
                let event = self.cloud_event();
                let form = Form { call: FnCall::Sync, intent: self.intent, event: event.as_ref(), introduces: true };
                form.problems()
            }
            (Protocol::Http | Protocol::Fn, Some(_)) => {
                let message = "it is an event of CloudEvents: `{ type = \"…\", source = \"…\" }`".to_owned();
                vec![endpoint::bad("event", message)]
            }
            (Protocol::Grpc | Protocol::OpenWhisk, _) | (_, None) => Vec::new(),
        }
    }

    /// The event that a server gets instead of the request.
    pub(super) fn cloud_event(&self) -> Option<CloudEventConfig> {
        let Some(EventForm::CloudEvent(form)) = &self.event else { return None };
        // Kits of Fn take an event whole, frameworks for HTTP also with its attributes in headers.
        let mode = if self.protocol == Protocol::Fn { Mode::Structured } else { Mode::Binary };
        Some(CloudEventConfig { mode, ..form.config() })
    }
}
