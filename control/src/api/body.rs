//! Bodies as clients send them: JSON, a sheet of rates as CSV, or the ranges of a geo set as JSON, as CSV,
//! or as the plain list in which countries are published. Sheets and lists are read here, beside the loop.
//!
//! Withstands what only looks like JSON. A field that is said twice is refused, for nobody knows which
//! was meant; depth and size have limits.

use std::fmt;
use std::sync::Arc;

use axum::http::HeaderMap;
use guard::GeoSet;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Value};

use super::routes::{Route, Takes};
use crate::Refusal;
use crate::state::entity::{EntryRow, GeoRow, RateRow, parse};

/// Longest body: a sheet of a million rates.
pub(super) const BYTES_MAX: usize = 128 << 20;
/// Longest JSON: in memory it is many times as large.
const JSON_BYTES_MAX: usize = 8 << 20;

/// What a body says.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// A value; null where it is a sheet.
    pub(super) value: Value,
    /// Rates of a sheet.
    pub(super) rates: Vec<RateRow>,
    /// Ranges of a geo set.
    pub(super) ranges: Option<Arc<GeoSet>>,
}

/// Reads what a body says.
pub(super) fn read(route: &Route, headers: &HeaderMap, body: &[u8]) -> Result<Said, Refusal> {
    let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let is = |wanted: &str| kind.starts_with(wanted) && !body.is_empty();
    match route.takes {
        Takes::Ranges(_) => {
            let set = if is("text/csv") {
                set_of(sheet::<GeoRow>(body)?)?
            } else if is("text/plain") {
                list(body)?
            } else {
                let value = if body.is_empty() { Value::Null } else { json(body)? };
                route.check_body(&value)?;
                set_of(rows(value)?)?
            };
            Ok(Said { ranges: Some(Arc::new(set)), ..Said::default() })
        }
        Takes::Many(_) if is("text/csv") => Ok(Said { rates: sheet(body)?, ..Said::default() }),
        _ if is("text/csv") => Err(no_sheet()),
        _ => {
            let value = if body.is_empty() { Value::Null } else { json(body)? };
            route.check_body(&value)?;
            Ok(Said { value, ..Said::default() })
        }
    }
}

fn no_sheet() -> Refusal {
    let detail = "send application/json; only rates and ranges come as CSV";
    Refusal::new(415, "no sheet is taken here", detail)
}

fn sheet<T: DeserializeOwned>(body: &[u8]) -> Result<Vec<T>, Refusal> {
    let mut rows = Vec::new();
    for (index, row) in csv::Reader::from_reader(body).deserialize().enumerate() {
        let line = index + 2;
        rows.push(row.map_err(|error| Refusal::invalid(format!("line {line}: {error}")))?);
    }
    if rows.is_empty() {
        return Err(Refusal::invalid("the sheet has nothing below its header"));
    }
    Ok(rows)
}

/// Ranges in JSON: one, or several.
fn rows(value: Value) -> Result<Vec<GeoRow>, Refusal> {
    match value {
        Value::Array(items) => items.into_iter().map(parse).collect(),
        one => Ok(vec![parse(one)?]),
    }
}

fn set_of(rows: Vec<GeoRow>) -> Result<GeoSet, Refusal> {
    let ranges: Result<Vec<_>, Refusal> = rows
        .iter()
        .enumerate()
        .map(|(index, row)| {
            let number = index + 1;
            row.range().map_err(|no| Refusal::invalid(format!("range {number}: {}", no.detail)))
        })
        .collect();
    GeoSet::build(ranges?).map_err(|fault| Refusal::invalid(format!("ranges: {fault}")))
}

/// Prefixes in JSON: one, or several.
pub(super) fn prefixes(body: &[u8]) -> Result<Vec<String>, Refusal> {
    let rows = match json(body)? {
        Value::Array(items) => items,
        one => vec![one],
    };
    rows.into_iter().map(|row| parse::<EntryRow>(row).map(|row| row.prefix)).collect()
}

/// A list with one range in each line.
fn list(body: &[u8]) -> Result<GeoSet, Refusal> {
    let text =
        std::str::from_utf8(body).map_err(|_| Refusal::invalid("the list is no text in UTF-8"))?;
    guard::geo::read_list(text).map_err(|(line, fault)| match line {
        0 => Refusal::invalid(format!("the list: {fault}")),
        line => Refusal::invalid(format!("line {line}: {fault}")),
    })
}

