//! Tests of the development authority and issuer.

mod authority;
mod issuer;
mod server;
