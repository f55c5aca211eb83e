//! Keys that are asked for: of the container, of the machine, and of roles.

use super::*;
use crate::double::{Double, answer};
use http::Response;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// What a plan fetches.
async fn fetched(config: CredentialsConfig, variables: &[(&str, &str)]) -> Result<(Keys, Duration), String> {
    let plan = Plan::new(&config, "eu-west-1", Path::new("/"), &set(variables))?.unwrap();
    let lease = plan.fetch().await.map_err(|error| error.to_string())?;
    Ok((lease.value, lease.lifetime))
}

fn in_an_hour() -> String {
    (Timestamp::now() + SignedDuration::from_hours(1)).to_string()
}

fn session(id: &str) -> Response<Bytes> {
    let xml = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
         <AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{id}+secret/</SecretAccessKey>\
         <SessionToken>{id}-token==</SessionToken><Expiration>{}</Expiration></Credentials></AssumeRoleResult>\
         </AssumeRoleResponse>",
        in_an_hour()
    );
    answer(200, &[("content-type", "text/xml")], xml)
}

fn form(request: &Request<Bytes>) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(request.body()).into_owned().collect()
}

#[tokio::test]
async fn roles_are_assumed_one_after_the_other_each_with_the_keys_of_the_one_before() {
    let sts = Double::new(|request| async move {
        session(if form(&request)["RoleArn"].ends_with("/first") { "ASIAFIRST" } else { "ASIASECOND" })
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("id"), "AKIDBASE")
        .and_then(|()| fs::write(folder.path().join("secret"), "s"))
        .unwrap();
    let role = |name: &str, external_id: Option<&str>| AssumeConfig {
        role: format!("arn:aws:iam::1:role/{name}"),
        external_id: external_id.map(Into::into),
        session_name: Some("front-door".into()),
        duration: Some("1h".into()),
    };
    let assume = vec![role("first", None), role("second", Some("shop-7"))];
    let endpoint = Some(sts.url());
    let written = config(Given { assume, sts_endpoint: endpoint, ..given("file:id", "file:secret", None) });
    let credentials = new(&written, folder.path()).unwrap();
    assert!(sts.asked().is_empty(), "nothing is asked for before it is needed");
    let waiting = (0..20).map(|_| keys(&credentials));
    for keys in futures_util::future::join_all(waiting).await {
        assert_eq!(plain(&keys), ("ASIASECOND", "ASIASECOND+secret/", Some("ASIASECOND-token==")));
    }
    let asked = sts.asked();
    assert_eq!(asked.len(), 2, "one flight for all");
    let by = |n: usize| asked[n].headers()["authorization"].to_str().unwrap().to_owned();
    assert!(by(0).contains("Credential=AKIDBASE/") && by(0).contains("/eu-west-1/sts/aws4_request"), "{}", by(0));
    assert!(by(1).contains("Credential=ASIAFIRST/"), "{}", by(1));
    assert_eq!(asked[1].headers()["x-amz-security-token"], "ASIAFIRST-token==");
    let said = form(&asked[1]);
    assert_eq!((&*said["Action"], &*said["Version"]), ("AssumeRole", "2011-06-15"));
    assert_eq!(
        (&*said["ExternalId"], &*said["DurationSeconds"], &*said["RoleSessionName"]),
        ("shop-7", "3600", "front-door")
    );
    assert!(!form(&asked[0]).contains_key("ExternalId"));
    // Keys that were replaced count at once, not when the session ends.
    fs::write(folder.path().join("new"), "AKIDNEXT").unwrap();
    fs::rename(folder.path().join("new"), folder.path().join("id")).unwrap();
    keys(&credentials).await;
    assert!(sts.asked()[2].headers()["authorization"].to_str().unwrap().contains("Credential=AKIDNEXT/"));
}

#[tokio::test]
async fn a_role_that_is_not_granted_is_an_error_and_nothing_else_is_used() {
    let refused = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
                   <Message>User: arn:aws:iam::1:user/secret is not authorized</Message></Error></ErrorResponse>";
    let sts = Double::same(403, &[("content-type", "text/xml")], refused).await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("key"), "AKIDBASE").unwrap();
    let role =
        AssumeConfig { role: "arn:aws:iam::1:role/r".into(), external_id: None, session_name: None, duration: None };
    let written = Given { assume: vec![role], sts_endpoint: Some(sts.url()), ..given("file:key", "file:key", None) };
    let credentials = new(&config(written), folder.path()).unwrap();
    let error = credentials.proof(Instant::now() + PATIENCE).await.unwrap_err();
    assert!(
        matches!(&error, InvokeError::NoCredential(why) if why == "role `arn:aws:iam::1:role/r`: 403 AccessDenied"),
        "{error}"
    );
}

