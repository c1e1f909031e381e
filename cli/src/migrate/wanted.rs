//! Rows of an export as fields of our documents: what a cell has to be, and why it cannot.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::table::Row;

type Fields = Map<String, Value>;

pub(super) fn text(row: &Row, field: &str) -> Result<String, String> {
    row.cell(field).map(str::to_owned).ok_or_else(|| format!("{field}: it is empty"))
}

pub(super) fn decimal(field: &str, text: &str) -> Result<Decimal, String> {
    let wrong = || format!("{field}: {text:?} is no decimal number like 0.0120");
    let number: Decimal = text.parse().map_err(|_| wrong())?;
    if number.normalize().scale() > 9 {
        return Err(format!("{field}: {text:?} has more than the nine decimals that are kept"));
    }
    Ok(number.normalize())
}

fn whole(field: &str, text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{field}: {text:?} is no whole number"))
}

fn flag(field: &str, text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "1" | "yes" | "true" | "locked" => Ok(true),
        "0" | "no" | "false" | "unlocked" => Ok(false),
        _ => Err(format!("{field}: {text:?}; it is yes or no")),
    }
}

/// `a, b; c d`.
fn several(text: &str) -> Vec<&str> {
    let is_between = |it: char| matches!(it, ',' | ';') || it.is_whitespace();
    text.split(is_between).filter(|part| !part.is_empty()).collect()
}

pub(super) fn account(row: &Row) -> Result<Fields, String> {
    let mut fields = Fields::new();
    let role = match row.cell("role").map(str::to_lowercase).as_deref() {
        None | Some("customer" | "client") => "customer",
        Some("vendor" | "supplier" | "clearing") => "vendor",
        Some(other) => return Err(format!("role: {other:?}; it is customer or vendor")),
    };
    fields.insert("role".into(), role.into());
    match row.cell("credit") {
        None => {}
        Some("-1" | "unlimited") => drop(fields.insert("credit".into(), Value::Null)),
        Some(text) => {
            let credit = decimal("credit", text)?;
            if credit.is_sign_negative() && !credit.is_zero() {
                return Err(format!("credit: {text:?}; it is 0 or more, or -1 for no limit"));
            }
            fields.insert("credit".into(), credit.to_string().into());
        }
    }
    if let Some(currency) = row.cell("currency") {
        fields.insert("currency".into(), currency.into());
    }
    if let Some(locked) = row.cell("locked") {
        fields.insert("locked".into(), flag("locked", locked)?.into());
    }
    if let Some(balance) = row.cell("balance") {
        decimal("balance", balance)?;
    }
    Ok(fields)
}

pub(super) fn rate(row: &Row) -> Result<Fields, String> {
    let rate = decimal("rate", &text(row, "rate")?)?;
    let mut fields = Fields::new();
    fields.insert("prefix".into(), text(row, "prefix")?.into());
    let fee = row.cell("connection_fee").map(|text| decimal("connection_fee", text)).transpose()?;
    for (field, money) in [("rate", Some(rate)), ("connection_fee", fee)] {
        let Some(money) = money else { continue };
        if money.is_sign_negative() && !money.is_zero() {
            return Err(format!("{field}: {money} is negative"));
        }
        fields.insert(field.into(), money.to_string().into());
    }
    for field in ["unit_s", "minimum_s", "increment_s"] {
        if let Some(text) = row.cell(field) {
            fields.insert(field.into(), whole(field, text)?.into());
        }
    }
    // A cycle is what is billed at least, too, unless the export says another.
    if let (None, Some(cycle)) = (fields.get("minimum_s"), fields.get("increment_s").cloned()) {
        fields.insert("minimum_s".into(), cycle);
    }
    Ok(fields)
}

/// What gateways of both sides have.
fn gateway(row: &Row) -> Result<Fields, String> {
    let mut fields = Fields::new();
    fields.insert("account".into(), text(row, "account")?.into());
    if let Some(tariff) = row.cell("tariff") {
        fields.insert("tariff".into(), tariff.into());
    }
    if let Some(lines) = row.cell("lines_max") {
        fields.insert("lines_max".into(), whole("lines_max", lines)?.into());
    }
    if let Some(locked) = row.cell("locked") {
        fields.insert("locked".into(), flag("locked", locked)?.into());
    }
    Ok(fields)
}

