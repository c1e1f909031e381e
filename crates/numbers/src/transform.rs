//! Transform rules: `original → target`, the longest original wins.
//!
//! A rule is one of two kinds. In the *original* of the first: digits, `#` and letters match themselves, `?` exactly one character, `*` any rest (only
//! as the last or the only character), `\*` and `\?` are literals. The rest after the matched prefix
//! is kept. In *target*: literal text; `*` stands for what `*` matched, the n-th `?` for what the n-th
//! `?` matched; an empty target removes the prefix.
//!
//! The original of the second is `~` and a regular expression (RE2 syntax, of ASCII, linear in the number): what it finds first
//! is replaced, wherever it stands and unless `^` and `$` say otherwise. In its target `$0` is all that was found, `$1` to `$9`
//! what its groups have. An expression fixes no characters, so it is asked behind every rule of the first kind that does.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

use crate::Number;

/// Before the original of a rule of the second kind.
pub const EXPRESSION: char = '~';

/// What an expression may take as a program, and its searches as memory, each in bytes.
const EXPRESSION_BYTES: usize = 1 << 17;

/// One character of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Literal(u8),
    One,
    Rest,
}

/// One character of what an expression's find becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Literal(u8),
    Group(usize),
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Pattern { original: Vec<Piece>, target: Vec<Piece> },
    Expression { original: Regex, target: Vec<Part> },
}

/// Why text is no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleFault {
    /// `*` stands before the end of the original.
    RestNotLast,
    /// A backslash with nothing to escape.
    LoneBackslash,
    /// The target uses a `?` or `*` that the original does not have.
    Unmatched,
    /// A character that no number has.
    BadCharacter,
    /// What is no regular expression, or too large a one, and why.
    Expression(String),
    /// `$` and no digit behind it.
    LoneDollar,
    /// The target names a group that the expression does not have.
    NoGroup,
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RestNotLast => "`*` may only be the last character of the original",
            Self::LoneBackslash => "a backslash escapes `*` or `?`",
            Self::Unmatched => "the target uses a `?` or `*` that the original does not have",
            Self::BadCharacter => "a character that numbers do not have",
            Self::Expression(why) => why,
            Self::LoneDollar => {
                "in the target of an expression `$` stands before the digit of a group"
            }
            Self::NoGroup => "the target names a group that the expression does not have",
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
        if let Some(expression) = original.strip_prefix(EXPRESSION) {
            return Self::expression(expression, target);
        }
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
        Ok(Self(Kind::Pattern { original, target }))
    }

    fn expression(original: &str, target: &str) -> Result<Self, RuleFault> {
        let mut builder = RegexBuilder::new(original);
        builder.unicode(false).size_limit(EXPRESSION_BYTES).dfa_size_limit(EXPRESSION_BYTES);
        let original = builder.build().map_err(|fault| RuleFault::Expression(said(&fault)))?;
        let mut parts = Vec::new();
        let mut bytes = target.bytes();
        while let Some(byte) = bytes.next() {
            parts.push(match byte {
                b'$' => match bytes.next() {
                    Some(digit @ b'0'..=b'9') => Part::Group(usize::from(digit - b'0')),
                    _ => return Err(RuleFault::LoneDollar),
                },
                byte if byte.is_ascii_alphanumeric() || b"#*".contains(&byte) => {
                    Part::Literal(byte)
                }
                _ => return Err(RuleFault::BadCharacter),
            });
        }
        let has =
            |part: &Part| !matches!(part, Part::Group(group) if *group >= original.captures_len());
        if !parts.iter().all(has) {
            return Err(RuleFault::NoGroup);
        }
        Ok(Self(Kind::Expression { original, target: parts }))
    }

    /// How many characters the original fixes: literals and `?`.
    fn weight(&self) -> usize {
        match &self.0 {
            Kind::Pattern { original, .. } => {
                original.iter().filter(|piece| **piece != Piece::Rest).count()
            }
            Kind::Expression { .. } => 0,
        }
    }

    /// The new number, if the rule matches. Text that is no number any more is given as it is.
    fn apply(&self, number: &str) -> Option<String> {
        match &self.0 {
            Kind::Pattern { original, target } => transformed(original, target, number),
            Kind::Expression { original, target } => replaced(original, target, number),
        }
    }
}

