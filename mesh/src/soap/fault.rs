//! Faults that the gateway itself writes, in the version of whoever reads them.

use super::{Version, envelope, xml};

/// What a fault says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<'a> {
    /// The message is why: as it is, it will fail again.
    pub sender: bool,
    /// For people.
    pub words: &'a str,
    /// The namespace of what follows.
    pub namespace: &'a str,
    /// The element in the detail.
    pub element: &'a str,
    /// The exact code, where a version has room for one.
    pub code: &'a str,
    /// What is in the element: names and texts.
    pub members: &'a [(&'a str, &'a str)],
}

/// The message of a fault.
#[must_use]
pub fn write(version: Version, told: &Told<'_>) -> String {
    let Told { sender, words, namespace, element, code, members } = told;
    let members: String = members.iter().map(|(name, said)| format!("<r:{name}>{}</r:{name}>", text(said))).collect();
    let inside = format!("<r:{element} xmlns:r=\"{}\">{members}</r:{element}>", text(namespace));
    let words = text(words);
    let body = match version {
        Version::V11 => {
            let code = if *sender { "Client" } else { "Server" };
            format!(
                "<soap:Fault><faultcode>soap:{code}</faultcode><faultstring>{words}</faultstring><detail>{inside}</detail></soap:Fault>"
            )
        }
        Version::V12 => {
            let first = if *sender { "Sender" } else { "Receiver" };
            format!(
                "<soap:Fault><soap:Code><soap:Value>soap:{first}</soap:Value><soap:Subcode><soap:Value xmlns:r=\"{}\">r:{code}</soap:Value></soap:Subcode></soap:Code><soap:Reason><soap:Text xml:lang=\"en\">{words}</soap:Text></soap:Reason><soap:Detail>{inside}</soap:Detail></soap:Fault>",
                text(namespace)
            )
        }
    };
    envelope::write(version, "", &body)
}

/// Text without what XML has no way to say: a caller's own words may come back in it.
fn text(said: &str) -> String {
    let mut out = String::new();
    let mut buffer = [0; 4];
    for character in said.chars() {
        let _ = xml::push_text(&mut out, character.encode_utf8(&mut buffer));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soap::{Name, envelope::Fault};

    #[test]
    fn a_fault_is_read_as_one_in_both_versions() {
        for version in [Version::V11, Version::V12] {
            for sender in [true, false] {
                let told = Told {
                    sender,
                    words: "no \u{0} <b> & \"c\"",
                    namespace: "urn:latchwork:refusal",
                    element: "refusal",
                    code: "bad_input",
                    members: &[("word", "bad_input"), ("call_id", "7")],
                };
                let message = write(version, &told);
                let document = xml::parse(xml::text(message.as_bytes()).unwrap()).unwrap();
                let fault = Fault::read(&envelope::open(document.root_element()).unwrap()).unwrap();
                let code = match (version, sender) {
                    (Version::V11, true) => Name::new(version.namespace(), "Client"),
                    (Version::V11, false) => Name::new(version.namespace(), "Server"),
                    (Version::V12, _) => Name::new("urn:latchwork:refusal", "bad_input"),
                };
                let detail = Some(Name::new("urn:latchwork:refusal", "refusal"));
                let words = "no  <b> & \"c\"".to_owned();
                assert_eq!(fault, Fault { sender, code, words, detail }, "{message}");
            }
        }
    }
}
