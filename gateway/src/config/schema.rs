//! The JSON Schema of `latchwork.toml`, for editors.

use super::raw;

/// The schema as text, the same for the same build.
///
/// # Errors
/// When it can't be written as JSON.
pub fn text() -> Result<String, serde_json::Error> {
    let mut schema = schemars::schema_for!(raw::File);
    schema.insert("title".to_owned(), "latchwork.toml".into());
    let mut text = serde_json::to_string_pretty(&schema)?;
    text.push('\n');
    Ok(text)
}
