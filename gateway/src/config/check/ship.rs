//! `[audit.ship.NAME]`: one sink each, that records can go to.

use super::{collector, reference, tls};
use crate::{
    audit::record::Kind,
    config::{
        FileSink, NatsLogin, NatsSink, Node, ObjectSink, Secret, Ship, Sink, raw,
        raw::{At, Named},
        value::{Desk, shorten},
    },
};
use std::{net::IpAddr, ops::Range, path::Path, time::Duration};
use url::Url;

/// Most sinks: each has a thread that reads the log.
const SHIPS_MAX: usize = 8;
/// Most servers of one sink.
const SERVERS_MAX: usize = 16;
/// Longest subject, stream or user, in bytes.
const NATS_NAME_BYTES_MAX: usize = 255;
/// Longest prefix of an object's key, in bytes.
const PREFIX_BYTES_MAX: usize = 256;
/// What a subject is unless configured.
const SUBJECT: &str = "latchwork.audit.{node}.{kind}";
/// What may stand in a subject for what a record says.
pub(crate) const PARTS: [&str; 3] = ["{node}", "{kind}", "{incarnation}"];

/// `log` is the folder of the log, which nothing is shipped into.
pub(crate) fn ships(written: &Named<raw::Ship>, log: &Path, node: &Node, desk: &mut Desk<'_>) -> Vec<Ship> {
    if let Some((name, _)) = written.iter().nth(SHIPS_MAX) {
        desk.error("too_many", &name.span, format!("at most {SHIPS_MAX} places are shipped to"));
    }
    let mut ships = Vec::new();
    for (name, table) in written {
        let span = &name.span;
        let name = desk.name("a place to ship to", name);
        let kinds = kinds(table, desk);
        ships.extend(name.zip(sink(table, span, log, node, desk)).map(|(name, sink)| Ship { name, kinds, sink }));
    }
    ships
}

fn kinds(table: &raw::Ship, desk: &mut Desk<'_>) -> Option<Vec<Kind>> {
    let At { value: list, span } = table.kinds.as_ref()?;
    if list.is_empty() {
        desk.error_help("empty_list", span, "nothing would be shipped", "leave `kinds` out for all");
    }
    if table.objects.is_some() {
        let message = "objects hold whole segments, or nobody could prove anything with them";
        desk.error_help("contradiction", span, message, "leave `kinds` out");
    }
    let mut kinds: Vec<Kind> = list.iter().map(|kind| kind.value).collect();
    kinds.sort_unstable();
    kinds.dedup();
    Some(kinds)
}

fn sink(table: &raw::Ship, span: &Range<usize>, log: &Path, node: &Node, desk: &mut Desk<'_>) -> Option<Sink> {
    match table {
        raw::Ship { file: Some(file), objects: None, otlp: None, nats: None, .. } => {
            self::file(file, log, desk).map(Sink::File)
        }
        raw::Ship { file: None, objects: Some(objects), otlp: None, nats: None, .. } => {
            self::objects(objects, log, desk).map(Sink::Objects)
        }
        raw::Ship { file: None, objects: None, otlp: Some(At { value, span }), nats: None, .. } => {
            let raw::OtlpSink { endpoint, headers, ca, clear_text, timeout } = value;
            let what = "records";
            let written = collector::Written { what, endpoint, headers, ca, clear_text, timeout, span };
            collector::collector(&written, node, desk).map(Sink::Otlp)
        }
        raw::Ship { file: None, objects: None, otlp: None, nats: Some(nats), .. } => {
            self::nats(nats, node, desk).map(Sink::Nats)
        }
        _ => {
            let message = "exactly one of `file`, `objects`, `otlp` and `nats` says where records go";
            desk.error_help("one_sink", span, message, "a table of its own for each, `[audit.ship.NAME]`");
            None
        }
    }
}

