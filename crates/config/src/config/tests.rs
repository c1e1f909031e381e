//! The file as operators write it.

use super::*;
use crate::{Clients, MailTls, Verify};

const EXAMPLE: &str = include_str!("../../../../docs/tollgate.example.toml");

const LEAST: &str = r#"
    [[interface]]
    name = "eth0"
    [[address]]
    ip = "192.0.2.1/24"
    interface = "eth0"
"#;

/// What is wrong with the least file after `more` was put in front of it.
fn wrong_with(more: &str) -> Vec<String> {
    wrong(&format!("{more}\n{LEAST}"))
}

fn wrong(text: &str) -> Vec<String> {
    let errors = Config::parse(text).err().unwrap_or_default();
    errors.iter().map(ToString::to_string).collect()
}

fn least_with(more: &str) -> Config {
    Config::parse(&format!("{more}\n{LEAST}")).unwrap()
}

#[test]
fn the_example_says_what_holds_without_it() {
    assert_eq!(wrong(EXAMPLE), Vec::<String>::new());
    assert_eq!(Config::parse(EXAMPLE).unwrap(), Config::parse(LEAST).unwrap());
}

#[test]
fn the_example_shows_every_key_and_each_has_a_comment_before_it() {
    let keys = keys();
    assert!(keys.contains(&"address.advertise".into()) && keys.contains(&"log.level".into()));
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    for key in keys.iter().filter_map(|key| key.split_once('.')) {
        let (section, key) = key;
        let (one, many) = (format!("[{section}]"), format!("[[{section}]]"));
        let heads = [format!("# {many}"), one, many];
        let head = lines.iter().position(|line| heads.iter().any(|head| line == head));
        let head = head.unwrap_or_else(|| panic!("the example has no section {section}"));
        let body = &lines[head + 1..];
        let end = body.iter().position(|line| line.starts_with('[')).unwrap_or(body.len());
        let shown = |line: &&str| line.trim_start_matches("# ").starts_with(&format!("{key} = "));
        let at = body[..end].iter().position(shown);
        let at = at.unwrap_or_else(|| panic!("the example does not show {section}.{key}"));
        assert!(lines[head + at].starts_with('#'), "{section}.{key} has no comment in the example");
    }
}

#[test]
fn all_mistakes_are_found_in_one_reading() {
    let text = r#"
        [node]
        number = 1024
        [sip]
        prot = 5060
        [dataplane]
        nic = "dpdk"
        workers = "two"
        spin_us = 1.5
        [limits]
        ring_slots = 1000
        [log]
        level = "verbose"
        [trunk]
    "#;
    assert_eq!(
        wrong_with(text),
        [
            "node.number = 1024: must be from 0 to 1023",
            "dataplane.nic = \"dpdk\": must be one of \"afxdp\", \"udp\"",
            "dataplane.workers: must be a whole number, not a text",
            "dataplane.spin_us: must be a whole number, not a fraction",
            "sip.prot: there is no such key; did you mean sip.port?",
            "limits.ring_slots: 1000 is no power of two; write 512 or 1024",
            "log.level = \"verbose\": must be one of \"error\", \"warn\", \"info\", \"debug\"",
            "trunk: there is no such key; see docs/tollgate.example.toml, or remove it",
        ]
    );
}

#[test]
fn an_empty_file_says_what_it_lacks() {
    let wrong = wrong("");
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].starts_with("interface: missing"), "{wrong:?}");
    assert!(wrong[1].starts_with("address: missing"), "{wrong:?}");
}

#[test]
fn text_that_is_no_toml_names_the_line() {
    let wrong = wrong("[node]\nnumber = = 1\n");
    assert_eq!(wrong.len(), 1);
    assert!(wrong[0].contains("line 2"), "{wrong:?}");
}

#[test]
fn an_address_is_read_with_its_subnet_its_interface_and_its_public_face() {
    let text = r#"
        [[interface]]
        name = "tgb0"
        [[interface]]
        name = "tgb1"
        [[address]]
        ip = "10.10.2.2/24"
        interface = "tgb1"
        advertise = "203.0.113.1"
        [[address]]
        ip = "fd10:1::2/64"
        interface = "tgb0"
    "#;
    let config = Config::parse(text).unwrap();
    let [v4, v6] = config.addresses.as_slice() else { panic!("two addresses") };
    assert_eq!((v4.ip.to_string().as_str(), v4.prefix_bits), ("10.10.2.2", 24));
    assert_eq!(config.interface_of(v4).name, "tgb1");
    assert_eq!(v4.advertise, Some("203.0.113.1".parse().unwrap()));
    assert_eq!((v6.ip.to_string().as_str(), v6.prefix_bits, v6.interface), ("fd10:1::2", 64, 0));
}

