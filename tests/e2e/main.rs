//! The one integration test binary: starts the real thing and looks from outside.

mod audit;
mod aws_lambda;
mod commands;
mod compile_fail;
mod cors;
mod dist;
mod functions_framework;
mod goldens;
mod malformed;
mod peers;
mod process_host;
mod quickstart;
mod readme;
mod reload;
mod rules;
mod scaffold_functions;
mod skipped;
mod strangers;
mod tokens;
mod world;
