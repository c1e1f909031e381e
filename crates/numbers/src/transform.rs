//! Transform rules: `original → target`, the longest original wins.
//!
//! In *original*: digits, `#` and letters match themselves, `?` exactly one character, `*` any rest (only
//! as the last or the only character), `\*` and `\?` are literals. The rest after the matched prefix
//! is kept. In *target*: literal text; `*` stands for what `*` matched, the n-th `?` for what the n-th
//! `?` matched; an empty target removes the prefix.

use std::fmt;

use crate::Number;

/// One character of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Literal(u8),
    One,
    Rest,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    original: Vec<Piece>,
    target: Vec<Piece>,
}

/// Why text is no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleFault {
    /// `*` stands before the end of the original.
    RestNotLast,
    /// A backslash with nothing to escape.
    LoneBackslash,
    /// The target uses a `?` or `*` that the original does not have.
    Unmatched,
    /// A character that no number has.
    BadCharacter,
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RestNotLast => "`*` may only be the last character of the original",
            Self::LoneBackslash => "a backslash escapes `*` or `?`",
            Self::Unmatched => "the target uses a `?` or `*` that the original does not have",
            Self::BadCharacter => "a character that numbers do not have",
        })
    }
}

impl std::error::Error for RuleFault {}

fn pieces(text: &str) -> Result<Vec<Piece>, RuleFault> {
    let mut pieces = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        pieces.push(match byte {
            b'?' => Piece::One,
            b'*' => Piece::Rest,
            b'\\' => match bytes.next() {
                Some(escaped @ (b'*' | b'?')) => Piece::Literal(escaped),
                _ => return Err(RuleFault::LoneBackslash),
            },
            byte if byte.is_ascii_alphanumeric() || byte == b'#' => Piece::Literal(byte),
            _ => return Err(RuleFault::BadCharacter),
        });
    }
    Ok(pieces)
}

impl Rule {
    /// Reads one rule.
    ///
    /// # Errors
    /// When a character, an escape or a reference makes no sense.
    pub fn new(original: &str, target: &str) -> Result<Self, RuleFault> {
        let (original, target) = (pieces(original)?, pieces(target)?);
        let count = |pieces: &[Piece], wanted| pieces.iter().filter(|p| **p == wanted).count();
        let rest_at = original.iter().position(|piece| *piece == Piece::Rest);
        if rest_at.is_some_and(|at| at + 1 != original.len()) {
            return Err(RuleFault::RestNotLast);
        }
        if count(&target, Piece::One) > count(&original, Piece::One)
            || count(&target, Piece::Rest) > 0 && rest_at.is_none()
        {
            return Err(RuleFault::Unmatched);
        }
        Ok(Self { original, target })
    }

    /// How many characters the original fixes: literals and `?`.
    fn weight(&self) -> usize {
        self.original.iter().filter(|piece| **piece != Piece::Rest).count()
    }

    /// The new number, if the rule matches. Text that is no number any more is given as it is.
    fn apply(&self, number: &str) -> Option<String> {
        let bytes = number.as_bytes();
        let mut wild = Vec::new();
        let mut at = 0;
        let mut rest = None;
        for piece in &self.original {
            match piece {
                Piece::Literal(literal) if bytes.get(at) == Some(literal) => at += 1,
                Piece::Literal(_) => return None,
                Piece::One => {
                    wild.push(*bytes.get(at)?);
                    at += 1;
                }
                Piece::Rest => rest = number.get(at..),
            }
        }
        let mut out = String::new();
        let mut wild = wild.into_iter();
        for piece in &self.target {
            match piece {
                Piece::Literal(literal) => out.push(char::from(*literal)),
                Piece::One => out.extend(wild.next().map(char::from)),
                Piece::Rest => out.push_str(rest.unwrap_or_default()),
            }
        }
        if rest.is_none() {
            out.push_str(number.get(at..)?);
        }
        Some(out)
    }
}

/// Rules of one level, longest original first, ties by position.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
}

impl Rules {
    /// Orders the rules.
    #[must_use]
    pub fn new(mut rules: Vec<Rule>) -> Self {
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.weight()));
        Self { rules }
    }

    /// The number after the one rule that matches it first; itself if none does. `None`: the rule left
    /// nothing that is a number.
    #[must_use]
    pub fn apply(&self, number: Number) -> Option<Number> {
        match self.rules.iter().find_map(|rule| rule.apply(number.as_str())) {
            Some(changed) => Number::new(changed.as_bytes()).ok(),
            None => Some(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(rules: &[(&str, &str)], number: &str) -> Option<String> {
        let rules = rules.iter().map(|(from, to)| Rule::new(from, to).unwrap()).collect();
        let number = Number::new(number.as_bytes()).unwrap();
        Rules::new(rules).apply(number).map(|number| number.as_str().to_owned())
    }

    #[test]
    fn the_five_examples_come_out_exactly() {
        assert_eq!(changed(&[("0", "0")], "02584316146").as_deref(), Some("02584316146"));
        assert_eq!(changed(&[("010", "025")], "01012345678").as_deref(), Some("02512345678"));
        assert_eq!(changed(&[("025", "")], "02584316146").as_deref(), Some("84316146"));
        assert_eq!(changed(&[("*", "025*")], "117").as_deref(), Some("025117"));
        assert_eq!(changed(&[("12345?78", "99999999")], "12345178").as_deref(), Some("99999999"));
    }

    #[test]
    fn the_longest_original_wins_and_ties_go_by_position() {
        let rules = [("0", "1"), ("00", "2"), ("0?", "3")];
        assert_eq!(changed(&rules, "005").as_deref(), Some("25"));
        assert_eq!(changed(&rules, "015").as_deref(), Some("35"));
    }

    #[test]
    fn wildcards_and_escapes_are_carried_over() {
        assert_eq!(changed(&[("4?5?", "?-".trim_end_matches('-'))], "4152").as_deref(), Some("1"));
        assert_eq!(changed(&[(r"\*31", "")], "*31555").as_deref(), Some("555"));
        assert_eq!(changed(&[("9#*", "*")], "9#4420").as_deref(), Some("4420"));
    }

    #[test]
    fn no_rule_no_change_and_nothing_left_is_no_number() {
        assert_eq!(changed(&[("44", "")], "33").as_deref(), Some("33"));
        assert_eq!(changed(&[("44", "")], "44"), None);
    }

    #[test]
    fn a_rule_that_makes_no_sense_is_refused_at_entry() {
        assert_eq!(Rule::new("4*4", "1"), Err(RuleFault::RestNotLast));
        assert_eq!(Rule::new("4", "?"), Err(RuleFault::Unmatched));
        assert_eq!(Rule::new("4", "*"), Err(RuleFault::Unmatched));
        assert_eq!(Rule::new("4\\", "1"), Err(RuleFault::LoneBackslash));
        assert_eq!(Rule::new("4 4", "1"), Err(RuleFault::BadCharacter));
    }
}
