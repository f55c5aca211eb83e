//! Keys that are there: kept while files change, and nothing passed over.

use super::{profile::Files, *};
use crate::samples::PATIENCE;
use secrecy::ExposeSecret;
use std::{collections::BTreeMap, fs};

mod fetched;

fn given(access_key: &str, secret_key: &str, session_token: Option<&str>) -> Given {
    Given {
        access_key: Some(access_key.into()),
        secret_key: Some(secret_key.into()),
        session_token: session_token.map(Into::into),
        ..Given::default()
    }
}

fn config(given: Given) -> CredentialsConfig {
    CredentialsConfig::Given(Box::new(given))
}

fn plain(keys: &Keys) -> (&str, &str, Option<&str>) {
    (&keys.id, keys.secret.expose_secret(), keys.token.as_ref().map(|token| token.expose_secret()))
}

fn new(config: &CredentialsConfig, base: &Path) -> Result<Credentials, ConfigError> {
    Credentials::new(config, "eu-west-1", base)
}

async fn keys(credentials: &Credentials) -> Arc<Keys> {
    credentials.proof(Instant::now() + PATIENCE).await.unwrap().unwrap().keys
}

/// Variables of an environment.
fn set(variables: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
    let variables: BTreeMap<String, OsString> = variables.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
    move |name| variables.get(name).cloned()
}

#[tokio::test]
async fn references_are_read_and_read_again_when_their_files_change() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        // Replaced as secret stores do it, so that no reader sees half of it.
        let (new, path) = (folder.path().join("new"), folder.path().join(name));
        fs::write(&new, text).and_then(|()| fs::rename(new, path)).unwrap();
    };
    write("id", "AKIDONE\n");
    write("secret", "one+/=\n");
    write("token", "first");
    let credentials = new(&config(given("file:id", "file:secret", Some("file:token"))), folder.path()).unwrap();
    assert_eq!(plain(&*keys(&credentials).await), ("AKIDONE", "one+/=", Some("first")));
    write("secret", "two");
    assert_eq!(plain(&*keys(&credentials).await), ("AKIDONE", "two", Some("first")));
    write("secret", "");
    assert_eq!(plain(&*keys(&credentials).await).1, "two", "the last good one serves on");
    write("secret", "three");
    assert_eq!(plain(&*keys(&credentials).await).1, "three");
    let shown = format!("{credentials:?}");
    assert!(!shown.contains("three") && !shown.contains("first"), "{shown}");
}

#[test]
fn what_is_written_wrongly_is_refused_and_never_repeated() {
    let role = |role: &str| AssumeConfig { role: role.into(), external_id: None, session_name: None, duration: None };
    let right = role("arn:aws:iam::123456789012:role/deploy/gateway");
    let with = |assume: AssumeConfig| Given { assume: vec![assume], ..given("env:X", "env:Y", None) };
    let identity = |token: &str, role: &str| Given {
        web_identity: Some(WebIdentityConfig { role: role.into(), token: token.into(), session_name: None }),
        ..Given::default()
    };
    for wrong in [
        given("env:X", "wJalrXUtnFEMI", None),
        given("env:X", "env:", None),
        given("env:X", "file:", None),
        given("env:X", "vault:wJalrXUtnFEMI", None),
        Given { access_key: Some("env:X".into()), ..Given::default() },
        Given { profile: Some("a]b".into()), ..Given::default() },
        Given { profile: Some("p".into()), session_token: Some("env:X".into()), ..Given::default() },
        Given { profile: Some("p".into()), source: Some(Place::Instance), ..Given::default() },
        Given { source: Some(Place::Container), ..given("env:X", "env:Y", None) },
        with(role("deploy")),
        with(role("arn:aws:iam::123456789012:user/deploy")),
        with(AssumeConfig { session_name: Some("a b".into()), ..right.clone() }),
        with(AssumeConfig { external_id: Some(String::new()), ..right.clone() }),
        with(AssumeConfig { duration: Some("1m".into()), ..right.clone() }),
        Given { assume: vec![right.clone(); 9], ..given("env:X", "env:Y", None) },
        identity("wJalrXUtnFEMI", &right.role),
        identity("file:/token", "deploy"),
        Given { sts_endpoint: Some("http://sts.example".into()), ..with(right.clone()) },
        Given { metadata_endpoint: Some("http://[::1]:1".into()), ..with(right.clone()) },
        Given { assume: vec![right.clone()], ..Given::default() },
    ] {
        let error = config(wrong.clone()).check().expect_err(&format!("{wrong:?}"));
        assert_eq!(error.field, "credentials");
        assert!(!error.message.contains("wJalrXUtnFEMI"), "{error}");
    }
    assert_eq!(config(with(right.clone())).check(), Ok(()));
    assert_eq!(config(identity("file:/token", &right.role)).check(), Ok(()));
    let empty = config(Given::default());
    assert!(new(&empty, Path::new("/")).unwrap_err().message.contains("belong together"));
    let missing = config(given("env:LATCHWORK_NO_SUCH_VARIABLE", "file:/nowhere/at-all", None));
    let error = new(&missing, Path::new("/")).unwrap_err();
    assert!(error.message.contains("LATCHWORK_NO_SUCH_VARIABLE"), "{error}");
}

