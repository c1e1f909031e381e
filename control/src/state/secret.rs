//! Passwords of those who prove to us who they are: kept as the two hashes that digest needs.
//!
//! What an operator says is hashed before anything else sees it, for the realm of the moment; neither
//! store, API nor log ever has the password. The hashes are as good as it for that one realm, so they
//! are not shown either.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use sip::digest::{Algorithm, Hash};

use super::entity::HIDDEN;
use crate::Refusal;

/// Longest password, bytes.
const PASSWORD_BYTES_MAX: usize = 128;
/// Kinds of characters that a password mixes, of small and capital letters, digits and others.
const KINDS_MIN: usize = 3;

/// HA1 of one user and realm (RFC 7616 §3.4.2), by both algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashes {
    /// MD5.
    pub md5: Hash,
    /// SHA-256.
    pub sha256: Hash,
}

impl Hashes {
    /// Of a password.
    #[must_use]
    pub fn of(user: &str, realm: &str, password: &str) -> Self {
        let ha1 = |algorithm| {
            Hash::ha1(algorithm, user.as_bytes(), realm.as_bytes(), password.as_bytes())
        };
        Self { md5: ha1(Algorithm::Md5), sha256: ha1(Algorithm::Sha256) }
    }

    /// Nobody's: a user whom we do not know costs the same time as one whom we know.
    #[must_use]
    pub fn nobody() -> Self {
        Self::of("", "", "")
    }

    /// By this algorithm.
    #[must_use]
    pub fn by(&self, algorithm: Algorithm) -> &Hash {
        match algorithm {
            Algorithm::Md5 => &self.md5,
            Algorithm::Sha256 => &self.sha256,
        }
    }
}

/// A password as a document holds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Password {
    /// There is none.
    #[default]
    None,
    /// There is one, and this is only to be shown.
    Hidden,
    /// Its hashes.
    Hashed(Hashes),
}

impl Password {
    /// Its hashes, if it has any.
    #[must_use]
    pub fn hashes(&self) -> Option<Hashes> {
        match self {
            Self::Hashed(hashes) => Some(*hashes),
            Self::None | Self::Hidden => None,
        }
    }

    /// As it is shown.
    pub(crate) fn hide(&mut self) {
        if *self != Self::None {
            *self = Self::Hidden;
        }
    }
}

/// How the store keeps the hashes: an object, which no operator can say.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    md5: String,
    sha256: String,
}

impl Serialize for Password {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let hex = |hash: &Hash| String::from_utf8_lossy(hash.hex().as_bytes()).into_owned();
        match self {
            Self::None => out.serialize_str(""),
            Self::Hidden => out.serialize_str(HIDDEN),
            Self::Hashed(Hashes { md5, sha256 }) => {
                Stored { md5: hex(md5), sha256: hex(sha256) }.serialize(out)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        if value == "" {
            return Ok(Self::None);
        }
        let stored: Stored =
            serde_json::from_value(value).map_err(|_| D::Error::custom("hashes of a password"))?;
        let hash = |algorithm, hex: &str| {
            Hash::parse(algorithm, hex.as_bytes())
                .ok_or_else(|| D::Error::custom("hashes of a password"))
        };
        Ok(Self::Hashed(Hashes {
            md5: hash(Algorithm::Md5, &stored.md5)?,
            sha256: hash(Algorithm::Sha256, &stored.sha256)?,
        }))
    }
}

impl schemars::JsonSchema for Password {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Password".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

/// Whose password it is, and what it must be like.
pub(super) struct Policy<'a> {
    /// The field that says it.
    pub(super) field: &'static str,
    pub(super) user: &'a str,
    pub(super) realm: &'a str,
    /// Shortest password, characters (`TG_SIP_PASSWORD_LENGTH`).
    pub(super) length_min: usize,
}

impl Policy<'_> {
    /// What the store keeps of what an operator said.
    pub(super) fn seal(&self, said: &Value) -> Result<Value, Refusal> {
        let refuse = |what: &str| Refusal::invalid(format!("{}: {what}", self.field));
        let password = said.as_str().ok_or_else(|| refuse("text"))?;
        match password {
            "" => return Ok(Value::from("")),
            HIDDEN => return Err(refuse("that is how a secret is shown, and no secret")),
            _ => self.check(password)?,
        }
        let hashes = Password::Hashed(Hashes::of(self.user, self.realm, password));
        serde_json::to_value(hashes).map_err(|_| refuse("cannot be kept"))
    }

