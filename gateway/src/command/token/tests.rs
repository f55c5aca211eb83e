//! Tests of `latchwork token`.

use super::{Format, InspectArgs, MintArgs, TokenError, TokenExit, inspect, mint};
use crate::{
    config::{self, Config, Credential},
    dev,
};
use clap::{FromArgMatches, Parser};
use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use policy::question::PrincipalKind;
use serde_json::Value;
use std::{path::Path, time::Duration};

const ACCESS: config::Access = config::Access { mode: 0o600, owner: None, group: None };

#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    command: super::TokenCommand,
}

fn mint_args(words: &str) -> MintArgs {
    match Line::try_parse_from(format!("token mint {words}").split_whitespace()).unwrap().command {
        super::TokenCommand::Mint { args, .. } => args,
        super::TokenCommand::Inspect { .. } => panic!("not mint"),
    }
}

fn config(folder: &Path, identifier: &str) -> Config {
    let timeout = Duration::from_secs(1);
    let rate = config::Rate { per_second: 1, burst: 1 };
    Config {
        file: folder.join("latchwork.toml"),
        directory: folder.to_owned(),
        node: config::Node { id: "test".into(), production: false },
        listeners: vec![config::Listener {
            name: "public".into(),
            address: std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into(),
            access: ACCESS,
            hosts: vec![],
            tls: None,
            identify: vec![Credential::Issuer("dev".into())],
            functions: config::Shown::All,
            trusted_proxies: vec![],
            tcp: None,
            timeouts: config::Timeouts { handshake: timeout, header: timeout, body: timeout, idle: timeout },
            connections_max: 1,
        }],
        issuers: vec![issuer(identifier)],
        credentials: config::Credentials::default(),
        zones: vec![],
        admin: config::Admin {
            address: std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into(),
            access: ACCESS,
            identify: None,
            metrics_asked: false,
        },
        policy: config::Policy {
            path: folder.join("policies"),
            state: folder.join(".latchwork"),
            signed: None,
            shadow: None,
        },
        audit: config::Audit {
            path: folder.join("audit"),
            durability: config::Durability::Write,
            segment_bytes_max: 1,
            retention: config::Retention::default(),
            checkpoints: config::Checkpoints::with_own_key(folder.join("audit.key")),
            privacy: Default::default(),
            detect: Default::default(),
            ship: Vec::new(),
        },
        limits: config::Limits { caller_rate: rate, network_rate: rate, buffered_bytes_max: 1, queue_max: 1 },
        telemetry: None,
        apps: vec![],
        functions: vec![],
        budgets: vec![],
    }
}

fn issuer(identifier: &str) -> config::Issuer {
    config::Issuer {
        alias: "dev".into(),
        issuer: identifier.into(),
        jwks_uri: None,
        audiences: vec!["https://api.test".into()],
        principal: PrincipalKind::User,
        trust_domain: None,
        algorithms: vec![Algorithm::ES256],
        groups: config::Groups {
            claim: Some("/realm/roles".into()),
            declared: ["dev/buyers".into()].into(),
            external: false,
        },
        attributes: vec![("clearance".into(), "level".into())],
        ca: None,
        leeway: Duration::from_secs(30),
        refresh: Duration::from_secs(300),
        grace: Duration::from_secs(300),
        development: true,
    }
}

/// A folder with a development issuer and a configuration for it.
fn prepared() -> (tempfile::TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    let issuer = dev::Issuer::load_or_create(&folder.path().join(dev::FOLDER)).unwrap();
    let config = config(folder.path(), issuer.identifier());
    (folder, config)
}

fn minted(words: &str, config: &Config) -> Result<String, TokenError> {
    let mut out = Vec::new();
    mint(&mint_args(words), Some(config), Timestamp::now(), &mut out)?;
    let token = String::from_utf8(out).unwrap();
    Ok(token.strip_suffix('\n').unwrap().to_owned())
}

fn inspected(token: &str, config: &Config, now: Timestamp, format: Format) -> (TokenExit, String) {
    let args = InspectArgs { token: "-".to_owned(), jwks: None, dir: None, format };
    let mut out = Vec::new();
    let exit = inspect(&args, config, now, &mut token.as_bytes(), &mut out).unwrap();
    (exit, String::from_utf8(out).unwrap())
}

