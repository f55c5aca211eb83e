//! Tests of identification, over real HTTP servers.

mod development;
mod rig;
