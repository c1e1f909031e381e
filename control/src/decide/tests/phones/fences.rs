//! Who is outside, scripted: fences at each level, access lists, and what the workers are told of both.

use link::fence::{DOOR, EVERYBODY, FenceMode};
use link::report::{FenceCheck, Fenced};

use super::*;
use crate::state::entity::Kind;

const AWAY: &str = "198.51.100.66:5060";
const TRUNK: &str = "10.1.0.1:5060";

/// The request of somebody from somewhere, by his own right password.
fn login(user: &'static str, password: &'static str, source: &str) -> Register {
    let login = Login { user, password, count: 0, ..ALICE };
    Register {
        source: endpoint(source),
        user: Text::new(user.as_bytes()).unwrap(),
        credentials: login.credentials(SipMethod::Register),
        ..register(&[], 1)
    }
}

impl Desk {
    /// `home` holds where alice lives, `away` where she does not, `trunk` the customer's gateway.
    fn with_sets() -> Self {
        let mut desk = Self::with_alice();
        for (name, ranges) in [
            ("home", vec!["192.0.2.0/24", "2001:db8:1::/48"]),
            ("away", vec!["198.51.100.0/24", "2001:db8:2::/48"]),
            ("trunk", vec!["10.1.0.0/16"]),
            ("vendors", vec!["10.2.0.0/16"]),
        ] {
            desk.post("firewall/geo", json!({ "name": name })).unwrap();
            desk.fill(name, &ranges);
        }
        desk
    }

    fn fill(&mut self, set: &str, ranges: &[&str]) {
        self.try_fill(set, ranges).unwrap();
    }

    fn try_fill(&mut self, set: &str, ranges: &[&str]) -> Result<Value, crate::Refusal> {
        let ranges = ranges.iter().map(|text| text.parse().unwrap());
        let command = Command {
            method: Method::Put,
            path: ["firewall", "geo", set, "range"].map(str::to_owned).to_vec(),
            query: BTreeMap::new(),
            body: Value::Null,
            rates: Vec::new(),
            ranges: Some(std::sync::Arc::new(guard::GeoSet::build(ranges).unwrap())),
            entries: None,
            records: None,
            sheet: None,
        };
        self.office.handle_command(self.time, &command)
    }

    fn fence(&mut self, path: &str, mode: &str, sets: &[&str]) {
        self.patch(path, json!({ "fence_mode": mode, "fence_sets": sets }));
    }

    fn fence_all(&mut self, mode: &str, sets: &str) {
        self.set("TG_FENCE_SETS", sets);
        self.set("TG_FENCE_MODE", mode);
    }

    fn registers_from(&mut self, user: &'static str, password: &'static str, source: &str) -> u16 {
        self.registers(&login(user, password, source)).status
    }

    /// The status of an INVITE of somebody with a password, and why; `Ok`: it is routed.
    fn calls(&mut self, login: Login, source: &str) -> Result<(), (u16, EndReason)> {
        let mut admit = self.invite(source, "44207");
        admit.credentials = login.credentials(SipMethod::Invite);
        let answer = self.ask(&admit);
        self.office.release(admit.record);
        answer.map(drop).map_err(|no| (no.status, EndReason::from_number(no.reason)))
    }

    fn events(&self, name: &str) -> Vec<String> {
        let all = self.office.journal.events().filter(|event| event.name == name);
        all.map(|event| event.subject.clone()).collect()
    }

    fn outside(&mut self, check: &str) -> u64 {
        self.look("status")["fences"][check].as_u64().unwrap()
    }
}

/// A login that serves once: each request has a nonce of its own.
fn once(user: &'static str, nonce: &'static str) -> Login {
    Login { user, nonce, count: 0, ..ALICE }
}

