//! From the dataplane's record to the row that is charged, stored and shown.
//!
//! A charge is a pure function of the record's durations, the prices frozen into it, and the rounding
//! parameters; all of it is in the row, so it can be computed again to the same digit.

use std::net::SocketAddr;

use link::record::{EndReason, EndedBy, NEVER};
use link::{CallRecord, Endpoint};
use rating::terms::WORDS;
use rating::{Charge, Money, Origin, Terms};
use serde_json::Value;

use crate::agent::Agent;
use crate::package::{Cover, Covered};
use crate::shown::{self, AttemptShown, CdrShown, CoveredShown, MediaShown, Moment};
use crate::state::entity::UNKNOWN;
use crate::state::word::Recording;

/// The shape of a stored record. It grows when a field goes or changes its meaning.
pub const VERSION: u32 = 2;
/// Most records have shorter texts.
const TEXT_BYTES: usize = 4096;

/// How a call is billed. The numbers are those shown to operators (C-28).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i8)]
pub enum BillingMode {
    /// Not at all.
    #[default]
    None = -1,
    /// By the calling phone's account.
    Phone = 0,
    /// By the mapping gateway's account.
    CustomerGateway = 1,
    /// A caller nobody knows.
    Illegal = 9,
}

impl BillingMode {
    /// Every mode.
    pub const ALL: [Self; 4] = [Self::None, Self::Phone, Self::CustomerGateway, Self::Illegal];

    /// The word in CDRs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Phone => "phone",
            Self::CustomerGateway => "customer_gateway",
            Self::Illegal => "illegal",
        }
    }
}

/// A row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cdr {
    /// The record.
    pub record: CallRecord,
    /// How it is billed.
    pub billing_mode: BillingMode,
    /// The mapping gateway's name at the time.
    pub gateway: String,
    /// The last tried vendor gateway's name at the time.
    pub vendor_gateway: String,
    /// Who pays.
    pub customer: u32,
    /// Who is paid.
    pub vendor: u32,
    /// The name at the time of who pays.
    pub account: String,
    /// The name at the time of who is paid.
    pub vendor_account: String,
    /// An end of ours is told as any other (`SERVER_BILLING_RECORD_SERVER_HANG_UP` = 0).
    pub plain_end: bool,
    /// The customer's charge.
    pub customer_charge: Charge,
    /// The vendor's charge.
    pub vendor_charge: Charge,
    /// What packages pay for of it.
    pub cover: Cover,
    /// The same with the names at the time.
    pub covered: Vec<CoveredShown>,
    /// Who earns on it.
    pub agent: Option<Agent>,
    /// The name at the time of who earns on it.
    pub agent_account: String,
    /// What the call costs him.
    pub agent_charge: Money,
    /// What that leaves of the customer's fee.
    pub agent_income: Money,
    /// Attempts with the vendors' names.
    pub attempts: Vec<AttemptShown>,
    /// In a row that stands for many illegal calls: whose, and how many.
    pub aggregate: Option<Aggregate>,
}

/// Illegal calls of a flood, from the record's start to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// An address, a network, or `others`.
    pub source: String,
    /// How many.
    pub calls: u64,
}

