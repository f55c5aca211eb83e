//! Messages of SOAP whose operation is described: the one input object, whatever form it came in.

use super::{InputError, InputSchema, bounded, strict};
use crate::soap::wsdl::Operation;
use serde_json::Value;
use std::sync::Arc;

/// The input object that policy sees of a message.
///
/// # Errors
/// [`InputError`]; also for what is not described, since policy would not see it.
pub fn input(operation: &Operation, message: &[u8], schema: &InputSchema) -> Result<Arc<Value>, InputError> {
    let (_, value) = operation.read(message).map_err(|why| InputError::Message(bounded(&why)))?;
    // Held to what JSON of a caller is held to: numbers, depth.
    let value = strict::read(value.to_string().as_bytes()).map_err(|error| InputError::Message(bounded(&error)))?;
    schema.check(&value)?;
    Ok(Arc::new(value))
}
