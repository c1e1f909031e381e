//! How another switch writes its call records: which column says what, and in which form.

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::{TransformRule, bounded, rules};
use super::sheet_mapping::{HEADER_LINE_MAX, TEXT_BYTES_MAX, letters};
use crate::Refusal;
use crate::state::word::words;

/// Formats of times that one mapping can have.
const FORMATS_MAX: usize = 64;
/// A number of seconds since 1970 UTC, with or without decimals.
pub(crate) const EPOCH_S: &str = "epoch_s";
/// The same of milliseconds.
pub(crate) const EPOCH_MS: &str = "epoch_ms";

words! {
    /// Which moment of a call they mean by its start: the 200 to the INVITE, or the INVITE.
    StartIs { Answer = "answer", Setup = "setup" }
    /// What a duration without `:` counts: seconds with up to three decimals, or milliseconds.
    DurationUnit { S = "s", Ms = "ms" }
}

/// How to read the call records of another switch.
///
/// A column is the text of its header, or its letters (`A`, `AB`); empty: the files have none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordMapping {
    /// Its number.
    #[serde(default)]
    #[schemars(extend("readOnly" = true))]
    pub id: u32,
    /// Its name.
    pub name: String,
    /// The vendor's account; empty: of no vendor.
    #[serde(default)]
    pub account: String,
    /// Of an .xlsx: the name of the sheet in it, or its number from 1 on; empty: the first.
    #[serde(default)]
    pub sheet: String,
    /// The line with the headers of the columns; records follow it. 0: there is none, and columns are letters.
    #[serde(default = "super::fields::one")]
    pub header_line: u32,
    /// Of a .csv: the character between cells, `tab` for that one; empty: what stands most often in the header.
    #[serde(default)]
    pub delimiter: String,
    /// Column of the callee.
    pub callee: String,
    /// Column of the start, or of its day.
    pub start: String,
    /// Column of the time of day, if `start` is the day.
    #[serde(default)]
    pub start_time: String,
    /// Column of the duration: `61`, `61.250` or `1:01:01`.
    pub duration: String,
    /// Column of what the call costs, without tax.
    #[serde(default)]
    pub amount: String,
    /// Column of the currency of that.
    #[serde(default)]
    pub currency: String,
    /// Column of the caller.
    #[serde(default)]
    pub caller: String,
    /// Column of what they call the record.
    #[serde(default)]
    pub record_id: String,
    /// Column of who pays, where the records are compared with our tariffs.
    #[serde(default)]
    pub payer: String,
    /// What their start is: the 200 to the INVITE (`answer`), or the INVITE (`setup`).
    #[serde(default)]
    pub start_is: StartIs,
    /// What a duration without `:` counts: `s`, with up to three decimals, or `ms`.
    #[serde(default)]
    pub duration_unit: DurationUnit,
    /// How starts are written, `%d.%m.%Y %H:%M:%S` each, the first that fits, or `epoch_s` or `epoch_ms` alone; RFC 3339,
    /// `2027-01-31 23:59:00` and times of an .xlsx are read always.
    #[serde(default)]
    pub start_formats: Vec<String>,
    /// By whose clock a start is told that does not say so.
    #[serde(default = "super::sheet_mapping::utc")]
    pub time_zone: String,
    /// Whether text says `0,012` for 0.012.
    #[serde(default)]
    pub decimal_comma: bool,
    /// What their callees are turned into before they are compared, as on a gateway.
    #[serde(default)]
    pub callee_rules: Vec<TransformRule>,
    /// What the numbers that we sent are turned into before.
    #[serde(default)]
    pub sent_rules: Vec<TransformRule>,
}

