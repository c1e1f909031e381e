//! What is seen without asking the loop: status, running calls, metrics, the driver's explanation.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use link::record::{CallKey, MediaFigures, NEVER};
use link::table::{Image, SlotState};
use serde_json::Value;
use xdp_prog::{Described, Protocol};

use super::media::{label, metrics_of_paths, metrics_of_quality, paths};
use super::{Shared, look};
use crate::Refusal;
use crate::cdr::{id_text, media};
use crate::page::{Page, strange_cursor};
use crate::reconcile;
use crate::shown::{
    self, AbuseFigures, AddressPorts, CallShown, DefenceFigures, DriverCounter, FenceFigures, Held,
    Latency, Moment, PacketExplained, PortFigures, Status, WorkerStatus, call_path, hundredths,
};
use crate::state::entity::parse;
use crate::state::word::Recording;

/// A heartbeat older than this is none.
const FRESH: Duration = Duration::from_secs(1);

fn beats(shared: &Shared, worker: u32) -> bool {
    let beat = Duration::from_micros(shared.link.worker_beat_us(worker));
    beat != Duration::ZERO && (shared.now)().now.saturating_sub(beat) < FRESH
}

fn histogram(shared: &Shared) -> Histogram<u64> {
    let mut histogram = Histogram::new(3).expect("three digits are allowed");
    for worker in 0..shared.link.sizes().workers {
        let Ok(side) = shared.link.control_side(worker) else { continue };
        for (value_us, count) in side.latency.iter() {
            histogram.saturating_record_n(value_us.max(1), count);
        }
    }
    histogram
}

fn offline(held: &Held) -> impl Iterator<Item = &str> {
    held.gateways.iter().filter(|(_, online)| !**online).map(|(name, _)| name.as_str())
}

/// What the loop adds.
async fn held(shared: &Arc<Shared>) -> Result<Held, Refusal> {
    parse(look(shared, &["status"]).await?)
}

/// Whether it is ready, and what it carries.
pub(super) async fn status(shared: &Arc<Shared>) -> Result<Status, Refusal> {
    let held = held(shared).await?;
    Ok(status_of(shared, &held))
}

fn status_of(shared: &Shared, held: &Held) -> Status {
    let sizes = shared.link.sizes();
    let mut workers = Vec::new();
    for worker in 0..sizes.workers {
        let Ok(side) = shared.link.control_side(worker) else { continue };
        let live =
            side.calls.tenancies().filter(|(_, seen)| seen.state() == SlotState::Live).count();
        let ended =
            side.calls.tenancies().filter(|(_, seen)| seen.state() == SlotState::Ended).count();
        let counters: BTreeMap<String, u64> =
            side.counters.iter().filter(|(_, value)| *value > 0).collect();
        workers.push(WorkerStatus {
            worker,
            alive: beats(shared, worker),
            calls: live,
            calls_max: sizes.calls_per_worker,
            records_waiting: ended,
            media_ports: PortFigures::read(side.counters.iter()),
            media_ports_by_address: AddressPorts::read(&side.ports),
            counters,
        });
    }
    let dataplane = (0..sizes.workers).all(|worker| beats(shared, worker));
    let histogram = histogram(shared);
    let (guard, rules) = match shared.maps.lock().as_deref().map(|held| &held.maps) {
        Ok(Some(maps)) => (true, maps.admits().unwrap_or(false)),
        _ => (false, !shared.pins.exists()),
    };
    Status {
        node: shared.node.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ready: dataplane && held.store && rules && !held.draining,
        dataplane,
        store: held.store,
        spill: held.spill.clone(),
        guard,
        draining: held.draining,
        calls: held.calls,
        calls_by_path: paths(shared),
        notices: shared.link.board().iter().collect(),
        decision_us: Latency {
            count: histogram.len(),
            p50: histogram.value_at_quantile(0.5),
            p99: histogram.value_at_quantile(0.99),
            max: histogram.max(),
        },
        workers,
        alarms: held.alarms,
        gateways_offline: offline(held).map(ToOwned::to_owned).collect(),
        registrations: held.registrations.clone(),
        defence: held.defence.clone(),
        abuse: held.abuse.clone(),
        fences: held.fences.clone(),
        asks: held.asks.clone(),
        packages: held.packages,
    }
}

