//! What functions and listeners say of protocols other than plain HTTP, as written.

use super::At;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// `soap_action = { wsdl = "host.wsdl", operation = "Say" }` or `soap_action = { action = "urn:host#say", element = "{urn:host}say" }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SoapAction {
    /// The action, as callers name it; `""` when they name none. Default what the WSDL says.
    pub(crate) action: Option<At<String>>,
    /// The one element in the body, as `{namespace}name`. Default what the WSDL says.
    pub(crate) element: Option<At<String>>,
    /// WSDL 1.1 file that describes the message. With it policy sees the message as the input.
    pub(crate) wsdl: Option<At<String>>,
    /// The operation in the WSDL. Default the one with the action.
    pub(crate) operation: Option<At<String>>,
}

/// `tcp = { function = "host.session" }` of a listener
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tcp {
    /// The function that a connection is a call of.
    pub(crate) function: Option<At<String>>,
    /// Functions by the server name that the client asks for in its handshake (SNI).
    pub(crate) names: BTreeMap<At<String>, At<String>>,
    /// Longest silence. Default `"5m"`.
    pub(crate) idle: Option<At<String>>,
    /// Most bytes of one connection, both ways together. Default 1 GiB.
    pub(crate) bytes_max: Option<At<i64>>,
}
