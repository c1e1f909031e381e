//! A vendor's rate sheet: the loop hands out what it is compared with beside it (`api/sheet.rs`), and takes what
//! that changes if the tariff is still the same.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::{Command, Office};
use crate::state::entity::RateRow;
use crate::state::price_lists::{PriceLists, Prices};
use crate::store::Change;
use crate::{Refusal, Time};

/// What a sheet changes in a tariff of this version.
#[derive(Clone, Debug)]
pub struct SheetChange {
    /// The tariff's version when it was compared.
    pub version: u32,
    /// Rows to put.
    pub rows: Vec<RateRow>,
    /// Keys of rows to take out.
    pub gone: Vec<String>,
}

/// What is asked of the loop.
#[derive(Clone, Debug)]
pub enum SheetStep {
    /// Lay the lists here, for a sheet of the mapping that the query names.
    Look(Arc<OnceLock<PriceLists>>),
    /// Lay the prices of these tariffs here.
    Prices(Vec<String>, Arc<OnceLock<Vec<Prices>>>),
    /// Take this.
    Take(Arc<SheetChange>),
}

impl Office {
    pub(super) fn handle_sheet(
        &mut self,
        time: Time,
        who: &str,
        tariff: &str,
        command: &Command,
    ) -> Result<Value, Refusal> {
        match &command.sheet {
            Some(SheetStep::Look(place)) => {
                let mapping = command.query.get("mapping").map_or("", String::as_str);
                // Nobody else fills it.
                let _ = place.set(self.state.price_lists(tariff, mapping)?);
                Ok(Value::Null)
            }
            Some(SheetStep::Prices(tariffs, place)) => {
                let prices = tariffs.iter().map(|name| self.state.prices(name));
                let _ = place.set(prices.collect::<Result<_, _>>()?);
                Ok(Value::Null)
            }
            Some(SheetStep::Take(change)) => {
                let SheetChange { version, rows, gone } = &**change;
                let head = self.state.change_rates(tariff, *version, rows, gone)?;
                let id = head.id();
                for key in gone {
                    self.change(Change::RateGone(id, key.clone()));
                }
                self.change(Change::Rates { tariff: id, rows: rows.clone(), replace: false });
                self.change(Change::Put(Box::new(head)));
                let (put, gone) = (rows.len(), gone.len());
                let detail = format!("{put} rates put, {gone} taken out by {who}");
                self.note(time, "sheet_taken", tariff, detail);
                Ok(Value::Null)
            }
            None => Err(Refusal::invalid("the sheet is the body, as .csv or .xlsx")),
        }
    }
}
