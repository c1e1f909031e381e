//! An ordinary call, as control stores it.

use std::net::SocketAddr;

use control::cdr::{BillingMode, Cdr};
use control::shown::AttemptShown;
use link::record::{Attempt, CallRecord};
use link::{Endpoint, Text};
use rating::{Money, Origin, Price, Rounding, RoundingMode, Section, Terms};

fn terms(tariff: u32, rate: &str) -> link::record::Terms {
    let price = Price {
        tariff,
        version: 1,
        prefix_digits: 4,
        origin: Origin::Any,
        locked: false,
        rate: rate.parse().unwrap_or(Money::ZERO),
        unit_s: 60,
        minimum_s: 1,
        increment_s: 1,
        sections: [Section::default(); 3],
        connection_fee: Money::ZERO,
        fee_precision: 6,
        rounding_mode: RoundingMode::HalfEven,
        fee_unit: Money::ZERO,
        tax: 0,
    };
    link::record::Terms { words: Terms::customer(price, Rounding::default()).to_words() }
}

/// An ordinary call of a minute, not ended yet: so many ms after that moment (µs since 1970).
#[must_use]
pub fn call(number: u64, begin_us: u64) -> Cdr {
    let mut record = CallRecord::empty();
    record.id = [7, number];
    record.started_us = begin_us + number * 1_000;
    record.facts.source = Endpoint::from(SocketAddr::from(([10, 10, 1, 1], 5060)));
    record.facts.caller = Text::new(b"+4930123456").unwrap_or_default();
    record.facts.callee = Text::new(b"0044207123456").unwrap_or_default();
    record.facts.call_id = Text::new(b"3848276298220188511@10.10.1.1").unwrap_or_default();
    record.facts.user_agent = Text::new(b"Carrier/3.2").unwrap_or_default();
    record.caller_billed = Text::new(b"4930123456").unwrap_or_default();
    record.callee_billed = Text::new(b"44207123456").unwrap_or_default();
    record.customer_terms = terms(1, "0.60");
    record.vendor_terms = terms(2, "0.30");
    record.ringing_ms = 900;
    record.answered_ms = 4_000;
    record.attempts_used = 1;
    record.attempts[0] = Attempt { sent_ms: 3, answered_ms: 3_990, ..Attempt::default() };
    Cdr {
        record,
        billing_mode: BillingMode::CustomerGateway,
        gateway: "customer-in".into(),
        vendor_gateway: "vendor-out".into(),
        customer: 1,
        vendor: 2,
        account: "customer".into(),
        vendor_account: "vendor".into(),
        attempts: vec![AttemptShown {
            gateway: "vendor-out".into(),
            sent_ms: 3,
            ringing_ms: Some(890),
            answered_ms: Some(3_990),
            ended_ms: None,
            status: 200,
            reason: "none",
            cause: None,
        }],
        ..Cdr::default()
    }
}