/// The rules that the token breaks.
fn broken(token: &str, config: &Config) -> Vec<(String, String)> {
    let (exit, out) = inspected(token, config, Timestamp::now(), Format::Json);
    let report: Value = serde_json::from_str(&out).unwrap();
    let rules = report["rules"].as_array().unwrap().iter().filter(|r| r["result"] == "refused");
    let text = |rule: &Value, name: &str| rule[name].as_str().unwrap().to_owned();
    let broken: Vec<_> = rules.map(|r| (text(r, "rule"), text(r, "detail"))).collect();
    assert_eq!(exit == TokenExit::Refused, !broken.is_empty());
    broken
}

#[test]
fn what_is_minted_is_accepted() {
    let (_folder, config) = prepared();
    let token = minted("--subject alice --group buyers --claim level=2 --ttl 15m", &config).unwrap();
    let (exit, out) = inspected(&format!("Bearer {token}\n"), &config, Timestamp::now(), Format::Human);
    assert_eq!(exit, TokenExit::Done, "{out}");
    assert!(out.contains("User::\"dev/alice\", groups: dev/buyers"), "{out}");
    assert!(out.ends_with("verdict: accepted\n"), "{out}");
    assert!(!out.contains(token.rsplit('.').next().unwrap()), "the signature is shown");
}

#[test]
fn claims_are_json_where_they_can_be() {
    let folder = tempfile::tempdir().unwrap();
    dev::Issuer::load_or_create(folder.path()).unwrap();
    let dir = folder.path().display();
    let words = format!("--dir {dir} --subject a --audience x --audience y --claim n=1 --claim t=true --claim s=text");
    let mut out = Vec::new();
    mint(&mint_args(&format!("{words} --claim q=\"1\" --claim e=")), None, Timestamp::now(), &mut out).unwrap();
    let (_, config) = prepared();
    let (_, report) = inspected(&String::from_utf8(out).unwrap(), &config, Timestamp::now(), Format::Json);
    let claims = &serde_json::from_str::<Value>(&report).unwrap()["claims"];
    let said = ["n", "t", "s", "q", "e"].map(|name| claims[name].to_string());
    assert_eq!(said, ["1", "true", "\"text\"", "\"1\"", "\"\""]);
    assert_eq!(claims["aud"], serde_json::json!(["x", "y"]));
}

