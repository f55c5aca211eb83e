//! `[audit.ship.NAME]`: one sink each, that records can go to.

use super::{collector, reference, tls};
use crate::{
    audit::record::Kind,
    config::{
        FileSink, NatsSink, Node, ObjectSink, Ship, Sink, raw,
        raw::{At, Named},
        value::{Desk, shorten},
    },
};
use mesh::nats::{Address, AddressError, Login, NAME_BYTES_MAX, SERVERS_MAX, is_stream, is_subject};
use secrecy::SecretString;
use std::{ops::Range, path::Path, time::Duration};

/// Most sinks: each has a thread that reads the log.
const SHIPS_MAX: usize = 8;
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
        let text = &stream.value;
        let named = is_stream(text);
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
        let Address { secure, loopback } = match Address::parse(text) {
            Ok(address) => address,
            Err(AddressError::Unreadable) => {
                let message = format!("`{}` is no address of a NATS server", shorten(text));
                desk.error_help("bad_url", &written.span, message, "such as `tls://nats.internal:4222`");
                return None;
            }
            Err(error @ AddressError::UserInformation) => {
                let finding = desk.text.error_unsaid("inline_secret", &written.span, error.to_string());
                desk.report
                    .push(finding.help("`user` with `password = \"env:NAME\"`, or `token`, `nkey` or `credentials`"));
                return None;
            }
            Err(error @ AddressError::Longer) => {
                desk.error("bad_url", &written.span, error.to_string());
                return None;
            }
        };
        clear |= !secure;
        let flag = table.clear_text.as_ref();
        collector::clear_text(("records", "tls"), (secure, loopback), written, flag, node, desk);
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

fn subject(written: &At<String>, desk: &mut Desk<'_>) -> Option<String> {
    let text = &written.value;
    let mut plain = text.clone();
    for part in PARTS {
        plain = plain.replace(part, "x");
    }
    if text.len() > NAME_BYTES_MAX || !is_subject(&plain) {
        let message = format!("`{}` is no subject of records", shorten(text));
        let help = format!("words with `.` between, with {} for what the record says", PARTS.join(", "));
        desk.error_help("bad_subject", &written.span, message, help);
        return None;
    }
    Some(text.clone())
}

fn login(table: &raw::NatsSink, desk: &mut Desk<'_>) -> Option<Login> {
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
    let login = match (token, user, password, nkey, credentials) {
        (Some(token), ..) => (token, Login::Token(secret(token, desk)?)),
        (_, Some(user), Some(password), ..) => {
            let name = desk.word("user", user)?;
            (password, Login::User(name.to_string(), secret(password, desk)?))
        }
        (.., Some(nkey), _) => (nkey, Login::NKey(secret(nkey, desk)?)),
        (.., Some(credentials)) => (credentials, Login::Credentials(secret(credentials, desk)?)),
        _ => return user.is_none().then_some(Login::Anonymous),
    };
    let (written, login) = login;
    if let Some(problem) = login.problem() {
        desk.error("bad_secret", &written.span, problem);
    }
    Some(login)
}

fn secret(reference: &At<String>, desk: &mut Desk<'_>) -> Option<SecretString> {
    reference::referred(reference, desk).map(SecretString::from)
}
