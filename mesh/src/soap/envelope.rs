//! Envelopes: one body with one element in it, or a fault.

use super::{
    Name, Version,
    xml::{self, elements},
};
use roxmltree::Node;

/// Namespaces of WS-Addressing, whose action servers may go by.
const ADDRESSING: [&str; 2] =
    ["http://www.w3.org/2005/08/addressing", "http://schemas.xmlsoap.org/ws/2004/08/addressing"];

/// What a message says of itself: all that somebody could go by who runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glance {
    /// The version of its envelope.
    pub version: Version,
    /// The one element in its body; `None` when the body is empty.
    pub element: Option<Name>,
    /// Actions in its headers.
    pub addressed: Vec<String>,
}

/// An envelope whose parts are where they belong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened<'d, 'i> {
    pub(crate) version: Version,
    pub(crate) header: Option<Node<'d, 'i>>,
    pub(crate) body: Node<'d, 'i>,
    pub(crate) element: Option<Node<'d, 'i>>,
}

/// Reads a message strictly, since others will read it again.
///
/// # Errors
/// Why it is no envelope with at most one element in its one body.
pub fn glance(bytes: &[u8]) -> Result<Glance, String> {
    let document = xml::parse(xml::text(bytes)?)?;
    Ok(open(document.root_element())?.glance())
}

impl Opened<'_, '_> {
    pub(crate) fn glance(&self) -> Glance {
        let addressed = |node: &Node<'_, '_>| {
            let namespace = node.tag_name().namespace().unwrap_or_default();
            node.tag_name().name() == "Action" && ADDRESSING.contains(&namespace)
        };
        let headers = self.header.iter().flat_map(|header| elements(*header));
        let actions = headers.filter(addressed).map(|node| xml::content(node).unwrap_or_default().trim().to_owned());
        Glance { version: self.version, element: self.element.map(Name::of), addressed: actions.collect() }
    }
}

/// Finds header and body.
pub(crate) fn open<'d, 'i>(root: Node<'d, 'i>) -> Result<Opened<'d, 'i>, String> {
    let namespace = root.tag_name().namespace().unwrap_or_default();
    let version = Version::of(namespace).filter(|_| root.tag_name().name() == "Envelope");
    let version = version.ok_or_else(|| "it is no envelope of SOAP 1.1 or 1.2".to_owned())?;
    let part = |node: Node<'d, 'i>, name: &str| {
        node.tag_name().namespace() == Some(namespace) && node.tag_name().name() == name
    };
    let parts: Vec<Node<'d, 'i>> = elements(root).collect();
    let (header, body) = match parts.as_slice() {
        [body] if part(*body, "Body") => (None, *body),
        [header, body] if part(*header, "Header") && part(*body, "Body") => (Some(*header), *body),
        _ => return Err("an envelope has a header, if any, and one body".to_owned()),
    };
    let mut inside = elements(body);
    let element = inside.next();
    match inside.next() {
        Some(_) => Err("the body has more than one element".to_owned()),
        None => Ok(Opened { version, header, body, element }),
    }
}

/// Writes a message around what is in its header and body.
pub(crate) fn write(version: Version, header: &str, body: &str) -> String {
    let namespace = version.namespace();
    let header = if header.is_empty() { String::new() } else { format!("<soap:Header>{header}</soap:Header>") };
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<soap:Envelope xmlns:soap=\"{namespace}\">{header}<soap:Body>{body}</soap:Body></soap:Envelope>"
    )
}

/// A fault: whose it is, in words of its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// It says that the message was wrong, and not that the service failed.
    pub(crate) sender: bool,
    /// The most exact code.
    pub(crate) code: Name,
    /// What is said for people: for the log.
    pub(crate) words: String,
    /// The element in its detail.
    pub(crate) detail: Option<Name>,
}

impl Fault {
    /// The fault that an element is, if it is one.
    pub(crate) fn read(opened: &Opened<'_, '_>) -> Option<Self> {
        let namespace = opened.version.namespace();
        let fault = opened.element.filter(|node| Name::of(*node) == Name::new(namespace, "Fault"))?;
        let text = |node: Option<Node<'_, '_>>| node.and_then(xml::content).unwrap_or_default();
        let qualified = |node: Option<Node<'_, '_>>| {
            let node = node?;
            super::schema::resolved(node, &xml::content(node)?).ok()
        };
        let detail = |name| child(fault, name).and_then(|detail| elements(detail).next()).map(Name::of);
        let unknown = || Name::new("", "");
        Some(match opened.version {
            Version::V11 => {
                let code = qualified(child(fault, "faultcode")).unwrap_or_else(unknown);
                let sender = *code.namespace == *namespace && code.local.split('.').next() == Some("Client");
                Self { sender, code, words: text(child(fault, "faultstring")), detail: detail("detail") }
            }
            Version::V12 => {
                let code = child(fault, "Code");
                let first = qualified(code.and_then(|code| child(code, "Value"))).unwrap_or_else(unknown);
                let sub = code.and_then(|code| child(code, "Subcode"));
                let sub = qualified(sub.and_then(|sub| child(sub, "Value")));
                let sender = *first.namespace == *namespace && *first.local == *"Sender";
                let words = text(child(fault, "Reason").and_then(|reason| child(reason, "Text")));
                Self { sender, code: sub.unwrap_or(first), words, detail: detail("Detail") }
            }
        })
    }
}

/// The element of that name in another, whatever its namespace: those of SOAP 1.1 faults have none.
fn child<'d, 'i>(node: Node<'d, 'i>, name: &str) -> Option<Node<'d, 'i>> {
    elements(node).find(|child| child.tag_name().name() == name)
}
