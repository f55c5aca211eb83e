//! `latchwork quickstart`: everything embedded, on loopback; prints calls to paste and what each will answer.

mod print;

use super::{Exit, Format, findings_told, run as serving, runtime, tell};
use crate::{
    causes::causes,
    config::{BackendConfig, Config, load},
    dev::{Authority, DevError, Issuer, TLS_FOLDER, inventory::Inventory, issuer::Claims, legacy::Legacy},
    scaffold::{
        self, Ports, QuickstartLayout,
        calls::{ALICE, BOB},
    },
    server::{self, Sockets},
    telemetry::logs,
};
use jiff::Timestamp;
use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

/// Ports that are taken if they are free, for commands that look the same on every machine.
const PREFERRED: Ports = Ports { listener: 8443, issuer: 9400, admin: 9443, legacy: 8081, inventory: 8082 };
/// How long the printed tokens live.
const TOKEN_TTL: Duration = Duration::from_secs(12 * 3600);

/// `latchwork quickstart`
#[derive(Debug, clap::Args)]
pub struct QuickstartArgs {
    /// Folder of the project; written on the first run, used again after
    #[arg(long, default_value = "latchwork-quickstart")]
    dir: PathBuf,
    /// Output: text to paste from, or one line of JSON when ready
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Writes the project if it is not there, serves it until SIGINT or SIGTERM.
pub fn run(args: &QuickstartArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let _logs = logs::start(true);
    match prepare(&args.dir) {
        Ok(prepared) => serve(args, prepared, out, talk),
        Err(problem) => {
            tell(talk, format_args!("latchwork: {problem}"));
            Exit::Invalid
        }
    }
}

/// Sockets are bound before the configuration names their ports, so that nobody can take them in between.
struct Prepared {
    layout: QuickstartLayout,
    sockets: Sockets,
    legacy: Legacy,
    inventory: Inventory,
}

fn prepare(directory: &Path) -> Result<Prepared, String> {
    let on_path = |path: std::ffi::OsString| std::env::split_paths(&path).any(|folder| folder.join("curl").is_file());
    if !std::env::var_os("PATH").is_some_and(on_path) {
        return Err("the sample function is a shell script that uses `curl`, which is not here: apt-get install curl"
            .to_owned());
    }
    let again = directory.join(scaffold::QUICKSTART_MARKER).is_file() && directory.join("latchwork.toml").is_file();
    let ports = if again { Some(ports(&directory.join("latchwork.toml"))?) } else { None };
    let bind = |what: &str, wanted: fn(&Ports) -> u16| -> Result<(TcpListener, u16), String> {
        let at = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let bound = match &ports {
            Some(ports) => at(wanted(ports)).map_err(|e| {
                let port = wanted(ports);
                format!("port {port} of the {what} can't be had ({e}); is this quickstart running already? Else change it in `{}`", directory.join("latchwork.toml").display())
            }),
            None => at(wanted(&PREFERRED)).or_else(|_| at(0)).map_err(|e| format!("no port for the {what}: {e}")),
        };
        let bound = bound?;
        let port = bound.local_addr().map_err(|e| e.to_string())?.port();
        Ok((bound, port))
    };
    let (listener, listener_port) = bind("gateway", |p| p.listener)?;
    let (admin, admin_port) = bind("administrative interface", |p| p.admin)?;
    let (legacy, legacy_port) = bind("stock service", |p| p.legacy)?;
    let (inventory, inventory_port) = bind("inventory service", |p| p.inventory)?;
    let (issuer, issuer_port) = bind("development issuer", |p| p.issuer)?;
    let chosen = Ports {
        listener: listener_port,
        issuer: issuer_port,
        admin: admin_port,
        legacy: legacy_port,
        inventory: inventory_port,
    };
    let layout = scaffold::quickstart(directory, chosen).map_err(|e| causes(&e))?;
    let dev = |e: DevError| causes(&e);
    Authority::load_or_create(&directory.join(TLS_FOLDER), Timestamp::now()).map_err(dev)?;
    Issuer::load_or_create(&directory.join(crate::dev::FOLDER)).and_then(|i| i.at_port(issuer_port)).map_err(dev)?;
    let people: Vec<_> = [ALICE, BOB].iter().map(|h| (h.subject, h.groups)).collect();
    Issuer::welcome(&directory.join(crate::dev::FOLDER), layout.audience, &people).map_err(dev)?;
    // The issuer binds its own socket; the place was only held until the configuration named it.
    drop(issuer);
    let sockets = Sockets { listeners: [("public".into(), listener.into())].into(), admin: Some(admin.into()) };
    let legacy = Legacy::new(legacy).map_err(|e| e.to_string())?;
    let inventory = Inventory::new(inventory).map_err(|e| e.to_string())?;
    Ok(Prepared { layout, sockets, legacy, inventory })
}

/// The ports of an earlier run.
fn ports(file: &Path) -> Result<Ports, String> {
    let loaded = load::load(file).map_err(|findings| {
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })?;
    let config = loaded.config;
    let listener = config.listeners.iter().find(|l| &*l.name == "public").and_then(|l| l.address.port());
    let issuer = config.issuers.iter().find(|i| i.development).and_then(|i| port_of(&i.issuer));
    let complete = || -> Option<Ports> {
        Some(Ports {
            listener: listener?,
            issuer: issuer?,
            admin: config.admin.address.port()?,
            legacy: legacy_port(&config)?,
            // A folder of an earlier version has none; then the service is there and nothing leads to it.
            inventory: inventory_port(&config).unwrap_or_default(),
        })
    };
    complete().ok_or_else(|| {
        format!("`{}` is no quickstart any more (a listener `public`, a development issuer and `stock.level` are needed); serve it with `latchwork run`", file.display())
    })
}

fn legacy_port(config: &Config) -> Option<u16> {
    let stock = config.functions.iter().find(|f| f.declared.name.as_str() == "stock.level")?;
    stock.targets.iter().find_map(|t| match &t.backend {
        BackendConfig::Http(http) => port_of(&http.url),
        BackendConfig::Process(_) | BackendConfig::Grpc(_) | BackendConfig::Remote(_) => None,
    })
}

fn inventory_port(config: &Config) -> Option<u16> {
    let targets = config.functions.iter().flat_map(|f| &f.targets);
    targets.into_iter().find_map(|t| match &t.backend {
        BackendConfig::Grpc(grpc) => port_of(&grpc.url),
        BackendConfig::Http(_) | BackendConfig::Process(_) | BackendConfig::Remote(_) => None,
    })
}

fn port_of(url: &str) -> Option<u16> {
    let rest = url.split_once("://")?.1;
    rest.split('/').next()?.rsplit_once(':')?.1.parse().ok()
}

fn serve(args: &QuickstartArgs, prepared: Prepared, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let Prepared { layout, sockets, legacy, inventory } = prepared;
    let loaded = match load::load(&layout.config) {
        Ok(loaded) => loaded,
        Err(findings) => return findings_told(&findings, talk),
    };
    let runtime = match runtime(talk) {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    runtime.block_on(async {
        let issuer = match serving::development_issuer(&loaded) {
            Ok(Some(issuer)) => issuer,
            Ok(None) => return failed("the project has no development issuer", talk),
            Err(problem) => return failed(&problem, talk),
        };
        let tokens = issuer.issuer();
        let legacy = tokio::spawn(legacy.serve(std::future::pending()));
        let inventory = tokio::spawn(inventory.serve());
        // The issuer answers before the gateway asks it for keys.
        let (stop_issuer, stopped) = tokio::sync::oneshot::channel::<()>();
        let issuer = tokio::spawn(issuer.serve(async move {
            let _ = stopped.await;
        }));
        let running = match server::start(loaded, sockets).await {
            Ok(running) => running,
            Err(error) => return serving::cannot_start(&error, talk),
        };
        let mint = |holder: scaffold::calls::Holder| {
            let mut claims = Claims::new(holder.subject, layout.audience);
            claims.groups = holder.groups.iter().map(ToString::to_string).collect();
            claims.ttl = TOKEN_TTL;
            tokens.mint(&claims).map_err(|e| causes(&e))
        };
        match print::ready(args.format, &layout, &running, &mint, out) {
            Ok(()) => {}
            Err(problem) => return failed(&problem, talk),
        }
        serving::serve(running, Vec::new()).await;
        drop(stop_issuer);
        legacy.abort();
        inventory.abort();
        let _ = issuer.await;
        Exit::Ok
    })
}

fn failed(problem: &str, talk: &mut dyn Write) -> Exit {
    tell(talk, format_args!("latchwork: {problem}"));
    Exit::Failed
}
