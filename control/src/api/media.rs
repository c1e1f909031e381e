//! What is seen of media: which way they go now, and figures for whoever draws curves.

use std::fmt::Write as _;

use link::record::CallKey;
use link::table::SlotState;

use super::Shared;
use crate::reconcile;
use crate::shown::{CallPaths, OPINIONS, QualityShown};

/// Packets that the driver sent on, by its own counters.
const SENT_ON: [&str; 2] = ["relay_on", "relay_back"];

/// Running calls by the way of their media.
pub(super) fn paths(shared: &Shared) -> CallPaths {
    let mut paths = CallPaths::default();
    for worker in 0..shared.link.sizes().workers {
        let Ok(table) = shared.link.calls(worker) else { continue };
        for (slot, seen) in table.tenancies() {
            if seen.state() == SlotState::Live {
                let key = CallKey { slot, generation: seen.generation() };
                paths.add(&table.figures(key).unwrap_or_default());
            }
        }
    }
    paths
}

/// A label is text in quotes.
pub(super) fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// What stands over the samples of a family; of a counter the family is named as its samples are.
fn head(out: &mut String, family: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {family} {help}\n# TYPE {family} {kind}");
}

/// Which way packets and calls go.
pub(super) fn metrics_of_paths(shared: &Shared, paths: &CallPaths, out: &mut String) {
    head(out, "tollgate_calls_by_path", "gauge", "Running calls by the way of their media.");
    for (path, calls) in paths.named() {
        let _ = writeln!(out, "tollgate_calls_by_path{{path=\"{path}\"}} {calls}");
    }
    let counters = reconcile::counters(&shared.maps);
    let sent_on = counters.iter().filter(|count| SENT_ON.contains(&count.reason));
    let settled: u64 = sent_on.map(|count| count.packets).sum();
    let sides =
        (0..shared.link.sizes().workers).filter_map(|worker| shared.link.control_side(worker).ok());
    let counted = sides.flat_map(|side| side.counters.iter().collect::<Vec<_>>());
    let careful: u64 = counted.filter(|(name, _)| name == "media_relayed").map(|(_, n)| n).sum();
    head(
        out,
        "tollgate_media_packets_total",
        "counter",
        "Packets relayed by the driver, and by workers.",
    );
    for (path, packets) in [("settled", settled), ("careful", careful)] {
        let _ = writeln!(out, "tollgate_media_packets_total{{path=\"{path}\"}} {packets}");
    }
}

/// What media of ended calls were like, by gateway.
pub(super) fn metrics_of_quality(quality: &[QualityShown], out: &mut String) {
    let names = |line: &QualityShown| {
        let QualityShown { gateway, kind, side, .. } = line;
        format!("gateway=\"{}\",kind=\"{kind}\",side=\"{side}\"", label(gateway))
    };
    head(
        out,
        "tollgate_gateway_media_packets_total",
        "counter",
        "Packets of ended calls that came from the gateway.",
    );
    for line in quality {
        let careful = line.packets.saturating_sub(line.settled);
        for (path, packets) in [("settled", line.settled), ("careful", careful)] {
            let names = names(line);
            let _ = writeln!(
                out,
                "tollgate_gateway_media_packets_total{{{names},path=\"{path}\"}} {packets}"
            );
        }
    }
    head(
        out,
        "tollgate_gateway_media_lost_total",
        "counter",
        "Packets of ended calls that never came from it.",
    );
    for line in quality {
        let _ = writeln!(out, "tollgate_gateway_media_lost_total{{{}}} {}", names(line), line.lost);
    }
    head(out, "tollgate_gateway_jitter_us", "gauge", "Jitter of its average ended call.");
    for line in quality {
        let _ = writeln!(out, "tollgate_gateway_jitter_us{{{}}} {}", names(line), line.jitter_us);
    }
    head(out, "tollgate_gateway_mos", "histogram", "Its ended calls by mean opinion score.");
    for line in quality {
        let names = names(line);
        let mut calls = 0;
        for (end, count) in OPINIONS.iter().zip(line.opinions) {
            calls += count;
            let _ = writeln!(out, "tollgate_gateway_mos_bucket{{{names},le=\"{end}\"}} {calls}");
        }
        let _ = writeln!(out, "tollgate_gateway_mos_bucket{{{names},le=\"+Inf\"}} {calls}");
        let _ = writeln!(out, "tollgate_gateway_mos_sum{{{names}}} {}", line.mos_sum);
        let _ = writeln!(out, "tollgate_gateway_mos_count{{{names}}} {}", line.calls);
    }
}

/// Each sample stands under the type of its family (version 0.0.4 of the text format).
#[cfg(test)]
pub(super) fn every_sample_has_its_type(text: &str) {
    let mut family = ("", "");
    for line in text.lines() {
        if let Some(said) = line.strip_prefix("# TYPE ") {
            family = said.split_once(' ').unwrap();
            assert_eq!(family.1 == "counter", family.0.ends_with("_total"), "{line}");
        } else if !line.starts_with('#') {
            let end = line.find(['{', ' ']).unwrap();
            let parts: &[&str] = match family.1 {
                "histogram" => &["_bucket", "_sum", "_count"],
                "summary" => &["", "_sum", "_count"],
                _ => &[""],
            };
            let is_its = parts.iter().any(|part| line[..end] == format!("{}{part}", family.0));
            assert!(is_its, "{line}, under {family:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateways_opinions_are_a_histogram_and_its_name_stays_in_its_quotes() {
        let line = QualityShown {
            gateway: "a\"b".into(),
            kind: "gateway".into(),
            side: "routing".into(),
            calls: 3,
            packets: 300,
            settled: 200,
            lost: 9,
            mos_sum: 12.6,
            opinions: [0, 1, 0, 0, 2, 0],
            ..QualityShown::default()
        };
        let mut out = String::new();
        metrics_of_quality(&[line], &mut out);
        let names = r#"gateway="a\"b",kind="gateway",side="routing""#;
        for wanted in [
            format!("tollgate_gateway_media_packets_total{{{names},path=\"careful\"}} 100"),
            format!("tollgate_gateway_media_packets_total{{{names},path=\"settled\"}} 200"),
            format!("tollgate_gateway_media_lost_total{{{names}}} 9"),
            format!("tollgate_gateway_mos_bucket{{{names},le=\"2.58\"}} 0"),
            format!("tollgate_gateway_mos_bucket{{{names},le=\"4.03\"}} 1"),
            format!("tollgate_gateway_mos_bucket{{{names},le=\"+Inf\"}} 3"),
            format!("tollgate_gateway_mos_sum{{{names}}} 12.6"),
            format!("tollgate_gateway_mos_count{{{names}}} 3"),
        ] {
            assert!(out.lines().any(|line| line == wanted), "{wanted}\n{out}");
        }
        every_sample_has_its_type(&out);
    }
}
