//! The commands on a file of keys, without a gateway.

use super::*;
use clap::Parser;
use std::{fs, os::unix::fs::PermissionsExt};

#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    command: KeyCommand,
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        // Nothing but the table matters, so that keys can be revoked while the rest is broken.
        let config = "[identity.api_keys.partners]\nfile = \"keys.toml\"\ngroups = [\"gold\"]\n[listener.x]\n";
        fs::write(folder.0.path().join("latchwork.toml"), config).unwrap();
        folder
    }

    fn key(&self, words: &str) -> (Exit, String, String) {
        self.key_at(words, "2026-11-23T10:00:00Z")
    }

    fn key_at(&self, words: &str, now: &str) -> (Exit, String, String) {
        let config = self.0.path().join("latchwork.toml");
        let line = format!("key {words} -c {}", config.display());
        let command = Line::try_parse_from(line.split_whitespace()).unwrap().command;
        let (mut out, mut talk) = (Vec::new(), Vec::new());
        let exit = run_at(&command, now.parse().unwrap(), &mut out, &mut talk);
        (exit, String::from_utf8(out).unwrap(), String::from_utf8(talk).unwrap())
    }

    fn file(&self) -> String {
        fs::read_to_string(self.0.path().join("keys.toml")).unwrap()
    }
}

#[test]
fn a_key_is_shown_once_and_its_hash_is_kept() {
    let folder = Folder::new();
    let (exit, out, talk) = folder.key("new acme --group gold --scope orders --tenant t1 --tier gold --expires 90d");
    assert_eq!(exit, Exit::Ok, "{talk}");
    let key = out.trim();
    let parts = crate::identify::api_key::text::read(key).unwrap();
    assert_eq!(parts.alias, "partners");
    let file = folder.file();
    let secret = key.rsplit('_').next().unwrap();
    assert!(!file.contains(secret) && !talk.contains(secret), "{file}");
    let hash = crate::identify::api_key::text::hash(key);
    assert!(file.contains(&crate::identify::api_key::text::written(&hash)), "{file}");
    assert!(file.contains("expires = \"2027-02-21T10:00:00Z\""), "{file}");
    let mode = fs::metadata(folder.0.path().join("keys.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (exit, list, _) = folder.key("list --format json");
    assert_eq!(exit, Exit::Ok);
    let row: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(
        (&row["client"], &row["state"], &row["groups"][0]),
        (&"partners/acme".into(), &"active".into(), &"partners/gold".into())
    );
    assert!(!list.contains("sha256") && !list.contains(secret));
}

#[test]
fn rotation_overlaps_and_revocation_does_not() {
    let folder = Folder::new();
    folder.key("new acme --expires never");
    folder.key("new acme --expires 1h");
    let (exit, _, talk) = folder.key("rotate acme --overlap 2h");
    assert_eq!(exit, Exit::Ok, "{talk}");
    let (_, list, _) = folder.key_at("list", "2026-11-23T11:30:00Z");
    assert_eq!((list.matches("active").count(), list.matches("expired").count()), (2, 1), "{list}");
    let (_, list, _) = folder.key_at("list", "2026-11-23T12:30:00Z");
    assert_eq!((list.matches("active").count(), list.matches("expired").count()), (1, 2), "{list}");
    let (exit, out, _) = folder.key("revoke acme --format json");
    assert_eq!(exit, Exit::Ok);
    let said: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(said["revoked"].as_array().unwrap().len(), 3);
    let (_, list, _) = folder.key("list");
    assert_eq!(list.matches("revoked").count(), 3, "{list}");
    assert_eq!(folder.key("revoke acme").0, Exit::Invalid, "they are revoked already");
}

#[test]
fn comments_stay_and_a_slip_changes_nothing() {
    let folder = Folder::new();
    let (_, out, _) = folder.key("new acme");
    let id = crate::identify::api_key::text::read(out.trim()).unwrap().id.to_owned();
    let path = folder.0.path().join("keys.toml");
    fs::write(&path, format!("# ours\n{}", folder.file().replace("[client.acme.key", "# the first\n[client.acme.key")))
        .unwrap();
    folder.key(&format!("revoke acme --id {id}"));
    let file = folder.file();
    assert!(file.contains("# ours") && file.contains("# the first") && file.contains("revoked"), "{file}");
    let slips = [
        "new globex --group silver",
        "revoke nobody",
        "rotate nobody",
        "revoke acme --id 0123456789",
        "new a --expires soon",
    ];
    for words in slips {
        let (exit, out, talk) = folder.key(words);
        assert_eq!((exit, out.as_str()), (Exit::Invalid, ""), "{words}");
        assert!(!talk.is_empty(), "{words}");
    }
    assert_eq!(folder.file(), file);
    fs::write(&path, "[client.acme]\nkeys = 1\n").unwrap();
    let (exit, _, talk) = folder.key("new acme");
    assert!(exit == Exit::Invalid && talk.contains("keys.toml:2:1"), "{talk}");
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 2, "nothing is left behind");
}
