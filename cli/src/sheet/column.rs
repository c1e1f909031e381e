//! Columns of a sheet, and their cells: which there are and what they hold is asked of the API's own
//! description, so that there is no second list of fields.
//!
//! A cell is text, an amount, a whole number, `true` or `false`. A list is `a;b`, a rule `original=target`;
//! a list that cannot be said so is JSON. An empty cell means the default, `null` none, `""` empty text.
//! Nothing in a cell is ever computed.

use std::net::Ipv6Addr;

use serde_json::{Map, Value};

/// What one cell holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Amount,
    Number(u64, u64),
    Flag,
    List(Box<Self>),
    /// An object of two values, by their names.
    Pair(Box<[(String, Self); 2]>),
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    kind: Kind,
    /// Its value may be none.
    nullable: bool,
    /// What an empty cell means; `None`: a cell cannot be empty.
    pub(super) default: Option<Value>,
}

impl Kind {
    fn of(schema: &Value) -> Option<Self> {
        let kind = match &schema["type"] {
            Value::Array(several) => several.first()?.as_str()?,
            one => one.as_str()?,
        };
        Some(match kind {
            "string" if schema["format"] == "decimal" => Self::Amount,
            "string" => Self::Text,
            "boolean" => Self::Flag,
            "integer" => Self::Number(
                schema["minimum"].as_u64().unwrap_or(0),
                schema["maximum"].as_u64().unwrap_or(u64::MAX),
            ),
            "array" => Self::List(Box::new(Self::of(&schema["items"])?)),
            "object" => match schema["properties"].as_object()?.iter().collect::<Vec<_>>()[..] {
                [(first, one), (second, other)] => Self::Pair(Box::new([
                    (first.clone(), Self::of(one)?),
                    (second.clone(), Self::of(other)?),
                ])),
                _ => return None,
            },
            _ => return None,
        })
    }

    fn read(&self, text: &str) -> Result<Value, String> {
        match self {
            Self::Text => Ok(text.into()),
            Self::Amount => {
                let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
                let digits =
                    |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                if digits(whole.strip_prefix('-').unwrap_or(whole)) && digits(part) {
                    Ok(text.into())
                } else {
                    Err(format!("{text:?} is no amount, like 0.012"))
                }
            }
            Self::Number(least, most) => text
                .trim()
                .parse()
                .ok()
                .filter(|number| (*least..=*most).contains(number))
                .map(Value::from)
                .ok_or_else(|| match most {
                    &u64::MAX => format!("{text:?} is no whole number from {least}"),
                    most => format!("{text:?} is no whole number from {least} to {most}"),
                }),
            // Spreadsheets write them in capitals.
            Self::Flag => match text.to_ascii_lowercase().as_str() {
                "true" => Ok(true.into()),
                "false" => Ok(false.into()),
                _ => Err(format!("{text:?} is neither true nor false")),
            },
            Self::List(_) if begins_list(text) => match serde_json::from_str(text) {
                Ok(list @ Value::Array(_)) => Ok(list),
                _ => Err(format!("{text:?} begins like JSON and is no list")),
            },
            Self::List(kind) => {
                let items: Result<Vec<Value>, String> =
                    text.split(';').map(|item| kind.read(item)).collect();
                Ok(items?.into())
            }
            Self::Pair(pair) => {
                let [(first, kind), (second, other_kind)] = &**pair;
                let (one, other) = text
                    .split_once('=')
                    .ok_or_else(|| format!("{text:?} is no {first}={second}"))?;
                let pair =
                    [(first.clone(), kind.read(one)?), (second.clone(), other_kind.read(other)?)];
                Ok(Value::Object(Map::from_iter(pair)))
            }
        }
    }

    fn plain(&self, value: &Value) -> String {
        match (self, value) {
            (Self::List(kind), Value::Array(items)) => {
                items.iter().map(|item| kind.plain(item)).collect::<Vec<_>>().join(";")
            }
            (Self::Pair(pair), value) => {
                let [one, other] =
                    pair.each_ref().map(|(name, kind)| kind.plain(&value[name.as_str()]));
                format!("{one}={other}")
            }
            (_, Value::Null) => String::new(),
            (_, Value::String(text)) => text.clone(),
            (_, value) => value.to_string(),
        }
    }
}

/// Whether a cell begins like a list of JSON. So does an address of IPv6 with a port.
fn begins_list(text: &str) -> bool {
    let bracketed = text.strip_prefix('[').map(|rest| rest.split(']').next().unwrap_or(rest));
    bracketed.is_some_and(|inner| inner.parse::<Ipv6Addr>().is_err())
}

impl Column {
    /// The column of a field that a request may have.
    pub(super) fn of(name: &str, schema: &Value, needed: bool) -> Option<Self> {
        let default = schema.get("default").cloned();
        let nullable =
            schema["type"].as_array().is_some_and(|kinds| kinds.contains(&"null".into()));
        let default = default.or((nullable && !needed).then_some(Value::Null));
        Some(Self { name: name.to_owned(), kind: Kind::of(schema)?, nullable, default })
    }

