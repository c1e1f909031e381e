//! The catalog against itself, the code that reads it, its page, and the reference nobody here wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::*;

const REFERENCE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/reference/parameters.md");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/parameters.md");

/// Where we differ from the reference, and why.
const DIFFERENT: &[(&str, &str)] = &[
    ("SERVER_LOGIN_FAILED_DISABLE_TIME", "the recommended 300: a default must be safe"),
    ("SERVER_PASSWORD_LENGTH", "the recommended 8: a default must be safe"),
    ("FEE_PRECISION", "semantics, Charging: 0 to 6, default 6"),
    ("SS_AUTHCHALLENGEMODE", "semantics, Who is calling: 3 is shipped"),
    ("SS_ENDPOINTREGISTERSUSPEND", "semantics, Who is shut out: on by default"),
];

/// Rows 56 to 101 of the reference, which have no upper-case name, and what they are called here.
#[rustfmt::skip]
const FIELDS: [&[&str]; 46] = [
    &["mapping.addresses"],
    &["routing.target"],
    &["gateway.protocol"],
    &["mapping.authentication"],
    &["mapping.auth_username", "mapping.auth_password", "routing.auth_username", "routing.auth_password"],
    &["mapping.lines_max", "routing.lines_max"],
    &["mapping.cps_max", "routing.cps_max"],
    &["mapping.talk_s_max", "routing.talk_s_max"],
    &["routing.priority"],
    &["gateway.group"],
    &["routing.dynamic_blacklist"],
    &["gateway.caller_lists", "gateway.callee_lists"],
    &["gateway.caller_prefixes_allowed", "gateway.caller_prefixes_denied", "gateway.caller_digits_min",
      "gateway.caller_digits_max"],
    &["routing.prefixes", "gateway.callee_prefixes_allowed", "gateway.callee_prefixes_denied",
      "gateway.callee_digits_min", "gateway.callee_digits_max", "gateway.forwarder_prefixes_allowed",
      "gateway.forwarder_prefixes_denied", "gateway.forwarder_digits_min", "gateway.forwarder_digits_max"],
    &["gateway.caller_pool"],
    &["pool.reuse_max", "pool.calls_per_number_max", "pool.forwarding"],
    &["gateway.reconciliation"],
    &["gateway.reply_address", "gateway.request_address"],
    &["routing.stop_codes"],
    &["gateway.annexb", "gateway.annexa"],
    &["gateway.session_timer", "gateway.rel100", "gateway.retry_after", "gateway.reason", "gateway.user_phone",
      "gateway.publish", "gateway.local_domain", "gateway.forward_signal_sent", "gateway.forward_signal_heard",
      "gateway.privacy"],
    &["gateway.options_check"],
    &["gateway.ptime"],
    &["gateway.nat_media"],
    &["gateway.headers_added", "gateway.headers_all_passed", "gateway.headers_passed"],
    &["gateway.failure_map"],
    &["gateway.ringback_mode"],
    &["account.access_addresses"],
    &["account.prefixes_mode", "account.prefixes"],
    &["account.international_blocked", "account.premium_blocked"],
    &["account.overdraft_guard", "account.overdraft_advance"],
    &["account.alarm_email", "account.alarm_too_long_suppressed"],
    &["account.spend_per_day_max"],
    &["geo.range", "geo.addresses", "gateway.fence_mode", "gateway.fence_sets", "phone.fence_mode"],
    &["web.access_list"],
    &["lrn.eaten_digits", "lrn.failure_action", "lrn.routed_by_number", "lrn.interstate_prefix",
      "lrn.undetermined_prefix"],
    &["h323.progress_indicator", "h323.caller_field", "h323.callee_field", "h323.proceeding_at_once",
      "h323.proceeding_as_trying", "h323.183_as_alerting"],
    &["call_state.address", "call_state.port", "call_state.retries", "call_state.retry_interval_ms"],
    &["phone_service.address", "phone_service.port"],
    &["TG_TRANSFER_BLIND_KEY", "TG_TRANSFER_ATTENDED_KEY", "TG_TRANSFER_WAIT", "TG_TRANSFER_RINGBACK",
      "TG_TRANSFER_CANCEL_KEY", "TG_TRANSFER_END_KEY", "TG_TRANSFER_DISPLAY"],
    &["TG_PICKUP_CODE", "TG_PICKUP_POSITION", "phone.pickup_group"],
    &["subscription.begins", "subscription.ends", "subscription.priority", "package.free_minutes",
      "package.free_amount", "package.minimum_consumption", "package.rent_percent", "package.renewals",
      "package.failed_mode"],
    &["SERVER_BILLING_FEE_UNIT"],
    &["api.tokens", "api.addresses_allowed", "api.requests_per_second_max", "api.session_timeout_s"],
    &["web.session_timeout_s", "user.session_timeout_s"],
    &["alarm.call_duration_s", "alarm.failure_percent", "alarm.traffic_spike_percent"],
];

