//! How an instance is spoken with: a closed list. A protocol is a file here, a variant, and the arms that the compiler asks for.

use super::{
    fn_socket::{self, FnSocket},
    http_server::{self, HttpServer},
    openwhisk::{self, Action},
    recipe::{Address, Recipe},
};
use crate::{
    backend::{
        ConfigError,
        grpc::{Grpc, GrpcConfig},
    },
    invocation::{InvokeError, Outbound},
    payload::Reply,
};
use std::path::Path;

/// Longest time to connect to an instance.
pub(super) const CONNECT_MAX: &str = "3s";

/// A checked protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It asks for its calls, by AWS Lambda's Runtime API.
    Lambda,
    /// It is a server of HTTP.
    Http(http_server::Form),
    /// It is a server of gRPC.
    Grpc,
    /// It listens on a Unix socket, as Fn's containers do.
    Fn(fn_socket::Form),
    /// It is initialised and then run, as OpenWhisk's containers are.
    OpenWhisk(openwhisk::Form),
}

/// One instance that is a server, as the host sees it. A clone shares its connections.
#[derive(Clone, Debug)]
pub(super) enum Server {
    Http(HttpServer),
    Grpc(Grpc),
    Fn(FnSocket),
    OpenWhisk(Action),
}

/// Whether an instance that was looked at can take calls.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    Ready,
    NotYet,
    /// It never will: why.
    Unusable(String),
}

impl Server {
    /// The instance at this address; connects to nothing.
    pub(super) fn new(recipe: &Recipe, address: &Address) -> Result<Self, ConfigError> {
        let base = Path::new("/");
        match &recipe.way {
            Way::Http(form) => HttpServer::new(form, address).map(Self::Http),
            Way::Grpc => {
                let config = GrpcConfig {
                    url: address.url(),
                    ca: None,
                    server_id: None,
                    client_certificate: None,
                    client_key: None,
                    unix: None,
                    connect_timeout: CONNECT_MAX.to_owned(),
                };
                Grpc::new(&config, base).map(Self::Grpc)
            }
            Way::Fn(form) => FnSocket::new(form, address).map(Self::Fn),
            Way::OpenWhisk(form) => Action::new(form, &recipe.function, address).map(Self::OpenWhisk),
            Way::Lambda => {
                let message = "what asks for its calls is no server".to_owned();
                Err(ConfigError { field: "protocol", message })
            }
        }
    }

    /// Looks whether it can take calls; it listens already.
    pub(super) async fn look(&self) -> Look {
        match self {
            Self::Http(server) => server.look().await,
            Self::Grpc(_) | Self::Fn(_) => Look::Ready,
            Self::OpenWhisk(action) => action.init().await,
        }
    }

    /// Whether it can take no more calls.
    pub(super) fn is_spent(&self) -> bool {
        match self {
            Self::Http(_) | Self::Grpc(_) | Self::Fn(_) => false,
            Self::OpenWhisk(action) => action.is_spent(),
        }
    }

    /// Runs a call.
    pub(super) async fn run(&self, outbound: Outbound) -> Result<Reply, InvokeError> {
        match self {
            Self::Http(server) => server.run(outbound).await,
            Self::Grpc(grpc) => grpc.invoke(outbound).await,
            Self::Fn(socket) => socket.run(outbound).await,
            Self::OpenWhisk(action) => action.run(outbound).await,
        }
    }
}