    /// What a cell says; `None`: the default.
    pub(super) fn read(&self, cell: &str) -> Result<Option<Value>, String> {
        match cell {
            "" if self.default.is_none() => Err(format!("{}: empty; it has no default", self.name)),
            "" => Ok(None),
            "null" if self.nullable => Ok(Some(Value::Null)),
            "\"\"" if self.kind == Kind::Text => Ok(Some("".into())),
            cell => self.kind.read(cell).map(Some).map_err(|what| format!("{}: {what}", self.name)),
        }
    }

    /// The cell that says this value.
    pub(super) fn write(&self, value: &Value) -> String {
        let plain = self.kind.plain(value);
        let means = match self.read(&plain) {
            Ok(read) => read.or_else(|| self.default.clone()),
            Err(_) => None,
        };
        match value {
            _ if means.as_ref() == Some(value) => plain,
            Value::String(text) if text.is_empty() => "\"\"".into(),
            Value::String(_) => plain,
            other => other.to_string(),
        }
    }

    /// Whether two values mean the same: 0.5 is 0.50.
    pub(super) fn same(&self, one: &Value, other: &Value) -> bool {
        let bare = |value: &Value| {
            let text = value.as_str()?;
            Some(match text.split_once('.') {
                Some(_) => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                None => text.to_owned(),
            })
        };
        one == other || self.kind == Kind::Amount && bare(one).is_some() && bare(one) == bare(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn column(schema: &Value) -> Column {
        Column::of("it", schema, false).unwrap()
    }

    fn rules() -> Column {
        let text = json!({"type": "string"});
        let item = json!({"type": "object", "properties": {"original": text, "target": text}});
        column(&json!({"type": "array", "items": item, "default": []}))
    }

    #[test]
    fn every_value_comes_back_out_of_its_cell() {
        let text = column(&json!({"type": "string", "default": "EUR"}));
        let maybe =
            column(&json!({"type": ["string", "null"], "format": "decimal", "default": "0.00"}));
        let list = column(&json!({"type": "array", "items": {"type": "string"}, "default": [""]}));
        let rule = |original: &str, target: &str| json!({"original": original, "target": target});
        let cases = [
            (&text, json!("EUR"), "EUR"),
            (&text, json!(""), "\"\""),
            (&text, json!("=cmd|' /C calc'!A0"), "=cmd|' /C calc'!A0"),
            (&text, json!("null"), "null"),
            (&maybe, Value::Null, "null"),
            (&maybe, json!("12.50"), "12.50"),
            (&list, json!([""]), ""),
            (&list, json!([]), "[]"),
            (&list, json!(["", "44"]), ";44"),
            (&list, json!(["a;b"]), "[\"a;b\"]"),
            (&list, json!(["[x"]), "[\"[x\"]"),
            (&list, json!(["[fd10::1]:5090"]), "[fd10::1]:5090"),
            (&list, json!(["[::1]", "192.0.2.1"]), "[::1];192.0.2.1"),
            (&rules(), json!([]), ""),
            (&rules(), json!([rule("00", ""), rule("0", "39")]), "00=;0=39"),
            (&rules(), json!([rule("0=", "1")]), "[{\"original\":\"0=\",\"target\":\"1\"}]"),
        ];
        for (column, value, cell) in cases {
            assert_eq!(column.write(&value), cell);
            let read = column.read(cell).unwrap().or(column.default.clone()).unwrap();
            assert_eq!(read, value, "{cell}");
        }
    }

    #[test]
    fn a_pair_of_numbers_is_read_as_numbers() {
        let status = json!({"type": "integer", "minimum": 0, "maximum": 65_535});
        let item = json!({"type": "object", "properties": {"from": status, "to": status}});
        let map = column(&json!({"type": "array", "items": item, "default": []}));
        let value = json!([{"from": 404, "to": 480}, {"from": 500, "to": 503}]);
        assert_eq!(map.read("404=480;500=503"), Ok(Some(value.clone())));
        assert_eq!(map.write(&value), "404=480;500=503");
        assert!(map.read("404=x").unwrap_err().contains("65535"));
    }

    #[test]
    fn a_cell_that_is_not_what_its_column_holds_says_so() {
        let number =
            column(&json!({"type": "integer", "minimum": 0, "maximum": 255, "default": 1}));
        for wrong in ["-1", "256", "1.5", "1e2", "=1", "one"] {
            assert!(number.read(wrong).unwrap_err().contains("0 to 255"), "{wrong}");
        }
        let flag = column(&json!({"type": "boolean", "default": false}));
        assert_eq!(flag.read("TRUE"), Ok(Some(json!(true))));
        assert!(flag.read("yes").is_err());
        let amount = column(&json!({"type": "string", "format": "decimal"}));
        for wrong in ["", "0,5", "1e3", ".5", "5.", "-", "NaN", "+1"] {
            assert!(amount.read(wrong).is_err(), "{wrong}");
        }
        assert!(
            amount.same(&json!("0.5"), &json!("0.50")) && amount.same(&json!("0"), &json!("0.00"))
        );
        assert!(!amount.same(&json!("10"), &json!("1")));
        assert!(rules().read("44").is_err() && rules().read("[1").is_err());
    }
}
