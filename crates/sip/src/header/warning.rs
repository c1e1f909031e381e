//! What a peer wants to say besides its status: Warning (RFC 3261 §20.43).

use super::Text;
use crate::scan::{self, Cursor};

/// One value of Warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warning<'a> {
    /// 300 to 399; the second digit says what it is about.
    pub code: u16,
    /// Who says it: a host or a token.
    pub agent: &'a [u8],
    /// What a person may read.
    pub text: Text<'a>,
}

impl<'a> Warning<'a> {
    /// Reads one value, without the commas of a list. `None` when it is none.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(scan::trim(value));
        let code =
            Some(cursor.take_while(|byte| byte.is_ascii_digit())).filter(|c| c.len() == 3)?;
        let code = u16::try_from(scan::number(code, 399)?).ok()?;
        cursor.skip_blanks();
        let agent = cursor.take_some(scan::VISIBLE)?;
        cursor.skip_blanks();
        let text = Text::new(cursor.quoted()?);
        (code >= 300 && cursor.rest.is_empty()).then_some(Self { code, agent, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_has_three_parts() {
        // RFC 3261 §20.43.
        let warning =
            Warning::parse(b"307 isi.edu \"Session parameter 'foo' not understood\"").unwrap();
        assert_eq!((warning.code, warning.agent), (307, &b"isi.edu"[..]));
        assert!(warning.text.is(b"Session parameter 'foo' not understood"));
        let v6 = Warning::parse(b"301  [::1]:5060 \"\"").unwrap();
        assert_eq!(v6.agent, b"[::1]:5060");
        for value in [
            "",
            "307",
            "307 a",
            "307 a b",
            "407 a \"\"",
            "299 a \"\"",
            "0307 a \"\"",
            "307 a \"\" x",
        ] {
            assert_eq!(Warning::parse(value.as_bytes()), None, "{value}");
        }
    }
}
