//! A function's own status as JSON: `{"error": {"code": 404, "message": …, "status": "NOT_FOUND", "details": […]}}`.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::HeaderMap;
use mesh::bind::transcode::{Binding, status::of_code};
use percent_encoding::percent_decode;
use proto::{
    prost::Message,
    rpc::{ErrorInfo, RetryInfo, Status},
    well_known::Any,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Largest details that are told, in bytes of JSON each.
const DETAIL_BYTES_MAX: u64 = 64 * 1024;

/// Details that say how the service is made: they are for its own people.
const INTERNAL: &str = "google.rpc.DebugInfo";

/// With and without padding, as the wire allows.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A status that is not OK.
#[derive(Debug)]
pub(super) struct Problem {
    code: u8,
    message: String,
    details: Vec<Any>,
}

impl Problem {
    /// From the fields of a status.
    pub(super) fn of(fields: &HeaderMap) -> Self {
        const UNKNOWN: u8 = 2;
        let text = |name: &str| fields.get(name).map(http::HeaderValue::as_bytes);
        let code = text("grpc-status").and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
        let message = percent_decode(text("grpc-message").unwrap_or_default()).decode_utf8_lossy().into_owned();
        let status = text("grpc-status-details-bin").and_then(|text| BASE64.decode(text).ok());
        let status = status.and_then(|bytes| Status::decode(&*bytes).ok()).unwrap_or_default();
        Self { code: code.unwrap_or(UNKNOWN), message, details: status.details }
    }

    /// The status of HTTP that stands for it.
    pub(super) fn http_status(&self) -> u16 {
        of_code(self.code).0
    }

    /// When to come back, in seconds, if it says so.
    pub(super) fn retry_after(&self) -> Option<u64> {
        let info = self.details.iter().find(|detail| name(detail) == "google.rpc.RetryInfo")?;
        let delay = RetryInfo::decode(&*info.value).ok()?.retry_delay?;
        let seconds = u64::try_from(delay.seconds).ok()?;
        Some(seconds + u64::from(delay.nanos > 0))
    }

    /// As JSON.
    pub(super) fn json(&self, binding: &Binding) -> String {
        let (http, status) = of_code(self.code);
        let mut error = json!({ "code": http, "message": self.message, "status": status });
        let told = self.details.iter().filter(|detail| name(detail) != INTERNAL);
        let details: Vec<Value> = told.filter_map(|detail| detail_json(binding, detail)).collect();
        if let (false, Some(members)) = (details.is_empty(), error.as_object_mut()) {
            members.insert("details".to_owned(), details.into());
        }
        json!({ "error": error }).to_string()
    }
}

fn name(detail: &Any) -> &str {
    detail.type_url.rsplit('/').next().unwrap_or_default()
}

/// A detail that the function's descriptors describe, or one of the two that services send most. Others are left out:
/// nobody could read them.
fn detail_json(binding: &Binding, detail: &Any) -> Option<Value> {
    let described = binding.method().any(&detail.type_url, &detail.value, DETAIL_BYTES_MAX);
    described.or_else(|| known(detail).filter(|_| detail.value.len() as u64 <= DETAIL_BYTES_MAX))
}

fn known(detail: &Any) -> Option<Value> {
    match name(detail) {
        "google.rpc.ErrorInfo" => {
            let ErrorInfo { reason, domain, metadata } = ErrorInfo::decode(&*detail.value).ok()?;
            let metadata: BTreeMap<String, String> = metadata.into_iter().collect();
            Some(json!({ "@type": detail.type_url, "reason": reason, "domain": domain, "metadata": metadata }))
        }
        "google.rpc.RetryInfo" => {
            let delay = RetryInfo::decode(&*detail.value).ok()?.retry_delay.unwrap_or_default();
            let thousandths = u32::try_from(delay.nanos).unwrap_or_default() / 1_000_000;
            Some(json!({ "@type": detail.type_url, "retryDelay": format!("{}.{thousandths:03}s", delay.seconds) }))
        }
        _ => None,
    }
}
