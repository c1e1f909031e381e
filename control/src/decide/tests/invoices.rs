//! Numbers of invoices, and the days that they name.

use super::*;
use crate::Refusal;
use crate::invoice::{Billed, Line};

const DAY_US: u64 = 86_400_000_000;

/// What a time came to, of the customer.
fn billed(desk: &Desk, from_us: u64, amount: &str) -> Billed {
    let line = Line {
        destination: "44".into(),
        count: 1,
        billed_s: 60,
        amount: amount.parse().unwrap(),
        ..Line::default()
    };
    Billed {
        account: desk.office.state.account("customer").unwrap().id,
        from: "a".into(),
        to: "b".into(),
        from_us,
        to_us: from_us + DAY_US,
        lines: vec![line],
        ..Billed::default()
    }
}

impl Desk {
    fn step(&mut self, name: &str, step: Value) -> Result<String, Refusal> {
        let name = self.say(Method::Put, &format!("invoice/{name}/step"), step)?;
        Ok(name.as_str().unwrap().to_owned())
    }

    fn issues(&mut self, from_us: u64) -> Result<String, Refusal> {
        let billed = json!(billed(self, from_us, "1.23456"));
        let draft = self.step("new", json!({ "Draft": billed }))?;
        self.step(&draft, json!({ "Issue": billed }))
    }
}

/// An invoice, in one line.
pub(super) fn issued(desk: &mut Desk) -> String {
    let name = desk.issues(DAY_US).unwrap();
    let account = desk.office.state.account("customer").unwrap().clone();
    let billed = billed(desk, DAY_US, "1.23456");
    let document = desk.office.invoice_document(&account, &billed, 0).unwrap();
    format!("{name} {document:?}")
}

#[test]
fn numbers_follow_each_other_whatever_they_begin_with() {
    let mut desk = Desk::new("2.5");
    assert_eq!(desk.issues(DAY_US).unwrap(), "000001");
    desk.set("TG_INVOICE_PREFIX", "B-");
    assert_eq!(desk.issues(2 * DAY_US).unwrap(), "B-000002");
    assert_eq!(desk.issues(2 * DAY_US).unwrap_err().title, "invoiced already");
    desk.set("TG_INVOICE_PREFIX", "");
    assert_eq!(desk.issues(3 * DAY_US).unwrap(), "000003");
    assert_eq!(desk.step("draft-3", json!("Remove")).unwrap(), "draft-3", "the refused one");
    assert_eq!(desk.step("000003", json!("Remove")).unwrap_err().status, 409);
}

#[test]
fn an_invoice_is_due_by_the_clock_of_its_account() {
    let mut desk = Desk::new("2.5");
    let at = |desk: &Desk, us: u64| {
        let account = desk.office.state.account("customer").unwrap().clone();
        let billed = billed(desk, DAY_US, "1");
        let (document, due_us) = desk.office.invoice_document(&account, &billed, us).unwrap();
        (document.issued, document.due, due_us)
    };
    // 2026-03-27T23:30Z.
    let late = 1_774_654_200_000_000;
    desk.set("TG_INVOICE_DUE_DAYS", "2");
    let over = 1_774_828_800_000_000;
    assert_eq!(at(&desk, late), ("2026-03-27".into(), "2026-03-29".into(), over));
    // It is the day after already, and the day of the due date has 23 hours.
    desk.patch("account/customer", json!({"time_zone": "Europe/Berlin"}));
    desk.set("TG_INVOICE_DUE_DAYS", "1");
    assert_eq!(at(&desk, late), ("2026-03-28".into(), "2026-03-29".into(), over - 7_200_000_000));
}
