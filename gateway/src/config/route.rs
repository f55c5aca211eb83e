//! Where callers find a function.

use mesh::{
    bind::transcode::Binding,
    soap::{Name, wsdl::Operation},
};
use std::sync::Arc;

/// An HTTP route.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Method; `None` is any of GET, HEAD, POST, PUT, PATCH, DELETE.
    pub method: Option<http::Method>,
    /// Host, lowercase, without port; `None` is any host of the listener.
    pub host: Option<Arc<str>>,
    /// Pattern such as `/stock/{sku}`; `{*rest}` takes the remaining path.
    pub pattern: Arc<str>,
    /// Written as `grpc package.Service/Method`: the pattern is the path of that method.
    pub grpc: bool,
    /// It takes one operation of SOAP, told apart from others at the same place by its action.
    pub soap: Option<Arc<SoapAction>>,
    /// How the method is called by plain HTTP besides; the first is how targets are called that don't speak gRPC.
    pub bindings: Vec<Arc<Binding>>,
    /// Targets that don't speak gRPC are given the message as it is, and not as JSON.
    pub bytes: bool,
}

/// `soap_action = { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct SoapAction {
    /// The action; empty when callers name none.
    pub action: Arc<str>,
    /// The one element in the body of its messages; `None` when it is empty.
    pub element: Option<Name>,
    /// Its message, if that is described.
    pub operation: Option<Operation>,
}
