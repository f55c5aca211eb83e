//! ID tokens from all three sources, each as its provider is asked for it, and answers as the platform gives them.

use super::*;
use crate::{
    double::{Double, answer},
    samples::{body, post},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use std::{fs, sync::LazyLock};

/// A service account's key: making one takes a while.
static KEY: LazyLock<KeyPair> =
    LazyLock::new(|| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap());

const AUDIENCE: &str = "https://orders.example";

fn config(double: &Double, credentials: GoogleCredentials) -> GoogleFunctionsConfig {
    GoogleFunctionsConfig {
        url: format!("{}/orders/{{id}}", double.url()),
        audience: Some(AUDIENCE.to_owned()),
        credentials: Some(credentials),
        event: None,
        ca: None,
        connect_timeout: crate::backend::connect_timeout(),
    }
}

/// A token that ends in an hour; nobody here looks at its signature.
fn id_token(audience: &str) -> String {
    let claims = json!({ "aud": audience, "exp": crate::token::jwt::since_epoch().as_secs() + 3600 });
    format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn form(request: &Request<Bytes>) -> Value {
    url::form_urlencoded::parse(request.body()).map(|(n, v)| (n.into_owned(), Value::String(v.into_owned()))).collect()
}

/// All of the provider's token services, each of which refuses a lie, and a function behind a front that wants its token.
async fn provider() -> Double {
    Double::new(|request: Request<Bytes>| async move {
        let json = |value: Value| answer(200, &[("content-type", "application/json")], value.to_string());
        match request.uri().path() {
            "/token" => {
                let form = form(&request);
                assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
                let mut wanted = Validation::new(Algorithm::RS256);
                wanted.set_audience(&["https://oauth2.googleapis.com/token"]);
                wanted.set_issuer(&["shop@p.iam.gserviceaccount.com"]);
                let key = DecodingKey::from_rsa_pem(KEY.public_key_pem().as_bytes()).unwrap();
                let assertion = form["assertion"].as_str().unwrap();
                let said = jsonwebtoken::decode::<Value>(assertion, &key, &wanted).unwrap();
                assert_eq!(said.header.kid.as_deref(), Some("key-1"));
                let life = said.claims["exp"].as_u64().unwrap() - said.claims["iat"].as_u64().unwrap();
                assert_eq!((life, &said.claims["target_audience"]), (3600, &json!(AUDIENCE)));
                json(json!({ "id_token": id_token(AUDIENCE) }))
            }
            "/computeMetadata/v1/instance/service-accounts/default/identity" => {
                assert_eq!(request.headers()["metadata-flavor"], "Google");
                assert_eq!(request.uri().query(), Some("audience=https%3A%2F%2Forders.example&format=full"));
                answer(200, &[("metadata-flavor", "Google"), ("content-type", "text/html")], id_token(AUDIENCE))
            }
            "/subject" => {
                assert_eq!(request.headers()["authorization"], "Bearer runner");
                json(json!({ "value": "their.own.token" }))
            }
            "/v1/sts" => {
                let expected = json!({
                    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
                    "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
                    "scope": "https://www.googleapis.com/auth/cloud-platform",
                    "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
                    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                    "subject_token": "their.own.token",
                });
                assert_eq!(form(&request), expected);
                json(json!({ "access_token": "ya29.x", "expires_in": 3600, "token_type": "Bearer" }))
            }
            "/v1/projects/-/serviceAccounts/shop@p:generateIdToken" => {
                assert_eq!(request.headers()["authorization"], "Bearer ya29.x");
                let asked: Value = serde_json::from_slice(request.body()).unwrap();
                assert_eq!(asked, json!({ "audience": AUDIENCE, "includeEmail": true }));
                json(json!({ "token": id_token(AUDIENCE) }))
            }
            _ => {
                let header = ["x-serverless-authorization", "authorization"].map(|name| request.headers().get(name));
                let token = header.into_iter().flatten().next().unwrap().to_str().unwrap();
                assert!(token.starts_with("Bearer e30."), "{token}");
                answer(200, &[("content-type", "text/plain")], "made")
            }
        }
    })
    .await
}

/// A folder with the files of all sources.
fn folder(double: &Double) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| format!("{}{path}", double.url());
    let account = json!({
        "type": "service_account", "client_email": "shop@p.iam.gserviceaccount.com", "private_key_id": "key-1",
        "private_key": KEY.serialize_pem(), "token_uri": at("/token"),
    });
    let federation = |source: Value| {
        json!({
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": at("/v1/sts"),
            "service_account_impersonation_url": at("/v1/projects/-/serviceAccounts/shop@p:generateAccessToken"),
            "credential_source": source,
        })
    };
    let format = json!({ "type": "json", "subject_token_field_name": "value" });
    let by_url = json!({ "url": at("/subject"), "headers": { "authorization": "Bearer runner" }, "format": format });
    for (file, text) in [
        ("account.json", account.to_string()),
        ("file.json", federation(json!({ "file": "subject" })).to_string()),
        ("url.json", federation(by_url).to_string()),
        ("subject", "their.own.token\n".to_owned()),
        ("other.json", federation(json!({ "environment_id": "aws1" })).to_string()),
    ] {
        fs::write(folder.path().join(file), text).unwrap();
    }
    folder
}

fn sources(double: &Double) -> [(GoogleCredentials, usize); 4] {
    let file = |name: &str| format!("file:{name}");
    [
        (GoogleCredentials::ServiceAccount(file("account.json")), 1),
        (GoogleCredentials::Metadata(double.url()), 1),
        (GoogleCredentials::Federation(file("file.json")), 2),
        (GoogleCredentials::Federation(file("url.json")), 3),
    ]
}

#[tokio::test]
async fn each_source_gives_a_token_that_is_used_again() {
    let double = provider().await;
    let folder = folder(&double);
    for (credentials, requests) in sources(&double) {
        let config = config(&double, credentials.clone());
        assert_eq!(config.problems(), []);
        let function = GoogleFunctions::new(&config, folder.path()).unwrap();
        let before = double.asked().len();
        for _ in 0..3 {
            let reply = function.invoke(post("{}")).await.unwrap_or_else(|error| panic!("{credentials:?}: {error}"));
            assert_eq!(body(reply).await.unwrap(), "made");
        }
        assert_eq!(double.asked().len() - before, requests + 3, "{credentials:?}");
        assert!(!format!("{function:?}").contains("e30."), "no token is shown");
    }
}

#[tokio::test]
async fn a_callers_own_token_goes_beside_the_gateways_only_where_it_is_forwarded() {
    let double = provider().await;
    let config = config(&double, GoogleCredentials::Metadata(double.url()));
    let function = GoogleFunctions::new(&config, Path::new("/")).unwrap();
    let mut outbound = post("{}");
    outbound.head.headers.insert("authorization", HeaderValue::from_static("Bearer a-callers-own"));
    outbound.head.headers.insert("x-serverless-authorization", HeaderValue::from_static("Bearer a-callers-own"));
    function.invoke(outbound).await.unwrap();
    let asked = double.asked().pop().unwrap();
    assert_eq!(asked.headers()["authorization"], "Bearer a-callers-own");
    assert!(asked.headers()["x-serverless-authorization"].to_str().unwrap().starts_with("Bearer e30."));
}

#[tokio::test]
async fn a_function_of_requests_gets_the_request() {
    let double = provider().await;
    let config = config(&double, GoogleCredentials::Metadata(double.url()));
    let mut outbound = post("{\"sku\":\"tea\"}");
    outbound.head.query = Some("page=1".into());
    outbound.head.headers.insert("content-type", HeaderValue::from_static("application/json"));
    GoogleFunctions::new(&config, Path::new("/")).unwrap().invoke(outbound).await.unwrap();
    double.golden("google_functions/request.golden", &[("authorization", "Bearer TOKEN")]);
}

#[tokio::test]
async fn a_function_of_events_gets_an_event() {
    let double = provider().await;
    let event = CloudEventConfig {
        kind: "shop.ordered".to_owned(),
        source: "/shop".to_owned(),
        subject: None,
        mode: Mode::Binary,
    };
    let config =
        GoogleFunctionsConfig { event: Some(event), ..config(&double, GoogleCredentials::Metadata(double.url())) };
    let function = GoogleFunctions::new(&config, Path::new("/")).unwrap();
    let mut outbound = post("{\"sku\":\"tea\"}");
    outbound.head.headers.insert("content-type", HeaderValue::from_static("application/json"));
    function.invoke(outbound).await.unwrap();
    double.golden("google_functions/event.golden", &[("authorization", "Bearer TOKEN"), ("ce-id", "ID")]);
}

#[tokio::test]
async fn failures_are_told_apart() {
    let page: &[(&str, &str)] = &[("content-type", "text/html; charset=UTF-8")];
    for (status, headers, expected) in [
        (500, &[("x-google-status", "crash"), ("content-type", "text/plain")][..], "the function failed: crash"),
        (500, &[("x-google-status", "error")], "the function failed: error"),
        (403, page, "the backend's service refused the call: 403"),
        (401, &[("www-authenticate", "Bearer error=\"invalid_token\"")], "the backend's service refused the call: 401"),
        (429, page, "the backend takes no more calls for now"),
        (500, &[("content-type", "application/json")], "passes"),
        (429, &[("content-type", "application/json")], "passes"),
    ] {
        let headers: &'static [(&str, &str)] = Box::leak(headers.to_vec().into_boxed_slice());
        let double = Double::same(status, headers, "secret words").await;
        let config =
            GoogleFunctionsConfig { credentials: None, ..config(&double, GoogleCredentials::Metadata(String::new())) };
        let reply = GoogleFunctions::new(&config, Path::new("/")).unwrap().invoke(post("{}")).await;
        let said = reply.as_ref().map_or_else(ToString::to_string, |_: &Response<_>| "passes".to_owned());
        assert_eq!(said, expected, "{status}");
        assert_eq!(double.asked().len(), 1, "asked once");
    }
    // Somebody else at the metadata server's address.
    let double = Double::same(200, &[], id_token(AUDIENCE)).await;
    let config = config(&double, GoogleCredentials::Metadata(double.url()));
    let error = GoogleFunctions::new(&config, Path::new("/")).unwrap().invoke(post("{}")).await.unwrap_err();
    assert!(error.to_string().contains("no metadata server") && error.had_no_effect(), "{error}");
}

#[tokio::test]
async fn slips_are_found() {
    let double = provider().await;
    let folder = folder(&double);
    for (file, words) in [
        ("subject", "no key file of a service account"),
        ("other.json", "others are not supported"),
        ("absent.json", "can't be read"),
    ] {
        let written = format!("file:{file}");
        let credentials = match file {
            "subject" => GoogleCredentials::ServiceAccount(written),
            _ => GoogleCredentials::Federation(written),
        };
        let problem = GoogleFunctions::new(&config(&double, credentials), folder.path()).unwrap_err();
        assert!(problem.field == "credentials" && problem.message.contains(words), "{problem}");
    }
    for (field, wrong) in [
        ("credentials", config(&double, GoogleCredentials::ServiceAccount("{\"type\":1}".into()))),
        ("credentials", config(&double, GoogleCredentials::Metadata("http://10.0.0.1".into()))),
        (
            "audience",
            GoogleFunctionsConfig { audience: Some(" ".into()), ..config(&double, sources(&double)[0].0.clone()) },
        ),
        (
            "url",
            GoogleFunctionsConfig { url: "http://x.example/".into(), ..config(&double, sources(&double)[0].0.clone()) },
        ),
    ] {
        assert_eq!(wrong.problems().iter().map(|p| p.field).collect::<Vec<_>>(), [field]);
    }
    for (url, audience) in [
        ("https://shop-abc-ew.a.run.app/orders/{id}", "https://shop-abc-ew.a.run.app"),
        ("https://europe-west1-p.cloudfunctions.net/orders/{id}", "https://europe-west1-p.cloudfunctions.net/orders"),
    ] {
        let config = GoogleFunctionsConfig {
            url: url.into(),
            audience: None,
            ..config(&double, GoogleCredentials::Metadata(String::new()))
        };
        assert_eq!(config.audience(), audience);
    }
}
