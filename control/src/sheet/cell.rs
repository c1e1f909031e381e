//! One cell, and what it can be read as.

use std::borrow::Cow;

use jiff::civil::DateTime;
use rating::{Money, MoneyFault};

use super::Remark;
use super::code::quoted;

/// What stands in a cell.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    /// Nothing.
    Empty,
    /// Text.
    Text(Cow<'a, str>),
    /// A number of an .xlsx.
    Number(f64),
    /// A day of an .xlsx, by no clock.
    Day(DateTime),
    /// What a spreadsheet shows instead of a value: `#REF!`.
    Broken(String),
}

/// Why a line has no rate.
pub(crate) type Trouble = (Remark, String);

pub(crate) fn wrong(why: impl Into<String>) -> Trouble {
    (Remark::Wrong, why.into())
}

impl Cell<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Text(text) => text.trim().is_empty(),
            Self::Number(_) | Self::Day(_) | Self::Broken(_) => false,
        }
    }

    /// As text. A number is the shortest text that reads back as it: what somebody typed.
    pub(crate) fn text(&self, field: &str) -> Result<Cow<'_, str>, Trouble> {
        match self {
            Self::Empty => Ok("".into()),
            Self::Text(text) => Ok(text.trim().into()),
            Self::Number(number) => Ok(number.to_string().into()),
            Self::Day(day) => Err(wrong(format!(
                "{field}: the spreadsheet made a date of it ({}); format the column as text and \
                 write it again",
                day.date()
            ))),
            Self::Broken(what) => Err(wrong(format!("{field}: the cell says {}", quoted(what)))),
        }
    }

    /// As money.
    pub(crate) fn money(&self, field: &str, decimal_comma: bool) -> Result<Money, Trouble> {
        let text = self.text(field)?;
        let point = match self {
            Self::Text(_) if decimal_comma => {
                if text.contains('.') {
                    let what = quoted(&text);
                    return Err(wrong(format!(
                        "{field}: {what} has a point, and the mapping says decimal_comma"
                    )));
                }
                text.replace(',', ".").into()
            }
            _ => text,
        };
        let what = || quoted(&point);
        match point.parse::<Money>() {
            Ok(money) if money < Money::ZERO => {
                Err(wrong(format!("{field}: {} is negative", what())))
            }
            Ok(money) => Ok(money),
            Err(MoneyFault::TooPrecise) => Err((
                Remark::Rounds,
                format!(
                    "{field}: {} has more than the nine decimals that a tariff keeps; round it in \
                     the sheet, or ask the vendor",
                    what()
                ),
            )),
            Err(MoneyFault::Overflow) => Err(wrong(format!("{field}: {} is too large", what()))),
            Err(MoneyFault::NotDecimal) => Err(wrong(match &*point {
                "" => format!(
                    "{field}: it is empty (a formula has its value once a spreadsheet program saved it)"
                ),
                text if text.contains(',') => format!(
                    "{field}: {} has a comma; say decimal_comma in the mapping if it is the decimal one",
                    quoted(text)
                ),
                text => format!("{field}: {} is no decimal number like 0.0120", quoted(text)),
            })),
        }
    }

    /// As whole seconds.
    pub(crate) fn seconds(&self, field: &str) -> Result<u32, Trouble> {
        let text = self.text(field)?;
        text.parse().map_err(|_| wrong(format!("{field}: {} is no whole seconds", quoted(&text))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn money_is_what_was_typed_or_said_not_to_be() {
        let text = |text: &'static str| Cell::Text(text.into());
        let read = |cell: Cell<'_>, comma| {
            cell.money("rate", comma).map(|money| money.to_string()).map_err(|it| it.0)
        };
        for (cell, comma, reads) in [
            (text(" 0.0120 "), false, Ok("0.012")),
            (text("0,0120"), true, Ok("0.012")),
            (text(".5"), false, Ok("0.50")),
            (text("0.01200000000"), false, Ok("0.012")),
            (Cell::Number(0.0123), true, Ok("0.0123")),
            (Cell::Number(1e-9), false, Ok("0.000000001")),
            (Cell::Number(0.1 + 0.2), false, Err(Remark::Rounds)),
            (text("0.0123456789"), false, Err(Remark::Rounds)),
            (Cell::Number(1e300), false, Err(Remark::Wrong)),
            (Cell::Number(f64::NAN), false, Err(Remark::Wrong)),
            (Cell::Number(-0.1), false, Err(Remark::Wrong)),
            (text("1.234,5"), true, Err(Remark::Wrong)),
            (text("0,5"), false, Err(Remark::Wrong)),
            (text("€0.5"), false, Err(Remark::Wrong)),
            (Cell::Empty, false, Err(Remark::Wrong)),
            (Cell::Broken("#REF!".into()), false, Err(Remark::Wrong)),
        ] {
            assert_eq!(read(cell.clone(), comma), reads.map(str::to_owned), "{cell:?}");
        }
    }

    proptest! {
        #[test]
        fn a_price_that_was_typed_comes_back_from_its_float(billionths in 0_i64..100_000_000_000) {
            let typed = Money::from_billionths(billionths);
            let float: f64 = typed.to_string().parse().unwrap();
            prop_assert_eq!(Cell::Number(float).money("rate", false), Ok(typed));
        }
    }
}
