//! Bindings, scripted, and beside a simple list.

use proptest::prelude::*;

use super::*;

const BOUNDS: Bounds = Bounds {
    contacts_max: 3,
    bindings_max: 5,
    expires_min_s: 60,
    expires_max_s: 3_600,
    light: false,
};

fn template(call_id: &str, cseq: u32) -> Binding {
    let at = |text: &str| Endpoint::from(text.parse::<SocketAddr>().unwrap());
    Binding {
        uri: String::new(),
        device: None,
        q: 0,
        expires_us: 0,
        stored_until_us: 0,
        path: String::new(),
        source: at("192.0.2.1:5060"),
        local: at("198.51.100.1:5060"),
        connection: 0,
        epoch: 1,
        user_agent: "phone".into(),
        call_id: call_id.into(),
        cseq,
        since_us: 0,
        refreshed_us: 0,
        generation: 0,
        nat: false,
    }
}

/// The same request for a flow.
fn by_flow(instance: &str, reg_id: u32, mut request: Request) -> Request {
    for wanted in &mut request.contacts {
        wanted.device = Some(Device { instance: instance.to_owned(), reg_id });
    }
    request
}

#[test]
fn a_flow_replaces_what_it_was_before_and_no_other_flow() {
    let mut all = Bindings::default();
    let mut register = |instance, reg_id, cseq, contact| {
        let request = by_flow(instance, reg_id, request("c", cseq, &[(contact, 60)]));
        all.register(1, 0, &BOUNDS, &request).unwrap()
    };
    register("<urn:uuid:a>", 1, 1, "sip:a@10.0.0.1:1000");
    // After a restart it comes by another port, and its old contact would ring in vain.
    let moved = register("<urn:uuid:a>", 1, 2, "sip:a@10.0.0.1:2000");
    let first = "sip:a@10.0.0.1:2000 <urn:uuid:a> 1";
    assert_eq!(moved[0], Moved::Gone("sip:a@10.0.0.1:1000 <urn:uuid:a> 1".into()));
    assert!(matches!(&moved[1], Moved::Bound(it) if it.name() == first));
    // Two flows may have one contact.
    assert_eq!(register("<urn:uuid:a>", 2, 3, "sip:a@10.0.0.1:2000").len(), 1);
    assert_eq!(register("<urn:uuid:b>", 1, 4, "sip:a@10.0.0.1:2000").len(), 1);
    let gone = by_flow("<urn:uuid:a>", 1, request("c", 5, &[("sip:a@10.0.0.1:2000", 0)]));
    let moved = all.register(1, 0, &BOUNDS, &gone).unwrap();
    assert_eq!(moved, [Moved::Gone(first.into())]);
    let left: Vec<_> = all.of(1, 0).map(Binding::name).collect();
    assert_eq!(left, ["sip:a@10.0.0.1:2000 <urn:uuid:a> 2", "sip:a@10.0.0.1:2000 <urn:uuid:b> 1"]);
    let live: Vec<_> = all.of(1, 0).collect();
    assert!(!live[0].is_beside(live[1]) && live[0].is_beside(live[0]));
}

#[test]
fn a_contact_behind_a_nat_on_its_own_address_is_behind_nat() {
    let from =
        |text: &str, transport| Endpoint::from(text.parse::<SocketAddr>().unwrap()).by(transport);
    for (uri, source, is_nat) in [
        ("sip:a@192.0.2.1", from("192.0.2.1:5060", Transport::Udp), false),
        ("sip:a@192.0.2.1:5070", from("192.0.2.1:5070", Transport::Udp), false),
        ("sip:a@192.0.2.1", from("192.0.2.1:1024", Transport::Udp), true),
        ("sip:a@192.0.2.1:5060", from("192.0.2.1:1024", Transport::Udp), true),
        ("sip:a@192.0.2.1:5060", from("192.0.2.1:1024", Transport::Tcp), false),
        ("sip:a@10.0.0.1:5060", from("192.0.2.1:5060", Transport::Tcp), true),
        ("sip:a@phone.example", from("192.0.2.1:5060", Transport::Udp), true),
    ] {
        assert_eq!(is_elsewhere(uri, source), is_nat, "{uri} from {source:?}");
    }
}

fn request(call_id: &str, cseq: u32, contacts: &[(&str, u32)]) -> Request {
    let wanted = |(uri, expires_s): &(&str, u32)| Wanted {
        uri: (*uri).to_owned(),
        device: None,
        q: 1_000,
        expires_s: *expires_s,
    };
    Request {
        contacts: contacts.iter().map(wanted).collect(),
        all_gone: false,
        template: template(call_id, cseq),
    }
}

