//! The quickstart: a lab, real calls, a flood, a blacklist, the bill. `--keep` leaves it running,
//! `--json` prints one JSON object at the end. Exit code 0 only if all was as expected.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::expected_fee;
use tests::lab::{BOX_CUSTOMER_SIDE, Error, Lab, Running};
use tests::load::Load;

const CALLS: u64 = 200;
const CALLS_PER_SECOND: u64 = 12;
const TALK_MS: u64 = 6_000;
const FLOOD_PACKETS: u64 = 1_600_000;
const FLOOD_PER_SECOND: u64 = 100_000;
const STRANGER: &str = "10.10.1.66";
/// Billionths per minute: 0.0120 and 0.0075.
const RATES: (i128, i128) = (12_000_000, 7_500_000);

/// What to do with a lab that stays. SIPp's vendors end with this program, so `phones` takes their place:
/// at the address of the vendor that is asked first.
const KEPT: &str = "        The lab stays. From here:

            scripts/lab sh box -- tollgate status
            scripts/lab sh box -- tollgate cdr list --limit 5
            scripts/lab sh box -- tollgate firewall counters

        Calls of a minute, to try things on: first who answers them, then who makes them.

            scripts/lab sh vend -- phones answer --listen 10.10.2.10:5060 --seconds 600 &
            scripts/lab sh cust -- phones call --from 10.10.1.1:5070 --to 10.10.1.2:5060 --calls 20 --seconds 60 &

        Take it all down with `scripts/lab down`.
";

fn main() -> ExitCode {
    let wants = |flag: &str| std::env::args().any(|argument| argument == flag);
    let json_wanted = wants("--json");
    let say = |line: &str| {
        if !json_wanted {
            println!("{line}");
        }
    };
    match run(&say, wants("--keep")) {
        Ok(result) => {
            if json_wanted {
                println!("{result}");
            }
            let good = result.get("ok") == Some(&Value::Bool(true));
            if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("quickstart: {error}");
            if json_wanted {
                println!("{}", json!({ "ok": false, "error": error.to_string() }));
            }
            ExitCode::FAILURE
        }
    }
}

fn provision(lab: &Lab) -> Result<(), Error> {
    for command in [
        "account create acme --role customer --unlimited",
        "account create carrier-a --role vendor --unlimited",
        "account create carrier-b --role vendor --unlimited",
        "tariff create retail",
        "tariff create wholesale",
        "tariff rate set retail 44 0.0120 --increment-s 1 --minimum-s 1",
        "tariff rate set wholesale 44 0.0075 --increment-s 1 --minimum-s 1",
        "gateway mapping create acme-pbx --account acme --tariff retail --address 10.10.1.1 --lines-max 500",
        "gateway routing create carrier-b-full --account carrier-b --tariff wholesale --target 10.10.2.10:5060 --prefix 44 --priority 1",
        "gateway routing create carrier-a-london --account carrier-a --tariff wholesale --target 10.10.2.1:5060 --prefix 44 --priority 2",
    ] {
        lab.tollgate(&command.split(' ').collect::<Vec<_>>())?;
    }
    Ok(())
}

fn vendors(lab: &Lab) -> Result<[Running; 2], Error> {
    let a =
        "-sf tests/sipp/vendor.xml -i 10.10.2.1 -mi 10.10.2.1 -p 5060 -mp 6000 -rtp_echo -nostdin";
    let b = "-sf tests/sipp/busy_vendor.xml -i 10.10.2.10 -p 5060 -nostdin";
    lab.add_address("vend", "10.10.2.10")?;
    let start = |line: &str| lab.start("vend", "sipp", &line.split(' ').collect::<Vec<_>>());
    let both = [start(a)?, start(b)?];
    std::thread::sleep(Duration::from_millis(500));
    Ok(both)
}

/// What the stranger floods with.
fn options() -> String {
    format!(
        "OPTIONS sip:100@{BOX_CUSTOMER_SIDE} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {STRANGER}:5060;branch=z9hG4bK-stranger-1;rport\r\nMax-Forwards: 70\r\n\
         To: <sip:100@{BOX_CUSTOMER_SIDE}>\r\nFrom: <sip:100@{STRANGER}>;tag=flood\r\n\
         User-Agent: stranger\r\nCall-ID: flood@{STRANGER}\r\nCSeq: 1 OPTIONS\r\n\
         Contact: <sip:100@{STRANGER}:5060>\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n"
    )
}

fn billionths(text: &str) -> i128 {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let decimals = format!("{decimals:0<9}");
    whole.parse::<i128>().unwrap_or(-1) * 1_000_000_000 + decimals.parse::<i128>().unwrap_or(-1)
}

