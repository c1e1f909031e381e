//! Every parameter that is in force changes what happens, and no other does.

use super::*;

/// Everything that control's parameters could change, in one line.
fn behaviour(name: &str, value: &str) -> String {
    let mut desk = Desk::new("2.5");
    desk.say(Method::Patch, "gateway/mapping/in", json!({"talk_s_max": 50})).unwrap();
    for (name, range) in [("strangers", "10.9.0.0/16"), ("customers", "10.1.0.0/16")] {
        desk.post("firewall/geo", json!({ "name": name })).unwrap();
        let set = guard::GeoSet::build([range.parse().unwrap()]).unwrap();
        desk.office.state.put_geo(name, std::sync::Arc::new(set)).unwrap();
    }
    desk.set("TG_FENCE_SETS", "strangers");
    desk.set("TG_FENCE_MODE", "1");
    desk.patch("account/customer", json!({"access_addresses": ["10.1.0.0/16"]}));
    if !name.is_empty() {
        desk.set(name, value);
    }
    desk.settle();
    let stranger = desk.invite("10.9.9.9:5060", "44207");
    let unrated = desk.invite("10.1.0.1:5060", "33207");
    let mut seen = [desk.ask(&stranger).unwrap_err(), desk.ask(&unrated).unwrap_err()]
        .iter()
        .map(|no| format!("{}", no.status))
        .collect::<Vec<_>>();
    for second in 0..65 {
        for _ in 0..if second == 0 { 60 } else { 1 } {
            let stranger = desk.invite("10.9.9.9:5060", "44207");
            desk.ask(&stranger).unwrap_err();
        }
        desk.time.now += Duration::from_secs(1);
        desk.office.handle_tick(desk.time);
    }
    seen.push(desk.settle().ends.len().to_string());
    for talk_ms in [21_020, 0, 0] {
        let admit = desk.invite("10.1.0.1:5060", "44207");
        let Ok(route) = desk.ask(&admit) else {
            seen.push("no".into());
            continue;
        };
        let recorded = route.recorded();
        seen.push(format!(
            "{} s, more at {}, grace {}, {} switches, recorded {recorded}",
            route.granted_s, route.extend_at_s, route.grace_s, route.switches_max
        ));
        if talk_ms > 0 {
            let record = talked(&admit, &route, talk_ms);
            let mut cdr = Cdr { record, ..Cdr::default() };
            cdr.rate().unwrap();
            seen.push(cdr.customer_charge.fee.to_string());
        }
    }
    let mut longer = desk.invite("10.1.0.1:5060", "44207");
    longer.facts.caller = Text::new(b"390212345").unwrap();
    seen.push(format!("{:?}", desk.ask(&longer).map(|_| ()).map_err(|no| no.reason)));
    desk.office.handle_load(desk.time, crate::machine::Load { cpu: 75, disk: 85 });
    seen.push(format!("{:?}", desk.office.archived_before(desk.time)));
    seen.push(format!("{:?}", desk.office.hours_wanted()));
    seen.push(invoices::issued(&mut desk));
    let ports = crate::shown::PortFigures { used: 95, resting: 0, free: 5 };
    let address = "203.0.113.1".parse().unwrap();
    let ports = crate::shown::AddressPorts { address, ports, missed: 0 };
    desk.office.handle_ports(desk.time, 0, &[ports]);
    desk.office.note_attempts(desk.time, "10.9.9.9".parse().unwrap(), 100);
    seen.push(format!("{:?}", sight::alarms(&mut desk)));
    seen.push(upstream::behaviour(name, value));
    seen.push(abuse::behaviour(name, value));
    seen.push(format!("{:?}", desk.office.state.values.for_workers()).replace("version: 3", ""));
    desk.office.handle_logins(desk.time, vec!["10.9.9.10".parse().unwrap(); 3]);
    seen.push(format!("{:?}", desk.office.poll_guard(desk.time)));
    seen.extend(phones::behaviour(&mut desk));
    seen.push(told_end(name, value));
    seen.push(of_accounts(name, value));
    desk.patch("account/customer", json!({"credit": "1"}));
    let grace_s = desk.office.grace_s(desk.office.state.account("customer").unwrap().id);
    seen.push(grace_s.to_string());
    seen.join("; ").replace("version: 2", "")
}

