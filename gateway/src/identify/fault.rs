//! What can be wrong with a credential, in fixed words: never the credential's own.

use crate::refusal::{Challenge, Scheme};
use std::fmt;

/// Why a credential that is present is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// `Authorization` came more than once.
    HeaderRepeated,
    /// Not the Bearer scheme, or nothing after it.
    OtherScheme,
    /// Longer than a token may be.
    TooLong,
    /// Not three parts with dots between.
    Parts,
    /// A part is not base64url, or padded, or has stray bits.
    Encoding,
    /// Header or claims are no JSON object, or repeat a member.
    Json,
    /// `alg` is none of the issuer's.
    Algorithm,
    /// `crit`, `b64`, `zip`, `jwk`, `jku`, `x5c` or `x5u`.
    HeaderMember,
    /// `typ` is not that of a token.
    Type,
    /// `kid` is not a short text.
    KeyId,
    /// `iss` is none of the issuers that count here.
    Issuer,
    /// The issuer has no such key.
    UnknownKey,
    /// No `kid`, and the issuer has several keys.
    KeyNotNamed,
    /// The key is not for this algorithm.
    KeyAlgorithm,
    /// The signature is not the key's.
    Signature,
    /// A date is not a number, or not a date.
    Date,
    /// No `exp`.
    ExpiryMissing,
    /// `exp` is over.
    Expired,
    /// `nbf` is to come.
    NotYet,
    /// `iat` is to come.
    IssuedLater,
    /// `aud` is missing, malformed, or names others.
    Audience,
    /// `sub` is missing, empty, too long or malformed.
    Subject,
    /// The claim of groups is malformed.
    Groups,
    /// More groups than a token may name.
    GroupsTooMany,
    /// The issuer keeps the groups elsewhere.
    GroupsElsewhere,
    /// A claim that becomes an attribute has the wrong type.
    Attribute,
    /// `scope`, `scp`, `auth_time`, `acr` or `amr` is malformed.
    Claim,
    /// `cnf`: only the holder of a key may use the token, and nothing here proves that.
    SenderBound,
    /// The client certificate can't be read, or repeats an extension.
    CertificateForm,
    /// Not exactly one URI among the names of the client certificate.
    CertificateName,
    /// The URI is no SPIFFE ID of a workload.
    CertificateId,
    /// The client certificate is an authority's.
    CertificateLeaf,
    /// Its key usages are not those of an SVID.
    CertificateUsage,
    /// Its trust domain does not count here.
    CertificateTrustDomain,
    /// It ended while the connection was open.
    CertificateExpired,
    /// The authority that vouched does not count any more.
    CertificateAuthority,
    /// The header of API keys came more than once.
    KeyRepeated,
    /// Not an API key, or copied wrongly.
    KeyForm,
    /// An API key of an alias that does not count here.
    KeyIssuer,
    /// No such API key.
    KeyUnknown,
    /// It was revoked.
    KeyRevoked,
    /// It is over.
    KeyExpired,
    /// Signature, id or timestamp of a webhook is missing, repeated or malformed.
    WebhookForm,
    /// Its timestamp is too far from now.
    WebhookStale,
    /// No signature of it is right.
    WebhookSignature,
    /// It came before.
    WebhookReplayed,
    /// Good, but further credentials are needed with it.
    CredentialsIncomplete,
    /// Several good ones, and each names a caller.
    SeveralCallers,
}

impl Fault {
    /// Every fault, for the golden table.
    pub const ALL: [Self; 48] = [
        Self::HeaderRepeated,
        Self::OtherScheme,
        Self::TooLong,
        Self::Parts,
        Self::Encoding,
        Self::Json,
        Self::Algorithm,
        Self::HeaderMember,
        Self::Type,
        Self::KeyId,
        Self::Issuer,
        Self::UnknownKey,
        Self::KeyNotNamed,
        Self::KeyAlgorithm,
        Self::Signature,
        Self::Date,
        Self::ExpiryMissing,
        Self::Expired,
        Self::NotYet,
        Self::IssuedLater,
        Self::Audience,
        Self::Subject,
        Self::Groups,
        Self::GroupsTooMany,
        Self::GroupsElsewhere,
        Self::Attribute,
        Self::Claim,
        Self::SenderBound,
        Self::CertificateForm,
        Self::CertificateName,
        Self::CertificateId,
        Self::CertificateLeaf,
        Self::CertificateUsage,
        Self::CertificateTrustDomain,
        Self::CertificateExpired,
        Self::CertificateAuthority,
        Self::KeyRepeated,
        Self::KeyForm,
        Self::KeyIssuer,
        Self::KeyUnknown,
        Self::KeyRevoked,
        Self::KeyExpired,
        Self::WebhookForm,
        Self::WebhookStale,
        Self::WebhookSignature,
        Self::WebhookReplayed,
        Self::CredentialsIncomplete,
        Self::SeveralCallers,
    ];

