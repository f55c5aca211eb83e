//! What may be in an element, in which order and how often: sequences, choices and groups, made flat.

use super::{Compiler, Defined, child, is_true, is_xsd, missing, qualified, resolve};
use crate::soap::{
    Name,
    types::{Complex, Field},
    xml::elements,
};

/// What is around an element.
#[derive(Clone, Debug, Default)]
struct Around {
    optional: bool,
    many: bool,
    choices: Vec<(usize, usize)>,
}

impl<'d, 'i> Compiler<'_, 'd, 'i> {
    /// Adds the elements and attributes of a type, or of what derives it.
    pub(super) fn contents(&mut self, defined: &Defined<'d, 'i>, complex: &mut Complex) -> Result<(), String> {
        for word in ["sequence", "all", "choice", "group"] {
            if let Some(particle) = child(defined, word) {
                self.particle(&particle, &Around::default(), complex)?;
            }
        }
        self.attributes(defined, complex)
    }

    fn particle(&mut self, defined: &Defined<'d, 'i>, around: &Around, complex: &mut Complex) -> Result<(), String> {
        self.deeper(|compiler| match defined.node.tag_name().name() {
            "element" => compiler.field(defined, around, complex),
            "sequence" | "all" => compiler.sequence(defined, around, complex),
            "choice" => compiler.choice(defined, around, complex),
            "group" => {
                let name = resolve(defined, defined.node.attribute("ref").unwrap_or_default())?;
                let group = compiler.schemas.groups.get(&name).cloned().ok_or_else(|| missing("group", &name))?;
                let around = around.within(defined);
                let inside = ["sequence", "all", "choice"].into_iter().find_map(|word| child(&group, word));
                inside.map_or(Ok(()), |inside| compiler.particle(&inside, &around, complex))
            }
            // What is in no schema is left out of answers, and can't be sent.
            _ => Ok(()),
        })
    }

    fn sequence(&mut self, defined: &Defined<'d, 'i>, around: &Around, complex: &mut Complex) -> Result<(), String> {
        let inside = around.within(defined);
        let parts = elements(defined.node).filter(|node| is_xsd(node) && node.tag_name().name() != "annotation");
        let parts: Vec<_> = parts.collect();
        if is_many(defined) && parts.len() > 1 {
            return Err("a sequence of several elements that comes more than once has no form in JSON".to_owned());
        }
        for node in parts {
            self.particle(&Defined { node, home: defined.home.clone() }, &inside, complex)?;
        }
        Ok(())
    }

    fn choice(&mut self, defined: &Defined<'d, 'i>, around: &Around, complex: &mut Complex) -> Result<(), String> {
        let mut inside = around.within(defined);
        let number = complex.choices.len();
        let counted = !inside.many;
        complex.choices.push(counted && !inside.optional);
        inside.optional = true;
        for (place, node) in elements(defined.node).filter(is_xsd).enumerate() {
            let mut alternative = inside.clone();
            if counted {
                alternative.choices.push((number, place));
            }
            self.particle(&Defined { node, home: defined.home.clone() }, &alternative, complex)?;
        }
        Ok(())
    }

    fn field(&mut self, defined: &Defined<'d, 'i>, around: &Around, complex: &mut Complex) -> Result<(), String> {
        let node = defined.node;
        let inside = around.within(defined);
        if node.attribute("maxOccurs") == Some("0") {
            return Ok(());
        }
        let element = match node.attribute("ref") {
            Some(reference) => self.element(&resolve(defined, reference)?)?,
            None => {
                let local = node.attribute("name").unwrap_or_default();
                let qualified = qualified(node, defined.home.elements_qualified);
                let name = Name::new(if qualified { &defined.home.namespace } else { "" }, local);
                self.declared(defined, name)?
            }
        };
        if complex.fields.iter().any(|field| field.name.local == element.name.local) {
            return Err(format!("two elements are named `{}`, which has no form in JSON", element.name.local));
        }
        complex.fields.push(Field {
            name: element.name,
            kind: element.kind,
            required: !inside.optional,
            many: inside.many,
            nillable: element.nillable || is_true(node, "nillable"),
            choices: inside.choices,
        });
        Ok(())
    }
}

impl Around {
    fn within(&self, defined: &Defined<'_, '_>) -> Self {
        Self {
            optional: self.optional || defined.node.attribute("minOccurs") == Some("0"),
            many: self.many || is_many(defined),
            choices: self.choices.clone(),
        }
    }
}

fn is_many(defined: &Defined<'_, '_>) -> bool {
    defined.node.attribute("maxOccurs").is_some_and(|most| !matches!(most, "0" | "1"))
}