/// What becomes of calls of accounts with limits.
fn of_accounts(name: &str, value: &str) -> String {
    let mut desk = Desk::new("2.5");
    let named = [
        "TG_HOME_PREFIXES",
        "TG_PREMIUM_PREFIXES",
        "SS_CLIENT_LOW_BALANCE_ALARM",
        "SERVER_VERIFY_CLEARING_CUSTOMER",
    ];
    if named.contains(&name) {
        desk.set(name, value);
    }
    desk.office.handle_tick(desk.time);
    let mut seen = vec![desk.alarms().join(", ")];
    for blocked in ["international_blocked", "premium_blocked"] {
        let others = json!({"international_blocked": false, "premium_blocked": false});
        desk.patch("account/customer", others);
        desk.patch("account/customer", json!({ blocked: true }));
        let admit = desk.invite("10.1.0.1:5060", "44207");
        seen.push(desk.ask(&admit).map_or_else(|no| no.status.to_string(), |_| "yes".into()));
    }
    seen.join("; ")
}

/// What the record of a talk says that an operator ended.
fn told_end(name: &str, value: &str) -> String {
    let mut desk = Desk::new("2.5");
    // Others need more than a new value, or forbid the call.
    if ["SERVER_BILLING_RECORD_SERVER_HANG_UP", "PREVENT_OVERDRAFT_ADVANCE_TIME"].contains(&name) {
        desk.set(name, value);
    }
    let admit = desk.invite("10.1.0.1:5060", "44207");
    let Ok(route) = desk.ask(&admit) else { return "refused".into() };
    let mut record = talked(&admit, &route, 1_000);
    record.reason = EndReason::Operator as u8;
    desk.office.handle_ended(desk.time, 0, admit.call, &record, false);
    desk.settle().ends.iter().map(|cdr| cdr.told_reason().name()).collect()
}

#[test]
fn every_parameter_in_force_changes_what_happens() {
    let changes = BTreeMap::from([
        ("SERVER_BILLING_RECORD_ILLEGAL_CALL", "0"),
        ("SERVER_BILLING_RECORD_ZERO_HOLD_TIME", "0"),
        ("BILLING_FREE_E164S", "44"),
        ("BILLING_NO_CDR_E164S", "33"),
        ("FEE_PRECISION", "1"),
        ("SERVER_BILLING_FEE_UNIT", "700000"),
        ("HOLD_TIME_PRECISION", "0"),
        ("PREVENT_OVERDRAFT_ADVANCE_TIME", "60"),
        ("FREE_TIME", "5"),
        ("SS_CALLERALLOWLENGTH", "8"),
        ("SS_MAXCONCURRENTCALL", "1"),
        ("TG_SIP_REALM", "sip.example.com"),
        ("TG_SIP_DOMAIN", "sip.example.com"),
        ("TG_EMERGENCY_NUMBERS", "110"),
        ("TG_TRANSFER_BLIND_KEY", "*1"),
        ("TG_TRANSFER_ATTENDED_KEY", "*2"),
        ("TG_TRANSFER_CANCEL_KEY", "*00"),
        ("TG_TRANSFER_END_KEY", "*99"),
        ("TG_TRANSFER_DISPLAY_TEXT", "4420"),
        ("TG_PICKUP_CODE", "*8"),
        ("SS_ENABLE_CALL_LIMIT", "0"),
        ("SS_GATEWAY_SWITCH_LIMIT", "0"),
        ("SS_AUTHENTICATION_MAX_RETRY", "3"),
        ("SS_CALLAUTH_INVALID_COUNT", "1"),
        ("TG_HOME_PREFIXES", "44"),
        ("TG_INVOICE_SELLER", "Carrier Ltd"),
        ("TG_INVOICE_PREFIX", "A-"),
        ("TG_PREMIUM_PREFIXES", "44"),
        ("TG_FENCE_SETS", "customers"),
        ("TG_ABUSE_PREFIXES", "88216"),
        ("TG_RECORDING_NUMBERS", "44"),
    ]);
    let before = behaviour("", "");
    for row in crate::params::CATALOG {
        let crate::params::Kind::Number(low, high) = row.kind else {
            let change = match row.kind {
                crate::params::Kind::Rate => Some(&"never"),
                crate::params::Kind::Ports | crate::params::Kind::Words => Some(&"9"),
                _ => changes.get(row.name),
            };
            let is_seen = change.is_some_and(|value| behaviour(row.name, value) != before);
            let is_field = matches!(row.kind, crate::params::Kind::Field(_));
            assert!(is_field || is_seen, "{}", row.name);
            continue;
        };
        let other = if row.default == low.to_string() { high } else { low }.to_string();
        let value = changes.get(row.name).map_or(other.as_str(), |value| value);
        let is_seen = behaviour(row.name, value) != before;
        assert_eq!(is_seen, row.in_force, "{} = {value}", row.name);
    }
}