#[test]
fn somebody_of_people_is_who_that_file_says_unless_said_otherwise() {
    let (folder, config) = prepared();
    let person =
        "subject = \"ada\"\nsecret = \"s\"\ngroups = [\"buyers\"]\nscopes = [\"r\"]\nclaims = { level = 3, x = 1 }";
    let people = folder.path().join(dev::FOLDER).join(dev::issuer::PEOPLE_FILE);
    std::fs::write(people, format!("[[person]]\n{person}\n")).unwrap();
    let claims = |words: &str| {
        let (_, report) = inspected(&minted(words, &config).unwrap(), &config, Timestamp::now(), Format::Json);
        let claims = serde_json::from_str::<Value>(&report).unwrap()["claims"].clone();
        ["realm", "scope", "level", "x"].map(|name| claims[name].to_string())
    };
    assert_eq!(claims("--subject ada"), [r#"{"roles":["buyers"]}"#, "\"r\"", "3", "1"]);
    let said = claims("--subject ada --group sellers --scope w --claim level=0");
    assert_eq!(said, [r#"{"roles":["sellers"]}"#, "\"w\"", "0", "1"]);
    assert_eq!(claims("--subject bob"), ["null", "null", "null", "null"]);
}

#[test]
fn production_and_other_issuers_are_refused() {
    let (folder, config) = prepared();
    let with = |change: fn(&mut Config)| {
        let mut config = self::config(folder.path(), &config.issuers[0].issuer);
        change(&mut config);
        minted("--subject a", &config).unwrap_err()
    };
    assert!(matches!(with(|c| c.node.production = true), TokenError::Production));
    assert!(matches!(with(|c| c.issuers[0].development = false), TokenError::NoDevelopmentIssuer));
    assert!(matches!(with(|c| c.directory = "/nonexistent".into()), TokenError::NoFolder(_)));
    assert!(matches!(with(|c| c.issuers.push(issuer("http://x"))), TokenError::SeveralDevelopmentIssuers));
    let named = minted("--subject a --issuer corp", &config).unwrap_err();
    assert!(matches!(named, TokenError::NotDevelopment(_)));
    for claim in ["sub=x", "exp=1", "iss=x"] {
        assert!(matches!(minted(&format!("--subject a --claim {claim}"), &config), Err(TokenError::Dev(_))));
    }
    assert!(matches!(minted("--subject a --claim x", &config), Err(TokenError::Claim(_))));
    let lone = mint(&mint_args("--subject a --dir /nonexistent"), None, Timestamp::now(), &mut Vec::new());
    assert!(matches!(lone, Err(TokenError::NoFolder(_))));
}

#[test]
fn a_life_is_a_duration_within_bounds() {
    for bad in ["0s", "31d", "-5m", "x", "5"] {
        let line = ["token", "mint", "--subject", "a", &format!("--ttl={bad}")];
        assert!(Line::try_parse_from(line).is_err(), "{bad}");
    }
    assert_eq!(mint_args("--subject a --ttl 1h30m").ttl, Some(Duration::from_secs(5400)));
    let matches =
        <MintArgs as clap::Args>::augment_args(clap::Command::new("mint")).get_matches_from(["mint", "--subject", "a"]);
    assert_eq!(MintArgs::from_arg_matches(&matches).unwrap().ttl, None);
}

#[test]
fn every_broken_rule_is_named_at_once() {
    let (_folder, config) = prepared();
    let token = minted("--subject a --group admins --audience https://other.test --ttl 1s", &config).unwrap();
    let mut changed = token.clone();
    changed.replace_range(
        token.len() - 10..token.len() - 9,
        if token.as_bytes()[token.len() - 10] == b'A' { "B" } else { "A" },
    );
    let rules = broken(&changed, &config);
    let names: Vec<_> = rules.iter().map(|(rule, _)| &**rule).collect();
    assert_eq!(names, ["audience", "subject", "signature"], "{rules:?}");
    assert!(rules[0].1.contains("https://other.test") && rules[0].1.contains("https://api.test"), "{rules:?}");
    assert!(rules[1].1.contains("dev/admins"), "{rules:?}");

    let later = Timestamp::now().saturating_add(jiff::SignedDuration::from_hours(1)).unwrap();
    let (exit, out) = inspected(&token, &config, later, Format::Human);
    assert_eq!(exit, TokenExit::Refused);
    assert!(out.contains("the token has expired: `exp` is "), "{out}");
}

#[test]
fn what_is_no_token_is_explained_too() {
    let (_folder, config) = prepared();
    let good = minted("--subject a", &config).unwrap();
    let cases = [
        (String::new(), "form"),
        ("x".to_owned(), "form"),
        ("a.b.c".to_owned(), "form"),
        (format!("{good}="), "form"),
        ("a".repeat(20_000), "size"),
        (good.replacen("eyJ", "fyJ", 1), "form"),
    ];
    for (token, rule) in cases {
        assert_eq!(broken(&token, &config)[0].0, rule, "{token}");
    }
    let mut elsewhere = self::config(Path::new("/nonexistent"), "https://login.test");
    assert!(broken(&good, &elsewhere)[0].1.contains("configured are `https://login.test`"));
    elsewhere.issuers[0].issuer.clone_from(&config.issuers[0].issuer);
    elsewhere.listeners.clear();
    assert_eq!(broken(&good, &elsewhere)[0].0, "listener");
}

#[test]
fn without_keys_the_verdict_is_open_and_a_file_settles_it() {
    let (folder, mut config) = prepared();
    let token = minted("--subject a", &config).unwrap();
    config.issuers[0].development = false;
    let (exit, out) = inspected(&token, &config, Timestamp::now(), Format::Human);
    assert_eq!(exit, TokenExit::Unknown, "{out}");
    assert!(out.ends_with("verdict: unknown\n") && out.contains("--jwks"), "{out}");

    let keys = dev::Issuer::load(&folder.path().join(dev::FOLDER)).unwrap().unwrap().jwks();
    let stranger = tempfile::tempdir().unwrap();
    let others = dev::Issuer::load_or_create(stranger.path()).unwrap().jwks();
    for (document, expected) in [
        (keys.to_string(), TokenExit::Done),
        (others.to_string(), TokenExit::Refused),
        ("nonsense".to_owned(), TokenExit::Refused),
    ] {
        let path = folder.path().join("jwks.json");
        std::fs::write(&path, document).unwrap();
        let args = InspectArgs { token: token.clone(), jwks: Some(path), dir: None, format: Format::Human };
        let mut out = Vec::new();
        let exit = inspect(&args, &config, Timestamp::now(), &mut std::io::empty(), &mut out).unwrap();
        assert_eq!(exit, expected, "{}", String::from_utf8_lossy(&out));
    }
}