#[test]
fn each_mode_at_each_level_says_who_registers_from_where() {
    for (mode, number, home, away) in
        [("ignore", "0", 200, 200), ("forbid", "1", 403, 200), ("allow", "2", 200, 403)]
    {
        let tried = |desk: &mut Desk| {
            [HOME, AWAY, "[2001:db8:1::7]:5060", "[2001:db8:2::7]:5060"]
                .map(|source| desk.registers_from("alice", PASSWORD, source))
        };
        let mut desk = Desk::with_sets();
        desk.fence_all(number, "home");
        assert_eq!(tried(&mut desk), [home, away, home, away], "all, {mode}");
        let mut desk = Desk::with_sets();
        desk.fence("phone/alice", mode, &["home"]);
        assert_eq!(tried(&mut desk), [home, away, home, away], "phone, {mode}");
        // The nearest that is not unset wins, over whatever is around it.
        for outer in ["1", "2"] {
            for sets in ["home", "away", "home,away"] {
                desk.fence_all(outer, sets);
                assert_eq!(tried(&mut desk), [home, away, home, away], "{mode}, {outer} {sets}");
                desk.set("TG_FENCE_MODE", "0");
            }
        }
    }
}

#[test]
fn each_mode_of_a_gateway_says_whence_it_calls_and_whither_vendors_are_called() {
    for (mode, inside, outside) in
        [("ignore", true, true), ("forbid", false, true), ("allow", true, false)]
    {
        let mut desk = Desk::with_sets();
        desk.fence_all("2", "trunk,vendors");
        let passes = |desk: &mut Desk| {
            let admit = desk.invite(TRUNK, "44207");
            let answer = desk.ask(&admit);
            desk.office.release(admit.record);
            answer.map(drop).map_err(|no| (no.status, EndReason::from_number(no.reason)))
        };
        let no = Err((403, EndReason::Geofence));
        desk.fence("gateway/mapping/in", mode, &["trunk"]);
        assert_eq!(passes(&mut desk), if inside { Ok(()) } else { no }, "{mode}");
        desk.fence("gateway/mapping/in", mode, &["home"]);
        assert_eq!(passes(&mut desk), if outside { Ok(()) } else { no }, "{mode}");
        desk.fence("gateway/mapping/in", "unset", &[]);
        assert_eq!(passes(&mut desk), Ok(()));
        let tried = |desk: &mut Desk| desk.excluded()["first"].clone();
        let why = |passes| if passes { "" } else { "geofence" };
        desk.fence("gateway/routing/first", mode, &["vendors"]);
        assert_eq!(tried(&mut desk), why(inside), "{mode}");
        desk.fence("gateway/routing/first", mode, &["home"]);
        assert_eq!(tried(&mut desk), why(outside), "{mode}");
        let (_, route) = desk.call();
        let gateways: Vec<u32> = route.candidates().iter().map(|it| it.gateway).collect();
        assert_eq!(gateways.len(), 1 + usize::from(outside), "what is explained is what is tried");
    }
}

#[test]
fn a_refused_call_is_recorded_for_whom_we_know_and_is_illegal_of_whom_we_do_not() {
    let mut desk = Desk::with_sets();
    desk.fence("gateway/mapping/in", "forbid", &["trunk"]);
    desk.fence_all("2", "home");
    let known = desk.invite(TRUNK, "44207");
    assert_eq!(desk.ask(&known).unwrap_err().status, 403);
    let stranger = desk.invite(AWAY, "44207");
    let refuse = desk.ask(&stranger).unwrap_err();
    assert_eq!((refuse.status, refuse.stateless), (403, 1));
    let ends = desk.settle().ends;
    let told: Vec<_> = ends
        .iter()
        .map(|it| (it.gateway.as_str(), it.billing_mode, it.record.end_reason()))
        .collect();
    assert_eq!(
        told,
        [
            ("in", BillingMode::None, EndReason::Geofence),
            ("", BillingMode::Illegal, EndReason::Unauthorised)
        ]
    );
    assert_eq!(
        desk.events("geofence_refused"),
        ["stranger at 198.51.100.66", "mapping gateway in at 10.1.0.1"]
    );
    desk.set("SS_REPLY_UNAUTHORIZED", "0");
    let again = desk.invite(AWAY, "44207");
    assert_eq!(desk.ask(&again).unwrap_err().status, 0, "strangers hear nothing then");
    assert_eq!(desk.registers_from("alice", PASSWORD, AWAY), 0);
}

