//! Reading what a person wrote: bounded, UTF-8, with the name it goes by in messages.

use policy::finding::Finding;
use std::{
    fs::File,
    io::{ErrorKind, Read},
    ops::Range,
    path::Path,
    sync::Arc,
};

/// Largest file of configuration, catalog, schema or policy, in bytes.
pub(crate) const FILE_BYTES_MAX: u64 = 4 << 20;

/// A file that was read.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    /// The file as the user named it.
    pub(crate) file: Arc<str>,
    /// Its text.
    pub(crate) text: Arc<str>,
    /// Where its lines end: large catalogs ask for thousands of them.
    line_ends: Arc<[usize]>,
}

impl Text {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Finding> {
        let file: Arc<str> = path.display().to_string().into();
        let unreadable = |message: String| Finding::error("unreadable_file", file.as_ref(), message);
        let bytes = read_bounded(path).map_err(|e| match e.kind() {
            ErrorKind::NotFound => Finding::error("missing_file", file.as_ref(), "there is no such file"),
            ErrorKind::FileTooLarge => {
                let message = format!("a file has at most {FILE_BYTES_MAX} bytes");
                Finding::error("file_too_large", file.as_ref(), message)
            }
            kind => unreadable(format!("the file can't be read: {kind}")),
        })?;
        let text = String::from_utf8(bytes).map_err(|e| {
            let at = e.utf8_error().valid_up_to();
            let sound = String::from_utf8_lossy(e.as_bytes().get(..at).unwrap_or_default()).into_owned();
            Finding::error("not_utf8", file.as_ref(), "the file is not UTF-8 text").at(&sound, at..at)
        })?;
        let line_ends = text.match_indices('\n').map(|(at, _)| at).collect();
        let read = Self { file, text: text.into(), line_ends };
        read.plain()?;
        Ok(read)
    }

    /// An error at a place in it.
    pub(crate) fn error(&self, code: &'static str, span: &Range<usize>, message: impl Into<String>) -> Finding {
        Finding::error(code, self.file.as_ref(), message).at(&self.text, span.clone())
    }

    /// An error whose offending text is a secret, and so is not repeated.
    pub(crate) fn error_unsaid(&self, code: &'static str, span: &Range<usize>, message: impl Into<String>) -> Finding {
        Finding { text: None, ..self.error(code, span, message) }
    }

    /// The line of a place in it, from 1.
    pub(crate) fn line(&self, span: &Range<usize>) -> usize {
        self.line_ends.partition_point(|end| *end < span.start) + 1
    }

    /// Where `needle` is within a place in it; the whole place if it isn't there as it is.
    pub(crate) fn within(&self, span: &Range<usize>, needle: &str) -> Range<usize> {
        let inside = self.text.get(span.clone()).unwrap_or_default();
        match inside.find(needle) {
            Some(at) if !needle.is_empty() => span.start + at..span.start + at + needle.len(),
            _ => span.clone(),
        }
    }

    /// Refuses characters that an editor hides and that readers take differently.
    fn plain(&self) -> Result<(), Finding> {
        if self.text.starts_with('\u{feff}') {
            let message = "the file starts with a byte order mark";
            return Err(self.error("byte_order_mark", &(0..0), message).help("save it as UTF-8 without BOM"));
        }
        match self.text.find('\0') {
            Some(at) => Err(self.error("nul_character", &(at..at), "the file has a NUL character")),
            None => Ok(()),
        }
    }
}

/// A file's bytes, if they are few enough.
///
/// # Errors
/// Those of the system, and `FileTooLarge`.
pub(crate) fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    // A pipe or device would block or never end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}