const A: &str = "sip:a@192.0.2.1";
const S: u64 = 1_000_000;

#[test]
fn an_older_request_is_refused_and_a_repeated_one_changes_nothing() {
    let mut all = Bindings::default();
    assert_eq!(all.register(1, S, &BOUNDS, &request("x", 5, &[(A, 600)])).unwrap().len(), 1);
    let older = request("x", 4, &[(A, 0)]);
    assert_eq!(all.register(1, 2 * S, &BOUNDS, &older), Err(Refused::Overtaken));
    assert_eq!(all.register(1, 2 * S, &BOUNDS, &request("x", 5, &[(A, 0)])), Ok(Vec::new()));
    let mut star = request("x", 4, &[]);
    star.all_gone = true;
    assert_eq!(all.register(1, 2 * S, &BOUNDS, &star), Err(Refused::Overtaken));
    // Another Call-ID is another phone, or the same one after its restart.
    assert_eq!(all.register(1, 2 * S, &BOUNDS, &request("y", 1, &[(A, 600)])).unwrap().len(), 1);
    star.template.call_id = "z".into();
    assert_eq!(all.register(1, 2 * S, &BOUNDS, &star), Ok(vec![Moved::Gone(A.into())]));
    assert_eq!(all.live(), 0);
}

#[test]
fn lifetimes_have_limits_and_one_that_is_too_short_stops_all_of_it() {
    let mut all = Bindings::default();
    let brief = request("x", 1, &[(A, 600), ("sip:b@192.0.2.1", 59)]);
    assert_eq!(all.register(1, S, &BOUNDS, &brief), Err(Refused::TooBrief));
    assert_eq!(all.live(), 0);
    all.register(1, S, &BOUNDS, &request("x", 1, &[(A, 86_400)])).unwrap();
    assert_eq!(all.of(1, S).next().unwrap().expires_us, 3_601 * S);
    assert_eq!(all.expire(3_600 * S), []);
    assert_eq!(all.of(1, 3_601 * S).count(), 0, "over, though no tick came yet");
    assert_eq!(all.expire(3_601 * S), [(1, A.to_owned())]);
}

#[test]
fn the_newest_contact_takes_the_place_of_the_oldest() {
    let mut all = Bindings::default();
    for (n, uri) in ["sip:a@h", "sip:b@h", "sip:c@h", "sip:a@H", "sip:d@h"].iter().enumerate() {
        let now_us = (n as u64 + 1) * S;
        all.register(1, now_us, &BOUNDS, &request(uri, 1, &[(uri, 600)])).unwrap();
    }
    let uris: Vec<&str> = all.of(1, 5 * S).map(|it| it.uri.as_str()).collect();
    assert_eq!(uris, ["sip:c@h", "sip:a@H", "sip:d@h"]);
    let four: Vec<(String, u32)> = (0..4).map(|n| (format!("sip:{n}@h"), 600)).collect();
    let four: Vec<(&str, u32)> = four.iter().map(|(uri, s)| (uri.as_str(), *s)).collect();
    let many = all.register(2, S, &BOUNDS, &request("m", 1, &four));
    assert_eq!(many, Err(Refused::TooMany));
}

#[test]
fn a_contact_is_found_again_however_it_is_written() {
    for (first, again, one) in [
        ("sip:a@h", "sip:a@H", true),
        ("sip:a@h", "SIP:%61@h", true),
        ("sip:a@h", "sip:a@h;ob", true),
        ("sip:a@h;x=1;transport=tcp", "sip:a@h;Transport=TCP;x=1", true),
        ("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0::1]", true),
        ("sip:a@h", "sip:A@h", false),
        ("sip:a@h", "sip:a@h:5060", false),
        ("sip:a@h", "sip:a@H;transport=udp", false),
        ("sip:a@h;line=1", "sip:a@h;line=2", false),
    ] {
        let mut all = Bindings::default();
        all.register(1, S, &BOUNDS, &request("x", 1, &[(first, 600)])).unwrap();
        let mut store = BTreeSet::from([first.to_owned()]);
        let moved = all.register(1, S, &BOUNDS, &request("x", 2, &[(again, 600)])).unwrap();
        for moved in moved {
            match moved {
                Moved::Bound(it) => store.insert(it.uri),
                Moved::Gone(uri) => store.remove(&uri),
            };
        }
        let held: BTreeSet<String> = all.of(1, S).map(|it| it.uri.clone()).collect();
        assert_eq!(held.len(), if one { 1 } else { 2 }, "{first} {again}");
        assert!(held.contains(again), "as it is written now: {first} {again}");
        assert_eq!(store, held);
        // Who takes it back in the first spelling takes that back.
        all.register(1, S, &BOUNDS, &request("x", 3, &[(first, 0)])).unwrap();
        assert_eq!(all.live(), usize::from(!one), "{first} {again}");
    }
}

