//! WSDL 1.1: which messages an operation has, where it is, and by which action it is known.

mod files;

use super::{
    Name, Version, action, described,
    envelope::{self, Glance, Opened},
    inward::{self, Manner},
    outward,
    schema::{Compiler, Part, Schemas, XSD, resolved},
    types::{Element, Types},
    xml::{self, elements},
};
use files::Files;
use roxmltree::{Document, Node};
use serde_json::{Map, Value};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The namespace of WSDL.
const WSDL: &str = "http://schemas.xmlsoap.org/wsdl/";
/// Those of its bindings to SOAP.
const BINDINGS: [(&str, Version); 2] = [
    ("http://schemas.xmlsoap.org/wsdl/soap/", Version::V11),
    ("http://schemas.xmlsoap.org/wsdl/soap12/", Version::V12),
];

/// An operation, as one port of a service has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// The version of its binding.
    pub version: Version,
    /// Its action; empty when it has none.
    pub action: Arc<str>,
    /// Where the port says that it is.
    pub location: Option<Arc<str>>,
    /// The files that describe it.
    pub files: Vec<PathBuf>,
    request: Option<Element>,
    /// `None` when it has no answer.
    answer: Option<Option<Element>>,
    faults: Vec<Name>,
    types: Types,
}

/// Which operation is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Its name; `None` when its action says it.
    pub operation: Option<&'a str>,
    /// Its action.
    pub action: Option<&'a str>,
    /// The service, where there are several.
    pub service: Option<&'a str>,
    /// The port, where there are several.
    pub port: Option<&'a str>,
    /// The version, where ports differ in nothing else.
    pub version: Option<Version>,
}

impl Operation {
    /// Reads a file and those that it names beside it; none is fetched.
    ///
    /// # Errors
    /// What is wrong with them, or that they don't have what is wanted.
    pub fn load(path: &Path, wanted: &Wanted<'_>) -> Result<Self, String> {
        let files = Files::read(path)?;
        let documents: Result<Vec<Document<'_>>, String> = files.texts().map(xml::parse).collect();
        let documents = documents?;
        let mut schemas = Schemas::default();
        let roots = documents.iter().map(Document::root_element).zip(files.included_into());
        for (root, included_into) in roots {
            let inside = root.descendants().filter(|node| is(node, XSD, "schema"));
            inside.for_each(|schema| schemas.add(schema, included_into));
        }
        let roots: Vec<Node<'_, '_>> =
            documents.iter().map(Document::root_element).filter(|root| is(root, WSDL, "definitions")).collect();
        if roots.is_empty() {
            return Err("it is no WSDL 1.1: its root is no `definitions`".to_owned());
        }
        let operation = Definitions { roots, schemas }.operation(wanted)?;
        Ok(Self { files: files.paths(), ..operation })
    }

    /// The element of its request; `None` when its body is empty.
    #[must_use]
    pub fn element(&self) -> Option<&Name> {
        self.request.as_ref().map(|element| &element.name)
    }

    /// What it takes, as a JSON Schema. What policy can't express stands in it untyped, so that it is reported.
    #[must_use]
    pub fn schema(&self) -> Value {
        described::schema(&self.types, self.request.as_ref())
    }

    /// Whether it answers.
    #[must_use]
    pub fn answers(&self) -> bool {
        self.answer.is_some()
    }

    /// The body of the request that JSON stands for.
    pub(crate) fn write(&self, input: &Value) -> Result<String, String> {
        match &self.request {
            Some(element) => outward::element(&self.types, element, input),
            None if *input == Value::Object(Map::new()) => Ok(String::new()),
            None => Err("the operation takes no input".to_owned()),
        }
    }

    /// Whether the request has a member of that name which holds one text.
    pub(crate) fn has_member(&self, name: &str) -> bool {
        self.request.as_ref().is_some_and(|element| self.types.has_single(element, name))
    }

    /// The JSON of a request, which must be as it is described, and what it says of itself.
    ///
    /// # Errors
    /// Why it is not.
    pub fn read(&self, bytes: &[u8]) -> Result<(Glance, Value), String> {
        let document = xml::parse(xml::text(bytes)?)?;
        let opened = envelope::open(document.root_element())?;
        let value = match (&self.request, opened.element) {
            (Some(element), Some(node)) if element.name == Name::of(node) => {
                inward::value(&self.types, element.kind, node, Manner::Strict)?
            }
            (None, None) => Value::Object(Map::new()),
            _ => return Err("the body does not hold what the operation takes".to_owned()),
        };
        Ok((opened.glance(), value))
    }