#[test]
fn addresses_that_no_machine_has_are_refused() {
    for ip in [
        "10.0.0.1",
        "10.0.0.1/33",
        "fd10::1/129",
        "0.0.0.0/0",
        "224.0.0.1/4",
        "::/0",
        "ff02::1/16",
        "255.255.255.255/32",
        "::ffff:10.0.0.1/128",
        "eth0",
        "",
        "10.0.0.1/-1",
    ] {
        let text = LEAST.replace("192.0.2.1/24", ip);
        let wrong = wrong(&text);
        assert_eq!(wrong.len(), 1, "{ip}: {wrong:?}");
        assert!(wrong[0].starts_with("address[0].ip: "), "{wrong:?}");
    }
    for advertise in ["fd10::1", "203.0.113.1/24", "0.0.0.0", "example.org"] {
        let wrong = wrong(&format!("{LEAST}\nadvertise = \"{advertise}\""));
        assert_eq!(wrong.len(), 1, "{advertise}: {wrong:?}");
        assert!(wrong[0].starts_with("address[0].advertise: "), "{wrong:?}");
    }
}

#[test]
fn what_stands_twice_or_nowhere_is_refused() {
    let twice = format!("{LEAST}\n{LEAST}");
    assert_eq!(
        wrong(&twice),
        [
            "interface[1].name: \"eth0\" stands here twice; remove one",
            "address[1].ip: 192.0.2.1 stands here twice; remove one",
        ]
    );
    let nowhere = LEAST.replace("interface = \"eth0\"", "interface = \"eth7\"");
    assert_eq!(
        wrong(&nowhere),
        ["address[0].interface: no [[interface]] is named \"eth7\"; add one, or name one of those"]
    );
    for name in ["", "a/b", "an_interface_name_too_long", "with space", ".."] {
        let named = LEAST.replace("eth0", name);
        assert_eq!(wrong(&named).len(), 1, "{name:?}");
    }
}

#[test]
fn an_address_for_media_alone_is_beside_one_that_hears_sip_and_told_apart_from_all_others() {
    let beside = |lines: &str| format!("{LEAST}\n[[media_address]]\n{lines}");
    let good = "ip = \"192.0.2.2\"\nbeside = \"192.0.2.1\"";
    let config = Config::parse(&beside(good)).unwrap();
    let [address] = &config.media_addresses[..] else { panic!("one") };
    assert_eq!((address.ip.to_string(), address.advertise), ("192.0.2.2".to_owned(), None));
    // Twice the ports carry twice the calls.
    let ports = "[media]\nlast_port = 10399\n[limits]\ncalls = 200\n";
    assert_eq!(wrong(&format!("{ports}{}", beside(good))).len(), 0);
    assert_eq!(wrong(&format!("{ports}{LEAST}")).len(), 1);
    for (lines, why) in [
        ("", "ip: "),
        ("ip = \"192.0.2.2\"", "beside: "),
        ("ip = \"192.0.2.2/24\"\nbeside = \"192.0.2.1\"", "ip: \"192.0.2.2/24\" is no address"),
        ("ip = \"192.0.2.1\"\nbeside = \"192.0.2.1\"", "ip: 192.0.2.1 stands here twice"),
        ("ip = \"192.0.2.2\"\nbeside = \"192.0.2.9\"", "beside: no [[address]] has 192.0.2.9"),
        ("ip = \"fd10::2\"\nbeside = \"192.0.2.1\"", "beside: 192.0.2.1 is of another family"),
        ("ip = \"224.0.0.1\"\nbeside = \"192.0.2.1\"", "ip: 224.0.0.1 belongs to no single"),
        (&format!("{good}\nadvertise = \"192.0.2.1\""), "advertise: 192.0.2.1 is told"),
        (&format!("{good}\nadvertise = \"fd10::2\""), "advertise: fd10::2 is of another"),
    ] {
        let wrong = wrong(&beside(lines));
        let whole = format!("media_address[0].{why}");
        assert!(wrong[0].starts_with(&whole), "{lines}: {wrong:?}");
    }
    let twice = beside(&format!("{good}\n[[media_address]]\n{good}"));
    assert!(wrong(&twice)[0].starts_with("media_address[1].ip: 192.0.2.2 stands here twice"));
}