/// `id` as text: 32 hexadecimal digits.
#[must_use]
pub fn id_text(id: [u64; 2]) -> String {
    let mut text = vec![0; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(id.into_iter().flat_map(u64::to_be_bytes)) {
        pair.copy_from_slice(&[byte >> 4, byte & 0xf].map(|half| DIGITS[usize::from(half)]));
    }
    // Nothing else was written.
    String::from_utf8(text).unwrap_or_default()
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Decimal digits; every record has some, and the machinery of `fmt` is slow.
fn push_number(text: &mut String, number: u32) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    text.push(char::from(DIGITS[(number % 10) as usize]));
}

/// An address and port, as `fmt` writes them.
fn endpoint_text(endpoint: &Endpoint) -> String {
    let Some(SocketAddr::V4(address)) = endpoint.socket_address() else {
        return format!("{endpoint:?}");
    };
    let mut text = String::with_capacity("255.255.255.255:65535".len());
    for (octet, behind) in address.ip().octets().into_iter().zip("...:".chars()) {
        push_number(&mut text, octet.into());
        text.push(behind);
    }
    push_number(&mut text, address.port().into());
    text
}

/// From [`id_text`].
#[must_use]
pub fn id_from_text(text: &str) -> Option<[u64; 2]> {
    let (high, low) = text.split_at_checked(16)?;
    if low.len() != 16 {
        return None;
    }
    Some([u64::from_str_radix(high, 16).ok()?, u64::from_str_radix(low, 16).ok()?])
}

/// Whether a moment of the record came.
fn came(ms: u32) -> Option<u64> {
    (ms != NEVER).then_some(ms.into())
}

impl Cdr {
    /// Talk time as the customer pays it: from the 2xx passed on to the first BYE, or to the last media
    /// when no BYE ended it.
    #[must_use]
    pub fn hold_ms(&self) -> u64 {
        let record = &self.record;
        let Some(answered) = came(record.answered_ms) else { return 0 };
        let ended = came(record.ended_ms).unwrap_or(answered);
        let until = match record.end_reason() {
            EndReason::MediaTimeout
            | EndReason::SessionExpired
            | EndReason::NoAck
            | EndReason::DataplaneRestart
            | EndReason::DataplaneLost => came(record.media_ms).unwrap_or(answered).min(ended),
            _ => ended,
        };
        until.saturating_sub(answered)
    }

    /// Of the talk time what is charged: no more than was granted, and held. Our BYE leaves a moment after that; the
    /// moment is ours.
    #[must_use]
    pub fn charged_ms(&self) -> u64 {
        let record = &self.record;
        let granted_s = u64::from(record.granted_s) + u64::from(record.grace_s);
        let is_limited = record.granted_s > 0;
        match record.end_reason() {
            _ if is_limited => self.hold_ms().min(granted_s * 1000),
            EndReason::DurationLimit => self.hold_ms() / 1000 * 1000,
            _ => self.hold_ms(),
        }
    }

    /// Talk time as the vendor charges it: from its 200 to its BYE.
    #[must_use]
    pub fn vendor_hold_ms(&self) -> u64 {
        let answered = self.record.attempts().iter().rev().find_map(|attempt| {
            came(attempt.answered_ms).map(|answered| (answered, came(attempt.ended_ms)))
        });
        let Some((answered, ended)) = answered else { return 0 };
        let ended = ended.or(came(self.record.ended_ms)).unwrap_or(answered);
        let ended = match self.record.end_reason() {
            EndReason::DataplaneLost => came(self.record.media_ms).unwrap_or(answered).min(ended),
            _ => ended,
        };
        ended.saturating_sub(answered)
    }

    /// Post-dial delay: INVITE to the first 18x or 2xx.
    #[must_use]
    pub fn pdd_ms(&self) -> Option<u64> {
        came(self.record.ringing_ms).or(came(self.record.answered_ms))
    }

    /// When it ended, µs since 1970 UTC; of a call that goes on, when it came. The record belongs to that day.
    #[must_use]
    pub fn ended_us(&self) -> u64 {
        self.record.started_us.saturating_add(came(self.record.ended_ms).unwrap_or(0) * 1000)
    }

    /// Why it ended, as it is told: nothing that is charged depends on it.
    #[must_use]
    pub fn told_reason(&self) -> EndReason {
        let by_us = self.record.who_ended() == EndedBy::Server;
        match self.record.end_reason() {
            EndReason::None => EndReason::None,
            _ if self.plain_end && by_us && came(self.record.answered_ms).is_some() => {
                EndReason::Normal
            }
            reason => reason,
        }
    }

    /// Computes both charges from the terms in the record, and from nothing else.
    ///
    /// # Errors
    /// When a fee does not fit.
    pub fn rate(&mut self) -> Result<(), rating::MoneyFault> {
        if let Some(terms) = Terms::from_words(&self.record.customer_terms.words) {
            let covered = self.cover.stretches();
            self.customer_charge = terms.charge_beside(self.charged_ms(), &covered)?;
        }
        if let Some(terms) = Terms::from_words(&self.record.vendor_terms.words) {
            self.vendor_charge = terms.charge(self.vendor_hold_ms())?;
        }
        Ok(())
    }

    /// What packages paid for it of their amounts.
    fn package_charge(&self) -> Money {
        let worths = self.cover.iter().map(|covered| covered.worth);
        worths.fold(Money::ZERO, |sum, worth| sum.plus(worth).unwrap_or(sum))
    }

    /// Whence it came.
    #[must_use]
    pub fn source(&self) -> String {
        match &self.aggregate {
            Some(aggregate) => aggregate.source.clone(),
            None => endpoint_text(&self.record.facts.source),
        }
    }

    /// Whether anything was charged or cost.
    #[must_use]
    pub fn costs(&self) -> bool {
        // Without a fee there is no tax.
        self.customer_charge.fee != Money::ZERO || self.vendor_charge.fee != Money::ZERO
    }

    /// For API and CLI.
    #[must_use]
    pub fn describe(&self) -> Value {
        shown::json(self.shown())
    }

    /// The same as the store keeps it.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8(self.text_bytes()).unwrap_or_default()
    }

    /// The same, as bytes.
    #[must_use]
    pub fn text_bytes(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(TEXT_BYTES);
        // Nothing in it is a map whose keys are no text, and nothing else can fail.
        let _ = serde_json::to_writer(&mut text, &self.shown());
        text
    }

    fn shown(&self) -> CdrShown<'_> {
        let record = &self.record;
        let stamp = |ms: u32| came(ms).map(|ms| Moment::at(record.started_us + ms * 1000));
        let last = record.attempts().last();
        let far_cause = cause(record.cause).or(last.and_then(|attempt| cause(attempt.cause)));
        CdrShown {
            version: VERSION,
            id: id_text(record.id),
            billing_mode: self.billing_mode.name(),
            billing_mode_code: self.billing_mode as i8,
            gateway: (&self.gateway).into(),
            vendor_gateway: (&self.vendor_gateway).into(),
            account: (&self.account).into(),
            vendor_account: (&self.vendor_account).into(),
            calls: self.aggregate.as_ref().map_or(1, |aggregate| aggregate.calls),
            source: self.source(),
            caller: record.facts.caller.to_text(),
            callee: record.facts.callee.to_text(),
            caller_billed: record.caller_billed.to_text(),
            callee_billed: record.callee_billed.to_text(),
            caller_sent: record.caller_sent.to_text(),
            callee_sent: record.callee_sent.to_text(),
            billing_prefix: record.billing_prefix.to_text(),
            call_id: record.facts.call_id.to_text(),
            user_agent: record.facts.user_agent.to_text(),
            started: Moment::at(record.started_us),
            ringing: stamp(record.ringing_ms),
            answered: stamp(record.answered_ms),
            ended: stamp(record.ended_ms),
            pdd_ms: self.pdd_ms(),
            connect_ms: came(record.answered_ms),
            hold_ms: self.hold_ms(),
            charged_ms: self.charged_ms(),
            vendor_hold_ms: self.vendor_hold_ms(),
            status: record.status,
            end_reason: self.told_reason().name(),
            ended_by: record.who_ended().name(),
            far_status: last.map(|attempt| attempt.status).filter(|status| *status != 0),
            far_cause,
            billed_s: self.customer_charge.billed_s,
            charge: self.customer_charge.fee.into(),
            tax: self.customer_charge.tax.into(),
            package_s: self.cover.iter().map(Covered::seconds).sum(),
            package_charge: self.package_charge().into(),
            packages: (&self.covered).into(),
            agent: self.agent.map(|_| self.agent_account.as_str().into()),
            agent_charge: self.agent.and_then(|it| it.terms).map(|_| self.agent_charge.into()),
            agent_income: self.agent_income.into(),
            agent_rate: self.agent.and_then(|it| it.terms).as_ref().map(rate_text),
            rate: price_text(&record.customer_terms.words),
            origin: origin_text(record, &record.customer_terms.words),
            vendor_billed_s: self.vendor_charge.billed_s,
            vendor_charge: self.vendor_charge.fee.into(),
            vendor_tax: self.vendor_charge.tax.into(),
            vendor_rate: price_text(&record.vendor_terms.words),
            vendor_origin: origin_text(record, &record.vendor_terms.words),
            media_ms: came(record.media_ms),
            terms: words_text(&record.customer_terms.words),
            vendor_terms: words_text(&record.vendor_terms.words),
            uncommitted: record.uncommitted == 1,
            recording: Recording::from_bits(record.recorded).name(),
            media: media(record),
            attempts: (&self.attempts).into(),
            corrections: Vec::new(),
            complete: None,
        }
    }
}