    /// The JSON of an answer.
    pub(crate) fn told(&self, opened: &Opened<'_, '_>) -> Result<Value, String> {
        match (self.answer.as_ref().and_then(Option::as_ref), opened.element) {
            (Some(element), Some(node)) if element.name == Name::of(node) => {
                inward::value(&self.types, element.kind, node, Manner::Lenient)
            }
            (None, None) => Ok(Value::Object(Map::new())),
            (Some(element), _) => Err(format!("the body has no `{}`", element.name)),
            (None, Some(_)) => Err("the body is not empty".to_owned()),
        }
    }

    /// Whether a fault with this in its detail is described.
    pub(crate) fn declares(&self, fault: &Name) -> bool {
        self.faults.contains(fault)
    }
}

struct Definitions<'d, 'i> {
    roots: Vec<Node<'d, 'i>>,
    schemas: Schemas<'d, 'i>,
}

/// A port whose binding has the operation.
struct Candidate<'d, 'i> {
    service: &'d str,
    port: &'d str,
    version: Version,
    action: &'d str,
    location: Option<&'d str>,
    binding: Node<'d, 'i>,
    operation: Node<'d, 'i>,
}

impl<'d, 'i> Definitions<'d, 'i> {
    fn operation(&self, wanted: &Wanted<'_>) -> Result<Operation, String> {
        let mut found = self.candidates(wanted);
        let Some(first) = found.pop() else {
            return Err(match (wanted.operation, wanted.action) {
                (Some(name), _) => format!("it has no operation `{name}` over SOAP in that service and port"),
                (None, action) => format!("it has no operation with the action `{}`", action.unwrap_or_default()),
            });
        };
        if let Some(other) = found.pop() {
            return Err(format!(
                "more than one is meant (`{}` of `{}`, `{}` of `{}`): name service, port, version or action",
                other.port, other.service, first.port, first.service
            ));
        }
        self.read(&first)
    }

    fn candidates(&self, wanted: &Wanted<'_>) -> Vec<Candidate<'d, 'i>> {
        let mut found: Vec<Candidate<'d, 'i>> = Vec::new();
        let named =
            |node: &Node<'_, '_>, name: Option<&str>| name.is_none_or(|name| node.attribute("name") == Some(name));
        let services = self.all("service").filter(|service| named(service, wanted.service));
        let ports = services.flat_map(|service| children(service, "port").map(move |port| (service, port)));
        for (service, port) in ports.filter(|(_, port)| named(port, wanted.port)) {
            let Some(binding) = self.find("binding", port, "binding") else { continue };
            let Some((namespace, version)) = bound(binding) else { continue };
            if wanted.version.is_some_and(|wanted| wanted != version) {
                continue;
            }
            for operation in children(binding, "operation").filter(|operation| named(operation, wanted.operation)) {
                let extension = elements(operation).find(|node| is(node, namespace, "operation"));
                let action = extension.and_then(|node| node.attribute("soapAction")).unwrap_or_default();
                if wanted.action.is_some_and(|wanted| wanted != action) {
                    continue;
                }
                let location = elements(port).find(|node| is(node, namespace, "address"));
                found.push(Candidate {
                    service: service.attribute("name").unwrap_or_default(),
                    port: port.attribute("name").unwrap_or_default(),
                    version,
                    action,
                    location: location.and_then(|node| node.attribute("location")),
                    binding,
                    operation,
                });
            }
        }
        found
    }

    fn read(&self, candidate: &Candidate<'d, 'i>) -> Result<Operation, String> {
        let Candidate { version, action, location, binding, operation, .. } = *candidate;
        let name = operation.attribute("name").unwrap_or_default();
        if !action::is_action(action) {
            return Err(format!("the action of `{name}` is no URI"));
        }
        let abstracted = self.find("portType", binding, "type").into_iter().flat_map(|t| children(t, "operation"));
        let named = |node: &Node<'_, '_>| node.attribute("name") == Some(name);
        let mut described = abstracted.filter(named);
        let (Some(described), None) = (described.next(), described.next()) else {
            return Err(format!("the port type does not have exactly one operation `{name}`"));
        };
        let namespace = BINDINGS.iter().find(|(_, of)| *of == version).map_or("", |(namespace, _)| namespace);
        let style = |node: Node<'_, '_>, word: &str| {
            elements(node).find(|n| is(n, namespace, word)).and_then(|n| n.attribute("style")).map(str::to_owned)
        };
        let style = style(operation, "operation").or_else(|| style(binding, "binding"));
        let rpc = style.is_some_and(|style| style == "rpc");
        let mut compiler = Compiler::new(&self.schemas);
        let mut message = |word: &str, suffix: &str| {
            let Some(abstracted) = children(described, word).next() else { return Ok(None) };
            let bound = children(operation, word).next();
            let body = bound.and_then(|bound| elements(bound).find(|node| is(node, namespace, "body")));
            let wrapper = rpc.then(|| format!("{name}{suffix}"));
            self.message(abstracted, body, wrapper, &mut compiler).map(Some).map_err(|why| format!("`{name}`: {why}"))
        };
        let request = message("input", "")?.flatten();
        let answer = message("output", "Response")?;
        let faults = children(described, "fault").filter_map(|fault| self.fault(fault)).collect();
        let types = compiler.done();
        let location = location.map(Into::into);
        let (action, files) = (action.into(), Vec::new());
        Ok(Operation { version, action, location, files, request, answer, faults, types })
    }

