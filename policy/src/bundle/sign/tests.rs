//! Bundles that are whole and signed, and every way in which one is not.

use super::*;
use crate::{
    bundle::{
        Source,
        manifest::{BundleError, Digest, Draft},
    },
    fixture::{declared, now, sources},
};
use jiff::SignedDuration;

fn signer() -> Ed25519 {
    Ed25519::from_pkcs8(&Ed25519::generate().unwrap()).unwrap()
}

fn draft() -> Draft {
    Draft {
        version: 3,
        created: now(),
        lasts: SignedDuration::from_hours(24 * 7),
        rolls_back_to: None,
        note: Some("first".into()),
        declared: Digest::of_declared(&declared()).unwrap(),
        policies: sources("@id(\"p\") permit(principal, action == Action::\"describe\", resource);"),
        attachments: vec![Source { file: "test.json".into(), text: "{}".into() }],
    }
}

fn trust(keys: &[(&str, &Ed25519, &str, &str)]) -> Trust {
    let text: String = keys
        .iter()
        .map(|(name, key, person, more)| {
            format!("[key.{name}]\npublic = \"{}\"\nperson = \"{person}\"\n{more}\n", key.public())
        })
        .collect();
    Trust::read("keys.toml", &text).unwrap()
}

#[test]
fn a_bundle_is_read_back_as_it_was_signed() {
    let (alice, bob) = (signer(), signer());
    let mut bundle = Bundle::new(draft()).unwrap();
    bundle.sign(&alice).unwrap();
    bundle.sign(&alice).unwrap();
    bundle.sign(&bob).unwrap();
    let (read, manifest) = Bundle::open(&bundle.text()).unwrap();
    assert_eq!((&read, read.digest()), (&bundle, bundle.digest()));
    assert_eq!((manifest.version, manifest.not_after), (3, now() + SignedDuration::from_hours(24 * 7)));
    assert_eq!(read.signatures().len(), 2, "one key signs once");
    let keys = trust(&[("a", &alice, "alice", ""), ("b", &bob, "bob", "")]);
    let judged = keys.judge(&read, now());
    assert!(judged.iter().all(|judged| judged.standing == Standing::Good), "{judged:?}");
    assert_eq!(people(&judged).len(), 2);
}

#[test]
fn what_was_changed_after_signing_is_named() {
    let text = Bundle::new(draft()).unwrap().text();
    let check = |from: &str, to: &str, expected: fn(&BundleError) -> bool| {
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{from}");
        let error = Bundle::open(&changed).unwrap_err();
        assert!(expected(&error), "{error}");
    };
    check(
        "permit(principal,",
        "permit (principal,",
        |e| matches!(e, BundleError::Changed { name, .. } if name.as_ref() == "shop.cedar"),
    );
    check(
        "\"test.json\": \"{}\"",
        "\"test.json\": \"{ }\"",
        |e| matches!(e, BundleError::Changed { name, .. } if name.as_ref() == "test.json"),
    );
    check("\"test.json\": \"{}\"", "\"test.json\": \"{}\", \"x\": \"\"", |e| *e == BundleError::Added("x".into()));
    check("\"test.json\": \"{}\"", "", |e| *e == BundleError::Missing("test.json".into()));
    check("\\\"format\\\": 1", "\\\"format\\\": 2", |e| *e == BundleError::Format(2));
    check("\\\"note\\\"", "\\\"nota\\\"", |e| matches!(e, BundleError::Malformed(_)));
    assert!(matches!(Bundle::open("{").unwrap_err(), BundleError::Malformed(_)));
}

#[test]
fn a_signature_counts_for_one_manifest_one_key_and_one_person() {
    let (alice, bob, eve) = (signer(), signer(), signer());
    let mut bundle = Bundle::new(draft()).unwrap();
    for key in [&alice, &bob, &eve] {
        bundle.sign(key).unwrap();
    }
    let standings = |keys: &Trust, bundle: &Bundle| -> Vec<Standing> {
        keys.judge(bundle, now()).into_iter().map(|judged| judged.standing).collect()
    };
    let revoked = "revoked = \"2026-11-23T10:30:00Z\"";
    let keys = trust(&[("a", &alice, "alice", ""), ("b", &bob, "bob", revoked)]);
    assert_eq!(standings(&keys, &bundle), [Standing::Good, Standing::Revoked, Standing::Unknown]);
    assert_eq!((keys.people(now()), keys.people(now() - SignedDuration::from_secs(1))), (1, 2));
    let twice = trust(&[("a", &alice, "alice", ""), ("b", &bob, "alice", "")]);
    assert_eq!(people(&twice.judge(&bundle, now())).len(), 1, "two keys of one person count once");
    // A newer manifest does not inherit the signatures of an older one.
    let mut other = Bundle::new(Draft { version: 4, ..draft() }).unwrap();
    bundle.signatures().iter().cloned().for_each(|signature| other.add(signature));
    assert_eq!(standings(&keys, &other), [Standing::Wrong, Standing::Wrong, Standing::Unknown]);
    let mut cut = Bundle::new(draft()).unwrap();
    cut.add(Signature { key: alice.public(), signature: "00ff".into() });
    assert_eq!(standings(&keys, &cut), [Standing::Wrong]);
}

#[test]
fn a_file_of_keys_is_read_whole_or_not_at_all() {
    let key = signer().public();
    let check = |text: String, code: &str, line: usize| {
        let finding = Trust::read("keys.toml", &text).unwrap_err();
        assert_eq!((finding.code, finding.line), (code, line), "{finding}");
    };
    check("[key.a]\npublic = \"ed25519:00\"\nperson = \"a\"".to_owned(), "invalid_key", 2);
    check(format!("[key.a]\npublic = \"{key}\"\nperson = \"a\"\nrevoked = \"yes\""), "invalid_time", 4);
    check(
        format!("[key.a]\npublic = \"{key}\"\nperson = \"a\"\n[key.b]\npublic = \"{key}\"\nperson = \"b\""),
        "duplicate_key",
        5,
    );
    check(format!("[key.a]\npublic = \"{key}\""), "keys_syntax", 1);
    check(format!("[key.a]\npublic = \"{key}\"\nperson = \"a\"\nrevokd = \"x\""), "keys_syntax", 4);
}
