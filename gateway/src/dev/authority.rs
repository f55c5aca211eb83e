//! The development authority: makes the certificate that this machine's listeners show, and renews it in time.

use super::{
    DevError,
    file::{self, Readers},
};
use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use std::path::{Path, PathBuf};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// How long the authority lives, in years.
const AUTHORITY_YEARS: i64 = 10;
/// How long a server certificate lives, in days.
const SERVER_DAYS: i64 = 90;
/// A certificate that has less than this left is renewed.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Names of this machine.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// Common name of the authority.
const AUTHORITY_NAME: &str = "Latchwork development authority";

/// The files of the development authority, all there and in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The authority's certificate, PEM: what a client has to trust.
    pub certificate: PathBuf,
    /// The server's certificate, PEM.
    pub server_certificate: PathBuf,
    /// The server's private key, PEM.
    pub server_key: PathBuf,
    /// When the server's certificate ends.
    pub server_expires: Timestamp,
}

impl Authority {
    /// Renews the files of `folder` if they are a development authority's: an operator's own are never touched.
    ///
    /// # Errors
    /// As [`Self::load_or_create`].
    pub fn renew(folder: &Path, now: Timestamp) -> Result<(), DevError> {
        if !folder.join("ca.key").is_file() {
            return Ok(());
        }
        let path = folder.join("ca.pem");
        let ours = match file::read(&path, Readers::All)? {
            Some(pem) => certificate(&path, &pem).is_ok_and(|der| is_development(&der)),
            None => false,
        };
        if ours { Self::load_or_create(folder, now).map(drop) } else { Ok(()) }
    }

    /// Loads `ca.pem`, `ca.key`, `server.pem` and `server.key` of `folder`; makes what is missing or nearly over.
    ///
    /// # Errors
    /// When a file can't be read, written or understood, or others may read a key.
    pub fn load_or_create(folder: &Path, now: Timestamp) -> Result<Self, DevError> {
        file::create_folder(folder)?;
        let (authority, authority_der, fresh) = authority(folder, now)?;
        let (certificate, key) = (folder.join("server.pem"), folder.join("server.key"));
        let in_force = if fresh { None } else { server_in_force(&certificate, &key, &authority_der, now)? };
        let expires = match in_force {
            Some(expires) => expires,
            None => make_server(&authority, &certificate, &key, now)?,
        };
        Ok(Self {
            certificate: folder.join("ca.pem"),
            server_certificate: certificate,
            server_key: key,
            server_expires: expires,
        })
    }
}

/// The authority, its certificate, and whether it was made just now.
fn authority(
    folder: &Path,
    now: Timestamp,
) -> Result<(Issuer<'static, KeyPair>, CertificateDer<'static>, bool), DevError> {
    let (certificate_path, key_path) = (folder.join("ca.pem"), folder.join("ca.key"));
    let (pem, key) = (file::read(&certificate_path, Readers::All)?, file::read(&key_path, Readers::Owner)?);
    if let (Some(pem), Some(key)) = (pem, key) {
        let content = |path: &Path, problem: String| DevError::Content { path: path.to_owned(), problem };
        let der = certificate(&certificate_path, &pem)?;
        let key = KeyPair::from_pem(&key).map_err(|e| content(&key_path, e.to_string()))?;
        if has_key(&der, &key) && lasts(&der, now, SignedDuration::from_hours(24 * SERVER_DAYS)).is_some() {
            let issuer = Issuer::from_ca_cert_der(&der, key);
            return Ok((issuer.map_err(|e| content(&certificate_path, e.to_string()))?, der, false));
        }
    }
    let key = new_key()?;
    let mut parameters = parameters(AUTHORITY_NAME, &[], now, AUTHORITY_YEARS.years())?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let made = parameters.self_signed(&key).map_err(|_| DevError::Crypto("make the authority's certificate"))?;
    file::write(&key_path, &key.serialize_pem(), Readers::Owner)?;
    file::write(&certificate_path, &made.pem(), Readers::All)?;
    Ok((Issuer::new(parameters, key), made.der().clone(), true))
}

fn make_server(
    authority: &Issuer<'_, KeyPair>,
    certificate: &Path,
    key_path: &Path,
    now: Timestamp,
) -> Result<Timestamp, DevError> {
    let key = new_key()?;
    let mut parameters = parameters("localhost", &NAMES, now, SERVER_DAYS.days())?;
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.use_authority_key_identifier_extension = true;
    let made = parameters.signed_by(&key, authority).map_err(|_| DevError::Crypto("make a server certificate"))?;
    file::write(key_path, &key.serialize_pem(), Readers::Owner)?;
    file::write(certificate, &made.pem(), Readers::All)?;
    lasts(made.der(), now, SignedDuration::ZERO).ok_or(DevError::Crypto("make a server certificate that is in force"))
}

