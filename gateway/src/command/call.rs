//! `latchwork call`: calls a function by name, as a client would.

mod by_name;

use super::{Exit, Format, default_config, loaded, runtime, tell};
use crate::{
    address::{Address, UNIX},
    client::{self, Through},
    config::{Config, Credential, Function, Listener, Route, Shown},
    dev::Issuer,
    front::response::CALL_ID,
    running,
};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::{
    io::{Read, Write},
    path::PathBuf,
    time::Duration,
};

/// Largest body that is read from standard input, in bytes.
const DATA_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// `latchwork call`
#[derive(Debug, clap::Args)]
pub struct CallArgs {
    /// Function, such as orders.create
    function: String,
    /// Configuration that has the function in its catalog
    #[arg(short, long, default_value_os_t = default_config())]
    config: PathBuf,
    /// Body; `-` reads standard input
    #[arg(short, long)]
    data: Option<String>,
    /// Path parameter
    #[arg(short, long = "path", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// Query parameter
    #[arg(short, long, value_name = "NAME=VALUE")]
    query: Vec<String>,
    /// Further header
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Over gRPC, by the function's name (latchwork.invoke.v1)
    #[arg(long)]
    grpc: bool,
    /// Bearer token
    #[arg(long, env = "LATCHWORK_TOKEN", hide_env_values = true, conflicts_with = "subject")]
    token: Option<String>,
    /// Call as this person of the development issuer
    #[arg(long = "as", value_name = "SUBJECT")]
    subject: Option<String>,
    /// Address of the gateway, such as https://127.0.0.1:8443 or unix:/run/app.sock; found by itself otherwise
    #[arg(long)]
    url: Option<String>,
    /// PEM file of the authorities that vouch for the gateway
    #[arg(long)]
    cacert: Option<PathBuf>,
    /// Longest wait, in seconds
    #[arg(long, default_value_t = 60)]
    timeout: u64,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Calls.
pub fn run(args: &CallArgs, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let config = match loaded(&args.config, talk) {
        Ok(loaded) => loaded.config,
        Err(exit) => return exit,
    };
    let request = match request(args, &config) {
        Ok(request) => request,
        Err(problem) => {
            tell(talk, format_args!("latchwork: {problem}"));
            return Exit::Invalid;
        }
    };
    let development = config.directory.join(crate::dev::TLS_FOLDER).join("ca.pem");
    let authorities = args.cacert.clone().or_else(|| development.is_file().then_some(development));
    let runtime = match runtime(talk) {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let timeout = Duration::from_secs(args.timeout);
    match runtime.block_on(client::send(request, authorities.as_deref(), timeout)) {
        Ok(response) if args.grpc => by_name::told(args.format, &response, out, talk),
        Ok(response) => answered(args.format, &response, out, talk),
        Err(error) => {
            tell(talk, format_args!("latchwork: {error}"));
            Exit::Failed
        }
    }
}

fn request(args: &CallArgs, config: &Config) -> Result<Request<Full<Bytes>>, String> {
    let function = config.functions.iter().find(|f| f.declared.name.as_str() == args.function).ok_or_else(|| {
        let known = config.functions.iter().map(|f| f.declared.name.as_str());
        let near = policy::finding::nearest(&args.function, known);
        let hint = near.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
        format!("the catalog has no function `{}`{hint}", args.function)
    })?;
    let shown = || config.listeners.iter().filter(|l| shows(l, function));
    // Over a socket that is named, the listener that has it; a URL may lead to any, through proxies.
    let named = given_socket(args);
    let listener = shown().find(|l| named.as_ref() == Some(&l.address)).or_else(|| shown().next());
    let listener = listener.ok_or_else(|| format!("no listener shows `{}`", args.function))?;
    if args.grpc {
        return by_name::request(args, config, listener);
    }
    let route = function.route.as_ref().ok_or_else(|| format!("`{}` has no route; see --grpc", args.function))?;
    if route.grpc {
        return Err(format!("`{}` is a method of gRPC: call it with a client of its service", args.function));
    }
    let (base, body) = (base(args, config, listener), body(args)?);
    let method = route.method.clone().unwrap_or(if body.is_empty() { http::Method::GET } else { http::Method::POST });
    let mut request = Request::builder().method(method).uri(uri(args, &base.url, route)?);
    if let Some(host) = route.host.as_ref().or(listener.hosts.first()) {
        request = request.header(header::HOST, &**host);
    }
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    if let Some(token) = token(args, config, listener)? {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    for given in &args.headers {
        let (name, value) = given.split_once(':').ok_or_else(|| format!("`{given}` is not NAME: VALUE"))?;
        request = request.header(name.trim(), value.trim());
    }
    let request = request.body(Full::new(body)).map_err(|e| format!("the request can't be made: {e}"))?;
    Ok(through(request, base))
}

/// What a request's URI begins with, and the Unix socket that it goes to, if it does.
struct Base {
    url: String,
    through: Option<Through>,
}

/// Where the gateway is.
fn base(args: &CallArgs, config: &Config, listener: &Listener) -> Base {
    let named = given_socket(args);
    if let (Some(url), None) = (&args.url, &named) {
        return Base { url: url.trim_end_matches('/').to_owned(), through: None };
    }
    let own = named.as_ref().is_none_or(|named| *named == listener.address);
    let scheme = if own && listener.tls.is_some() { "https" } else { "http" };
    let at = named.unwrap_or_else(|| {
        let noted = running::read(&config.directory).and_then(|n| n.listeners.get(&*listener.name).cloned());
        noted.unwrap_or_else(|| listener.address.clone())
    });
    match at {
        Address::Tcp(mut at) => {
            if at.ip().is_unspecified() {
                at.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
            }
            Base { url: format!("{scheme}://{at}"), through: None }
        }
        Address::Unix(path) => Base { url: format!("{scheme}://localhost"), through: Some(Through(path)) },
    }
}

/// The Unix socket that `--url` names, as a listener's address is written.
fn given_socket(args: &CallArgs) -> Option<Address> {
    let path = std::path::Path::new(args.url.as_deref()?.strip_prefix(UNIX)?);
    Some(Address::Unix(std::path::absolute(path).unwrap_or_else(|_| path.to_owned())))
}

/// Says which socket a request goes to.
fn through(mut request: Request<Full<Bytes>>, base: Base) -> Request<Full<Bytes>> {
    if let Some(through) = base.through {
        request.extensions_mut().insert(through);
    }
    request
}

fn pairs(given: &[String]) -> Result<Vec<(String, String)>, String> {
    let pair = |g: &String| {
        g.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned())).ok_or_else(|| format!("`{g}` is not NAME=VALUE"))
    };
    given.iter().map(pair).collect()
}

fn uri(args: &CallArgs, base: &str, route: &Route) -> Result<String, String> {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let mut path = route.pattern.to_string();
    for (name, value) in pairs(&args.parameters)? {
        let filled = path.replace(&format!("{{{name}}}"), &encode(&value));
        if filled == path {
            return Err(format!("the route `{}` has no parameter `{name}`", route.pattern));
        }
        path = filled;
    }
    if let Some(missing) = path.split('{').nth(1).and_then(|p| p.split('}').next()) {
        return Err(format!("the route needs --path {missing}=VALUE"));
    }
    let query: Vec<String> = pairs(&args.query)?.iter().map(|(n, v)| format!("{}={}", encode(n), encode(v))).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    Ok(format!("{base}{path}{mark}{}", query.join("&")))
}

fn body(args: &CallArgs) -> Result<Bytes, String> {
    match args.data.as_deref() {
        None => Ok(Bytes::new()),
        Some("-") => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().lock().take(DATA_BYTES_MAX).read_to_end(&mut bytes);
            read.map_err(|e| format!("standard input can't be read: {e}"))?;
            Ok(bytes.into())
        }
        Some(data) => Ok(data.to_owned().into()),
    }
}

