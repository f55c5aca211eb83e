//! Scaffolds are sound, whole, and never in anybody's way.

use super::*;
use crate::config::load::{Loaded, load};
use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt};

const PORTS: Ports = Ports { listener: 0, issuer: 9400, admin: 0, legacy: 9500, inventory: 9501 };

fn certificates(layout: &QuickstartLayout) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    fs::create_dir_all(layout.key.parent().unwrap()).unwrap();
    fs::write(&layout.certificate, certificate.pem()).unwrap();
    fs::write(&layout.key, key.serialize_pem()).unwrap();
    fs::set_permissions(&layout.key, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The policies are sound, every case of them passes, and no policy is beyond all cases.
fn sound(loaded: Loaded) {
    let now = jiff::Timestamp::now();
    let declared = Arc::new(loaded.config.declared());
    let (snapshot, warnings) = policy::bundle::load(&loaded.policies, declared, now)
        .unwrap_or_else(|findings| panic!("{}", findings.iter().map(|f| format!("{f}\n")).collect::<String>()));
    assert_eq!(warnings, []);
    let report = policy::cases::run(&loaded.cases, &snapshot, now);
    assert!(report.passed(), "{report:#?}");
    let never: Vec<_> = report.never_exercised().map(|policy| policy.policy.to_string()).collect();
    assert_eq!(never, Vec::<String>::new());
}

#[test]
fn the_policies_of_a_fresh_project_do_what_its_cases_say() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path()).unwrap();
    sound(load(&folder.path().join("latchwork.toml")).unwrap());
}

#[test]
fn the_policies_of_the_quickstart_do_what_its_cases_say() {
    let folder = tempfile::tempdir().unwrap();
    let layout = quickstart(folder.path(), PORTS).unwrap();
    certificates(&layout);
    sound(load(&layout.config).unwrap());
}

/// The example that is shown in the repository is what the command writes; `LATCHWORK_BLESS=1` writes it anew.
#[test]
fn the_quickstart_example_is_the_scaffold() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/quickstart");
    let ports = Ports { listener: 8443, issuer: 9400, admin: 9443, legacy: 8081, inventory: 8082 };
    if std::env::var_os("LATCHWORK_BLESS").is_some_and(|value| value == "1") {
        for file in quickstart_files(ports) {
            fs::create_dir_all(example.join(file.path).parent().unwrap()).unwrap();
            fs::write(example.join(file.path), file.content).unwrap();
        }
    }
    let files = quickstart_files(ports);
    for file in &files {
        let shown = fs::read_to_string(example.join(file.path)).unwrap_or_default();
        assert_eq!(shown, file.content, "{}", file.path);
    }
    assert!(files.len() > 8);
}

#[test]
fn the_legacy_example_does_what_its_cases_say() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/legacy");
    let folder = tempfile::tempdir().unwrap();
    for file in
        ["latchwork.toml", "catalog/inventory.toml", "policies/inventory.cedar", "policies/inventory.cases.toml"]
    {
        let target = folder.path().join(file);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(example.join(file), target).unwrap();
    }
    let key = rcgen::KeyPair::generate().unwrap();
    let authority = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    fs::create_dir(folder.path().join("tls")).unwrap();
    fs::write(folder.path().join("tls/inventory-ca.pem"), authority.pem()).unwrap();
    let loaded = load(&folder.path().join("latchwork.toml")).unwrap_or_else(|findings| panic!("{findings:#?}"));
    assert_eq!(loaded.warnings, []);
    sound(loaded);
}

#[test]
fn the_quickstart_loads_without_a_finding() {
    let folder = tempfile::tempdir().unwrap();
    let layout = quickstart(&folder.path().join("shop"), PORTS).unwrap();
    certificates(&layout);
    let loaded = load(&layout.config).unwrap_or_else(|findings| panic!("{findings:#?}"));
    assert_eq!(loaded.warnings, []);
    assert_eq!((loaded.config.functions.len(), loaded.policies.len(), loaded.cases.len()), (4, 2, 1));
    let routes: Vec<_> = loaded.config.functions.iter().filter_map(|f| f.route.as_ref()).collect();
    let paths: BTreeSet<_> = layout.calls.iter().map(|call| call.path.split('?').next().unwrap()).collect();
    assert_eq!((routes.len(), paths.len()), (4, 6));
    assert!(!fs::read_to_string(&layout.config).unwrap().contains("{{"));
}

#[test]
fn the_quickstart_keeps_what_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    let first = quickstart(folder.path(), PORTS).unwrap();
    let policy = folder.path().join("policies/shop.cedar");
    fs::write(&policy, "// mine\n").unwrap();
    fs::remove_file(folder.path().join("policies/base.cedar")).unwrap();
    quickstart(folder.path(), Ports { issuer: 9401, ..PORTS }).unwrap();
    assert_eq!(fs::read_to_string(&policy).unwrap(), "// mine\n");
    assert!(folder.path().join("policies/base.cedar").is_file());
    assert!(!fs::read_to_string(&first.config).unwrap().contains("127.0.0.1:9401"));
}

#[test]
fn a_folder_of_somebody_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
    assert!(matches!(init(folder.path()), Err(ScaffoldError::NotEmpty(_))));
    assert!(matches!(quickstart(folder.path(), PORTS), Err(ScaffoldError::NotEmpty(_))));
    assert!(matches!(init(&folder.path().join("thesis.txt")), Err(ScaffoldError::NotAFolder(_))));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_project_of_the_other_command_is_somebody_else() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path()).unwrap();
    assert!(matches!(quickstart(folder.path(), PORTS), Err(ScaffoldError::NotEmpty(_))));
    assert!(init(folder.path()).unwrap().is_empty());
}

#[test]
fn nothing_is_left_when_a_project_can_not_be_written() {
    let folder = tempfile::tempdir().unwrap();
    // The name of the project is too long for a folder, so the last step fails.
    let directory = folder.path().join("x".repeat(300));
    assert!(matches!(init(&directory), Err(ScaffoldError::Io { .. })));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn functions_are_executable() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path()).unwrap();
    let mode = fs::metadata(folder.path().join("functions/hello/bootstrap")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
}