#[test]
fn outside_the_fence_nobody_learns_who_exists() {
    let mut desk = Desk::with_sets();
    desk.fence_all("2", "home");
    let heard = |desk: &mut Desk, source| {
        ["alice", "nobody"].map(|user| {
            let wrong = desk.registers(&login(user, "Wrong-Horse-77", source));
            let bare = Register { credentials: Credentials::default(), ..login(user, "", source) };
            (wrong, desk.registers(&bare))
        })
    };
    let [there, missing] = heard(&mut desk, AWAY);
    assert_eq!((there.0.status, there.1.status), (403, 403));
    assert_eq!(there, missing);
    // One phone may be anywhere: everybody is asked, and only the right password tells them apart.
    desk.fence("phone/alice", "ignore", &[]);
    let [there, missing] = heard(&mut desk, "198.51.100.67:5060");
    assert_eq!((there.0.status, there.1.status), (401, 401));
    assert_eq!(there, missing);
    assert_eq!(desk.registers_from("alice", PASSWORD, AWAY), 200);
}

#[test]
fn a_right_password_from_outside_is_no_login() {
    let mut desk = Desk::with_sets();
    desk.fence("phone/alice", "allow", &["home"]);
    for _ in 0..5 {
        assert_eq!(desk.registers_from("alice", "Wrong-Horse-77", AWAY), 401);
    }
    assert_eq!(desk.registers_from("alice", PASSWORD, AWAY), 403);
    assert_eq!(desk.look("status")["defence"]["regulars"], 0, "its source earned nothing");
    assert_eq!(desk.registers_from("alice", "Wrong-Horse-77", AWAY), 401);
    assert_eq!(desk.registers_from("alice", PASSWORD, AWAY), 403);
    let suspended = desk.look("firewall/suspended");
    assert_eq!(
        suspended["items"].as_array().unwrap().len(),
        1,
        "six failures, forgiven by nothing"
    );
    assert_eq!(desk.events("geofence_refused"), ["phone alice at 198.51.100.66"]);
    assert_eq!(desk.look("registration/alice")["contacts"], json!([]));
}

#[test]
fn a_change_of_a_set_or_a_fence_holds_at_once() {
    let mut desk = Desk::with_sets();
    desk.fence("phone/alice", "allow", &["home"]);
    assert_eq!(desk.registers_from("alice", PASSWORD, AWAY), 403);
    desk.post("firewall/geo/home/range", Value::Null).unwrap();
    desk.fill("home", &["192.0.2.0/24", "198.51.100.66"]);
    assert_eq!(desk.registers_from("alice", PASSWORD, AWAY), 200);
    desk.say(Method::Delete, "firewall/geo/home/range/198.51.100.66", Value::Null).unwrap();
    assert_eq!(desk.registers_from("alice", PASSWORD, AWAY), 403);
    desk.fence("phone/alice", "unset", &["home"]);
    assert_eq!(desk.registers_from("alice", PASSWORD, AWAY), 200);
}

#[test]
fn an_account_is_used_from_its_access_list_alone_once_that_is_heeded() {
    let bob = json!({"name": "bob", "account": "customer", "tariff": "sell", "password": PASSWORD});
    for (list, source, inside) in [
        (json!(["192.0.2.1"]), HOME, true),
        (json!(["192.0.2.1/32"]), "192.0.2.2:5060", false),
        (json!(["192.0.2.0/24"]), "192.0.2.255:5060", true),
        (json!(["192.0.2.0/24"]), "192.0.3.0:5060", false),
        (json!(["10.0.0.0/8", "2001:db8:1::/48"]), "[2001:db8:1:7::1]:5060", true),
        (json!(["10.0.0.0/8", "2001:db8:1::/48"]), "[2001:db8:2::1]:5060", false),
        (json!([]), AWAY, true),
    ] {
        let mut desk = Desk::with_sets();
        desk.post("phone", bob.clone()).unwrap();
        desk.patch("account/customer", json!({ "access_addresses": list }));
        assert_eq!(desk.calls(once("bob", "a"), source), Ok(()), "off by default");
        desk.set("SS_ACCESS_IP_CHECK", "1");
        let expected = if inside { Ok(()) } else { Err((403, EndReason::AccessList)) };
        assert_eq!(desk.calls(once("bob", "b"), source), expected, "{list} {source}");
        let status = if inside { 200 } else { 403 };
        assert_eq!(desk.registers_from("bob", PASSWORD, source), status, "{list} {source}");
        assert_eq!(desk.events("access_refused").len(), usize::from(!inside));
        assert_eq!(desk.outside("access"), if inside { 0 } else { 2 });
    }
}