fn file(At { value, span }: &At<raw::FileSink>, log: &Path, desk: &mut Desk<'_>) -> Option<FileSink> {
    let rotate_bytes = desk.number(value.rotate_bytes.as_ref(), 100 << 20, 128 << 10..=1 << 40);
    let files_max = value.files_max.as_ref().map(|written| desk.number(Some(written), 10, 1..=100_000));
    let written = desk.required("path", &value.path, span)?;
    let path = desk.path(&written.value);
    beside(&path, log, written, desk);
    if path.is_dir() {
        desk.error("not_a_file", &written.span, format!("`{}` is a folder", shorten(&written.value)));
    }
    Some(FileSink { path, rotate_bytes, files_max })
}

fn objects(At { value, span }: &At<raw::ObjectSink>, log: &Path, desk: &mut Desk<'_>) -> Option<ObjectSink> {
    let limits = Duration::from_secs(1)..=Duration::from_secs(30 * 86_400);
    let age_max = desk.duration(value.age_max.as_ref(), Duration::from_secs(3600), limits);
    let prefix = match &value.prefix {
        None => String::new(),
        Some(written) => {
            let prefix = &written.value;
            let plain = |part: &str| {
                let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.=".contains(&b);
                !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain)
            };
            let parts = prefix.strip_suffix('/').unwrap_or(prefix);
            if prefix.len() > PREFIX_BYTES_MAX || !(parts.is_empty() || parts.split('/').all(plain)) || prefix == "/" {
                let message = format!("`{}` can't begin the keys of objects", shorten(prefix));
                let help = "letters, digits, `-`, `_`, `.` and `=` between slashes, such as `audit/`";
                desk.error_help("bad_prefix", &written.span, message, help);
            }
            prefix.clone()
        }
    };
    let written = desk.required("path", &value.path, span)?;
    let path = desk.path(&written.value);
    beside(&path, log, written, desk);
    Some(ObjectSink { path, prefix, age_max })
}

/// What is shipped lies beside the log, where its readers don't take it for the log.
fn beside(path: &Path, log: &Path, written: &At<String>, desk: &mut Desk<'_>) {
    if path.starts_with(log) {
        desk.error("same_folder", &written.span, "what is shipped into the log's folder is shipped nowhere");
    }
}

fn nats(At { value, span }: &At<raw::NatsSink>, node: &Node, desk: &mut Desk<'_>) -> Option<NatsSink> {
    let url = desk.required("url", &value.url, span);
    let stream = desk.required("stream", &value.stream, span);
    let urls = url.and_then(|url| servers(url, value, node, desk));
    let stream = stream.and_then(|stream| {
        let sound = |b: u8| b.is_ascii_graphic() && !b".*>/\\".contains(&b);
        let text = &stream.value;
        let named = !text.is_empty() && text.len() <= NATS_NAME_BYTES_MAX && text.bytes().all(sound);
        if !named {
            let message = format!("`{}` is no name of a stream", shorten(text));
            desk.error_help(
                "bad_name",
                &stream.span,
                message,
                "such as `AUDIT`: no spaces, `.`, `*`, `>`, `/` or `\\`",
            );
        }
        named.then(|| text.clone())
    });
    let subject =
        value.subject.as_ref().map_or_else(|| Some(SUBJECT.to_owned()), |subject| self::subject(subject, desk));
    let ca = value.ca.as_ref().and_then(|ca| tls::authorities(ca, desk));
    let login = login(value, desk);
    let limits = Duration::from_millis(100)..=Duration::from_secs(60);
    let timeout = desk.duration(value.timeout.as_ref(), Duration::from_secs(10), limits);
    let create = value.create;
    Some(NatsSink { urls: urls?, stream: stream?, subject: subject?, create, login: login?, ca, timeout })
}

