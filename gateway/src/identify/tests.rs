//! Tests of identification, over real HTTP servers.

mod anonymous;
mod bad_claims;
mod bad_headers;
mod bad_signatures;
mod development;
mod good;
mod hostile;
mod key_documents;
mod key_fetches;
mod key_rotation;
mod keys;
mod rig;
mod server;
