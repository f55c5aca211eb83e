//! XML Schema, as far as messages need it: what is described is compiled, and what can't be mapped is said by name.

mod particle;

use super::{
    Name,
    types::{Attribute, Complex, Element, Field, Simple, Type, TypeId, Types},
    xml::elements,
};
use roxmltree::Node;
use std::{collections::HashMap, sync::Arc};

/// The namespace of schemas.
pub(super) const XSD: &str = "http://www.w3.org/2001/XMLSchema";

/// Deepest nesting of definitions, those that name others included.
const DEPTH_MAX: usize = 100;

/// Most types of one operation.
const TYPES_MAX: usize = 10_000;

/// Every global definition of some schemas.
#[derive(Debug, Default)]
pub(super) struct Schemas<'d, 'i> {
    elements: HashMap<Name, Defined<'d, 'i>>,
    types: HashMap<Name, Defined<'d, 'i>>,
    groups: HashMap<Name, Defined<'d, 'i>>,
    attributes: HashMap<Name, Defined<'d, 'i>>,
    attribute_groups: HashMap<Name, Defined<'d, 'i>>,
}

/// A definition, and the schema that it is in.
#[derive(Clone, Debug)]
struct Defined<'d, 'i> {
    node: Node<'d, 'i>,
    home: Arc<Home>,
}

/// What a schema says for all of its definitions.
#[derive(Debug)]
struct Home {
    namespace: Arc<str>,
    elements_qualified: bool,
    attributes_qualified: bool,
}

/// Compiles what messages need.
#[derive(Debug)]
pub(super) struct Compiler<'s, 'd, 'i> {
    schemas: &'s Schemas<'d, 'i>,
    types: Types,
    named: HashMap<Name, TypeId>,
    depth: usize,
}

impl<'d, 'i> Schemas<'d, 'i> {
    /// Adds a `schema` element. One without a namespace takes that of whoever includes it.
    pub(super) fn add(&mut self, schema: Node<'d, 'i>, included_into: Option<&str>) {
        let namespace = schema.attribute("targetNamespace").or(included_into).unwrap_or_default();
        let qualified = |attribute| schema.attribute(attribute) == Some("qualified");
        let home = Arc::new(Home {
            namespace: namespace.into(),
            elements_qualified: qualified("elementFormDefault"),
            attributes_qualified: qualified("attributeFormDefault"),
        });
        for node in elements(schema).filter(is_xsd) {
            let all = match node.tag_name().name() {
                "element" => &mut self.elements,
                "complexType" | "simpleType" => &mut self.types,
                "group" => &mut self.groups,
                "attribute" => &mut self.attributes,
                "attributeGroup" => &mut self.attribute_groups,
                _ => continue,
            };
            if let Some(name) = node.attribute("name") {
                all.entry(Name::new(namespace, name)).or_insert(Defined { node, home: home.clone() });
            }
        }
    }
}

impl<'s, 'd, 'i> Compiler<'s, 'd, 'i> {
    pub(super) fn new(schemas: &'s Schemas<'d, 'i>) -> Self {
        Self { schemas, types: Types::default(), named: HashMap::new(), depth: 0 }
    }

    /// What was compiled.
    pub(super) fn done(self) -> Types {
        self.types
    }

    /// A global element.
    pub(super) fn element(&mut self, name: &Name) -> Result<Element, String> {
        let defined = self.schemas.elements.get(name).cloned().ok_or_else(|| missing("element", name))?;
        self.declared(&defined, name.clone())
    }

    /// An element that wraps a procedure's parts; each is a name without a namespace, and its type or element.
    pub(super) fn wrapper(&mut self, name: Name, parts: &[(String, Part)]) -> Result<Element, String> {
        let mut complex = Complex::default();
        for (part, of) in parts {
            let kind = match of {
                Part::Type(kind) => self.named_type(kind)?,
                Part::Element(element) => self.element(element)?.kind,
            };
            complex.fields.push(Field {
                name: Name::new("", part),
                kind,
                required: true,
                many: false,
                nillable: true,
                choices: Vec::new(),
            });
        }
        let kind = self.push(Type::Complex(complex))?;
        self.space(&name);
        Ok(Element { name, kind, nillable: false })
    }

    fn declared(&mut self, defined: &Defined<'d, 'i>, name: Name) -> Result<Element, String> {
        if is_true(defined.node, "abstract") {
            return Err(format!("the element `{name}` is abstract, and stands for others"));
        }
        let kind = self.deeper(|compiler| compiler.type_of(defined))?;
        self.space(&name);
        Ok(Element { name, kind, nillable: is_true(defined.node, "nillable") })
    }