pub(super) fn mapping_gateway(row: &Row) -> Result<Fields, String> {
    let mut fields = gateway(row)?;
    fields.insert("addresses".into(), json!(several(&text(row, "addresses")?)));
    if let Some(prefix) = row.cell("tech_prefix") {
        fields.insert("tech_prefix".into(), prefix.into());
    }
    Ok(fields)
}

pub(super) fn routing_gateway(row: &Row) -> Result<Fields, String> {
    let mut fields = gateway(row)?;
    let target = text(row, "target")?;
    let target = match several(&target)[..] {
        [one] => one.to_owned(),
        _ => {
            return Err(format!("target: {target:?}; a gateway has one address, make one of each"));
        }
    };
    let target = match row.cell("port") {
        None => target,
        Some(port) => {
            let port: u16 = port.parse().map_err(|_| format!("port: {port:?} is none"))?;
            match target.contains(':') {
                true => format!("[{target}]:{port}"),
                false => format!("{target}:{port}"),
            }
        }
    };
    fields.insert("target".into(), target.into());
    if let Some(prefixes) = row.cell("prefixes") {
        fields.insert("prefixes".into(), json!(several(prefixes)));
    }
    if let Some(priority) = row.cell("priority") {
        fields.insert("priority".into(), whole("priority", priority)?.into());
    }
    Ok(fields)
}

/// Rules by side and name of their gateway, then by the field that they are of.
pub(super) type Rules = BTreeMap<(String, String), BTreeMap<&'static str, Vec<Value>>>;

/// Puts a rule behind those of its gateway: the list of the side, its name, the field.
pub(super) fn rule(row: &Row, rules: &mut Rules) -> Result<(String, String), String> {
    let list = match text(row, "side")?.to_lowercase().as_str() {
        "mapping" => "/gateway/mapping",
        "routing" => "/gateway/routing",
        other => return Err(format!("side: {other:?}; it is mapping or routing")),
    };
    let field = match text(row, "number")?.to_lowercase().as_str() {
        "caller" => "caller_rules",
        "callee" => "callee_rules",
        other => return Err(format!("number: {other:?}; it is caller or callee")),
    };
    let key = (list.to_owned(), text(row, "gateway")?);
    let [original, target] =
        ["original", "target"].map(|field| row.cell(field).unwrap_or_default());
    if original.is_empty() && target.is_empty() {
        return Err("original: it is empty, and so is target; such a rule changes nothing".into());
    }
    let rule = json!({ "original": original, "target": target });
    rules.entry(key.clone()).or_default().entry(field).or_default().push(rule);
    Ok(key)
}

/// Whether a field says already what is wanted.
pub(super) fn same(held: &Value, wanted: &Value) -> bool {
    let money = |value: &Value| value.as_str()?.parse::<Decimal>().ok();
    match (money(held), money(wanted)) {
        // `0044` and `44` are no amounts, though they read as such.
        (Some(one), Some(other)) if held != wanted => {
            one == other
                && [held, wanted].iter().any(|it| it.as_str().is_some_and(|it| it.contains('.')))
        }
        _ => held == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_the_same_by_their_value_and_numbers_by_their_digits() {
        for (one, other, are) in [
            (json!("0.0120"), json!("0.012"), true),
            (json!("100.00"), json!("100"), true),
            (json!("0.012"), json!("0.013"), false),
            (json!("0044"), json!("44"), false),
            (json!("192.0.2.1"), json!("192.0.2.1"), true),
            (json!(null), json!("1.0"), false),
            (json!(["44"]), json!(["44"]), true),
            (json!(30), json!(30), true),
        ] {
            assert_eq!(same(&one, &other), are, "{one} {other}");
        }
    }

    #[test]
    fn a_cell_that_cannot_be_says_why() {
        assert_eq!(decimal("rate", "0.0120").unwrap().to_string(), "0.012");
        assert!(decimal("rate", "0,01").unwrap_err().contains("rate"));
        assert!(decimal("rate", "0.0000000001").unwrap_err().contains("nine decimals"));
        assert!(
            decimal("rate", "0.0100000000000").is_ok(),
            "zeros are no digits that would be lost"
        );
        assert_eq!(several(" 1, 2;3  4,"), ["1", "2", "3", "4"]);
        assert_eq!(flag("locked", "Yes"), Ok(true));
        assert!(flag("locked", "maybe").is_err());
    }
}
