//! How a vendor writes his rate sheets: which column says what, and in which words.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::bounded;
use crate::Refusal;

/// Formats of dates and words of a status that one mapping can have.
const WORDS_MAX: usize = 64;
/// Longest of its texts, bytes.
pub(super) const TEXT_BYTES_MAX: usize = 128;
/// Lines in which a header may be.
pub(super) const HEADER_LINE_MAX: u32 = 1_000;
/// Columns that letters can name: A to SR. What stands behind them is not looked at.
pub(crate) const COLUMNS_MAX: usize = 512;

/// How to read the rate sheets of a vendor.
///
/// A column is the text of its header, or its letters (`A`, `AB`); empty: the sheets have none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SheetMapping {
    /// Its number.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub id: u32,
    /// Its name.
    pub name: String,
    /// The vendor's account.
    pub account: String,
    /// Of an .xlsx: the name of the sheet in it, or its number from 1 on; empty: the first.
    #[serde(default)]
    pub sheet: String,
    /// The line with the headers of the columns; rates follow it. 0: there is none, and columns are letters.
    #[serde(default = "first")]
    pub header_line: u32,
    /// Column of codes: `4420`, lists `4420, 4421; 4422`, ranges `4477-4479`, and `44 (20, 21)`.
    pub code: String,
    /// Column of what is put in front of each code of the line.
    #[serde(default)]
    pub country_code: String,
    /// Column of the rate per minute.
    pub rate: String,
    /// Column of the date from which on the line holds.
    #[serde(default)]
    pub effective: String,
    /// Column of minimum and increment in one, s: `60/1`.
    #[serde(default)]
    pub interval: String,
    /// Column of what is billed at least, s.
    #[serde(default)]
    pub minimum: String,
    /// Column of the step of billing, s.
    #[serde(default)]
    pub increment: String,
    /// Column of what is added once on answer.
    #[serde(default)]
    pub connection_fee: String,
    /// Column of what becomes of the code: new, increase, decrease, closed or unchanged.
    #[serde(default)]
    pub status: String,
    /// His words for it besides, `WORD=closed` each; letters large or small.
    #[serde(default)]
    pub status_words: Vec<String>,
    /// How dates are written, `%d.%m.%Y` each, the first that fits; RFC 3339 and dates of an .xlsx are read always.
    #[serde(default)]
    pub date_formats: Vec<String>,
    /// By whose clock a date begins.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// Whether text says `0,012` for 0.012.
    #[serde(default)]
    pub decimal_comma: bool,
}

/// What a line says of its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It had no rate.
    New,
    /// It had a lower one.
    Increase,
    /// It had a higher one.
    Decrease,
    /// Nobody is served there any more.
    Closed,
    /// It has this one.
    Unchanged,
}

fn first() -> u32 {
    1
}

pub(super) fn utc() -> String {
    "UTC".into()
}

impl Status {
    /// Of one of our words.
    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "new" => Self::New,
            "increase" => Self::Increase,
            "decrease" => Self::Decrease,
            "closed" => Self::Closed,
            "unchanged" => Self::Unchanged,
            _ => return None,
        })
    }
}

