//! A vendor's rate sheet: the loop hands out what it is compared with beside it (`api/sheet.rs`), and takes what
//! that changes if the tariff is still the same.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use rating::Rounding;
use serde_json::Value;

use super::{Command, Office};
use crate::state::entity::RateRow;
use crate::state::payers::{Payers, Side};
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

/// Who is to be looked for.
#[derive(Debug)]
pub struct PayersAsked {
    /// Names of accounts.
    pub names: BTreeSet<String>,
    /// Whose side.
    pub side: Side,
    /// The tariff of all; none: each account's own.
    pub tariff: Option<String>,
    /// Where the answer goes.
    pub place: OnceLock<Payers>,
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
    /// Say who pays by what, for calls of another switch.
    Payers(Arc<PayersAsked>),
}

impl Office {
    /// Lays out what accounts pay by.
    pub(super) fn look_at_payers(&self, command: &Command) -> Result<Value, Refusal> {
        let Some(SheetStep::Payers(asked)) = &command.sheet else {
            return Err(Refusal::invalid("the file is the body, as .csv or .xlsx"));
        };
        let PayersAsked { names, side, tariff, place } = &**asked;
        let by_name = self.state.payers(names, *side, tariff.as_deref())?;
        let rounding = match side {
            Side::Customer => self.rounding(),
            Side::Vendor => Rounding { free_time_s: 0, ..self.rounding() },
        };
        let free = match side {
            Side::Customer => self.state.values.text("BILLING_FREE_E164S").to_owned(),
            Side::Vendor => String::new(),
        };
        // Nobody else fills it.
        let _ = place.set(Payers { by_name, rounding, free });
        Ok(Value::Null)
    }

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
            Some(SheetStep::Payers(_)) | None => {
                Err(Refusal::invalid("the sheet is the body, as .csv or .xlsx"))
            }
        }
    }
}
