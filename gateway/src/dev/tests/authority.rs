//! The authority's files: what is in them, when they are made again, who may read them.

use crate::dev::{Authority, DevError};
use jiff::{SignedDuration, Timestamp};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::aws_lc_rs::default_provider,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};
use x509_parser::prelude::{FromDer, X509Certificate};

fn later(days: i64) -> Timestamp {
    Timestamp::now().checked_add(SignedDuration::from_hours(24 * days)).unwrap()
}

fn texts(folder: &Path) -> [String; 4] {
    ["ca.pem", "ca.key", "server.pem", "server.key"].map(|name| fs::read_to_string(folder.join(name)).unwrap())
}

fn verifies(authority: &Authority, name: &str, at: Timestamp) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&authority.certificate).unwrap()).unwrap();
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider())).build();
    let leaf = CertificateDer::from_pem_file(&authority.server_certificate).unwrap();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at.as_second().unsigned_abs()));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    verifier.unwrap().verify_server_cert(&leaf, &[], &name, &[], at).is_ok()
}

#[test]
fn the_certificate_is_for_this_machine_and_for_three_months() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::load_or_create(folder.path(), Timestamp::now()).unwrap();
    for name in ["localhost", "127.0.0.1", "::1"] {
        assert!(verifies(&authority, name, Timestamp::now()), "{name}");
        assert!(verifies(&authority, name, later(88)), "{name}");
        assert!(!verifies(&authority, name, later(92)), "{name}");
    }
    assert!(!verifies(&authority, "example.com", Timestamp::now()));
    assert!(authority.server_expires > later(88) && authority.server_expires < later(92));
    let key = rustls_pki_types::PrivateKeyDer::from_pem_file(&authority.server_key).unwrap();
    let leaf = CertificateDer::from_pem_file(&authority.server_certificate).unwrap();
    rustls::sign::CertifiedKey::from_der(vec![leaf], key, &default_provider()).unwrap();
}

#[test]
fn the_authority_can_only_vouch_for_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::load_or_create(folder.path(), Timestamp::now()).unwrap();
    let der = CertificateDer::from_pem_file(&authority.certificate).unwrap();
    let (_, ca) = X509Certificate::from_der(&der).unwrap();
    let constraints = ca.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca);
    assert_eq!(constraints.value.path_len_constraint, Some(0));
    let usage = ca.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.key_cert_sign() && !usage.value.digital_signature());
    assert!(ca.validity().not_after.timestamp() > later(3640).as_second());
    let der = CertificateDer::from_pem_file(&authority.server_certificate).unwrap();
    let (_, leaf) = X509Certificate::from_der(&der).unwrap();
    assert!(!leaf.is_ca());
    let usage = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.server_auth && !usage.client_auth && !usage.any);
}

#[test]
fn keys_are_for_their_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    Authority::load_or_create(folder.path(), Timestamp::now()).unwrap();
    for name in ["ca.key", "server.key"] {
        let path = folder.path().join(name);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = Authority::load_or_create(folder.path(), Timestamp::now());
        assert!(matches!(refused, Err(DevError::Exposed { mode: 0o640, .. })), "{refused:?}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let left_over = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left_over, 4);
}

#[test]
fn what_is_in_force_stays_and_what_is_nearly_over_is_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let first = Authority::load_or_create(folder.path(), Timestamp::now()).unwrap();
    let before = texts(folder.path());
    assert_eq!(Authority::load_or_create(folder.path(), later(50)).unwrap(), first);
    assert_eq!(texts(folder.path()), before);

    let renewed = Authority::load_or_create(folder.path(), later(70)).unwrap();
    let after = texts(folder.path());
    assert_eq!(after[..2], before[..2], "the authority stays, so that clients need not trust another");
    assert_ne!(after[2], before[2]);
    assert!(verifies(&renewed, "localhost", later(150)));

    Authority::load_or_create(folder.path(), later(3600)).unwrap();
    let last = texts(folder.path());
    assert_ne!(last[0], before[0], "an authority that would end before its certificate is renewed too");
}

#[test]
fn what_does_not_fit_together_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    Authority::load_or_create(folder.path(), Timestamp::now()).unwrap();
    Authority::load_or_create(other.path(), Timestamp::now()).unwrap();
    for name in ["ca.key", "server.key", "server.pem"] {
        fs::copy(other.path().join(name), folder.path().join(name)).unwrap();
        let mended = Authority::load_or_create(folder.path(), Timestamp::now()).unwrap();
        assert!(verifies(&mended, "localhost", Timestamp::now()), "{name}");
        let key = rustls_pki_types::PrivateKeyDer::from_pem_file(&mended.server_key).unwrap();
        let leaf = CertificateDer::from_pem_file(&mended.server_certificate).unwrap();
        rustls::sign::CertifiedKey::from_der(vec![leaf], key, &default_provider()).unwrap();
    }
    for name in ["ca.pem", "ca.key", "server.pem", "server.key"] {
        fs::remove_file(folder.path().join(name)).unwrap();
        let mended = Authority::load_or_create(folder.path(), Timestamp::now()).unwrap();
        assert!(verifies(&mended, "localhost", Timestamp::now()), "{name}");
    }
    fs::write(folder.path().join("server.pem"), "nonsense").unwrap();
    let mended = Authority::load_or_create(folder.path(), Timestamp::now()).unwrap();
    assert!(verifies(&mended, "localhost", Timestamp::now()));
    fs::write(folder.path().join("ca.pem"), "nonsense").unwrap();
    let refused = Authority::load_or_create(folder.path(), Timestamp::now());
    assert!(matches!(refused, Err(DevError::Content { .. })), "an authority that clients trust is not overwritten");
}

#[test]
fn an_operators_own_authority_is_never_touched() {
    let folder = tempfile::tempdir().unwrap();
    Authority::load_or_create(folder.path(), Timestamp::now()).unwrap();
    let before = texts(folder.path());
    Authority::renew(folder.path(), later(70)).unwrap();
    assert_ne!(texts(folder.path())[2], before[2], "the development server's certificate is renewed");
    let own = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap();
    for text in [own.cert.pem(), "no certificate".to_owned()] {
        fs::write(folder.path().join("ca.pem"), &text).unwrap();
        let before = texts(folder.path());
        Authority::renew(folder.path(), later(4_000)).unwrap();
        assert_eq!(texts(folder.path()), before);
    }
    fs::remove_file(folder.path().join("ca.pem")).unwrap();
    Authority::renew(folder.path(), later(4_000)).unwrap();
    assert!(!folder.path().join("ca.pem").exists());
}