/// When the server's certificate ends; `None` when another is needed.
fn server_in_force(
    path: &Path,
    key_path: &Path,
    authority: &CertificateDer<'_>,
    now: Timestamp,
) -> Result<Option<Timestamp>, DevError> {
    let (pem, key) = (file::read(path, Readers::All)?, file::read(key_path, Readers::Owner)?);
    let (Some(pem), Some(key)) = (pem, key) else { return Ok(None) };
    let (Ok(der), Ok(key)) = (certificate(path, &pem), KeyPair::from_pem(&key)) else { return Ok(None) };
    let Some(expires) = lasts(&der, now, RENEW_BEFORE) else { return Ok(None) };
    let ours = is_signed_by(&der, authority) && has_key(&der, &key) && names_this_machine(&der);
    Ok(ours.then_some(expires))
}

fn parameters(name: &str, names: &[&str], now: Timestamp, life: jiff::Span) -> Result<CertificateParams, DevError> {
    let failed = |_| DevError::Crypto("name a certificate");
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let mut parameters = CertificateParams::new(names).map_err(failed)?;
    let mut title = DistinguishedName::new();
    title.push(DnType::CommonName, name);
    parameters.distinguished_name = title;
    let today = TimeZone::UTC.to_datetime(now).date();
    let date =
        |day: Date| rcgen::date_time_ymd(day.year().into(), day.month().unsigned_abs(), day.day().unsigned_abs());
    let end = today.checked_add(life).map_err(|_| DevError::Crypto("reckon when a certificate ends"))?;
    // From yesterday, so that a client whose clock is a little behind takes it too.
    parameters.not_before = date(today.saturating_sub(1.day()));
    parameters.not_after = date(end);
    Ok(parameters)
}

fn new_key() -> Result<KeyPair, DevError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| DevError::Crypto("make a key"))
}

fn certificate(path: &Path, pem: &str) -> Result<CertificateDer<'static>, DevError> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|e| DevError::Content { path: path.to_owned(), problem: e.to_string() })
}

/// When a certificate ends, if it is in force now and for `margin` more.
fn lasts(der: &CertificateDer<'_>, now: Timestamp, margin: SignedDuration) -> Option<Timestamp> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let second = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp()).ok();
    let (begin, end) = (second(parsed.validity().not_before)?, second(parsed.validity().not_after)?);
    (begin <= now && now.checked_add(margin).ok()? < end).then_some(end)
}

/// Whether a certificate is one that [`authority`] makes.
fn is_development(der: &CertificateDer<'_>) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(der) else { return false };
    let mut names = parsed.subject().iter_common_name();
    names.next().is_some_and(|name| name.as_str().is_ok_and(|name| name == AUTHORITY_NAME)) && names.next().is_none()
}

fn has_key(der: &CertificateDer<'_>, key: &KeyPair) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(_, c)| *c.public_key().subject_public_key.data == *key.public_key_raw())
}

/// By name and key identifier; the signature itself is for those who trust the authority to check.
fn is_signed_by(der: &CertificateDer<'_>, authority: &CertificateDer<'_>) -> bool {
    let (Ok((_, leaf)), Ok((_, ca))) = (X509Certificate::from_der(der), X509Certificate::from_der(authority)) else {
        return false;
    };
    let authority_key = leaf.iter_extensions().find_map(|e| match e.parsed_extension() {
        x509_parser::extensions::ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.clone(),
        _ => None,
    });
    let own_key = ca.iter_extensions().find_map(|e| match e.parsed_extension() {
        x509_parser::extensions::ParsedExtension::SubjectKeyIdentifier(id) => Some(id.clone()),
        _ => None,
    });
    leaf.issuer() == ca.subject() && authority_key.is_some() && authority_key == own_key
}

fn names_this_machine(der: &CertificateDer<'_>) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(der) else { return false };
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return false };
    let has = |wanted: &GeneralName<'_>| names.value.general_names.contains(wanted);
    let v6 = std::net::Ipv6Addr::LOCALHOST.octets();
    has(&GeneralName::DNSName("localhost"))
        && has(&GeneralName::IPAddress(&[127, 0, 0, 1]))
        && has(&GeneralName::IPAddress(&v6))
}