fn describe_call(shared: &Shared, worker: u32, image: &Image, media_us: u64) -> CallShown {
    let record = &image.record;
    let now_us = u64::try_from((shared.now)().now.as_micros()).unwrap_or(u64::MAX);
    let age_ms = now_us.saturating_sub(record.started_monotonic_us) / 1000;
    let state = match (record.answered_ms, record.ringing_ms) {
        (NEVER, NEVER) => "calling",
        (NEVER, _) => "ringing",
        _ => "talking",
    };
    let talk_ms = if record.answered_ms == NEVER {
        0
    } else {
        age_ms.saturating_sub(record.answered_ms.into())
    };
    let both = [record.from_caller, record.from_callee];
    CallShown {
        id: id_text(record.id),
        worker,
        state,
        started: Moment::at(record.started_us),
        age_ms,
        talk_ms,
        caller: record.caller_billed.to_text().into_owned(),
        callee: record.callee_billed.to_text().into_owned(),
        source: format!("{:?}", record.facts.source),
        customer_gateway: record.customer_gateway,
        routing_gateway: record.attempts().last().map(|attempt| attempt.gateway),
        attempts: record.attempts().len(),
        call_id: record.facts.call_id.to_text().into_owned(),
        media_age_ms: (media_us > 0).then(|| now_us.saturating_sub(media_us) / 1000),
        path: call_path(&both),
        mos: both.iter().filter_map(MediaFigures::mos).reduce(f64::min).map(hundredths),
        recording: Recording::from_bits(record.recorded).name(),
        media: media(record),
    }
}

/// Running calls, out of the call tables. A page's cursor is `worker-slot`.
pub(super) fn calls(shared: &Shared, page: &Page) -> Result<Value, Refusal> {
    let behind = match &page.cursor {
        None => None,
        Some(text) => {
            let (worker, slot) = text.split_once('-').ok_or_else(strange_cursor)?;
            let number = |text: &str| text.parse::<u32>().map_err(|_| strange_cursor());
            Some((number(worker)?, number(slot)?))
        }
    };
    let running = live(shared).filter(|(place, _)| behind.is_none_or(|behind| *place > behind));
    Ok(page.fill(
        running,
        |((worker, slot), _)| format!("{worker}-{slot}"),
        |(_, call)| shown::json(call),
    ))
}

/// One running call.
pub(super) fn call(shared: &Shared, id: &str) -> Result<Value, Refusal> {
    live(shared)
        .map(|(_, call)| call)
        .find(|call| call.id == id)
        .map(shown::json)
        .ok_or_else(|| Refusal::missing("running call", id))
}

/// Every running call with its worker and slot.
fn live(shared: &Shared) -> impl Iterator<Item = ((u32, u32), CallShown)> + '_ {
    let mut image = Image::boxed();
    let tables = (0..shared.link.sizes().workers)
        .filter_map(|worker| Some((worker, shared.link.calls(worker).ok()?)));
    let slots =
        tables.flat_map(|(worker, table)| (0..table.len()).map(move |slot| (worker, slot, table)));
    slots.filter_map(move |(worker, slot, table)| {
        let seen = table.read(slot, &mut image)?;
        // Its image is as old as the last thing that was said of it.
        let key = CallKey { slot, generation: seen.generation() };
        table.note_figures(key, &mut image.record);
        let call = || describe_call(shared, worker, &image, table.media_us(slot));
        (seen.state() == SlotState::Live).then(|| ((worker, slot), call()))
    })
}

fn metrics_of_driver(shared: &Shared, out: &mut String) {
    out.push_str("# TYPE tollgate_driver_packets_total counter\n");
    let counted = reconcile::counters(&shared.maps);
    for DriverCounter { reason, packets, .. } in &counted {
        let _ = writeln!(out, "tollgate_driver_packets_total{{reason=\"{reason}\"}} {packets}");
    }
    out.push_str("# TYPE tollgate_driver_spared_total counter\n");
    for DriverCounter { reason, spared, .. } in counted.iter().filter(|count| count.spared > 0) {
        let _ = writeln!(out, "tollgate_driver_spared_total{{reason=\"{reason}\"}} {spared}");
    }
}

