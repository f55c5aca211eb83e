//! What an operation's messages are made of, compiled from XSD: names, order, how often, and which texts are numbers.

use super::Name;

/// The types of one operation. They may hold each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Types {
    pub(super) all: Vec<Type>,
    /// Every namespace of an element or attribute.
    pub(super) namespaces: Vec<std::sync::Arc<str>>,
}

/// A type's place in [`Types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TypeId(pub(super) usize);

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    Simple(Simple),
    Complex(Complex),
}

/// How a text is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Simple {
    /// As it is.
    Text,
    /// Without white space around it: dates, names and the like.
    Token,
    Boolean,
    /// A number in JSON, if it has at most 64 bits.
    Integer,
    /// A text in JSON, so that nothing is rounded.
    Decimal,
    /// A number in JSON, or one of the texts `INF`, `-INF` and `NaN`.
    Float,
    Base64,
}

/// Elements and attributes, or a text and attributes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Complex {
    pub(super) fields: Vec<Field>,
    pub(super) attributes: Vec<Attribute>,
    /// What `$` stands for.
    pub(super) text: Option<Simple>,
    /// Whether one of each choice's alternatives must be there.
    pub(super) choices: Vec<bool>,
}

/// An element, and a member in JSON.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(super) name: Name,
    pub(super) kind: TypeId,
    pub(super) required: bool,
    /// It may come more than once: an array in JSON.
    pub(super) many: bool,
    pub(super) nillable: bool,
    /// Which alternative it is of which choices around it.
    pub(super) choices: Vec<(usize, usize)>,
}

/// An attribute: `@name` in JSON.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Attribute {
    pub(super) name: Name,
    pub(super) kind: Simple,
    pub(super) required: bool,
}

/// An element that stands alone: a message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Element {
    pub(super) name: Name,
    pub(super) kind: TypeId,
    pub(super) nillable: bool,
}

impl Types {
    pub(super) fn get(&self, id: TypeId) -> &Type {
        const NOTHING: &Type = &Type::Simple(Simple::Text);
        self.all.get(id.0).unwrap_or(NOTHING)
    }

    /// The member of a message's object, if it has one of that name that holds a single text.
    pub(super) fn has_single(&self, message: &Element, member: &str) -> bool {
        let Type::Complex(complex) = self.get(message.kind) else { return false };
        let single = |field: &Field| !field.many && matches!(self.get(field.kind), Type::Simple(_));
        complex.fields.iter().any(|field| *field.name.local == *member && single(field))
    }
}

impl Simple {
    /// The type of XML Schema's own of that name.
    pub(super) fn built_in(name: &str) -> Option<Self> {
        Some(match name {
            "string" | "normalizedString" | "anySimpleType" => Self::Text,
            "boolean" => Self::Boolean,
            "integer" | "long" | "int" | "short" | "byte" | "nonNegativeInteger" | "positiveInteger"
            | "nonPositiveInteger" | "negativeInteger" | "unsignedLong" | "unsignedInt" | "unsignedShort"
            | "unsignedByte" => Self::Integer,
            "decimal" => Self::Decimal,
            "float" | "double" => Self::Float,
            "base64Binary" => Self::Base64,
            "token" | "language" | "Name" | "NCName" | "NMTOKEN" | "NMTOKENS" | "ID" | "IDREF" | "IDREFS"
            | "ENTITY" | "ENTITIES" | "QName" | "NOTATION" | "anyURI" | "hexBinary" | "date" | "dateTime" | "time"
            | "duration" | "gYear" | "gYearMonth" | "gMonth" | "gMonthDay" | "gDay" => Self::Token,
            _ => return None,
        })
    }
}

/// Longest place in an input that a message repeats, in characters.
const PLACE_CHARS_MAX: usize = 200;

/// A member's name in a JSON pointer.
pub(super) fn pointed(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A place in a message: short, and without control characters.
pub(super) fn shortened(place: &str) -> String {
    place.chars().take(PLACE_CHARS_MAX).filter(|c| !c.is_control() && *c != '`').collect()
}
