//! The kinds of backend: a closed list. A kind is a file here, a variant, and the arms that the compiler asks for.

pub mod aws_lambda;
pub mod azure_functions;
mod braces;
pub mod cloudevents;
mod endpoint;
pub(crate) mod exchange;
pub(crate) mod fn_protocol;
pub mod fn_server;
pub mod google_functions;
pub mod grpc;
pub mod http;
pub mod kafka;
pub mod kinesis;
pub mod knative;
pub mod nats;
pub mod openfaas;
pub mod openwhisk;
pub mod oracle_functions;
pub(crate) mod platform;
pub mod process;
pub mod pubsub;
mod record;
pub mod remote;
pub mod soap;
pub mod tcp;
pub mod transcoded;

use crate::invocation::{Invoking, Outbound};
use std::time::Duration;

/// What is wrong with a backend's configuration, and in which of its fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {message}")]
pub struct ConfigError {
    /// The key, as written in the target.
    pub field: &'static str,
    /// What is wrong: lowercase, no full stop, user input in backticks.
    pub message: String,
}

/// Fields whose text may be a secret that was written where a reference belongs.
const SECRETS: [&str; 7] = ["credentials", "key", "client_secret", "federated_token", "nkey", "password", "token"];

impl ConfigError {
    /// Whether what was written there must not be repeated.
    #[must_use]
    pub fn may_be_secret(&self) -> bool {
        SECRETS.contains(&self.field)
    }
}

/// How a target is run. A clone shares connections and instances.
#[derive(Clone, Debug)]
pub enum Backend {
    /// A service that speaks gRPC.
    Grpc(grpc::Grpc),
    /// A service that speaks HTTP.
    Http(http::Http),
    /// Programs on this machine.
    Process(process::Process),
    /// A function at AWS Lambda.
    AwsLambda(aws_lambda::AwsLambda),
    /// A function at Azure Functions.
    AzureFunctions(azure_functions::AzureFunctions),
    /// A function at Google Cloud.
    GoogleFunctions(google_functions::GoogleFunctions),
    /// An action of OpenWhisk.
    OpenWhisk(openwhisk::OpenWhisk),
    /// A function of an Fn server.
    FnServer(fn_server::FnServer),
    /// A function at Oracle Cloud.
    OracleFunctions(oracle_functions::OracleFunctions),
    /// What receives CloudEvents.
    CloudEvents(cloudevents::CloudEvents),
    /// A service or broker of Knative.
    Knative(knative::Knative),
    /// A function of OpenFaaS.
    OpenFaas(openfaas::OpenFaas),
    /// A stream of NATS JetStream, or a function that answers over NATS.
    Nats(nats::Nats),
    /// A stream of Amazon Kinesis.
    Kinesis(kinesis::Kinesis),
    /// A topic of Google Cloud Pub/Sub.
    PubSub(pubsub::PubSub),
    /// A topic of Kafka.
    #[cfg(feature = "kafka")]
    Kafka(kafka::Kafka),
    /// An operation of a SOAP service.
    Soap(soap::Soap),
    /// A service that speaks a protocol of its own over TCP.
    Tcp(tcp::Tcp),
    /// One of the others, behind a method of gRPC that it does not speak.
    Transcoded(transcoded::Transcoded),
}

/// Every kind's name.
pub const KINDS: [&str; 18] = [
    "http",
    "grpc",
    "process",
    "aws_lambda",
    "azure_functions",
    "google_functions",
    "openwhisk",
    "fn",
    "oracle_functions",
    "cloudevents",
    "knative",
    "openfaas",
    "nats",
    "kinesis",
    "pubsub",
    "kafka",
    "soap",
    "tcp",
];