    /// AUTH-11: long, mixed, and not the name.
    fn check(&self, password: &str) -> Result<(), Refusal> {
        let refuse = |what: String| {
            let hint = "`tollgate phone set NAME --generate-password` makes one";
            Err(Refusal::invalid(format!("{}: {what}; {hint}", self.field)))
        };
        if password.chars().any(char::is_control) || password.len() > PASSWORD_BYTES_MAX {
            return refuse(format!("one line of up to {PASSWORD_BYTES_MAX} bytes"));
        }
        if password.chars().count() < self.length_min {
            return refuse(format!("at least {} characters", self.length_min));
        }
        let is_other = |c: char| !c.is_ascii_alphanumeric();
        let kinds: [&dyn Fn(char) -> bool; 4] = [
            &|c| c.is_ascii_lowercase(),
            &|c| c.is_ascii_uppercase(),
            &|c| c.is_ascii_digit(),
            &is_other,
        ];
        if kinds.iter().filter(|kind| password.chars().any(kind)).count() < KINDS_MIN {
            return refuse(format!(
                "at least {KINDS_MIN} of small letters, capital letters, digits and others"
            ));
        }
        let has_user = || {
            let (password, user) = (password.to_ascii_lowercase(), self.user.to_ascii_lowercase());
            user.len() >= 3 && password.contains(&user)
        };
        if has_user() { refuse("without the user's name in it".into()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const POLICY: Policy<'_> =
        Policy { field: "password", user: "alice", realm: "tollgate", length_min: 12 };

    #[test]
    fn a_password_that_is_easily_guessed_is_refused_with_what_it_lacks() {
        let wrong = |said: Value| POLICY.seal(&said).unwrap_err().detail;
        for (said, word) in [
            (json!("Short1!"), "at least 12"),
            (json!("onlysmallletters"), "at least 3 of"),
            (json!("small7nd1g1ts"), "at least 3 of"),
            (json!("xAlice-2026-x"), "user's name"),
            (json!("Two\nLines-12345"), "one line"),
            (json!("********"), "shown"),
            (json!({"md5": "", "sha256": ""}), "text"),
            (json!(123_456_789_012_u64), "text"),
        ] {
            assert!(wrong(said.clone()).contains(word), "{said}");
        }
        assert_eq!(POLICY.seal(&json!("")), Ok(json!("")));
    }

    #[test]
    fn what_is_kept_is_read_again_and_shows_nothing() {
        let kept = POLICY.seal(&json!("Correct-Horse-7")).unwrap();
        assert!(!kept.to_string().contains("Horse"));
        let password: Password = serde_json::from_value(kept.clone()).unwrap();
        assert_eq!(password.hashes(), Some(Hashes::of("alice", "tollgate", "Correct-Horse-7")));
        assert_eq!(serde_json::to_value(password).unwrap(), kept);
        let mut shown = password;
        shown.hide();
        assert_eq!(serde_json::to_value(shown).unwrap(), HIDDEN);
        assert!(!format!("{password:?}").contains(kept["md5"].as_str().unwrap()));
        for wrong in [json!("Correct-Horse-7"), json!({"md5": "00", "sha256": "00"}), json!(7)] {
            assert!(serde_json::from_value::<Password>(wrong).is_err());
        }
    }
}
