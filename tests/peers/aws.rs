//! What stands for AWS: its own runtime emulator, serverless-offline, moto, which verifies signatures, and a double.

use crate::{child::Child, fetch, scripts, wait};
use serde_json::Value;
use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;

/// How often other free ports are tried.
const TRIES: usize = 3;

/// Longest start: serverless-offline takes its time on a busy machine.
const START: Duration = Duration::from_secs(120);

/// Calls that moto lets pass unsigned, exactly those that `moto_setup.py` makes.
const SETUP_CALLS: &str = "6";

/// The same for `kinesis_setup.py`.
const KINESIS_SETUP_CALLS: &str = "5";

/// A running peer that answers the Invoke API.
#[derive(Debug)]
pub struct Api {
    /// Where it listens.
    pub url: String,
    child: Child,
    _folder: TempDir,
}

/// An access key.
#[derive(Clone, Debug)]
pub struct Key {
    /// Id.
    pub id: String,
    /// Secret.
    pub secret: String,
}

/// The runtime emulator with `echo` of `function_lambda.py`; `None` when it is skipped on request. It takes one call at
/// a time, and calls its function `function`.
pub async fn emulator() -> Option<Api> {
    let python = fetch::aws("aws-sam-cli")?;
    let words = [&*python.to_string_lossy(), "-m", "awslambdaric", "function_lambda.echo"].map(str::to_owned);
    emulator_of(&words).await
}

/// The runtime emulator with another function.
pub async fn emulator_of(words: &[String]) -> Option<Api> {
    let program = emulator_program(&fetch::aws("aws-sam-cli")?);
    start("emulator", folder(), |port| {
        let mut command = Command::new(&program);
        command.arg("--runtime-interface-emulator-address").arg(format!("127.0.0.1:{port}"));
        command.arg("--runtime-api-address").arg(format!("127.0.0.1:{}", wait::free_port()));
        command.args(words).current_dir(scripts());
        command.env("AWS_LAMBDA_FUNCTION_TIMEOUT", "20").env("PYTHONDONTWRITEBYTECODE", "1");
        command
    })
    .await
}

/// serverless-offline with the functions of `scripts/serverless`; `None` when it is skipped on request.
pub async fn serverless() -> Option<Api> {
    let modules = fetch::serverless("serverless-offline")?;
    let kept = folder();
    let folder = kept.path().to_path_buf();
    for file in ["serverless.yml", "handler.js"] {
        fs::copy(scripts().join("serverless").join(file), folder.join(file)).expect("the folder is ours");
    }
    symlink(modules.join("node_modules"), folder.join("node_modules")).expect("the folder is ours");
    start("serverless", kept, |port| {
        let mut command = Command::new(folder.join("node_modules/.bin/sls"));
        command.args(["offline", "start", "--host", "127.0.0.1", "--lambdaPort"]).arg(port.to_string());
        command.arg("--httpPort").arg(wait::free_port().to_string()).current_dir(&folder);
        // It insists on keys, and looks at none of them.
        command.env("AWS_ACCESS_KEY_ID", "x").env("AWS_SECRET_ACCESS_KEY", "y");
        command.env("SLS_TELEMETRY_DISABLED", "1").env("SLS_NOTIFICATIONS_MODE", "off").env("HOME", &folder);
        command
    })
    .await
}

/// moto with the function `order` and a user who may call it; `None` when it is skipped on request.
pub async fn moto() -> Option<(Api, Key)> {
    let python = fetch::aws("moto")?;
    let api = start("moto", folder(), |port| {
        let mut command = Command::new(&python);
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p"]).arg(port.to_string());
        command.env("INITIAL_NO_AUTH_ACTION_COUNT", SETUP_CALLS);
        command
    })
    .await?;
    let output = Command::new(&python).arg(scripts().join("moto_setup.py")).arg(&api.url).output();
    let output = output.expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let key: Value = serde_json::from_slice(&output.stdout).expect("the script prints JSON");
    let text = |name: &str| key[name].as_str().expect("a text").to_owned();
    let key = Key { id: text("id"), secret: text("secret") };
    Some((api, key))
}