impl Backend {
    /// The kind's name, as written in the catalog.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Grpc(_) => "grpc",
            Self::Http(_) => "http",
            Self::Process(_) => "process",
            Self::AwsLambda(_) => "aws_lambda",
            Self::AzureFunctions(_) => "azure_functions",
            Self::GoogleFunctions(_) => "google_functions",
            Self::OpenWhisk(_) => "openwhisk",
            Self::FnServer(_) => "fn",
            Self::OracleFunctions(_) => "oracle_functions",
            Self::CloudEvents(_) => "cloudevents",
            Self::Knative(_) => "knative",
            Self::OpenFaas(_) => "openfaas",
            Self::Nats(_) => "nats",
            Self::Kinesis(_) => "kinesis",
            Self::PubSub(_) => "pubsub",
            #[cfg(feature = "kafka")]
            Self::Kafka(_) => "kafka",
            Self::Soap(_) => "soap",
            Self::Tcp(_) => "tcp",
            Self::Transcoded(backend) => backend.inner().kind(),
        }
    }

    /// Whether a reload kept it: both share connections. Kinds without certificates of their own are the same as long as
    /// their configuration is.
    #[must_use]
    pub fn kept(&self, before: &Self) -> bool {
        match (self, before) {
            (Self::Http(now), Self::Http(before)) => now.same(before),
            (Self::Grpc(now), Self::Grpc(before)) => now.same(before),
            (Self::Transcoded(now), Self::Transcoded(before)) => now.inner().kept(before.inner()),
            (now, before) => std::mem::discriminant(now) == std::mem::discriminant(before),
        }
    }

    /// The path parameters that the target uses; the route must have them all.
    #[must_use]
    pub fn parameters(&self) -> Vec<&str> {
        match self {
            Self::Http(backend) => backend.parameters().collect(),
            Self::AzureFunctions(backend) => backend.parameters().collect(),
            Self::GoogleFunctions(backend) => backend.parameters().collect(),
            Self::OpenWhisk(backend) => backend.parameters().collect(),
            Self::CloudEvents(backend) => backend.parameters().collect(),
            Self::Knative(backend) => backend.parameters().collect(),
            Self::OpenFaas(backend) => backend.parameters().collect(),
            Self::Nats(backend) => backend.parameters().collect(),
            Self::Kinesis(backend) => backend.parameters().collect(),
            Self::PubSub(backend) => backend.parameters().collect(),
            #[cfg(feature = "kafka")]
            Self::Kafka(backend) => backend.parameters().collect(),
            Self::AwsLambda(backend) => backend.parameters().collect(),
            Self::Transcoded(backend) => backend.inner().parameters(),
            Self::Soap(backend) => backend.parameters().collect(),
            Self::Grpc(_) | Self::Process(_) | Self::FnServer(_) | Self::OracleFunctions(_) | Self::Tcp(_) => {
                Vec::new()
            }
        }
    }

    /// Starts what is to be ready before it is called. Only processes are.
    pub fn warm(&self) {
        if let Self::Process(process) = self.plain() {
            process.warm();
        }
    }

    /// A call is about to be made that finds this backend ready if it can be. Only processes start for one.
    pub(crate) fn expect_call(&self) {
        if let Self::Process(process) = self.plain() {
            process.expect_call();
        }
    }

    /// The backend itself, without what makes its calls of messages of gRPC.
    #[must_use]
    pub fn plain(&self) -> &Self {
        match self {
            Self::Transcoded(backend) => backend.inner(),
            plain => plain,
        }
    }

    /// Whether a function there is given a request with path and query, and not a body alone.
    #[must_use]
    pub(crate) fn takes_requests(&self) -> bool {
        match self {
            Self::Http(_) | Self::Grpc(_) => true,
            Self::GoogleFunctions(backend) => backend.takes_requests(),
            Self::Knative(backend) => backend.takes_requests(),
            Self::Process(backend) => backend.takes_requests(),
            Self::AwsLambda(backend) => backend.takes_requests(),
            Self::Transcoded(backend) => backend.inner().takes_requests(),
            #[cfg(feature = "kafka")]
            Self::Kafka(_) => false,
            Self::AzureFunctions(_)
            | Self::OpenWhisk(_)
            | Self::FnServer(_)
            | Self::OracleFunctions(_)
            | Self::CloudEvents(_)
            | Self::OpenFaas(_)
            | Self::Nats(_)
            | Self::Kinesis(_)
            | Self::PubSub(_)
            | Self::Soap(_)
            | Self::Tcp(_) => false,
        }
    }

    /// Whether methods of gRPC are called there as they are.
    #[must_use]
    pub fn speaks_grpc(&self) -> bool {
        match self {
            Self::Grpc(_) => true,
            Self::Process(backend) => backend.speaks_grpc(),
            _ => false,
        }
    }

    /// Runs the function. The only box between pipeline and backend.
    // INVARIANT: called from `dispatch` only, for an `Invocation`, which has spent a permit.
    pub(crate) fn invoke(&self, outbound: Outbound) -> Invoking<'_> {
        match self {
            Self::Grpc(backend) => backend.invoke(outbound),
            Self::Http(backend) => backend.invoke(outbound),
            Self::Process(backend) => backend.invoke(outbound),
            Self::AwsLambda(backend) => backend.invoke(outbound),
            Self::AzureFunctions(backend) => backend.invoke(outbound),
            Self::GoogleFunctions(backend) => backend.invoke(outbound),
            Self::OpenWhisk(backend) => backend.invoke(outbound),
            Self::FnServer(backend) => backend.invoke(outbound),
            Self::OracleFunctions(backend) => backend.invoke(outbound),
            Self::CloudEvents(backend) => backend.invoke(outbound),
            Self::Knative(backend) => backend.invoke(outbound),
            Self::OpenFaas(backend) => backend.invoke(outbound),
            Self::Nats(backend) => backend.invoke(outbound),
            Self::Kinesis(backend) => backend.invoke(outbound),
            Self::PubSub(backend) => backend.invoke(outbound),
            #[cfg(feature = "kafka")]
            Self::Kafka(backend) => backend.invoke(outbound),
            Self::Soap(backend) => backend.invoke(outbound),
            Self::Tcp(backend) => backend.invoke(outbound),
            Self::Transcoded(backend) => backend.invoke(outbound),
        }
    }
}

/// Longest time to connect, TLS included, unless a configuration names another.
fn connect_timeout() -> String {
    "3s".to_owned()
}

/// Longest time that a backend's configuration may name.
const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads a duration such as `"3s"` or `"1m 30s"`: above zero, at most a day.
pub(crate) fn duration(field: &'static str, text: &str) -> Result<Duration, ConfigError> {
    let read = text.parse::<jiff::SignedDuration>().ok().and_then(|d| Duration::try_from(d).ok());
    read.filter(|d| !d.is_zero() && *d <= DURATION_MAX).ok_or_else(|| ConfigError {
        field,
        message: format!("`{text}` is not a time such as `3s` or `1m 30s`, above zero and at most a day"),
    })
}