impl SheetMapping {
    /// Values that types cannot rule out.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        for (field, text) in self.columns() {
            if text.len() > TEXT_BYTES_MAX {
                return Err(Refusal::invalid(format!("{field}: up to {TEXT_BYTES_MAX} bytes")));
            }
            if self.header_line == 0 && !text.is_empty() && letters(text).is_none() {
                return Err(Refusal::invalid(format!(
                    "{field}: {text:?}: with header_line 0 a column is named by its letters, A to SR"
                )));
            }
        }
        if self.code.is_empty() || self.rate.is_empty() {
            return Err(Refusal::invalid("code and rate: name their columns"));
        }
        if self.sheet.len() > TEXT_BYTES_MAX {
            return Err(Refusal::invalid(format!("sheet: up to {TEXT_BYTES_MAX} bytes")));
        }
        if self.header_line > HEADER_LINE_MAX {
            return Err(Refusal::invalid(format!("header_line: 0 to {HEADER_LINE_MAX}")));
        }
        let has_parts = [&self.minimum, &self.increment].iter().any(|column| !column.is_empty());
        if has_parts && !self.interval.is_empty() {
            return Err(Refusal::invalid(
                "interval: it says minimum and increment; name either it or those two",
            ));
        }
        bounded("status_words", self.status_words.len(), WORDS_MAX)?;
        bounded("date_formats", self.date_formats.len(), WORDS_MAX)?;
        if let Some(wrong) = self.status_words.iter().find(|text| word(text).is_none()) {
            return Err(Refusal::invalid(format!(
                "status_words: {wrong:?} is not WORD=new, increase, decrease, closed or unchanged"
            )));
        }
        // Written and read again, a day that comes back was said by the format.
        let day = jiff::civil::date(2027, 11, 23).at(0, 0, 0, 0);
        let says_a_day = |format: &String| {
            format.len() <= TEXT_BYTES_MAX
                && jiff::fmt::strtime::format(format, day)
                    .and_then(|text| jiff::fmt::strtime::parse(format, text))
                    .and_then(|parsed| parsed.to_date())
                    .is_ok_and(|read| read == day.date())
        };
        if let Some(wrong) = self.date_formats.iter().find(|format| !says_a_day(format)) {
            return Err(Refusal::invalid(format!(
                "date_formats: {wrong:?} says no day; write one such as %d.%m.%Y or %m/%d/%y"
            )));
        }
        let zone = &self.time_zone;
        TimeZone::get(zone).map(|_| ()).map_err(|_| {
            Refusal::invalid(format!("time_zone: {zone:?} is no zone, such as Europe/Berlin"))
        })
    }

    fn columns(&self) -> [(&'static str, &str); 9] {
        [
            ("code", &self.code),
            ("country_code", &self.country_code),
            ("rate", &self.rate),
            ("effective", &self.effective),
            ("interval", &self.interval),
            ("minimum", &self.minimum),
            ("increment", &self.increment),
            ("connection_fee", &self.connection_fee),
            ("status", &self.status),
        ]
    }

    /// What the words of a status mean, in small letters: ours, and the vendor's before them.
    #[must_use]
    pub fn statuses(&self) -> BTreeMap<String, Status> {
        let ours = [
            ("new", Status::New),
            ("increase", Status::Increase),
            ("decrease", Status::Decrease),
            ("closed", Status::Closed),
            ("unchanged", Status::Unchanged),
        ];
        let ours = ours.into_iter().map(|(word, status)| (word.to_owned(), status));
        ours.chain(self.status_words.iter().filter_map(|text| word(text))).collect()
    }
}

/// `BLK=closed`.
fn word(text: &str) -> Option<(String, Status)> {
    let (word, status) = text.rsplit_once('=')?;
    let word = word.trim();
    let sane = (1..=TEXT_BYTES_MAX).contains(&word.len());
    Some((word.to_lowercase(), Status::from_word(status.trim())?)).filter(|_| sane)
}

/// The place of a column by its letters, from 0 on.
pub(crate) fn letters(text: &str) -> Option<usize> {
    if !(1..=3).contains(&text.len()) || !text.bytes().all(|it| it.is_ascii_uppercase()) {
        return None;
    }
    let number = text.bytes().fold(0, |sum, byte| sum * 26 + usize::from(byte - b'A') + 1);
    (number <= COLUMNS_MAX).then(|| number - 1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mapping_that_cannot_be_is_refused_by_its_field() {
        let check = |more: serde_json::Value| {
            let mut body = json!({"name": "m", "account": "v", "code": "Code", "rate": "Rate"});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let mapping: SheetMapping = serde_json::from_value(body).unwrap();
            mapping.check().map_err(|refusal| refusal.detail)
        };
        for right in [
            json!({}),
            json!({"date_formats": ["%d.%m.%Y", "%d-%b-%y", "%m/%d/%Y"]}),
            json!({"header_line": 0, "code": "A", "rate": "SR"}),
            json!({"status_words": ["BLK = closed", "a=b=new"]}),
            json!({"minimum": "Min", "increment": "Inc"}),
        ] {
            assert_eq!(check(right.clone()), Ok(()), "{right}");
        }
        for (field, wrong) in [
            ("code", json!({"code": ""})),
            ("code", json!({"header_line": 0, "rate": "B"})),
            ("header_line", json!({"header_line": 1_001})),
            ("interval", json!({"interval": "a", "minimum": "b"})),
            ("status_words", json!({"status_words": ["gone"]})),
            ("status_words", json!({"status_words": ["gone=away"]})),
            ("date_formats", json!({"date_formats": ["%m.%Y"]})),
            ("date_formats", json!({"date_formats": ["DD.MM.YYYY"]})),
            ("time_zone", json!({"time_zone": "Berlin"})),
            ("rate", json!({"rate": "x".repeat(129)})),
        ] {
            assert!(check(wrong.clone()).unwrap_err().contains(field), "{wrong}");
        }
    }

    #[test]
    fn letters_count_as_columns_do() {
        assert_eq!(["A", "Z", "AA", "SR"].map(letters), [0, 25, 26, 511].map(Some));
        assert_eq!(["", "a", "SS", "AAAA", "A1"].map(letters), [None; 5]);
    }
}
