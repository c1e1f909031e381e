//! What a replay came to, for people and for programs.

use std::fmt::Write as _;

use capture::{Counts, Stream};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::listen;
use crate::pace::Sent;

/// All of it.
pub(crate) struct Report<'r> {
    pub(crate) counts: &'r Counts,
    pub(crate) streams: &'r [Stream],
    pub(crate) sent: &'r Sent,
    pub(crate) heard: Option<&'r listen::Report>,
    pub(crate) notes: &'r [String],
}

/// Quantiles of a histogram of ns, in µs.
fn quantiles(of: &Histogram<u64>) -> Value {
    let us = |ns: u64| ns as f64 / 1e3;
    json!({
        "packets": of.len(),
        "p50_us": us(of.value_at_quantile(0.5)),
        "p90_us": us(of.value_at_quantile(0.9)),
        "p99_us": us(of.value_at_quantile(0.99)),
        "p999_us": us(of.value_at_quantile(0.999)),
        "max_us": us(of.max()),
    })
}

/// Counts between powers of two of µs: the shape of a histogram.
fn shape(of: &Histogram<u64>) -> Value {
    let mut bars = Vec::new();
    let mut below = 0;
    for power in 0..26 {
        let limit_us = 1_u64 << power;
        let count = of.count_between(below, limit_us * 1_000 - 1);
        below = limit_us * 1_000;
        if count > 0 {
            bars.push(json!({ "below_us": limit_us, "packets": count }));
        }
    }
    bars.into()
}

