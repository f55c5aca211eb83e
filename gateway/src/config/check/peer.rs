//! The server behind a target: who vouches for it, who it must be, what is shown to it, and the socket that leads to it.

use super::{socket, target, tls};
use crate::{
    config::{
        raw::At,
        value::{Desk, shorten},
    },
    identify::spiffe,
};
use std::{ops::Range, path::PathBuf};

/// The keys that `http` and `grpc` targets share. Checked paths are absolute.
#[derive(Debug)]
pub(crate) struct Peer<'a> {
    /// Authorities.
    pub(crate) ca: &'a mut Option<PathBuf>,
    /// The server's SPIFFE ID.
    pub(crate) server_id: Option<&'a str>,
    /// The chain that is shown.
    pub(crate) client_certificate: &'a mut Option<PathBuf>,
    /// Its key, by reference.
    pub(crate) client_key: &'a mut Option<String>,
    /// The Unix socket.
    pub(crate) unix: &'a mut Option<PathBuf>,
}

impl Peer<'_> {
    /// Checks them; the target is at `span`.
    pub(crate) fn check(self, url: &str, span: &Range<usize>, desk: &mut Desk<'_>) {
        let place = |text: &str, desk: &Desk<'_>| desk.text.within(span, text);
        if url.starts_with("http://") {
            let given = [
                ("server_id", self.server_id.is_some()),
                ("client_certificate", self.client_certificate.is_some()),
                ("client_key", self.client_key.is_some()),
            ];
            for (key, _) in given.into_iter().filter(|(_, given)| *given) {
                let message = format!("`{key}` is for `https://`: in clear text nobody shows a certificate");
                desk.error("unused_key", &place(key, desk), message);
            }
        }
        if let Some(id) = self.server_id {
            let at = place(id, desk);
            if spiffe::trust_domain(id).is_none() {
                let message = format!("`{}` is no SPIFFE ID of a workload", shorten(id));
                desk.error_help("bad_spiffe_id", &at, message, "such as `spiffe://prod.example/shop`");
            } else if self.ca.is_none() {
                let message = "nobody vouches for SPIFFE IDs unless told so";
                desk.error_help("missing_key", &at, message, "name the trust domain's authorities in `ca`");
            }
        }
        *self.ca = target::absolute_ca(self.ca.take(), span, desk);
        match (&mut *self.client_certificate, &mut *self.client_key) {
            (None, None) => {}
            (Some(certificate), Some(key)) => {
                let at = |text: String, desk: &Desk<'_>| At { span: place(&text, desk), value: text };
                let (chain, reference) = (at(certificate.display().to_string(), desk), at(key.clone(), desk));
                if let Some((chain, private)) = tls::pair(&chain, &reference, desk) {
                    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
                    *certificate = absolute(chain);
                    *key = format!("file:{}", absolute(private).display());
                }
            }
            (Some(_), None) => {
                let at = place("client_certificate", desk);
                desk.error_help("missing_key", &at, "`client_key` is missing", "`client_key = \"file:PATH\"`");
            }
            (None, Some(_)) => {
                let at = place("client_key", desk);
                desk.error_help("missing_key", &at, "`client_certificate` is missing", "a PEM file, leaf first");
            }
        }
        if let Some(path) = self.unix.take() {
            let text = path.display().to_string();
            *self.unix = Some(socket::path(&text, &place(&text, desk), desk).unwrap_or(path));
        }
    }
}