#[test]
fn calls_from_outside_the_access_list_are_invalid_and_lock_the_account_for_their_source() {
    let mut desk = Desk::with_sets();
    desk.patch("account/customer", json!({ "access_addresses": ["192.0.2.0/24", "10.1.0.0/16"] }));
    desk.set("SS_ACCESS_IP_CHECK", "1");
    desk.set("SS_CALLAUTH_INVALID_COUNT", "2");
    let outside = Err((403, EndReason::AccessList));
    assert_eq!(desk.calls(once("alice", "a"), AWAY), outside);
    assert_eq!(desk.calls(once("alice", "b"), AWAY), outside);
    let locked = Err((403, EndReason::Unauthorised));
    assert_eq!(desk.calls(once("alice", "c"), AWAY), locked, "the third is not even looked at");
    assert_eq!(desk.calls(once("alice", "d"), HOME), Ok(()));
    // A gateway that is known by its address is refused as well, and never locked.
    desk.patch("account/customer", json!({ "access_addresses": ["192.0.2.0/24"] }));
    for _ in 0..4 {
        let admit = desk.invite(TRUNK, "44207");
        assert_eq!(desk.ask(&admit).unwrap_err().reason, EndReason::AccessList as u8);
    }
    let suspended = desk.look("firewall/suspended");
    let scopes: Vec<&Value> =
        suspended["items"].as_array().unwrap().iter().map(|it| &it["source"]).collect();
    assert_eq!(scopes, ["198.51.100.66"]);
}

#[test]
fn two_accounts_behind_one_address_both_call_by_their_passwords() {
    let mut desk = Desk::with_sets();
    desk.post("account", json!({"name": "other", "role": "customer", "credit": "5"})).unwrap();
    let bob = json!({"name": "bob", "account": "other", "tariff": "sell", "password": PASSWORD});
    desk.post("phone", bob).unwrap();
    for account in ["customer", "other"] {
        let list = json!({ "access_addresses": ["192.0.2.1"] });
        desk.patch(&format!("account/{account}"), list);
    }
    desk.set("SS_ACCESS_IP_CHECK", "1");
    for (user, nonce) in [("alice", "a"), ("bob", "b")] {
        assert_eq!(desk.calls(once(user, nonce), HOME), Ok(()), "{user}");
        assert_eq!(desk.registers_from(user, PASSWORD, HOME), 200, "{user}");
    }
}

#[test]
fn a_gateway_is_known_by_its_address_whatever_its_messages_say() {
    let mut desk = Desk::with_sets();
    desk.post("account", json!({"name": "other", "role": "customer", "credit": "5"})).unwrap();
    let b = json!({
        "name": "b", "account": "other", "tariff": "sell", "addresses": ["10.1.0.2"],
    });
    desk.post("gateway/mapping", b).unwrap();
    let mut spoofed = desk.invite("10.1.0.2:5060", "44207");
    spoofed.facts.caller = Text::new(b"in").unwrap();
    let route = desk.ask(&spoofed).unwrap();
    let b = desk.look("gateway/mapping/b")["id"].as_u64().unwrap();
    assert_eq!(u64::from(route.customer_gateway), b);
    let mut stranger = desk.invite(AWAY, "44207");
    stranger.facts.caller = Text::new(b"in").unwrap();
    desk.set("SS_REPLY_UNAUTHORIZED", "1");
    desk.is_challenged(&stranger);
}

