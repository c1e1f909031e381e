//! Geo sets as operators keep them: imported whole with their date, and changed range by range.

use std::sync::Arc;

use guard::{GeoRange, GeoSet};
use serde_json::Value;

use super::{Command, Office};
use crate::page::{Page, strange_cursor};
use crate::shown::{self, GeoRangeShown, GeoShown, RangesTaken};
use crate::state::entity::geo::day;
use crate::state::entity::{GeoHead, Kind};
use crate::store::Change;
use crate::{Refusal, Time};

const DAY_US: u64 = 86_400_000_000;

impl Office {
    /// A set with its size, and how old what it says is.
    pub(super) fn describe_geo(&self, time: Time, head: GeoHead) -> Value {
        let ranges = self.state.fences.set(head.id).map_or(0, |set| set.ranges().len());
        let today = i64::try_from(time.wall_us / DAY_US).unwrap_or(i64::MAX);
        let dated = day(&head.dated).ok().flatten();
        let age_days = dated.map(|dated| {
            let epoch = jiff::civil::date(1970, 1, 1);
            let day = epoch.until(dated).map_or(0, |span| i64::from(span.get_days()));
            today - day
        });
        let fences = self.state.fences_of(head.id);
        shown::json(GeoShown { set: head, ranges, age_days, fences, hits: None })
    }

    /// A page of a set's prefixes. A page's cursor is the address that its last one begins with.
    pub(super) fn geo_ranges(&self, name: &str, page: &Page) -> Result<Value, Refusal> {
        let id = self.state.geo_head(name)?.id;
        let Some(set) = self.state.fences.set(id) else {
            return Ok(page.fill(None::<Value>, |_| String::new(), |it| it));
        };
        let show = |(address, bits): (std::net::IpAddr, u8)| {
            shown::json(GeoRangeShown { range: format!("{address}/{bits}"), hits: None })
        };
        let place = |(address, _): &(std::net::IpAddr, u8)| address.to_string();
        match &page.cursor {
            None => Ok(page.fill(set.prefixes(), place, show)),
            Some(text) => {
                let behind = text.parse().map_err(|_| strange_cursor())?;
                Ok(page.fill(set.prefixes_behind(behind), place, show))
            }
        }
    }

    /// Gives a set ranges besides those that it has, or in place of them.
    pub(super) fn put_geo_ranges(
        &mut self,
        time: Time,
        name: &str,
        command: &Command,
        replace: bool,
    ) -> Result<Value, Refusal> {
        let id = self.state.geo_head(name)?.id;
        let told = command.ranges.clone().unwrap_or_default();
        let set = match self.state.fences.set(id) {
            Some(old) if !replace => {
                let more = old.with(told.ranges().iter().copied());
                Arc::new(more.map_err(|fault| Refusal::invalid(format!("range: {fault}")))?)
            }
            _ => told,
        };
        let head: serde_json::Map<String, Value> = ["source", "dated"]
            .iter()
            .filter_map(|field| {
                Some((field.to_string(), command.query.get(*field)?.clone().into()))
            })
            .collect();
        if let Some(said) = head.get("dated").and_then(Value::as_str) {
            day(said)?;
        }
        self.replace_geo(time, name, set)?;
        if !head.is_empty() {
            let entity = self.state.update(Kind::Geo, name, &Value::Object(head))?;
            self.change(Change::Put(Box::new(entity)));
        }
        let ranges = self.state.fences.set(id).map_or(0, |set| set.ranges().len());
        Ok(shown::json(RangesTaken { ranges }))
    }

    /// Takes the addresses of a range out of a set.
    pub(super) fn remove_geo_range(
        &mut self,
        time: Time,
        name: &str,
        range: &str,
    ) -> Result<Value, Refusal> {
        let id = self.state.geo_head(name)?.id;
        let gone: GeoRange = range
            .parse()
            .map_err(|fault| Refusal::invalid(format!("range: {range:?}: {fault}")))?;
        let old = self.state.fences.set(id).cloned().unwrap_or_default();
        let left =
            old.without(gone).map_err(|fault| Refusal::invalid(format!("range: {fault}")))?;
        if left == *old {
            return Err(Refusal::missing("range", range));
        }
        self.replace_geo(time, name, Arc::new(left))?;
        Ok(Value::Null)
    }

    fn replace_geo(&mut self, time: Time, name: &str, set: Arc<GeoSet>) -> Result<(), Refusal> {
        let id = self.state.put_geo(name, set.clone())?;
        let detail = format!("{} ranges", set.ranges().len());
        self.change(Change::GeoRanges(id, set));
        self.note(time, "geo_set_changed", name, detail);
        self.untold.realms = true;
        self.tell_fences();
        Ok(())
    }

    /// The workers hear of fences and sets that changed.
    pub(super) fn tell_fences(&mut self) {
        let Some(telling) = self.state.poll_fences() else { return };
        for queue in &mut self.down {
            queue.tell(telling.clone());
        }
    }
}
