//! The one integration test binary: starts the real thing and looks from outside.

mod compile_fail;
mod goldens;
mod peers;
mod rules;
mod skipped;
