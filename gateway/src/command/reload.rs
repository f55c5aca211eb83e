//! `latchwork reload`: puts what is on disk in force in the running gateway, or says what would change.

use super::{Exit, Format, default_config, loaded, runtime, tell};
use crate::{
    address::UNIX,
    admin::CHANGE_HEADER,
    client::{self, Through},
    running,
};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use std::{io::Write, path::PathBuf, time::Duration};

/// Longest wait for a reload to be in force.
const TIMEOUT: Duration = Duration::from_secs(120);

/// `latchwork reload`
#[derive(Debug, clap::Args)]
pub struct ReloadArgs {
    /// Configuration of the running gateway
    #[arg(short, long, default_value_os_t = default_config())]
    config: PathBuf,
    /// Administrative interface, such as http://127.0.0.1:9443 or unix:/run/latchwork/admin.sock; found by itself
    /// otherwise
    #[arg(long)]
    admin: Option<String>,
    /// Return when it is in force (this is always so; the flag says it)
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
    /// Say what would change; change nothing
    #[arg(long)]
    dry_run: bool,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Reloads.
pub fn run(args: &ReloadArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let admin = match &args.admin {
        Some(admin) => admin.trim_end_matches('/').to_owned(),
        None => {
            let directory = args.config.parent().unwrap_or(std::path::Path::new(""));
            match running::read(directory) {
                Some(note) => note.admin.url("http"),
                // A broken configuration is for the gateway to judge; only its address is wanted here.
                None => match loaded(&args.config, talk) {
                    Ok(loaded) => loaded.config.admin.address.url("http"),
                    Err(exit) => return exit,
                },
            }
        }
    };
    let query = if args.dry_run { "?dry_run=true" } else { "" };
    let socket = admin.strip_prefix(UNIX).map(|path| Through(path.into()));
    let base = if socket.is_some() { "http://localhost" } else { &admin };
    let request = Request::post(format!("{base}/latchwork/v1/reload{query}")).header(CHANGE_HEADER, "1");
    let Ok(mut request) = request.body(Full::new(Bytes::new())) else {
        tell(talk, format_args!("latchwork: `{admin}` is not an address"));
        return Exit::Invalid;
    };
    if let Some(socket) = socket {
        request.extensions_mut().insert(socket);
    }
    let runtime = match runtime(talk) {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    match runtime.block_on(client::send(request, None, TIMEOUT)) {
        Ok(response) => answered(args.format, response.status(), response.body(), out, talk),
        Err(error) => {
            tell(talk, format_args!("latchwork: {error}; is the gateway running?"));
            Exit::Failed
        }
    }
}

fn answered(format: Format, status: StatusCode, body: &[u8], out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let Ok(outcome) = serde_json::from_slice::<Value>(body) else {
        tell(talk, format_args!("latchwork: the answer is not JSON; is this the administrative interface?"));
        return Exit::Failed;
    };
    if format == Format::Json {
        tell(out, format_args!("{outcome}"));
    } else {
        human(&outcome, out, talk);
    }
    match status {
        StatusCode::OK => Exit::Ok,
        StatusCode::UNPROCESSABLE_ENTITY => Exit::Invalid,
        _ => Exit::Failed,
    }
}

fn human(outcome: &Value, out: &mut dyn Write, talk: &mut dyn Write) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let list = |name: &str| outcome.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    for finding in list("findings") {
        let part = |name: &str| finding.get(name).map(text).unwrap_or_default();
        tell(
            talk,
            format_args!(
                "{}:{}:{}: {}: {}",
                part("file"),
                part("line"),
                part("column"),
                part("severity"),
                part("message")
            ),
        );
    }
    for loss in list("losses") {
        tell(talk, format_args!("note: {}", text(&loss)));
    }
    if let Some(title) = outcome.get("title") {
        tell(talk, format_args!("latchwork: {}", text(title)));
        return;
    }
    let part = |name: &str| outcome.get(name).map(text).unwrap_or_default();
    tell(out, format_args!("{}: bundle {} (generation {})", part("result"), part("bundle"), part("generation")));
}
