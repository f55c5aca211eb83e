//! Notices saved files and waits until they settle.

use super::Handle;
use crate::config::{BackendConfig, Config, ShadowBundle};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError},
    time::{Duration, Instant},
};

/// Files must have been quiet for this long.
const SETTLE: Duration = Duration::from_millis(100);
/// A reload is tried at the latest after this, however busy the files are.
const SETTLE_MAX: Duration = Duration::from_millis(500);

/// Watches while it lives.
#[derive(Debug)]
pub(crate) struct Watcher {
    _notify: RecommendedWatcher,
}

impl Watcher {
    /// Watches the folders of everything that the configuration is made of. `None` when the system can't: then only
    /// `latchwork reload` reloads.
    pub(crate) fn start(config: &Config, reloads: Handle) -> Option<Self> {
        let (sender, events) = mpsc::channel();
        let audit = absolute(&config.audit.path);
        let heard = move |event: notify::Result<notify::Event>| {
            let relevant = event.is_ok_and(|e| {
                !matches!(e.kind, EventKind::Access(_)) && !e.paths.iter().all(|p| absolute(p).starts_with(&audit))
            });
            if relevant {
                // The receiver is gone only when the gateway stops.
                let _ = sender.send(());
            }
        };
        let mut notify = match notify::recommended_watcher(heard) {
            Ok(notify) => notify,
            Err(error) => {
                tracing::warn!(%error, "files are not watched");
                return None;
            }
        };
        let shadow = match &config.policy.shadow {
            Some(ShadowBundle::Folder(folder)) => Some(folder).filter(|folder| folder.is_dir()),
            Some(ShadowBundle::Signed(_)) | None => None,
        };
        let own = Some(&config.policy.path).filter(|_| config.policy.signed.is_none());
        for folder in own.into_iter().chain(shadow) {
            if let Err(error) = notify.watch(folder, RecursiveMode::Recursive) {
                tracing::warn!(%error, folder = %folder.display(), "policies are not watched");
            }
        }
        for folder in folders(config) {
            if let Err(error) = notify.watch(&folder, RecursiveMode::NonRecursive) {
                tracing::warn!(folder = %folder.display(), %error, "a folder is not watched");
            }
        }
        let spawned =
            std::thread::Builder::new().name("latchwork-watch".to_owned()).spawn(move || settle(&events, &reloads));
        spawned.ok()?;
        Some(Self { _notify: notify })
    }
}

/// Ends when the watcher is dropped.
fn settle(events: &mpsc::Receiver<()>, reloads: &Handle) {
    while events.recv().is_ok() {
        let first = Instant::now();
        while first.elapsed() < SETTLE_MAX {
            match events.recv_timeout(SETTLE) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        reloads.noticed();
    }
}

fn folders(config: &Config) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::from([absolute(&config.directory)]);
    let catalogs = config.functions.iter().map(|f| Path::new(&*f.written.0));
    let schemas = config.functions.iter().filter_map(|f| Some(Path::new(&*f.declared.input.as_ref()?.file)));
    let authorities = config.issuers.iter().filter_map(|i| i.ca.as_deref());
    let peers = config.functions.iter().flat_map(|f| &f.targets).flat_map(|target| secrets_of(&target.backend));
    let keys = config.credentials.api_keys.iter().map(|keys| &*keys.file);
    let methods = config.functions.iter().filter_map(|f| f.method.as_ref());
    let shadow = match &config.policy.shadow {
        Some(ShadowBundle::Signed(signed)) => Some(signed),
        Some(ShadowBundle::Folder(_)) | None => None,
    };
    let operations = config.functions.iter().filter_map(|f| f.route.as_ref()?.soap.as_ref()?.operation.as_ref());
    let operations = operations.flat_map(|operation| &operation.files);
    let described = methods.flat_map(|method| method.descriptions().files()).chain(operations).map(PathBuf::as_path);
    let signed = config.policy.signed.iter().chain(shadow).flat_map(|signed| [&*signed.file, &*signed.keys]);
    let files =
        catalogs.chain(signed).chain(schemas).chain(authorities).chain(keys).chain(described).filter_map(Path::parent);
    folders.extend(files.map(absolute));
    // Some are written as they are in the configuration's folder.
    folders.extend(peers.filter_map(Path::parent).map(|folder| absolute(&config.directory.join(folder))));
    for tls in config.listeners.iter().filter_map(|l| l.tls.as_ref()) {
        let clients = tls.clients.as_ref().map(|clients| &clients.ca);
        folders
            .extend([&tls.certificate, &tls.key].into_iter().chain(clients).filter_map(|f| f.parent()).map(absolute));
    }
    folders
}

/// Files that a backend is made from: most often its TLS.
fn secrets_of(backend: &BackendConfig) -> Vec<&Path> {
    let (ca, certificate, key) = match backend {
        BackendConfig::Http(http) => (&http.ca, &http.client_certificate, &http.client_key),
        BackendConfig::Grpc(grpc) => (&grpc.ca, &grpc.client_certificate, &grpc.client_key),
        BackendConfig::Remote(remote) => return remote.files(),
        // It looks at its files by itself.
        BackendConfig::Process(_) => return Vec::new(),
    };
    let key = key.as_deref().and_then(|key| key.strip_prefix("file:")).map(Path::new);
    [ca.as_deref(), certificate.as_deref(), key].into_iter().flatten().collect()
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
