//! Values of an example as people read them: Cedar's JSON spells times, addresses and entities out.

use cedar_policy::EntityUid;
use jiff::Timestamp;
use serde_json::Value;

/// A value in words; what is not known here stays as it is.
pub(super) fn plain(value: &Value) -> String {
    if let Some(members) = value.get("__extn") {
        return extension(members).unwrap_or_else(|| value.to_string());
    }
    if let Some(uid) = value.get("__entity").and_then(|uid| EntityUid::from_json(uid.clone()).ok()) {
        return uid.to_string();
    }
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// `datetime`, `ip` and such; a time is written as an offset of milliseconds from another.
fn extension(members: &Value) -> Option<String> {
    let name = members.get("fn")?.as_str()?;
    if let Some(text) = members.get("arg").and_then(Value::as_str) {
        return Some(format!("{name}(\"{text}\")"));
    }
    let [from, by] = members.get("args")?.as_array()?.as_slice() else { return None };
    let inner = |value: &Value| value.pointer("/__extn/arg").and_then(Value::as_str).map(str::to_owned);
    if name != "offset" || inner(from)? != "1970-01-01" {
        return None;
    }
    let milliseconds = inner(by)?.strip_suffix("ms")?.parse().ok()?;
    Timestamp::from_millisecond(milliseconds).ok().map(|at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_addresses_and_entities_are_written_as_people_write_them() {
        let extn = |inner: Value| json!({ "__extn": inner });
        let one = |name: &str, arg: &str| extn(json!({ "fn": name, "arg": arg }));
        let at = |ms: &str| json!({ "fn": "offset", "args": [one("datetime", "1970-01-01"), one("duration", ms)] });
        assert_eq!(plain(&extn(at("4102444799999ms"))), "2099-12-31T23:59:59.999Z");
        assert_eq!(plain(&one("ip", "10.0.0.0/8")), "ip(\"10.0.0.0/8\")");
        let entity = json!({ "__entity": { "type": "User", "id": "corp/a\"" } });
        assert_eq!(plain(&json!([entity, 1, "x"])), "[User::\"corp/a\\\"\", 1, \"x\"]");
        // A time that no calendar has stays as the solver wrote it.
        let far = extn(at("9223372036854775807ms"));
        assert_eq!(plain(&far), far.to_string());
    }
}