fn run(say: &dyn Fn(&str), keep: bool) -> Result<Value, Error> {
    say(
        "\n  Tollgate quickstart: calls through a kernel-bypass switch while a flood dies in the driver\n",
    );
    let mut lab = Lab::up(2, true)?.ok_or("this machine cannot raise the lab; see above")?;
    say(
        "  [1/6] lab up: customers 10.10.1.0/24 ── appliance ── vendors 10.10.2.0/24, two queues each",
    );
    lab.script(&["start"])?;
    let status = lab.tollgate(&["status"])?;
    let notice = |name: &str| {
        status
            .pointer(&format!("/notices/{name}"))
            .and_then(Value::as_str)
            .unwrap_or("?")
            .to_owned()
    };
    let modes = [notice("xdp tgb0"), notice("xdp tgb1")];
    say(&format!(
        "  [2/6] appliance ready: XDP {} on tgb0, {} on tgb1, NIC {}",
        modes[0],
        modes[1],
        notice("nic")
    ));
    provision(&lab)?;
    let _vendors = vendors(&lab)?;
    say("  [3/6] one customer, two vendors (the first one is always full), two tariffs");

    lab.add_address("cust", STRANGER)?;
    let numbers = std::env::temp_dir().join("tollgate-quickstart-numbers.csv");
    std::fs::write(&numbers, "SEQUENTIAL\n441130900001\n442071838750\n441632960961\n")?;
    let numbers = numbers.display().to_string();
    let customer = format!(
        "{BOX_CUSTOMER_SIDE} -sf tests/sipp/customer.xml -inf {numbers} -i 10.10.1.1 -mi 10.10.1.1 -p 5070 \
         -r {CALLS_PER_SECOND} -m {CALLS} -l {CALLS} -d {TALK_MS} -nostdin -timeout 90s"
    );
    let message = options();
    let flood = Load {
        from: SocketAddr::new(STRANGER.parse()?, 5060),
        to: BOX_CUSTOMER_SIDE.parse()?,
        message: message.as_bytes(),
        per_second: FLOOD_PER_SECOND,
        packets: FLOOD_PACKETS,
    };
    let begun = Instant::now();
    let calls = lab.start("cust", "sipp", &customer.split_whitespace().collect::<Vec<_>>())?;
    let flooding = flood.begin(&lab)?;
    say(&format!(
        "  [4/6] {CALLS} SIPp calls with G.711 audio and DTMF begin; {STRANGER} floods with OPTIONS at {FLOOD_PER_SECOND}/s"
    ));
    std::thread::sleep(Duration::from_secs(4));
    let budget_drops = lab.driver_packets(&["drop_options_budget"])?;
    let denied_at = Instant::now();
    lab.tollgate(&["firewall", "deny", "add", STRANGER, "--for", "1h", "--reason", "flood"])?;
    let mut denied_after = None;
    Lab::wait_until(Duration::from_secs(3), || {
        let dropped = lab.driver_packets(&["drop_deny_address"]).is_ok_and(|packets| packets > 0);
        if dropped {
            denied_after = Some(denied_at.elapsed());
        }
        dropped
    });
    let denied_ms = denied_after.map_or(u64::MAX, |took| took.as_millis() as u64);
    say(&format!(
        "  [5/6] `tollgate firewall deny add {STRANGER}`: every packet of it is dropped {denied_ms} ms later ({budget_drops} were over budget before)"
    ));
    let sipp = calls.output()?;
    let flooded = flooding.json()?;
    let took = begun.elapsed();
    let explain =
        lab.tollgate(&["firewall", "explain", "--source", STRANGER, "--destination", "10.10.1.2"])?;

    let all_recorded = Lab::wait_until(Duration::from_secs(10), || {
        lab.tollgate(&["cdr", "list", "--limit", "10000", "--gateway", "acme-pbx"]).is_ok_and(
            |page| {
                page.get("items")
                    .and_then(Value::as_array)
                    .is_some_and(|items| items.len() as u64 >= CALLS)
            },
        )
    });
    let page = lab.tollgate(&["cdr", "list", "--limit", "10000", "--gateway", "acme-pbx"])?;
    let cdrs = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let number = |cdr: &Value, path: &str| cdr.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let money = |cdr: &Value, path: &str| {
        billionths(cdr.pointer(path).and_then(Value::as_str).unwrap_or(""))
    };
    let answered =
        cdrs.iter().filter(|cdr| !cdr.get("answered").unwrap_or(&Value::Null).is_null()).count()
            as u64;
    let right = |cdr: &&Value| {
        money(cdr, "/charge") == expected_fee(RATES.0, number(cdr, "/hold_ms"))
            && money(cdr, "/vendor_charge") == expected_fee(RATES.1, number(cdr, "/vendor_hold_ms"))
    };
    let charged = cdrs.iter().filter(right).count() as u64;
    let heard = |cdr: &&Value| {
        number(cdr, "/media/from_caller/packets") > 100
            && number(cdr, "/media/from_callee/packets") > 100
    };
    let heard = cdrs.iter().filter(heard).count() as u64;
    let failed_over = |cdr: &&Value| {
        cdr.pointer("/attempts/0/status") == Some(&json!(503))
            && cdr.pointer("/attempts/1/status") == Some(&json!(200))
    };
    let failed_over = cdrs.iter().filter(failed_over).count() as u64;
    let customer_total: i128 = cdrs.iter().map(|cdr| money(cdr, "/charge")).sum();
    let vendor_total: i128 = cdrs.iter().map(|cdr| money(cdr, "/vendor_charge")).sum();
    let dropped = lab.driver_packets(&["drop_deny_address", "drop_options_budget"])?;
    let mut pdd: Vec<u64> = cdrs.iter().map(|cdr| number(cdr, "/pdd_ms")).collect();
    pdd.sort_unstable();
    let status = lab.tollgate(&["status"])?;
    let decision = |name: &str| number(&status, &format!("/decision_us/{name}"));
    let decimal =
        |amount: i128| format!("{}.{:09}", amount / 1_000_000_000, amount % 1_000_000_000);

    say(&format!("  [6/6] done after {:.1} s. The last five calls:\n", took.as_secs_f64()));
    say(
        "        started                   callee         via                 talk      customer    vendor",
    );
    for cdr in cdrs.iter().take(5) {
        let text = |path: &str| cdr.pointer(path).and_then(Value::as_str).unwrap_or("").to_owned();
        say(&format!(
            "        {:<25} {:<14} {:<18} {:>6} ms  {:>9}  {:>8}",
            text("/started"),
            text("/callee_billed"),
            text("/vendor_gateway"),
            number(cdr, "/hold_ms"),
            text("/charge"),
            text("/vendor_charge")
        ));
    }
    let checks = [
        (
            "XDP in the driver on both interfaces",
            modes.iter().all(|mode| mode == "native"),
            format!("{} on tgb0, {} on tgb1", modes[0], modes[1]),
        ),
        (
            "calls answered",
            answered == CALLS && sipp.status.success(),
            format!("{answered} of {CALLS}"),
        ),
        ("one CDR per call", all_recorded && cdrs.len() as u64 == CALLS, format!("{}", cdrs.len())),
        (
            "charged to the digit, both sides",
            charged == CALLS,
            format!(
                "{charged}; customer {} EUR, vendors {} EUR",
                decimal(customer_total),
                decimal(vendor_total)
            ),
        ),
        ("audio both ways", heard == CALLS, format!("{heard} calls")),
        ("failed over from the full vendor", failed_over == CALLS, format!("{failed_over} calls")),
        (
            "flood dropped in the driver",
            dropped >= 1_000_000,
            format!("{dropped} of {} packets", number(&flooded, "/sent/frames")),
        ),
        ("stranger dropped within a second", denied_ms <= 1_000, format!("{denied_ms} ms")),
        (
            "the loaded program says why",
            explain.get("reason") == Some(&json!("drop_deny_address")),
            explain.get("rule").and_then(Value::as_str).unwrap_or("?").to_owned(),
        ),
    ];
    say("");
    for (name, good, figure) in &checks {
        say(&format!("        {}  {name:<36} {figure}", if *good { "ok  " } else { "FAIL" }));
    }
    let at = |share: usize| {
        pdd.get((pdd.len() * share / 100).min(pdd.len().saturating_sub(1))).copied().unwrap_or(0)
    };
    say(&format!(
        "\n        post-dial delay p50 {} ms, p99 {} ms (one failover each); decision p50 {} µs, p99 {} µs\n",
        at(50),
        at(99),
        decision("p50"),
        decision("p99")
    ));
    let ok = checks.iter().all(|(_, good, _)| *good);
    if !ok && !sipp.status.success() {
        say(&format!("        SIPp said:\n{}", String::from_utf8_lossy(&sipp.stderr)));
    }
    if keep {
        lab.keep();
        say(KEPT);
    }
    Ok(json!({
        "ok": ok, "xdp": modes, "calls": CALLS, "answered": answered, "cdrs": cdrs.len(), "charged_right": charged,
        "audio_both_ways": heard, "failed_over": failed_over, "flood_sent": number(&flooded, "/sent/frames"),
        "dropped_in_driver": dropped, "denied_after_ms": denied_ms, "pdd_ms": { "p50": at(50), "p99": at(99) },
        "decision_us": { "p50": decision("p50"), "p99": decision("p99") },
        "customer_total": decimal(customer_total), "vendor_total": decimal(vendor_total),
        "checks": checks.iter().map(|(name, good, figure)| json!({ "name": name, "ok": good, "figure": figure })).collect::<Vec<_>>(),
    }))
}
