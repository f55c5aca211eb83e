//! `[price.*]`: amounts that can be reckoned with, one currency, and where and when they were published.

use super::calendar;
use crate::config::{
    raw,
    raw::{At, Named},
    value::{Desk, shorten},
};
use jiff::{Timestamp, tz::TimeZone};
use mesh::cost::{PICO, Price};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Largest amount, in the currency.
const AMOUNT_MAX: f64 = 1e6;
/// Most of a GiB and second, and of a second.
const RATE_MAX: f64 = 1e3;
/// From when on a price is old.
const OLD_SECONDS: i64 = 400 * 86_400;
const MILLION: f64 = 1e6;
const MILLISECOND: Duration = Duration::from_millis(1);
const TIME_MAX: Duration = Duration::from_secs(3600);
const MEMORY_MAX: u64 = 1 << 20;
const UNIT_BYTES_MAX: u64 = 1 << 40;

/// Prices by name.
pub(crate) type Prices = BTreeMap<Arc<str>, Arc<Price>>;

pub(crate) fn prices(written: &Named<raw::Price>, known: &mut Prices, desk: &mut Desk<'_>) {
    for (name, table) in written {
        let named = desk.name("a price", name);
        let Some((named, price)) = named.clone().zip(price(name, named, table, desk)) else { continue };
        if let (Some(other), Some(currency)) =
            (known.values().find(|other| other.currency != price.currency), &table.currency)
        {
            let message = format!("price `{}` is in {}, so this one can't be in another", other.name, other.currency);
            desk.error_help("two_currencies", &currency.span, message, "one currency for all");
        }
        if known.contains_key(&named) {
            desk.error("duplicate_price", &name.span, format!("there are two prices `{named}`"));
        }
        known.insert(named, Arc::new(price));
    }
}

fn price(name: &At<String>, named: Option<Arc<str>>, table: &raw::Price, desk: &mut Desk<'_>) -> Option<Price> {
    let currency = desk.required("currency", &table.currency, &name.span);
    let source = desk.required("source", &table.source, &name.span);
    let date = desk.required("date", &table.date, &name.span);
    let currency = currency.filter(|written| {
        let good = written.value.len() == 3 && written.value.bytes().all(|b| b.is_ascii_uppercase());
        if !good {
            let message = format!("`{}` is no currency", shorten(&written.value));
            desk.error_help("bad_currency", &written.span, message, "three letters, such as `USD`");
        }
        good
    });
    let date = date.and_then(|written| {
        let date = calendar::date(written, desk)?;
        let begin = TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
        if Timestamp::now().as_second() - begin.as_second() > OLD_SECONDS {
            let message = "the price was looked up more than 400 days ago, so estimates may be wrong";
            desk.warn("old_price", &written.span, message, "look it up again, and move `date`");
        }
        Some(date)
    });
    if table.per_million_units.is_some() != table.unit_bytes.is_some() {
        let message = "`per_million_units` and `unit_bytes` mean nothing without each other";
        desk.error("bad_price", &name.span, message);
    }
    let per_million = |written: &Option<At<f64>>, desk: &mut Desk<'_>| amount(written, MILLION, AMOUNT_MAX, desk);
    let unit_bytes = desk.number(table.unit_bytes.as_ref(), 1, 1..=UNIT_BYTES_MAX);
    let unit = per_million(&table.per_million_units, desk);
    let mib = |written: &Option<At<i64>>, desk: &mut Desk<'_>| {
        u32::try_from(desk.number(written.as_ref(), 1, 1..=MEMORY_MAX)).unwrap_or(1)
    };
    let call = per_million(&table.per_million_calls, desk);
    let gib_second = amount(&table.per_gib_second, 1.0, RATE_MAX, desk);
    let second = amount(&table.per_second, 1.0, RATE_MAX, desk);
    let time = |written: &Option<At<String>>, desk: &mut Desk<'_>| {
        desk.duration(written.as_ref(), MILLISECOND, Duration::from_nanos(1)..=TIME_MAX)
    };
    let (time_step, time_min) = (time(&table.time_step, desk), time(&table.time_min, desk));
    let (memory_step_mib, memory_min_mib) = (mib(&table.memory_step_mib, desk), mib(&table.memory_min_mib, desk));
    let price = Price {
        name: named?,
        currency: currency?.value.as_str().into(),
        source: source?.value.as_str().into(),
        date: date?,
        call,
        gib_second,
        second,
        unit: table.per_million_units.as_ref().map(|_| (unit, unit_bytes)),
        time_step,
        time_min,
        memory_step_mib,
        memory_min_mib,
        init_billed: table.init_billed,
    };
    if price.call == 0 && price.gib_second == 0 && price.second == 0 && price.unit.is_none() {
        let message = "everything is free by this price";
        desk.warn("free_price", &name.span, message, "`per_million_calls`, `per_gib_second`, `per_second`, …");
    }
    Some(price)
}

/// An amount for so many, in the unit that costs are reckoned in.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within what is checked")]
pub(crate) fn amount(written: &Option<At<f64>>, many: f64, max: f64, desk: &mut Desk<'_>) -> u64 {
    let Some(written) = written else { return 0 };
    if !(0.0..=max).contains(&written.value) {
        let message = format!("{} is not between 0 and {max}", written.value);
        desk.error("out_of_range", &written.span, message);
        return 0;
    }
    (written.value / many * PICO).round() as u64
}
