//! What the driver is told of what changed, and in which order.

use super::*;

fn trusted(prefix: &str, trunk: &str) -> Trusted {
    let none = xdp_prog::Rate::NONE;
    let rates = TrunkRates { invites: none, rest: none };
    Trusted { prefix: prefix.parse().unwrap(), trunk: trunk.into(), rates, admin: false }
}

#[test]
fn what_is_seen_is_what_came_since_the_last_look() {
    let talker = |packets, dropped| Talker {
        source: IpAddr::from([192, 0, 2, 1]),
        packets,
        dropped,
        options: 0,
        reason: xdp_prog::Reason::DropOtherBudget,
        last: Duration::ZERO,
    };
    let mut before = Before::default();
    let mut look = |talkers| {
        before.look(talkers).iter().map(|it| (it.packets, it.dropped)).collect::<Vec<_>>()
    };
    assert_eq!(look(vec![talker(10, 4)]), [(10, 4)]);
    assert_eq!(look(vec![talker(10, 4)]), []);
    assert_eq!(look(vec![talker(13, 4)]), [(3, 0)]);
    assert_eq!(look(vec![talker(2, 1)]), [(2, 1)], "his place was another's meanwhile");
}

#[test]
fn of_perimeters_that_come_together_only_the_last_is_written() {
    let perimeter = |name: &str| {
        let signatures = vec![name.to_owned()];
        News::Perimeter(Box::new(Perimeter { signatures, ..Perimeter::default() }))
    };
    let stranger = || News::Stranger(IpAddr::from([192, 0, 2, 1]));
    let batch = vec![perimeter("a"), stranger(), perimeter("b"), perimeter("c"), stranger()];
    let kept = newest(batch);
    assert!(matches!(&kept[..], [News::Stranger(_), News::Perimeter(last), News::Stranger(_)]
        if last.signatures == ["c"]));
}

#[test]
fn a_trunk_keeps_its_number_while_others_come_and_go() {
    let mut reconciler = Reconciler::new(PathBuf::new(), Ports::default());
    let mut numbers = |trust: Vec<Trusted>| {
        reconciler.perimeter.trust = trust;
        reconciler.number_trunks();
        ["a", "b", "c"].map(|name| reconciler.trunk(name))
    };
    let both = vec![trusted("10.0.0.1", "b"), trusted("10.0.0.2", "c"), trusted("10.0.0.3", "c")];
    assert_eq!(numbers(both), [TRUNK_LAST, 1, 2]);
    assert_eq!(
        numbers(vec![trusted("10.0.0.2", "c"), trusted("10.0.0.9", "a")]),
        [1, TRUNK_LAST, 2]
    );
}

#[test]
fn of_imports_what_changed_is_written_and_whoever_is_denied_twice_is_for_the_longer_time() {
    let mut reconciler = Reconciler::new(PathBuf::new(), Ports::default());
    let at = |text: &str| text.parse::<Prefix>().unwrap();
    let end = |seconds| Some(Duration::from_secs(seconds));
    let import = |list: &[&str], not_after| {
        let entries = Entries::new(list.iter().map(|text| text.parse().unwrap()).collect());
        Imported { entries: Arc::new(entries), not_after }
    };
    let mut told = |imports: Vec<Imported>| {
        reconciler.remember(&News::Imports(imports));
        reconciler.list_anew();
        let mut unwritten: Vec<String> =
            reconciler.unwritten.drain(..).map(|prefix| prefix.to_string()).collect();
        unwritten.sort();
        unwritten
    };
    let first = import(&["192.0.2.1", "192.0.2.2", "198.51.100.0/24"], end(60));
    assert_eq!(told(vec![first.clone()]).len(), 3);
    assert_eq!(told(vec![first.clone()]), [] as [&str; 0]);
    let second = import(&["192.0.2.2", "192.0.2.3"], end(90));
    assert_eq!(told(vec![first, second.clone()]), ["192.0.2.2", "192.0.2.3"]);
    assert_eq!(told(vec![second]), ["192.0.2.1", "198.51.100.0/24"]);
    assert_eq!(reconciler.denial_of(at("192.0.2.1")), None);
    assert_eq!(reconciler.denial_of(at("192.0.2.2")), Some(end(90)));
    let denied = |not_after| News::Denied(Denial { prefix: at("192.0.2.2"), not_after });
    reconciler.remember(&denied(end(30)));
    assert_eq!(reconciler.denial_of(at("192.0.2.2")), Some(end(90)));
    reconciler.remember(&denied(None));
    assert_eq!(reconciler.denial_of(at("192.0.2.2")), Some(None));
}

#[test]
fn a_long_list_is_written_in_slices_and_who_finds_no_room_is_left_out() {
    let mut reconciler = Reconciler::new(PathBuf::new(), Ports::default());
    let at = |text: &str| text.parse::<Prefix>().unwrap();
    let list = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.0/24"];
    let entries = Entries::new(list.iter().map(|text| text.parse().unwrap()).collect());
    let import = Imported { entries: Arc::new(entries), not_after: None };
    let deny = vec![Denial { prefix: at("203.0.113.9"), not_after: None }];
    let desired = Desired { deny, imports: vec![import], ..Desired::default() };
    reconciler.foresee(&[News::Whole(Box::new(desired))]);
    let mut compare = |held: &[&str], room| {
        let held = held.iter().map(|text| (at(text), None)).collect();
        reconciler.compare(&held, room);
        let mut texts: Vec<String> =
            reconciler.unwritten.iter().map(|prefix| prefix.to_string()).collect();
        texts.sort();
        (texts, reconciler.left_out)
    };
    assert_eq!(compare(&[], (9, 9)).0.len(), 5);
    let held = ["192.0.2.2", "192.0.2.77", "203.0.113.9"];
    let (texts, left_out) = compare(&held, (9, 9));
    assert_eq!(texts, ["192.0.2.1", "192.0.2.3", "192.0.2.77", "198.51.100.0/24"]);
    assert_eq!(left_out, 0);
    // An operator's own denial comes before any list.
    let (texts, left_out) = compare(&["192.0.2.1", "192.0.2.2", "192.0.2.3"], (1, 0));
    assert_eq!(texts, ["192.0.2.1", "192.0.2.2", "192.0.2.3", "203.0.113.9"]);
    assert_eq!(left_out, 4);
    assert_eq!(reconciler.unwritten.back(), Some(&at("203.0.113.9")), "once there is room");
}

#[test]
fn what_was_said_before_there_are_maps_is_remembered() {
    let mut reconciler = Reconciler::new("/nowhere".into(), Ports::default());
    let denial = |text: &str| Denial { prefix: text.parse().unwrap(), not_after: None };
    let deny = vec![denial("10.0.0.1"), denial("10.0.0.2")];
    let whole = News::Whole(Box::new(Desired { deny, ..Desired::default() }));
    let batch =
        vec![whole, News::Admitted("10.0.0.1".parse().unwrap()), News::Denied(denial("10.0.0.3"))];
    reconciler.reconcile(&mut None, batch).unwrap();
    let denied: Vec<String> = reconciler.deny.keys().map(ToString::to_string).collect();
    assert_eq!(denied, ["10.0.0.2", "10.0.0.3"]);
}
