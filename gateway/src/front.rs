//! Wire to call and back: the fronts.

pub mod body;
pub mod grpc;
pub mod http;
pub mod hygiene;
pub mod path;
pub mod response;
pub mod rest;
pub mod soap;
pub(crate) mod tcp;
