//! Unchanged functions of every protocol that the host of processes speaks, as a target names them.

use crate::{fetch, lambda, scripts};
use std::{env, path::Path};

/// A function and what its target says besides command and folder.
#[derive(Clone, Debug)]
pub struct Local {
    /// Command, folder and handler.
    pub function: lambda::Function,
    /// Further TOML of `process`.
    pub inside: String,
    /// What its processes' command lines have.
    pub marker: &'static str,
}

impl Local {
    fn new(program: &Path, arguments: &[&str], protocol: &str, marker: &'static str) -> Self {
        let program = program.to_string_lossy().into_owned();
        let command = [program].into_iter().chain(arguments.iter().map(|&word| word.to_owned())).collect();
        let function = lambda::Function { command, directory: scripts(), handler: String::new() };
        let quiet = "environment.PYTHONDONTWRITEBYTECODE = \"1\"";
        let inside = format!("protocol = \"{protocol}\", start_timeout = \"30s\", {quiet}");
        Self { function, inside, marker }
    }

    /// The same with further TOML of `process`.
    #[must_use]
    pub fn with(mut self, inside: &str) -> Self {
        self.inside = format!("{}, {inside}", self.inside);
        self
    }

    /// The same with this handler.
    #[must_use]
    pub fn handler(mut self, handler: &str) -> Self {
        self.function.handler = handler.to_owned();
        self
    }
}

/// `echo` under `awslambdaric`; this and the others are `None` when the peer is skipped on request.
pub fn lambda() -> Option<Local> {
    let function = lambda::python()?;
    let inside = "event = \"body\", start_timeout = \"30s\"".to_owned();
    Some(Local { function, inside, marker: "awslambdaric" })
}

/// A function of `function_http.py` under `functions-framework`.
pub fn framework(signature: &str) -> Option<Local> {
    let source = "function_http.py";
    let arguments = ["-m", "functions_framework", "--source", source, "--signature-type", signature];
    Some(Local::new(&fetch::python("functions-framework")?, &arguments, "http", "functions_framework"))
}

/// A function of `function_http.mjs` under `functions-framework` for Node.
pub fn framework_node(signature: &str) -> Option<Local> {
    let folder = fetch::node_functions("functions-framework-node")?;
    let main = folder.join("node_modules/@google-cloud/functions-framework/build/src/main.js");
    let source = format!("--source={}", folder.join("function_http.mjs").display());
    let signature = format!("--signature-type={signature}");
    Some(node(&main, &[&source, &signature], "http", "functions-framework"))
}

/// `function_fn.py` under Fn's kit.
pub fn fdk() -> Option<Local> {
    let fdk = fetch::functions("fdk")?.with_file_name("fdk");
    Some(Local::new(&fdk, &["function_fn.py", "handler"], "fn", "function_fn.py"))
}

/// `function_fn.mjs` with Fn's kit for Node.
pub fn fdk_node() -> Option<Local> {
    let script = fetch::node_functions("fdk-node")?.join("function_fn.mjs");
    Some(node(&script, &[], "fn", "function_fn.mjs"))
}

/// `function_whisk.py` in a container that verifies the contract.
pub fn whisk() -> Option<Local> {
    fetch::program("python3")?;
    let local =
        Local::new(Path::new("python3"), &["openwhisk_container.py", "{port}"], "openwhisk", "openwhisk_container.py");
    Some(local.with("code = \"function_whisk.py\""))
}

/// `app_asgi.py` under a server that knows nothing of functions.
pub fn web() -> Option<Local> {
    let python = fetch::python("functions-framework")?;
    let arguments = ["-m", "uvicorn", "app_asgi:app", "--host", "127.0.0.1", "--port", "{port}"];
    Some(Local::new(&python, &arguments, "http", "uvicorn"))
}

/// `grpc_server.py`: `shop.v1.Orders` of grpcio.
pub fn grpc() -> Option<Local> {
    Some(Local::new(&fetch::python("grpcio")?, &["grpc_server.py"], "grpc", "grpc_server.py"))
}

fn node(script: &Path, arguments: &[&str], protocol: &str, marker: &'static str) -> Local {
    let path = env::var_os("PATH").unwrap_or_default();
    let programs = env::split_paths(&path).map(|folder| folder.join("node"));
    let node = programs.into_iter().find(|file| file.is_file()).expect("whoever has the modules has Node");
    let script = script.to_string_lossy().into_owned();
    let arguments: Vec<&str> = [script.as_str()].into_iter().chain(arguments.iter().copied()).collect();
    Local::new(&node, &arguments, protocol, marker)
}
