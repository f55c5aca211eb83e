//! Keys from every source, kept while files change, and nothing passed over.

use super::{source::environment, *};
use profile::Files;
use secrecy::ExposeSecret;
use std::{ffi::OsString, fs, path::PathBuf};

fn given(access_key: &str, secret_key: &str, session_token: Option<&str>) -> CredentialsConfig {
    CredentialsConfig::Given(Given {
        access_key: Some(access_key.into()),
        secret_key: Some(secret_key.into()),
        session_token: session_token.map(Into::into),
        profile: None,
    })
}

fn plain(keys: &Keys) -> (&str, &str, Option<&str>) {
    (&keys.id, keys.secret.expose_secret(), keys.token.as_ref().map(|token| token.expose_secret()))
}

#[test]
fn references_are_read_and_read_again_when_their_files_change() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        // Replaced as secret stores do it, so that no reader sees half of it.
        let (new, path) = (folder.path().join("new"), folder.path().join(name));
        fs::write(&new, text).and_then(|()| fs::rename(new, path)).unwrap();
    };
    write("id", "AKIDONE\n");
    write("secret", "one+/=\n");
    write("token", "first");
    let config = given("file:id", "file:secret", Some("file:token"));
    let credentials = Credentials::new(&config, folder.path()).unwrap();
    assert_eq!(plain(&credentials.keys()), ("AKIDONE", "one+/=", Some("first")));
    write("secret", "two");
    assert_eq!(plain(&credentials.keys()), ("AKIDONE", "two", Some("first")));
    write("secret", "");
    assert_eq!(plain(&credentials.keys()).1, "two", "the last good one serves on");
    write("secret", "three");
    assert_eq!(plain(&credentials.keys()).1, "three");
    let shown = format!("{credentials:?}");
    assert!(!shown.contains("three") && !shown.contains("first"), "{shown}");
}

#[test]
fn what_is_written_wrongly_is_refused_and_never_repeated() {
    for config in [
        given("env:X", "wJalrXUtnFEMI", None),
        given("env:X", "env:", None),
        given("env:X", "file:", None),
        given("env:X", "vault:wJalrXUtnFEMI", None),
        CredentialsConfig::Given(Given { access_key: Some("env:X".into()), ..Given::default() }),
        CredentialsConfig::Given(Given { profile: Some("a]b".into()), ..Given::default() }),
        CredentialsConfig::Given(Given {
            profile: Some("p".into()),
            session_token: Some("env:X".into()),
            ..Given::default()
        }),
    ] {
        let error = config.check().unwrap_err();
        assert_eq!(error.field, "credentials");
        assert!(!error.message.contains("wJalrXUtnFEMI"), "{error}");
    }
    let empty = CredentialsConfig::Given(Given::default());
    assert!(Credentials::new(&empty, Path::new("/")).unwrap_err().message.contains("belong together"));
    let missing = given("env:LATCHWORK_NO_SUCH_VARIABLE", "file:/nowhere/at-all", None);
    let error = Credentials::new(&missing, Path::new("/")).unwrap_err();
    assert!(error.message.contains("LATCHWORK_NO_SUCH_VARIABLE"), "{error}");
}

#[test]
fn the_environment_gives_keys_or_says_what_is_not_spoken() {
    let read = |set: &'static [(&str, &str)]| {
        environment(&move |name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value)))
    };
    let keys = read(&[("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_SESSION_TOKEN", "")]);
    assert_eq!(plain(&keys.unwrap()), ("AKID", "s", None));
    let keys = read(&[("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_SESSION_TOKEN", "t")]);
    assert_eq!(plain(&keys.unwrap()).2, Some("t"));
    assert!(read(&[("AWS_ACCESS_KEY_ID", "AKID")]).unwrap_err().contains("AWS_SECRET_ACCESS_KEY"));
    let mixed: &[(&str, &str)] = &[
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token"),
    ];
    assert!(read(mixed).unwrap_err().contains("not supported"));
}

/// The shared files as people write them.
const CREDENTIALS: &str = "\
[default]
aws_access_key_id = AKIDDEFAULT
aws_secret_access_key=default/secret

; comment
[shop]
AWS_ACCESS_KEY_ID = AKIDSHOP
aws_secret_access_key = shop+secret=
aws_session_token = shop-token
s3 =
  signature_version = s3v4

[assumed]
role_arn = arn:aws:iam::1:role/r
source_profile = default

[halved]
aws_access_key_id = AKIDHALF

[chained]
aws_access_key_id = AKIDCHAIN
aws_secret_access_key = x
";

const SETTINGS: &str = "[default]\nregion = eu-west-1\n[profile chained]\nrole_arn = arn:aws:iam::1:role/r\n";

fn profiles(credentials: &str) -> (tempfile::TempDir, Files) {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| -> PathBuf { folder.path().join(name) };
    fs::write(place("credentials"), credentials).and_then(|()| fs::write(place("config"), SETTINGS)).unwrap();
    let files = Files { credentials: place("credentials"), config: place("config") };
    (folder, files)
}

#[test]
fn a_profile_gives_keys_or_says_what_is_not_spoken() {
    let (_folder, files) = profiles(CREDENTIALS);
    let read = |name: &str| profile::read(name, &files);
    assert_eq!(plain(&read("default").unwrap()), ("AKIDDEFAULT", "default/secret", None));
    assert_eq!(plain(&read("shop").unwrap()), ("AKIDSHOP", "shop+secret=", Some("shop-token")));
    for (name, words) in [
        ("assumed", "`role_arn`, and such credentials are not supported"),
        ("chained", "`role_arn`, and such credentials are not supported"),
        ("halved", "has no `aws_secret_access_key`"),
        ("absent", "has no profile `absent`"),
    ] {
        let problem = read(name).unwrap_err();
        assert!(problem.contains(words), "{name}: {problem}");
    }
}

#[test]
fn a_file_that_is_no_list_of_profiles_is_refused_with_its_line() {
    for (text, line) in [("[default\n", 1), ("[default]\naws_access_key_id AKID\n", 2)] {
        let (_folder, files) = profiles(text);
        let problem = profile::read("default", &files).unwrap_err();
        assert!(problem.ends_with(&format!(":{line} can't be read")), "{problem}");
    }
}
