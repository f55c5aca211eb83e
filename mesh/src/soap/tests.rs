//! Messages of a service that is described in three files, in both directions; what is refused; what headers say.

use super::{
    Name, Version,
    action::{self, Announced, announced},
    envelope,
    wsdl::{Operation, Wanted},
    xml,
};
use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/soap/tests/orders.wsdl")
}

fn operation(name: &str) -> Operation {
    let port = (name == "Place").then_some("Plain");
    Operation::load(&file(), &Wanted { operation: Some(name), port, ..Wanted::default() }).unwrap()
}

fn order() -> Value {
    json!({
        "order": {
            "@channel": "web & shop",
            "day": "2026-11-28",
            "line": [
                { "sku": "tea", "count": 2, "price": { "@currency": "EUR", "$": "12.50" } },
                { "sku": "<kettle>", "count": -1, "price": { "$": "1" } }
            ],
            "iban": "DE02",
            "urgent": null,
            "drawing": "AP8B",
            "weight": 0.25,
            "group": { "name": "ä", "group": [{ "name": "b", "group": [] }] }
        },
        "note": "to \"Zoë\"\n<&>"
    })
}

fn enveloped(version: Version, body: &str) -> String {
    envelope::write(version, "", body)
}

#[test]
fn a_message_has_the_order_and_the_namespaces_of_its_description() {
    let place = operation("Place");
    assert_eq!((place.version, &*place.action), (Version::V11, "urn:example:orders/place"));
    assert_eq!(place.location.as_deref(), Some("http://127.0.0.1:1/orders"));
    let written = place.write(&order()).unwrap();
    let expected = concat!(
        "<n1:place xmlns:n0=\"urn:example:types\" xmlns:n1=\"urn:example:orders\">",
        "<n1:order channel=\"web &amp; shop\"><day>2026-11-28</day>",
        "<line><n0:sku>tea</n0:sku><count>2</count><price currency=\"EUR\">12.50</price></line>",
        "<line><n0:sku>&lt;kettle&gt;</n0:sku><count>-1</count><price>1</price></line>",
        "<iban>DE02</iban>",
        "<urgent xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:nil=\"true\"/>",
        "<drawing>AP8B</drawing><weight>0.25</weight>",
        "<group><name>ä</name><group><name>b</name></group></group></n1:order>",
        "<n1:note>to &quot;Zoë&quot;&#10;&lt;&amp;&gt;</n1:note></n1:place>"
    );
    assert_eq!(written, expected);
    let (glance, read) = place.read(enveloped(Version::V11, &written).as_bytes()).unwrap();
    assert_eq!(glance.element, Some(Name::new("urn:example:orders", "place")));
    assert_eq!(read, order(), "what was written is read as it was");
}

#[test]
fn input_that_is_not_described_is_told_where_it_is() {
    let place = operation("Place");
    let with = |pointer: &str, value: Value| {
        let mut input = order();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        input.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name.to_owned(), value);
        place.write(&input).unwrap_err()
    };
    for (pointer, value, said) in [
        ("/order/line", json!([]), "`/order/line` has no element"),
        ("/order/line", json!({}), "`/order/line` is no array"),
        ("/order/line", json!([{ "sku": "x", "count": 1.5, "price": "1" }]), "`/order/line/0/count` is no integer"),
        ("/order/line", json!([{ "sku": "x", "price": "1" }]), "`/order/line/0/count` is missing"),
        ("/order/line", json!([{ "sku": "x", "count": null, "price": "1" }]), "`/order/line/0/count` can't be null"),
        ("/order/card", json!("1"), "`/order` has more than one of the members of which it may have one"),
        ("/order/iban", Value::Null, "`/order` has none of the members of which it must have one"),
        ("/order/urgent", json!("yes"), "`/order/urgent` is neither true nor false"),
        ("/order/drawing", json!("not base64"), "`/order/drawing` is no base64"),
        ("/order/@channel", Value::Null, "`/order/@channel` is missing"),
        ("/order/@other", json!("1"), "`/order/@other` is not described"),
        ("/order/a~b", json!(1), "`/order/a~0b` is not described"),
        ("/note", json!("\u{1}"), "`/note` has a character that XML can't hold"),
        ("/note", json!(["x"]), "`/note` is no text"),
    ] {
        assert_eq!(with(pointer, value), said);
    }
    assert_eq!(place.write(&json!([])).unwrap_err(), "the input is no object");
    assert_eq!(place.write(&json!({})).unwrap_err(), "`/order` is missing");
}

