//! Agents: who brings customers, and earns on their calls what these cost more than they would at his own tariff.

use rating::{Charge, Money, MoneyFault, Stretch, Terms};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cdr::{terms_from_text, words_text};

/// Who earns on a call, and by which terms. Both are settled at the INVITE, as those of the customer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// His account.
    pub account: u32,
    /// What the call costs him; none: his tariff has no rate for it, and he earns nothing.
    #[serde(with = "as_text")]
    pub terms: Option<Terms>,
}

impl Agent {
    /// What the call costs him, and what that leaves of the customer's fee; tax is in neither.
    ///
    /// # Errors
    /// When an amount is too large to be money.
    pub fn earns(
        &self,
        fee: Money,
        charged_ms: u64,
        covered: &[Stretch],
    ) -> Result<(Money, Money), MoneyFault> {
        let Some(terms) = &self.terms else { return Ok((fee, Money::ZERO)) };
        let Charge { fee: own, .. } = terms.charge_beside(charged_ms, covered)?;
        Ok((own, fee.minus(own)?))
    }
}

/// Terms as records tell them.
mod as_text {
    use super::{
        Deserialize, Deserializer, Serialize, Serializer, Terms, terms_from_text, words_text,
    };

    pub(super) fn serialize<S: Serializer>(
        terms: &Option<Terms>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        terms.as_ref().map(|terms| words_text(&terms.to_words())).serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Terms>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        Ok(text.as_deref().and_then(terms_from_text))
    }
}
