//! Keys and tokens that a caller can't set, answers that pass unchanged, and a platform whose words stay with it.

use super::*;
use crate::{
    double::{Double, answer},
    samples::{body, post},
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use std::fs;

fn config(url: &str) -> AzureFunctionsConfig {
    AzureFunctionsConfig {
        url: url.to_owned(),
        function: None,
        key: None,
        entra: None,
        managed_identity: None,
        ca: None,
        connect_timeout: crate::backend::connect_timeout(),
    }
}

fn entra(double: &Double) -> EntraConfig {
    EntraConfig {
        tenant: "contoso.example".to_owned(),
        client_id: "5f1c".to_owned(),
        client_secret: Some("file:secret".to_owned()),
        federated_token: None,
        scope: "api://shop/.default".to_owned(),
        token_endpoint: Some(format!("{}/contoso.example/oauth2/v2.0/token", double.url())),
    }
}

/// Where secrets lie.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in [("key", "the-key\n"), ("secret", "the+secret"), ("federated", "header.claims.signature")] {
        fs::write(folder.path().join(file), text).unwrap();
    }
    folder
}

/// The platform: tokens at their places, functions everywhere else, and nothing without its credential.
async fn platform(needs: &'static [(&'static str, &'static str)]) -> Double {
    Double::new(move |request: Request<Bytes>| async move {
        let path = request.uri().path().to_owned();
        if path.ends_with("/token") {
            let token = br#"{"token_type":"Bearer","expires_in":3599,"access_token":"ey.a.b"}"#;
            return answer(200, &[("content-type", "application/json")], &token[..]);
        }
        for (name, value) in needs {
            let given: Vec<_> = request.headers().get_all(*name).iter().collect();
            assert_eq!(given, [value], "{name}");
        }
        answer(201, &[("x-mine", "1"), ("content-type", "text/plain")], "made")
    })
    .await
}

async fn call(config: &AzureFunctionsConfig, outbound: Outbound) -> Result<crate::payload::Reply, InvokeError> {
    assert_eq!(config.problems(), []);
    let folder = folder();
    let function = AzureFunctions::new(config, folder.path()).unwrap();
    function.invoke(outbound).await
}

#[tokio::test]
async fn a_function_is_called_with_the_gateways_key_and_no_other() {
    let double = platform(&[("x-functions-key", "the-key")]).await;
    let config = AzureFunctionsConfig {
        key: Some("file:key".to_owned()),
        ..config(&format!("{}/api/orders/{{id}}", double.url()))
    };
    let mut outbound = post("{\"count\":2}");
    outbound.head.query = Some("code=a-callers-own&tag=a&tag=b".into());
    for name in OWN {
        outbound.head.headers.append(name, HeaderValue::from_static("a-callers-own"));
    }
    outbound.head.headers.insert("x-kept", HeaderValue::from_static("yes"));
    let reply = call(&config, outbound).await.unwrap();
    assert_eq!((reply.status().as_u16(), &reply.headers()["x-mine"]), (201, &HeaderValue::from_static("1")));
    assert_eq!(body(reply).await.unwrap(), "made");
    double.golden("azure_functions/trigger.golden", &[]);
    assert!(!format!("{:?}", double.asked()[0]).contains("a-callers-own-key"));
}

#[tokio::test]
async fn a_token_is_got_by_client_credentials_once() {
    let double = platform(&[("authorization", "Bearer ey.a.b")]).await;
    let config =
        AzureFunctionsConfig { entra: Some(entra(&double)), ..config(&format!("{}/api/orders", double.url())) };
    let folder = folder();
    let function = AzureFunctions::new(&config, folder.path()).unwrap();
    for _ in 0..2 {
        assert_eq!(function.invoke(post("{}")).await.unwrap().status(), 201);
    }
    assert!(!format!("{function:?}").contains("ey.a.b"), "no token is shown");
    double.golden("azure_functions/entra.golden", &[]);
    let federated = EntraConfig {
        client_secret: None,
        federated_token: Some("file:federated".to_owned()),
        ..config.entra.clone().unwrap()
    };
    let federated = AzureFunctionsConfig { entra: Some(federated), ..config };
    call(&federated, post("{}")).await.unwrap();
    let form = double.asked()[3].body().clone();
    let form = String::from_utf8_lossy(&form).into_owned();
    assert!(form.contains("client_assertion=header.claims.signature") && !form.contains("client_secret"), "{form}");
}