#[test]
fn a_message_that_policy_would_not_see_whole_is_refused() {
    let place = operation("Place");
    let good = enveloped(Version::V11, &place.write(&order()).unwrap());
    for (old, new, said) in [
        ("<day>", "<extra/><day>", "`extra` is not described"),
        ("<day>", "text<day>", "`order` has text between its elements"),
        ("<day>2026", "<day>20<!-- -->26", "`day` has a comment"),
        ("<iban>DE02</iban>", "<iban>DE02</iban><iban>DE03</iban>", "`iban` is there more than once"),
        ("<count>2</count>", "<count>two</count>", "`count` is no integer of at most 64 bits"),
        ("<count>2</count>", "<count x=\"1\">2</count>", "`count` has an attribute that is not described"),
        ("<count>2</count>", "<n0:count>2</n0:count>", "`count` is not described"),
        ("<drawing>", "<drawing>?", "`drawing` is no base64"),
        (
            "<weight>",
            "<weight xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" i:type=\"x\">",
            "`weight` has an attribute that is not described",
        ),
        ("n1:place", "n0:place", "the body does not hold what the operation takes"),
    ] {
        assert!(good.contains(old), "{old}");
        assert_eq!(place.read(good.replace(old, new).as_bytes()).unwrap_err(), said);
    }
}

#[test]
fn procedures_wrap_their_parts() {
    let count = operation("Count");
    let written = count.write(&json!({ "sku": "tea", "deep": true })).unwrap();
    assert_eq!(written, "<n0:Count xmlns:n0=\"urn:example:stock\"><sku>tea</sku><deep>true</deep></n0:Count>");
    let answer = "<s:CountResponse xmlns:s='urn:example:stock'><count> 7 </count></s:CountResponse>";
    let answer = enveloped(Version::V11, answer);
    let document = xml::parse(&answer).unwrap();
    assert_eq!(count.told(&envelope::open(document.root_element()).unwrap()), Ok(json!({ "count": 7 })));
}

#[test]
fn answers_keep_every_digit_and_every_list() {
    let place = operation("Place");
    let told = |inside: &str| {
        let answer = format!("<placed xmlns='urn:example:orders' xmlns:i='{}'>{inside}</placed>", super::INSTANCE);
        let answer = enveloped(Version::V11, &answer);
        let document = xml::parse(&answer).unwrap();
        place.told(&envelope::open(document.root_element()).unwrap())
    };
    let most = "<id>9223372036854775807</id><total>0.10</total><shipped i:nil='true'/><new>later</new>";
    let expected = json!({ "id": 9_223_372_036_854_775_807_i64, "total": "0.10", "shipped": null, "warning": [] });
    assert_eq!(told(most), Ok(expected));
    let warned = "<id>1</id><warning>a<![CDATA[<b>]]><!-- c -->d</warning><warning/>";
    assert_eq!(told(warned), Ok(json!({ "id": 1, "warning": ["a<b>d", ""] })));
    assert!(told("<id>99999999999999999999</id>").is_err(), "nothing is rounded");
    assert!(operation("Ping").told(&open("")).is_ok());
    assert!(place.told(&open("")).is_err());
}

