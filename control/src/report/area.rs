//! Whither a call went: the country code of its number (ITU-T E.164), or its first digits.

/// Country codes of two digits; +1 and +7 have one, all others have three.
const TWO_DIGITS: [u8; 44] = [
    20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56,
    57, 58, 60, 61, 62, 63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98,
];

/// Digits of a number that any country code fits in.
pub const CODE_DIGITS: usize = 3;

/// The area of a number that begins so: `digits` of them, or its country code. Empty: it is no such number.
#[must_use]
pub fn area(number: &str, digits: Option<usize>) -> &str {
    let length = digits.unwrap_or_else(|| code_length(number));
    match number.get(..length) {
        Some(area) if area.bytes().all(|byte| byte.is_ascii_digit()) => area,
        _ => "",
    }
}

fn code_length(number: &str) -> usize {
    let digit = |at: usize| number.as_bytes().get(at).map(|byte| byte.wrapping_sub(b'0'));
    match (digit(0), digit(1)) {
        // No country's code begins with 0: a national number, or one of a dial plan of its own.
        (None | Some(0), _) => 0,
        (Some(1 | 7), _) => 1,
        (Some(tens @ 2..=9), Some(ones @ 0..=9)) => {
            let code = tens * 10 + ones;
            if TWO_DIGITS.contains(&code) { 2 } else { CODE_DIGITS }
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn country_codes_have_one_two_or_three_digits() {
        let codes = [
            ("12125550100", "1"),
            ("74951234567", "7"),
            ("442071234567", "44"),
            ("989121234567", "98"),
            ("390212345", "39"),
            ("353112345", "353"),
            ("97155", "971"),
            ("02071234", ""),
            ("4", ""),
            ("35", ""),
            ("alice", ""),
            ("*98", ""),
            ("", ""),
            ("é44", ""),
        ];
        for (number, code) in codes {
            assert_eq!(area(number, None), code, "{number}");
        }
        assert_eq!((area("4420712", Some(4)), area("442", Some(4))), ("4420", ""));
    }
}
