//! One element of `targets`, as written.

use super::At;
use mesh::backend::{
    aws_lambda::AwsLambdaConfig, azure_functions::AzureFunctionsConfig, cloudevents::CloudEventsConfig,
    fn_server::FnServerConfig, google_functions::GoogleFunctionsConfig, grpc::GrpcConfig, http::HttpConfig,
    kafka::KafkaConfig, kinesis::KinesisConfig, knative::KnativeConfig, nats::NatsConfig, openfaas::OpenFaasConfig,
    openwhisk::OpenWhiskConfig, oracle_functions::OracleFunctionsConfig, process::ProcessConfig, pubsub::PubSubConfig,
    remote::RemoteConfig, soap::SoapConfig, tcp::TcpConfig,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// One element of `targets`: exactly one backend.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Target {
    /// Region.
    pub(crate) region: Option<At<String>>,
    /// How often the lot falls on it, against the others' weights, where `dispatch` says `"weighted"`. Default 1; with 0 it
    /// is asked only when others fail.
    pub(crate) weight: Option<At<i64>>,
    /// What runs cost there: the name of a `[price.*]`.
    pub(crate) price: Option<At<String>>,
    /// The memory that runs are billed for, in MiB, where the backend does not tell.
    pub(crate) memory_mib: Option<At<i64>>,
    /// A service that speaks gRPC.
    pub(crate) grpc: Option<At<GrpcConfig>>,
    /// A service that speaks HTTP.
    pub(crate) http: Option<At<HttpConfig>>,
    /// A process on this machine.
    pub(crate) process: Option<At<ProcessConfig>>,
    /// A function at AWS Lambda.
    pub(crate) aws_lambda: Option<At<Box<AwsLambdaConfig>>>,
    /// A function at Azure Functions.
    pub(crate) azure_functions: Option<At<Box<AzureFunctionsConfig>>>,
    /// A function at Google Cloud.
    pub(crate) google_functions: Option<At<Box<GoogleFunctionsConfig>>>,
    /// An action of OpenWhisk.
    pub(crate) openwhisk: Option<At<Box<OpenWhiskConfig>>>,
    /// A function of an Fn server.
    #[serde(rename = "fn")]
    pub(crate) fn_server: Option<At<Box<FnServerConfig>>>,
    /// A function at Oracle Cloud.
    pub(crate) oracle_functions: Option<At<Box<OracleFunctionsConfig>>>,
    /// What receives CloudEvents.
    pub(crate) cloudevents: Option<At<Box<CloudEventsConfig>>>,
    /// A service or broker of Knative.
    pub(crate) knative: Option<At<Box<KnativeConfig>>>,
    /// A function of OpenFaaS.
    pub(crate) openfaas: Option<At<Box<OpenFaasConfig>>>,
    /// A stream of NATS JetStream, or a function that answers over NATS.
    pub(crate) nats: Option<At<Box<NatsConfig>>>,
    /// A stream of Amazon Kinesis.
    pub(crate) kinesis: Option<At<Box<KinesisConfig>>>,
    /// A topic of Google Cloud Pub/Sub.
    pub(crate) pubsub: Option<At<Box<PubSubConfig>>>,
    /// A topic of Kafka, in builds with the feature `kafka`.
    pub(crate) kafka: Option<At<Box<KafkaConfig>>>,
    /// An operation of a SOAP service.
    pub(crate) soap: Option<At<Box<SoapConfig>>>,
    /// A service that speaks a protocol of its own over TCP.
    pub(crate) tcp: Option<At<Box<TcpConfig>>>,
}

impl Target {
    /// The remote kinds among its backends.
    pub(crate) fn remotes(&self) -> Vec<At<RemoteConfig>> {
        fn one<T: Clone>(written: &Option<At<T>>, of: fn(T) -> RemoteConfig) -> Option<At<RemoteConfig>> {
            written.as_ref().map(|at| At { value: of(at.value.clone()), span: at.span.clone() })
        }
        let all = [
            one(&self.aws_lambda, RemoteConfig::AwsLambda),
            one(&self.azure_functions, RemoteConfig::AzureFunctions),
            one(&self.google_functions, RemoteConfig::GoogleFunctions),
            one(&self.openwhisk, RemoteConfig::OpenWhisk),
            one(&self.fn_server, RemoteConfig::FnServer),
            one(&self.oracle_functions, RemoteConfig::OracleFunctions),
            one(&self.cloudevents, RemoteConfig::CloudEvents),
            one(&self.knative, RemoteConfig::Knative),
            one(&self.openfaas, RemoteConfig::OpenFaas),
            one(&self.nats, RemoteConfig::Nats),
            one(&self.kinesis, RemoteConfig::Kinesis),
            one(&self.pubsub, RemoteConfig::PubSub),
            one(&self.kafka, RemoteConfig::Kafka),
            one(&self.soap, RemoteConfig::Soap),
            one(&self.tcp, RemoteConfig::Tcp),
        ];
        all.into_iter().flatten().collect()
    }
}