fn metrics_of_ports(shared: &Shared, out: &mut String) {
    let mut missed_ever = String::new();
    out.push_str("# TYPE tollgate_media_ports gauge\n");
    for worker in 0..shared.link.sizes().workers {
        let Ok(side) = shared.link.control_side(worker) else { continue };
        for AddressPorts { address, ports, missed } in AddressPorts::read(&side.ports) {
            let PortFigures { used, resting, free } = ports;
            let labels = format!("worker=\"{worker}\",address=\"{address}\"");
            for (state, pairs) in [("used", used), ("resting", resting), ("free", free)] {
                let _ = writeln!(out, "tollgate_media_ports{{{labels},state=\"{state}\"}} {pairs}");
            }
            let _ = writeln!(missed_ever, "tollgate_media_ports_missed_total{{{labels}}} {missed}");
        }
    }
    let _ = write!(out, "# TYPE tollgate_media_ports_missed_total counter\n{missed_ever}");
}

/// Prometheus text: every counter of workers and driver, the gauges of `status`.
pub(super) async fn metrics(shared: &Arc<Shared>) -> String {
    let mut out = String::new();
    let sizes = shared.link.sizes();
    out.push_str("# TYPE tollgate_calls gauge\n");
    for worker in 0..sizes.workers {
        let Ok(table) = shared.link.calls(worker) else { continue };
        let live = table.tenancies().filter(|(_, seen)| seen.state() == SlotState::Live).count();
        let _ = writeln!(out, "tollgate_calls{{worker=\"{worker}\"}} {live}");
    }
    metrics_of_ports(shared, &mut out);
    out.push_str("# TYPE tollgate_worker_events_total counter\n");
    for worker in 0..sizes.workers {
        let Ok(side) = shared.link.control_side(worker) else { continue };
        for (name, value) in side.counters.iter() {
            let _ = writeln!(
                out,
                "tollgate_worker_events_total{{worker=\"{worker}\",name=\"{name}\"}} {value}"
            );
        }
    }
    metrics_of_driver(shared, &mut out);
    out.push_str("# TYPE tollgate_decision_us summary\n");
    let histogram = histogram(shared);
    for quantile in [0.5, 0.99, 0.999] {
        let value = histogram.value_at_quantile(quantile);
        let _ = writeln!(out, "tollgate_decision_us{{quantile=\"{quantile}\"}} {value}");
    }
    let _ = writeln!(out, "tollgate_decision_us_count {}", histogram.len());
    if let Ok(held) = held(shared).await {
        let status = status_of(shared, &held);
        let ready = u8::from(status.ready);
        let _ = writeln!(out, "# TYPE tollgate_ready gauge\ntollgate_ready {ready}");
        let alarms = status.alarms;
        let _ = writeln!(out, "# TYPE tollgate_alarms gauge\ntollgate_alarms {alarms}");
        let (groups, bytes) = (status.spill.groups, status.spill.bytes);
        let _ =
            writeln!(out, "# TYPE tollgate_spilled_groups gauge\ntollgate_spilled_groups {groups}");
        let _ =
            writeln!(out, "# TYPE tollgate_spilled_bytes gauge\ntollgate_spilled_bytes {bytes}");
        out.push_str("# TYPE tollgate_gateway_online gauge\n");
        for (name, online) in &held.gateways {
            let name = label(name);
            let online = u8::from(*online);
            let _ = writeln!(out, "tollgate_gateway_online{{gateway=\"{name}\"}} {online}");
        }
        metrics_of_paths(shared, &status.calls_by_path, &mut out);
        metrics_of_quality(&held.quality, &mut out);
        let figures = status.registrations;
        let live = figures.live;
        let _ = writeln!(out, "# TYPE tollgate_registrations gauge\ntollgate_registrations {live}");
        out.push_str("# TYPE tollgate_registration_events_total counter\n");
        for (name, count) in [
            ("accepted", figures.accepted),
            ("refused", figures.refused),
            ("challenged", figures.challenged),
            ("failed", figures.failed),
        ] {
            let _ = writeln!(out, "tollgate_registration_events_total{{name=\"{name}\"}} {count}");
        }
        let DefenceFigures { suspended, refused, evaluated, regulars } = &status.defence;
        let _ = writeln!(out, "# TYPE tollgate_suspended gauge\ntollgate_suspended {suspended}");
        let _ = writeln!(out, "# TYPE tollgate_regulars gauge\ntollgate_regulars {regulars}");
        out.push_str("# TYPE tollgate_logins_total counter\n");
        for (name, count) in [("evaluated", evaluated), ("shut_out", refused)] {
            let _ = writeln!(out, "tollgate_logins_total{{name=\"{name}\"}} {count}");
        }
        let AbuseFigures { listed, calls, refused } = &status.abuse;
        let _ = writeln!(out, "# TYPE tollgate_abusers gauge\ntollgate_abusers {listed}");
        out.push_str("# TYPE tollgate_dear_calls_total counter\n");
        for (name, count) in [("counted", calls), ("refused", refused)] {
            let _ = writeln!(out, "tollgate_dear_calls_total{{name=\"{name}\"}} {count}");
        }
        let FenceFigures { signalling, description, media, access } = &status.fences;
        out.push_str("# TYPE tollgate_outside_total counter\n");
        for (name, count) in [
            ("signalling", signalling),
            ("description", description),
            ("media", media),
            ("access", access),
        ] {
            let _ = writeln!(out, "tollgate_outside_total{{check=\"{name}\"}} {count}");
        }
        let expired = status.asks.expired;
        let _ = writeln!(
            out,
            "# TYPE tollgate_asks_expired_total counter\ntollgate_asks_expired_total {expired}"
        );
    }
    out
}

