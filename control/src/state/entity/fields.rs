//! Fields that several documents have: how they are read, and what they cannot be.

use numbers::transform::{EXPRESSION, Rule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::HIDDEN;
use crate::Refusal;

/// Longest text for people.
const MEMO_CHARS_MAX: usize = 256;
/// A decision looks through all rules of a gateway.
const RULES_MAX: usize = 1_000;
/// The longest number, every character escaped.
const RULE_CHARS_MAX: usize = 64;
/// What an expression may be as text; as a program it has another limit.
const EXPRESSION_CHARS_MAX: usize = 256;
/// A record has room for two.
const BILLING_PREFIX_CHARS_MAX: usize = 7;
/// What the workers are told of names and passwords.
pub(super) const TEXT_BYTES_MAX: usize = 62;

/// One transform rule (`crates/numbers`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransformRule {
    /// What the number begins with; behind a `~`, a regular expression of what is replaced.
    pub original: String,
    /// What it begins with afterwards, or what is put in its place; `$1` is the first group of an expression.
    #[serde(default)]
    pub target: String,
}

pub(super) fn euro() -> String {
    "EUR".into()
}

pub(super) fn one() -> u32 {
    1
}

/// Money is text in JSON, so that no reader makes a float of it.
pub(crate) mod money {
    use rating::Money;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(money: &Money, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(money)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Money, D::Error> {
        let text = String::deserialize(from)?;
        text.trim().parse().map_err(|fault| serde::de::Error::custom(format!("{text:?}: {fault}")))
    }
}

/// As [`money`], or null.
pub(crate) mod optional_money {
    use rating::Money;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        money: &Option<Money>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        money.map(|money| money.to_string()).serialize(out)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Money>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| {
            let money = text.trim().parse();
            money.map_err(|fault| serde::de::Error::custom(format!("{text:?}: {fault}")))
        })
        .transpose()
    }
}

/// Reads fields that someone sent, and names the one that is wrong.
///
/// # Errors
/// When a field is missing, unknown, or not what it must be.
pub fn parse<T: serde::de::DeserializeOwned>(body: Value) -> Result<T, Refusal> {
    serde_path_to_error::deserialize(body).map_err(|error| {
        let path = error.path().to_string();
        let what = error.into_inner();
        Refusal::invalid(if path == "." { what.to_string() } else { format!("{path}: {what}") })
    })
}

/// Text that people wrote for people.
///
/// # Errors
/// When it is too long, or would not stay in its line.
pub fn memo(field: &str, text: &str) -> Result<(), Refusal> {
    if text.chars().count() <= MEMO_CHARS_MAX && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("{field}: one line of up to {MEMO_CHARS_MAX} characters")))
}

/// An address that mail can go to, or none.
///
/// # Errors
/// When no mail server would take it.
pub(crate) fn email(field: &str, text: &str) -> Result<(), Refusal> {
    let is_one = text.parse::<lettre::Address>().is_ok() && text.chars().count() <= MEMO_CHARS_MAX;
    if text.is_empty() || is_one {
        return Ok(());
    }
    Err(Refusal::invalid(format!("{field}: {text:?} is no address like accounts@example.com")))
}

/// A name or password of digest.
pub(super) fn secret(field: &str, text: &str) -> Result<(), Refusal> {
    if text == HIDDEN {
        return Err(Refusal::invalid(format!(
            "{field}: that is how a secret is shown, and no secret"
        )));
    }
    if text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("{field}: one line of up to {TEXT_BYTES_MAX} bytes")))
}

pub(in crate::state) fn bounded(field: &str, count: usize, most: usize) -> Result<(), Refusal> {
    if count <= most {
        Ok(())
    } else {
        Err(Refusal::invalid(format!("{field}: {count} of them; {most} can be had")))
    }
}

pub(super) fn prefix(field: &str, text: &str) -> Result<(), Refusal> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'#' || byte == b'*';
    if text.len() <= 32 && text.bytes().all(fits) {
        Ok(())
    } else {
        Err(Refusal::invalid(format!("{field}: {text:?} is no number prefix")))
    }
}

/// One of two that may stand before the callee when a price is looked up: of its route, and of its being forwarded.
pub(super) fn billing_prefix(field: &str, text: &str) -> Result<(), Refusal> {
    if text.len() > BILLING_PREFIX_CHARS_MAX {
        let what = format!("{field}: up to {BILLING_PREFIX_CHARS_MAX} characters");
        return Err(Refusal::invalid(what));
    }
    prefix(field, text)
}

pub(super) fn rules(field: &str, rules: &[TransformRule]) -> Result<(), Refusal> {
    bounded(field, rules.len(), RULES_MAX)?;
    for TransformRule { original, target } in rules {
        let is_expression = original.starts_with(EXPRESSION);
        let max = if is_expression { EXPRESSION_CHARS_MAX } else { RULE_CHARS_MAX };
        if original.len() > max || target.len() > RULE_CHARS_MAX {
            let what = format!(
                "{field}: a rule has up to {RULE_CHARS_MAX} characters on each side, an expression \
                 {EXPRESSION_CHARS_MAX}"
            );
            return Err(Refusal::invalid(what));
        }
        Rule::new(original, target).map_err(|fault| {
            Refusal::invalid(format!("{field}: {original:?} to {target:?}: {fault}"))
        })?;
    }
    Ok(())
}