fn json(body: &[u8]) -> Result<Value, Refusal> {
    if body.len() > JSON_BYTES_MAX {
        let detail =
            format!("JSON has up to {JSON_BYTES_MAX} bytes; send many rates as text/csv instead");
        return Err(Refusal::new(413, "body too large", detail));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    Strict
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| Refusal::new(400, "body is no JSON", error.to_string()))
}

/// Makes a [`Value`] of JSON in which no field stands twice.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = items.next_key::<String>()? {
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format!("{name:?} stands here twice")));
            }
            fields.insert(name, items.next_value_seed(Self)?);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::routes;

    const SHEET: &[u8] =
        b"prefix,rate,unit_s,minimum_s,increment_s,connection_fee\n44,0.01,60,1,1,0\n33,x,60,1,1,0\n";

    fn read_sheet(method: &str, path: &[&str], sheet: &[u8]) -> Result<Vec<RateRow>, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "text/csv".parse().unwrap());
        read(routes::find(method, path).unwrap(), &headers, sheet).map(|said| said.rates)
    }

    #[test]
    fn a_rate_sheet_says_which_line_is_wrong() {
        let path = ["tariff", "x", "rate"];
        let refusal = read_sheet("post", &path, SHEET).unwrap_err();
        assert!(refusal.detail.contains("line 3"), "{}", refusal.detail);
        let right = &SHEET[..SHEET.len() - 14];
        assert_eq!(read_sheet("post", &path, right).unwrap().len(), 1);
        assert_eq!(read_sheet("post", &["account"], right).unwrap_err().status, 415);
        assert!(read_sheet("put", &path, b"prefix,rate\n").is_err(), "it would remove all rates");
    }

    #[test]
    fn ranges_come_as_json_as_a_sheet_and_as_the_list_of_a_country() {
        let path = ["firewall", "geo", "zz", "range"];
        let route = routes::find("put", &path).unwrap();
        let said = |kind: &'static str, body: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", kind.parse().unwrap());
            let set = read(route, &headers, body).map(|said| said.ranges.unwrap());
            set.map(|set| set.prefixes().map(|(ip, bits)| format!("{ip}/{bits}")).collect())
                .map_err(|refusal| refusal.detail)
        };
        let both: Result<Vec<String>, String> = Ok(vec!["192.0.2.0/30".into(), "::1/128".into()]);
        let both = both.map(|mut it| {
            it.sort();
            it
        });
        let sorted = |it: Result<Vec<String>, String>| {
            it.map(|mut it| {
                it.sort();
                it
            })
        };
        let one = br#"[{"range": "192.0.2.0", "addresses": 4}, {"range": "::1"}]"#;
        assert_eq!(sorted(said("application/json", one)), both);
        let sheet = b"range,addresses\n192.0.2.0,4\n::1,\n";
        assert_eq!(sorted(said("text/csv", sheet)), both);
        assert_eq!(sorted(said("text/plain", b"# ZZ\n192.0.2.0/30\n::1\n")), both);
        let wrong = |kind, body| said(kind, body).unwrap_err();
        assert!(wrong("text/plain", b"192.0.2.0/30\nx\n").contains("line 2"));
        assert!(wrong("text/csv", b"range\n192.0.2.9-192.0.2.1\n").contains("range 1"));
        assert!(
            wrong("application/json", br#"{"range": "::1", "addresses": 0}"#)
                .contains("no address")
        );
        assert!(
            wrong("application/json", br#"{"range": "::/8", "addresses": 2}"#).contains("::/8")
        );
        assert!(wrong("text/plain", b"\xff").contains("UTF-8"));
        let many = "192.0.2.1\n".repeat(1_000_001);
        assert!(wrong("text/plain", many.as_bytes()).contains("1000000 ranges"));
    }

    #[test]
    fn json_is_what_everybody_reads_the_same() {
        let same = json!({"a": [1, -2, 0.5, null, true], "b": {"c": "\u{1f4de}"}});
        assert_eq!(json(same.to_string().as_bytes()).unwrap(), same);
        let twice = json(br#"{"name": "a", "name": "b"}"#).unwrap_err();
        assert!(twice.detail.contains("\"name\" stands here twice"), "{}", twice.detail);
        let deep = [b"[".repeat(10_000), b"]".repeat(10_000)].concat();
        for wrong in [&deep[..], b"{} {}", b"{\"a\": NaN}", b"\xff", b"{\"a\": \"\xff\"}", b"nul"] {
            assert_eq!(json(wrong).unwrap_err().status, 400, "{}", wrong.escape_ascii());
        }
        assert_eq!(json(&b" ".repeat(JSON_BYTES_MAX + 1)).unwrap_err().status, 413);
    }
}