fn transformed(original: &[Piece], target: &[Piece], number: &str) -> Option<String> {
    let bytes = number.as_bytes();
    let mut wild = Vec::new();
    let mut at = 0;
    let mut rest = None;
    for piece in original {
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
    for piece in target {
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

fn replaced(original: &Regex, target: &[Part], number: &str) -> Option<String> {
    let found = original.captures(number.as_bytes())?;
    let whole = found.get(0)?;
    let mut out = number.get(..whole.start())?.to_owned();
    for part in target {
        match part {
            Part::Literal(literal) => out.push(char::from(*literal)),
            // A group that took no part has nothing.
            Part::Group(group) => {
                let part = found.get(*group).and_then(|group| number.get(group.range()));
                out.push_str(part.unwrap_or_default());
            }
        }
    }
    out.push_str(number.get(whole.end()..)?);
    Some(out)
}

/// In one line, without the picture.
fn said(fault: &regex::Error) -> String {
    let whole = fault.to_string();
    let last = whole.lines().last().unwrap_or_default();
    format!("no regular expression: {}", last.strip_prefix("error: ").unwrap_or(last))
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
        let fault = |original: &str, target: &str| Rule::new(original, target).unwrap_err();
        assert_eq!(fault("4*4", "1"), RuleFault::RestNotLast);
        assert_eq!(fault("4", "?"), RuleFault::Unmatched);
        assert_eq!(fault("4", "*"), RuleFault::Unmatched);
        assert_eq!(fault("4\\", "1"), RuleFault::LoneBackslash);
        assert_eq!(fault("4 4", "1"), RuleFault::BadCharacter);
    }

    #[test]
    fn groups_of_an_expression_rewrite_a_number() {
        for (original, target, number, expected) in [
            (r"~^00(\d+)$", "$1", "00441234", "441234"),
            (r"~^0([1-9]\d*)$", "39$1", "0212345", "39212345"),
            (r"~^0([1-9]\d*)$", "39$1", "00212345", "00212345"),
            (r"~(\d{3})(\d{3})", "$2$1", "123456789", "456123789"),
            (r"~^1(\d{10})$", "$1", "12125550100", "2125550100"),
            (r"~#", "", "99#441#2", "99441#2"),
            (r"~^(?:44|(39))", "x$1", "442", "x2"),
            (r"~^\d+", "$0$0", "12", "1212"),
            (r"~^$", "1", "12", "12"),
        ] {
            let found = changed(&[(original, target)], number);
            assert_eq!(found.as_deref(), Some(expected), "{original} of {number}");
        }
        assert_eq!(changed(&[(r"~^\d+$", "")], "44"), None, "nothing is left");
        let long = "1".repeat(20);
        assert_eq!(changed(&[(r"~^\d+$", "$0$0")], &long), None, "too long for a number");
    }

    #[test]
    fn an_expression_is_asked_behind_what_fixes_characters_and_before_what_comes_later() {
        let rules = [("~^4", "1"), ("*", "9*"), ("44", "2"), ("~^5", "3")];
        assert_eq!(changed(&rules, "441").as_deref(), Some("21"));
        assert_eq!(changed(&rules, "401").as_deref(), Some("101"));
        assert_eq!(changed(&rules, "501").as_deref(), Some("9501"));
    }

    #[test]
    fn a_bad_expression_is_refused_at_entry() {
        let fault =
            |original: &str, target: &str| Rule::new(&format!("~{original}"), target).unwrap_err();
        for original in ["(", "[", "a{2000}{2000}", "(?P<n", r"\p{Greek}", "(a)\\1"] {
            assert!(matches!(fault(original, ""), RuleFault::Expression(_)), "{original}");
        }
        assert_eq!(fault("(4)", "$2"), RuleFault::NoGroup);
        assert_eq!(fault("(4)", "$"), RuleFault::LoneDollar);
        assert_eq!(fault("(4)", "$x"), RuleFault::LoneDollar);
        assert_eq!(fault("(4)", "4 4"), RuleFault::BadCharacter);
    }
}