/// A cause that was given.
fn cause(cause: u8) -> Option<u8> {
    (cause != 0).then_some(cause)
}

/// All that a charge depends on but the duration, as [`Terms::from_words`] reads it: words of hexadecimal digits with dots
/// between them, and nothing for none.
#[must_use]
pub fn words_text(words: &[u64; WORDS]) -> String {
    let mut text = String::with_capacity(WORDS * 17);
    for (at, word) in words.iter().enumerate() {
        if at > 0 {
            text.push('.');
        }
        let digits = (u64::BITS - word.leading_zeros()).div_ceil(4);
        let digit = |place: u32| char::from(DIGITS[(word >> (4 * place) & 0xf) as usize]);
        text.extend((0..digits).rev().map(digit));
    }
    text
}

/// From [`words_text`].
#[must_use]
pub fn terms_from_text(text: &str) -> Option<Terms> {
    let mut words = [0; WORDS];
    let mut parts = text.split('.');
    // Records of before had sixteen digits for each word, and no dots.
    let has_dots = text.contains('.');
    for (at, word) in words.iter_mut().enumerate() {
        let digits = if has_dots { parts.next()? } else { text.get(at * 16..at * 16 + 16)? };
        *word = if digits.is_empty() { 0 } else { u64::from_str_radix(digits, 16).ok()? };
    }
    Terms::from_words(&words)
}