impl Report<'_> {
    /// RTP packets sent, and of them lost.
    pub(crate) fn lost(&self) -> Option<(u64, u64)> {
        let heard = self.heard?;
        let sent: u64 = self.sent.streams.iter().sum();
        let received: u64 = heard.totals.iter().map(|totals| totals.received).sum();
        Some((sent, sent.saturating_sub(received)))
    }

    /// The part of the RTP packets that was lost, per cent.
    pub(crate) fn loss_percent(&self) -> Option<f64> {
        let (sent, lost) = self.lost()?;
        Some(if sent == 0 { 0.0 } else { lost as f64 * 100.0 / sent as f64 })
    }

    pub(crate) fn json(&self) -> Value {
        let (sent, counts) = (self.sent, self.counts);
        let seconds = sent.elapsed_ns as f64 / 1e9;
        let cpu = sent.cpu_ns as f64 / 1e9;
        let rate = |per: f64| if per > 0.0 { sent.frames as f64 / per } else { 0.0 };
        let mut report = json!({
            "capture": {
                "packets": counts.packets,
                "left_out": {
                    "cut_by_capture": counts.cut,
                    "unknown_link": counts.unknown_link,
                    "shorter_than_header": counts.short,
                },
                "back_in_time": counts.back_in_time,
                "bad_checksum": counts.bad_checksum,
                "sip": counts.sip,
                "sip_over_tcp": counts.sip_over_tcp,
                "fragments": counts.fragments,
                "rtp_streams": self.streams.len(),
                "fault": counts.fault.map(|fault| fault.to_string()),
            },
            "sent": {
                "by": sent.by,
                "frames": sent.frames,
                "bytes": sent.bytes,
                "too_long": sent.too_long,
                "seconds": seconds,
                "cpu_seconds": cpu,
                "frames_per_second": rate(seconds),
                "frames_per_cpu_second": rate(cpu),
                "stopped": sent.stopped,
            },
            "pace_error": sent.late.as_ref().map(quantiles),
            "notes": self.notes,
        });
        if let (Some(heard), Some(report)) = (self.heard, report.as_object_mut()) {
            report.insert("heard".to_owned(), self.heard(heard));
        }
        report
    }

    fn heard(&self, heard: &listen::Report) -> Value {
        let mut all = heard.delays.first().map(Histogram::new_from);
        let streams: Vec<Value> = self
            .streams
            .iter()
            .enumerate()
            .filter_map(|(place, stream)| {
                let (totals, sent) = (heard.totals.get(place)?, *self.sent.streams.get(place)?);
                let delays = heard.delays.get(place)?;
                if let Some(all) = &mut all {
                    // Both have the same bounds.
                    let _ = all.add(delays);
                }
                let [from, to] = stream.ends;
                Some(json!({
                    "source": format!("{:08x}", stream.source),
                    "from": from.to_string(),
                    "to": to.to_string(),
                    "sent": sent,
                    "received": totals.received,
                    "lost": sent.saturating_sub(totals.received),
                    "reordered": totals.reordered,
                    "duplicates": totals.duplicates,
                    "too_old_to_tell": totals.old,
                    "changed": totals.changed,
                    "delay": (!delays.is_empty()).then(|| quantiles(delays)),
                }))
            })
            .collect();
        let (sent, lost) = self.lost().unwrap_or_default();
        json!({
            "by": heard.by,
            "rtp_sent": sent,
            "rtp_lost": lost,
            "loss_percent": self.loss_percent(),
            "broken_checksums": heard.broken,
            "other_frames": heard.others,
            "no_room_at_listener": heard.overrun,
            "delay": all.as_ref().filter(|all| !all.is_empty()).map(quantiles),
            "delay_histogram": all.as_ref().filter(|all| !all.is_empty()).map(shape),
            "streams": streams,
        })
    }

    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        // A string takes whatever is written.
        let _ = self.write_table(&mut text);
        text
    }

    fn write_table(&self, text: &mut String) -> std::fmt::Result {
        let (sent, counts) = (self.sent, self.counts);
        let seconds = (sent.elapsed_ns as f64 / 1e9).max(1e-9);
        let cpu = (sent.cpu_ns as f64 / 1e9).max(1e-9);
        for note in self.notes {
            writeln!(text, "note       {note}")?;
        }
        writeln!(
            text,
            "capture    {} packets, {} RTP streams, {} SIP messages",
            counts.packets,
            self.streams.len(),
            counts.sip
        )?;
        for (count, what) in [
            (counts.cut, "cut short by the capture: left out"),
            (counts.unknown_link, "of unknown link types: left out"),
            (counts.short, "shorter than their header: left out"),
            (counts.back_in_time, "captured before the packet before them: sent right behind it"),
            (counts.bad_checksum, "with checksums that do not hold (--mend-checksums)"),
            (counts.sip_over_tcp, "of SIP over TCP: what they say was not changed"),
            (sent.too_long, "too long for this way: not sent"),
        ] {
            if count > 0 {
                writeln!(text, "           {count} {what}")?;
            }
        }
        if let Some(fault) = counts.fault {
            writeln!(text, "           the file has a fault: {fault}")?;
        }
        writeln!(
            text,
            "sent       {} frames, {} bytes in {seconds:.3} s: {:.0} a second, {:.0} per CPU-second",
            sent.frames,
            sent.bytes,
            sent.frames as f64 / seconds,
            sent.frames as f64 / cpu
        )?;
        writeln!(text, "by         {}", sent.by)?;
        if let Some(late) = &sent.late {
            writeln!(text, "pace       late by {}", line(late))?;
        }
        let Some(heard) = self.heard else { return Ok(()) };
        let (rtp, lost) = self.lost().unwrap_or_default();
        writeln!(text, "heard by   {}", heard.by)?;
        writeln!(
            text,
            "RTP        {rtp} sent, {lost} lost ({:.3} %), {} frames with broken checksums, {} of others, {} without \
             room at the listener",
            self.loss_percent().unwrap_or(0.0),
            heard.broken,
            heard.others,
            heard.overrun
        )?;
        for (place, stream) in self.streams.iter().enumerate() {
            let (Some(totals), Some(sent)) =
                (heard.totals.get(place), self.sent.streams.get(place))
            else {
                continue;
            };
            let [from, to] = stream.ends;
            writeln!(
                text,
                "  {from} > {to}  sent {sent}, received {}, reordered {}, twice {}, too old {}, changed {}",
                totals.received, totals.reordered, totals.duplicates, totals.old, totals.changed
            )?;
            if let Some(delays) = heard.delays.get(place).filter(|delays| !delays.is_empty()) {
                writeln!(text, "    delay {}", line(delays))?;
            }
        }
        Ok(())
    }
}

fn line(of: &Histogram<u64>) -> String {
    let us = |ns: u64| ns as f64 / 1e3;
    format!(
        "p50 {:.1} µs, p99 {:.1} µs, p99.9 {:.1} µs, at most {:.1} µs",
        us(of.value_at_quantile(0.5)),
        us(of.value_at_quantile(0.99)),
        us(of.value_at_quantile(0.999)),
        us(of.max())
    )
}