impl RecordMapping {
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
        if [&self.callee, &self.start, &self.duration].into_iter().any(String::is_empty) {
            return Err(Refusal::invalid("callee, start and duration: name their columns"));
        }
        if !self.currency.is_empty() && self.amount.is_empty() {
            return Err(Refusal::invalid("currency: of what? name the column of the amount"));
        }
        if self.sheet.len() > TEXT_BYTES_MAX {
            return Err(Refusal::invalid(format!("sheet: up to {TEXT_BYTES_MAX} bytes")));
        }
        if self.header_line > HEADER_LINE_MAX {
            return Err(Refusal::invalid(format!("header_line: 0 to {HEADER_LINE_MAX}")));
        }
        if !self.delimiter.is_empty() && self.between_cells().is_none() {
            let what = &self.delimiter;
            return Err(Refusal::invalid(format!(
                "delimiter: {what:?}: it is one ASCII character that is no quote, letter or digit, or `tab`"
            )));
        }
        self.check_formats()?;
        rules("callee_rules", &self.callee_rules)?;
        rules("sent_rules", &self.sent_rules)?;
        let zone = &self.time_zone;
        TimeZone::get(zone).map(|_| ()).map_err(|_| {
            Refusal::invalid(format!("time_zone: {zone:?} is no zone, such as Europe/Berlin"))
        })
    }

    fn check_formats(&self) -> Result<(), Refusal> {
        bounded("start_formats", self.start_formats.len(), FORMATS_MAX)?;
        let is_count = |format: &String| format == EPOCH_S || format == EPOCH_MS;
        if self.start_formats.iter().any(is_count) {
            if self.start_formats.len() > 1 || !self.start_time.is_empty() {
                return Err(Refusal::invalid(
                    "start_formats: a count since 1970 is the only format, and has no start_time",
                ));
            }
            return Ok(());
        }
        // Written and read again, a second that comes back was said by the format.
        let second = jiff::civil::date(2027, 11, 23).at(15, 4, 5, 0);
        let says_a_second = |format: &String| {
            let zoned = second.to_zoned(TimeZone::UTC).ok()?;
            let text = jiff::fmt::strtime::format(format, &zoned).ok()?;
            let read = jiff::fmt::strtime::parse(format, text).ok()?.to_datetime().ok()?;
            Some(read.date() == second.date() && read.hour() == 15 && read.minute() == 4)
        };
        let fits = |format: &String| {
            format.len() <= TEXT_BYTES_MAX && says_a_second(format).unwrap_or(false)
        };
        match self.start_formats.iter().find(|format| !fits(format)) {
            None => Ok(()),
            Some(wrong) => Err(Refusal::invalid(format!(
                "start_formats: {wrong:?} says no day with its time; write one such as %d.%m.%Y %H:%M:%S"
            ))),
        }
    }

    fn columns(&self) -> [(&'static str, &str); 9] {
        [
            ("callee", &self.callee),
            ("start", &self.start),
            ("start_time", &self.start_time),
            ("duration", &self.duration),
            ("amount", &self.amount),
            ("currency", &self.currency),
            ("caller", &self.caller),
            ("record_id", &self.record_id),
            ("payer", &self.payer),
        ]
    }

    /// The byte between cells; `None`: what stands most often in the header.
    pub(crate) fn between_cells(&self) -> Option<u8> {
        match self.delimiter.as_bytes() {
            b"tab" => Some(b'\t'),
            [byte] if byte.is_ascii_punctuation() && *byte != b'"' => Some(*byte),
            [byte @ (b'\t' | b' ')] => Some(*byte),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mapping_that_cannot_be_is_refused_by_its_field() {
        let check = |more: serde_json::Value| {
            let mut body =
                json!({"name": "m", "callee": "To", "start": "Start", "duration": "Sec"});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let mapping: RecordMapping = serde_json::from_value(body).unwrap();
            mapping.check().map_err(|refusal| refusal.detail)
        };
        for right in [
            json!({}),
            json!({"start_formats": ["%d.%m.%Y %H:%M:%S", "%m/%d/%y %I:%M %p", "%Y-%m-%dT%H:%M:%S%z"]}),
            json!({"start_formats": ["epoch_ms"]}),
            json!({"delimiter": "|"}),
            json!({"delimiter": "tab", "amount": "Fee", "currency": "Cur"}),
            json!({"header_line": 0, "callee": "A", "start": "B", "duration": "C"}),
            json!({"callee_rules": [{"original": "00"}, {"original": "0", "target": "44"}]}),
        ] {
            assert_eq!(check(right.clone()), Ok(()), "{right}");
        }
        for (field, wrong) in [
            ("callee", json!({"callee": ""})),
            ("callee", json!({"header_line": 0})),
            ("header_line", json!({"header_line": 1_001})),
            ("currency", json!({"currency": "Cur"})),
            ("delimiter", json!({"delimiter": "||"})),
            ("delimiter", json!({"delimiter": "\""})),
            ("delimiter", json!({"delimiter": "1"})),
            ("start_formats", json!({"start_formats": ["%d.%m.%Y"]})),
            ("start_formats", json!({"start_formats": ["epoch_s", "%d.%m.%Y %H:%M:%S"]})),
            ("start_formats", json!({"start_formats": ["epoch_s"], "start_time": "T"})),
            ("time_zone", json!({"time_zone": "Berlin"})),
            ("callee_rules", json!({"callee_rules": [{"original": "a b"}]})),
            ("duration", json!({"duration": "x".repeat(129)})),
        ] {
            assert!(check(wrong.clone()).unwrap_err().contains(field), "{wrong}");
        }
    }
}
