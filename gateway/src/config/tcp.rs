//! Listeners whose connections are calls.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// `tcp = { … }` of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// The function of connections that ask for no name of `names`; `None` when those are refused.
    pub function: Option<Arc<str>>,
    /// Functions by the server name that the client asks for in its handshake, lowercase.
    pub names: BTreeMap<Arc<str>, Arc<str>>,
    /// Longest silence.
    pub idle: Duration,
    /// Most bytes of one connection, both ways together.
    pub bytes_max: u64,
}

impl Tcp {
    /// The function of a connection that asked for this server name.
    #[must_use]
    pub fn function(&self, name: Option<&str>) -> Option<Arc<str>> {
        let named = name.and_then(|name| self.names.get(name.to_ascii_lowercase().as_str()));
        named.or(self.function.as_ref()).cloned()
    }
}
