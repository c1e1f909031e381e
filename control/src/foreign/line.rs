//! Lines become calls: the columns are found by the header, and each line below is read by them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use numbers::Number;
use numbers::transform::Rules;
use rating::Money;

use super::{CALLS_MAX, ForeignCall, ForeignFile};
use crate::Refusal;
use crate::sheet::cell::{Cell, Trouble, wrong};
use crate::sheet::code::quoted;
use crate::sheet::column::Columns;
use crate::sheet::{Remark, TakesLines};
use crate::state::derive::rules;
use crate::state::entity::{DurationUnit, EPOCH_MS, EPOCH_S, RecordMapping};

/// Longest call, ms: 40 days. What says more is no duration.
const DURATION_MS_MAX: u64 = 40 * 86_400_000;
/// Longest text that is kept of a cell.
const TEXT_CHARS_MAX: usize = 64;
/// Formats that are read always.
const PLAIN: [&str; 2] = ["%Y-%m-%d %H:%M:%S%.f", "%Y/%m/%d %H:%M:%S%.f"];

/// Where what stands, from 0 on.
#[derive(Clone, Copy, Debug)]
struct Places {
    callee: usize,
    start: usize,
    start_time: Option<usize>,
    duration: usize,
    amount: Option<usize>,
    currency: Option<usize>,
    caller: Option<usize>,
    record_id: Option<usize>,
    payer: Option<usize>,
}

/// Reads line after line.
pub(super) struct Reader<'m> {
    mapping: &'m RecordMapping,
    currency: Option<&'m str>,
    zone: TimeZone,
    rules: Rules,
    places: Option<Places>,
    file: ForeignFile,
}

impl<'m> Reader<'m> {
    pub(super) fn new(mapping: &'m RecordMapping, currency: Option<&'m str>) -> Self {
        Self {
            mapping,
            currency,
            // A zone was found once at entry, so none is lost here.
            zone: TimeZone::get(&mapping.time_zone).unwrap_or(TimeZone::UTC),
            rules: rules(&mapping.callee_rules),
            places: None,
            file: ForeignFile::default(),
        }
    }

    pub(super) fn finish(self) -> Result<ForeignFile, Refusal> {
        if self.places.is_none() {
            let line = self.mapping.header_line;
            let what =
                format!("the file ends before line {line}, where the mapping has its header");
            return Err(Refusal::invalid(what));
        }
        Ok(self.file)
    }

    fn find_columns(&self, header: &[Cell<'_>]) -> Result<Places, Refusal> {
        let mapping = self.mapping;
        let columns = Columns::new(mapping.header_line, header);
        Ok(Places {
            callee: columns.find("callee", &mapping.callee)?,
            start: columns.find("start", &mapping.start)?,
            start_time: columns.perhaps("start_time", &mapping.start_time)?,
            duration: columns.find("duration", &mapping.duration)?,
            amount: columns.perhaps("amount", &mapping.amount)?,
            currency: columns.perhaps("currency", &mapping.currency)?,
            caller: columns.perhaps("caller", &mapping.caller)?,
            record_id: columns.perhaps("record_id", &mapping.record_id)?,
            payer: columns.perhaps("payer", &mapping.payer)?,
        })
    }

    fn read<'c>(
        &self,
        line: u32,
        places: Places,
        cell: impl Fn(usize) -> &'c Cell<'c>,
    ) -> Result<ForeignCall, Trouble> {
        let said = |place: Option<usize>| place.map(&cell).filter(|cell| !cell.is_empty());
        let kept = |field: &str, place: Option<usize>| -> Result<Box<str>, Trouble> {
            let Some(cell) = said(place) else { return Ok(Box::default()) };
            Ok(cell.text(field)?.chars().take(TEXT_CHARS_MAX).collect::<String>().into())
        };
        let currency = kept("currency", places.currency)?;
        if let Some(ours) = self.currency.filter(|ours| !currency.eq_ignore_ascii_case(ours))
            && !currency.is_empty()
        {
            let what = quoted(&currency);
            return Err(wrong(format!("currency: {what} is not that of the account, {ours}")));
        }
        let money = |place: usize| cell(place).money("amount", self.mapping.decimal_comma);
        Ok(ForeignCall {
            callee: self.callee(cell(places.callee))?,
            start_us: self.start(cell(places.start), said(places.start_time))?,
            duration_ms: self.duration(cell(places.duration))?,
            amount: places.amount.map(money).transpose()?,
            currency,
            caller: kept("caller", places.caller)?,
            payer: kept("payer", places.payer)?,
            record_id: kept("record_id", places.record_id)?,
            line,
        })
    }

    fn callee(&self, cell: &Cell<'_>) -> Result<Box<str>, Trouble> {
        let text = cell.text("callee")?;
        let number = Number::normal(text.as_bytes(), &[]).map_err(|fault| {
            wrong(format!(
                "callee: {}: {fault}; a spreadsheet may have made a figure of it",
                quoted(&text)
            ))
        })?;
        let number = self.rules.apply(number).ok_or_else(|| {
            wrong(format!("callee: {}: callee_rules leave no number of it", quoted(&text)))
        })?;
        Ok(number.as_str().into())
    }