#[tokio::test]
async fn a_web_identity_is_exchanged_and_its_token_read_each_time() {
    let sts = Double::new(|_| async { session("ASIAWEB") }).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let role = "arn:aws:iam::1:role/r";
    let written = |token: &str| {
        let web_identity = WebIdentityConfig { role: role.into(), token: token.into(), session_name: None };
        config(Given { web_identity: Some(web_identity), sts_endpoint: Some(sts.url()), ..Given::default() })
    };
    let reference = format!("file:{}", file.display());
    let missing = fetched(written(&reference), &[]).await.unwrap_err();
    assert!(missing.starts_with("role `arn:aws:iam::1:role/r` by web identity: "), "{missing}");
    for token in ["header.first.signature", "header.second.signature"] {
        fs::write(&file, format!("{token}\n")).unwrap();
        let (keys, lifetime) = fetched(written(&reference), &[]).await.unwrap();
        assert_eq!(keys.id, "ASIAWEB");
        assert!(lifetime > Duration::from_secs(3500) && lifetime <= Duration::from_secs(3600), "{lifetime:?}");
        let asked = sts.asked().pop().unwrap();
        assert_eq!(
            (&*form(&asked)["Action"], &*form(&asked)["WebIdentityToken"]),
            ("AssumeRoleWithWebIdentity", token)
        );
        assert!(!asked.headers().contains_key("authorization"), "the token is the proof");
    }
}

fn document(id: &str) -> String {
    serde_json::json!({
        "Code": "Success", "AccessKeyId": id, "SecretAccessKey": "s", "Token": "t", "Expiration": in_an_hour()
    })
    .to_string()
}

#[tokio::test]
async fn a_container_asks_beside_itself_with_the_token_that_it_was_given() {
    let endpoint = Double::new(|request| async move {
        match request.headers().get("authorization").map(|value| value.as_bytes()) {
            Some(b"from-the-file" | b"from-the-variable") | None => answer(200, &[], document("ASIATASK")),
            Some(_) => answer(401, &[], "{\"code\":\"secret\"}"),
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "from-the-file\n").unwrap();
    let file = folder.path().join("token").display().to_string();
    let full = format!("{}/v1/credentials", endpoint.url());
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*full);
    let in_file = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &*file);
    let at = CredentialsConfig::At(Place::Container);
    assert_eq!(fetched(at.clone(), &[full, in_file]).await.unwrap().0.id, "ASIATASK");
    assert_eq!(endpoint.asked()[0].headers()["authorization"], "from-the-file");
    assert_eq!(endpoint.asked()[0].uri().path(), "/v1/credentials");
    assert_eq!(fetched(at.clone(), &[full]).await.unwrap().0.id, "ASIATASK");
    fs::write(folder.path().join("token"), "another").unwrap();
    let refused = fetched(at.clone(), &[full, in_file]).await.unwrap_err();
    assert!(refused.starts_with("the container's keys: ") && !refused.contains("secret"), "{refused}");
    let relative = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
    for (variables, words) in [
        (&[][..], "neither"),
        (&[full, (relative, "/x")], "both"),
        (&[(relative, "x")], "is no path"),
        (&[(full.0, "http://10.0.0.1/x")], "beside the container only"),
        (&[(full.0, "http://169.254.170.2.example/x")], "beside the container only"),
        (&[(full.0, "ftp://localhost/x")], "beside the container only"),
    ] {
        let problem = fetched(at.clone(), variables).await.unwrap_err();
        assert!(problem.contains(words), "{problem}");
    }
    for good in ["http://169.254.170.2/x", "http://[fd00:ec2::23]/x", "http://127.0.0.7/x", "https://keys.example/x"] {
        assert!(container::Container::by(&set(&[(full.0, good)])).is_ok(), "{good}");
    }
    assert!(container::Container::by(&set(&[(relative, "/v2/x")])).is_ok());
}

#[tokio::test]
async fn an_instance_asks_by_session_and_never_without() {
    let service = Double::new(|request| async move {
        let session = request.headers().get("x-aws-ec2-metadata-token").map(|value| value.as_bytes().to_vec());
        match (request.method().as_str(), request.uri().path(), session.as_deref()) {
            ("PUT", "/latest/api/token", None) => {
                assert_eq!(request.headers()["x-aws-ec2-metadata-token-ttl-seconds"], "60");
                answer(200, &[], "session==")
            }
            ("GET", "/latest/meta-data/iam/security-credentials/", Some(b"session==")) => {
                answer(200, &[], "shop-role\n")
            }
            ("GET", "/latest/meta-data/iam/security-credentials/shop-role", Some(b"session==")) => {
                answer(200, &[], document("ASIAROLE"))
            }
            other => panic!("{other:?}"),
        }
    })
    .await;
    let at = |endpoint: &Double| {
        config(Given { source: Some(Place::Instance), metadata_endpoint: Some(endpoint.url()), ..Given::default() })
    };
    assert_eq!(fetched(at(&service), &[]).await.unwrap().0.id, "ASIAROLE");
    // A service of the first version answers without a session: it is not asked so.
    let old = Double::new(|request| async move {
        if request.method() == "PUT" { answer(405, &[], "") } else { answer(200, &[], document("ASIAOLD")) }
    })
    .await;
    let problem = fetched(at(&old), &[]).await.unwrap_err();
    assert!(problem.starts_with("the instance's keys: ") && problem.contains("405"), "{problem}");
    assert_eq!(old.asked().len(), 1);
    let ended = Double::same(200, &[], "<html>").await;
    assert!(fetched(at(&ended), &[]).await.unwrap_err().contains("has no role"));
}
