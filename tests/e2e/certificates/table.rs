//! Certificates as data: good ones, and one for each way of being wrong.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose::{self, ClientAuth, CodeSigning, ServerAuth},
    IsCa, Issuer, KeyPair,
    KeyUsagePurpose::{self, CrlSign, DigitalSignature, KeyAgreement, KeyCertSign},
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType, SignatureAlgorithm, date_time_ymd,
};
use rustls_pki_types::CertificateDer;

/// What has to happen.
#[derive(Debug)]
pub enum Want {
    /// It is this workload.
    Workload(String),
    /// 401 with these words.
    Refused(&'static str),
    /// There is no connection.
    Alert,
}

/// One client.
pub struct Case {
    pub what: &'static str,
    pub chain: Vec<CertificateDer<'static>>,
    pub key: KeyPair,
    pub want: Want,
}

type Authority = CertifiedIssuer<'static, KeyPair>;

const NAME: &str = "exactly one URI name";
const ID: &str = "SPIFFE ID";
const USAGE: &str = "key usages";
const DOMAIN: &str = "trust domain";
const GOOD: &str = "spiffe://prod.test/ns/shop/sa/checkout";

/// An authority of that name, with a key of its own.
pub fn authority(name: &str) -> Authority {
    CertifiedIssuer::self_signed(authority_params(name), KeyPair::generate().unwrap()).unwrap()
}

/// A leaf with these URIs, right in everything else.
pub fn leaf(uris: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("a workload");
    params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![DigitalSignature];
    params.extended_key_usages = vec![ServerAuth, ClientAuth];
    params
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyCertSign, CrlSign];
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut title = DistinguishedName::new();
    title.push(DnType::CommonName, name);
    title
}

/// The authority's certificate, and every case.
pub fn cases() -> (String, Vec<Case>) {
    let root = authority("clients");
    let mut cases = good(&root);
    cases.extend(names(&root));
    cases.extend(ids(&root));
    cases.extend(usages(&root));
    cases.extend(chains(&root));
    (root.pem(), cases)
}

fn case(what: &'static str, params: &CertificateParams, by: &Issuer<'_, KeyPair>, want: Want) -> Case {
    let key = KeyPair::generate().unwrap();
    let made = params.signed_by(&key, by).unwrap();
    Case { what, chain: vec![made.der().clone()], key, want }
}

fn good(root: &Authority) -> Vec<Case> {
    let workload = |id: &str| Want::Workload(id.to_owned());
    let with = |what, uri: &str, change: fn(&mut CertificateParams)| {
        let mut params = leaf(&[uri]);
        change(&mut params);
        case(what, &params, root, workload(uri))
    };
    let long = format!("spiffe://prod.test/{}", "a".repeat(2048 - "spiffe://prod.test/".len()));
    let other_key = |what, algorithm: &'static SignatureAlgorithm| {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let made = leaf(&[GOOD]).signed_by(&key, root).unwrap();
        Case { what, chain: vec![made.der().clone()], key, want: workload(GOOD) }
    };
    let key = KeyPair::generate().unwrap();
    let middle = CertifiedIssuer::signed_by(authority_params("middle"), KeyPair::generate().unwrap(), root).unwrap();
    let made = leaf(&[GOOD]).signed_by(&key, &middle).unwrap();
    vec![
        with("an SVID", GOOD, |_| ()),
        with("for clients only", GOOD, |p| p.extended_key_usages = vec![ClientAuth]),
        with("without extended key usage", GOOD, |p| p.extended_key_usages = vec![]),
        with("with a DNS name besides", GOOD, |p| {
            p.subject_alt_names.push(SanType::DnsName("a.test".try_into().unwrap()));
        }),
        with("with a further usage", GOOD, |p| p.key_usages.push(KeyAgreement)),
        with("all characters of a path", "spiffe://prod.test/Aa.b_c-1/...", |_| ()),
        with("as long as may be", &long, |_| ()),
        with("without a subject", GOOD, |p| p.distinguished_name = DistinguishedName::new()),
        with("without basic constraints", GOOD, |p| p.is_ca = IsCa::NoCa),
        other_key("of P-384", &PKCS_ECDSA_P384_SHA384),
        other_key("of Ed25519", &PKCS_ED25519),
        Case {
            what: "through an intermediate",
            chain: vec![made.der().clone(), middle.der().clone()],
            key,
            want: workload(GOOD),
        },
    ]
}

fn names(root: &Authority) -> Vec<Case> {
    let none = |what, names: Vec<SanType>| {
        let mut params = leaf(&[]);
        params.subject_alt_names = names;
        case(what, &params, root, Want::Refused(NAME))
    };
    let mut common = leaf(&[]);
    common.distinguished_name = named(GOOD);
    vec![
        case("two SPIFFE IDs", &leaf(&[GOOD, "spiffe://prod.test/b"]), root, Want::Refused(NAME)),
        case("the same ID twice", &leaf(&[GOOD, GOOD]), root, Want::Refused(NAME)),
        case("a URL besides", &leaf(&[GOOD, "https://prod.test/"]), root, Want::Refused(NAME)),
        case("the ID as common name only", &common, root, Want::Refused(NAME)),
        none("no name", vec![]),
        none("a DNS name only", vec![SanType::DnsName("prod.test".try_into().unwrap())]),
        none("the ID as a DNS name", vec![SanType::DnsName(GOOD.try_into().unwrap())]),
        none("the ID as a mail address", vec![SanType::Rfc822Name(GOOD.try_into().unwrap())]),
    ]
}