#[tokio::test]
async fn the_machines_identity_is_asked_for_a_token() {
    let double = platform(&[("authorization", "Bearer ey.a.b")]).await;
    let identity = ManagedIdentityConfig {
        resource: "api://shop".to_owned(),
        client_id: Some("5f1c".to_owned()),
        endpoint: Some(double.url()),
    };
    let config =
        AzureFunctionsConfig { managed_identity: Some(identity.clone()), ..config(&format!("{}/api/o", double.url())) };
    call(&config, post("{}")).await.unwrap();
    double.golden("azure_functions/identity.golden", &[]);

    let machine = ManagedIdentityConfig { endpoint: None, ..identity };
    let (url, headers) = machine.place(&|_| None).unwrap();
    assert!(url.as_str().starts_with("http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01"));
    assert_eq!(headers["metadata"], "true");
    let set = |names: &'static [&str]| move |name: &str| names.contains(&name).then(|| "http://127.0.0.1:41/x".into());
    let (url, headers) = machine.place(&set(&["IDENTITY_ENDPOINT", "IDENTITY_HEADER"])).unwrap();
    assert_eq!(url.as_str(), "http://127.0.0.1:41/x?api-version=2019-08-01");
    assert!(headers["x-identity-header"].is_sensitive());
    assert!(machine.place(&set(&["IDENTITY_ENDPOINT"])).is_err(), "half of it is not looked past");
}

#[tokio::test]
async fn a_function_without_a_trigger_is_started_by_name() {
    let double = Double::new(|request: Request<Bytes>| async move {
        assert_eq!(
            (request.method().as_str(), &request.headers()["x-functions-key"]),
            ("POST", &"the-key".parse().unwrap())
        );
        answer(202, &[], "")
    })
    .await;
    let config = AzureFunctionsConfig {
        function: Some("restock".to_owned()),
        key: Some("file:key".to_owned()),
        ..config(&double.url())
    };
    let reply = call(&config, post("{\"sku\":\"tea\"}")).await.unwrap();
    assert_eq!(reply.status(), 202);
    double.golden("azure_functions/admin.golden", &[]);
    let binary = call(&config, post(&b"\xff"[..])).await.unwrap_err();
    assert!(matches!(binary, InvokeError::Unsupported(_)) && binary.had_no_effect(), "{binary}");
}