/// A row of the reference: its name or field, its default, its range.
struct Told {
    name: String,
    default: String,
    range: String,
}

/// Rows 1 to 101 by number. `None`, loudly: the reference is not there.
fn reference() -> Option<BTreeMap<usize, Told>> {
    let Ok(text) = std::fs::read_to_string(REFERENCE) else {
        eprintln!("SKIPPED: no reference at {REFERENCE}");
        return None;
    };
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", number, name, default, range, ..] = cells[..] else { continue };
        let Ok(number @ 1..=101) = number.parse() else { continue };
        let [name, default, range] = [name, default, range].map(str::to_owned);
        rows.entry(number).or_insert(Told { name, default, range });
    }
    assert_eq!(rows.len(), 101, "{REFERENCE}");
    Some(rows)
}

/// The digits at the front; a number in words is one too.
fn number(text: &str) -> Option<String> {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    match text {
        "Yes" => Some("1".into()),
        _ => Some(digits).filter(|digits| !digits.is_empty()),
    }
}

/// `0–86400 s`, `0 / 1` and `1, 2 or 3` as ours are written.
fn range(text: &str) -> Option<String> {
    let of_three = text.starts_with("1, 2 or 3").then(|| "1-3".to_owned());
    let of_two = text.starts_with("0 / 1").then(|| "0-1".to_owned());
    let (low, high) = text.split_once('–').unwrap_or(("", ""));
    let span = number(low).zip(number(high)).map(|(low, high)| format!("{low}-{high}"));
    of_three.or(of_two).or(span)
}

