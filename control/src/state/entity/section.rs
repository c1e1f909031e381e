//! Sections of a price as operators write them: `60@0.10/6 120@0.05`, a tier each.
//!
//! A tier is `SECONDS@RATE/STEP`; each of the three may be left open, and is then as the same tier of the head
//! says. Seconds that nobody says end the tiers; a rate that nobody says is the base rate, a step the row's.

use std::fmt;
use std::str::FromStr;

use rating::price::{SECONDS_MAX, SECTIONS_MAX};
use rating::{Money, Section};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tier {
    seconds: Option<u32>,
    rate: Option<Money>,
    increment_s: Option<u32>,
}

/// All tiers, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sections(Box<[Tier]>);

impl Sections {
    /// These where they say something, and those where they do not.
    pub(in crate::state) fn over(own: Option<Self>, template: Option<Self>) -> Option<Self> {
        let (Some(own), Some(template)) = (&own, &template) else { return own.or(template) };
        let tiers = own.0.iter().enumerate().map(|(place, tier)| {
            let other = template.0.get(place).copied().unwrap_or_default();
            Tier {
                seconds: tier.seconds.or(other.seconds),
                rate: tier.rate.or(other.rate),
                increment_s: tier.increment_s.or(other.increment_s),
            }
        });
        Some(Self(tiers.collect()))
    }

    /// As a price has them.
    pub(in crate::state) fn sections(
        &self,
        rate: Money,
        increment_s: u32,
    ) -> [Section; SECTIONS_MAX] {
        let mut sections = [Section::default(); SECTIONS_MAX];
        for (section, tier) in sections.iter_mut().zip(&self.0) {
            *section = Section {
                seconds: tier.seconds.unwrap_or(0),
                rate: tier.rate.unwrap_or(rate),
                increment_s: tier.increment_s.unwrap_or(increment_s),
            };
        }
        sections
    }
}

impl Tier {
    fn read(text: &str) -> Option<Self> {
        let (rest, step) = match text.split_once('/') {
            Some((rest, step)) => (rest, Some(step)),
            None => (text, None),
        };
        let (seconds, rate) = match rest.split_once('@') {
            Some((seconds, rate)) => (seconds, Some(rate)),
            None => (rest, None),
        };
        let span = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let seconds = digits.then(|| text.parse().ok()).flatten();
            seconds.filter(|seconds| (1..=SECONDS_MAX).contains(seconds))
        };
        let dear = |rate: &Money| rate.billionths() >= 864_000_000 * 1_000_000_000;
        let rate = match rate {
            Some(rate) => Some(
                rate.parse::<Money>().ok().filter(|rate| *rate >= Money::ZERO && !dear(rate))?,
            ),
            None => None,
        };
        let seconds = if seconds.is_empty() { None } else { Some(span(seconds)?) };
        let increment_s = match step {
            Some(step) => Some(span(step)?),
            None => None,
        };
        Some(Self { seconds, rate, increment_s })
    }
}

impl FromStr for Sections {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // As a sheet says empty text, since an empty cell is what the tariff says.
        let text = if text == "\"\"" { "" } else { text };
        let tiers: Option<Vec<Tier>> = text.split_whitespace().map(Tier::read).collect();
        match tiers {
            Some(tiers) if tiers.len() <= SECTIONS_MAX => Ok(Self(tiers.into())),
            Some(_) => Err(format!("{text:?}: up to {SECTIONS_MAX} sections can be had")),
            None => Err(format!("{text:?} are no sections, such as 60@0.10/6 120@0.05")),
        }
    }
}

impl fmt::Display for Sections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, tier) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(" ")?;
            }
            if let Some(seconds) = tier.seconds {
                write!(f, "{seconds}")?;
            }
            if let Some(rate) = tier.rate {
                write!(f, "@{rate}")?;
            }
            if let Some(step) = tier.increment_s {
                write!(f, "/{step}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Sections {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sections {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Sections {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sections".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_read_as_they_are_written() {
        for text in ["60@0.10/6 120@0.05", "60/60", "@0.10", "60", ""] {
            assert_eq!(text.parse::<Sections>().unwrap().to_string(), text);
        }
        assert_eq!("\"\"".parse(), Ok(Sections::default()), "a cell of a sheet");
        for wrong in
            ["60@", "60/", "x@1", "0@1", "60@-1", "60@1/0", "60@1/x", "1 1 1 1", "86401", "+6"]
        {
            assert!(wrong.parse::<Sections>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_a_row_leaves_open_is_as_its_template_says() {
        let read = |text: &str| Some(text.parse::<Sections>().unwrap());
        let both = Sections::over(read("@0.10 @0.05/1"), read("60/60 30@9/30"));
        assert_eq!(both.clone().unwrap().to_string(), "60@0.10/60 30@0.05/1");
        assert_eq!(Sections::over(None, both.clone()), both);
        assert_eq!(Sections::over(read(""), both).unwrap().to_string(), "", "none at all");
        let base: Money = "0.02".parse().unwrap();
        let [first, second, _] = read("60/60 @0.5").unwrap().sections(base, 6);
        assert_eq!((first.seconds, first.rate, first.increment_s), (60, base, 60));
        assert_eq!((second.seconds, second.increment_s), (0, 6), "it never comes");
    }
}
