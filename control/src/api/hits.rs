//! How many packets the driver dropped by each entry of a list that is shown: the loop knows the entries, the
//! driver's tables the counts. Only what is on the page is asked for.

use std::net::IpAddr;
use std::sync::Arc;

use guard::GeoSet;
use serde_json::Value;
use xdp_prog::{Error, Maps, Prefix};

use super::Shared;
use crate::Refusal;
use crate::reconcile::{Guard, Realm};
use crate::shown::{ListOf, SignatureShown};

/// Prefixes of a geo set that are asked for without letting the driver's writer in between.
const TOGETHER: usize = 1_000;

/// The field that is filled; the loop leaves it empty.
const FIELD: &str = "hits";

/// Fills in what entries of a list dropped; without a guard that stays null. Of a large geo set this takes
/// its time (a microsecond a prefix), so it is done beside the API's thread.
pub(super) async fn fill(shared: &Arc<Shared>, path: &[&str], answer: Value) -> Value {
    let list = match path {
        ["firewall", "deny", ..] | ["firewall", "import", _, "entry"] => List::Denied,
        ["firewall", "geo"] | ["firewall", "geo", _] => List::Sets,
        ["firewall", "geo", name, "range"] => List::Ranges((*name).to_owned()),
        _ => return answer,
    };
    let shared = Arc::clone(shared);
    let kept = answer.clone();
    let filled = tokio::task::spawn_blocking(move || {
        let mut answer = answer;
        match answer.get_mut("items").and_then(Value::as_array_mut) {
            Some(items) => items.iter_mut().for_each(|item| list.fill(&shared, item)),
            None => list.fill(&shared, &mut answer),
        }
        answer
    });
    filled.await.unwrap_or(kept)
}

/// Which list is shown.
enum List {
    Denied,
    Sets,
    /// Those of the set with this name.
    Ranges(String),
}

impl List {
    fn fill(&self, shared: &Shared, item: &mut Value) {
        let text = |field: &str| item.get(field).and_then(Value::as_str);
        let hits = match self {
            Self::Denied => text("prefix").and_then(|prefix| denied(shared, prefix)),
            Self::Sets => text("name").and_then(|name| of_set(shared, name)),
            Self::Ranges(set) => text("range").and_then(|range| of_range(shared, set, range)),
        };
        if let (Some(hits), Some(place)) = (hits, item.get_mut(FIELD)) {
            *place = hits.into();
        }
    }
}

fn denied(shared: &Shared, name: &str) -> Option<u64> {
    let prefix = prefix(name)?;
    shared.maps.lock().ok()?.maps.as_ref()?.deny_hits(prefix).ok()
}

/// All that a geo set dropped; `None`: the driver does not hold it.
fn of_set(shared: &Shared, name: &str) -> Option<u64> {
    let (set, allow) = realm(&*shared.maps.lock().ok()?, name)?;
    let mut prefixes = set.prefixes().peekable();
    let mut sum = 0;
    while prefixes.peek().is_some() {
        let held = shared.maps.lock().ok()?;
        let maps = held.maps.as_ref()?;
        for (address, bits) in prefixes.by_ref().take(TOGETHER) {
            sum += of_region(maps, address, bits, allow)?.ok()?;
        }
    }
    Some(sum)
}

fn of_range(shared: &Shared, set: &str, range: &str) -> Option<u64> {
    let prefix = prefix(range)?;
    let held = shared.maps.lock().ok()?;
    let (_, allow) = realm(&held, set)?;
    of_region(held.maps.as_ref()?, prefix.address(), prefix.bits(), allow)?.ok()
}

fn realm(held: &Guard, name: &str) -> Option<(Arc<GeoSet>, bool)> {
    let Realm { set, allow, .. } = held.realms().iter().find(|realm| realm.name == name)?;
    Some((Arc::clone(set), *allow))
}

/// Single addresses that are forbidden stand with those that are denied.
fn of_region(maps: &Maps, address: IpAddr, bits: u8, allow: bool) -> Option<Result<u64, Error>> {
    let prefix = Prefix::new(address, bits).ok()?;
    Some(match prefix.is_host() && !allow {
        true => maps.deny_hits(prefix),
        false => maps.geo_hits(prefix),
    })
}

fn prefix(text: &str) -> Option<Prefix> {
    text.parse().ok()
}

/// Scanners that are known by name, and what each name dropped.
pub(super) async fn signatures(shared: &Arc<Shared>) -> Result<ListOf<SignatureShown>, Refusal> {
    let parameter = super::look(shared, &["param", "TG_SIGNATURES"]).await?;
    let words = parameter.get("value").and_then(Value::as_str).unwrap_or_default();
    let held = shared.maps.lock().map_err(|_| Refusal::new(500, "driver maps broken", ""))?;
    let hits = |name: &str| held.maps.as_ref().and_then(|maps| maps.signature_hits(name).ok());
    let words = words.split(',').filter(|word| !word.is_empty());
    let items = words.map(|name| SignatureShown { name: name.to_owned(), hits: hits(name) });
    Ok(ListOf { items: items.collect() })
}
