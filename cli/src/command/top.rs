//! `tollgate top`

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::render::{self, Output};
use crate::{Context, Failure};

/// Of each list so many rows are shown to a person.
const ROWS: usize = 12;

/// Of a worker's counters those that say what calls and packets do.
const OF_WORKERS: [&str; 8] = [
    "sip_received",
    "sip_sent",
    "media_relayed",
    "calls_offered",
    "calls_answered",
    "calls_ended",
    "refused_shut_out",
    "options_answered",
];

/// Shows what happens, every so many seconds, so many times; 0: until it is stopped.
pub(crate) fn run(context: &Context, every: u64, looks: u64) -> Result<(), Failure> {
    let mut before: Option<(Instant, BTreeMap<String, u64>)> = None;
    let mut look = 0;
    loop {
        let status = context.client.get("/status")?;
        let driver = context.client.get("/firewall/counter")?;
        let talkers = context.client.get("/firewall/talker")?;
        let (now, counted) = (Instant::now(), counted(&status, &driver));
        let rates = before.as_ref().map(|(then, old)| rates(old, &counted, now - *then));
        show(context.output, &status, &rates.unwrap_or_default(), &talkers)?;
        before = Some((now, counted));
        look += 1;
        if look == looks {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs(every));
    }
}

/// Counters by name: those of the driver, and the sums of all workers'.
fn counted(status: &Value, driver: &Value) -> BTreeMap<String, u64> {
    let mut counted = BTreeMap::new();
    let items = |value: &Value, name: &str| {
        value.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    for item in items(driver, "items") {
        let packets = item.get("packets").and_then(Value::as_u64).unwrap_or(0);
        if let Some(reason) = item.get("reason").and_then(Value::as_str) {
            counted.insert(format!("driver {reason}"), packets);
        }
    }
    for worker in items(status, "workers") {
        for name in OF_WORKERS {
            let count = worker.pointer(&format!("/counters/{name}")).and_then(Value::as_u64);
            *counted.entry(format!("worker {name}")).or_insert(0) += count.unwrap_or(0);
        }
    }
    counted
}

/// How many there were in a second, of those that there were any of, the most first.
fn rates(
    old: &BTreeMap<String, u64>,
    new: &BTreeMap<String, u64>,
    time: Duration,
) -> Vec<(String, u64)> {
    let ms = time.as_millis().max(1);
    let mut rates: Vec<(String, u64)> = new
        .iter()
        .map(|(name, count)| {
            let more = count.saturating_sub(old.get(name).copied().unwrap_or(0));
            (name.clone(), u64::try_from(u128::from(more) * 1_000 / ms).unwrap_or(u64::MAX))
        })
        .filter(|(_, rate)| *rate > 0)
        .collect();
    rates.sort_by_key(|(_, rate)| std::cmp::Reverse(*rate));
    rates
}

fn show(
    output: Output,
    status: &Value,
    rates: &[(String, u64)],
    talkers: &Value,
) -> Result<(), Failure> {
    let rates: Vec<Value> =
        rates.iter().map(|(name, rate)| json!({ "what": name, "per_second": rate })).collect();
    if matches!(output, Output::Json) {
        // A line for each look.
        let line = json!({ "status": status, "rates": rates, "talkers": talkers.get("items") });
        return Ok(render::print(&format!("{line}\n"))?);
    }
    let of = |name: &str| status.pointer(name).map_or_else(String::new, ToString::to_string);
    let mut text = format!(
        "ready {}  calls {}  registrations {}  alarms {}  draining {}  decision p99 {} µs\n",
        of("/ready"),
        of("/calls"),
        of("/registrations/live"),
        of("/alarms"),
        of("/draining"),
        of("/decision_us/p99"),
    );
    let few = |mut list: Vec<Value>| {
        list.truncate(ROWS);
        Value::Array(list)
    };
    text += &render::table(&few(rates), &["what", "per_second"]);
    let talkers = talkers.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    text += &render::table(&few(talkers), &["source", "packets", "dropped", "reason", "silent_s"]);
    // A person sees one picture that changes; a file gets one after the other.
    let clear = if std::io::stdout().is_terminal() { "\x1b[H\x1b[J" } else { "" };
    Ok(render::print(&format!("{clear}{text}"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_what_came_since_the_last_look_in_a_second() {
        let driver = |drops: u64| {
            json!({ "items": [
            { "reason": "drop_flows", "packets": drops }, { "reason": "worker_sip", "packets": 7 }
        ] })
        };
        let status = json!({ "workers": [
            { "counters": { "sip_received": 5 } }, { "counters": { "sip_received": 6 } }
        ] });
        let old = counted(&status, &driver(100));
        assert_eq!(old.get("worker sip_received"), Some(&11));
        let new = counted(&status, &driver(700));
        let rates = rates(&old, &new, Duration::from_millis(2_000));
        assert_eq!(rates, [("driver drop_flows".to_owned(), 300)]);
    }
}
