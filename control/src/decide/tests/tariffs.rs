//! Tariffs: which rate a call has, and what it is charged.

use super::*;

impl Desk {
    /// What a call of the customer is charged: the balance's change, the charge, the tax.
    fn costs(&mut self, talk_ms: u32) -> (String, String, String) {
        let before: Money = self.balance("customer").parse().unwrap();
        let (admit, route) = self.call();
        let record = talked(&admit, &route, talk_ms);
        self.office.handle_ended(self.time, 0, admit.call, &record, false);
        let ends = self.settle().ends;
        let row = ends.last().unwrap().describe();
        let after: Money = self.balance("customer").parse().unwrap();
        let text = |field: &str| row[field].as_str().unwrap().to_owned();
        (before.minus(after).unwrap().to_string(), text("charge"), text("tax"))
    }

    fn rate(&mut self, body: Value) {
        self.post("tariff/sell/rate", body).unwrap();
    }

    /// What a minute costs, tax included.
    fn minute(&mut self) -> String {
        self.costs(60_000).0
    }
}

/// Monday, 2026-11-23, 10:00 UTC.
const MONDAY_US: u64 = 1_795_428_000_000_000;

fn at(wall_us: u64) -> Desk {
    let mut desk = Desk::new("100");
    desk.time.wall_us = wall_us;
    desk
}

#[test]
fn sections_connection_fee_and_tax_are_charged_and_reserved() {
    let mut desk = Desk::new("1.8");
    desk.set("TG_CREDIT_SLICE", "3600");
    desk.patch("tariff/sell", json!({"tax_percent": "20"}));
    desk.rate(json!({
        "prefix": "44", "rate": "0.60", "sections": "60@1.20/6", "connection_fee": "0.20",
        "minimum_s": 30, "increment_s": 6,
    }));
    // 60 s for 1.20, 0.20, and a fifth of 1.40 leave 0.12 for 9 s of 0.01 and their tax: one step of 6 s.
    let (_, route) = desk.call();
    assert_eq!(route.granted_s, 66);
    assert_eq!(desk.reserved().to_string(), "1.752");
    let mut desk = Desk::new("10");
    desk.patch("tariff/sell", json!({"tax_percent": "20"}));
    desk.rate(json!({
        "prefix": "44", "rate": "0.60", "sections": "60@1.20/6", "connection_fee": "0.20",
        "minimum_s": 30, "increment_s": 6,
    }));
    assert_eq!(desk.costs(75_000), ("1.896".into(), "1.58".into(), "0.316".into()));
    assert_eq!(desk.costs(10_000), ("0.96".into(), "0.80".into(), "0.16".into()));
}

#[test]
fn a_rate_may_be_for_callers_of_one_prefix_and_the_cdr_names_it() {
    let mut desk = Desk::new("10");
    desk.rate(json!({"prefix": "44", "rate": "0.06", "origin": "39"}));
    desk.rate(json!({"prefix": "44", "rate": "0.12", "origin": "unknown"}));
    let told = |desk: &mut Desk, caller: &[u8]| {
        let mut admit = desk.invite("10.1.0.1:5060", "44207");
        admit.facts.caller = Text::new(caller).unwrap();
        let route = desk.ask(&admit).unwrap();
        let caller_billed = route.caller_billed;
        let record = CallRecord { caller_billed, ..talked(&admit, &route, 60_000) };
        desk.office.handle_ended(desk.time, 0, admit.call, &record, false);
        let row = desk.settle().ends.last().unwrap().describe();
        (row["charge"].as_str().unwrap().to_owned(), row["origin"].clone())
    };
    assert_eq!(told(&mut desk, b"39021234"), ("0.06".into(), json!("39")));
    assert_eq!(told(&mut desk, b"33144"), ("0.60".into(), Value::Null));
    assert_eq!(told(&mut desk, b"anonymous"), ("0.12".into(), json!("unknown")));
}

#[test]
fn a_locked_destination_is_refused_by_its_own_reason() {
    let mut desk = Desk::new("10");
    desk.rate(json!({"prefix": "442", "rate": "0", "locked": true}));
    let admit = desk.invite("10.1.0.1:5060", "44207");
    let no = desk.ask(&admit).unwrap_err();
    assert_eq!((no.status, no.reason), (403, EndReason::DestinationLocked as u8));
    let explained = desk.office.explain_route(desk.time, "in", "39021234", "44207").unwrap();
    assert_eq!(explained["reason"], "destination_locked");
    desk.say(Method::Delete, "tariff/sell/rate/442", Value::Null).unwrap();
    desk.post("tariff/buy/rate", json!({"prefix": "442", "rate": "0", "locked": true})).unwrap();
    assert_eq!(desk.excluded()["first"], "destination_locked");
}

