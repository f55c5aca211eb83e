//! JSON that every reader takes the same way: what policy saw is what the backend gets.
//!
//! serde_json reads, so there is no parser here; this refuses what it would take one way and another reader another:
//! a member twice, a number that can't be held exactly, nesting without end.

use crate::bind::DEPTH_MAX;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::{cell::RefCell, fmt};

/// Reads one value, and nothing behind it.
pub(crate) fn read(body: &[u8]) -> Result<Value, String> {
    if body.starts_with(b"\xEF\xBB\xBF") {
        return Err("it begins with a byte order mark".to_owned());
    }
    // Also inside of strings that serde_json would skip over.
    let text = std::str::from_utf8(body).map_err(|error| format!("byte {} is not UTF-8", error.valid_up_to()))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let literals = RefCell::new(Literals(text));
    let value = Strict { depth: 0, literals: &literals }.deserialize(&mut reader).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// Reads one value at a depth.
#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    literals: &'a RefCell<Literals<'a>>,
}

/// The numbers of a text as they were written, in their order, which is the order in which they are visited.
struct Literals<'a>(&'a str);

impl<'a> Literals<'a> {
    /// The next one. The text up to it has been parsed, so that strings need no more than their ends found.
    fn next(&mut self) -> &'a str {
        let mut bytes = self.0.bytes().enumerate();
        let (mut start, mut in_string) = (self.0.len(), false);
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'\\' if in_string => drop(bytes.next()),
                b'"' => in_string = !in_string,
                b'-' | b'0'..=b'9' if !in_string => {
                    start = at;
                    break;
                }
                _ => {}
            }
        }
        let rest = self.0.get(start..).unwrap_or_default();
        let end = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        let (literal, rest) = rest.split_at_checked(end).unwrap_or_default();
        self.0 = rest;
        literal
    }
}

impl Strict<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth < DEPTH_MAX {
            Ok(Self { depth: self.depth + 1, ..self })
        } else {
            Err(E::custom(format_args!("it is nested more than {DEPTH_MAX} deep")))
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        self.literals.borrow_mut().next();
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        self.literals.borrow_mut().next();
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Value, E> {
        // serde_json may be off by the last bit: the standard library's reading is the nearest there is.
        let literal = self.literals.borrow_mut().next();
        let number = literal.parse::<f64>().ok().filter(|number| is_exact(literal, *number));
        number.and_then(Number::from_f64).map(Value::Number).ok_or_else(|| E::custom("a number can't be held exactly"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom("an object has a member twice"));
            }
            object.insert(name, members.next_value_seed(inner)?);
        }
        Ok(Value::Object(object))
    }
}

/// Whether the number, written as short as can be, is what was written. Where two decimals are equally short and equally
/// near, writers differ: the standard library takes one, serde_json and most others the other.
fn is_exact(literal: &str, number: f64) -> bool {
    // A whole number that came here is too large for an integer, or the zero with a sign.
    let has_fraction_or_exponent = literal.contains(['.', 'e', 'E']);
    let Some(written) = decimal(literal).filter(|_| has_fraction_or_exponent) else { return false };
    let is = |text: &str| decimal(text).as_ref() == Some(&written);
    is(&format!("{number:e}")) || Number::from_f64(number).is_some_and(|number| is(&number.to_string()))
}

/// Sign, digits without outer zeros, and the power of ten of the last digit.
fn decimal(literal: &str) -> Option<(bool, String, i64)> {
    let (negative, literal) = literal.strip_prefix('-').map_or((false, literal), |rest| (true, rest));
    let (mantissa, exponent) = literal.split_once(['e', 'E']).unwrap_or((literal, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let kept = digits.trim_end_matches('0');
    let dropped = digits.len() - kept.len();
    let significant = kept.trim_start_matches('0').to_owned();
    if significant.is_empty() {
        return Some((negative, significant, 0));
    }
    let exponent: i64 = exponent.parse().ok()?;
    let places = i64::try_from(fraction.len()).ok()?.checked_sub(i64::try_from(dropped).ok()?)?;
    Some((negative, significant, exponent.checked_sub(places)?))
}
