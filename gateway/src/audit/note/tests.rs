//! Notes and keys: the examples of the formats' documents, and what is hostile.

use super::*;
use crate::audit::signer::{FileKey, Signer};

/// The example of C2SP signed-note.
const KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

#[test]
fn the_example_of_the_format_verifies() {
    let key: VerifierKey = KEY.parse().unwrap();
    assert_eq!(key.to_string(), KEY);
    let note = Note::parse(NOTE).unwrap();
    assert_eq!(note.to_string(), NOTE);
    assert_eq!(note.signed_by(std::slice::from_ref(&key)).unwrap(), [(&key, None)]);
    for changed in [NOTE.replace("example message", "example massage"), NOTE.replace("IneyaQM=", "IneyaQQ=")] {
        assert_eq!(
            Note::parse(&changed).unwrap().signed_by(std::slice::from_ref(&key)).unwrap_err().name,
            "example.com/foo"
        );
    }
    let other = NOTE.replace("example.com/foo", "example.com/bar");
    assert_eq!(Note::parse(&other).unwrap().signed_by(&[key]).unwrap(), []);
}

#[test]
fn what_is_no_note_is_refused() {
    for (changed, why) in [
        (NOTE.trim_end().to_owned(), "no last newline"),
        (NOTE.replace("\n\n", "\n"), "no separating line"),
        (NOTE.replace("example message", "example\tmessage"), "a control character"),
        (NOTE.replace('\u{2014}', "-"), "another dash"),
        (NOTE.replace("Uw2Q", "Uw2*"), "no base64"),
        (format!("{NOTE}more\n"), "a line after the signatures"),
        (format!("text\n\n{}", "\u{2014} a AAAAAAA=\n".repeat(65)), "too many signatures"),
        ("text\n\n\u{2014} a AAAAAA==\n".to_owned(), "an empty signature"),
        ("x".repeat(NOTE_BYTES_MAX) + NOTE, "too long"),
        (String::new(), "nothing"),
    ] {
        assert_eq!(Note::parse(&changed), None, "{why}");
    }
    for key in [
        "",
        "example.com/foo",
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQ==",
    ] {
        assert!(key.parse::<VerifierKey>().is_err(), "{key}");
    }
}

#[test]
fn a_key_of_a_file_signs_what_its_vkey_verifies() {
    let key = FileKey::generate("latchwork/gw-1").unwrap();
    let again = FileKey::parse(&key.secret_text()).unwrap();
    let text = "latchwork/gw-1/x\n0\nAA==\n";
    let note = Note { text: text.to_owned(), signatures: vec![again.sign(text.as_bytes()).unwrap()] };
    let parsed = Note::parse(&note.to_string()).unwrap();
    assert_eq!(parsed.signed_by(&[key.verifier_key()]).unwrap().len(), 1);
    assert!(!format!("{key:?}").contains(key.secret_text().splitn(5, '+').last().unwrap()));
    for bad in
        ["", "PRIVATE+KEY+a+00000000+AQ==", &key.secret_text().replacen("+A", "+B", 1), &key.verifier_key().to_string()]
    {
        assert!(FileKey::parse(bad).is_err(), "{bad}");
    }
}
