//! Codes as vendors write them: lists, ranges and what stands in brackets behind what they have in common.
//!
//! ```text
//! codes = code *( ("," / ";" / line end) code )
//! code  = digits [ "(" codes ")" ] / digits "-" digits
//! ```
//! The ends of a range are equally long. Withstands a range of all numbers and brackets without end.

/// Codes of one line.
pub(super) const LINE_CODES_MAX: usize = 10_000;
/// Longest text of codes, bytes.
const TEXT_BYTES_MAX: usize = 32_768;
/// Brackets in brackets.
const DEPTH_MAX: usize = 4;
/// Digits of a range: as many as a number has.
const RANGE_DIGITS_MAX: usize = 18;

/// All codes of a cell, each behind `country`.
///
/// # Errors
/// What is wrong with it, and what can be done.
pub(super) fn expand(country: &str, text: &str) -> Result<Vec<String>, String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!("code: more than {TEXT_BYTES_MAX} bytes; use several lines"));
    }
    let country = match country.trim().trim_start_matches('+') {
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits,
        other => return Err(format!("country_code: {} is not of digits alone", quoted(other))),
    };
    let mut codes = Vec::new();
    if text.trim().is_empty() {
        if country.is_empty() {
            return Err("code: it is empty".into());
        }
        return Ok(vec![country.to_owned()]);
    }
    let mut rest = text;
    list(country, &mut rest, 0, &mut codes)?;
    match rest {
        "" => Ok(codes),
        rest => Err(format!("code: no bracket was opened before {}", quoted(rest))),
    }
}

/// What somebody wrote, not all of it.
pub(crate) fn quoted(text: &str) -> String {
    format!("{:?}", text.trim().chars().take(40).collect::<String>())
}

fn list(
    common: &str,
    rest: &mut &str,
    depth: usize,
    codes: &mut Vec<String>,
) -> Result<(), String> {
    loop {
        one(common, rest, depth, codes)?;
        *rest = rest.trim_start_matches([' ', '\t', '\u{a0}']);
        match rest.strip_prefix([',', ';', '\n', '\r']) {
            // A list may end with what separates.
            Some(behind) if behind.trim().is_empty() => {
                *rest = "";
                return Ok(());
            }
            Some(behind) => *rest = behind.trim_start(),
            None if rest.is_empty() || rest.starts_with(')') => return Ok(()),
            None => {
                let what = quoted(rest);
                return Err(format!("code: {what}: separate codes by commas, ranges as 4477-4479"));
            }
        }
    }
}

fn one(common: &str, rest: &mut &str, depth: usize, codes: &mut Vec<String>) -> Result<(), String> {
    *rest = rest.trim_start().trim_start_matches('+');
    let first = digits(rest);
    if first.is_empty() {
        return Err(match rest.trim() {
            "" => "code: the list ends with nothing".into(),
            wrong => format!("code: {} is no number prefix", quoted(wrong)),
        });
    }
    *rest = rest.trim_start_matches([' ', '\t', '\u{a0}']);
    if let Some(inner) = rest.strip_prefix('(') {
        if depth == DEPTH_MAX {
            return Err(format!("code: more than {DEPTH_MAX} brackets in each other"));
        }
        *rest = inner;
        list(&format!("{common}{first}"), rest, depth + 1, codes)?;
        *rest = rest.strip_prefix(')').ok_or("code: a bracket is not closed")?;
        return Ok(());
    }
    let Some(behind) = rest.strip_prefix(['-', '–']) else {
        return push(codes, format!("{common}{first}"));
    };
    *rest = behind.trim_start_matches([' ', '\t', '\u{a0}', '+']);
    let last = digits(rest);
    let range = format!("{first}-{last}");
    if first.len() != last.len() || first.len() > RANGE_DIGITS_MAX {
        return Err(format!(
            "code: the ends of {} are not equally long, or too long; write it as 4477-4479",
            quoted(&range)
        ));
    }
    let (Ok(from), Ok(until)) = (first.parse::<u64>(), last.parse::<u64>()) else {
        return Err(format!("code: {} is no range", quoted(&range)));
    };
    if until < from || until - from >= LINE_CODES_MAX as u64 {
        return Err(format!(
            "code: {} has no codes, or more than {LINE_CODES_MAX}; turn it, or write it shorter",
            quoted(&range)
        ));
    }
    let width = first.len();
    (from..=until).try_for_each(|code| push(codes, format!("{common}{code:0width$}")))
}

fn push(codes: &mut Vec<String>, code: String) -> Result<(), String> {
    if codes.len() == LINE_CODES_MAX {
        return Err(format!("code: more than {LINE_CODES_MAX} of them; use several lines"));
    }
    codes.push(code);
    Ok(())
}

/// Takes the digits in front.
fn digits<'t>(rest: &mut &'t str) -> &'t str {
    let end = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, behind) = rest.split_at(end);
    *rest = behind;
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_ranges_and_brackets_become_codes() {
        for (country, text, codes) in [
            ("", "4420", "4420"),
            ("", " +44 ", "44"),
            ("44", "", "44"),
            ("+44", "20", "4420"),
            ("", "4420, 4421; 4422", "4420 4421 4422"),
            ("", "4420\n4421\r\n4422,", "4420 4421 4422"),
            ("44", "77-79,7", "4477 4478 4479 447"),
            ("", "0097 – 0100", "0097 0098 0099 0100"),
            ("", "44 (20,21)", "4420 4421"),
            ("", "44(20(7,8), 3-5), 33", "44207 44208 443 444 445 33"),
        ] {
            assert_eq!(expand(country, text).map(|all| all.join(" ")), Ok(codes.into()), "{text}");
        }
    }

    #[test]
    fn what_is_no_code_says_why() {
        let long = "1,".repeat(20_000);
        let many = "1,".repeat(10_001);
        for (text, why) in [
            ("", "empty"),
            ("UK", "no number prefix"),
            ("44,,45", "no number prefix"),
            ("44 20", "commas"),
            ("44.5", "commas"),
            ("4479-4477", "no codes"),
            ("4477-9", "equally long"),
            ("0-9-", "commas"),
            ("00000-99999", "more than 10000"),
            ("0000000000000000000-9999999999999999999", "too long"),
            ("44(20", "not closed"),
            ("44)20", "no bracket was opened"),
            ("1(1(1(1(1(1", "in each other"),
            ("44()", "no number prefix"),
            (&long, "32768 bytes"),
            (&many, "more than 10000"),
        ] {
            let said = expand("", text).unwrap_err();
            assert!(said.contains(why) && said.len() < 200, "{said}");
        }
        assert!(expand("UK", "44").unwrap_err().contains("country_code"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_grow(text in "[0-9(),;–\\- a+]{0,60}", any in ".{0,60}") {
            for text in [text, any] {
                if let Ok(codes) = expand("4", &text) {
                    prop_assert!((1..=LINE_CODES_MAX).contains(&codes.len()));
                    prop_assert!(codes.iter().all(|code| code.starts_with('4')));
                }
            }
        }
    }
}
