//! Descriptions of messages: a compiled set (`protoc --descriptor_set_out --include_imports`), or `.proto` files.

use super::Method;
use prost_reflect::{DescriptorPool, ServiceDescriptor};
use std::{
    fmt, fs,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Largest compiled set, in bytes.
const SET_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How a file of source ends.
const SOURCE: &str = "proto";

/// Services, methods and messages of one file and all that it imports. A clone shares them.
#[derive(Clone)]
pub struct Descriptions(Arc<Inner>);

struct Inner {
    pool: DescriptorPool,
    /// What it was made from, to tell whether it changed.
    encoded: Vec<u8>,
    files: Vec<PathBuf>,
}

/// What is wrong with a file of descriptions; `line` and `column` count from 1, 0 means the whole file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}`: {message}", file.display())]
pub struct DescriptionsError {
    /// The file.
    pub file: PathBuf,
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl Descriptions {
    /// Reads a file. Imports of a `.proto` file are looked for from every folder between `root` and its own.
    ///
    /// # Errors
    /// [`DescriptionsError`].
    pub fn load(file: &Path, root: &Path) -> Result<Self, DescriptionsError> {
        if file.extension().is_some_and(|extension| extension == SOURCE) {
            return compiled(file, root);
        }
        let encoded = bounded(file).map_err(|error| whole(file, format!("it can't be read: {}", error.kind())))?;
        let pool = DescriptorPool::decode(&*encoded)
            .map_err(|error| whole(file, format!("it is no whole set of descriptions: {error}")))?;
        Ok(Self(Arc::new(Inner { pool, encoded, files: vec![file.to_owned()] })))
    }

    /// A method by its service and its own name.
    #[must_use]
    pub fn method(&self, service: &str, name: &str) -> Option<Method> {
        let service = self.0.pool.get_service_by_name(service)?;
        let descriptor = service.methods().find(|method| method.name() == name)?;
        Some(Method { descriptor, descriptions: self.clone() })
    }

    /// Every method, as `package.Service/Method`.
    #[must_use]
    pub fn methods(&self) -> Vec<String> {
        let of = |service: ServiceDescriptor| {
            let named = service.methods().map(|method| format!("{}/{}", service.full_name(), method.name()));
            named.collect::<Vec<_>>()
        };
        self.0.pool.services().flat_map(of).collect()
    }

    /// The compiled set.
    #[cfg(test)]
    pub(super) fn encoded(&self) -> &[u8] {
        &self.0.encoded
    }

    /// The files that it was made from.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.0.files
    }
}

impl PartialEq for Descriptions {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.0.files == other.0.files && self.0.encoded == other.0.encoded)
    }
}

impl fmt::Debug for Descriptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0.files).finish()
    }
}

fn compiled(file: &Path, root: &Path) -> Result<Descriptions, DescriptionsError> {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (file, root) = (absolute(file), absolute(root));
    let folder = file.parent().unwrap_or(&root);
    let mut roots: Vec<&Path> = folder.ancestors().take_while(|folder| folder.starts_with(&root)).collect();
    if roots.is_empty() {
        roots.push(folder);
    }
    // The outermost first: then a file has one name, however it is imported.
    roots.reverse();
    let compile = || {
        let mut compiler = protox::Compiler::new(&roots)?;
        compiler.include_imports(true).open_file(&file)?;
        Ok::<_, protox::Error>(compiler)
    };
    let compiler = compile().map_err(|error| placed(&error, &file, &roots))?;
    let files = compiler.files().filter_map(|file| file.path().map(Path::to_owned)).collect();
    let (pool, encoded) = (compiler.descriptor_pool(), compiler.encode_file_descriptor_set());
    Ok(Descriptions(Arc::new(Inner { pool, encoded, files })))
}

/// The compiler's words, and the place that they begin with.
fn placed(error: &protox::Error, file: &Path, roots: &[&Path]) -> DescriptionsError {
    let said = format!("{error:?}").replace('\'', "`");
    let named = error.file().and_then(|name| roots.iter().map(|root| root.join(name)).find(|path| path.is_file()));
    let mut found = whole(&named.unwrap_or_else(|| file.to_owned()), error.to_string().replace('\'', "`"));
    let place = error.file().and_then(|name| said.strip_prefix(name)?.strip_prefix(':'));
    let mut parts = place.unwrap_or_default().splitn(3, ':');
    if let (Some(Ok(line)), Some(Ok(column))) = (parts.next().map(str::parse), parts.next().map(str::parse)) {
        (found.line, found.column) = (line, column);
    }
    found
}

fn whole(file: &Path, message: String) -> DescriptionsError {
    DescriptionsError { file: file.to_owned(), line: 0, column: 0, message }
}

fn bounded(file: &Path) -> std::io::Result<Vec<u8>> {
    // A pipe or device would block or never end.
    if !fs::metadata(file)?.is_file() {
        return Err(ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    fs::File::open(file)?.take(SET_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SET_BYTES_MAX { Err(ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}