/// Asks the loaded program what it would do with a packet.
pub(super) fn explain(shared: &Shared, query: &BTreeMap<String, String>) -> Result<Value, Refusal> {
    let address = |name: &str| -> Result<Option<IpAddr>, Refusal> {
        let Some(text) = query.get(name) else { return Ok(None) };
        let parsed = text.parse();
        parsed.map(Some).map_err(|_| Refusal::invalid(format!("{name}: {text:?} is no address")))
    };
    let port = |name: &str, default: u16| -> Result<u16, Refusal> {
        let Some(text) = query.get(name) else { return Ok(default) };
        text.parse().map_err(|_| Refusal::invalid(format!("{name}: {text:?} is no port")))
    };
    let source = address("source")?
        .ok_or_else(|| Refusal::invalid("source: missing; the address the packet comes from"))?;
    let maps = shared.maps.lock().map_err(|_| Refusal::new(500, "driver maps broken", ""))?;
    let maps = maps.maps.as_ref().ok_or_else(|| {
        Refusal::new(
            503,
            "no guard is loaded",
            "start tollgate-dataplane with dataplane.nic = \"afxdp\"",
        )
    })?;
    let (source_port, port) = (port("source_port", 5060)?, port("port", 5060)?);
    let protocol = match query.get("protocol").map_or("udp", String::as_str) {
        "udp" => Protocol::Udp { source_port, port },
        "tcp" => Protocol::Tcp { source_port, port },
        other => return Err(Refusal::invalid(format!("protocol: {other:?}; udp or tcp"))),
    };
    let destination = address("destination")?
        .or_else(|| shared.addresses.iter().copied().find(|own| own.is_ipv4() == source.is_ipv4()));
    let destination = destination
        .ok_or_else(|| Refusal::invalid("destination: missing; one of our addresses"))?;
    let described = Described {
        source,
        destination,
        protocol,
        payload: query.get("payload").cloned().unwrap_or_default().into_bytes(),
        vlans: Vec::new(),
        interface: None,
        queue: 0,
    };
    let explanation = maps
        .explain(&described)
        .map_err(|error| Refusal::new(503, "the program could not be asked", error.to_string()))?;
    Ok(shown::json(PacketExplained {
        verdict: explanation.verdict.name(),
        reason: explanation.reason.name(),
        doc: explanation.reason.doc(),
        rule: explanation.rule.map(|rule| rule.to_string()),
        standing: explanation.standing.name(),
        meter: explanation.meter.map(xdp_prog::Meter::name),
        spared: explanation.spared.map(xdp_prog::Reason::name),
        refused: explanation.refused.map(xdp_prog::Reason::name),
    }))
}