#[test]
fn the_environment_gives_keys_or_says_what_is_missing_or_ambiguous() {
    let read = |variables: &[(&str, &str)]| plan::keys(&set(variables));
    let keys = read(&[("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_SESSION_TOKEN", "t")]);
    assert_eq!(plain(&keys.unwrap()), ("AKID", "s", Some("t")));
    assert!(read(&[("AWS_ACCESS_KEY_ID", "AKID")]).unwrap_err().contains("AWS_SECRET_ACCESS_KEY"));
    let plan = |variables: &[(&str, &str)]| {
        let plan = Plan::new(&CredentialsConfig::default(), "eu-west-1", Path::new("/"), &set(variables));
        plan.map(|plan| plan.unwrap().base)
    };
    let token = ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token");
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials");
    assert!(matches!(plan(&[full]), Ok(Base::Container(_))));
    assert!(matches!(plan(&[token, ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r")]), Ok(Base::WebIdentity(_))));
    for (variables, words) in [
        (&[][..], "`AWS_ACCESS_KEY_ID` is not in the environment"),
        (&[token], "`AWS_ROLE_ARN` is not in the environment"),
        (&[("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "s"), token], "say which is meant"),
        (&[full, token], "say which is meant"),
    ] {
        let problem = plan(variables).unwrap_err();
        assert!(problem.contains(words), "{problem}");
    }
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
external_id = shop-7
source_profile = shop

[halved]
aws_access_key_id = AKIDHALF

[chained]
aws_access_key_id = AKIDCHAIN
aws_secret_access_key = x
";

const SETTINGS: &str = "\
[default]
region = eu-west-1
[profile chained]
role_arn = arn:aws:iam::1:role/self
source_profile = chained
[profile twice]
role_arn = arn:aws:iam::2:role/second
role_session_name = twice
duration_seconds = 900
source_profile = assumed
[profile machine]
role_arn = arn:aws:iam::1:role/r
credential_source = Ec2InstanceMetadata
[profile task]
role_arn = arn:aws:iam::1:role/r
credential_source = EcsContainer
[profile cluster]
role_arn = arn:aws:iam::1:role/r
web_identity_token_file = /token
[profile loop]
role_arn = arn:aws:iam::1:role/r
source_profile = pool
[profile pool]
role_arn = arn:aws:iam::1:role/r
source_profile = loop
[profile both]
role_arn = arn:aws:iam::1:role/r
source_profile = shop
credential_source = Environment
[profile neither]
role_arn = arn:aws:iam::1:role/r
[profile stray]
source_profile = shop
[profile program]
credential_process = /bin/keys
[profile people]
role_arn = arn:aws:iam::1:role/r
source_profile = shop
mfa_serial = arn:aws:iam::1:mfa/ada
[profile somewhere]
role_arn = arn:aws:iam::1:role/r
credential_source = Somewhere
";

fn profiles(credentials: &str) -> (tempfile::TempDir, Files) {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| -> PathBuf { folder.path().join(name) };
    fs::write(place("credentials"), credentials).and_then(|()| fs::write(place("config"), SETTINGS)).unwrap();
    let files = Files { credentials: place("credentials"), config: place("config") };
    (folder, files)
}

#[test]
fn a_profile_gives_keys_and_roles_or_says_what_is_not_spoken() {
    let (_folder, files) = profiles(CREDENTIALS);
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost/keys");
    let resolve = |name: &str| profile::resolve(name, &files, None, &set(&[full]));
    let fixed = |name: &str| match resolve(name).unwrap() {
        (Base::Keys(keys), roles) => (keys, roles.into_iter().map(|role| role.arn).collect::<Vec<_>>()),
        other => panic!("{other:?}"),
    };
    assert_eq!(plain(&fixed("default").0), ("AKIDDEFAULT", "default/secret", None));
    assert_eq!(plain(&fixed("shop").0), ("AKIDSHOP", "shop+secret=", Some("shop-token")));
    assert_eq!(fixed("assumed").0.id, "AKIDSHOP");
    assert_eq!((&*fixed("chained").0.id, &*fixed("chained").1[0]), ("AKIDCHAIN", "arn:aws:iam::1:role/self"));
    assert_eq!(
        fixed("twice").1,
        ["arn:aws:iam::1:role/r", "arn:aws:iam::2:role/second"],
        "the profile's own comes last"
    );
    let (_, roles) = resolve("twice").unwrap();
    assert_eq!((roles[0].external_id.as_deref(), roles[0].seconds), (Some("shop-7"), None));
    assert_eq!((&*roles[1].session_name, roles[1].seconds), ("twice", Some(900)));
    assert!(matches!(resolve("machine").unwrap().0, Base::Instance(_)));
    assert!(matches!(resolve("task").unwrap().0, Base::Container(_)));
    assert!(matches!(resolve("cluster").unwrap(), (Base::WebIdentity(_), roles) if roles.is_empty()));
    for (name, words) in [
        ("halved", "has no `aws_secret_access_key`"),
        ("absent", "has profile `absent`"),
        ("loop", "takes its keys from itself"),
        ("both", "has not one of"),
        ("neither", "has not one of"),
        ("stray", "has `source_profile` and no `role_arn`"),
        ("program", "`credential_process`, and such credentials are not supported"),
        ("people", "`mfa_serial`, and such credentials are not supported"),
        ("somewhere", "`credential_source` of profile `somewhere` is `Somewhere`"),
    ] {
        let problem = resolve(name).unwrap_err();
        assert!(problem.contains(words), "{name}: {problem}");
    }
}

#[test]
fn a_file_that_is_no_list_of_profiles_is_refused_with_its_line() {
    for (text, line) in [("[default\n", 1), ("[default]\naws_access_key_id AKID\n", 2)] {
        let (_folder, files) = profiles(text);
        let problem = profile::resolve("default", &files, None, &set(&[])).unwrap_err();
        assert!(problem.ends_with(&format!(":{line} can't be read")), "{problem}");
    }
}