#[test]
fn a_contact_that_is_the_same_as_two_means_the_one_with_its_letters_else_the_newest() {
    let mut all = Bindings::default();
    let [on, off, bare] = ["sip:a@h;security=on", "sip:a@h;security=off", "sip:a@h"];
    all.register(1, S, &BOUNDS, &request("x", 1, &[(on, 600), (off, 600)])).unwrap();
    assert_eq!(
        all.register(1, S, &BOUNDS, &request("x", 2, &[(bare, 0)])),
        Ok(vec![Moved::Gone(off.into())])
    );
    all.register(1, S, &BOUNDS, &request("x", 3, &[(off, 600)])).unwrap();
    assert_eq!(
        all.register(1, S, &BOUNDS, &request("x", 4, &[(on, 0)])),
        Ok(vec![Moved::Gone(on.into())])
    );
    assert_eq!(all.of(1, S).next().unwrap().uri, off);
}

#[test]
fn what_is_full_takes_refreshes_and_no_newcomers() {
    let mut all = Bindings::default();
    for owner in 1..=5 {
        all.register(owner, S, &BOUNDS, &request("x", 1, &[(A, 600)])).unwrap();
    }
    let one = |cseq| request("x", cseq, &[(A, 600)]);
    assert_eq!(all.register(6, S, &BOUNDS, &one(1)), Err(Refused::Full));
    assert!(all.register(5, S, &BOUNDS, &one(2)).is_ok());
    all.forget(1);
    assert!(all.register(6, S, &BOUNDS, &one(1)).is_ok());
}

#[test]
fn a_phone_behind_nat_says_another_address_than_it_has() {
    let mut all = Bindings::default();
    let nat = |all: &mut Bindings, uri: &str| {
        all.register(1, S, &BOUNDS, &request(uri, 1, &[(uri, 600)])).unwrap();
        all.of(1, S).next_back().unwrap().nat
    };
    for uri in [A, "sip:a@192.0.2.1:5060;ob", "sips:192.0.2.1", "sip:a@192.0.2.1;x=[::1]"] {
        assert!(!nat(&mut all, uri), "{uri}");
    }
    for uri in ["sip:a@10.0.0.7:5060", "sip:a@[fd00::1]:5060", "sip:a@df7jal23ls0d.invalid"] {
        assert!(nat(&mut all, uri), "{uri}");
    }
    assert_eq!((all.natted(), all.natted_behind(0), all.natted_behind(1)), (1, Some(1), Some(1)));
}

#[test]
fn a_connection_that_is_gone_leads_nowhere_unless_the_contact_says_where() {
    let mut all = Bindings::default();
    for (owner, uri) in [(1, "sip:a@192.0.2.1:5070"), (2, "sip:b@10.0.0.7")] {
        let mut tcp = request("x", 1, &[(uri, 600)]);
        tcp.template.source = tcp.template.source.by(Transport::Tcp);
        tcp.template.connection = 7;
        all.register(owner, S, &BOUNDS, &tcp).unwrap();
    }
    let ways = |all: &Bindings| {
        [1, 2].map(|owner| {
            let way = all.of(owner, S).next().unwrap().way();
            way.map(|(target, by)| (target.socket_address().unwrap().port(), by))
        })
    };
    all.forget_connections(1, 0);
    assert_eq!(ways(&all), [Some((5060, 7)), Some((5060, 7))]);
    all.forget_connections(2, 0);
    assert_eq!(ways(&all), [Some((5070, 0)), None]);
}

