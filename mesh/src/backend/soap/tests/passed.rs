//! Messages of clients: on their way as they came, and answers and faults back as they are.

use super::*;
use crate::soap::xml;

const ORDER: &str =
    "<o:place xmlns:o='urn:example:orders'><o:order channel='web'><!-- as it is --></o:order></o:place>";

/// The target of a function whose route takes messages.
async fn pass(config: &SoapConfig, outbound: Outbound) -> Result<Reply, InvokeError> {
    assert_eq!(config.problems(), []);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("password"), "pass<word\n").unwrap();
    let element = Name::parse("{urn:example:orders}place").unwrap();
    let soap = Soap::new(config, folder.path()).unwrap().taking(Some(Some(&element))).unwrap();
    soap.invoke(outbound).await
}

fn message(header: &str) -> String {
    format!(
        "<?xml version='1.0'?>\n<s:Envelope xmlns:s='{}'>{header}<s:Body>{ORDER}</s:Body></s:Envelope>",
        Version::V11.namespace()
    )
}

fn posted(message: String) -> Outbound {
    let mut outbound = post(message);
    for (name, value) in [("content-type", "text/xml"), ("accept-encoding", "gzip"), ("x-tenant", "7")] {
        outbound.head.headers.insert(name, HeaderValue::from_static(value));
    }
    outbound
}

fn token() -> UsernameToken {
    UsernameToken { user: "gateway".to_owned(), password: "file:password".to_owned(), digest: false }
}

#[tokio::test]
async fn a_message_and_its_answer_pass_as_they_are() {
    let said = enveloped(PLACED);
    let double =
        Double::same(200, &[("content-type", "text/xml; charset=utf-8"), ("server", "db01")], said.clone()).await;
    let config = described("Place", "Plain", &format!("{}/orders", double.url()));
    let sent = message("<s:Header><t:Trace xmlns:t='urn:t'>7</t:Trace></s:Header>");
    let reply = pass(&config, posted(sent.clone())).await.unwrap();
    assert_eq!((reply.status().as_u16(), &reply.headers()["content-type"]), (200, &XML[0].1.parse().unwrap()));
    assert!(!reply.headers().contains_key("server"), "it tells of nothing but itself");
    assert_eq!(body(reply).await.unwrap(), said);
    let asked = double.asked();
    assert_eq!(asked[0].body(), &sent, "every byte of it");
    assert_eq!((asked[0].uri().path(), &asked[0].headers()["x-tenant"]), ("/orders", &HeaderValue::from_static("7")));
    assert!(!asked[0].headers().contains_key("accept-encoding"));
}

#[tokio::test]
async fn the_gateways_token_is_in_the_header_and_no_other() {
    let double = Double::same(200, XML, enveloped(PLACED)).await;
    let config = SoapConfig { username_token: Some(token()), ..described("Place", "Plain", &double.url()) };
    let theirs = format!("<w:Security xmlns:w='{SECURITY}'><w:UsernameToken>theirs</w:UsernameToken></w:Security>");
    let other = "<t:Trace xmlns:t='urn:t'/>";
    for header in [
        String::new(),
        "<s:Header/>".to_owned(),
        "<s:Header  a='/' />".to_owned(),
        "<s:Header></s:Header >".to_owned(),
        format!("<s:Header>{theirs}</s:Header>"),
        format!("<s:Header>{other}{theirs}{other}{theirs}<!-- </s:Header> --></s:Header>"),
    ] {
        let sent = message(&header);
        pass(&config, posted(sent.clone())).await.unwrap();
        let asked = String::from_utf8(double.asked().last().unwrap().body().to_vec()).unwrap();
        let document = xml::parse(&asked).unwrap();
        let opened = envelope::open(document.root_element()).unwrap();
        let inside: Vec<_> = xml::elements(opened.header.unwrap()).collect();
        let ours: Vec<_> = inside.iter().filter(|node| node.has_tag_name((SECURITY, "Security"))).collect();
        assert_eq!(ours.len(), 1, "{asked}");
        let understood = ours[0].attribute((Version::V11.namespace(), "mustUnderstand"));
        assert_eq!(understood, Some("1"), "{asked}");
        assert_eq!(inside.len() - 1, header.matches(other).count(), "all else is there: {asked}");
        assert!(asked.contains("pass&lt;word") && !asked.contains("theirs"), "{asked}");
        assert!(asked.ends_with(&format!("<s:Body>{ORDER}</s:Body></s:Envelope>")), "{asked}");
    }
}

#[tokio::test]
async fn a_fault_of_the_operation_passes_and_others_stay_inside() {
    for (fault, passes) in [
        (fault("soap:Client", ""), true),
        (fault("soap:Client.Negative", ""), true),
        (fault("soap:Server", "<o:outOfStock>tea</o:outOfStock>"), true),
        (fault("soap:Server", ""), false),
        (fault("soap:Server", "<o:undeclared/>"), false),
        (fault("soap:MustUnderstand", ""), false),
        (fault("w:FailedAuthentication", ""), false),
    ] {
        let double = Double::same(500, XML, fault.clone()).await;
        match pass(&described("Place", "Plain", &double.url()), posted(message(""))).await {
            Ok(reply) => {
                assert!(passes, "{fault}");
                assert_eq!((reply.status().as_u16(), body(reply).await.unwrap()), (500, fault.into()));
            }
            Err(error) => {
                assert!(!passes, "{fault}");
                let ours = fault.contains("MustUnderstand") || fault.contains("FailedAuthentication");
                assert_eq!(matches!(error, InvokeError::Refused(_)), ours, "{error:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_the_operations_message_is_not_sent() {
    let double = Double::same(200, XML, enveloped(PLACED)).await;
    let config = described("Place", "Plain", &double.url());
    for sent in [
        message("").replace(Version::V11.namespace(), Version::V12.namespace()),
        message("").replace("o:place", "o:other"),
        message("").replace("</s:Body>", "</s:Body><s:Body/>"),
        "{}".to_owned(),
    ] {
        let refused = pass(&config, posted(sent.clone())).await.unwrap_err();
        assert!(matches!(refused, InvokeError::BadInput(_)), "{sent}: {refused:?}");
    }
    assert!(double.asked().is_empty());
    for answer in [enveloped(PLACED).replace(Version::V11.namespace(), Version::V12.namespace()), "<x/>".to_owned()] {
        let double = Double::same(200, XML, answer.clone()).await;
        let malformed = pass(&described("Place", "Plain", &double.url()), posted(message(""))).await.unwrap_err();
        assert!(matches!(malformed, InvokeError::BadAnswer(_)), "{answer}: {malformed:?}");
    }
}

#[tokio::test]
async fn a_target_takes_messages_of_its_own_operation_only() {
    let folder = tempfile::tempdir().unwrap();
    let made = |config: &SoapConfig| Soap::new(config, folder.path()).unwrap();
    let other = Name::parse("{urn:example:orders}other").unwrap();
    let described = made(&described("Place", "Plain", "http://127.0.0.1:1/"));
    for element in [Some(&other), None] {
        assert_eq!(described.taking(Some(element)).unwrap_err().field, "operation");
    }
    assert_eq!(made(&written("<a/>", "http://127.0.0.1:1/")).taking(Some(Some(&other))).unwrap_err().field, "template");
    assert!(described.taking(None).is_ok());
}