#[test]
fn more_interfaces_or_addresses_than_the_driver_can_tell_apart_are_refused() {
    let mut text = String::new();
    for index in 0..33 {
        let address =
            format!("[[address]]\nip = \"10.0.0.{}/24\"\ninterface = \"if0\"\n", index + 1);
        text += &format!("[[interface]]\nname = \"if{index}\"\n{address}");
    }
    assert_eq!(
        wrong(&text),
        ["interface: 33 of them; 16 can be had", "address: 33 of them; 32 can be had"]
    );
}

#[test]
fn ports_must_not_overlap_and_must_be_enough() {
    let sip = wrong_with("[media]\nfirst_port = 5000\nlast_port = 14000");
    assert_eq!(sip, ["sip.port: 5060 lies among the media ports 5000-14000; move one of them"]);
    let few = wrong_with("[media]\nlast_port = 10399");
    assert_eq!(
        few,
        [
            "limits.calls: 2000 calls need 8000 media ports even where all addresses carry alike, and 400 \
          are there; lower it to 100, raise media.last_port, or add a [[media_address]]"
        ]
    );
    assert_eq!(wrong_with("[media]\nlast_port = 10399\n[limits]\ncalls = 100").len(), 0);
    assert_eq!(wrong_with("[media]\nfirst_port = 10001").len(), 1);
    assert_eq!(wrong_with("[media]\nfirst_port = 30000").len(), 1);
}

#[test]
fn every_worker_has_queues_and_at_most_one_core() {
    let queues = LEAST.replace("name = \"eth0\"", "name = \"eth0\"\nqueues = 2");
    let wrong_of = |dataplane: &str| wrong(&format!("[dataplane]\n{dataplane}\n{queues}"));
    assert_eq!(wrong_of("workers = 2").len(), 0);
    assert_eq!(wrong_of("workers = 4").len(), 1);
    assert_eq!(wrong_of("workers = 4\nnic = \"udp\"").len(), 0);
    assert_eq!(wrong_of("workers = 2\ncores = [1, 2]").len(), 0);
    assert_eq!(wrong_of("workers = 2\ncores = [1]").len(), 1);
    assert_eq!(wrong_of("workers = 2\ncores = [1, 1]").len(), 1);
    assert_eq!(wrong_of("workers = 2\ncores = [1, 2]\n[control]\ncore = 2").len(), 1);
    assert_eq!(wrong_of("workers = 2\ncores = [1, -2]").len(), 1);
}

#[test]
fn a_queue_that_no_worker_reads_is_refused_with_what_to_do() {
    let queues = LEAST.replace("name = \"eth0\"", "name = \"eth0\"\nqueues = 4");
    assert_eq!(
        wrong(&format!("[dataplane]\nworkers = 2\n{queues}")),
        [
            "interface[0].queues: 4 for 2 workers loses what comes in by the others; give the interface \
          one for each (ethtool -L eth0 combined 2) or change dataplane.workers"
        ]
    );
    assert_eq!(wrong(&format!("[dataplane]\nnic = \"udp\"\n{queues}")).len(), 0);
}

#[test]
fn queues_follow_the_workers_unless_they_are_said() {
    assert_eq!(least_with("[dataplane]\nworkers = 4").interfaces[0].queues, 4);
}

#[test]
fn paths_are_absolute_and_short_enough_for_a_socket() {
    assert_eq!(wrong_with("[paths]\nstate = \"tollgate\"").len(), 1);
    let long = format!("[paths]\nrun = \"/run/{}\"", "x".repeat(100));
    assert!(wrong_with(&long)[0].starts_with("paths.run: "));
}

#[test]
fn workers_parts_of_the_media_ports_are_even_disjoint_and_equal() {
    for (last, workers) in [(20_000, 1), (20_000, 3), (19_999, 7), (10_001, 1), (65_535, 64)] {
        let media = Media { first_port: 10_000, last_port: last, transcoded_max: 0 };
        let mut next = 10_000;
        for worker in 0..workers {
            let (first, end) = media.ports_of(worker, workers).unwrap();
            assert_eq!(first, next);
            assert!(first.is_multiple_of(2) && !end.is_multiple_of(2) && end <= last);
            next = end.wrapping_add(1);
        }
        assert_eq!(media.ports_of(workers, workers), None);
    }
    let narrow = Media { first_port: 10_000, last_port: 10_001, transcoded_max: 0 };
    assert_eq!(narrow.ports_of(0, 2), None);
    assert_eq!(narrow.ports_of(0, 0), None);
}

