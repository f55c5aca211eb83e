//! A WSDL file and the files that it names beside it. Nothing is fetched.

use super::{WSDL, is};
use crate::soap::{schema::XSD, xml};
use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

/// Most files of one description.
const FILES_MAX: usize = 64;

/// Most bytes of one description.
const BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The texts of a description.
#[derive(Debug, Default)]
pub(super) struct Files {
    read: Vec<Text>,
    bytes: u64,
}

#[derive(Debug)]
struct Text {
    path: PathBuf,
    text: String,
    /// The namespace of a schema that includes this one.
    included_into: Option<String>,
}

impl Files {
    /// Reads them all.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let mut files = Self::default();
        let mut waiting = vec![(path.to_owned(), None)];
        while let Some((path, included_into)) = waiting.pop() {
            let known = |read: &Text| read.path == path && read.included_into == included_into;
            if files.read.iter().any(known) {
                continue;
            }
            if files.read.len() >= FILES_MAX {
                return Err(format!("it names more than {FILES_MAX} files"));
            }
            let text = files.text(&path)?;
            let further = named(&text, &path).map_err(|why| format!("`{}`: {why}", path.display()))?;
            waiting.extend(further);
            files.read.push(Text { path, text, included_into });
        }
        Ok(files)
    }

    /// The texts, the file's own first.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.read.iter().map(|read| read.text.as_str())
    }

    /// Where they are.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.read.iter().map(|read| read.path.clone()).collect()
    }

    /// For each text, the namespace of the schema that includes it.
    pub(super) fn included_into(&self) -> impl Iterator<Item = Option<&str>> {
        self.read.iter().map(|read| read.included_into.as_deref())
    }

    fn text(&mut self, path: &Path) -> Result<String, String> {
        let shown = path.display();
        let unreadable = |error: std::io::Error| format!("`{shown}` can't be read: {}", error.kind());
        // A pipe or device would block or never end.
        if !fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(format!("`{shown}` is no file"));
        }
        let mut bytes = Vec::new();
        let left = BYTES_MAX.saturating_sub(self.bytes);
        let read = File::open(path).and_then(|file| file.take(left + 1).read_to_end(&mut bytes));
        self.bytes += read.map_err(unreadable)? as u64;
        if self.bytes > BYTES_MAX {
            return Err(format!("the description has more than {BYTES_MAX} bytes"));
        }
        xml::text(&bytes).map(str::to_owned).map_err(|why| format!("`{shown}`: {why}"))
    }
}

/// The files that a text names, as paths, and the namespace that an included schema takes.
fn named(text: &str, path: &Path) -> Result<Vec<(PathBuf, Option<String>)>, String> {
    let document = xml::parse(text)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut named = Vec::new();
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        let place = match () {
            () if is(&node, WSDL, "import") => node.attribute("location"),
            () if is(&node, XSD, "import") || is(&node, XSD, "include") => node.attribute("schemaLocation"),
            () => None,
        };
        // What has an address elsewhere is not fetched; what it describes is missed when it is needed.
        let Some(place) = place.filter(|place| !place.contains("://") && !place.starts_with("urn:")) else { continue };
        let included = is(&node, XSD, "include").then(|| node.parent_element()).flatten();
        let namespace = included.and_then(|schema| schema.attribute("targetNamespace")).map(str::to_owned);
        named.push((folder.join(place), namespace));
    }
    Ok(named)
}
