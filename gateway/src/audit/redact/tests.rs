//! Canaries: secrets in every place where a record takes a text from outside.

use super::{is_secret, is_secret_parameter, scrub};
use crate::audit::conceal::Redaction;
use crate::audit::field::{Fields, Mode};
use crate::audit::record::{Admin, Attempt, Closed, Intent, Known, Outcome, Refused, Request, Stage, tail};
use policy::{
    permit::{BundleId, PolicyName, TargetIndex},
    question::{Principal, Question, Token},
};
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeQ";

fn question() -> Question {
    crate::audit::tests::question(None)
}

/// None are kept.
fn subjects() -> Arc<crate::audit::subject::Subjects> {
    Arc::new(crate::audit::subject::Subjects::open(std::path::Path::new("/nonexistent"), None).unwrap())
}

fn of_question(question: Question) -> String {
    let intent = Intent {
        question: Arc::new(question),
        looks: policy::engine::looks::Looks::everything(),
        bundle: BundleId("sha256:00".into()),
        determining: Arc::new([PolicyName("p".into())]),
        targets: Arc::new([TargetIndex(0)]),
        target: TargetIndex(0),
        chosen: None,
        resting: Vec::new(),
        observed: None,
    };
    let fields = [("/input/card/number", Mode::Drop), ("/input/people/*/iban", Mode::Drop)];
    let redaction = Redaction::new(Fields::new(fields).unwrap(), None, subjects());
    line(tail::intent(Uuid::nil(), &Known::default(), &intent, &redaction, false))
}

