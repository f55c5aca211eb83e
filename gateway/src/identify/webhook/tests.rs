//! Right signatures, and everything that is wrong with one.

use super::*;
use crate::config::{Credentials, Secret};

const NOW: i64 = 1_614_265_330;
const BODY: &[u8] = br#"{"test": 2432232314}"#;

type Fields = Vec<(&'static str, String)>;
type Checked = Result<Option<String>, CredentialError>;

fn identify(form: Form, secret: &[u8]) -> Identify {
    let webhook =
        Webhook { alias: "hooks".into(), client: "billing".into(), form, secrets: vec![Secret::new(secret.to_vec())] };
    let others = Credentials { webhooks: vec![webhook], ..Credentials::default() };
    Identify::new(&[], None).unwrap().and(&others)
}

fn check(
    identify: &Identify,
    fields: &[(&'static str, String)],
    body: &[u8],
    now: i64,
) -> Result<Option<String>, CredentialError> {
    let accepted = [Credential::Webhook("hooks".into())];
    let headers: HeaderMap =
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
    let now = Timestamp::from_second(now).unwrap();
    let Some(delivery) = identify.delivery(&accepted, &headers, now)? else { return Ok(None) };
    identify.delivered(&delivery, body, now).map(|identity| Some(identity.principal.id.to_string()))
}

fn signed(secret: &[u8], id: &str, at: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, &[format!("{id}.{at}.").as_bytes(), body].concat());
    format!("v1,{}", STANDARD.encode(tag))
}

#[test]
fn the_form_of_github_is_taken_once() {
    let identify = identify(Form::Github, b"It's a Secret to Everybody");
    let field = |hex: &str| vec![("x-hub-signature-256", format!("sha256={hex}"))];
    // As Python's `hmac` computes it.
    let good = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let wrong = good.replacen('7', "8", 1);
    let body = b"Hello, World!";
    assert_eq!(check(&identify, &[], body, NOW), Ok(None));
    assert_eq!(check(&identify, &field(&wrong), body, NOW), Err(Fault::WebhookSignature.into()));
    assert_eq!(check(&identify, &field(good), b"Hello, World", NOW), Err(Fault::WebhookSignature.into()));
    for form in [good.get(..63).unwrap(), "", &good.to_uppercase(), &format!("{good}00")] {
        assert_eq!(check(&identify, &field(form), body, NOW), Err(Fault::WebhookForm.into()), "{form}");
    }
    assert_eq!(check(&identify, &field(good), body, NOW), Ok(Some("hooks/billing".into())));
    assert_eq!(check(&identify, &field(good), body, NOW + 299), Err(Fault::WebhookReplayed.into()));
    assert_eq!(check(&identify, &field(good), body, NOW + 301), Ok(Some("hooks/billing".into())));
}

#[test]
fn a_standard_webhook_is_taken_in_time_and_once() {
    let secret = [7; 32];
    let identify = identify(Form::Standard, &secret);
    let fields = |id: &str, at: &str, signature: String| {
        vec![("webhook-id", id.to_owned()), ("webhook-timestamp", at.to_owned()), ("webhook-signature", signature)]
    };
    let now = NOW.to_string();
    let own = |id: &str, at: i64| fields(id, &at.to_string(), signed(&secret, id, at, BODY));
    let (ok, no) = (Ok(Some("hooks/billing".to_owned())), |fault: Fault| Err(fault.into()));
    let other = signed(&[8; 32], "a", NOW, BODY);
    let mine = signed(&secret, "a", NOW, BODY);
    let with = |signature: String| fields("a", &now, signature);
    let mut twice = own("t", NOW);
    twice.push(("webhook-id", "t".to_owned()));
    let cases: Vec<(&str, Fields, Checked)> = vec![
        ("nothing", vec![], Ok(None)),
        ("an id without a signature", vec![("webhook-id", "a".into())], Ok(None)),
        ("a signature alone", vec![("webhook-signature", mine.clone())], no(Fault::WebhookForm)),
        ("of another secret", with(other.clone()), no(Fault::WebhookSignature)),
        ("of another id", fields("b", &now, mine.clone()), no(Fault::WebhookSignature)),
        ("of another time", fields("a", &(NOW + 1).to_string(), mine.clone()), no(Fault::WebhookSignature)),
        ("another version", with(mine.replace("v1,", "v1a,")), no(Fault::WebhookForm)),
        ("no base64", with("v1,??".into()), no(Fault::WebhookForm)),
        ("short", with("v1,AAAA".into()), no(Fault::WebhookForm)),
        ("too long", with("v1,AAAA ".repeat(1000)), no(Fault::WebhookForm)),
        ("a dot in the id", own("a.1", NOW), no(Fault::WebhookForm)),
        ("a sign before the time", fields("a", &format!("+{now}"), mine.clone()), no(Fault::WebhookForm)),
        ("a fraction", fields("a", &format!("{now}.0"), mine.clone()), no(Fault::WebhookForm)),
        ("no time", fields("a", "", mine.clone()), no(Fault::WebhookForm)),
        ("a repeated field", twice, no(Fault::WebhookForm)),
        ("too old", own("c", NOW - 301), no(Fault::WebhookStale)),
        ("too new", own("d", NOW + 301), no(Fault::WebhookStale)),
        ("just in time", own("e", NOW - 300), ok.clone()),
        ("one of several", with(format!("{other} v1a,x {mine}")), ok.clone()),
        ("again", with(mine), no(Fault::WebhookReplayed)),
        ("the same message sent once more by its sender", own("a", NOW + 1), ok),
    ];
    for (what, fields, expected) in cases {
        assert_eq!(check(&identify, &fields, BODY, NOW), expected, "{what}");
    }
    assert_eq!(check(&identify, &own("f", NOW), b"{}", NOW), no(Fault::WebhookSignature));
}

#[test]
fn replays_are_remembered_across_reloads() {
    let secret = [7; 32];
    let first = identify(Form::Standard, &secret);
    let fields = [
        ("webhook-id", "a".to_owned()),
        ("webhook-timestamp", NOW.to_string()),
        ("webhook-signature", signed(&secret, "a", NOW, BODY)),
    ];
    assert!(check(&first, &fields, BODY, NOW).is_ok());
    let second = Identify::new(&[], Some(&first)).unwrap().and(&first.others);
    assert_eq!(check(&second, &fields, BODY, NOW), Err(Fault::WebhookReplayed.into()));
}
