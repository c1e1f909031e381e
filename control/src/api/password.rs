//! Secrets that nobody thought of: made for a phone or as an access code, said once in the answer, kept as hashes
//! alone.

use std::collections::BTreeMap;

use serde_json::Value;

use super::routes::GENERATE;
use crate::Refusal;

/// How long one is: 20 characters of 56 are 116 bits.
const LENGTH: usize = 20;
/// Without those that people take for each other.
const CHARACTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789";

/// A secret that was made, and of which field.
pub(super) struct Made {
    field: &'static str,
    secret: String,
}

/// Puts an access code into a body that has none; it is shown by [`reveal`].
pub(super) fn fill_code(body: &mut Value) -> Result<Option<Made>, Refusal> {
    let Some(fields) = body.as_object_mut() else { return Ok(None) };
    if fields.get("code").is_some_and(|code| !code.is_null()) {
        return Ok(None);
    }
    let secret = generate()?;
    fields.insert("code".into(), secret.clone().into());
    Ok(Some(Made { field: "code", secret }))
}

/// Puts a new password into a body, if the request asks for one; it is shown by [`reveal`].
pub(super) fn fill(
    query: &BTreeMap<String, String>,
    body: &mut Value,
) -> Result<Option<Made>, Refusal> {
    match query.get(GENERATE).map(String::as_str) {
        None | Some("0") => return Ok(None),
        Some("1") => {}
        Some(_) => return Err(Refusal::invalid(format!("{GENERATE}: 0 or 1"))),
    }
    let Some(fields) = body.as_object_mut() else { return Ok(None) };
    if fields.contains_key("password") {
        return Err(Refusal::invalid(format!("password: not together with {GENERATE}")));
    }
    let secret = generate()?;
    fields.insert("password".into(), secret.clone().into());
    Ok(Some(Made { field: "password", secret }))
}

/// Says the secret in the answer, this once.
pub(super) fn reveal(answer: &mut Value, made: Option<Made>) {
    if let (Some(fields), Some(made)) = (answer.as_object_mut(), made) {
        fields.insert(made.field.into(), made.secret.into());
    }
}

fn generate() -> Result<String, Refusal> {
    let is_mixed = |text: &str| {
        let has = |kind: fn(&u8) -> bool| text.bytes().any(|byte| kind(&byte));
        has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit)
    };
    loop {
        let mut text = String::new();
        while text.len() < LENGTH {
            let mut random = [0; 4 * LENGTH];
            getrandom::fill(&mut random)
                .map_err(|error| Refusal::new(503, "no entropy", error.to_string()))?;
            // Six bits say which, if there is such a one: every character is as likely as another.
            let picked = random.iter().filter_map(|byte| CHARACTERS.get(usize::from(byte & 63)));
            text.extend(picked.take(LENGTH - text.len()).map(|byte| char::from(*byte)));
        }
        if is_mixed(&text) {
            return Ok(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_password_is_made_when_it_is_asked_for_and_no_two_are_alike() {
        let query = |value: &str| BTreeMap::from([(GENERATE.to_owned(), value.to_owned())]);
        let mut body = json!({"name": "alice"});
        assert!(fill(&BTreeMap::new(), &mut body).unwrap().is_none());
        assert!(fill(&query("yes"), &mut body).is_err());
        let made = fill(&query("1"), &mut body).unwrap().unwrap();
        assert_eq!((made.secret.len(), &body["password"]), (LENGTH, &json!(made.secret)));
        assert!(fill(&query("1"), &mut body).is_err_and(|no| no.detail.contains("not together")));
        assert_ne!(generate().unwrap(), generate().unwrap());
        let mut answer = json!({"password": "********"});
        reveal(&mut answer, Some(made));
        assert_eq!(answer["password"], body["password"]);
        let mut body = json!({"name": "road", "code": null});
        let made = fill_code(&mut body).unwrap();
        reveal(&mut answer, made);
        assert_eq!(answer["code"], body["code"]);
        assert!(fill_code(&mut body).unwrap().is_none(), "one that is chosen is not said back");
    }
}
