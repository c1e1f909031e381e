//! What a sheet changes is taken by the tariff that it was compared with, and by no other.

use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use super::Desk;
use crate::decide::sheet::{SheetChange, SheetStep};
use crate::decide::{Command, Method};
use crate::state::price_lists::PriceLists;

impl Desk {
    fn sheet(&mut self, method: Method, step: SheetStep) -> Result<Value, crate::Refusal> {
        let command = Command {
            method,
            path: ["tariff", "sell", "sheet"].map(str::to_owned).into(),
            query: [("mapping".to_owned(), "m".to_owned())].into(),
            body: Value::Null,
            rates: Vec::new(),
            ranges: None,
            entries: None,
            records: None,
            sheet: Some(step),
        };
        self.office.handle_command(self.time, &command)
    }

    fn price_lists(&mut self) -> Result<PriceLists, crate::Refusal> {
        let place = Arc::new(OnceLock::new());
        self.sheet(Method::Get, SheetStep::Look(Arc::clone(&place)))?;
        Ok(place.get().unwrap().clone())
    }
}

#[test]
fn a_tariff_that_changed_meanwhile_refuses_a_sheet_and_keeps_its_rates() {
    let mut desk = Desk::new("100");
    assert_eq!(desk.price_lists().unwrap_err().status, 404);
    let mapping =
        json!({"name": "m", "account": "vendor", "code": "A", "rate": "B", "header_line": 0});
    desk.post("sheet/mapping", mapping).unwrap();
    let lists = desk.price_lists().unwrap();
    let key = lists.rows.iter().next().unwrap().0.clone();
    let row = |rate: &str| serde_json::from_value(json!({"prefix": "449", "rate": rate})).unwrap();
    let change = |version, rate: &str| {
        let (rows, gone) = (vec![row(rate)], vec![key.clone()]);
        SheetStep::Take(Arc::new(SheetChange { version, rows, gone }))
    };
    desk.post("tariff/sell/rate", json!({"prefix": "7", "rate": "1"})).unwrap();
    assert!(lists.rows.get("7").is_none(), "who compares sees what was");
    let late = desk.sheet(Method::Post, change(lists.head.version, "1")).unwrap_err();
    assert!(late.status == 409 && late.detail.contains("send it again"), "{late:?}");
    let version = desk.price_lists().unwrap().head.version;
    desk.sheet(Method::Post, change(version, "2")).unwrap();
    let rows = desk.price_lists().unwrap().rows;
    assert_eq!(rows.get("449").map(|row| row.rate.to_string()).as_deref(), Some("2.00"));
    assert!(rows.get(&key).is_none() && rows.get("7").is_some());
}
