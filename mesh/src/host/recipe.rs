//! How an instance of one function is started: program, environment, limits.

use crate::host::{Tools, account::Account, way::Way};
use policy::question::FunctionName;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// Waits for the line that says that the watchdog knows the group, limits itself, then becomes the function. A limit that
/// can't be set is a start that failed.
const GATE: &str = r#"read -r go && ulimit -c 0 || exit 1
[ -z "$1" ] || ulimit -d "$1" || exit 1
[ -z "$2" ] || ulimit -n "$2" || exit 1
[ -z "$3" ] || ulimit -f "$3" || exit 1
[ -z "$4" ] || ulimit -u "$4" 2>/dev/null || ulimit -p "$4" || exit 1
shift 4
exec "$@" </dev/null"#;

/// One process may map this many times what the instance may use, before that is noticed.
const MAPPED_FACTOR: u64 = 2;

/// Told to a function that has no memory limit.
const MEMORY_MIB_TOLD: u64 = 128;

/// Told to a function as its region unless its environment says another.
const REGION: &str = "local";

/// Where programs are found unless a function's environment says otherwise.
pub(crate) const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What stands for the port in a command.
const PORT: &str = "{port}";

/// What stands for the Unix socket in a command.
const SOCKET: &str = "{socket}";

/// A checked process configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipe {
    /// Whose instances.
    pub(crate) function: FunctionName,
    /// How they are spoken with.
    pub(crate) way: Way,
    /// Absolute path of the program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// Absolute working directory.
    pub(crate) directory: PathBuf,
    /// What of the program is the function.
    pub(crate) handler: String,
    /// Configured environment.
    pub(crate) environment: BTreeMap<String, String>,
    /// What the kernel and the host hold it to.
    pub(crate) limits: Limits,
    /// Whose processes they are, if not the gateway's own user's.
    pub(crate) account: Option<Account>,
    /// Where a server listens whatever it is told.
    pub(crate) port: Option<u16>,
    /// Most instances.
    pub(crate) instances_max: usize,
    /// Instances that are kept ready.
    pub(crate) instances_min: usize,
    /// Most calls at once in one instance.
    pub(crate) calls_max: usize,
    /// Stopped after this time without a call.
    pub(crate) idle_timeout: Duration,
    /// Must be ready for its first call within this time, and ask for a next one after each answer.
    pub(crate) start_timeout: Duration,
    /// Largest answer to an event, in bytes.
    pub(crate) answer_bytes_max: usize,
}

/// Limits of an instance; none where absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Memory that its processes use together, in MiB.
    pub(crate) memory_mib: Option<u64>,
    /// Open descriptors of each process.
    pub(crate) files_max: Option<u64>,
    /// Size of a file that it writes, in MiB.
    pub(crate) file_mib: Option<u64>,
    /// Processes and threads of its user.
    pub(crate) processes_max: Option<u64>,
}

/// Where an instance meets its host.
#[derive(Clone, Debug)]
pub(super) enum Address {
    /// The instance asks here.
    Api(SocketAddr),
    /// The instance listens on this port of the loopback.
    Port(u16),
    /// The instance listens on this Unix socket.
    Socket(PathBuf),
}

impl Address {
    /// What requests to it say.
    pub(super) fn url(&self) -> String {
        match self {
            Self::Api(address) => format!("http://{address}"),
            Self::Port(port) => format!("http://127.0.0.1:{port}"),
            Self::Socket(_) => "http://localhost".to_owned(),
        }
    }

    /// The Unix socket, if it is one.
    pub(super) fn socket(&self) -> Option<&Path> {
        match self {
            Self::Socket(path) => Some(path),
            Self::Api(_) | Self::Port(_) => None,
        }
    }

    fn port(&self) -> Option<u16> {
        match self {
            Self::Port(port) => Some(*port),
            Self::Api(_) | Self::Socket(_) => None,
        }
    }
}

impl Limits {
    /// As the gate takes them: KiB of writable mappings, descriptors, blocks of 512 bytes, processes.
    fn arguments(self) -> [String; 4] {
        let all = [
            self.memory_mib.map(|mib| mib.saturating_mul(1024 * MAPPED_FACTOR)),
            self.files_max,
            self.file_mib.map(|mib| mib.saturating_mul(2048)),
            self.processes_max,
        ];
        all.map(|limit| limit.map(|limit| limit.to_string()).unwrap_or_default())
    }
}

