//! A whole office behind one address: three hundred phones by a foreign client (SIPp), each from a port of its own.
//!
//! All are back within ten seconds of a power cut, and none is dropped, suspended or denied (T-05). One of them with
//! a wrong password, again and again, is shut out alone: its colleagues come and go.

use std::time::Duration;

use serde_json::json;
use tests::carrier::raised;
use tests::lab::Lab;
use tests::registrants::Registrants;

const OFFICE: &str = "10.10.1.40";
const PHONES: u32 = 300;
const FIRST: u32 = 4000;
/// How soon all of them are back.
const BACK: Duration = Duration::from_secs(10);

/// Not with the name in it, which no password may have.
fn password(phone: u32) -> String {
    format!("Desk-Phone-{}", phone * 7 + 90_001)
}

fn registered(lab: &Lab) -> usize {
    let status = lab.tollgate(&["status"]).unwrap_or_default();
    status["registrations"]["live"].as_u64().unwrap_or(0) as usize
}

#[test]
fn an_office_behind_one_address_comes_back_after_a_power_cut() {
    let Some(lab) = raised(2, true) else { return };
    lab.add_address("cust", OFFICE).expect("the office's address");
    let phones = Registrants::new().expect("a folder");
    let all = || (FIRST..FIRST + PHONES).map(|phone| (phone, password(phone)));
    let lines = all().map(|(phone, password)| format!("{phone},acme,retail,{password}\n"));
    let sheet = format!("name,account,tariff,password\n{}", lines.collect::<String>());
    let sheet = phones.put("phones.csv", &sheet).expect("a sheet");
    lab.tollgate(&["phone", "import", &sheet]).expect("phones are made");

    // They came one by one over the years; here at once, without limits.
    let limits = [
        ("TG_STRANGER_REGISTER", "off"),
        ("TG_NETWORK_REGISTER", "off"),
        ("TG_STRANGER_FLOWS", "0"),
        ("TG_NETWORK_FLOWS", "0"),
        ("TG_REGULAR_LEAST", "0"),
        ("TG_REGULAR_PER_CONTACT", "0"),
    ];
    for (limit, none) in limits {
        lab.tollgate(&["param", "set", limit, none]).expect("no limit");
    }
    phones.register(&lab, OFFICE, all()).expect("they register");
    for (limit, _) in limits {
        lab.tollgate(&["param", "reset", limit]).expect("the limit as it was");
    }
    assert_eq!(registered(&lab), 300, "{}", lab.books());

    let back = |who: &mut dyn Iterator<Item = (u32, String)>| {
        phones.register(&lab, OFFICE, who).unwrap_or_else(|said| panic!("{said}\n{}", lab.books()))
    };
    let took = back(&mut all());
    assert!(took < BACK, "{took:?}");
    let budgets = ["drop_register_budget", "drop_network_budget", "drop_crowd_budget"];
    let flows = ["drop_flows", "drop_network_flows"];
    for reasons in [&budgets[..], &flows[..]] {
        assert_eq!(lab.driver_packets(reasons).expect("counters"), 0, "{}", lab.books());
    }
    let shut_out =
        |list| lab.tollgate(&["firewall", list, "list"]).expect("a list")["items"].clone();
    assert_eq!((shut_out("suspended"), shut_out("deny")), (json!([]), json!([])));

    // A phone with a wrong password tries all morning: a dozen times here.
    let wrong = (0..12).map(|_| (FIRST, "Not-What-It-Is".to_owned()));
    phones.register(&lab, OFFICE, wrong).expect_err("it does not get in");
    let pairs = shut_out("suspended");
    assert_eq!(pairs.as_array().map(Vec::len), Some(1), "{pairs}");
    let pair = &pairs[0];
    assert_eq!((&pair["endpoint"], &pair["source"]), (&json!("4000"), &json!(OFFICE)));
    back(&mut all().skip(1));
    assert_eq!(shut_out("deny"), json!([]));
}
