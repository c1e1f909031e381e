//! Bodies as clients send them: JSON, or a sheet of rates as CSV.
//!
//! Withstands what only looks like JSON. A field that is said twice is refused, for nobody knows which
//! was meant; depth and size have limits.

use std::fmt;

use axum::http::HeaderMap;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::routes::Route;
use crate::Refusal;
use crate::state::entity::RateRow;

/// Longest body: a sheet of a million rates.
pub(super) const BYTES_MAX: usize = 128 << 20;
/// Longest JSON: in memory it is many times as large.
const JSON_BYTES_MAX: usize = 8 << 20;

/// What a body says: a value, or the rates of a sheet.
pub(super) fn read(
    route: &Route,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(Value, Vec<RateRow>), Refusal> {
    let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or("");
    if kind.starts_with("text/csv") && !body.is_empty() {
        return if route.takes_sheet() { Ok((Value::Null, sheet(body)?)) } else { Err(no_sheet()) };
    }
    let value = if body.is_empty() { Value::Null } else { json(body)? };
    route.check_body(&value)?;
    Ok((value, Vec::new()))
}

fn no_sheet() -> Refusal {
    Refusal::new(415, "no sheet is taken here", "send application/json; only rates come as CSV")
}

fn sheet(body: &[u8]) -> Result<Vec<RateRow>, Refusal> {
    let mut rows = Vec::new();
    for (index, row) in csv::Reader::from_reader(body).deserialize().enumerate() {
        let line = index + 2;
        rows.push(row.map_err(|error| Refusal::invalid(format!("line {line}: {error}")))?);
    }
    if rows.is_empty() {
        return Err(Refusal::invalid("the sheet has no rates below its header"));
    }
    Ok(rows)
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
        read(routes::find(method, path).unwrap(), &headers, sheet).map(|(_, rows)| rows)
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