#[test]
fn a_fence_of_a_missing_set_and_the_end_of_a_set_in_use_are_refused() {
    let mut desk = Desk::with_sets();
    let refused = |desk: &mut Desk, path: &str, body: Value| {
        let refusal = desk.say(Method::Patch, path, body).unwrap_err();
        (refusal.status, refusal.detail)
    };
    for path in ["phone/alice", "gateway/mapping/in", "gateway/routing/first"] {
        let body = json!({"fence_mode": "allow", "fence_sets": ["home", "nowhere"]});
        let (status, detail) = refused(&mut desk, path, body);
        assert!(status == 422 && detail.contains("nowhere"), "{status} {detail}");
        let (_, detail) = refused(&mut desk, path, json!({"fence_mode": "forbid"}));
        assert!(detail.contains("at least one"), "{detail}");
        let many: Vec<String> = (0..17).map(|n| n.to_string()).collect();
        let (_, detail) = refused(&mut desk, path, json!({"fence_sets": many}));
        assert!(detail.contains("up to 16"), "{detail}");
        desk.fence(path, "allow", &["home", "away"]);
        let gone = desk.say(Method::Delete, "firewall/geo/home", Value::Null).unwrap_err();
        assert_eq!(gone.status, 409, "{}", gone.detail);
        desk.fence(path, "unset", &[]);
    }
    let set = |desk: &mut Desk, name: &str, value: &str| {
        let body = json!({ "value": value });
        desk.say(Method::Put, &format!("param/{name}"), body).map_err(|no| no.detail)
    };
    assert!(set(&mut desk, "TG_FENCE_MODE", "1").unwrap_err().contains("TG_FENCE_SETS"));
    assert!(set(&mut desk, "TG_FENCE_SETS", "home,nowhere").unwrap_err().contains("nowhere"));
    assert!(set(&mut desk, "TG_FENCE_SETS", "a b").is_err());
    desk.fence_all("1", "home, away");
    let gone = desk.say(Method::Delete, "firewall/geo/home", Value::Null).unwrap_err();
    assert!(gone.status == 409 && gone.detail.contains("TG_FENCE_SETS"), "{}", gone.detail);
    let reset = desk.say(Method::Delete, "param/TG_FENCE_SETS", Value::Null);
    assert!(reset.unwrap_err().detail.contains("at least one"));
    desk.say(Method::Delete, "param/TG_FENCE_MODE", Value::Null).unwrap();
    desk.say(Method::Delete, "param/TG_FENCE_SETS", Value::Null).unwrap();
    desk.say(Method::Delete, "firewall/geo/home", Value::Null).unwrap();
}

#[test]
fn a_set_has_a_name_that_stays_in_its_line_and_a_day_that_there_is() {
    let mut desk = Desk::with_sets();
    for name in ["", "a b", "a,b", "a/b", "ü", "a\nb", "../x", &"n".repeat(33)] {
        let refused = desk.post("firewall/geo", json!({ "name": name }));
        assert_eq!(refused.unwrap_err().status, 422, "{name:?}");
    }
    for dated in ["yesterday", "2026-02-30", "31.01.2026"] {
        let refused = desk.post("firewall/geo", json!({ "name": "zz", "dated": dated }));
        assert!(refused.unwrap_err().detail.contains("dated"), "{dated}");
    }
    // The clock of the desk stands at the 14th of November 2023.
    desk.post("firewall/geo", json!({"name": "zz", "dated": "2023-10-15", "source": "registry"}))
        .unwrap();
    let shown = desk.look("firewall/geo/zz");
    assert_eq!((&shown["age_days"], &shown["ranges"]), (&json!(30), &json!(0)));
    assert_eq!(desk.look("firewall/geo/home")["age_days"], Value::Null);
    desk.fence("phone/alice", "allow", &["zz"]);
    assert_eq!(desk.look("firewall/geo/zz")["fences"], 1);
    assert_eq!(
        desk.registers_from("alice", PASSWORD, HOME),
        403,
        "nobody is inside of an empty set"
    );
}