    /// The element of a message: `None` when its body is empty.
    fn message(
        &self,
        abstracted: Node<'d, 'i>,
        body: Option<Node<'d, 'i>>,
        wrapper: Option<String>,
        compiler: &mut Compiler<'_, 'd, 'i>,
    ) -> Result<Option<Element>, String> {
        if body.and_then(|body| body.attribute("use")) == Some("encoded") {
            return Err("its message is `encoded`, and only `literal` ones are spoken".to_owned());
        }
        let message = self.find("message", abstracted, "message");
        let message = message.ok_or_else(|| "its message is not described".to_owned())?;
        let listed = body.and_then(|body| body.attribute("parts"));
        let mut parts = Vec::new();
        for part in children(message, "part") {
            let name = part.attribute("name").unwrap_or_default();
            if listed.is_some_and(|listed| !listed.split_whitespace().any(|listed| listed == name)) {
                continue;
            }
            let of = match (part.attribute("element"), part.attribute("type")) {
                (Some(element), _) => Part::Element(resolved(part, element)?),
                (None, Some(kind)) => Part::Type(resolved(part, kind)?),
                (None, None) => return Err(format!("the part `{name}` is of nothing")),
            };
            parts.push((name.to_owned(), of));
        }
        if let Some(wrapper) = wrapper {
            let namespace = body.and_then(|body| body.attribute("namespace")).unwrap_or_default();
            return compiler.wrapper(Name::new(namespace, &wrapper), &parts).map(Some);
        }
        match parts.as_slice() {
            [] => Ok(None),
            [(_, Part::Element(element))] => compiler.element(element).map(Some),
            [(name, Part::Type(_))] => Err(format!("the part `{name}` is no element")),
            _ => Err("its body has more than one part".to_owned()),
        }
    }

    fn fault(&self, fault: Node<'d, 'i>) -> Option<Name> {
        let message = self.find("message", fault, "message")?;
        let part = children(message, "part").next()?;
        resolved(part, part.attribute("element")?).ok()
    }

    /// The definition that an attribute of a node names.
    fn find(&self, word: &'static str, node: Node<'d, 'i>, attribute: &str) -> Option<Node<'d, 'i>> {
        let name = resolved(node, node.attribute(attribute)?).ok()?;
        self.all(word).find(|node| {
            let namespace = node.parent().and_then(|parent| parent.attribute("targetNamespace")).unwrap_or_default();
            node.attribute("name") == Some(&name.local) && *name.namespace == *namespace
        })
    }

    fn all(&self, word: &'static str) -> impl Iterator<Item = Node<'d, 'i>> {
        self.roots.iter().flat_map(move |root| children(*root, word))
    }
}

/// How a binding is bound, if that is SOAP over HTTP.
fn bound(binding: Node<'_, '_>) -> Option<(&'static str, Version)> {
    const OVER_HTTP: [&str; 2] =
        ["http://schemas.xmlsoap.org/soap/http", "http://www.w3.org/2003/05/soap/bindings/HTTP/"];
    BINDINGS.into_iter().find(|(namespace, _)| {
        let extension = elements(binding).find(|node| is(node, namespace, "binding"));
        extension.is_some_and(|node| node.attribute("transport").is_none_or(|over| OVER_HTTP.contains(&over)))
    })
}

fn children<'d, 'i>(node: Node<'d, 'i>, word: &str) -> impl Iterator<Item = Node<'d, 'i>> {
    elements(node).filter(move |node| is(node, WSDL, word))
}

fn is(node: &Node<'_, '_>, namespace: &str, word: &str) -> bool {
    node.tag_name().namespace() == Some(namespace) && node.tag_name().name() == word
}
