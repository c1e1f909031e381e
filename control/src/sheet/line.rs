//! Lines become rates: the columns are found by the header, and each line below is read by them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use rating::Money;

use super::cell::{Cell, Trouble, wrong};
use super::code::{expand, quoted};
use super::column::Columns;
use super::{CODES_MAX, LINES_MAX, Remark, Sheet, SheetRate, TakesLines, Terms};
use crate::Refusal;
use crate::state::entity::{RateRow, SheetMapping, Status};
use crate::state::moment::When;

/// Where what stands, from 0 on.
#[derive(Clone, Copy, Debug)]
struct Places {
    code: usize,
    country_code: Option<usize>,
    rate: usize,
    effective: Option<usize>,
    interval: Option<usize>,
    minimum: Option<usize>,
    increment: Option<usize>,
    connection_fee: Option<usize>,
    status: Option<usize>,
}

/// Reads line after line.
pub(super) struct Reader<'m> {
    mapping: &'m SheetMapping,
    statuses: BTreeMap<String, Status>,
    zone: TimeZone,
    places: Option<Places>,
    sheet: Sheet,
}

impl<'m> Reader<'m> {
    pub(super) fn new(mapping: &'m SheetMapping) -> Self {
        Self {
            mapping,
            statuses: mapping.statuses(),
            // A zone was found once at entry, so none is lost here.
            zone: TimeZone::get(&mapping.time_zone).unwrap_or(TimeZone::UTC),
            places: None,
            sheet: Sheet::default(),
        }
    }

    pub(super) fn finish(self) -> Result<Sheet, Refusal> {
        if self.places.is_none() {
            let line = self.mapping.header_line;
            let what =
                format!("the sheet ends before line {line}, where the mapping has its header");
            return Err(Refusal::invalid(what));
        }
        if self.sheet.lines == 0 {
            return Err(Refusal::invalid("the sheet has no rates below its header"));
        }
        Ok(self.sheet)
    }

    fn find_columns(&self, header: &[Cell<'_>]) -> Result<Places, Refusal> {
        let mapping = self.mapping;
        let columns = Columns::new(mapping.header_line, header);
        let find = |field, column| columns.find(field, column);
        let perhaps = |field, column| columns.perhaps(field, column);
        Ok(Places {
            code: find("code", &mapping.code)?,
            country_code: perhaps("country_code", &mapping.country_code)?,
            rate: find("rate", &mapping.rate)?,
            effective: perhaps("effective", &mapping.effective)?,
            interval: perhaps("interval", &mapping.interval)?,
            minimum: perhaps("minimum", &mapping.minimum)?,
            increment: perhaps("increment", &mapping.increment)?,
            connection_fee: perhaps("connection_fee", &mapping.connection_fee)?,
            status: perhaps("status", &mapping.status)?,
        })
    }

    fn read<'c>(
        &self,
        line: u32,
        places: Places,
        cell: impl Fn(usize) -> &'c Cell<'c>,
    ) -> Result<Vec<SheetRate>, Trouble> {
        let said = |place: Option<usize>| place.map(&cell).filter(|cell| !cell.is_empty());
        let country = match said(places.country_code) {
            Some(cell) => cell.text("country_code")?,
            None => Cow::Borrowed(""),
        };
        let codes = expand(&country, &cell(places.code).text("code")?).map_err(wrong)?;
        let status = said(places.status).map(|cell| self.status(cell)).transpose()?;
        let effective = said(places.effective).map(|cell| self.when(cell)).transpose()?;
        let terms = match status {
            Some(Status::Closed) => None,
            _ => Some(self.terms(places, &cell)?),
        };
        let rate = |prefix: String| SheetRate { line, prefix, terms, effective, status };
        let rates: Vec<SheetRate> = codes.into_iter().map(rate).collect();
        for rate in &rates {
            row(rate, effective).check().map_err(|refusal| wrong(refusal.detail))?;
        }
        Ok(rates)
    }