#[test]
fn a_rate_comes_into_force_at_its_instant_and_leaves_running_calls_alone() {
    let mut desk = at(MONDAY_US);
    desk.rate(json!({"prefix": "44", "rate": "1.20", "effective": "2026-11-23T10:01:00Z"}));
    let (admit, route) = desk.call();
    desk.pass(60_000);
    assert_eq!(desk.minute(), "1.20");
    let record = talked(&admit, &route, 60_000);
    desk.office.handle_ended(desk.time, 0, admit.call, &record, false);
    assert_eq!(desk.settle().ends[0].customer_charge.fee.to_string(), "0.60");
}

#[test]
fn a_whole_sheet_takes_the_place_of_another_at_its_instant() {
    let mut desk = at(MONDAY_US);
    desk.rate(json!({"prefix": "442", "rate": "0.30"}));
    desk.rate(json!({"prefix": "44", "rate": "9", "effective": "2026-11-23T12:00:00Z"}));
    let command = Command {
        method: Method::Put,
        path: ["tariff", "sell", "rate"].map(str::to_owned).into(),
        query: [("effective".to_owned(), "2026-11-23T11:00:00Z".to_owned())].into(),
        body: json!([{"prefix": "44", "rate": "2.40"}]),
        rates: Vec::new(),
        ranges: None,
        entries: None,
        records: None,
        sheet: None,
    };
    desk.office.handle_command(desk.time, &command).unwrap();
    assert_eq!(desk.minute(), "0.30");
    desk.pass(3_600_000);
    assert_eq!(desk.minute(), "2.40", "442 is not in it");
    desk.pass(3_600_000);
    assert_eq!(desk.minute(), "2.40", "what was to come later does not come");
    let rows = desk.say(Method::Get, "tariff/sell/rate", Value::Null).unwrap();
    assert_eq!(rows["items"].as_array().unwrap().len(), 3);
}

#[test]
fn periods_go_by_the_clock_of_the_tariff() {
    let mut desk = at(MONDAY_US);
    desk.patch(
        "tariff/sell",
        json!({"time_zone": "Europe/Berlin", "periods": ["night=mon-fri 12:00-08:00"]}),
    );
    desk.rate(json!({"prefix": "44", "rate": "0.10", "period": "night"}));
    desk.pass(3_599_999);
    assert_eq!(desk.minute(), "0.60");
    desk.pass(1);
    assert_eq!(desk.minute(), "0.10", "it is noon in Berlin");
    let row = json!({"prefix": "44", "rate": "0.10", "period": "day"});
    assert!(desk.post("tariff/sell/rate", row).unwrap_err().detail.contains("\"day\""));
    let gone = desk.say(Method::Patch, "tariff/sell", json!({"periods": []}));
    assert!(gone.unwrap_err().detail.contains("\"night\""));
}

#[test]
fn what_a_tariff_leaves_open_is_as_its_template_says() {
    let mut desk = Desk::new("100");
    desk.post(
        "tariff",
        json!({"name": "form", "minimum_s": 60, "increment_s": 60, "connection_fee": "0.05"}),
    )
    .unwrap();
    desk.patch("tariff/sell", json!({"template": "form"}));
    assert_eq!(desk.costs(61_000).1, "1.25");
    desk.patch("tariff/form", json!({"sections": "60/60", "tax_percent": "10"}));
    desk.rate(json!({"prefix": "44", "rate": "0.60", "sections": "@6", "connection_fee": "0"}));
    assert_eq!(desk.costs(61_000), ("7.26".into(), "6.60".into(), "0.66".into()));
    desk.patch("tariff/sell", json!({"tax_percent": "0"}));
    assert_eq!(desk.costs(61_000).2, "0.00", "its own word goes before");
    let circle = desk.say(Method::Patch, "tariff/form", json!({"template": "sell"}));
    assert!(circle.unwrap_err().detail.contains("template"));
    let used = desk.say(Method::Delete, "tariff/form", Value::Null);
    assert_eq!(used.unwrap_err().status, 409);
}

#[test]
fn a_fee_unit_rounds_up_and_a_tariff_may_say_another() {
    let mut desk = Desk::new("100");
    desk.set("SERVER_BILLING_FEE_UNIT", "250000");
    assert_eq!(desk.minute(), "0.75");
    desk.patch("tariff/sell", json!({"fee_unit": "0.4"}));
    assert_eq!(desk.minute(), "0.80");
    desk.patch("tariff/sell", json!({"fee_unit": "0"}));
    assert_eq!(desk.minute(), "0.60");
}
