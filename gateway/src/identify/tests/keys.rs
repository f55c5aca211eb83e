//! Keys of every kind, and tokens made of any header and claims with them.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::sync::LazyLock;

/// A private key.
pub(super) enum Private {
    Rsa(Box<RsaKeyPair>),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A private key with its id.
pub(super) struct TestKey {
    pub(super) kid: &'static str,
    pub(super) private: Private,
}

/// One key of each kind, made once: RSA keys take a while.
pub(super) static RSA: LazyLock<TestKey> = LazyLock::new(|| TestKey {
    kid: "rsa",
    private: Private::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())),
});
pub(super) static P256: LazyLock<TestKey> = LazyLock::new(|| TestKey::p256("p256"));
pub(super) static P384: LazyLock<TestKey> = LazyLock::new(|| TestKey {
    kid: "p384",
    private: Private::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()),
});
pub(super) static ED25519: LazyLock<TestKey> =
    LazyLock::new(|| TestKey { kid: "ed", private: Private::Ed25519(Ed25519KeyPair::generate().unwrap()) });

impl TestKey {
    pub(super) fn p256(kid: &'static str) -> Self {
        Self { kid, private: Private::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()) }
    }

    /// Its usual `alg`.
    pub(super) fn alg(&self) -> &'static str {
        match self.private {
            Private::Rsa(_) => "RS256",
            Private::P256(_) => "ES256",
            Private::P384(_) => "ES384",
            Private::Ed25519(_) => "EdDSA",
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.private {
            Private::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            Private::P256(key) | Private::P384(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Private::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    pub(super) fn sign_pss(&self, message: &[u8]) -> Vec<u8> {
        let Private::Rsa(key) = &self.private else { panic!("not RSA") };
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }

    /// An ECDSA signature as ASN.1, which JOSE does not use.
    pub(super) fn sign_der(&self, message: &[u8]) -> Vec<u8> {
        let Private::P256(key) = &self.private else { panic!("not P-256") };
        let pkcs8 = key.to_pkcs8v1().unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap();
        key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }

    /// The public key as its bare numbers: a point, or an RSA key in ASN.1.
    pub(super) fn public(&self) -> Vec<u8> {
        match &self.private {
            Private::Rsa(key) => key.public_key().as_ref().to_vec(),
            Private::P256(key) | Private::P384(key) => key.public_key().as_ref().to_vec(),
            Private::Ed25519(key) => key.public_key().as_ref().to_vec(),
        }
    }

    /// The public key as SubjectPublicKeyInfo in PEM.
    pub(super) fn pem(&self) -> String {
        let der = match &self.private {
            Private::Rsa(key) => aws_lc_rs::encoding::AsDer::as_der(key.public_key()).unwrap().as_ref().to_vec(),
            Private::P256(key) | Private::P384(key) => {
                aws_lc_rs::encoding::AsDer::as_der(key.public_key()).unwrap().as_ref().to_vec()
            }
            Private::Ed25519(key) => aws_lc_rs::encoding::AsDer::as_der(key.public_key()).unwrap().as_ref().to_vec(),
        };
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(|l| std::str::from_utf8(l).unwrap()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// The public key as a JWK.
    pub(super) fn jwk(&self) -> Value {
        let public = self.public();
        match &self.private {
            Private::Rsa(key) => {
                let (n, e) = (key.public_key().modulus(), key.public_key().exponent());
                let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
                json!({ "kty": "RSA", "kid": self.kid, "use": "sig", "alg": "RS256", "n": encode(n), "e": encode(e) })
            }
            Private::P256(_) | Private::P384(_) => {
                let (x, y) = public[1..].split_at((public.len() - 1) / 2);
                let crv = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "kid": self.kid, "crv": crv, "alg": self.alg(), "x": encode(x), "y": encode(y) })
            }
            Private::Ed25519(_) => json!({ "kty": "OKP", "kid": self.kid, "crv": "Ed25519", "x": encode(&public) }),
        }
    }

    /// A token of this header and these claims.
    pub(super) fn token(&self, header: &Value, claims: &Value) -> String {
        self.raw(&header.to_string(), &claims.to_string())
    }

    /// A token of these very texts.
    pub(super) fn raw(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        format!("{signed}.{}", encode(self.sign(signed.as_bytes())))
    }
}

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key set of these keys.
pub(super) fn set(keys: &[&TestKey]) -> String {
    json!({ "keys": keys.iter().map(|k| k.jwk()).collect::<Vec<_>>() }).to_string()
}