fn ids(root: &Authority) -> Vec<Case> {
    let long = format!("spiffe://prod.test/{}", "a".repeat(2048));
    let cases = [
        ("another trust domain", "spiffe://other.test/a", DOMAIN),
        ("a longer trust domain", "spiffe://prod.test.evil/a", DOMAIN),
        ("a trust domain that ends alike", "spiffe://evilprod.test/a", DOMAIN),
        ("a part of the trust domain", "spiffe://test/prod.test", DOMAIN),
        ("upper case in the trust domain", "spiffe://Prod.test/a", ID),
        ("an upper-case scheme", "SPIFFE://prod.test/a", ID),
        ("another scheme", "https://prod.test/a", ID),
        ("no trust domain", "spiffe:///a", ID),
        ("no path", "spiffe://prod.test", ID),
        ("an empty path", "spiffe://prod.test/", ID),
        ("a slash at the end", "spiffe://prod.test/a/", ID),
        ("an empty segment", "spiffe://prod.test/a//b", ID),
        ("a path that goes up", "spiffe://prod.test/ns/../admin", ID),
        ("a path that stays", "spiffe://prod.test/./a", ID),
        ("a query", "spiffe://prod.test/a?b=c", ID),
        ("a fragment", "spiffe://prod.test/a#b", ID),
        ("a port", "spiffe://prod.test:8443/a", ID),
        ("user information", "spiffe://me@prod.test/a", ID),
        ("percent-encoding", "spiffe://prod.test/%61", ID),
        ("a space", "spiffe://prod.test/a b", ID),
        ("too long", &long, ID),
    ];
    cases.map(|(what, uri, words)| case(what, &leaf(&[uri]), root, Want::Refused(words))).into()
}

fn usages(root: &Authority) -> Vec<Case> {
    let usage = |what, usages: &[KeyUsagePurpose]| {
        let mut params = leaf(&[GOOD]);
        params.key_usages = usages.to_vec();
        case(what, &params, root, Want::Refused(USAGE))
    };
    let extended = |what, usages: &[ExtendedKeyUsagePurpose]| {
        let mut params = leaf(&[GOOD]);
        params.extended_key_usages = usages.to_vec();
        case(what, &params, root, Want::Alert)
    };
    vec![
        usage("no key usage", &[]),
        usage("no digital signature", &[KeyAgreement]),
        usage("may sign certificates", &[DigitalSignature, KeyCertSign]),
        usage("may sign revocation lists", &[DigitalSignature, CrlSign]),
        extended("for servers only", &[ServerAuth]),
        extended("for code only", &[CodeSigning]),
    ]
}

fn chains(root: &Authority) -> Vec<Case> {
    let changed = |what, change: fn(&mut CertificateParams)| {
        let mut params = leaf(&[GOOD]);
        change(&mut params);
        case(what, &params, root, Want::Alert)
    };
    let middle = CertifiedIssuer::signed_by(authority_params("middle"), KeyPair::generate().unwrap(), root).unwrap();
    let mut over = authority_params("over");
    over.not_after = date_time_ymd(2020, 1, 1);
    let over = CertifiedIssuer::signed_by(over, KeyPair::generate().unwrap(), root).unwrap();
    let by_leaf = CertifiedIssuer::signed_by(leaf(&[GOOD]), KeyPair::generate().unwrap(), root).unwrap();
    let beneath = |what, by: &Authority| {
        let mut case = case(what, &leaf(&[GOOD]), by, Want::Alert);
        case.chain.push(by.der().clone());
        case
    };
    let key = KeyPair::generate().unwrap();
    let own = leaf(&[GOOD]).self_signed(&key).unwrap();
    let stolen = case("without its key", &leaf(&[GOOD]), root, Want::Alert);
    vec![
        changed("expired", |p| p.not_after = date_time_ymd(2020, 1, 1)),
        changed("not yet valid", |p| p.not_before = date_time_ymd(2090, 1, 1)),
        changed("an authority", |p| {
            p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            p.key_usages.push(KeyCertSign);
        }),
        case("of another authority", &leaf(&[GOOD]), &authority("others"), Want::Alert),
        case("of another authority of the same name", &leaf(&[GOOD]), &authority("clients"), Want::Alert),
        case("without its intermediate", &leaf(&[GOOD]), &middle, Want::Alert),
        beneath("through an intermediate that is over", &over),
        beneath("signed by another leaf", &by_leaf),
        Case { what: "self-signed", chain: vec![own.der().clone()], key, want: Want::Alert },
        Case { key: KeyPair::generate().unwrap(), ..stolen },
    ]
}
