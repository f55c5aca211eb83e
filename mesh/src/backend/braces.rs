//! Texts in which `{name}` stands for something of a call.

/// A part of such a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'t> {
    /// Text that stands for itself; never empty.
    Literal(&'t str),
    /// What is between braces.
    Place(&'t str),
}

/// The parts of a text, in order.
///
/// # Errors
/// When braces don't match.
pub(super) fn parts(text: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((literal, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or_else(|| "a `{` has no `}`".to_owned())?;
        parts.extend(self::literal(literal)?);
        parts.push(Part::Place(name));
        rest = after;
    }
    parts.extend(literal(rest)?);
    Ok(parts)
}

fn literal(text: &str) -> Result<Option<Part<'_>>, String> {
    if text.contains('}') {
        return Err("a `}` has no `{`".to_owned());
    }
    Ok((!text.is_empty()).then_some(Part::Literal(text)))
}
