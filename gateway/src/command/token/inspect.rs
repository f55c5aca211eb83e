//! `latchwork token inspect`: goes through every rule, says which of them a token breaks, and believes nothing in it.

use super::{Format, TokenError, TokenExit, folder};
use crate::{
    config::{self, Config},
    dev,
    identify::{
        CredentialError, Fault, TOKEN_BYTES_MAX, choose, jwks,
        jwt::{
            Header, Unverified,
            claims::{self, Admitted},
            subject,
        },
    },
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::{
    io::{self, Read as _},
    path::PathBuf,
    sync::Arc,
};

/// What to inspect.
#[derive(Clone, Debug, clap::Args)]
pub struct InspectArgs {
    /// The token, or `-` to read it from standard input
    #[arg(value_name = "TOKEN|-")]
    pub token: String,
    /// The issuer's keys (JWKS), as a file; those of the development issuer are found by themselves
    #[arg(long, value_name = "FILE")]
    pub jwks: Option<PathBuf>,
    /// Folder of the development issuer; `dev` beside the configuration unless said
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// How to write the answer
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// One rule, and whether the token keeps it: `Err` says why not; `Ok(None)` that it can't be told here.
struct Rule {
    name: &'static str,
    kept: Result<Option<String>, String>,
}

/// What was found. The signature is never part of it.
#[derive(Default)]
struct Report {
    header: Option<Map<String, Value>>,
    claims: Option<Map<String, Value>>,
    rules: Vec<Rule>,
}

/// Writes which rules the token keeps and which it breaks to `out`.
///
/// # Errors
/// When `-` or a file can't be read, or `out` can't be written.
pub fn inspect(
    args: &InspectArgs,
    config: &Config,
    now: Timestamp,
    input: &mut dyn io::Read,
    out: &mut dyn io::Write,
) -> Result<TokenExit, TokenError> {
    let mut token = args.token.clone();
    if token == "-" {
        let limit = TOKEN_BYTES_MAX as u64 + 64;
        token.clear();
        let read = input.take(limit).read_to_string(&mut token);
        read.map_err(|source| TokenError::Read { path: "-".into(), source })?;
    }
    let token = token.trim();
    // People paste the whole header.
    let token = token.strip_prefix("Authorization: ").unwrap_or(token);
    let token = token.split_once(' ').filter(|(s, _)| s.eq_ignore_ascii_case("bearer")).map_or(token, |(_, t)| t);
    let mut report = Report::default();
    report.examine(token.trim(), args, config, now)?;
    let written = match args.format {
        Format::Human => report.write_human(out),
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &report.json()).map_err(Into::into).and_then(|()| writeln!(out))
        }
    };
    written.map_err(TokenError::Write)?;
    Ok(report.exit())
}