    /// The type of an element: named, or defined in it.
    fn type_of(&mut self, defined: &Defined<'d, 'i>) -> Result<TypeId, String> {
        if let Some(name) = defined.node.attribute("type") {
            return self.named_type(&resolve(defined, name)?);
        }
        let inside = elements(defined.node).find(|n| is_xsd(n) && n.tag_name().name().ends_with("Type"));
        let Some(node) = inside else {
            return Err(format!("the element `{}` has no type", defined.node.attribute("name").unwrap_or_default()));
        };
        let kind = self.read(&Defined { node, home: defined.home.clone() })?;
        self.push(kind)
    }

    fn named_type(&mut self, name: &Name) -> Result<TypeId, String> {
        if let Some(known) = self.named.get(name) {
            return Ok(*known);
        }
        if *name.namespace == *XSD {
            let simple = Simple::built_in(&name.local);
            let simple = simple.ok_or_else(|| format!("`{}` of XML Schema has no form in JSON", name.local))?;
            return self.push(Type::Simple(simple));
        }
        let defined = self.schemas.types.get(name).cloned().ok_or_else(|| missing("type", name))?;
        if is_true(defined.node, "abstract") {
            return Err(format!("the type `{name}` is abstract, and stands for others"));
        }
        // Its place is known before it is read: a type may hold itself.
        let id = self.push(Type::Simple(Simple::Text))?;
        self.named.insert(name.clone(), id);
        let kind = self.deeper(|compiler| compiler.read(&defined)).map_err(|why| format!("{why} (in `{name}`)"))?;
        if let Some(place) = self.types.all.get_mut(id.0) {
            *place = kind;
        }
        Ok(id)
    }

    fn read(&mut self, defined: &Defined<'d, 'i>) -> Result<Type, String> {
        match defined.node.tag_name().name() {
            "simpleType" => self.simple(defined).map(Type::Simple),
            _ => self.complex(defined).map(Type::Complex),
        }
    }

    fn simple(&mut self, defined: &Defined<'d, 'i>) -> Result<Simple, String> {
        let restriction = child(defined, "restriction");
        let Some(restriction) = restriction else {
            // Lists and unions are texts.
            return Ok(Simple::Text);
        };
        match (restriction.node.attribute("base"), child(&restriction, "simpleType")) {
            (Some(base), _) => self.simple_named(&resolve(&restriction, base)?),
            (None, Some(inside)) => self.deeper(|compiler| compiler.simple(&inside)),
            (None, None) => Ok(Simple::Text),
        }
    }

    fn simple_named(&mut self, name: &Name) -> Result<Simple, String> {
        if *name.namespace == *XSD {
            return Simple::built_in(&name.local).ok_or_else(|| format!("`{}` is no simple type", name.local));
        }
        let defined = self.schemas.types.get(name).cloned().ok_or_else(|| missing("type", name))?;
        match defined.node.tag_name().name() {
            "simpleType" => self.deeper(|compiler| compiler.simple(&defined)),
            _ => Err(format!("`{name}` is no simple type")),
        }
    }

    fn complex(&mut self, defined: &Defined<'d, 'i>) -> Result<Complex, String> {
        if is_true(defined.node, "mixed") {
            return Err("text between elements has no form in JSON".to_owned());
        }
        if let Some(content) = child(defined, "simpleContent") {
            return self.simple_content(&content);
        }
        let Some(content) = child(defined, "complexContent") else {
            let mut complex = Complex::default();
            self.contents(defined, &mut complex)?;
            return Ok(complex);
        };
        let (derivation, extends) = derivation(&content)?;
        let base = resolve(&derivation, derivation.node.attribute("base").unwrap_or_default())?;
        let mut complex = match *base.namespace == *XSD {
            true => Complex::default(),
            false => self.base(&base)?,
        };
        if !extends {
            // A restriction says its elements again.
            (complex.fields, complex.choices) = (Vec::new(), Vec::new());
        }
        self.contents(&derivation, &mut complex)?;
        Ok(complex)
    }

    fn simple_content(&mut self, content: &Defined<'d, 'i>) -> Result<Complex, String> {
        let (derivation, _) = derivation(content)?;
        let base = resolve(&derivation, derivation.node.attribute("base").unwrap_or_default())?;
        let is_complex = self.schemas.types.get(&base).is_some_and(|d| d.node.tag_name().name() == "complexType");
        let mut complex = match is_complex {
            true => self.base(&base)?,
            false => Complex { text: Some(self.simple_named(&base)?), ..Complex::default() },
        };
        self.attributes(&derivation, &mut complex)?;
        Ok(complex)
    }

    /// What a type is derived from, anew for each that is.
    fn base(&mut self, name: &Name) -> Result<Complex, String> {
        let defined = self.schemas.types.get(name).cloned().ok_or_else(|| missing("type", name))?;
        match defined.node.tag_name().name() {
            "complexType" => self.deeper(|compiler| compiler.complex(&defined)),
            _ => Err(format!("`{name}` has no elements")),
        }
    }

