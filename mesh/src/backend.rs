//! The kinds of backend: a closed list. A kind is a file here, a variant, and the arms that the compiler asks for.

pub mod http;
pub mod process;

use crate::invocation::{Invoking, Outbound};

/// How a target is run.
#[derive(Debug)]
pub enum Backend {
    /// A service that speaks HTTP.
    Http(http::Http),
    /// A process on this machine that speaks the Lambda Runtime API.
    Process(process::Process),
}

impl Backend {
    /// The kind's name, as written in the catalog.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Process(_) => "process",
        }
    }

    /// Runs the function. The only box between pipeline and backend.
    pub fn invoke(&self, outbound: Outbound) -> Invoking<'_> {
        match self {
            Self::Http(backend) => backend.invoke(outbound),
            Self::Process(backend) => backend.invoke(outbound),
        }
    }
}
