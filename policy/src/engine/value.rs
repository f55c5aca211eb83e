//! JSON, text and time as Cedar values of a declared type; what doesn't fit is refused, never rounded.

use crate::vocabulary::shape::{Field, Shape};
use cedar_policy_core::{
    ast::{EntityUID, ExtensionFunction, Literal, PartialValue, Set, Value as Cedar, ValueKind},
    extensions::Extensions,
};
use jiff::Timestamp;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::IpAddr,
    sync::{Arc, LazyLock},
};

/// Up to here a double keeps four decimal places exactly.
const DECIMAL_MAX: f64 = 9.0e11;
/// Up to here a double keeps whole numbers exactly.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// A function of Cedar that makes a value of text.
type Constructor = LazyLock<Option<&'static ExtensionFunction>>;

static IP: Constructor = LazyLock::new(|| constructor("ip"));
static DECIMAL: Constructor = LazyLock::new(|| constructor("decimal"));
static DATETIME: Constructor = LazyLock::new(|| constructor("datetime"));

static EMPTY: LazyLock<Cedar> = LazyLock::new(|| Cedar::empty_record(None));

/// Makes a value of a declared type. `at` names the place in errors.
pub(crate) fn value(shape: &Shape, json: &Value, at: &str) -> Result<Cedar, String> {
    let misfit = |what: &str| Err(format!("`{at}` is not {what}"));
    match (shape, json) {
        (Shape::Bool, Value::Bool(value)) => Ok((*value).into()),
        (Shape::String, Value::String(value)) => Ok(value.as_str().into()),
        (Shape::Long, Value::Number(number)) => match whole(number) {
            Some(value) => Ok(value.into()),
            None => misfit("a whole number of 64 bits"),
        },
        (Shape::Decimal, Value::Number(number)) => match decimal(number) {
            Some(text) => made(&DECIMAL, &text),
            None => misfit("a number of at most four decimal places within range"),
        },
        (Shape::Datetime, Value::String(text)) => match datetime(text) {
            Some(text) => made(&DATETIME, &text),
            None => misfit("a date and time in whole milliseconds"),
        },
        (Shape::Date, Value::String(text)) => match date(text) {
            Some(text) => made(&DATETIME, &text),
            None => misfit("a date of the years 0 to 9999"),
        },
        (Shape::Ip, Value::String(text)) => match text.parse() {
            Ok(address) => ip(address),
            Err(_) => misfit("an IP address"),
        },
        (Shape::Set(item), Value::Array(values)) => {
            let values: Result<Vec<_>, _> =
                values.iter().enumerate().map(|(i, json)| value(item, json, &format!("{at}[{i}]"))).collect();
            Ok(Cedar::set(values?, None))
        }
        (Shape::Record(fields), Value::Object(members)) => {
            let mut record = BTreeMap::new();
            for Field { name, required, nullable, shape } in fields.iter() {
                match members.get(name.as_ref()) {
                    Some(Value::Null) if *nullable => None,
                    // The place is only for errors, and most values are fine.
                    Some(json) => match leaf(shape, json) {
                        Some(value) => record.insert(name.as_ref().into(), value),
                        None => record.insert(name.as_ref().into(), value(shape, json, &format!("{at}.{name}"))?),
                    },
                    None if *required => return Err(format!("`{at}.{name}` is missing")),
                    None => None,
                };
            }
            Ok(Cedar::record_arc(Arc::new(record), None))
        }
        (Shape::Bool, _) => misfit("true or false"),
        (Shape::String, _) => misfit("text"),
        (Shape::Long | Shape::Decimal, _) => misfit("a number"),
        (Shape::Datetime | Shape::Date | Shape::Ip, _) => misfit("text"),
        (Shape::Set(_), _) => misfit("an array"),
        (Shape::Record(_), _) => misfit("an object"),
    }
}