#[test]
fn in_light_mode_two_refreshes_of_three_spare_the_store() {
    let bounds = Bounds { light: true, ..BOUNDS };
    let mut all = Bindings::default();
    let mut stored = None;
    let mut writes = 0;
    for refresh in 0..30 {
        let now_us = (1 + u64::from(refresh) * 300) * S;
        let moved = all.register(1, now_us, &bounds, &request("x", refresh, &[(A, 600)]));
        for moved in moved.unwrap() {
            let Moved::Bound(bound) = moved else { panic!("{moved:?}") };
            stored = Some(*bound);
            writes += 1;
        }
        // Whoever starts from the store now believes in it at least as long as we do.
        let mut after = Bindings::default();
        after.restore(1, stored.clone().unwrap());
        let ends = |all: &Bindings| all.of(1, now_us).next().unwrap().expires_us;
        assert!(ends(&after) >= ends(&all));
    }
    assert_eq!(writes, 10);
    let mut moved = request("x", 99, &[(A, 600)]);
    moved.template.source = Endpoint::from("192.0.2.1:6000".parse::<SocketAddr>().unwrap());
    assert_eq!(all.register(1, 9_000 * S, &bounds, &moved).unwrap().len(), 1, "from elsewhere");
}

/// A binding of the model: owner, contact, Call-ID, CSeq, end.
type Simple = (u32, usize, usize, u32, u64);

proptest! {
    /// Against a list that is searched from end to end; what the store was told is the same list.
    #[test]
    fn bindings_are_what_a_simple_list_says(
        steps in prop::collection::vec(
            (0..2_u32, 0..4_usize, 0..2_usize, 1..6_u32, 0..4_u32, 0..400_u64, any::<bool>()), 1..80,
        ),
        light in any::<bool>(),
    ) {
        let bounds = Bounds { light, ..BOUNDS };
        let uris = ["sip:a@192.0.2.1", "sip:b@192.0.2.1", "sip:c@10.0.0.1", "sip:d@10.0.0.2"];
        let (mut all, mut now_us) = (Bindings::default(), S);
        let mut list: Vec<Simple> = Vec::new();
        let mut store: HashMap<(u32, String), Binding> = HashMap::new();
        for (owner, contact, call, cseq, life, passed_s, star) in steps {
            now_us += passed_s * S;
            for (owner, uri) in all.expire(now_us) {
                store.remove(&(owner, uri));
            }
            list.retain(|(.., ends)| *ends > now_us);
            let expires_s = [0, 59, 300, 600][life as usize];
            let call_id = format!("call {owner} {call}");
            let mut wanted = request(&call_id, cseq, &[(uris[contact], expires_s)]);
            wanted.all_gone = star && expires_s == 0;
            if wanted.all_gone {
                wanted.contacts.clear();
            }
            let touched = |it: &Simple| it.0 == owner && (wanted.all_gone || it.1 == contact);
            let same_call = |it: &&Simple| touched(it) && it.2 == call;
            let first = list.iter().find(|it| same_call(it) && it.3 >= cseq).copied();
            let mine = list.iter().filter(|it| it.0 == owner).count();
            let grows = !list.iter().any(touched) && mine < bounds.contacts_max;
            let result = all.register(owner, now_us, &bounds, &wanted);
            if let Some(first) = first {
                let expected = if first.3 == cseq { Ok(Vec::new()) } else { Err(Refused::Overtaken) };
                prop_assert_eq!(result, expected);
            } else if expires_s == 59 {
                prop_assert_eq!(result, Err(Refused::TooBrief));
            } else if expires_s > 0 && grows && list.len() >= bounds.bindings_max {
                prop_assert_eq!(result, Err(Refused::Full));
            } else {
                for moved in result.unwrap() {
                    match moved {
                        Moved::Bound(it) => drop(store.insert((owner, it.uri.clone()), *it)),
                        Moved::Gone(uri) => drop(store.remove(&(owner, uri))),
                    }
                }
                list.retain(|it| !touched(it));
                if expires_s > 0 {
                    list.push((owner, contact, call, cseq, now_us + u64::from(expires_s) * S));
                    let mine = list.iter().filter(|it| it.0 == owner).count();
                    if mine > bounds.contacts_max {
                        let oldest = list.iter().position(|it| it.0 == owner).unwrap();
                        list.remove(oldest);
                    }
                }
            }
            for owner in 0..2 {
                let held: Vec<(&str, u64)> =
                    all.of(owner, now_us).map(|it| (it.uri.as_str(), it.expires_us)).collect();
                let told: Vec<(&str, u64)> = list
                    .iter()
                    .filter(|it| it.0 == owner)
                    .map(|it| (uris[it.1], it.4))
                    .collect();
                prop_assert_eq!(held, told);
            }
            prop_assert_eq!(all.live(), list.len());
            prop_assert_eq!(store.len(), list.len());
            let from_nat: BTreeSet<u32> =
                list.iter().filter(|it| it.1 >= 2).map(|it| it.0).collect();
            prop_assert_eq!(all.natted(), from_nat.len());
        }
    }
}
