//! An error with what caused it, on one line.

use std::error::Error;

/// The error with its causes; a cause that is already in the text is not repeated.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        #[source]
        cause: Option<Box<Layer>>,
    }

    fn layers(texts: &[&'static str]) -> Option<Box<Layer>> {
        let (text, rest) = texts.split_first()?;
        Some(Box::new(Layer { text, cause: layers(rest) }))
    }

    #[test]
    fn every_cause_is_said_once() {
        let told = |texts: &[&'static str]| causes(layers(texts).unwrap().as_ref());
        assert_eq!(told(&["no keys"]), "no keys");
        assert_eq!(told(&["no keys", "no connection", "refused"]), "no keys: no connection: refused");
        assert_eq!(told(&["no keys: refused", "refused"]), "no keys: refused");
    }
}