    fn attributes(&mut self, defined: &Defined<'d, 'i>, complex: &mut Complex) -> Result<(), String> {
        for node in elements(defined.node).filter(is_xsd) {
            let inside = Defined { node, home: defined.home.clone() };
            match node.tag_name().name() {
                "attribute" if node.attribute("use") != Some("prohibited") => self.attribute(&inside, complex)?,
                "attributeGroup" => {
                    let name = resolve(&inside, node.attribute("ref").unwrap_or_default())?;
                    let group = self.schemas.attribute_groups.get(&name).cloned();
                    let group = group.ok_or_else(|| missing("attribute group", &name))?;
                    self.deeper(|compiler| compiler.attributes(&group, complex))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn attribute(&mut self, inside: &Defined<'d, 'i>, complex: &mut Complex) -> Result<(), String> {
        let node = inside.node;
        let (name, defined) = match node.attribute("ref") {
            Some(reference) => {
                let name = resolve(inside, reference)?;
                let defined = self.schemas.attributes.get(&name).cloned();
                (name.clone(), defined.ok_or_else(|| missing("attribute", &name))?)
            }
            None => {
                let local = node.attribute("name").unwrap_or_default();
                let qualified = qualified(node, inside.home.attributes_qualified);
                (Name::new(if qualified { &inside.home.namespace } else { "" }, local), inside.clone())
            }
        };
        let kind = match (defined.node.attribute("type"), child(&defined, "simpleType")) {
            (Some(kind), _) => self.simple_named(&resolve(&defined, kind)?)?,
            (None, Some(inside)) => self.deeper(|compiler| compiler.simple(&inside))?,
            (None, None) => Simple::Text,
        };
        complex.attributes.retain(|known| known.name != name);
        self.space(&name);
        complex.attributes.push(Attribute { name, kind, required: node.attribute("use") == Some("required") });
        Ok(())
    }

    fn push(&mut self, kind: Type) -> Result<TypeId, String> {
        if self.types.all.len() >= TYPES_MAX {
            return Err(format!("an operation has at most {TYPES_MAX} types"));
        }
        self.types.all.push(kind);
        Ok(TypeId(self.types.all.len() - 1))
    }

    /// Remembers the namespace, to be declared once in a message.
    fn space(&mut self, name: &Name) {
        if !name.namespace.is_empty() && !self.types.namespaces.contains(&name.namespace) {
            self.types.namespaces.push(name.namespace.clone());
        }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("definitions are nested deeper than {DEPTH_MAX}"));
        }
        let read = read(self);
        self.depth -= 1;
        read
    }
}

/// A part of a message in WSDL.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Type(Name),
    Element(Name),
}

fn derivation<'d, 'i>(content: &Defined<'d, 'i>) -> Result<(Defined<'d, 'i>, bool), String> {
    let extension = child(content, "extension").map(|node| (node, true));
    let found = extension.or_else(|| child(content, "restriction").map(|node| (node, false)));
    found.ok_or_else(|| "a content is neither an extension nor a restriction".to_owned())
}

/// The name that a text with a prefix means.
fn resolve(defined: &Defined<'_, '_>, text: &str) -> Result<Name, String> {
    let name = resolved(defined.node, text)?;
    match &*name.namespace {
        // Names in an included schema without a namespace are in that of whoever includes it.
        "" => Ok(Name { namespace: defined.home.namespace.clone(), local: name.local }),
        _ => Ok(name),
    }
}

/// The same, wherever it stands.
pub(super) fn resolved(node: Node<'_, '_>, text: &str) -> Result<Name, String> {
    let text = text.trim();
    let (prefix, local) = text.split_once(':').map_or((None, text), |(prefix, local)| (Some(prefix), local));
    let namespace = match (node.lookup_namespace_uri(prefix), prefix) {
        (Some(namespace), _) => namespace,
        (None, None) => "",
        (None, Some(_)) => return Err(format!("`{text}` has an unknown prefix")),
    };
    Ok(Name::new(namespace, local))
}

fn qualified(node: Node<'_, '_>, default: bool) -> bool {
    node.attribute("form").map_or(default, |form| form == "qualified")
}

fn is_true(node: Node<'_, '_>, attribute: &str) -> bool {
    matches!(node.attribute(attribute), Some("true" | "1"))
}

fn is_xsd(node: &Node<'_, '_>) -> bool {
    node.tag_name().namespace() == Some(XSD)
}

fn child<'d, 'i>(defined: &Defined<'d, 'i>, name: &str) -> Option<Defined<'d, 'i>> {
    let node = elements(defined.node).find(|node| is_xsd(node) && node.tag_name().name() == name)?;
    Some(Defined { node, home: defined.home.clone() })
}

fn missing(what: &str, name: &Name) -> String {
    format!("the {what} `{name}` is not described in these files (none is fetched from elsewhere)")
}