    /// `61`, `61.250`, `1:01` or `1:01:01`, in ms.
    fn duration(&self, cell: &Cell<'_>) -> Result<u64, Trouble> {
        let text = cell.text("duration")?;
        let ms = match text.contains(':') {
            true => clock(&text),
            false => count(&text, self.mapping.duration_unit == DurationUnit::Ms),
        };
        ms.filter(|ms| *ms <= DURATION_MS_MAX).ok_or_else(|| {
            wrong(format!(
                "duration: {} is no 61, 61.250 or 1:01:01 of up to 40 days; see duration_unit of the mapping",
                quoted(&text)
            ))
        })
    }

    fn start(&self, cell: &Cell<'_>, time: Option<&Cell<'_>>) -> Result<i64, Trouble> {
        let text = match (cell, time) {
            (Cell::Day(day), None) => {
                return self.at(*day).ok_or_else(|| no_start(&day.to_string()));
            }
            (Cell::Day(day), Some(time)) => format!("{} {}", day.date(), clock_text(time)?),
            (cell, None) => cell.text("start")?.into_owned(),
            (cell, Some(time)) => format!("{} {}", cell.text("start")?, clock_text(time)?),
        };
        let formats = &self.mapping.start_formats;
        let read = match formats.first().map(String::as_str) {
            Some(EPOCH_S) => {
                count(&text, false).and_then(|ms| i64::try_from(ms).ok()?.checked_mul(1_000))
            }
            Some(EPOCH_MS) => {
                count(&text, true).and_then(|ms| i64::try_from(ms).ok()?.checked_mul(1_000))
            }
            _ => {
                let formats = formats.iter().map(String::as_str).chain(PLAIN);
                let by_format = formats.into_iter().find_map(|format| {
                    let parsed = strtime::parse(format, &text).ok()?;
                    // One that says its offset needs no zone.
                    let instant = parsed.to_timestamp().ok().map(Timestamp::as_microsecond);
                    instant.or_else(|| self.at(parsed.to_datetime().ok()?))
                });
                let instant = || Some(text.parse::<Timestamp>().ok()?.as_microsecond());
                by_format.or_else(instant)
            }
        };
        read.filter(|us| *us >= 0).ok_or_else(|| no_start(&text))
    }

    fn at(&self, civil: DateTime) -> Option<i64> {
        Some(civil.to_zoned(self.zone.clone()).ok()?.timestamp().as_microsecond())
    }
}

fn no_start(text: &str) -> Trouble {
    let what = quoted(text);
    wrong(format!("start: {what} is no time from 1970 on; see start_formats of the mapping"))
}

/// The time of day beside a day.
fn clock_text(cell: &Cell<'_>) -> Result<String, Trouble> {
    match cell {
        Cell::Day(day) => Ok(day.time().to_string()),
        cell => Ok(cell.text("start_time")?.into_owned()),
    }
}

/// `61.25` s, or `61250` ms, in ms. What is finer than that is cut off of ms, and is no count of s.
fn count(text: &str, is_ms: bool) -> Option<u64> {
    if is_ms {
        let (whole, finer) = text.split_once('.').unwrap_or((text, ""));
        let is_figure = |text: &str| text.bytes().all(|it| it.is_ascii_digit());
        return whole.parse().ok().filter(|_| is_figure(whole) && is_figure(finer));
    }
    let billionths = u64::try_from(text.parse::<Money>().ok()?.billionths()).ok()?;
    billionths.is_multiple_of(1_000_000).then_some(billionths / 1_000_000)
}

/// `1:01` or `1:01:01`, in ms.
fn clock(text: &str) -> Option<u64> {
    let parts: Vec<&str> = text.split(':').collect();
    let (hours, minutes, seconds) = match parts[..] {
        [minutes, seconds] => ("0", minutes, seconds),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        _ => return None,
    };
    let whole = |text: &str| {
        let sane = (1..=4).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit());
        text.parse::<u64>().ok().filter(|_| sane)
    };
    let ms = count(seconds, false).filter(|ms| *ms < 60_000)?;
    let minutes = whole(minutes).filter(|it| *it < 60 || parts.len() == 2)?;
    Some((whole(hours)? * 60 + minutes) * 60_000 + ms)
}

impl TakesLines for Reader<'_> {
    fn handle_line(&mut self, line: u32, cells: &[Cell<'_>]) -> Result<(), Refusal> {
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
        if cells.iter().all(Cell::is_empty) {
            return Ok(());
        }
        if self.file.lines == CALLS_MAX {
            let what =
                format!("line {line}: the file has more than {CALLS_MAX} lines; send it in parts");
            return Err(Refusal::new(413, "file too large", what));
        }
        self.file.lines += 1;
        let cell = |place: usize| cells.get(place).unwrap_or(&Cell::Empty);
        match self.read(line, places, cell) {
            Ok(call) => self.file.calls.push(call),
            Err((_, why)) => self.file.remarks.add(line, Remark::Wrong, why),
        }
        Ok(())
    }

    fn handle_broken(&mut self, line: u32, why: String) {
        self.file.lines += 1;
        self.file.remarks.add(line, Remark::Wrong, why);
    }
}
