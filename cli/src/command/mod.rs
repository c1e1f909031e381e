//! One file per noun, and what they share: asking, showing, and turning flags into fields.

pub(crate) mod account;
pub(crate) mod alarm;
pub(crate) mod call;
pub(crate) mod cdr;
pub(crate) mod doctor;
pub(crate) mod drain;
pub(crate) mod firewall;
pub(crate) mod gateway;
pub(crate) mod param;
pub(crate) mod route;
pub(crate) mod status;
pub(crate) mod tariff;

use hyper::Method;
use serde_json::{Map, Value};

use crate::client::Body;
use crate::{Context, Failure, render};

impl Context {
    /// GETs and shows.
    fn list(&self, path: &str, columns: &[&str]) -> Result<(), Failure> {
        self.show(&self.client.get(path)?, columns)
    }

    /// Sends and shows what came back.
    fn send(&self, method: Method, path: &str, body: Body) -> Result<(), Failure> {
        let answer = self.client.request(method, path, body)?;
        self.show(&answer, &[])
    }

    fn show(&self, value: &Value, columns: &[&str]) -> Result<(), Failure> {
        Ok(render::show(value, columns, self.output)?)
    }
}

/// Fields of a body: those flags that were given.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn set<T: Into<Value>>(mut self, name: &str, value: Option<T>) -> Self {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value.into());
        }
        self
    }

    fn list(self, name: &str, values: &[String]) -> Self {
        let values = (!values.is_empty()).then(|| Value::from(values.to_vec()));
        self.set(name, values)
    }

    fn body(self) -> Body {
        Body::Json(Value::Object(self.0))
    }
}

/// `44=0044` as a transform rule; `44=` removes the prefix.
fn rules(texts: &[String]) -> Result<Option<Value>, Failure> {
    let rule = |text: &String| {
        let (original, target) = text
            .split_once('=')
            .ok_or_else(|| format!("a rule is ORIGINAL=TARGET, like 0044=44; not {text:?}"))?;
        Ok(serde_json::json!({ "original": original, "target": target }))
    };
    let rules: Vec<Value> = texts.iter().map(rule).collect::<Result<_, Failure>>()?;
    Ok((!rules.is_empty()).then(|| Value::from(rules)))
}

/// `90`, `15m`, `1h`, `7d` as seconds.
fn seconds(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, last)) if last.is_ascii_alphabetic() => (text.get(..at).unwrap_or(""), last),
        _ => (text, 's'),
    };
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err("a time is 90, 15m, 1h or 7d".into()),
    };
    let number: u64 = digits.parse().map_err(|_| "a time is 90, 15m, 1h or 7d".to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "that long is not possible".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_write_them() {
        assert_eq!(seconds("90"), Ok(90));
        assert_eq!(seconds("15m"), Ok(900));
        assert_eq!(seconds("7d"), Ok(604_800));
        assert!(seconds("soon").is_err());
        assert!(seconds("").is_err());
    }

    #[test]
    fn a_rule_without_an_equals_sign_is_refused() {
        assert!(rules(&["0044".into()]).is_err());
        assert_eq!(rules(&[]).unwrap(), None);
    }
}
