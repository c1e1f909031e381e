//! One file per noun, and what they share: asking, showing, and turning flags into fields.

pub(crate) mod account;
pub(crate) mod alarm;
pub(crate) mod backup;
pub(crate) mod call;
pub(crate) mod cdr;
pub(crate) mod dispute;
pub(crate) mod doctor;
pub(crate) mod drain;
pub(crate) mod export;
pub(crate) mod firewall;
pub(crate) mod gateway;
pub(crate) mod invoice;
pub(crate) mod number;
pub(crate) mod package;
pub(crate) mod param;
pub(crate) mod phone;
pub(crate) mod price;
pub(crate) mod recording;
pub(crate) mod registration;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod route;
pub(crate) mod sheet;
pub(crate) mod status;
pub(crate) mod tariff;
pub(crate) mod top;
pub(crate) mod user;

use hyper::Method;
use serde_json::{Map, Value};

use crate::client::{Body, escape};
use crate::{Context, Failure, render};

/// Items that one request asks for.
const PAGE_MAX: u32 = 10_000;

/// Which part of a list.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Page {
    /// At most so many; all of them unless said otherwise.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Go on behind the page before: its `next`.
    #[arg(long)]
    cursor: Option<String>,
}

impl Page {
    /// For lists that never stop growing.
    fn or_at_most(self, limit: u32) -> Self {
        Self { limit: self.limit.or(Some(limit)), ..self }
    }

    /// Asks page by page until there is enough, or no more.
    pub(crate) fn collect<E>(
        &self,
        path: &str,
        mut get: impl FnMut(&str) -> Result<Value, E>,
    ) -> Result<Value, E> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut items: Vec<Value> = Vec::new();
        let mut next = self.cursor.clone().map_or(Value::Null, Value::from);
        loop {
            let taken = u32::try_from(items.len()).unwrap_or(u32::MAX);
            let wanted = self.limit.map_or(PAGE_MAX, |limit| limit - taken).min(PAGE_MAX);
            let behind =
                next.as_str().map_or(String::new(), |at| format!("&cursor={}", escape(at)));
            let mut page = get(&format!("{path}{separator}limit={wanted}{behind}"))?;
            if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
                items.extend(more);
            }
            next = page.get_mut("next").map(Value::take).unwrap_or_default();
            if next.is_null() || self.limit.is_some_and(|limit| items.len() >= limit as usize) {
                return Ok(serde_json::json!({ "items": items, "next": next }));
            }
        }
    }
}

impl Context {
    /// GETs and shows.
    fn list(&self, path: &str, columns: &[&str]) -> Result<(), Failure> {
        self.show(&self.client.get(path)?, columns)
    }

    /// GETs a list that comes in pages, and shows it.
    fn pages(&self, path: &str, page: &Page, columns: &[&str]) -> Result<(), Failure> {
        let list = page.collect(path, |path| self.client.get(path))?;
        self.show(&list, columns)?;
        if let (Some(next), render::Output::Table) = (list["next"].as_str(), self.output) {
            render::warn(&format!("more: --cursor '{next}'"));
        }
        Ok(())
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
#[derive(Clone, Default)]
struct Fields(Map<String, Value>);

impl From<Map<String, Value>> for Fields {
    fn from(fields: Map<String, Value>) -> Self {
        Self(fields)
    }
}

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

/// `44=0044` as a transform rule; `44=` removes the prefix, `~^0(.*)$=39$1` is a regular expression.
fn rules(texts: &[String]) -> Result<Option<Value>, Failure> {
    let rule = |text: &String| {
        // An expression can have an equals sign, a target cannot.
        let (original, target) = text
            .rsplit_once('=')
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

    /// A list of the numbers below `count`, asked for as control answers.
    fn numbers(count: u64, asked: &mut Vec<String>, path: &str) -> Result<Value, Failure> {
        asked.push(path.to_owned());
        let value = |name: &str| {
            let parts = path.split(['?', '&']);
            parts.filter_map(|part| part.strip_prefix(name)).next().map(str::to_owned)
        };
        let first = value("cursor=").map_or(0, |at| at.parse::<u64>().unwrap() + 1);
        let end = count.min(first + value("limit=").unwrap().parse::<u64>().unwrap());
        let next = (end < count).then(|| (end - 1).to_string());
        Ok(serde_json::json!({ "items": (first..end).collect::<Vec<_>>(), "next": next }))
    }

    #[test]
    fn a_list_goes_on_to_its_last_page() {
        let mut asked = Vec::new();
        let get = |path: &str| numbers(25_000, &mut asked, path);
        let all = Page::default().collect("/account", get).unwrap();
        assert_eq!(all["items"].as_array().unwrap().len(), 25_000);
        assert_eq!((&all["items"][24_999], &all["next"]), (&24_999.into(), &Value::Null));
        assert_eq!(asked[0], "/account?limit=10000");
        assert_eq!(asked[2], "/account?limit=10000&cursor=19999");
    }

    #[test]
    fn a_page_has_as_many_as_were_asked_for_and_says_where_to_go_on() {
        let mut asked = Vec::new();
        let page = Page { limit: Some(12_000), cursor: Some("9".into()) };
        let get = |path: &str| numbers(25_000, &mut asked, path);
        let part = page.collect("/cdr?gateway=in", get).unwrap();
        assert_eq!(part["items"].as_array().unwrap().len(), 12_000);
        assert_eq!((&part["items"][0], &part["next"]), (&10.into(), &"12009".into()));
        assert_eq!(asked[1], "/cdr?gateway=in&limit=2000&cursor=10009");
    }

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
        let rule = rules(&["~^0(?:0|=)(.*)$=$1".into()]).unwrap().unwrap();
        assert_eq!(rule[0], serde_json::json!({"original": "~^0(?:0|=)(.*)$", "target": "$1"}));
        assert_eq!(rules(&[]).unwrap(), None);
    }
}
