//! The provider's published samples, and requests that are signed and verified again.

use super::*;
use aws_lc_rs::signature::{
    KeyPair, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters,
    UnparsedPublicKey,
};
use http::Method;
use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};

/// The key of the samples: public ever since, and too short to sign with here.
const SAMPLE_KEY: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDCFENGw33yGihy92pDjZQhl0C36rPJj+CvfSC8+q28hxA161QFNUd13wuCTUc\
q0Qd2qsBe/2hFyc2DCJJg0h1L78+6Z4UMR7EOcpfdUE9Hf3m/hs+FUR45uBJeDK1HSFHD8bHKD6kv8FPGfJTotc+2xjJwoYi+1hqp1fIekaxsyQIDAQAB";

const SAMPLE_ID: &str = "ocid1.tenancy.oc1..aaaaaaaaba3pv6wkcr4jqae5f15p2b2m2yt2j6rx32uzr4h25vqstifsfdsq/\
ocid1.user.oc1..aaaaaaaat5nvwcna5j6aqzjcaty5eqbb6qt2jvpkanghtgdaqedqw3rynjq/\
20:3b:97:13:55:1c:5b:0d:d3:37:d8:50:4e:c5:3a:34";

const SAMPLE_DATE: &str = "Thu, 05 Jan 2014 21:31:40 GMT";

const SAMPLE_HOST: &str = "https://iaas.us-phoenix-1.oraclecloud.com/20160918";

const SAMPLE_BODY: &str = "{
    \"compartmentId\": \"ocid1.compartment.oc1..aaaaaaaam3we6vgnherjq5q2idnccdflvjsnog7mlr6rtdb25gilchfeyjxa\",
    \"instanceId\": \"ocid1.instance.oc1.phx.abuw4ljrlsfiqw6vzzxb43vyypt4pkodawglp3wqxjqofakrwvou52gb6s5a\",
    \"volumeId\": \"ocid1.volume.oc1.phx.abyhqljrgvttnlx73nmrwfaux7kcvzfs3s66izvxf2h4lgvyndsdsnoiwr5q\"
}";

fn signature_of(authorization: &str) -> Vec<u8> {
    let (_, rest) = authorization.split_once("signature=\"").unwrap();
    STANDARD.decode(rest.trim_end_matches('"')).unwrap()
}

fn verifies(kind: &'static RsaParameters, key: &[u8], text: &str, signature: &[u8]) -> bool {
    UnparsedPublicKey::new(kind, key).verify(text.as_bytes(), signature).is_ok()
}

