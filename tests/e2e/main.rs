//! The one integration test binary: starts the real thing and looks from outside.

mod audit;
mod aws_lambda;
mod certificates;
mod check;
mod compile_fail;
mod examples;
mod functions_framework;
mod goldens;
mod grpc;
mod grpc_by_name;
mod keys;
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
