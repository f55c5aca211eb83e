//! Where a function is: its address from name, region, qualifier and endpoint.

use super::{AwsLambdaConfig, CredentialsConfig, LambdaCall, SERVICE};
use crate::{
    backend::{
        ConfigError,
        endpoint::{self, Carries, bad, endpoint, shown},
        http::template::Template,
    },
    event::EventForm,
};
use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Longest name, ARN included, in bytes.
const FUNCTION_BYTES_MAX: usize = 256;

/// Longest region or qualifier, in bytes.
const WORD_BYTES_MAX: usize = 128;

/// What is not encoded in a path segment or query value that is signed.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What is wrong with the place.
pub(super) fn problems(config: &AwsLambdaConfig) -> Vec<ConfigError> {
    let checks = match (&config.function, &config.url) {
        (Some(function), None) => {
            [region(&config.region), name(function, config), qualifier(function, config), base(config).map(drop)]
        }
        (None, Some(url)) => [region(&config.region), function_url(url, config), only_api(config), Ok(())],
        (Some(_), Some(_)) => {
            [Err(bad("url", "a target has a `function` or a `url`".to_owned())), Ok(()), Ok(()), Ok(())]
        }
        (None, None) => {
            [Err(bad("function", "a target has a `function` or a `url`".to_owned())), Ok(()), Ok(()), Ok(())]
        }
    };
    checks.into_iter().filter_map(Result::err).collect()
}

/// The address that is called.
pub(super) fn uri(config: &AwsLambdaConfig) -> Result<Uri, ConfigError> {
    let encoded = |text| utf8_percent_encode(text, ENCODED);
    let base = base(config)?;
    let function = encoded(config.function.as_deref().unwrap_or_default());
    let mut text = match config.call {
        LambdaCall::Stream => format!("{base}/2021-11-15/functions/{function}/response-streaming-invocations"),
        LambdaCall::Sync | LambdaCall::Async | LambdaCall::DryRun => {
            format!("{base}/2015-03-31/functions/{function}/invocations")
        }
    };
    if let Some(qualifier) = &config.qualifier {
        text.push_str(&format!("?Qualifier={}", encoded(qualifier)));
    }
    text.parse().map_err(|_| bad("endpoint", format!("`{base}` is no address of a server")))
}

/// What is wrong with a region.
pub(in crate::backend) fn region(region: &str) -> Result<(), ConfigError> {
    let sound = region.len() <= WORD_BYTES_MAX
        && region.contains('-')
        && region.split('-').all(|word| !word.is_empty())
        && region.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if sound { Ok(()) } else { Err(bad("region", format!("`{}` is no region such as `eu-west-1`", shown(region)))) }
}

/// What is wrong with a function URL. Who proves itself does so to a region, and over TLS.
fn function_url(url: &str, config: &AwsLambdaConfig) -> Result<(), ConfigError> {
    let carries = Carries::of(config.credentials != CredentialsConfig::None);
    endpoint::template_of("url", url, carries)?;
    Template::parse(url)?;
    let host = url.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?', ':']).next().unwrap_or_default();
    let region =
        host.strip_suffix(".on.aws").and_then(|host| host.split_once(".lambda-url.")).map(|(_, region)| region);
    match region {
        Some(region) if region != config.region => {
            Err(bad("url", format!("the URL is of region `{}`, not `{}`", shown(region), shown(&config.region))))
        }
        Some(_) | None => Ok(()),
    }
}

/// Keys that are for calls through the Invoke API only: a function URL is a server of HTTP.
fn only_api(config: &AwsLambdaConfig) -> Result<(), ConfigError> {
    let message = |what: &str| format!("a function URL {what}");
    match config {
        _ if config.qualifier.is_some() => Err(bad("qualifier", message("is of one version or alias"))),
        _ if config.endpoint.is_some() => Err(bad("endpoint", message("is an address itself"))),
        _ if config.call != LambdaCall::default() => Err(bad("call", message("is always waited for"))),
        _ if config.event != EventForm::default() => Err(bad("event", message("makes the event itself"))),
        _ => Ok(()),
    }
}

fn name(function: &str, config: &AwsLambdaConfig) -> Result<(), ConfigError> {
    if config.credentials == CredentialsConfig::None {
        return Err(bad("credentials", "only a function URL is called without".to_owned()));
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':' | b'.' | b'$');
    let parts: Vec<&str> = function.split(':').collect();
    let shaped = match parts.as_slice() {
        ["arn", partition, "lambda", region, account, "function", name, rest @ ..] => {
            if *region != config.region {
                let message = format!("the ARN is of region `{}`, not `{}`", shown(region), shown(&config.region));
                return Err(bad("function", message));
            }
            partition.starts_with("aws") && !account.is_empty() && !name.is_empty() && rest.len() <= 1
        }
        ["arn", ..] => false,
        [account, "function", _, rest @ ..] => !account.is_empty() && rest.len() <= 1,
        _ => parts.len() <= 2,
    };
    let sound = shaped
        && (1..=FUNCTION_BYTES_MAX).contains(&function.len())
        && function.bytes().all(plain)
        && parts.iter().all(|part| !part.is_empty());
    let message = || format!("`{}` is no function: a name, `name:alias` or an ARN", shown(function));
    if sound { Ok(()) } else { Err(bad("function", message())) }
}

fn qualifier(function: &str, config: &AwsLambdaConfig) -> Result<(), ConfigError> {
    let Some(qualifier) = &config.qualifier else { return Ok(()) };
    let sound = (1..=WORD_BYTES_MAX).contains(&qualifier.len())
        && qualifier.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'$'));
    if !sound {
        return Err(bad("qualifier", format!("`{}` is no version or alias", shown(qualifier))));
    }
    let parts = function.split(':').count();
    let qualified = if function.starts_with("arn:") { parts == 8 } else { parts == 2 || parts == 4 };
    match qualified {
        true => Err(bad("qualifier", "the function names a version or alias already".to_owned())),
        false => Ok(()),
    }
}

/// The domain of a region's services.
pub(super) fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

/// Scheme and authority.
fn base(config: &AwsLambdaConfig) -> Result<String, ConfigError> {
    let Some(endpoint_written) = &config.endpoint else {
        return Ok(service(SERVICE, &config.region));
    };
    endpoint("endpoint", endpoint_written)
}

/// A service's address in a region.
pub(in crate::backend) fn service(service: &str, region: &str) -> String {
    format!("https://{service}.{region}.{}", domain(region))
}
