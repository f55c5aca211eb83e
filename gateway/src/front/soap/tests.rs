//! A message that names two operations runs neither, wherever the second one stands.

use super::*;
use http::{HeaderName, HeaderValue};
use mesh::soap::Name;

const WSA: &str = "http://www.w3.org/2005/08/addressing";

fn soap(action: &str) -> SoapAction {
    SoapAction { action: action.into(), element: Some(Name::new("urn:host", "read")), operation: None }
}

fn headers(of: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in of {
        headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
    }
    headers
}

fn message(version: &str, header: &str, body: &str) -> String {
    format!("<s:Envelope xmlns:s='{version}'><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>")
}

const V11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const V12: &str = "http://www.w3.org/2003/05/soap-envelope";
const READ: &str = "<read xmlns='urn:host'/>";

#[test]
fn what_agrees_is_forwarded_with_the_routes_action() {
    let addressed = format!("<a:Action xmlns:a='{WSA}'>urn:host#read</a:Action>");
    for (kind, action, version) in [
        ("text/xml", Some("\"urn:host#read\""), V11),
        ("text/xml; charset=utf-8", Some("urn:host#read"), V11),
        ("text/xml", None, V11),
        ("application/soap+xml; action=\"urn:host#read\"", None, V12),
        ("application/soap+xml", None, V12),
    ] {
        let mut given = headers(&[("content-type", kind)]);
        given.extend(action.map(|action| (HeaderName::from_static("soapaction"), HeaderValue::from_static(action))));
        agrees(&soap("urn:host#read"), &mut given, message(version, &addressed, READ).as_bytes()).unwrap();
        let said = announced(&given).unwrap().unwrap();
        assert_eq!(said.action.as_deref(), Some("urn:host#read"), "{kind}");
    }
    agrees(&soap(""), &mut headers(&[("content-type", "text/xml")]), message(V11, "", READ).as_bytes()).unwrap();
}

#[test]
fn what_disagrees_is_refused() {
    let xml = ("content-type", "text/xml");
    let read = ("soapaction", "urn:host#read");
    let good = message(V11, "", READ);
    let addressed =
        |namespace: &str| message(V11, &format!("<a:Action xmlns:a='{namespace}'>urn:host#erase</a:Action>"), READ);
    for (given, body) in [
        (vec![xml, read], message(V11, "", "<erase xmlns='urn:host'/>")),
        (vec![xml, read], message(V11, "", "<read xmlns='urn:other'/>")),
        (vec![xml, read], message(V11, "", "<read/>")),
        (vec![xml, read], message(V11, "", "")),
        (vec![xml, read], message(V11, "", &format!("{READ}<erase xmlns='urn:host'/>"))),
        (vec![xml, read], message(V12, "", READ)),
        (vec![xml, read], addressed(WSA)),
        (vec![xml, read], addressed("http://schemas.xmlsoap.org/ws/2004/08/addressing")),
        (vec![xml, read], format!("<!DOCTYPE x [<!ENTITY e 'x'>]>{good}")),
        (vec![xml, read], good.replace("</s:Envelope>", "")),
        (vec![xml, ("soapaction", "urn:host#erase")], good.clone()),
        (vec![xml, read, ("soapaction", "urn:host#erase")], good.clone()),
        (vec![xml, read, ("content-encoding", "gzip")], good.clone()),
        (vec![("content-type", "text/xml; action=\"urn:host#erase\""), read], good.clone()),
        (vec![("content-type", "application/soap+xml"), read], good.clone()),
        (vec![("content-type", "multipart/related; type=\"text/xml\""), read], good.clone()),
        (vec![("content-type", "text/xml; charset=utf-16"), read], good.clone()),
        (vec![read], good.clone()),
    ] {
        let refused = agrees(&soap("urn:host#read"), &mut headers(&given), body.as_bytes());
        let refused = refused.expect_err(&format!("{given:?}\n{body}"));
        assert!(matches!(refused.row().status, 400 | 415), "{refused:?}");
    }
}
