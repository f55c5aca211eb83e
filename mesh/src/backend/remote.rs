//! Kinds that check, build and compare themselves, as one type for whoever only passes their configuration on.

use super::{
    Backend, ConfigError, aws_lambda::AwsLambdaConfig, azure_functions::AzureFunctionsConfig,
    cloudevents::CloudEventsConfig, fn_server::FnServerConfig, google_functions::GoogleFunctionsConfig,
    kafka::KafkaConfig, kinesis::KinesisConfig, knative::KnativeConfig, nats::NatsConfig, openfaas::OpenFaasConfig,
    openwhisk::OpenWhiskConfig, oracle_functions::OracleFunctionsConfig, pubsub::PubSubConfig, soap::SoapConfig,
    tcp::TcpConfig,
};
use crate::report::Starts;
use std::path::{Path, PathBuf};

/// A remote kind's configuration, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteConfig {
    /// `aws_lambda = { … }`
    AwsLambda(Box<AwsLambdaConfig>),
    /// `azure_functions = { … }`
    AzureFunctions(Box<AzureFunctionsConfig>),
    /// `google_functions = { … }`
    GoogleFunctions(Box<GoogleFunctionsConfig>),
    /// `openwhisk = { … }`
    OpenWhisk(Box<OpenWhiskConfig>),
    /// `fn = { … }`
    FnServer(Box<FnServerConfig>),
    /// `oracle_functions = { … }`
    OracleFunctions(Box<OracleFunctionsConfig>),
    /// `cloudevents = { … }`
    CloudEvents(Box<CloudEventsConfig>),
    /// `knative = { … }`
    Knative(Box<KnativeConfig>),
    /// `openfaas = { … }`
    OpenFaas(Box<OpenFaasConfig>),
    /// `nats = { … }`
    Nats(Box<NatsConfig>),
    /// `kinesis = { … }`
    Kinesis(Box<KinesisConfig>),
    /// `pubsub = { … }`
    PubSub(Box<PubSubConfig>),
    /// `kafka = { … }`
    Kafka(Box<KafkaConfig>),
    /// `soap = { … }`
    Soap(Box<SoapConfig>),
    /// `tcp = { … }`
    Tcp(Box<TcpConfig>),
}

/// What every remote kind can say of its configuration.
pub(super) trait Remote {
    /// The kind's name, as written in the catalog.
    fn kind(&self) -> &'static str;
    /// What is wrong with it as it is written: all of it. Nothing is read.
    fn problems(&self) -> Vec<ConfigError>;
    /// The path parameters that it uses; the route must have them all.
    fn parameters(&self) -> Vec<String> {
        Vec::new()
    }
    /// Whether calls cross a network in clear text.
    fn is_exposed(&self) -> bool {
        false
    }
    /// Files that it is made from and does not look at by itself, as written.
    fn files(&self) -> Vec<&Path> {
        Vec::new()
    }
    /// Whether callers meet its cold starts.
    fn starts(&self) -> Starts {
        Starts::Untold
    }
    /// Makes the backend of a configuration without problems; connects to nothing.
    fn build(&self, base: &Path) -> Result<Backend, ConfigError>;
    /// Whether `build` would make this backend again.
    fn made(&self, backend: &Backend, base: &Path) -> bool;
}

impl RemoteConfig {
    /// The kind's name, as written in the catalog.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.remote().kind()
    }

    /// What is wrong with it as it is written: all of it. Nothing is read.
    #[must_use]
    pub fn problems(&self) -> Vec<ConfigError> {
        self.remote().problems()
    }

    /// The path parameters that it uses; the route must have them all.
    #[must_use]
    pub fn parameters(&self) -> Vec<String> {
        self.remote().parameters()
    }

    /// Whether calls cross a network in clear text.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        self.remote().is_exposed()
    }

    /// Files that it is made from, as written: a change of one is a change of the backend.
    #[must_use]
    pub fn files(&self) -> Vec<&Path> {
        self.remote().files()
    }

    /// Whether callers meet cold starts there.
    #[must_use]
    pub fn starts(&self) -> Starts {
        self.remote().starts()
    }

    /// The file of authorities that vouch for the server, to be made absolute.
    pub fn ca(&mut self) -> &mut Option<PathBuf> {
        match self {
            Self::AwsLambda(config) => &mut config.ca,
            Self::AzureFunctions(config) => &mut config.ca,
            Self::GoogleFunctions(config) => &mut config.ca,
            Self::OpenWhisk(config) => &mut config.ca,
            Self::FnServer(config) => &mut config.ca,
            Self::OracleFunctions(config) => &mut config.ca,
            Self::CloudEvents(config) => &mut config.ca,
            Self::Knative(config) => &mut config.ca,
            Self::OpenFaas(config) => &mut config.ca,
            Self::Nats(config) => &mut config.ca,
            Self::Kinesis(config) => &mut config.ca,
            Self::PubSub(config) => &mut config.ca,
            Self::Kafka(config) => &mut config.ca,
            Self::Soap(config) => &mut config.ca,
            Self::Tcp(config) => &mut config.ca,
        }
    }

    /// Reads secrets and authorities and makes the backend; connects to nothing.
    ///
    /// # Errors
    /// [`ConfigError`], naming the field.
    pub fn build(&self, base: &Path) -> Result<Backend, ConfigError> {
        if let Some(problem) = self.problems().into_iter().next() {
            return Err(problem);
        }
        self.remote().build(base)
    }

    /// Whether [`RemoteConfig::build`] would make this backend again, so that a reload can keep connections and tokens.
    #[must_use]
    pub fn made(&self, backend: &Backend, base: &Path) -> bool {
        self.remote().made(backend, base)
    }

    fn remote(&self) -> &dyn Remote {
        match self {
            Self::AwsLambda(config) => &**config,
            Self::AzureFunctions(config) => &**config,
            Self::GoogleFunctions(config) => &**config,
            Self::OpenWhisk(config) => &**config,
            Self::FnServer(config) => &**config,
            Self::OracleFunctions(config) => &**config,
            Self::CloudEvents(config) => &**config,
            Self::Knative(config) => &**config,
            Self::OpenFaas(config) => &**config,
            Self::Nats(config) => &**config,
            Self::Kinesis(config) => &**config,
            Self::PubSub(config) => &**config,
            Self::Kafka(config) => &**config,
            Self::Soap(config) => &**config,
            Self::Tcp(config) => &**config,
        }
    }
}