#[tokio::test]
async fn what_the_platform_says_is_told_apart_from_what_the_function_says() {
    let page: &[(&str, &str)] = &[("content-type", "text/html")];
    let bearer: &[(&str, &str)] =
        &[("content-type", "application/json"), ("www-authenticate", "Bearer authorization_uri=\"https://login/t\"")];
    let own: &[(&str, &str)] = &[("content-type", "application/json")];
    for (status, headers, body, expected) in [
        (401, &[][..], "", "the backend's service refused the call: 401"),
        (403, page, "<html>Ip Forbidden", "the backend's service refused the call: 403"),
        (401, bearer, "{}", "the backend's service refused the call: 401"),
        (429, &[("retry-after", "7")][..], "", "the backend takes no more calls for now"),
        (503, &[], "Function host is not running.", "the backend takes no more calls for now"),
        (502, page, "<html>", "the function failed: 502"),
        (504, &[], "", "the function failed: 504"),
        (401, own, "{\"mine\":1}", "passes"),
        (429, own, "{\"mine\":1}", "passes"),
        (500, &[], "", "passes"),
        (503, own, "{\"mine\":1}", "passes"),
        (302, &[("location", "/x")][..], "", "passes"),
    ] {
        let headers: &'static [(&str, &str)] = Box::leak(headers.to_vec().into_boxed_slice());
        let double = Double::same(status, headers, body).await;
        let reply = call(&config(&format!("{}/api/o", double.url())), post("{}")).await;
        let said = reply.as_ref().map_or_else(ToString::to_string, |reply: &Response<_>| {
            assert_eq!(reply.status(), status);
            "passes".to_owned()
        });
        assert_eq!(said, expected, "{status} {body}");
        assert_eq!(double.asked().len(), 1, "asked once");
    }
    for (status, expected) in
        [(401, "refused the call: 401"), (404, "refused the call: 404"), (429, "no more calls"), (500, "failed: 500")]
    {
        let double = Double::same(status, &[], "secret words").await;
        let started =
            AzureFunctionsConfig { function: Some("f".into()), key: Some("file:key".into()), ..config(&double.url()) };
        let error = call(&started, post("{}")).await.unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let double = Double::same(401, &[], "{\"error\":\"invalid_client\",\"error_description\":\"secret words\"}").await;
    let config = AzureFunctionsConfig { entra: Some(entra(&double)), ..config(&format!("{}/api/o", double.url())) };
    let error = call(&config, post("{}")).await.unwrap_err();
    assert!(matches!(error, InvokeError::NoCredential(_)) && error.had_no_effect(), "{error}");
    assert!(error.to_string().ends_with("answers 401 invalid_client"), "{error}");
    assert_eq!(double.asked().len(), 1, "the function was not asked");
}

#[test]
fn slips_are_found() {
    let url = "https://shop.azurewebsites.net/api/orders/{id}";
    let sound = EntraConfig {
        tenant: "contoso.example".into(),
        client_id: "c".into(),
        client_secret: Some("env:S".into()),
        federated_token: None,
        scope: "api://shop/.default".into(),
        token_endpoint: None,
    };
    let with = |entra| AzureFunctionsConfig { entra: Some(entra), ..config(url) };
    assert_eq!(with(sound.clone()).problems(), []);
    assert_eq!(config(url).parameters(), ["id"]);
    for (field, wrong) in [
        ("url", config("http://shop.azurewebsites.net/api/x")),
        ("url", config("https://u:p@shop.example/api/x")),
        ("url", config("https://shop.example/api/{id")),
        ("url", AzureFunctionsConfig { function: Some("f".into()), key: Some("env:K".into()), ..config(url) }),
        ("key", AzureFunctionsConfig { key: Some("hunter2".into()), ..config(url) }),
        ("key", AzureFunctionsConfig { function: Some("f".into()), ..config("https://shop.example") }),
        (
            "function",
            AzureFunctionsConfig {
                function: Some("../x".into()),
                key: Some("env:K".into()),
                ..config("https://s.example")
            },
        ),
        ("tenant", with(EntraConfig { tenant: "a/b".into(), ..sound.clone() })),
        ("client_secret", with(EntraConfig { client_secret: Some("hunter2".into()), ..sound.clone() })),
        ("client_secret", with(EntraConfig { client_secret: None, ..sound.clone() })),
        ("scope", with(EntraConfig { scope: "a b".into(), ..sound.clone() })),
        ("token_endpoint", with(EntraConfig { token_endpoint: Some("http://x.example/t".into()), ..sound })),
        ("connect_timeout", AzureFunctionsConfig { connect_timeout: "soon".into(), ..config(url) }),
    ] {
        let problems = wrong.problems();
        assert_eq!(problems.iter().map(|p| p.field).collect::<Vec<_>>(), [field], "{wrong:?}");
        assert!(!problems[0].message.contains("hunter2"), "{problems:?}");
    }
}