#[test]
fn the_addresses_of_a_set_come_in_pages() {
    let mut desk = Desk::with_sets();
    let page = |desk: &mut Desk, cursor: Option<&str>| {
        let mut query = BTreeMap::from([("limit".to_owned(), "2".to_owned())]);
        query.extend(cursor.map(|at| ("cursor".to_owned(), at.to_owned())));
        let path = ["firewall", "geo", "many", "range"].map(str::to_owned).to_vec();
        let (body, rates, ranges) = (Value::Null, Vec::new(), None);
        let command = Command {
            method: Method::Get,
            path,
            query,
            body,
            rates,
            ranges,
            entries: None,
            records: None,
            sheet: None,
        };
        desk.office.handle_command(desk.time, &command).unwrap()
    };
    desk.post("firewall/geo", json!({"name": "many"})).unwrap();
    assert_eq!(page(&mut desk, None)["items"], json!([]));
    desk.fill("many", &["10.0.0.1-10.0.0.2", "10.9.0.0/16", "2001:db8::/32"]);
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = page(&mut desk, cursor.as_deref());
        all.extend(page["items"].as_array().unwrap().iter().map(|it| it["range"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = Some(next.to_owned());
    }
    assert_eq!(all, ["10.0.0.1/32", "10.0.0.2/32", "10.9.0.0/16", "2001:db8::/32"]);
}

#[test]
fn fences_and_sets_outlive_a_restart_and_the_workers_hear_of_them_again() {
    let mut desk = Desk::with_sets();
    desk.fence("phone/alice", "allow", &["home"]);
    let mut loaded = Loaded::default();
    while let Some(change) = desk.office.poll_change() {
        if let Change::GeoRanges(id, set) = change {
            loaded.geo.push((id, (*set).clone()));
        }
    }
    for kind in Kind::ALL {
        loaded.entities.extend(desk.office.state.documents(kind).cloned());
    }
    let mut desk = Desk { office: Office::new(loaded, 2), ..desk };
    assert_eq!(desk.registers_from("alice", PASSWORD, AWAY), 403);
    assert_eq!(desk.registers_from("alice", PASSWORD, HOME), 200);
    desk.orders();
    desk.office.handle_dataplane(desk.time, 2);
    let alice = desk.look("phone/alice")["id"].as_u64().unwrap();
    let home = desk.look("firewall/geo/home")["id"].as_u64().unwrap();
    let orders = desk.orders();
    let sets: Vec<u64> = orders
        .iter()
        .filter_map(|order| match order {
            Order::Ranges(part) => Some(part.set.into()),
            _ => None,
        })
        .collect();
    assert_eq!(sets, [home, home], "each of two workers, and nothing that no fence names");
    let fences: Vec<(u32, u16)> = orders
        .iter()
        .filter_map(|order| match order {
            Order::Fences(part) => Some(part.fences().to_vec()),
            _ => None,
        })
        .flatten()
        .map(|fence| (fence.owner, fence.mode))
        .collect();
    let allow = FenceMode::Allow as u16;
    let each = [(EVERYBODY, 0), (u32::try_from(alice).unwrap(), allow), (DOOR, allow)];
    assert_eq!(fences, [each, each].concat());
}

#[test]
fn a_telling_is_void_by_a_newer_one_and_answers_keep_their_order() {
    let mut desk = Desk::with_sets();
    desk.orders();
    desk.fence("phone/alice", "allow", &["home"]);
    desk.fence("phone/alice", "forbid", &["home"]);
    let fences = desk.orders().into_iter().filter(|order| matches!(order, Order::Fences(_)));
    assert_eq!(fences.count(), 2, "one for each worker");
    desk.patch("phone/alice", json!({"talk_s_max": 7}));
    let told = desk.orders();
    assert!(told.iter().all(|order| !matches!(order, Order::Fences(_))), "nothing changed");
}

#[test]
fn what_a_worker_met_outside_is_counted_and_told_once_in_a_while() {
    let mut desk = Desk::with_sets();
    let owner = desk.look("gateway/routing/first")["id"].as_u64().unwrap();
    let fenced = |check: FenceCheck, address: &str, untold| Fenced {
        owner: u32::try_from(owner).unwrap(),
        check: check as u8,
        spare: [0; 3],
        address: endpoint(address),
        untold,
        record: [7, 8],
    };
    for _ in 0..3 {
        desk.office.handle_fenced(desk.time, &fenced(FenceCheck::Media, AWAY, 0));
    }
    desk.office.handle_fenced(desk.time, &fenced(FenceCheck::Description, AWAY, 4));
    assert_eq!((desk.outside("media"), desk.outside("description")), (3, 5));
    assert_eq!(desk.events("geofence_media"), ["routing gateway first at 198.51.100.66"]);
    assert_eq!(desk.events("geofence_sdp").len(), 1);
    desk.pass_s(601);
    desk.office.handle_fenced(desk.time, &fenced(FenceCheck::Media, AWAY, 0));
    assert_eq!(desk.events("geofence_media").len(), 2);
    // Whoever sends from many addresses fills no journal.
    for n in 0..5_000_u32 {
        let address = format!("203.0.{}.{}:9", n / 250, n % 250);
        desk.office.handle_fenced(desk.time, &fenced(FenceCheck::Media, &address, 0));
    }
    assert!(desk.events("geofence_media").len() <= 1_024);
    assert_eq!(desk.outside("media"), 5_004);
}
