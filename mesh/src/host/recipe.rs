//! How an instance of one function is started: program, environment, limits.

use crate::host::Tools;
use policy::question::FunctionName;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

/// Waits for the line that says that the watchdog knows the group, then becomes the function.
const GATE: &str = r#"read -r go && exec "$@" </dev/null"#;

/// Told to a function that has no memory limit.
const MEMORY_MIB_TOLD: u64 = 128;

/// Told to a function as its region unless its environment says another.
const REGION: &str = "local";

/// Where programs are found unless a function's environment says otherwise.
pub(crate) const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A checked process configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipe {
    /// Whose instances.
    pub(crate) function: FunctionName,
    /// Absolute path of the program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// Absolute working directory.
    pub(crate) directory: PathBuf,
    /// `_HANDLER`.
    pub(crate) handler: String,
    /// Configured environment.
    pub(crate) environment: BTreeMap<String, String>,
    /// Address space, in MiB.
    pub(crate) memory_mib: Option<u64>,
    /// Most instances.
    pub(crate) instances_max: usize,
    /// Stopped after this time without a call.
    pub(crate) idle_timeout: Duration,
    /// Must ask for its first call within this time, and for a next one after each answer.
    pub(crate) start_timeout: Duration,
    /// Largest answer, in bytes.
    pub(crate) answer_bytes_max: usize,
}

impl Recipe {
    /// The command of one instance, which reaches its calls at `api`.
    pub(super) fn command(&self, tools: &Tools, api: SocketAddr, serial: u64) -> Command {
        let mut command = Command::new(&tools.sh);
        command.args(["-c", GATE, "latchwork-gate"]);
        if let Some(setpriv) = &tools.setpriv {
            command.arg(setpriv).args(["--pdeathsig", "KILL", "--"]);
        }
        if let (Some(prlimit), Some(mib)) = (&tools.prlimit, self.memory_mib) {
            command.arg(prlimit).arg(format!("--as={}", mib.saturating_mul(1024 * 1024))).arg("--");
        }
        command.arg(&self.program).args(&self.arguments).current_dir(&self.directory);
        command.env_clear().envs(self.provided(serial)).envs(&self.environment).envs(self.fixed(api));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: it can be ended whole, and Ctrl-C in a terminal ends the gateway alone, which drains.
        command.process_group(0);
        command
    }

    /// What configuration may replace.
    fn provided(&self, serial: u64) -> [(&'static str, String); 15] {
        let root = self.directory.to_string_lossy().into_owned();
        let region = self.environment.get("AWS_REGION").map_or(REGION, String::as_str).to_owned();
        [
            ("PATH", PATH.to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("TZ", "UTC".to_owned()),
            ("HOME", "/tmp".to_owned()),
            ("TMPDIR", "/tmp".to_owned()),
            ("AWS_REGION", region.clone()),
            ("AWS_DEFAULT_REGION", region),
            ("AWS_LAMBDA_FUNCTION_NAME", self.function.to_string()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", self.memory_mib.unwrap_or(MEMORY_MIB_TOLD).to_string()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/latchwork/{}", self.function)),
            ("AWS_LAMBDA_LOG_STREAM_NAME", format!("instance-{serial}")),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
            ("LAMBDA_TASK_ROOT", root.clone()),
            ("LAMBDA_RUNTIME_DIR", root),
        ]
    }

    /// What configuration can't replace.
    fn fixed(&self, api: SocketAddr) -> [(&'static str, String); 2] {
        [("AWS_LAMBDA_RUNTIME_API", api.to_string()), ("_HANDLER", self.handler.clone())]
    }

    /// What the function is told as its own name in the provider's form.
    pub(super) fn arn(&self) -> String {
        let region = self.environment.get("AWS_REGION").map_or(REGION, String::as_str);
        format!("arn:aws:lambda:{region}:000000000000:function:{}", self.function)
    }
}
