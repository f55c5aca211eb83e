//! How commands speak with the administrative interface of the running gateway.

use super::{Exit, Format, default_config, loaded, runtime, tell};
use crate::{
    address::UNIX,
    admin::CHANGE_HEADER,
    client::{self, Through, Trust},
    config::text::read_bounded,
    identify::api_key,
    running,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

/// Longest wait for an answer: a change is answered once it is in force.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Which gateway, and how its answer is written.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// Configuration of the running gateway
    #[arg(short, long, default_value_os_t = default_config())]
    pub(crate) config: PathBuf,
    /// Administrative interface, such as http://127.0.0.1:9443 or unix:/run/latchwork/admin.sock; found by itself
    /// otherwise
    #[arg(long)]
    pub(crate) admin: Option<String>,
    /// File with the token or API key of whoever administers; the variable LATCHWORK_ADMIN_TOKEN unless said
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Output
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// What the interface said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Answer {
    /// How a command ends that got it.
    pub(crate) fn exit(&self) -> Exit {
        match self.status {
            StatusCode::OK => Exit::Ok,
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Exit::Denied,
            StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST => Exit::Invalid,
            _ => Exit::Failed,
        }
    }

    /// Writes it as JSON, or a problem's title; what else there is to say is the command's.
    pub(crate) fn told(&self, format: Format, out: &mut dyn Write, talk: &mut dyn Write) -> bool {
        if format == Format::Json {
            tell(out, format_args!("{}", self.body));
            return true;
        }
        let title = self.body.get("title").and_then(Value::as_str);
        if let Some(title) = title {
            tell(talk, format_args!("latchwork: {title}"));
        }
        title.is_some()
    }
}

impl Place {
    /// Asks the interface; says so when there is no answer.
    pub(crate) fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        talk: &mut dyn Write,
    ) -> Result<Answer, Exit> {
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        self.send(method, path, body, talk)
    }

    /// Sends bytes to the interface; says so when there is no answer.
    pub(crate) fn send(&self, method: Method, path: &str, body: Bytes, talk: &mut dyn Write) -> Result<Answer, Exit> {
        let response = self.exchange(method, path, body, talk)?;
        let body = serde_json::from_slice(response.body()).map_err(|_| {
            tell(talk, format_args!("latchwork: the answer is not JSON; is this the administrative interface?"));
            Exit::Failed
        })?;
        Ok(Answer { status: response.status(), body })
    }

    /// What the interface has at a path, as it comes; says so when there is no answer.
    pub(crate) fn fetch(&self, path: &str, talk: &mut dyn Write) -> Result<(StatusCode, Bytes), Exit> {
        let response = self.exchange(Method::GET, path, Bytes::new(), talk)?;
        Ok((response.status(), response.into_body()))
    }

    /// Says why it was refused.
    pub(crate) fn refused(&self, status: StatusCode, body: &[u8], out: &mut dyn Write, talk: &mut dyn Write) -> Exit {
        let answer = Answer { status, body: serde_json::from_slice(body).unwrap_or_default() };
        if !answer.told(self.format, out, talk) {
            tell(talk, format_args!("latchwork: the gateway answers {status}"));
        }
        answer.exit()
    }

    fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        talk: &mut dyn Write,
    ) -> Result<http::Response<Bytes>, Exit> {
        let admin = self.address(talk)?;
        let socket = admin.strip_prefix(UNIX).map(|path| Through(path.into()));
        let base = if socket.is_some() { "http://localhost" } else { &admin };
        let mut request = Request::builder().method(method).uri(format!("{base}/latchwork/v1/{path}"));
        request = request.header(CHANGE_HEADER, "1").header(header::CONTENT_TYPE, "application/json");
        if let Some((name, value)) = self.credential(talk)? {
            request = request.header(name, value);
        }
        let Ok(mut request) = request.body(Full::new(body)) else {
            tell(talk, format_args!("latchwork: `{admin}` is not an address"));
            return Err(Exit::Invalid);
        };
        if let Some(socket) = socket {
            request.extensions_mut().insert(socket);
        }
        runtime(talk)?.block_on(client::send(request, &Trust::default(), TIMEOUT)).map_err(|error| {
            tell(talk, format_args!("latchwork: {error}; is the gateway running?"));
            Exit::Failed
        })
    }

    /// The header that says who administers.
    fn credential(&self, talk: &mut dyn Write) -> Result<Option<(HeaderName, HeaderValue)>, Exit> {
        let secret = match &self.token_file {
            Some(file) => read_bounded(file)
                .map_err(|error| format!("`{}` can't be read: {error}", file.display()))
                .and_then(|bytes| String::from_utf8(bytes).map_err(|_| format!("`{}` is not text", file.display()))),
            None => match std::env::var(super::TOKEN_VARIABLE) {
                Ok(token) => Ok(token),
                Err(_) => return Ok(None),
            },
        };
        let header = secret.map(SecretString::from).and_then(|secret| header_of(secret.expose_secret().trim()));
        header.map(Some).map_err(|wrong| {
            tell(talk, format_args!("latchwork: {wrong}"));
            Exit::Invalid
        })
    }

    fn address(&self, talk: &mut dyn Write) -> Result<String, Exit> {
        if let Some(admin) = &self.admin {
            return Ok(admin.trim_end_matches('/').to_owned());
        }
        let directory = self.config.parent().unwrap_or(Path::new(""));
        match running::read(directory) {
            Some(note) => Ok(note.admin.url("http")),
            // A broken configuration is for the gateway to judge; only its address is wanted here.
            None => loaded(&self.config, talk).map(|loaded| loaded.config.admin.address.url("http")),
        }
    }
}

/// A token travels as bearer; an API key, which is known by its form, in the header that holds keys unless configured.
fn header_of(secret: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, text) = match api_key::text::read(secret) {
        Some(_) => (HeaderName::from_static("x-api-key"), secret.to_owned()),
        None => (header::AUTHORIZATION, format!("Bearer {secret}")),
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| "the token has characters that no token has".to_owned())?;
    value.set_sensitive(true);
    Ok((name, value))
}