/// moto with the stream `orders` of two shards, and a user who may do all at the service; `None` when it is skipped on
/// request.
pub async fn kinesis() -> Option<(Api, Key)> {
    let python = fetch::aws("moto")?;
    let api = start("moto", folder(), |port| {
        let mut command = Command::new(&python);
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p"]).arg(port.to_string());
        command.env("INITIAL_NO_AUTH_ACTION_COUNT", KINESIS_SETUP_CALLS);
        command
    })
    .await?;
    let key = printed(&python, "kinesis_setup.py", &[&api.url]);
    let text = |name: &str| key[name].as_str().expect("a text").to_owned();
    Some((api, Key { id: text("id"), secret: text("secret") }))
}

/// What the provider's own library reads from the stream `orders`: records with their shard, keys and data in base64.
pub fn kinesis_records(api: &Api, key: &Key) -> Vec<Value> {
    let python = fetch::aws("moto").expect("the peer runs");
    let said = printed(&python, "kinesis_read.py", &[&api.url, &key.id, &key.secret]);
    said.as_array().expect("a list").clone()
}

/// The JSON that a script prints.
fn printed(python: &Path, script: &str, words: &[&str]) -> Value {
    let output = Command::new(python).arg(scripts().join(script)).args(words).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

/// A double of the service itself, which verifies signatures with the provider's own library; `None` when that is skipped
/// on request.
pub async fn service() -> Option<Api> {
    let python = fetch::aws("boto3")?;
    let folder = folder();
    let mut command = Command::new(python);
    command.arg(scripts().join("lambda_service.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    let mut child = Child::start("lambda-service", &command, folder.path());
    let ready = child.line(wait::LONG, |line| serde_json::from_str::<Value>(line).ok()).await;
    let url = ready["url"].as_str().expect("the script says where it listens").to_owned();
    Some(Api { url, child, _folder: folder })
}

impl Api {
    /// What the double was asked to run, in order.
    pub fn ran(&self) -> Vec<Value> {
        let lines = self.child.stdout();
        let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line.get("ran").is_some()).collect()
    }

    /// What the double was told that is not so.
    pub fn lies(&self) -> String {
        self.child.stderr()
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        self.child.stdout() + &self.child.stderr()
    }
}

async fn start(name: &str, folder: TempDir, command: impl Fn(u16) -> Command) -> Option<Api> {
    for _ in 0..TRIES {
        let port = wait::free_port();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut child = Child::start(name, &command(port), folder.path());
        let up = wait::until(name, START, || {
            let ended = child.ended().is_some();
            async move { if wait::listens(address).await { Some(true) } else { ended.then_some(false) } }
        });
        if up.await && child.ended().is_none() {
            return Some(Api { url: format!("http://{address}"), child, _folder: folder });
        }
        // Another program took a port first.
        assert!(child.exit(Duration::ZERO).await.code().is_some(), "{}", child.stderr());
    }
    panic!("{name} found no free port in {TRIES} tries")
}

/// A folder of the peer's own: what lies in the gateway's folder counts as the gateway's.
fn folder() -> TempDir {
    tempfile::Builder::new().prefix("latchwork-aws-").tempdir().expect("a temporary folder")
}

/// The emulator's program, which lies in a package for Python.
fn emulator_program(python: &Path) -> PathBuf {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    let library = python.parent().and_then(Path::parent).expect("an environment has `bin`").join("lib");
    let versions = fs::read_dir(&library).expect("an environment has `lib`").flatten();
    let inside = format!("site-packages/samcli/local/rapid/aws-lambda-rie-{architecture}");
    let program = versions.map(|v| v.path().join(&inside)).find(|p| p.exists()).expect("the package has the emulator");
    executable(&program);
    program
}

/// Packages are unpacked without leave to run.
fn executable(program: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).expect("the environment is ours");
}