/// `rate/unit`.
#[must_use]
pub fn rate_text(terms: &Terms) -> String {
    let mut text = terms.price.rate.to_string();
    text.push('/');
    push_number(&mut text, terms.price.unit_s);
    text.push('s');
    text
}

fn price_text(words: &[u64; WORDS]) -> Option<String> {
    Terms::from_words(words).as_ref().map(rate_text)
}

/// What a rate was for, of all callers.
#[must_use]
pub fn origin_of(caller: &str, terms: &Terms) -> Option<String> {
    match terms.price.origin {
        Origin::Any => None,
        Origin::Unknown => Some(UNKNOWN.to_owned()),
        Origin::Prefix(length) => caller.get(..length.into()).map(str::to_owned),
    }
}

fn origin_text(record: &CallRecord, words: &[u64; WORDS]) -> Option<String> {
    origin_of(&record.caller_billed.to_text(), &Terms::from_words(words)?)
}

/// What its media were like.
pub fn media(record: &CallRecord) -> MediaShown {
    let both = [record.from_caller, record.from_callee];
    MediaShown::of(&both, record.bypassed == 1, record.resumed)
}

/// The attempts of a record, with names instead of numbers.
pub fn attempts<'n>(record: &CallRecord, name: impl Fn(u32) -> &'n str) -> Vec<AttemptShown> {
    let describe = |attempt: &link::record::Attempt| AttemptShown {
        gateway: name(attempt.gateway).to_owned(),
        sent_ms: attempt.sent_ms,
        ringing_ms: came(attempt.ringing_ms),
        answered_ms: came(attempt.answered_ms),
        ended_ms: came(attempt.ended_ms),
        status: attempt.status,
        reason: EndReason::from_number(attempt.reason).name(),
        cause: cause(attempt.cause),
    };
    record.attempts().iter().map(describe).collect()
}

/// Brings the call table's last sign of media into a record whose dataplane could not.
pub fn note_last_media(record: &mut CallRecord, media_us: u64) {
    if media_us <= record.started_monotonic_us {
        return;
    }
    let ms = (media_us - record.started_monotonic_us) / 1000;
    let ms = u32::try_from(ms).unwrap_or(NEVER - 1);
    if record.media_ms == NEVER || record.media_ms < ms {
        record.media_ms = ms;
    }
}

