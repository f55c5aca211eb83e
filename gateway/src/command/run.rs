//! `latchwork run`: serves until it is told to stop.

use super::{Exit, Format, default_config, findings_told, loaded, runtime, tell};
use crate::{
    config::load::Loaded,
    dev::{Authority, Issuer, issuer},
    running,
    server::{self, Running, Sockets, StartError},
    telemetry::logs,
};
use jiff::Timestamp;
use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Notify,
};

/// `latchwork run`
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Configuration
    #[arg(short, long, default_value_os_t = default_config())]
    config: PathBuf,
    /// How the line that says "ready" is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Serves until SIGINT or SIGTERM.
pub fn run(args: &RunArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let _logs = logs::start(false);
    if let Err(error) = renew(&args.config) {
        tell(talk, format_args!("latchwork: {error}"));
        return Exit::Failed;
    }
    let loaded = match loaded(&args.config, talk) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let runtime = match runtime(talk) {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    runtime.block_on(async {
        let development = match development_issuer(&loaded) {
            Ok(development) => development,
            Err(problem) => {
                tell(talk, format_args!("latchwork: {problem}"));
                return Exit::Failed;
            }
        };
        let running = match server::start(loaded, Sockets::default()).await {
            Ok(running) => running,
            Err(error) => return cannot_start(&error, talk),
        };
        ready(&running, args.format, out);
        serve(running, development.into_iter().collect()).await;
        Exit::Ok
    })
}

/// Serves the gateway and what is embedded beside it until SIGINT or SIGTERM.
pub(crate) async fn serve(running: Running, development: Vec<issuer::Server>) {
    let stopped = Arc::new(Notify::new());
    let mut embedded = tokio::task::JoinSet::new();
    for server in development {
        let stopped = stopped.clone();
        embedded.spawn(async move { server.serve(async move { stopped.notified().await }).await });
    }
    let config = running.gateway().generation().config.clone();
    let note = running::Note::leave(&config.directory, &running);
    running.serve(interrupted()).await;
    stopped.notify_waiters();
    embedded.shutdown().await;
    drop(note);
}

/// The development issuer that the configuration asks for, listening.
pub(crate) fn development_issuer(loaded: &Loaded) -> Result<Option<issuer::Server>, String> {
    let config = &loaded.config;
    let Some(wanted) = config.issuers.iter().find(|i| i.development) else { return Ok(None) };
    let folder = config.directory.join(crate::dev::FOLDER);
    let port = wanted.issuer.rsplit(':').next().and_then(|p| p.trim_end_matches('/').parse().ok());
    let port: u16 = port.ok_or_else(|| format!("issuer `{}` has no port", wanted.alias))?;
    let issuer = Issuer::load_or_create(&folder).and_then(|i| i.at_port(port)).map_err(|e| e.to_string())?;
    let server = issuer.bind_exactly().map_err(|e| format!("{e}; the development issuer needs port {port}"))?;
    Ok(Some(server))
}

/// Renews development certificates where there are any, before they are read.
pub(crate) fn renew(config: &Path) -> Result<(), crate::dev::DevError> {
    let folder = config.parent().unwrap_or(Path::new("")).join(crate::dev::TLS_FOLDER);
    Authority::renew(&folder, Timestamp::now())
}

/// Says why the gateway can't start.
pub(crate) fn cannot_start(error: &StartError, talk: &mut dyn Write) -> Exit {
    match error {
        StartError::Findings(findings) => findings_told(findings, talk),
        StartError::Audit(_)
        | StartError::Unrecorded(_)
        | StartError::Listener(_)
        | StartError::Admin { .. }
        | StartError::Host(_) => {
            tell(talk, format_args!("latchwork: {error}"));
            Exit::Failed
        }
    }
}

/// Resolves at SIGINT or SIGTERM.
async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without handlers the signals end the process at once, which is what they mean.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn ready(running: &Running, format: Format, out: &mut dyn Write) {
    let addresses: Vec<_> = running.addresses().map(|(name, at)| (name.to_string(), at.to_string())).collect();
    match format {
        Format::Human => {
            for (name, at) in &addresses {
                tell(out, format_args!("listener {name}: {at}"));
            }
            tell(out, format_args!("admin: {}", running.admin().url("http")));
        }
        Format::Json => {
            let listeners: serde_json::Map<_, _> = addresses.into_iter().map(|(n, at)| (n, at.into())).collect();
            let admin = running.admin().url("http");
            tell(out, format_args!("{}", serde_json::json!({"ready": true, "listeners": listeners, "admin": admin})));
        }
    }
}
