//! Writes the folder of one test: configuration, certificates, schemas and policies, with only what the test is about.

use crate::{certificates::Certificates, lambda, oidc};
use serde_json::Value;
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// The permit that lets every permitted call run on every target: scaffolds have it too.
const RUN_ON: &str = "@id(\"run-on.default\")\npermit (principal, action == Action::\"run_on\", resource);\n";

/// A folder that `latchwork run` can serve.
#[derive(Debug)]
pub struct Project {
    folder: TempDir,
    identify: Vec<String>,
    tls: String,
    body: String,
    listener: String,
    audit: String,
    policies: String,
}

impl Project {
    /// A folder with certificates and the policy `run-on.default`.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("latchwork-test-").tempdir().expect("a temporary folder");
        let project = Self {
            folder,
            identify: Vec::new(),
            tls: String::new(),
            body: "[app.shop]\nenvironment = \"test\"\n".into(),
            listener: String::new(),
            audit: "path = \"audit\"\n".into(),
            policies: RUN_ON.into(),
        };
        Certificates::new().write(project.folder());
        project
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The authority that vouches for the listener.
    pub fn ca(&self) -> PathBuf {
        self.folder().join("ca.pem")
    }

    /// The audit folder.
    pub fn audit(&self) -> PathBuf {
        self.folder().join("audit")
    }

    /// Callers without a credential count.
    #[must_use]
    pub fn anonymous(mut self) -> Self {
        self.identify.push(quoted("anonymous"));
        self
    }

    /// Tokens of this issuer count; its subjects are workloads' clients. `more` is further TOML of its table.
    #[must_use]
    pub fn issuer(mut self, alias: &str, url: &str, more: &str) -> Self {
        let audience = oidc::AUDIENCE;
        let _ = write!(
            self.body,
            "\n[identity.issuer.{alias}]\nissuer = \"{url}\"\naudiences = [\"{audience}\"]\nprincipal = \"Client\"\n{more}\n"
        );
        self.identify.push(quoted(alias));
        self
    }

    /// A further entry of `identify`, as TOML.
    #[must_use]
    pub fn identify(mut self, entry: &str) -> Self {
        self.identify.push(entry.into());
        self
    }

    /// The listener asks for client certificates that the authorities in `file` vouch for; `more` is further TOML.
    #[must_use]
    pub fn client_ca(mut self, file: &str, more: &str) -> Self {
        let _ = write!(self.tls, ", client_ca = {}{more}", quoted(file));
        self
    }

    /// A function; `target` is the inside of its target, `more` further TOML of its table.
    #[must_use]
    pub fn function(mut self, name: &str, route: &str, target: &str, more: &str) -> Self {
        let _ = write!(
            self.body,
            "\n[function.\"{name}\"]\napp = \"shop\"\nroute = \"{route}\"\ntargets = [{{ {target} }}]\n{more}\n"
        );
        self
    }

    /// A function that runs `function` as a process; `inside` is further TOML of `process`, `more` of its table.
    #[must_use]
    pub fn process(self, name: &str, route: &str, function: &lambda::Function, inside: &str, more: &str) -> Self {
        let command: Vec<String> = function.command.iter().map(|word| quoted(word)).collect();
        let (directory, handler) = (quoted(&function.directory.to_string_lossy()), quoted(&function.handler));
        let mut process = format!("command = [{}], directory = {directory}, handler = {handler}", command.join(", "));
        if !inside.is_empty() {
            let _ = write!(process, ", {inside}");
        }
        self.function(name, route, &format!("process = {{ {process} }}"), more)
    }

    /// An HTTP function at `url`.
    #[must_use]
    pub fn http(self, name: &str, route: &str, url: &str, more: &str) -> Self {
        self.function(name, route, &format!("http = {{ url = {} }}", quoted(url)), more)
    }

    /// Further Cedar policies.
    #[must_use]
    pub fn policy(mut self, text: &str) -> Self {
        let _ = writeln!(self.policies, "\n{text}");
        self
    }

    /// Everybody may call everything.
    #[must_use]
    pub fn permit_all(self) -> Self {
        self.policy("@id(\"everyone\")\npermit (principal, action in Action::\"call\", resource);")
    }

    /// Further TOML of the listener's table.
    #[must_use]
    pub fn listener(mut self, toml: &str) -> Self {
        let _ = writeln!(self.listener, "{toml}");
        self
    }

    /// Further TOML of the audit table.
    #[must_use]
    pub fn audited(mut self, toml: &str) -> Self {
        let _ = writeln!(self.audit, "{toml}");
        self
    }

    /// Further tables.
    #[must_use]
    pub fn tables(mut self, toml: &str) -> Self {
        let _ = writeln!(self.body, "\n{toml}");
        self
    }

    /// A JSON Schema in `schemas/`.
    #[must_use]
    pub fn schema(self, name: &str, schema: &Value) -> Self {
        self.write(&format!("schemas/{name}"), &format!("{schema:#}\n"));
        self
    }

    /// Writes a file into the folder.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.folder().join(path);
        let parent = path.parent().expect("a file lies in a folder");
        fs::create_dir_all(parent).and_then(|()| fs::write(&path, text)).expect("the folder is ours");
    }

    /// Replaces the policies. The first write of a folder is [`Project::config`]'s.
    pub fn write_policies(&self, policies: &str) {
        self.write("policies/test.cedar", &format!("{RUN_ON}\n{policies}\n"));
    }

    /// Writes configuration and policies; answers the path of the configuration.
    pub fn config(&self) -> PathBuf {
        let text = format!(
            "[node]\nid = \"test\"\n\n[admin]\naddress = \"127.0.0.1:0\"\n\n[policy]\npath = \"policies\"\n\n\
             [audit]\n{}\n[listener.public]\naddress = \"127.0.0.1:0\"\nidentify = [{}]\n\
             tls = {{ certificate = \"server.pem\", key = \"file:server.key\"{} }}\n{}\n{}",
            self.audit,
            self.identify.join(", "),
            self.tls,
            self.listener,
            self.body
        );
        self.write("latchwork.toml", &text);
        self.write("policies/test.cedar", &self.policies);
        self.folder().join("latchwork.toml")
    }
}

impl Default for Project {
    fn default() -> Self {
        Self::new()
    }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