fn open(body: &str) -> envelope::Opened<'static, 'static> {
    let text: &'static str = Box::leak(enveloped(Version::V11, body).into_boxed_str());
    let document: &'static roxmltree::Document<'static> = Box::leak(Box::new(xml::parse(text).unwrap()));
    envelope::open(document.root_element()).unwrap()
}

#[test]
fn what_can_not_be_mapped_is_an_error_at_load() {
    let wanted = |operation, port| Wanted { operation: Some(operation), port, ..Wanted::default() };
    for (wanted, said) in [
        (
            wanted("Place", None),
            "more than one is meant (`Plain` of `Orders`, `Newer` of `Orders`): name service, port, version or action",
        ),
        (wanted("Missing", None), "it has no operation `Missing` over SOAP in that service and port"),
        (wanted("Place", Some("Stock")), "it has no operation `Place` over SOAP in that service and port"),
        (wanted("Encoded", None), "`Encoded`: its message is `encoded`, and only `literal` ones are spoken"),
        (wanted("Anything", None), "`Anything`: `anyType` of XML Schema has no form in JSON"),
        (
            Wanted { action: Some("urn:nothing"), ..Wanted::default() },
            "it has no operation with the action `urn:nothing`",
        ),
    ] {
        assert_eq!(Operation::load(&file(), &wanted).unwrap_err(), said);
    }
    let newer = Wanted { operation: Some("Place"), version: Some(Version::V12), ..Wanted::default() };
    assert_eq!(Operation::load(&file(), &newer).unwrap().version, Version::V12);
    let by_action = Wanted { action: Some("urn:example:stock/count"), ..Wanted::default() };
    assert_eq!(Operation::load(&file(), &by_action).unwrap().element(), Some(&Name::new("urn:example:stock", "Count")));
    assert!(!operation("Notify").answers());
    let nowhere = Operation::load(Path::new("/nonexistent.wsdl"), &newer).unwrap_err();
    assert_eq!(nowhere, "`/nonexistent.wsdl` can't be read: entity not found");
}

#[test]
fn an_envelope_has_one_body_with_one_element() {
    let soap = Version::V12.namespace();
    let wrapped = |inside: &str| format!("<e:Envelope xmlns:e='{soap}'>{inside}</e:Envelope>");
    let addressed = "<e:Header><a:Action xmlns:a='http://www.w3.org/2005/08/addressing'> urn:x </a:Action></e:Header>";
    let glance =
        envelope::glance(wrapped(&format!("{addressed}<e:Body><x xmlns='urn:y'/></e:Body>")).as_bytes()).unwrap();
    assert_eq!((glance.version, glance.element), (Version::V12, Some(Name::new("urn:y", "x"))));
    assert_eq!(glance.addressed, ["urn:x"]);
    for bad in [
        wrapped(""),
        wrapped("<e:Body><a/><b/></e:Body>"),
        wrapped("<e:Body><a/></e:Body><e:Body><b/></e:Body>"),
        wrapped("<e:Body/><e:Header/>"),
        wrapped("<e:Header/><e:Header/><e:Body/>"),
        wrapped("<Body/>"),
        wrapped("<e:Body/><other/>"),
        "<Envelope><Body/></Envelope>".to_owned(),
        wrapped("<e:Body/>").replace("Envelope", "Other"),
    ] {
        assert!(envelope::glance(bad.as_bytes()).is_err(), "{bad}");
    }
}

