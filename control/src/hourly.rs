//! Call records as text: a line each, fields between bars, a file for each hour, as programs read them that were built
//! beside other switches.
//!
//! What a file tells is what was charged at the ends of calls. The order of fields is for ever: new ones come at the end.

use std::fmt::Write;

use serde_json::Value;

/// Fields of a line, by the names that records have elsewhere; the seventeenth is the billing mode's code.
pub const FIELDS: [&str; 45] = [
    "id",
    "call_id",
    "caller",
    "callee",
    "caller_billed",
    "callee_billed",
    "caller_sent",
    "callee_sent",
    "source",
    "gateway",
    "vendor_gateway",
    "account",
    "vendor_account",
    "started",
    "answered",
    "ended",
    "billing_mode_code",
    "hold_ms",
    "charged_ms",
    "billed_s",
    "charge",
    "tax",
    "rate",
    "origin",
    "vendor_hold_ms",
    "vendor_billed_s",
    "vendor_charge",
    "vendor_tax",
    "vendor_rate",
    "vendor_origin",
    "agent",
    "agent_income",
    "package_s",
    "package_charge",
    "status",
    "end_reason",
    "ended_by",
    "far_status",
    "far_cause",
    "pdd_ms",
    "connect_ms",
    "attempts",
    "calls",
    "version",
    "billing_prefix",
];

/// Appends a record as a line. What would end a field or the line is written as `\x` and its two hexadecimal digits, and
/// so is `\`.
pub fn write(line: &mut String, record: &Value) {
    for (at, name) in FIELDS.iter().enumerate() {
        if at > 0 {
            line.push('|');
        }
        match &record[*name] {
            Value::Null => {}
            Value::String(text) => escape(line, text),
            // How many; which, the API tells.
            Value::Array(items) => {
                let _ = write!(line, "{}", items.len());
            }
            other => {
                let _ = write!(line, "{other}");
            }
        }
    }
    line.push('\n');
}

fn escape(line: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '|' | '\\' | '\0'..='\x1f' | '\x7f' => {
                let _ = write!(line, "\\x{:02x}", u32::from(letter));
            }
            _ => line.push(letter),
        }
    }
}

/// The file of an hour, counted since 1970 UTC.
#[must_use]
pub fn file_name(hour: u64) -> String {
    let text = crate::rfc3339(hour * HOUR_US);
    format!("cdr-{}.txt", text.get(..13).unwrap_or_default())
}

/// The hour of a file's name; `None`: it is none of ours.
#[must_use]
pub fn hour_of(name: &str) -> Option<u64> {
    let text = name.strip_prefix("cdr-")?.strip_suffix(".txt")?;
    let at: jiff::Timestamp = format!("{text}:00:00Z").parse().ok().filter(|_| text.len() == 13)?;
    u64::try_from(at.as_microsecond()).ok().map(|us| us / HOUR_US)
}

/// µs of an hour.
pub const HOUR_US: u64 = 3_600_000_000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn unescape(field: &str) -> String {
        let mut parts = field.split("\\x");
        let mut text = parts.next().unwrap().to_owned();
        for part in parts {
            let code = u32::from_str_radix(&part[..2], 16).unwrap();
            text.push(char::from_u32(code).unwrap());
            text.push_str(&part[2..]);
        }
        text
    }

    #[test]
    fn the_seventeenth_field_is_the_billing_mode_and_no_name_comes_twice() {
        assert_eq!(FIELDS[16], "billing_mode_code");
        let names: std::collections::BTreeSet<_> = FIELDS.into_iter().collect();
        assert_eq!(names.len(), FIELDS.len());
    }

    #[test]
    fn files_are_named_by_their_hour() {
        assert_eq!(file_name(0), "cdr-1970-01-01T00.txt");
        assert_eq!(file_name(493_573), "cdr-2026-04-22T13.txt");
        for name in ["cdr-1970-01-01T00.txt", "cdr-2026-04-22T13.txt"] {
            assert_eq!(file_name(hour_of(name).unwrap()), name);
        }
        for none in [
            "cdr-2026-04-22.db",
            "cdr-2026-04-22T25.txt",
            "cdr-.txt",
            "x",
            "cdr-2026-04-22T13.txt.partial",
        ] {
            assert_eq!(hour_of(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_in_a_record_is_read_back(caller in ".{0,40}", agent in any::<String>(), charge in "[0-9]{1,9}") {
            let record = json!({"caller": caller, "user_agent": agent, "call_id": agent, "charge": charge, "attempts": [1, 2]});
            let mut line = String::new();
            write(&mut line, &record);
            prop_assert_eq!(line.matches('\n').count(), 1);
            let fields: Vec<&str> = line.trim_end_matches('\n').split('|').collect();
            prop_assert_eq!(fields.len(), FIELDS.len());
            let field = |name: &str| unescape(fields[FIELDS.iter().position(|it| *it == name).unwrap()]);
            prop_assert_eq!((field("caller"), field("call_id")), (caller, agent));
            prop_assert_eq!((field("charge"), field("attempts")), (charge, "2".to_owned()));
        }
    }
}
