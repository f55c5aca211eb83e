//! `[admin]`: where the administrative interface listens, and who counts as an administrator there.

use super::{identify, listener::Surroundings, socket};
use crate::{
    address::Address,
    config::{Admin, Credential, Node, raw, raw::At, value::Desk},
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where the administrative interface listens unless told otherwise.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9443);

pub(crate) fn admin(written: &raw::Admin, node: &Node, desk: &mut Desk<'_>) -> Option<Admin> {
    let address = match &written.address {
        None => ADDRESS.into(),
        Some(written) => {
            let address = socket::address(written, desk)?;
            if let (Some(port), false) = (address.port(), address.is_local()) {
                let message = "the administrative interface listens on this machine only";
                desk.error_help("admin_exposed", &written.span, message, format!("`127.0.0.1:{port}`"));
            }
            address
        }
    };
    let access = socket::access(written.socket.as_ref(), Some(&address), socket::ADMIN_MODE, desk);
    if node.production && written.identify.is_none() && matches!(address, Address::Tcp(_)) {
        let span = written.address.as_ref().map_or(0..0, |address| address.span.clone());
        let message = "whoever reaches the administrative interface could publish, reload and lift emergencies";
        let help = "`identify = [...]` in `[admin]`, or a Unix socket, which then lets only the gateway's own user in";
        let finding = desk.text.error("admin_unidentified", &span, message);
        desk.report.push_missing("identify", finding.help(help));
    }
    let metrics_asked = written.metrics.as_ref().is_some_and(|metrics| metrics.value == raw::Metrics::Policy);
    if let (Some(metrics), true, None) = (&written.metrics, metrics_asked, &written.identify) {
        let message = "policy can't be asked of somebody unknown";
        desk.error_help("unused_key", &metrics.span, message, "`identify = [...]`, or remove it");
    }
    Some(Admin { address, access, identify: None, metrics_asked })
}

/// Which credentials count.
pub(crate) fn identify(
    written: &raw::Admin,
    address: Option<&Address>,
    around: &Surroundings<'_>,
    desk: &mut Desk<'_>,
) -> Option<Vec<Credential>> {
    let list = written.identify.as_ref()?;
    if list.value.is_empty() {
        let finding = desk.text.error("no_credential", &list.span, "no credential counts here, so nobody administers");
        desk.report.push_missing("identify", finding.help("an issuer's alias, or `unix`"));
    }
    let mut credentials = Vec::new();
    for written in &list.value {
        let credential = match written {
            raw::Accepted::One(one) => single(one, address, around, desk),
            raw::Accepted::All(all) => identify::together(all, around, address, desk),
        };
        let Some(credential) = credential else { continue };
        if let Some(unfit) = credential.parts().find_map(unfit) {
            desk.error_help("bad_credential", written.span(), unfit, "an issuer, API keys, or `unix`");
        }
        if !credentials.contains(&credential) {
            credentials.push(credential);
        }
    }
    Some(credentials)
}

fn single(
    written: &At<String>,
    address: Option<&Address>,
    around: &Surroundings<'_>,
    desk: &mut Desk<'_>,
) -> Option<Credential> {
    match written.value.as_str() {
        "anonymous" => {
            let message = "somebody in particular administers, or nobody is asked";
            desk.error_help(
                "bad_credential",
                &written.span,
                message,
                "without `identify` whoever reaches it may do all",
            );
            None
        }
        "unix" => {
            if matches!(address, Some(Address::Tcp(_))) {
                let message = "only of a Unix socket the kernel says who is at its other end";
                desk.error_help("bad_credential", &written.span, message, "`address = \"unix:PATH\"`");
            }
            Some(Credential::Unix)
        }
        _ => identify::single(written, around, address, desk),
    }
}

/// Why a credential can't come over this interface.
fn unfit(credential: &Credential) -> Option<&'static str> {
    match credential {
        Credential::Mtls(_) => Some("the administrative interface has no tls, so no client certificate comes"),
        Credential::Webhook(_) => Some("a webhook administers nothing"),
        Credential::Anonymous | Credential::All { .. } => Some("somebody in particular administers"),
        Credential::Issuer(_) | Credential::ApiKeys(_) | Credential::Unix => None,
    }
}