/// A signature of this kind has one value for a text: that the published ones count for our texts proves our texts.
#[test]
fn the_published_samples_are_reproduced() {
    let query = "availabilityDomain=Pjwf%3A%20PHX-AD-1\
                 &compartmentId=ocid1.compartment.oc1..aaaaaaaam3we6vgnherjq5q2idnccdflvjsnog7mlr6rtdb25gilchfeyjxa\
                 &displayName=TeamXInstances\
                 &volumeId=ocid1.volume.oc1.phx.abyhqljrgvttnlx73nmrwfaux7kcvzfs3s66izvxf2h4lgvyndsdsnoiwr5q";
    let get = Request::get(format!("{SAMPLE_HOST}/instances?{query}"));
    let get = get.header("date", SAMPLE_DATE).header("host", "iaas.us-phoenix-1.oraclecloud.com").body(()).unwrap();
    // All but the date, which names a wrong day of the week, is what we make of the body.
    let mut post = Request::new(Full::new(Bytes::from(SAMPLE_BODY)));
    *post.method_mut() = Method::POST;
    *post.uri_mut() = format!("{SAMPLE_HOST}/volumeAttachments").parse().unwrap();
    let key = private_key(
        &rcgen::KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap().serialize_pem().into(),
    );
    sign_request(&mut post, SAMPLE_BODY.as_bytes(), (SAMPLE_ID, &key.unwrap()), Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(post.headers()["x-content-sha256"], "V9Z20UJTvkvpJ50flBzKE32+6m2zJjweHpDMX/U4Uy0=");
    assert_eq!(
        (&post.headers()["content-length"], &post.headers()["date"]),
        (&HeaderValue::from(316), &HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"))
    );
    post.headers_mut().insert("date", HeaderValue::from_static(SAMPLE_DATE));

    let bare = &["date", TARGET, "host"][..];
    for (text, names, published) in [
        (
            signing_string(&get, bare).unwrap(),
            bare,
            "Signature version=\"1\",headers=\"date (request-target) host\",keyId=\"ID\",algorithm=\"rsa-sha256\",signature=\"\
             GBas7grhyrhSKHP6AVIj/h5/Vp8bd/peM79H9Wv8kjoaCivujVXlpbKLjMPeDUhxkFIWtTtLBj3sUzaFj34XE6YZAHc9r2DmE4pMwOAy/kiITcZxa1\
             oHPOeRheC0jP2dqbTll8fmTZVwKZOKHYPtrLJIJQHJjNvxFWeHQjMaR7M=\"",
        ),
        (
            signing_string(&post, &WITH_BODY).unwrap(),
            &WITH_BODY,
            "Signature version=\"1\",headers=\"date (request-target) host content-length content-type x-content-sha256\",\
             keyId=\"ID\",algorithm=\"rsa-sha256\",signature=\"\
             Mje8vIDPlwIHmD/cTDwRxE7HaAvBg16JnVcsuqaNRim23fFPgQfLoOOxae6WqKb1uPjYEl0qIdazWaBy/Ml8DRhqlocMwoSXv0fbukP8J5N80LCmzT\
             /FFBvIvTB91XuXI3hYfP9Zt1l7S6ieVadHUfqBedWH0itrtPJBgKmrWso=\"",
        ),
    ] {
        let published = published.replace("ID\"", &format!("{SAMPLE_ID}\""));
        let signature = signature_of(&published);
        let key = STANDARD.decode(SAMPLE_KEY).unwrap();
        assert!(verifies(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, &key, &text, &signature), "{text}");
        assert!(!verifies(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, &key, &format!("{text} "), &signature));
        assert_eq!(authorization(names, SAMPLE_ID, &signature), published);
    }
}

#[test]
fn what_is_signed_is_what_is_sent() {
    let key = rcgen::KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let key = private_key(&key.serialize_pem().into()).unwrap();
    let mut request = Request::new(Full::new(Bytes::from("\0\u{ff}")));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = "https://functions.example:8443/20260325/functions/f/actions/invoke?a=1".parse().unwrap();
    request.headers_mut().insert("date", HeaderValue::from_static("another"));
    let at = "2026-11-23T10:20:30.5Z".parse().unwrap();
    sign_request(&mut request, "\0\u{ff}".as_bytes(), ("t/u/f", &key), at).unwrap();
    let text = signing_string(&request, &WITH_BODY).unwrap();
    let hash = STANDARD.encode(digest(&SHA256, "\0\u{ff}".as_bytes()));
    let expected = format!(
        "date: Mon, 23 Nov 2026 10:20:30 GMT\n(request-target): post /20260325/functions/f/actions/invoke?a=1\n\
         host: functions.example:8443\ncontent-length: 3\ncontent-type: application/json\nx-content-sha256: {hash}"
    );
    assert_eq!(text, expected);
    let authorization = &request.headers()["authorization"];
    assert!(authorization.is_sensitive());
    let signature = signature_of(authorization.to_str().unwrap());
    let public = key.public_key().as_ref();
    assert!(verifies(&RSA_PKCS1_2048_8192_SHA256, public, &text, &signature));
    assert!(!verifies(&RSA_PKCS1_2048_8192_SHA256, public, &text.replace("a=1", "a=2"), &signature));
}

#[test]
fn only_a_key_that_can_sign_is_one() {
    let other = rcgen::KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
    for pem in ["", "no key", &other, "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"] {
        let problem = private_key(&SecretString::from(pem)).unwrap_err();
        assert!(problem.contains("can't be used") && !problem.contains("AAAA"), "{problem}");
    }
}