fn servers(written: &At<String>, table: &raw::NatsSink, node: &Node, desk: &mut Desk<'_>) -> Option<Vec<String>> {
    let mut urls = Vec::new();
    let mut clear = false;
    for text in written.value.split(',').map(str::trim) {
        let url = text.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "nats" | "tls") && url.has_host());
        let bare = |url: &Url| matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let Some(url) = url else {
            let message = format!("`{}` is no address of a NATS server", shorten(text));
            desk.error_help("bad_url", &written.span, message, "such as `tls://nats.internal:4222`");
            return None;
        };
        if !url.username().is_empty() || url.password().is_some() {
            let finding = desk.text.error_unsaid("inline_secret", &written.span, "the address has user information");
            desk.report
                .push(finding.help("`user` with `password = \"env:NAME\"`, or `token`, `nkey` or `credentials`"));
            return None;
        }
        if !bare(&url) {
            desk.error("bad_url", &written.span, "the address of a NATS server ends with its port");
            return None;
        }
        let secure = url.scheme() == "tls";
        clear |= !secure;
        let flag = table.clear_text.as_ref();
        collector::clear_text(("records", "tls"), (secure, is_loopback(&url)), written, flag, node, desk);
        urls.push(text.to_owned());
    }
    if let (Some(ca), true) = (&table.ca, clear) {
        desk.error("unused_key", &ca.span, "`ca` counts with `tls` only");
    }
    if urls.len() > SERVERS_MAX {
        desk.error("too_many", &written.span, format!("at most {SERVERS_MAX} servers"));
    }
    Some(urls)
}

/// Hosts of such addresses are not parsed as those of the web.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

fn subject(written: &At<String>, desk: &mut Desk<'_>) -> Option<String> {
    let text = &written.value;
    let mut plain = text.clone();
    for part in PARTS {
        plain = plain.replace(part, "x");
    }
    let sound = |token: &str| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic() && !b"*>{}".contains(&b));
    if text.len() > NATS_NAME_BYTES_MAX || !plain.split('.').all(sound) || plain.starts_with('$') {
        let message = format!("`{}` is no subject of records", shorten(text));
        let help = format!("words with `.` between, with {} for what the record says", PARTS.join(", "));
        desk.error_help("bad_subject", &written.span, message, help);
        return None;
    }
    Some(text.clone())
}

fn login(table: &raw::NatsSink, desk: &mut Desk<'_>) -> Option<NatsLogin> {
    let raw::NatsSink { token, user, password, nkey, credentials, .. } = table;
    let given = [token, user, nkey, credentials].into_iter().flatten();
    if let Some(second) = given.clone().nth(1) {
        let message = "`token`, `user`, `nkey` and `credentials` exclude each other";
        desk.error("contradiction", &second.span, message);
        return None;
    }
    match (user, password) {
        (Some(user), None) => desk.error("missing_key", &user.span, "`user` needs `password`"),
        (None, Some(password)) => desk.error("unused_key", &password.span, "`password` counts with `user` only"),
        _ => {}
    }
    let secret = |reference: &At<String>, desk: &mut Desk<'_>| {
        let read = reference::referred(reference, desk)?;
        if read.is_empty() {
            desk.error("bad_secret", &reference.span, "the secret is empty");
        }
        Some(Secret::new(read.into_bytes()))
    };
    if let Some(token) = token {
        return secret(token, desk).map(NatsLogin::Token);
    }
    if let (Some(user), Some(password)) = (user, password) {
        let name = desk.word("user", user)?;
        return secret(password, desk).map(|password| NatsLogin::User(name.to_string(), password));
    }
    if let Some(nkey) = nkey {
        let seed = secret(nkey, desk)?;
        if !is_seed(seed.expose()) {
            desk.error(
                "bad_secret",
                &nkey.span,
                "the secret is no seed of a user's NKey: 58 letters that begin with `SU`",
            );
        }
        return Some(NatsLogin::NKey(seed));
    }
    if let Some(credentials) = credentials {
        let text = reference::referred(credentials, desk)?;
        if async_nats::ConnectOptions::with_credentials(&text).is_err() {
            desk.error(
                "bad_secret",
                &credentials.span,
                "the secret is no credentials file: a JWT and the seed of its NKey",
            );
        }
        return Some(NatsLogin::Credentials(Secret::new(text.into_bytes())));
    }
    user.is_none().then_some(NatsLogin::Anonymous)
}

fn is_seed(text: &[u8]) -> bool {
    text.len() == 58 && text.starts_with(b"SU") && text.iter().all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'7'))
}