#[test]
fn the_catalog_has_every_row_of_the_reference_with_its_default_and_range() {
    let Some(rows) = reference() else { return };
    let mut faults = Vec::new();
    let different = |name: &str| DIFFERENT.iter().any(|(known, _)| *known == name);
    for (row, told) in &rows {
        let name = told.name.split([' ', '(']).next().unwrap_or_default();
        let names = if *row < 56 { &[name][..] } else { FIELDS[*row - 56] };
        for name in names {
            let Ok(ours) = find(name) else {
                faults.push(format!("{row}: {name} is not in the catalog"));
                continue;
            };
            let default = number(&told.default).filter(|default| *default != ours.default);
            let range = range(&told.range)
                .filter(|range| *row < 56 && !ours.range().starts_with(range.as_str()));
            if (default.is_some() || range.is_some()) && !different(ours.name) {
                faults.push(format!(
                    "{row}: {} is {} in {}, told is {} in {}",
                    ours.name,
                    ours.default,
                    ours.range(),
                    told.default,
                    told.range
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_default_lies_in_its_range_and_names_are_unique() {
    let mut names = BTreeSet::new();
    for row in CATALOG {
        if !matches!(row.kind, Kind::Field(_)) {
            assert_eq!(row.check(row.default).unwrap(), row.default, "{}", row.name);
        }
        assert!(names.insert(row.name), "{}", row.name);
        assert!(!row.doc.is_empty() && !row.owner.is_empty(), "{}", row.name);
    }
    for (alias, right) in ALIASES {
        assert!(names.contains(right) && !names.contains(alias), "{alias}");
    }
}

#[test]
fn whoever_can_be_0_says_what_that_means() {
    let silent: Vec<&str> = CATALOG
        .iter()
        .filter(|row| row.range().starts_with("0-") || row.range() == "decimal")
        .filter(|row| !row.doc.contains("0:"))
        .map(|row| row.name)
        .collect();
    assert!(silent.is_empty(), "{silent:?}");
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if !path.ends_with("catalog.rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

#[test]
fn a_parameter_is_in_force_if_and_only_if_something_reads_it() {
    let mut files = Vec::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut files);
    let code: String = files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for row in CATALOG {
        let is_read = match row.kind {
            Kind::Field(_) => {
                let (noun, field) = row.name.split_once('.').unwrap();
                crate::api::routes::ROUTES.iter().any(|route| {
                    let noun_matches = route.path.split('/').any(|part| part == noun);
                    noun_matches && route.fields().contains(&field)
                })
            }
            _ => code.contains(&format!("\"{}\"", row.name)),
        };
        assert_eq!(row.in_force, is_read, "{}", row.name);
    }
}

#[test]
fn a_field_of_documents_says_where_it_is_changed() {
    let mut values = Values::default();
    let refusal = values.set("mapping.lines_max", "3").unwrap_err();
    assert!(refusal.detail.contains("gateway mapping"), "{}", refusal.detail);
    assert!(values.reset("gateway.group").unwrap_err().detail.contains("not in force"));
    assert_eq!(values.describe(find("routing.priority").unwrap())["value"], Value::Null);
}

/// The page of the docs, made of the catalog.
fn page() -> String {
    let mut page = String::from(
        "# Parameters\n\nMade of the catalog (`control/src/params/catalog.rs`); do not edit. \
         `tollgate param list` shows the values, `set` and\n`reset` change them for new calls, `history` \
         says who did. Names in small letters are fields: each gateway or account has\nits own value and \
         is changed by its own noun. What is not in force is not read by anything in this release.\n\n\
         | name | default | range | unit | owner | in force | meaning |\n|---|---|---|---|---|---|---|\n",
    );
    for row in CATALOG {
        let in_force = if row.in_force { "yes" } else { "no" };
        let cells = [row.default, &row.range(), row.unit, row.owner, in_force, row.doc].join(" | ");
        page.push_str(&format!("| `{}` | {cells} |\n", row.name));
    }
    page.push_str("\nOther spellings that are understood:");
    let aliases: Vec<String> =
        ALIASES.iter().map(|(alias, right)| format!("\n`{alias}` ({right})")).collect();
    page.push_str(&format!("{}.\n", aliases.join(",")));
    page
}

#[test]
fn the_page_of_parameters_is_what_the_catalog_says() {
    let written = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        written == page(),
        "docs/parameters.md is old; cargo test -p control --lib write_the_page -- --ignored"
    );
}

#[test]
#[ignore = "writes docs/parameters.md"]
fn write_the_page() {
    std::fs::write(PAGE, page()).unwrap();
}

#[test]
fn a_value_out_of_range_is_refused_with_its_range() {
    let mut values = Values::default();
    let refusal = values.set("ss_sip_invite_timeout", "10").unwrap_err();
    assert!(refusal.detail.contains("1000 to 120000"), "{}", refusal.detail);
    assert!(values.set("NO_SUCH", "1").is_err());
    assert!(values.set("BILLING_FREE_E164S", "800, 00").is_ok());
    assert!(values.has_prefix("BILLING_FREE_E164S", "800123"));
    assert!(values.set("BILLING_FREE_E164S", "8 0").is_err());
    assert!(values.set("BILLING_FREE_E164S", &"8,".repeat(1001)).is_err());
}

#[test]
fn a_change_reaches_the_workers_and_a_reset_takes_it_back() {
    let mut values = Values::default();
    let before = values.for_workers();
    assert_eq!(
        before,
        order::Parameters { version: 0, ..order::Parameters::default() },
        "catalog and link agree on defaults"
    );
    values.set("SS_SIP_INVITE_TIMEOUT", "5000").unwrap();
    assert_eq!(values.for_workers().invite_timeout_ms, 5000);
    values.reset("SS_SIP_INVITE_TIMEOUT").unwrap();
    assert_eq!(values.for_workers().invite_timeout_ms, 30_000);
}