    fn terms<'c>(
        &self,
        places: Places,
        cell: impl Fn(usize) -> &'c Cell<'c>,
    ) -> Result<Terms, Trouble> {
        let said = |place: Option<usize>| place.map(&cell).filter(|cell| !cell.is_empty());
        let comma = self.mapping.decimal_comma;
        let (mut minimum_s, mut increment_s) = (None, None);
        if let Some(cell) = said(places.interval) {
            let text = cell.text("interval")?;
            let parts = text
                .split_once('/')
                .map(|(one, other)| (one.trim().parse::<u32>(), other.trim().parse::<u32>()));
            let Some((Ok(minimum), Ok(increment))) = parts else {
                let what = quoted(&text);
                return Err(wrong(format!("interval: {what} is no minimum and increment as 60/1")));
            };
            (minimum_s, increment_s) = (Some(minimum), Some(increment));
        }
        if let Some(cell) = said(places.minimum) {
            minimum_s = Some(cell.seconds("minimum")?);
        }
        if let Some(cell) = said(places.increment) {
            increment_s = Some(cell.seconds("increment")?);
        }
        let fee = said(places.connection_fee).map(|cell| cell.money("connection_fee", comma));
        Ok(Terms {
            rate: cell(places.rate).money("rate", comma)?,
            minimum_s,
            increment_s,
            connection_fee: fee.transpose()?,
        })
    }

    fn status(&self, cell: &Cell<'_>) -> Result<Status, Trouble> {
        let text = cell.text("status")?;
        self.statuses.get(&text.to_lowercase()).copied().ok_or_else(|| {
            let what = quoted(&text);
            wrong(format!("status: {what} is unknown; say what it means in status_words"))
        })
    }

    fn when(&self, cell: &Cell<'_>) -> Result<When, Trouble> {
        let begins = |day: DateTime| {
            let zoned = day.to_zoned(self.zone.clone()).ok()?;
            us(zoned.timestamp())
        };
        let read = match cell {
            Cell::Day(day) => begins(*day),
            Cell::Number(_) => {
                return Err(wrong(
                    "effective: a bare number is no date; format the column of the sheet as date",
                ));
            }
            cell => {
                let text = cell.text("effective")?;
                let formats = &self.mapping.date_formats;
                let by_format = formats.iter().find_map(|format| {
                    let parsed = strtime::parse(format, &*text).ok()?;
                    let day = parsed.to_date().ok()?;
                    begins(parsed.to_datetime().unwrap_or(day.at(0, 0, 0, 0)))
                });
                let instant = || us(text.parse::<Timestamp>().ok()?);
                let plain =
                    || begins(strtime::parse("%Y-%m-%d", &*text).ok()?.to_date().ok()?.into());
                by_format.or_else(instant).or_else(plain)
            }
        };
        read.ok_or_else(|| {
            let text = cell.text("effective").unwrap_or_default();
            let what = quoted(&text);
            wrong(format!(
                "effective: {what} is no date from 1970 on; see date_formats of the mapping"
            ))
        })
    }
}

impl TakesLines for Reader<'_> {
    fn handle_line(&mut self, line: u32, cells: &[Cell<'_>]) -> Result<(), Refusal> {
        if line > LINES_MAX {
            let what = format!("the file has more than {LINES_MAX} lines; send it in parts");
            return Err(Refusal::new(413, "sheet too large", what));
        }
        if line < self.mapping.header_line {
            return Ok(());
        }
        let places = match self.places {
            Some(places) => places,
            None => {
                let places = self.find_columns(cells)?;
                self.places = Some(places);
                if self.mapping.header_line > 0 {
                    return Ok(());
                }
                places
            }
        };
        let cell = |place: usize| cells.get(place).unwrap_or(&Cell::Empty);
        let codes = [Some(places.code), places.country_code];
        let says_code = codes.into_iter().flatten().any(|place| !cell(place).is_empty());
        // Titles and gaps between groups.
        if cell(places.rate).is_empty() && !says_code {
            return Ok(());
        }
        self.sheet.lines += 1;
        match self.read(line, places, cell) {
            Ok(mut rates) => {
                if self.sheet.rates.len() + rates.len() > CODES_MAX {
                    let what = format!(
                        "line {line}: the file has more than {CODES_MAX} codes; send it in parts"
                    );
                    return Err(Refusal::new(413, "sheet too large", what));
                }
                self.sheet.rates.append(&mut rates);
            }
            Err((remark, why)) => self.sheet.remarks.add(line, remark, why),
        }
        Ok(())
    }

    fn handle_broken(&mut self, line: u32, why: String) {
        self.sheet.lines += 1;
        self.sheet.remarks.add(line, Remark::Wrong, why);
    }
}

fn us(at: Timestamp) -> Option<When> {
    let ms = u64::try_from(at.as_millisecond()).ok()?;
    Some(When(ms * 1_000))
}

/// The row that a tariff would have for it.
pub(super) fn row(rate: &SheetRate, effective: Option<When>) -> RateRow {
    let terms = rate.terms.unwrap_or(Terms {
        rate: Money::ZERO,
        minimum_s: None,
        increment_s: None,
        connection_fee: None,
    });
    RateRow {
        prefix: rate.prefix.clone(),
        origin: "".into(),
        period: "".into(),
        effective,
        ends: None,
        rate: terms.rate,
        unit_s: Some(60),
        minimum_s: terms.minimum_s,
        increment_s: terms.increment_s,
        connection_fee: terms.connection_fee,
        sections: None,
        locked: false,
    }
}
