//! Kinds that check, build and compare themselves, as one type for whoever only passes their configuration on.

use super::{
    Backend, ConfigError,
    aws_lambda::{AwsLambda, AwsLambdaConfig},
    azure_functions::{AzureFunctions, AzureFunctionsConfig},
    google_functions::{GoogleFunctions, GoogleFunctionsConfig},
    openwhisk::{OpenWhisk, OpenWhiskConfig},
};
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
}

/// What every remote kind can say of its configuration.
trait Remote {
    /// The kind's name, as written in the catalog.
    fn kind(&self) -> &'static str;
    /// What is wrong with it as it is written: all of it. Nothing is read.
    fn problems(&self) -> Vec<ConfigError>;
    /// The path parameters that it uses; the route must have them all.
    fn parameters(&self) -> Vec<String> {
        Vec::new()
    }
    /// Authorities that vouch for the server.
    fn ca(&mut self) -> &mut Option<PathBuf>;
    /// Makes the backend; connects to nothing.
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

    /// The file of authorities that vouch for the server, to be made absolute.
    pub fn ca(&mut self) -> &mut Option<PathBuf> {
        match self {
            Self::AwsLambda(config) => config.ca(),
            Self::AzureFunctions(config) => config.ca(),
            Self::GoogleFunctions(config) => config.ca(),
            Self::OpenWhisk(config) => config.ca(),
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
        }
    }
}

impl Remote for AwsLambdaConfig {
    fn kind(&self) -> &'static str {
        "aws_lambda"
    }
    fn problems(&self) -> Vec<ConfigError> {
        self.problems()
    }
    fn ca(&mut self) -> &mut Option<PathBuf> {
        &mut self.ca
    }
    fn build(&self, base: &Path) -> Result<Backend, ConfigError> {
        AwsLambda::new(self, base).map(Backend::AwsLambda)
    }
    fn made(&self, _: &Backend, _: &Path) -> bool {
        false
    }
}

impl Remote for AzureFunctionsConfig {
    fn kind(&self) -> &'static str {
        "azure_functions"
    }
    fn problems(&self) -> Vec<ConfigError> {
        self.problems()
    }
    fn parameters(&self) -> Vec<String> {
        self.parameters()
    }
    fn ca(&mut self) -> &mut Option<PathBuf> {
        &mut self.ca
    }
    fn build(&self, base: &Path) -> Result<Backend, ConfigError> {
        AzureFunctions::new(self, base).map(Backend::AzureFunctions)
    }
    fn made(&self, backend: &Backend, base: &Path) -> bool {
        matches!(backend, Backend::AzureFunctions(made) if made.same_config(self, base))
    }
}

impl Remote for GoogleFunctionsConfig {
    fn kind(&self) -> &'static str {
        "google_functions"
    }
    fn problems(&self) -> Vec<ConfigError> {
        self.problems()
    }
    fn parameters(&self) -> Vec<String> {
        self.parameters()
    }
    fn ca(&mut self) -> &mut Option<PathBuf> {
        &mut self.ca
    }
    fn build(&self, base: &Path) -> Result<Backend, ConfigError> {
        GoogleFunctions::new(self, base).map(Backend::GoogleFunctions)
    }
    fn made(&self, backend: &Backend, base: &Path) -> bool {
        matches!(backend, Backend::GoogleFunctions(made) if made.same_config(self, base))
    }
}

impl Remote for OpenWhiskConfig {
    fn kind(&self) -> &'static str {
        "openwhisk"
    }
    fn problems(&self) -> Vec<ConfigError> {
        self.problems()
    }
    fn parameters(&self) -> Vec<String> {
        self.parameters()
    }
    fn ca(&mut self) -> &mut Option<PathBuf> {
        &mut self.ca
    }
    fn build(&self, base: &Path) -> Result<Backend, ConfigError> {
        OpenWhisk::new(self, base).map(Backend::OpenWhisk)
    }
    fn made(&self, backend: &Backend, base: &Path) -> bool {
        matches!(backend, Backend::OpenWhisk(made) if made.same_config(self, base))
    }
}
