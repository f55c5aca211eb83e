//! Unchanged Lambda functions: AWS's own Python runtime, and a Rust function of the crate `lambda_runtime`.

use crate::{built, fetch, scripts, skip};
use std::path::PathBuf;

/// What the process host is told of a function.
#[derive(Clone, Debug)]
pub struct Function {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Its folder.
    pub directory: PathBuf,
    /// `_HANDLER`.
    pub handler: String,
}

/// `echo` of `function_lambda.py` under `awslambdaric`; `None` when the peer is skipped on request.
pub fn python() -> Option<Function> {
    let python = fetch::python("awslambdaric")?;
    let handler = "function_lambda.echo".to_owned();
    let command = vec![python.to_string_lossy().into_owned(), "-m".into(), "awslambdaric".into(), handler.clone()];
    Some(Function { command, directory: scripts(), handler })
}

/// The example `lambda_echo`; `None` when the peer is skipped on request.
pub fn rust() -> Option<Function> {
    example("lambda_echo")
}

/// The example `lambda_http_echo`; `None` when the peer is skipped on request.
pub fn http() -> Option<Function> {
    example("lambda_http_echo")
}

fn example(name: &str) -> Option<Function> {
    if skip::skipped("lambda_runtime") {
        return None;
    }
    let program = built::executable(name);
    let directory = program.parent().expect("an executable lies in a folder").to_path_buf();
    Some(Function { command: vec![program.to_string_lossy().into_owned()], directory, handler: "echo".into() })
}