impl Recipe {
    /// The command of one instance, which is met at `address` and has `scratch` for itself.
    pub(super) fn command(&self, tools: &Tools, address: &Address, serial: u64, scratch: &Path) -> Command {
        let mut command = Command::new(&tools.sh);
        command.args(["-c", GATE, "latchwork-gate"]).args(self.limits.arguments());
        if let Some(setpriv) = &tools.setpriv {
            command.arg(setpriv).args(self.account.iter().flat_map(Account::arguments));
            command.args(["--pdeathsig", "KILL", "--"]);
        }
        command.arg(&self.program).args(self.arguments.iter().map(|argument| filled(argument, address)));
        command.current_dir(&self.directory).env_clear().envs(Self::everywhere(scratch));
        command.envs(self.provided(serial)).envs(&self.environment).envs(self.fixed(address));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: it can be ended whole, and Ctrl-C in a terminal ends the gateway alone, which drains.
        command.process_group(0);
        command
    }

    /// What configuration may replace, whatever the protocol.
    fn everywhere(scratch: &Path) -> [(&'static str, String); 5] {
        let scratch = scratch.to_string_lossy().into_owned();
        [
            ("PATH", PATH.to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("TZ", "UTC".to_owned()),
            ("HOME", scratch.clone()),
            ("TMPDIR", scratch),
        ]
    }

    /// What configuration may replace.
    fn provided(&self, serial: u64) -> Vec<(&'static str, String)> {
        let (name, memory) = (self.function.to_string(), self.limits.memory_mib.unwrap_or(MEMORY_MIB_TOLD).to_string());
        match &self.way {
            Way::Lambda => {
                let root = self.directory.to_string_lossy().into_owned();
                vec![
                    ("AWS_REGION", self.region().to_owned()),
                    ("AWS_DEFAULT_REGION", self.region().to_owned()),
                    ("AWS_LAMBDA_FUNCTION_NAME", name),
                    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
                    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory),
                    ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/latchwork/{}", self.function)),
                    ("AWS_LAMBDA_LOG_STREAM_NAME", format!("instance-{serial}")),
                    ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
                    ("LAMBDA_TASK_ROOT", root.clone()),
                    ("LAMBDA_RUNTIME_DIR", root),
                ]
            }
            Way::Http(_) if self.handler.is_empty() => vec![("K_SERVICE", name)],
            Way::Http(_) => vec![("K_SERVICE", name), ("FUNCTION_TARGET", self.handler.clone())],
            Way::Grpc => Vec::new(),
            Way::Fn(_) => vec![
                ("FN_APP_ID", name.clone()),
                ("FN_APP_NAME", name.clone()),
                ("FN_FN_ID", name.clone()),
                ("FN_FN_NAME", name),
                ("FN_MEMORY", memory),
                ("FN_TYPE", "sync".to_owned()),
            ],
            Way::OpenWhisk(_) => vec![("__OW_ACTION_NAME", name)],
        }
    }

    /// What configuration can't replace.
    fn fixed(&self, address: &Address) -> Vec<(&'static str, String)> {
        match address {
            Address::Api(api) => {
                vec![("AWS_LAMBDA_RUNTIME_API", api.to_string()), ("_HANDLER", self.handler.clone())]
            }
            Address::Port(port) => vec![("PORT", port.to_string())],
            Address::Socket(path) => {
                let listener = format!("unix:{}", path.display());
                vec![("FN_LISTENER", listener), ("FN_FORMAT", "http-stream".to_owned())]
            }
        }
    }

    fn region(&self) -> &str {
        self.environment.get("AWS_REGION").map_or(REGION, String::as_str)
    }

    /// What the function is told as its own name in the provider's form.
    pub(super) fn arn(&self) -> String {
        format!("arn:aws:lambda:{}:000000000000:function:{}", self.region(), self.function)
    }
}

/// An argument with its placeholders filled in.
fn filled(argument: &str, address: &Address) -> String {
    let port = address.port().map(|port| argument.replace(PORT, &port.to_string()));
    let filled = port.unwrap_or_else(|| argument.to_owned());
    match address.socket() {
        Some(path) => filled.replace(SOCKET, &path.to_string_lossy()),
        None => filled,
    }
}
