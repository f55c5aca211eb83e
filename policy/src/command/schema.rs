//! `policy schema`: the vocabulary as a Cedar schema, for editors and tools.

use super::{Exit, Format, findings};
use crate::{declared::Declared, finding::Finding, question::FunctionName, vocabulary::Vocabulary};
use cedar_policy::SchemaFragment;
use std::io::{self, Write};

/// Writes the schema of everything, or of the base and one function. For programs it is Cedar's JSON form.
/// What policy can't see of inputs goes to `talk`.
///
/// # Errors
/// When `out` or `talk` can't be written.
pub fn schema(
    declared: &Declared,
    function: Option<&str>,
    format: Format,
    (out, talk): (&mut dyn Write, &mut dyn Write),
) -> io::Result<Exit> {
    let (vocabulary, warnings) = match Vocabulary::new(declared) {
        Ok(made) => made,
        Err(found) => {
            findings::write(&found, false, Format::Human, talk)?;
            return Ok(Exit::Invalid);
        }
    };
    let text = match function {
        None => vocabulary.text(),
        Some(given) => {
            let name = FunctionName::parse(given).ok();
            let Some(text) = name.and_then(|name| vocabulary.text_of(&name)) else {
                let message = format!("there is no function `{given}`");
                let finding = Finding::error("unknown_function", "--function", message);
                writeln!(talk, "{}", finding.nearest(given, vocabulary.functions()))?;
                return Ok(Exit::Invalid);
            };
            text
        }
    };
    let all = function.is_none();
    findings::write(if all { &warnings } else { &[] }, true, Format::Human, talk)?;
    match format {
        Format::Human => write!(out, "{text}")?,
        Format::Json => {
            let json = SchemaFragment::from_cedarschema_str(&text).map_err(io::Error::other)?.0.to_json_value();
            writeln!(out, "{:#}", json.map_err(io::Error::other)?)?;
        }
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests;