/// A record of a call that was refused before it began.
#[must_use]
pub fn refused(
    admit: &link::ask::Admit,
    status: u16,
    reason: EndReason,
    ended_ms: u32,
) -> CallRecord {
    CallRecord {
        id: admit.record,
        started_us: admit.started_us,
        started_monotonic_us: admit.asked_us,
        facts: admit.facts,
        status,
        reason: reason as u8,
        ended_by: EndedBy::Server as u8,
        ended_ms,
        ..CallRecord::empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use link::record::Attempt;
    use rating::{Price, Rounding, RoundingMode};

    fn price(rate: &str) -> link::record::Terms {
        let price = Price {
            tariff: 1,
            version: 1,
            prefix_digits: 2,
            origin: Origin::Any,
            locked: false,
            rate: rate.parse().unwrap(),
            unit_s: 60,
            minimum_s: 1,
            increment_s: 1,
            sections: Default::default(),
            connection_fee: Money::ZERO,
            fee_precision: 6,
            rounding_mode: RoundingMode::HalfEven,
            fee_unit: Money::ZERO,
            tax: 0,
        };
        link::record::Terms { words: Terms::customer(price, Rounding::default()).to_words() }
    }

    fn answered() -> Cdr {
        let mut record = CallRecord::empty();
        record.customer_terms = price("0.60");
        record.vendor_terms = price("0.30");
        record.answered_ms = 1_000;
        record.ended_ms = 61_000;
        record.media_ms = 31_000;
        record.reason = EndReason::Normal as u8;
        record.attempts_used = 1;
        record.attempts[0] = Attempt { answered_ms: 900, ended_ms: 61_000, ..Attempt::default() };
        Cdr { record, ..Cdr::default() }
    }

    #[test]
    fn both_sides_are_charged_for_their_own_time() {
        let mut cdr = answered();
        cdr.rate().unwrap();
        assert_eq!(
            (cdr.customer_charge.billed_s, cdr.customer_charge.fee.to_string()),
            (60, "0.60".into())
        );
        assert_eq!(
            (cdr.vendor_charge.billed_s, cdr.vendor_charge.fee.to_string()),
            (61, "0.305".into())
        );
        let before = (cdr.customer_charge, cdr.vendor_charge);
        cdr.rate().unwrap();
        assert_eq!((cdr.customer_charge, cdr.vendor_charge), before);
    }

    #[test]
    fn after_a_crash_the_customer_pays_to_the_last_media_seen() {
        let mut cdr = answered();
        cdr.record.reason = EndReason::MediaTimeout as u8;
        assert_eq!(cdr.hold_ms(), 30_000);
        assert_eq!(cdr.vendor_hold_ms(), 60_100);
        cdr.record.media_ms = NEVER;
        assert_eq!(cdr.hold_ms(), 0);
        cdr.record.reason = EndReason::DataplaneRestart as u8;
        note_last_media(&mut cdr.record, 11_000_000);
        note_last_media(&mut cdr.record, 9_000_000);
        assert_eq!(cdr.hold_ms(), 10_000);
    }

    #[test]
    fn a_stored_row_is_charged_again_to_the_same_digit() {
        let mut cdr = answered();
        cdr.rate().unwrap();
        let row = cdr.describe();
        let text = row["terms"].as_str().unwrap();
        let terms = terms_from_text(text).unwrap();
        // As records of before have them.
        let whole: String = terms.to_words().iter().map(|word| format!("{word:016x}")).collect();
        assert_eq!(terms_from_text(&whole), Some(terms));
        for wrong in ["", "1.2", "x.........", &whole[1..]] {
            assert_eq!(terms_from_text(wrong), None, "{wrong}");
        }
        let again = terms.charge(row["charged_ms"].as_u64().unwrap()).unwrap();
        assert_eq!(again, cdr.customer_charge);
    }

    #[test]
    fn addresses_and_words_are_written_as_fmt_writes_them() {
        for text in ["0.0.0.0:0", "10.1.20.255:65535", "[2001:db8::1]:5060"] {
            let endpoint = Endpoint::from(text.parse::<SocketAddr>().unwrap());
            assert_eq!(endpoint_text(&endpoint), text);
        }
        assert_eq!(endpoint_text(&Endpoint::NONE), "none");
        let words = [0, 1, 0x10, 0xabc, u64::MAX, 0, 0, 0, 0, 5];
        assert_eq!(words_text(&words), ".1.10.abc.ffffffffffffffff.....5");
        assert_eq!(id_text([0xa, u64::MAX]), "000000000000000affffffffffffffff");
    }

    #[test]
    fn an_end_of_ours_may_be_told_as_any_other_and_costs_the_same() {
        let mut cdr = answered();
        cdr.record.reason = EndReason::MediaTimeout as u8;
        cdr.plain_end = true;
        cdr.rate().unwrap();
        let row = cdr.describe();
        assert_eq!((&row["end_reason"], &row["ended_by"]), (&"normal".into(), &"server".into()));
        assert_eq!((&row["hold_ms"], &row["billed_s"]), (&30_000.into(), &30.into()));
        cdr.record.answered_ms = NEVER;
        assert_eq!(cdr.told_reason(), EndReason::MediaTimeout, "it never began");
    }

    #[test]
    fn a_record_says_what_the_far_side_said_itself() {
        let mut cdr = answered();
        let row = cdr.describe();
        assert_eq!((&row["version"], &row["connect_ms"]), (&2.into(), &1_000.into()));
        assert!(row["far_status"].is_null() && row["far_cause"].is_null());
        cdr.record.attempts[0].status = 486;
        cdr.record.attempts[0].cause = 17;
        let row = cdr.describe();
        assert_eq!((&row["far_status"], &row["far_cause"]), (&486.into(), &17.into()));
        cdr.record.cause = 16;
        assert_eq!(cdr.describe()["far_cause"], 16, "whoever hung up has the last word");
    }

    #[test]
    fn an_unanswered_call_costs_nothing_and_an_id_survives_its_text() {
        let mut cdr = answered();
        cdr.record.answered_ms = NEVER;
        cdr.record.attempts[0].answered_ms = NEVER;
        cdr.rate().unwrap();
        assert!(!cdr.costs());
        assert_eq!(id_from_text(&id_text([7, u64::MAX])), Some([7, u64::MAX]));
        assert_eq!(id_from_text("zz"), None);
    }
}