fn headers(of: &[(&str, &str)]) -> HeaderMap {
    let pair =
        |(name, value): &(&str, &str)| (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
    let mut headers = HeaderMap::new();
    for (name, value) in of.iter().map(pair) {
        headers.append(name, value);
    }
    headers
}

#[test]
fn headers_say_one_action_or_are_refused() {
    let kind = |kind: &'static str| ("content-type", kind);
    for (given, version, action) in [
        (vec![kind("text/xml"), ("soapaction", "\"urn:x\"")], Version::V11, Some("urn:x")),
        (vec![kind("TEXT/XML; charset=\"UTF-8\""), ("soapaction", "urn:x")], Version::V11, Some("urn:x")),
        (vec![kind("text/xml")], Version::V11, None),
        (vec![kind("text/xml"), ("soapaction", "\"\"")], Version::V11, None),
        (vec![kind("application/soap+xml; action=\"urn:x\"; charset=utf-8")], Version::V12, Some("urn:x")),
        (vec![kind("application/soap+xml;action=urn:x")], Version::V12, Some("urn:x")),
        (vec![kind("application/soap+xml;action=urn:x"), ("soapaction", "\"urn:x\"")], Version::V12, Some("urn:x")),
    ] {
        let expected = Announced { version, action: action.map(str::to_owned) };
        assert_eq!(announced(&headers(&given)), Ok(Some(expected)), "{given:?}");
    }
    for given in [vec![], vec![kind("application/json")], vec![kind("multipart/related; type=\"text/xml\"")]] {
        assert_eq!(announced(&headers(&given)), Ok(None), "{given:?}");
    }
    for given in [
        vec![kind("text/xml"), ("soapaction", "\"urn:x\""), ("soapaction", "\"urn:y\"")],
        vec![kind("text/xml"), ("soapaction", "\"urn:x\", \"urn:y\"")],
        vec![kind("text/xml"), ("soapaction", "\"urn:x")],
        vec![kind("text/xml; charset=iso-8859-1")],
        vec![kind("text/xml; charset=utf-8; charset=utf-7")],
        vec![kind("text/xml; action=urn:x; action=urn:y")],
        vec![kind("text/xml; action=\"urn:x\"junk")],
        vec![kind("text/xml"), kind("text/xml")],
        vec![kind("application/soap+xml; action=\"urn:x\""), ("soapaction", "urn:y")],
    ] {
        assert!(announced(&headers(&given)).is_err(), "{given:?}");
    }
}

#[test]
fn who_sends_a_message_reads_faults() {
    let kind = |kind: &'static str| ("content-type", kind);
    for (given, version) in [
        (vec![kind("text/xml; charset=utf-8"), ("soapaction", "\"\"")], Some(Version::V11)),
        (vec![kind("Text/XML"), ("soapaction", "two"), ("soapaction", "of them")], Some(Version::V11)),
        (vec![kind("application/soap+xml; action=\"broken")], Some(Version::V12)),
        (vec![kind("text/xml")], None),
        (vec![kind("application/json"), ("soapaction", "x")], None),
        (vec![("soapaction", "x")], None),
    ] {
        assert_eq!(action::spoken(&headers(&given)), version, "{given:?}");
    }
}

#[test]
fn what_is_announced_is_read_back() {
    for (version, text) in [(Version::V11, "urn:x#y"), (Version::V12, "http://x/y?z=1"), (Version::V12, "")] {
        let mut said = headers(&[("soapaction", "\"theirs\""), ("content-type", "text/plain")]);
        action::announce(&mut said, version, text).unwrap();
        let expected = Announced { version, action: (!text.is_empty()).then(|| text.to_owned()) };
        assert_eq!(announced(&said), Ok(Some(expected)));
        assert_eq!(said.get_all(CONTENT_TYPE).iter().count(), 1);
    }
    for (text, good) in [("urn:x#y", true), ("", true), ("a b", false), ("a\"b", false), ("a;b", false), ("é", false)]
    {
        assert_eq!(action::is_action(text), good, "{text}");
    }
}

#[test]
fn names_are_read_as_they_are_shown() {
    for text in ["{urn:x}say", "say"] {
        assert_eq!(Name::parse(text).map(|name| name.to_string()).as_deref(), Some(text));
    }
    for bad in ["", "{}say", "{urn:x}", "{urn:x", "a:b", "{urn x}say", "a b"] {
        assert_eq!(Name::parse(bad), None, "{bad}");
    }
}