impl Report {
    fn examine(&mut self, token: &str, args: &InspectArgs, config: &Config, now: Timestamp) -> Result<(), TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            self.broken("size", Fault::TooLong);
            return Ok(());
        }
        let unverified = match Unverified::read(token) {
            Ok(unverified) => unverified,
            Err(fault) => {
                self.broken("form", fault);
                return Ok(());
            }
        };
        self.kept("form", "three parts of base64url, header and claims are JSON objects");
        (self.header, self.claims) = (Some(unverified.header.clone()), Some(unverified.claims.clone()));
        let Some(issuer) = self.issuer(&unverified, config) else { return Ok(()) };
        let header = self.header(&unverified, issuer);
        self.dates(&unverified, issuer, now);
        self.audience(&unverified, issuer);
        self.subject(&unverified, issuer);
        self.signature(&unverified, header, issuer, args, config)
    }

    fn issuer<'a>(&mut self, token: &Unverified<'_>, config: &'a Config) -> Option<&'a config::Issuer> {
        let Some(name) = token.issuer() else {
            self.rules.push(Rule { name: "issuer", kept: Err("there is no `iss`, or it is not text".to_owned()) });
            return None;
        };
        let meant = choose(config.issuers.iter(), |issuer| issuer, token).ok();
        let Some(issuer) = meant else {
            let known = list(config.issuers.iter().map(|issuer| &issuer.issuer));
            let why = format!("no issuer is `{name}`, byte for byte; configured are {known}");
            self.rules.push(Rule { name: "issuer", kept: Err(why) });
            return None;
        };
        self.kept("issuer", &format!("it is `{}`", issuer.alias));
        let alias = config::Credential::Issuer(issuer.alias.clone());
        let takers = config.listeners.iter().filter(|listener| listener.takes(&alias));
        match list(takers.map(|listener| &listener.name)) {
            none if none.is_empty() => {
                self.rules.push(Rule { name: "listener", kept: Err("no listener takes its tokens".to_owned()) });
            }
            some => self.kept("listener", &format!("taken by {some}")),
        }
        Some(issuer)
    }

    fn header(&mut self, token: &Unverified<'_>, issuer: &config::Issuer) -> Option<Header> {
        match token.header(&issuer.algorithms) {
            Ok(header) => {
                self.kept("header", &format!("signed with {:?}", header.algorithm));
                Some(header)
            }
            Err(Fault::Algorithm) => {
                let said = token.header.get("alg").map_or("nothing".to_owned(), Value::to_string);
                let why = format!("`alg` is {said}; the issuer may use {:?}", issuer.algorithms);
                self.rules.push(Rule { name: "header", kept: Err(why) });
                None
            }
            Err(fault) => {
                self.broken("header", fault);
                None
            }
        }
    }

    fn dates(&mut self, token: &Unverified<'_>, issuer: &config::Issuer, now: Timestamp) {
        let kept = match claims::in_force(&token.claims, issuer, now) {
            Ok(dates) => Ok(Some(format!("counts until {}, leeway included", dates.expires))),
            Err(fault) => {
                let name = match fault {
                    Fault::Expired => "exp",
                    Fault::NotYet => "nbf",
                    Fault::IssuedLater => "iat",
                    _ => "",
                };
                let date = claims::date(&token.claims, name).ok().flatten();
                Err(date.map_or(fault.to_string(), |at| format!("{fault}: `{name}` is {at}, and it is {now}")))
            }
        };
        self.rules.push(Rule { name: "dates", kept });
    }

    fn audience(&mut self, token: &Unverified<'_>, issuer: &config::Issuer) {
        let audiences = claims::audiences(&token.claims).unwrap_or_default();
        if claims::accepts_audience(issuer, &audiences) {
            return self.kept("audience", "one of the issuer's");
        }
        let said = token.claims.get("aud").map_or("nothing".to_owned(), Value::to_string);
        let why = format!("`aud` is {said}; the issuer's audiences are {}", list(issuer.audiences.iter()));
        self.rules.push(Rule { name: "audience", kept: Err(why) });
    }

    fn subject(&mut self, token: &Unverified<'_>, issuer: &config::Issuer) {
        if token.claims.contains_key("cnf") {
            self.broken("binding", Fault::SenderBound);
        }
        let any_time = Admitted { expires: Timestamp::MAX, audiences: Vec::new(), issued: None };
        let kept = match subject::identity(&token.claims, any_time, issuer) {
            Ok(identity) => {
                let groups = match identity.principal.groups.join(", ") {
                    none if none.is_empty() => "none".to_owned(),
                    some => some,
                };
                let (kind, id) = (identity.principal.kind.as_str(), &identity.principal.id);
                Ok(Some(format!("{kind}::\"{id}\", groups: {groups}")))
            }
            Err(CredentialError::UndeclaredGroup(group)) => {
                Err(format!("the group `{group}` is not declared for the issuer"))
            }
            Err(error) => Err(error.to_string()),
        };
        self.rules.push(Rule { name: "subject", kept });
    }

    fn signature(
        &mut self,
        token: &Unverified<'_>,
        header: Option<Header>,
        issuer: &config::Issuer,
        args: &InspectArgs,
        config: &Config,
    ) -> Result<(), TokenError> {
        let Some(header) = header else { return Ok(()) };
        let Some(document) = keys_document(issuer, args, config)? else {
            self.rules.push(Rule { name: "signature", kept: Ok(None) });
            return Ok(());
        };
        let keys = match jwks::parse(&issuer.alias, &document) {
            Ok(keys) => keys,
            Err(error) => {
                self.rules.push(Rule { name: "signature", kept: Err(format!("the keys can't be used: {error}")) });
                return Ok(());
            }
        };
        let found = jwks::choose(&keys, header.kid.as_deref(), header.algorithm);
        let found = found.map_err(|error| error.fault().unwrap_or(Fault::UnknownKey));
        match found.and_then(|key| token.verify(header.algorithm, key.decoding())) {
            Ok(()) => self.kept("signature", "valid for the keys that are here"),
            Err(fault) => self.broken("signature", fault),
        }
        Ok(())
    }

    fn kept(&mut self, name: &'static str, words: &str) {
        self.rules.push(Rule { name, kept: Ok(Some(words.to_owned())) });
    }

    fn broken(&mut self, name: &'static str, fault: Fault) {
        self.rules.push(Rule { name, kept: Err(fault.to_string()) });
    }

    fn exit(&self) -> TokenExit {
        if self.rules.iter().any(|rule| rule.kept.is_err()) {
            TokenExit::Refused
        } else if self.rules.iter().any(|rule| matches!(rule.kept, Ok(None))) {
            TokenExit::Unknown
        } else {
            TokenExit::Done
        }
    }

    fn verdict(&self) -> &'static str {
        match self.exit() {
            TokenExit::Done => "accepted",
            TokenExit::Refused => "refused",
            TokenExit::Unknown => "unknown",
        }
    }

    fn write_human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        for (title, part) in [("header", &self.header), ("claims", &self.claims)] {
            let Some(part) = part else { continue };
            writeln!(out, "{title} (as written, not trusted)")?;
            for (name, value) in part {
                writeln!(out, "  {name}: {value}")?;
            }
        }
        writeln!(out, "rules")?;
        for rule in &self.rules {
            match &rule.kept {
                Ok(Some(words)) => writeln!(out, "  ok       {}: {words}", rule.name)?,
                Ok(None) => {
                    writeln!(out, "  unknown  {}: the issuer's keys are not here; give --jwks FILE", rule.name)?
                }
                Err(why) => writeln!(out, "  REFUSED  {}: {why}", rule.name)?,
            }
        }
        writeln!(out, "verdict: {}", self.verdict())
    }

    fn json(&self) -> Value {
        let rule = |rule: &Rule| match &rule.kept {
            Ok(Some(words)) => json!({ "rule": rule.name, "result": "ok", "detail": words }),
            Ok(None) => json!({ "rule": rule.name, "result": "unknown" }),
            Err(why) => json!({ "rule": rule.name, "result": "refused", "detail": why }),
        };
        json!({
            "verdict": self.verdict(),
            "header": self.header,
            "claims": self.claims,
            "rules": self.rules.iter().map(rule).collect::<Vec<_>>(),
        })
    }
}

fn list<'a>(names: impl Iterator<Item = &'a Arc<str>>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The issuer's keys, if they are on this machine.
fn keys_document(issuer: &config::Issuer, args: &InspectArgs, config: &Config) -> Result<Option<Vec<u8>>, TokenError> {
    if let Some(path) = &args.jwks {
        let read = std::fs::read(path).map_err(|source| TokenError::Read { path: path.clone(), source });
        return read.map(Some);
    }
    if !issuer.development {
        return Ok(None);
    }
    let issuer = dev::Issuer::load(&folder(args.dir.as_ref(), Some(config)))?;
    Ok(issuer.map(|issuer| issuer.jwks().to_string().into_bytes()))
}