/// The tail is well formed, too.
fn line(tail: Vec<u8>) -> String {
    let line = format!("{{{}", String::from_utf8(tail).unwrap());
    serde_json::from_str::<serde_json::Value>(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    line
}

fn of_input(input: serde_json::Value) -> String {
    of_question(Question { input: Some(Arc::new(input)), ..question() })
}

fn of_known(known: &Known) -> String {
    line(tail::refused(Uuid::nil(), known, &refused(), 1, &Redaction::default(), false))
}

fn of_error(text: &str) -> String {
    let refused = refused().error(text);
    line(tail::refused(Uuid::nil(), &Known::default(), &refused, 1, &Redaction::default(), false))
}

fn refused() -> Refused {
    Refused::worded("unauthenticated", 401, Stage::Identify)
}

fn token() -> Token {
    Token {
        scopes: Arc::new([]),
        audiences: Arc::new([]),
        issued: None,
        authenticated: None,
        acr: None,
        amr: None,
        sender_bound: false,
    }
}

#[test]
fn no_secret_member_of_an_input_is_recorded() {
    for name in [
        "password",
        "Password",
        "db_password",
        "userPassword",
        "passwd",
        "passphrase",
        "secret",
        "client_secret",
        "clientSecret",
        "token",
        "accessToken",
        "refresh-token",
        "id_token",
        "api_key",
        "apiKey",
        "X-Api-Key",
        "Authorization",
        "proxy-authorization",
        "Cookie",
        "set-cookie",
        "x-amz-security-token",
        "private_key",
        "aws_secret_access_key",
        "credentials",
        "signature",
        "pin",
        "otp",
        "cvv",
        "session_id",
        "x-functions-key",
    ] {
        for input in [
            json!({ name: "canary" }),
            json!({ "a": [{ "b": { name: "canary" } }] }),
            json!({ name: ["canary"] }),
            json!({ name: { "value": "canary" } }),
        ] {
            let line = of_input(input);
            assert!(!line.contains("canary") && line.contains("[redacted]"), "{name}: {line}");
        }
    }
}

#[test]
fn configured_places_are_not_recorded() {
    let line = of_input(json!({"card": {"number": "canary", "year": 31}, "people": [{"iban": "canary", "name": "b"}]}));
    assert!(!line.contains("canary"), "{line}");
    assert!(line.contains("31") && line.contains("\"name\":\"b\""), "{line}");
    let line = of_input(json!({"a/b": 1}));
    assert!(line.contains("a/b"));
}

#[test]
fn a_web_token_is_not_recorded_wherever_it_stands() {
    let text = || -> Arc<str> { JWT.into() };
    let bearer = || -> Arc<str> { format!("Bearer {JWT}").into() };
    let mut places = vec![
        of_input(json!({"note": JWT})),
        of_input(json!({ JWT: 1 })),
        of_input(json!(format!("see {JWT}."))),
        of_input(json!([[JWT]])),
    ];
    let mut q = question();
    q.principal.id = text();
    places.push(of_question(q));
    let mut q = question();
    q.principal.groups = Arc::new([text()]);
    places.push(of_question(q));
    let mut q = question();
    q.principal.attributes.tenant = Some(text());
    places.push(of_question(q));
    let mut q = question();
    q.path = [("id".into(), text())].into();
    places.push(of_question(q));
    let mut q = question();
    q.query = [("q".into(), vec![text()]), (text(), vec!["1".into()])].into();
    places.push(of_question(q));
    for change in [
        |t: &mut Token, s: Arc<str>| t.scopes = Arc::new([s]),
        |t: &mut Token, s: Arc<str>| t.audiences = Arc::new([s]),
        |t: &mut Token, s: Arc<str>| t.acr = Some(s),
        |t: &mut Token, s: Arc<str>| t.amr = Some(Arc::new([s])),
    ] {
        let (mut q, mut t) = (question(), token());
        change(&mut t, bearer());
        q.facts.token = Some(t);
        places.push(of_question(q));
    }
    let mut q = question();
    q.facts.via.client = Some(Arc::new(Principal { id: text(), ..Principal::anonymous() }));
    places.push(of_question(q));
    let request = Request { method: "GET".into(), path: format!("/x/{JWT}/y").into(), version: "HTTP/1.1".into() };
    places.push(of_known(&Known { request: Some(request), ..Known::default() }));
    places.push(of_known(&Known { trace: Some(text()), ..Known::default() }));
    places.push(of_known(&Known { listener: Some(text()), ..Known::default() }));
    places.push(of_known(&Known { tenant: Some(text()), ..Known::default() }));
    let principal = Some(Arc::new(Principal { id: text(), ..Principal::anonymous() }));
    places.push(of_known(&Known { principal, ..Known::default() }));
    places.push(of_error(&bearer()));
    let attempt =
        Attempt { target: TargetIndex(1), failed: JWT.into(), error: Some(format!("said: {JWT}")), run: None };
    places.push(line(tail::attempt(Uuid::nil(), &attempt)));
    let closed = Closed {
        outcome: Outcome::Failed,
        status: None,
        bytes_in: 0,
        bytes_out: 0,
        error: Some(JWT.into()),
        run: None,
    };
    places.push(line(tail::closed(Uuid::nil(), &closed, 1)));
    let admin = Admin {
        verb: "reload".into(),
        who: JWT.into(),
        bundle_before: Some(BundleId(text())),
        bundle_after: None,
        detail: Some(bearer().to_string()),
        authority: None,
    };
    places.push(line(tail::admin(&admin, &Redaction::default())));
    assert!(places.len() >= 23);
    for place in places {
        assert!(!place.contains("eyJ") && !place.contains("c2lnbmF0dXJl") && place.contains("[redacted]"), "{place}");
    }
}

#[test]
fn secret_parameters_are_not_recorded() {
    for name in
        ["access_token", "code", "key", "signature", "X-Amz-Signature", "sig", "api_key", "client_secret", "auth"]
    {
        let mut q = question();
        q.query = [(name.into(), vec!["canary".into(), "canary".into()])].into();
        let line = of_question(q);
        assert!(!line.contains("canary"), "{line}");
    }
    let mut q = question();
    q.path = [("token".into(), "canary".into())].into();
    assert!(!of_question(q).contains("canary"));
}

#[test]
fn secrets_in_texts_are_not_recorded() {
    for text in [
        "upstream said 401 to Authorization: Bearer canary-1234567",
        "header Cookie: session=canary; other=canary",
        "X-Api-Key: canary",
        "x-amz-security-token: canary",
        "bearer CANARY-canary-1",
        "Basic Y2FuYXJ5OmNhbmFyeQ==canary",
        "GET /x?access_token=canary&y=1 failed",
        "GET /x?y=1&code=canary failed",
        "https://user:canary@example.com/x failed",
        "postgres://canary@example.com:5432/x",
        "password=canary",
        "could not parse {\"password\": \"canary\", \"a\": 1}",
        "could not parse {\"a\":{\"client_secret\":\"canary\"}}",
        "-----BEGIN PRIVATE KEY-----\ncanary\ncanary\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\ncanary \"canary\n-----END",
    ] {
        let line = of_error(text);
        assert!(!line.contains("canary") && line.contains("[redacted]"), "{line}");
    }
}

#[test]
fn what_is_no_secret_stays() {
    for text in [
        "code 42 of bearer of news",
        "basic authentication is off",
        "a?b=c&d=e",
        "http://example.com/a@b",
        "eyJ.x",
        "max_tokens=12 x=y",
    ] {
        assert_eq!(scrub(text.as_bytes().to_vec()), text.as_bytes());
    }
    for name in ["max_tokens", "description", "keyboard", "passenger", "code", "author"] {
        assert!(!is_secret(name), "{name}");
    }
    assert!(is_secret_parameter("code") && !is_secret_parameter("zip_code"));
}

#[test]
fn scrubbing_never_breaks_a_line() {
    use proptest::prelude::*;
    let pieces = prop_oneof![
        Just("eyJ"),
        Just("a.b.c"),
        Just("Bearer "),
        Just("password="),
        Just("Cookie:"),
        Just("\""),
        Just("\\"),
        Just("://"),
        Just("u:p@"),
        Just("\n"),
        Just("PRIVATE KEY-----"),
        Just("é"),
        Just("\u{1}"),
        Just("?key="),
        Just("abc123DEF"),
        Just("\"token\":\""),
        Just("} "),
    ];
    proptest!(|(parts in prop::collection::vec(pieces, 0..24))| {
        let text = parts.concat();
        line(tail::plain(&json!({"a": text.clone(), text: [1]})));
    });
}