/// A value that needs no work, if it fits.
fn leaf(shape: &Shape, json: &Value) -> Option<Cedar> {
    match (shape, json) {
        (Shape::Bool, Value::Bool(value)) => Some((*value).into()),
        (Shape::String, Value::String(value)) => Some(value.as_str().into()),
        (Shape::Long, Value::Number(number)) => number.as_i64().map(Cedar::from),
        _ => None,
    }
}

/// Makes a record; of two members of one name the last counts.
pub(crate) fn record<'a>(members: impl IntoIterator<Item = (&'a str, Cedar)>) -> Cedar {
    let mut record = BTreeMap::new();
    for (name, value) in members {
        record.insert(name.into(), value);
    }
    if record.is_empty() { EMPTY.clone() } else { Cedar::record_arc(Arc::new(record), None) }
}

/// Makes a set of texts.
pub(crate) fn texts<'a>(texts: impl IntoIterator<Item = &'a Arc<str>>) -> Cedar {
    let (mut ordered, mut hashed) = (BTreeSet::new(), HashSet::new());
    for text in texts {
        let text = Literal::from(text.as_ref());
        ordered.insert(Cedar::from(text.clone()));
        hashed.insert(text);
    }
    // INVARIANT: a set of literals has both, and both the same.
    Cedar::new(ValueKind::Set(Set { authoritative: Arc::new(ordered), fast: Some(Arc::new(hashed)) }), None)
}

/// Names an entity.
pub(crate) fn entity(uid: &Arc<EntityUID>) -> Cedar {
    Literal::from(Arc::clone(uid)).into()
}

/// An address; IPv4 written as IPv6 is the IPv4 address, or a range in policy could be walked around.
pub(crate) fn ip(address: IpAddr) -> Result<Cedar, String> {
    made(&IP, &address.to_canonical().to_string())
}

/// An instant as the gateway knows it, to the millisecond.
pub(crate) fn instant(at: Timestamp) -> Result<Cedar, String> {
    let text = instant_text(at).ok_or_else(|| format!("the year of `{at}` is outside 0 to 9999"))?;
    made(&DATETIME, &text)
}

fn constructor(name: &str) -> Option<&'static ExtensionFunction> {
    let name = name.parse().ok()?;
    Extensions::all_available().func(&name).ok()
}

fn made(constructor: &Constructor, text: &str) -> Result<Cedar, String> {
    let constructor = constructor.as_ref().ok_or("this build of Cedar lacks an extension type")?;
    match constructor.call(&[Cedar::from(text)]) {
        Ok(PartialValue::Value(value)) => Ok(value),
        Ok(PartialValue::Residual(_)) => Err(format!("`{text}` has no value")),
        Err(error) => Err(error.to_string()),
    }
}

fn instant_text(at: Timestamp) -> Option<String> {
    let at = at.to_zoned_datetime(jiff::tz::TimeZone::UTC);
    let (year, month, day) = (u16::try_from(at.year()).ok()?, at.month(), at.day());
    let (hour, minute, second, milli) = (at.hour(), at.minute(), at.second(), at.millisecond());
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"))
}

fn datetime(text: &str) -> Option<String> {
    let at: Timestamp = text.parse().ok()?;
    (at.subsec_nanosecond() % 1_000_000 == 0).then(|| instant_text(at))?
}

fn date(text: &str) -> Option<String> {
    let day: jiff::civil::Date = text.parse().ok()?;
    (day.year() >= 0 && day.to_string() == text).then(|| text.to_owned())
}

fn whole(number: &serde_json::Number) -> Option<i64> {
    if let Some(value) = number.as_i64() {
        return Some(value);
    }
    // JSON Schema calls 1.0 an integer; a double beyond 2^53 may stand for another number.
    let value = number.as_f64().filter(|_| number.is_f64())?;
    (value.fract() == 0.0 && value.abs() < WHOLE_MAX).then(|| format!("{value:.0}").parse().ok())?
}