/// The token that was given, or one for a person of the development issuer.
fn token(args: &CallArgs, config: &Config, listener: &Listener) -> Result<Option<String>, String> {
    let Some(subject) = &args.subject else { return Ok(args.token.clone()) };
    let accepted = |alias: &std::sync::Arc<str>| listener.takes(&Credential::Issuer(alias.clone()));
    let issuer = config.issuers.iter().find(|i| i.development && accepted(&i.alias));
    let issuer = issuer.ok_or("--as needs an issuer with `development = true` on the listener")?;
    if config.node.production {
        return Err("--as is for development; `node.production` is true".to_owned());
    }
    let folder = config.directory.join(crate::dev::FOLDER);
    let mut development =
        Issuer::load(&folder).map_err(|e| e.to_string())?.ok_or("there is no development issuer yet")?;
    development.identify_as(&*issuer.issuer);
    let audience = issuer.audiences.first().ok_or("the issuer has no audience")?;
    let claims = development.claims_of(subject, audience).map_err(|e| e.to_string())?;
    let claims = claims.ok_or_else(|| format!("the development issuer knows no `{subject}`; see dev/people.toml"))?;
    development.mint(&claims).map(Some).map_err(|e| e.to_string())
}

fn shows(listener: &Listener, function: &Function) -> bool {
    match &listener.functions {
        Shown::All => true,
        Shown::Only { apps, names } => {
            apps.contains(&function.declared.app) || names.contains(function.declared.name.as_str())
        }
    }
}

fn answered(format: Format, response: &Response<Bytes>, out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
    let status = response.status();
    let call = response.headers().get(CALL_ID).and_then(|v| v.to_str().ok()).unwrap_or_default();
    match format {
        Format::Human => {
            tell(talk, format_args!("{status}  call {call}"));
            let _ = out.write_all(response.body());
            if !response.body().ends_with(b"\n") {
                tell(out, format_args!(""));
            }
        }
        Format::Json => {
            let body = serde_json::from_slice::<serde_json::Value>(response.body())
                .unwrap_or_else(|_| String::from_utf8_lossy(response.body()).into_owned().into());
            tell(
                out,
                format_args!("{}", serde_json::json!({"status": status.as_u16(), "call_id": call, "body": body})),
            );
        }
    }
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::Denied,
        status if status.is_success() || status.is_redirection() => Exit::Ok,
        _ => Exit::Failed,
    }
}
