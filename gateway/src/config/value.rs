//! Single values: durations, numbers, names, addresses, paths. Each is read or reported at its place.

use super::{raw::At, report::Report, text::Text};
use jiff::{Span, SpanRelativeTo, tz::TimeZone};
use policy::finding::Finding;
use std::{
    net::SocketAddr,
    ops::{Range, RangeInclusive},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Longest name of a listener, issuer, zone, app, group or node, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// One file under check: what it says, where relative paths start, and where problems go.
#[derive(Debug)]
pub(crate) struct Desk<'a> {
    /// The file.
    pub(crate) text: &'a Text,
    /// The folder of `latchwork.toml`.
    pub(crate) directory: &'a Path,
    /// Problems.
    pub(crate) report: &'a mut Report,
}

impl Desk<'_> {
    /// Reports an error.
    pub(crate) fn error(&mut self, code: &'static str, span: &Range<usize>, message: impl Into<String>) {
        self.report.push(self.text.error(code, span, message));
    }

    /// Reports an error with a suggestion.
    pub(crate) fn error_help(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.report.push(self.text.error(code, span, message).help(Into::<String>::into(help)));
    }

    /// Reports a warning with a suggestion.
    pub(crate) fn warn(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.report.push(self.text.error(code, span, message).help(Into::<String>::into(help)).warning());
    }

    /// The value of a required key; its table is at `span`.
    pub(crate) fn required<'v, T>(&mut self, key: &str, value: &'v Option<T>, span: &Range<usize>) -> Option<&'v T> {
        if value.is_none() {
            let finding = self.text.error("missing_key", span, format!("`{key}` is missing"));
            self.report.push_missing(key, finding);
        }
        value.as_ref()
    }

    /// A duration such as `"5s"`, within limits.
    pub(crate) fn duration(
        &mut self,
        written: Option<&At<String>>,
        default: Duration,
        limits: RangeInclusive<Duration>,
    ) -> Duration {
        let Some(At { value, span }) = written else { return default };
        match duration(value) {
            Ok(duration) if limits.contains(&duration) => duration,
            Ok(_) => {
                let (least, most) = (limits.start(), limits.end());
                let message = format!("`{value}` is not between {least:?} and {} s", most.as_secs());
                self.error("out_of_range", span, message);
                default
            }
            Err(help) => {
                self.error_help("bad_duration", span, format!("`{value}` is no duration"), help);
                default
            }
        }
    }

    /// A number within limits.
    pub(crate) fn number(&mut self, written: Option<&At<i64>>, default: u64, limits: RangeInclusive<u64>) -> u64 {
        let Some(At { value, span }) = written else { return default };
        match u64::try_from(*value) {
            Ok(number) if limits.contains(&number) => number,
            _ => {
                let message = format!("{value} is not between {} and {}", limits.start(), limits.end());
                self.error("out_of_range", span, message);
                default
            }
        }
    }

    /// A name that becomes part of ids: lowercase letters, digits, `-` and `_`.
    pub(crate) fn name(&mut self, what: &str, written: &At<String>) -> Option<Arc<str>> {
        let name = &written.value;
        let sound = name.len() <= NAME_BYTES_MAX
            && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
        if !sound {
            let message = format!("`{}` is no name of {what}", shorten(name));
            let help = format!("lowercase letters, digits, `-` and `_`, at most {NAME_BYTES_MAX}");
            self.error_help("bad_name", &written.span, message, help);
        }
        sound.then(|| name.as_str().into())
    }

    /// A word that policy compares as text: not empty, no control characters, not too long.
    pub(crate) fn word(&mut self, what: &str, written: &At<String>) -> Option<Arc<str>> {
        const WORD_BYTES_MAX: usize = 256;
        let word = &written.value;
        let sound = !word.is_empty() && word.len() <= WORD_BYTES_MAX && !word.chars().any(char::is_control);
        if !sound {
            let message = format!("`{}` is no {what}: 1 to {WORD_BYTES_MAX} bytes of text", shorten(word));
            self.error("bad_text", &written.span, message);
        }
        sound.then(|| word.as_str().into())
    }

    /// An address with port.
    pub(crate) fn address(&mut self, written: &At<String>) -> Option<SocketAddr> {
        let text = &written.value;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            let help = if text.starts_with("localhost:") {
                format!("names are not looked up: `{}`", text.replacen("localhost", "127.0.0.1", 1))
            } else {
                "an address and a port, such as `127.0.0.1:8443` or `[::]:8443`".to_owned()
            };
            self.error_help("bad_address", &written.span, format!("`{}` is no address", shorten(text)), help);
        }
        parsed
    }

    /// A network such as `10.0.0.0/8`; a bare address is a network of one.
    pub(crate) fn network(&mut self, written: &At<String>) -> Option<ipnet::IpNet> {
        let text = &written.value;
        let parsed = text.parse().or_else(|_| text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from));
        match parsed {
            Ok(network) if network.addr() == network.network() => Some(network),
            Ok(network) => {
                let message = format!("`{text}` has bits beyond its prefix");
                self.error_help("bad_network", &written.span, message, format!("`{}`", network.trunc()));
                None
            }
            Err(_) => {
                let message = format!("`{}` is no network", shorten(text));
                self.error_help("bad_network", &written.span, message, "such as `10.0.0.0/8` or `2001:db8::/32`");
                None
            }
        }
    }

    /// A time zone such as `Europe/Vienna`; UTC when it is none.
    pub(crate) fn time_zone(&mut self, written: &At<String>) -> TimeZone {
        TimeZone::get(&written.value).unwrap_or_else(|_| {
            let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
            self.unknown("unknown_time_zone", "time zone", written, names.iter().map(String::as_str));
            TimeZone::UTC
        })
    }

    /// A path from the configuration's folder.
    pub(crate) fn path(&self, written: &str) -> PathBuf {
        self.directory.join(written)
    }

    /// A file that a key names, read; problems with reading it are reported at the key.
    pub(crate) fn file(&mut self, written: &At<String>) -> Option<Text> {
        match Text::read(&self.path(&written.value)) {
            Ok(text) => Some(text),
            Err(finding) if finding.line > 0 => {
                self.report.push(finding);
                None
            }
            Err(finding) => {
                let message = format!("`{}`: {}", shorten(&written.value), finding.message);
                self.error(finding.code, &written.span, message);
                None
            }
        }
    }

    /// Reports that a name is not known, with the nearest that is.
    pub(crate) fn unknown<'n>(
        &mut self,
        code: &'static str,
        what: &str,
        written: &At<String>,
        known: impl IntoIterator<Item = &'n str>,
    ) {
        let name = &written.value;
        let finding = self.text.error(code, &written.span, format!("there is no {what} `{}`", shorten(name)));
        self.report.push_missing(name, finding.nearest(name, known));
    }

    /// An error about a key whose file is named elsewhere.
    pub(crate) fn take<T>(&mut self, result: Result<T, Finding>) -> Option<T> {
        self.report.take(result)
    }
}

/// Reads `"5s"`, `"1m 30s"`, `"365d"`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let help = || "a number and a unit, such as `5s`, `500ms`, `10m` or `365d`".to_owned();
    let span: Span = text.parse().map_err(|_| help())?;
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| help())?;
    Duration::try_from(signed).map_err(|_| "a duration is not negative".to_owned())
}

/// User input in a message, kept short.
pub(crate) fn shorten(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 80;
    text.chars().take(SHOWN_CHARS_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