fn decimal(number: &serde_json::Number) -> Option<String> {
    if let Some(value) = number.as_i64() {
        return Some(format!("{value}.0"));
    }
    let value = number.as_f64().filter(|value| number.is_f64() && value.abs() < DECIMAL_MAX)?;
    let text = format!("{value}");
    match text.split_once('.') {
        Some((_, places)) if places.len() <= 4 => Some(text),
        Some(_) => None,
        None => Some(format!("{text}.0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fits(shape: &Shape, json: Value) -> Result<String, String> {
        value(shape, &json, "input").map(|value| value.to_string())
    }

    #[test]
    fn integers_outside_64_bits_are_refused_never_rounded() {
        assert_eq!(fits(&Shape::Long, json!(i64::MAX)).unwrap(), "9223372036854775807");
        assert_eq!(fits(&Shape::Long, json!(3.0)).unwrap(), "3");
        assert_eq!(fits(&Shape::Long, json!(-0.0)).unwrap(), "0");
        for json in [json!(9_223_372_036_854_775_808_u64), json!(1.5), json!(1e17), json!("1"), json!(null)] {
            assert!(fits(&Shape::Long, json.clone()).is_err(), "{json}");
        }
    }

    #[test]
    fn decimals_keep_four_places_or_are_refused() {
        for (json, expected) in
            [(json!(10), "10.0"), (json!(0.1), "0.1"), (json!(-12.3456), "-12.3456"), (json!(5.0), "5.0")]
        {
            let found = fits(&Shape::Decimal, json).unwrap();
            assert!(found.contains(&format!("\"{expected}\"")) || found.contains(expected), "{found}");
        }
        for json in [json!(0.00001), json!(1e12), json!(i64::MAX), json!("1.0")] {
            assert!(fits(&Shape::Decimal, json.clone()).is_err(), "{json}");
        }
    }

    #[test]
    fn times_and_addresses_are_read_strictly() {
        assert!(
            fits(&Shape::Datetime, json!("2026-11-23T10:00:00+01:00")).unwrap().contains("2026-11-23T09:00:00.000Z")
        );
        assert!(fits(&Shape::Datetime, json!("2026-11-23T10:00:00.123Z")).is_ok());
        for text in ["2026-11-23T10:00:00.1234Z", "2026-11-23", "-000044-03-15T00:00:00Z", "x"] {
            assert!(fits(&Shape::Datetime, json!(text)).is_err(), "{text}");
        }
        assert!(fits(&Shape::Date, json!("2026-11-23")).unwrap().contains("2026-11-23"));
        for text in ["2026-11-23T10:00:00Z", "2026-13-01", "23.11.2026", "-0044-03-15", "20261123"] {
            assert!(fits(&Shape::Date, json!(text)).is_err(), "{text}");
        }
        assert!(fits(&Shape::Ip, json!("::ffff:10.0.0.1")).unwrap().contains("10.0.0.1"));
        assert!(fits(&Shape::Ip, json!("2001:db8::1")).is_ok());
        for text in ["10.0.0.0/8", "10.0.0", "host"] {
            assert!(fits(&Shape::Ip, json!(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn objects_need_their_required_members() {
        let shape =
            Shape::Record([Field { name: "a".into(), required: true, nullable: false, shape: Shape::Bool }].into());
        assert_eq!(fits(&shape, json!({ "b": 1 })).unwrap_err(), "`input.a` is missing");
        assert_eq!(fits(&shape, json!({ "a": 1 })).unwrap_err(), "`input.a` is not true or false");
        let optional =
            Shape::Record([Field { name: "a".into(), required: false, nullable: true, shape: Shape::Bool }].into());
        assert_eq!(fits(&optional, json!({ "a": null })).unwrap(), fits(&optional, json!({})).unwrap());
        assert_eq!(fits(&shape, json!({ "a": null })).unwrap_err(), "`input.a` is not true or false");
        let set = Shape::Set(Box::new(shape));
        assert_eq!(fits(&set, json!([{ "a": true }, []])).unwrap_err(), "`input[1]` is not an object");
    }
}