#[test]
fn sizes_that_are_not_said_follow_the_calls() {
    let limits = least_with("[limits]\ncalls = 100").limits;
    assert_eq!((limits.transactions, limits.kept_messages), (600, 300));
    assert_eq!(least_with("[dataplane]\nworkers = 2").dataplane.frames_bytes(), 2 * 16_384 * 2_048);
    assert_eq!(limits.calls_per_worker(1), 100);
    assert_eq!(limits.calls_per_worker(2), 56);
    assert!(limits.calls_per_worker(64) * 64 >= 100);
}

#[test]
fn no_text_makes_the_reader_fail_otherwise_than_by_errors() {
    let huge = format!("[node]\nnumber = {}", u64::MAX);
    let long = format!("{} = 1", "k".repeat(10_000));
    for text in [
        "node = 1",
        "node = []",
        "interface = 1",
        "interface = [1, 2]",
        "address = {}",
        "[interface]",
        "[[node]]",
        "\u{0}",
        "[dataplane]\ncores = 1",
        "[dataplane]\ncores = [[]]",
        "[paths]\nrun = \"/\\u0000\"",
        "[log]\nlevel = 2000-01-01",
        &huge,
        &long,
    ] {
        assert!(!wrong(text).is_empty(), "{text:?}");
    }
    for end in 0..EXAMPLE.len() {
        if EXAMPLE.is_char_boundary(end) {
            let _ = Config::parse(&EXAMPLE[..end]);
        }
    }
}

#[test]
fn mail_goes_where_a_server_and_a_sender_are_named() {
    assert_eq!(least_with("").mail, None);
    let whom = "server = \"mail.example.com\"\nfrom = \"a@example.com\"";
    let mail = least_with(&format!("[mail]\n{whom}")).mail.unwrap();
    assert_eq!((mail.port, mail.tls, mail.password_file), (587, MailTls::StartTls, None));
    let mail = least_with(&format!("[mail]\n{whom}\ntls = \"tls\"")).mail.unwrap();
    assert_eq!((mail.port, mail.tls), (465, MailTls::Tls));
    for (lacks, named) in [
        ("server = \"m\"", "mail.from"),
        ("from = \"a@example.com\"", "mail.server"),
        (&format!("{whom}\nusername = \"a\""), "mail.username"),
        (&format!("{whom}\npassword_file = \"/p\""), "mail.username"),
        (&format!("{whom}\ntls = \"perhaps\""), "mail.tls"),
    ] {
        let errors = wrong_with(&format!("[mail]\n{lacks}"));
        assert!(errors.len() == 1 && errors[0].contains(named), "{lacks}: {errors:?}");
    }
}

#[test]
fn a_certificate_opens_tls_and_a_port_without_one_is_a_mistake() {
    let identity = "tls_certificate = \"/c.pem\"\ntls_key = \"/k.pem\"";
    let config = least_with(&format!("[streams]\nws_port = 8080\n{identity}"));
    let streams = &config.streams;
    assert_eq!((streams.tcp, streams.tls_port, streams.ws_port), (true, Some(5061), Some(8080)));
    assert_eq!((streams.wss_port, streams.verify), (None, Verify::Yes));
    let none = least_with("[streams]\ntls_verify = \"no\"").streams;
    assert_eq!((none.tls_port, none.identity, none.verify), (None, None, Verify::No));
    assert_eq!(none.clients, Clients::Unasked);
    for (word, clients) in [("asked", Clients::Asked), ("proven", Clients::Proven)] {
        let set = least_with(&format!("[streams]\ntls_clients = \"{word}\"")).streams;
        assert_eq!(set.clients, clients);
    }
    for (more, what) in [
        ("tls_port = 5061", "streams.tls_port: there is no certificate"),
        ("wss_port = 443", "streams.wss_port: there is no certificate"),
        ("tls_key = \"/k.pem\"", "streams.tls_certificate: missing"),
        ("tls_certificate = \"/c.pem\"", "streams.tls_key: missing"),
        ("tls_authorities = \"certs\"", "streams.tls_authorities: \"certs\" is no absolute path"),
        ("ws_port = 5060", "streams.ws_port: 5060 is that of sip.port"),
    ] {
        let wrong = wrong_with(&format!("[streams]\n{more}"));
        assert!(wrong.len() == 1 && wrong[0].starts_with(what), "{more}: {wrong:?}");
    }
    let apart = format!("[streams]\ntls_port = 7000\nwss_port = 7000\n{identity}");
    assert_eq!(
        wrong_with(&apart),
        ["streams.wss_port: 7000 is that of streams.tls_port; give each its own"]
    );
    assert_eq!(wrong_with("[streams]\ntcp = false\nws_port = 5060"), Vec::<String>::new());
}
