//! Signatures that providers ask for: each takes a request and keys, and adds headers to the request.

pub(crate) mod aws_v4;
pub(crate) mod http_signature;