    /// The words for the caller.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::HeaderRepeated => "the authorization header came more than once",
            Self::OtherScheme => "the credential is not a bearer token",
            Self::TooLong => "the token is too long",
            Self::Parts => "the token does not have three parts",
            Self::Encoding => "a part of the token is not base64url without padding",
            Self::Json => "header or claims are not a JSON object with unique members",
            Self::Algorithm => "the signature algorithm is not accepted",
            Self::HeaderMember => "the header has a member that is not accepted",
            Self::Type => "the token is not of type JWT or at+jwt",
            Self::KeyId => "the key id is malformed",
            Self::Issuer => "the issuer is not accepted here",
            Self::UnknownKey => "the issuer has no key with this id",
            Self::KeyNotNamed => "the token names no key and the issuer has not exactly one",
            Self::KeyAlgorithm => "the key is not for this algorithm",
            Self::Signature => "the signature is not valid",
            Self::Date => "a date of the token is not a number of seconds in range",
            Self::ExpiryMissing => "the token has no expiry",
            Self::Expired => "the token has expired",
            Self::NotYet => "the token is not valid yet",
            Self::IssuedLater => "the token was issued in the future",
            Self::Audience => "the token is not for this audience",
            Self::Subject => "the subject of the token is missing or malformed",
            Self::Groups => "the groups of the token are malformed",
            Self::GroupsTooMany => "the token names too many groups",
            Self::GroupsElsewhere => "the token does not hold its groups but refers to them",
            Self::Attribute => "a claim that is an attribute here has the wrong type",
            Self::Claim => "a claim of the token has the wrong type",
            Self::SenderBound => "the token is bound to a key (cnf), which can't be checked here",
            Self::CertificateForm => "the client certificate is malformed",
            Self::CertificateName => "the client certificate does not have exactly one URI name",
            Self::CertificateId => "the client certificate does not name a workload by a SPIFFE ID",
            Self::CertificateLeaf => "the client certificate belongs to an authority",
            Self::CertificateUsage => "the key usages of the client certificate are not those of an SVID",
            Self::CertificateTrustDomain => "the trust domain of the client certificate is not accepted here",
            Self::CertificateExpired => "the client certificate has expired",
            Self::CertificateAuthority => "the authority of the client certificate is not accepted any more",
            Self::KeyRepeated => "the header of the API key came more than once",
            Self::KeyForm => "the API key is malformed or mistyped",
            Self::KeyIssuer => "the API key is not accepted here",
            Self::KeyUnknown => "there is no such API key",
            Self::KeyRevoked => "the API key has been revoked",
            Self::KeyExpired => "the API key has expired",
            Self::WebhookForm => "the signature of the webhook is incomplete or malformed",
            Self::WebhookStale => "the timestamp of the webhook is more than five minutes off",
            Self::WebhookSignature => "no signature of the webhook is valid",
            Self::WebhookReplayed => "the webhook was delivered before",
            Self::CredentialsIncomplete => "the credential is not enough here: another is needed with it",
            Self::SeveralCallers => "the credentials name more than one caller",
        }
    }

    /// The scheme that it is about; `None` when it is about several.
    #[must_use]
    pub const fn scheme(self) -> Option<Scheme> {
        match self {
            Self::CertificateForm
            | Self::CertificateName
            | Self::CertificateId
            | Self::CertificateLeaf
            | Self::CertificateUsage
            | Self::CertificateTrustDomain
            | Self::CertificateExpired
            | Self::CertificateAuthority => Some(Scheme::Certificate),
            Self::KeyRepeated
            | Self::KeyForm
            | Self::KeyIssuer
            | Self::KeyUnknown
            | Self::KeyRevoked
            | Self::KeyExpired => Some(Scheme::ApiKey),
            Self::WebhookForm | Self::WebhookStale | Self::WebhookSignature | Self::WebhookReplayed => {
                Some(Scheme::Webhook)
            }
            Self::CredentialsIncomplete | Self::SeveralCallers => None,
            _ => Some(Scheme::Bearer),
        }
    }

    /// What `WWW-Authenticate` says.
    #[must_use]
    pub fn challenge(self) -> Challenge {
        let scheme = self.scheme();
        match self {
            // RFC 6750: a caller that used another scheme is told no error, only that Bearer is wanted.
            Self::OtherScheme => Challenge::default(),
            fault => Challenge {
                error: Some(scheme.map_or("invalid_request", Scheme::error)),
                description: Some(fault.words()),
                scheme,
                offers: Vec::new(),
            },
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl std::error::Error for Fault {}
