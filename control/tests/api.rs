//! The real binary on its Unix socket, with no dataplane: what an operator says is kept, over a kill
//! too.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod node;

use node::{Node, exchange};
use serde_json::{Value, json};

#[test]
fn everything_an_operator_said_outlives_a_kill() {
    let mut node = Node::start("kill");
    node.furnish();
    let paths = [
        "/account",
        "/tariff",
        "/tariff/sell/rate",
        "/gateway/mapping",
        "/gateway/routing",
        "/phone",
        "/registration",
        "/param/SS_SIP_INVITE_TIMEOUT",
        "/param/SS_SIP_INVITE_TIMEOUT/history",
        "/firewall/deny",
        "/firewall/trust",
        "/account/customer/ledger",
        "/account/customer/statement",
        "/ledger/audit",
        "/cdr",
        "/recording",
    ];
    let before = paths.map(|path| node.look(path));
    assert_eq!(node.look("/account/customer")["balance"], "25.50");
    let audit = node.look("/ledger/audit");
    assert_eq!((&audit["agrees"], &audit["entries"]), (&json!(true), &json!(1)), "{audit}");
    node.kill();
    node.run();
    assert_eq!(paths.map(|path| node.look(path)), before);
    // A request that was answered before the kill is not booked again after it.
    let payment = json!({"amount": "25.50", "request_id": "one"});
    let again = node.ok("POST", "/account/customer/payment", &payment);
    assert_eq!((&again["repeated"], &again["balance"]), (&json!(true), &json!("25.50")));
    let other = json!({"amount": "25.51", "request_id": "one"});
    assert_eq!(node.say("POST", "/account/customer/payment", &other).0, 409);
    let found = node.look("/route/explain?gateway=in&from=39021&to=44207");
    assert_eq!(found["items"][0]["gateway"], "out");
}

#[test]
fn every_route_answers_and_says_what_is_wrong_as_a_problem() {
    let node = Node::start("routes");
    node.furnish();
    for route in control::api::routes::ROUTES {
        let name = match route.path {
            path if path.starts_with("/account") => "customer",
            path if path.starts_with("/tariff") => "sell",
            path if path.starts_with("/gateway/mapping") => "in",
            path if path.starts_with("/gateway/routing") => "out",
            path if path.starts_with("/phone") => "alice",
            _ => "SS_SIP_INVITE_TIMEOUT",
        };
        let prefix = match route.path {
            path if path.starts_with("/tariff") => "44",
            path if path.starts_with("/firewall/trust") => "203.0.114.0%2F24",
            _ => "203.0.113.0%2F24",
        };
        let path = route.path.replace("{name}", name).replace("{prefix}", prefix);
        let path = path.replace("{id}", "0123456789abcdef0123456789abcdef");
        // An empty change: what it lacks is said, and nothing is deleted that a later row needs.
        let body = if route.fields().is_empty() { Value::Null } else { json!({}) };
        if route.method == "delete" && route.path.ends_with("{name}") {
            continue;
        }
        let (status, answer) = node.say(route.method, &path, &body);
        assert_ne!(answer["title"], "no such resource", "{} {path}", route.method);
        assert!(status != 500 && status != 405, "{} {path}: {answer}", route.method);
    }
    let (status, kind, text) = exchange(&node.socket(), "GET", "/metrics", "", "");
    assert_eq!((status, kind.starts_with("text/plain")), (200, true));
    for figure in ["tollgate_ready 0", "tollgate_asks_expired_total 0"] {
        assert!(text.contains(figure), "{figure}: {text}");
    }
    // Of a counter the samples are named as its type is, of others but for what a histogram adds.
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        let is_typed = |name: &str| text.contains(&format!("# TYPE {name} "));
        assert!(is_typed(name) || family.is_some_and(is_typed), "{line}: {text}");
    }
}

#[test]
fn refusals_name_the_field_and_change_nothing() {
    let node = Node::start("refusals");
    node.furnish();
    let cases = [
        ("POST", "/account", json!({"name": "customer", "role": "customer"}), 409, "customer"),
        ("POST", "/account", json!({"name": "x", "role": "king"}), 422, "role"),
        ("POST", "/account", json!({"name": "x", "role": "vendor", "colour": 1}), 422, "colour"),
        ("PUT", "/param/SS_SIP_INVITE_TIMEOUT", json!({"value": "1"}), 422, "1000 to 120000"),
        ("PUT", "/param/NO_SUCH", json!({"value": "1"}), 404, "NO_SUCH"),
        ("DELETE", "/tariff/sell", Value::Null, 409, "in"),
        ("DELETE", "/account/customer", Value::Null, 409, "balance"),
        ("POST", "/firewall/deny", json!({"prefix": "192.0.2.0/24"}), 409, "lock"),
        ("POST", "/firewall/deny", json!({"prefix": "198.51.100.0/24"}), 409, "198.51.100.7"),
        ("GET", "/gateway/routing/none", Value::Null, 404, "none"),
        ("GET", "/cdr?colour=red", Value::Null, 422, "colour"),
        ("GET", "/nothing", Value::Null, 404, "openapi"),
    ];
    for (method, path, body, wanted, word) in cases {
        let (status, answer) = node.say(method, path, &body);
        assert_eq!(status, wanted, "{method} {path}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(word), "{method} {path}: {answer}");
    }
    let sheet = "prefix,rate\n33,0.02\n34,x\n";
    let path = "/api/v1/tariff/sell/rate";
    let (status, _, text) = exchange(&node.socket(), "PUT", path, "text/csv", sheet);
    assert_eq!((status, text.contains("line 3")), (422, true), "{text}");
    assert_eq!(node.look("/tariff/sell/rate")["items"].as_array().unwrap().len(), 2);
}

#[test]
fn what_is_wrong_in_a_request_is_named_whatever_it_is() {
    let node = Node::start("hostile");
    node.furnish();
    let long = "x".repeat(100_000);
    let account = |field: &str, value: Value| {
        let mut body = json!({"name": "new", "role": "customer"});
        body[field] = value;
        body
    };
    let rate = |field: &str, value: Value| {
        let mut body = json!({"prefix": "49", "rate": "0.01"});
        body[field] = value;
        body
    };
    let pay = |amount: Value| json!({"amount": amount, "request_id": "two"});
    let cases = [
        ("POST", "/account", account("name", json!(long)), 422, "name: 1 to 64"),
        ("POST", "/account", account("name", json!(" new")), 422, "blanks"),
        ("POST", "/account", account("name", json!("n\u{e9}w")), 422, "ASCII"),
        ("POST", "/account", account("name", json!(7)), 422, "name: invalid type"),
        ("POST", "/account", account("locked", json!("no")), 422, "locked: invalid type"),
        ("POST", "/account", account("credit", json!(-1.5)), 422, "credit: invalid type"),
        ("POST", "/account", account("credit", json!("NaN")), 422, "credit: \"NaN\""),
        ("POST", "/account", account("credit", json!("-1")), 422, "credit: not negative"),
        ("POST", "/account", json!(["new"]), 422, "it is an object"),
        ("POST", "/account", Value::Null, 422, "it is an object"),
        ("POST", "/account", json!({"role": "customer"}), 422, "`name`"),
        ("PATCH", "/account/customer", json!({&long: 1}), 422, "there is no `xxx"),
        ("GET", "/account/%FF", Value::Null, 400, "percent-encoded"),
        ("GET", &format!("/account/{}", &long[..30_000]), Value::Null, 404, "there is no account"),
        ("PUT", "/account/customer", json!({}), 405, "get, patch, delete"),
        ("GET", "/account?limit=many", Value::Null, 422, "limit: \"many\""),
        ("GET", "/account?limit=1&limit=2", Value::Null, 422, "twice"),
        ("GET", "/account/customer/ledger?cursor=x", Value::Null, 422, "cursor"),
        ("GET", "/account/customer/ledger?kind=gift", Value::Null, 422, "kind: \"gift\""),
        ("GET", "/account/customer/statement?to=soon", Value::Null, 422, "to: \"soon\""),
        ("GET", "/account/nobody/statement", Value::Null, 404, "there is no account"),
        ("POST", "/account/customer/payment", pay(json!("0")), 422, "moves nothing"),
        ("POST", "/account/customer/refund", pay(json!("-1")), 422, "a refund is positive"),
        ("POST", "/account/customer/refund", pay(json!("999")), 409, "is there to give back"),
        ("POST", "/account/customer/correction", pay(json!("1")), 422, "memo: empty"),
        ("GET", "/event?cursor=x", Value::Null, 422, "cursor"),
        ("GET", "/call?cursor=x", Value::Null, 422, "cursor"),
        ("GET", "/cdr?cursor=x", Value::Null, 422, "cursor"),
        ("GET", "/cdr?from=yesterday", Value::Null, 422, "from: \"yesterday\""),
        ("GET", "/cdr?caller=*", Value::Null, 422, "caller: \"*\""),
        ("GET", "/cdr?answered=yes", Value::Null, 422, "answered"),
        ("POST", "/account/customer/payment", pay(json!(25.5)), 422, "amount: invalid type"),
        ("POST", "/account/customer/payment", pay(json!("inf")), 422, "amount: \"inf\""),
        ("POST", "/account/customer/payment", pay(json!("1e3")), 422, "amount: \"1e3\""),
        ("POST", "/account/customer/payment", pay(json!("9223372036")), 422, "too large"),
        ("POST", "/account/customer/payment", json!({"amount": "1"}), 422, "`request_id`"),
        (
            "POST",
            "/account/customer/payment",
            json!({"amount": "1", "request_id": "three", "memo": "a\nb"}),
            422,
            "memo: one line",
        ),
        ("POST", "/tariff/sell/rate", rate("rate", json!("-1")), 422, "not negative"),
        ("POST", "/tariff/sell/rate", rate("rate", json!(0.1)), 422, "rate 1: rate: invalid"),
        ("POST", "/tariff/sell/rate", rate("rate", json!("600000")), 422, "rate: less than 600000"),
        ("POST", "/tariff/sell/rate", rate("connection_fee", json!("1000000")), 422, "less than"),
        ("POST", "/tariff/sell/rate", rate("unit_s", json!(0)), 422, "unit_s: 1 to 86400"),
        ("POST", "/tariff/sell/rate", rate("prefix", json!("4 9")), 422, "prefix: \"4 9\""),
        (
            "POST",
            "/tariff/sell/rate",
            json!([rate("rate", json!("1")), rate("rate", json!("2"))]),
            422,
            "rate 2 (\"49\"): it is rate 1",
        ),
        (
            "POST",
            "/gateway/mapping",
            json!({"name": "g", "account": "customer", "addresses": vec!["10.0.0.1"; 1001]}),
            422,
            "addresses: 1001 of them",
        ),
        (
            "PATCH",
            "/gateway/mapping/in",
            json!({"callee_rules": [{"original": long}]}),
            422,
            "callee_rules: a rule has",
        ),
        (
            "PATCH",
            "/gateway/mapping/in",
            json!({"callee_rules": [{"original": 1}]}),
            422,
            "callee_rules[0].original: invalid type",
        ),
        ("PATCH", "/phone/alice", json!({"password": "abc"}), 422, "at least 12 characters"),
        ("PATCH", "/phone/alice", json!({"password": {"md5": "0"}}), 422, "password: text"),
        ("PATCH", "/phone/alice", json!({"contacts_max": 0}), 422, "contacts_max: 1 to 8"),
        ("PATCH", "/phone/alice?generate_password=2", json!({}), 422, "0 or 1"),
        ("POST", "/phone", json!({"name": "b@x", "account": "customer"}), 422, "name: 1 to 32"),
        (
            "PATCH",
            "/gateway/mapping/in",
            json!({"authentication": "magic"}),
            422,
            "authentication: unknown variant",
        ),
        (
            "PATCH",
            "/gateway/mapping/in",
            json!({"authentication": "ip_and_password"}),
            422,
            "auth_username: missing",
        ),
        ("GET", "/registration/nobody", Value::Null, 404, "nobody"),
        ("PUT", "/param/FREE_TIME", json!({"value": true}), 422, "value: text"),
        ("PUT", "/param/FREE_TIME", json!({"value": -1}), 422, "FREE_TIME"),
        ("PUT", "/param/FREE_TIME", json!({"value": "1", "who": "root"}), 422, "`who`"),
        ("DELETE", "/param/FREE_TIME", json!({"value": 1}), 422, "body: "),
        ("POST", "/firewall/deny", json!({"prefix": "10.0.0.0/33"}), 422, "10.0.0.0/33"),
        (
            "POST",
            "/firewall/deny",
            json!({"prefix": "10.0.0.1", "for_s": "1h"}),
            422,
            "for_s: invalid type",
        ),
        (
            "POST",
            "/firewall/deny",
            json!({"prefix": "10.0.0.1", "for_s": u64::MAX}),
            422,
            "for_s: up to",
        ),
        ("POST", "/drain", json!({"draining": "yes"}), 422, "draining: invalid type"),
        ("GET", "/route/explain?from=1", Value::Null, 422, "gateway and to"),
        ("DELETE", "/call/1", Value::Null, 404, "there is no call"),
    ];
    let watched =
        ["/account", "/tariff", "/tariff/sell/rate", "/gateway/mapping", "/firewall/deny"];
    let before = watched.map(|path| node.look(path));
    for (method, path, body, wanted, word) in cases {
        let (status, answer) = node.say(method, path, &body);
        let shown = &path[..path.len().min(60)];
        assert_eq!(status, wanted, "{method} {shown}: {answer}");
        let detail = answer["detail"].as_str().unwrap();
        assert!(detail.contains(word), "{method} {shown}: {detail}");
        assert!(detail.len() <= 1000, "{method} {shown}: a detail of {} bytes", detail.len());
    }
    let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let huge = format!("\"{}\"", "x".repeat(9 << 20));
    let raw = [
        (deep.as_str(), 400, "recursion"),
        (huge.as_str(), 413, "text/csv"),
        ("{\"name\": NaN}", 400, "line 1 column 10"),
        ("{\"name\": \"a\", \"name\": \"b\"}", 400, "stands here twice"),
        ("name=a", 400, "line 1 column"),
    ];
    for (body, wanted, word) in raw {
        let (status, _, text) =
            exchange(&node.socket(), "POST", "/api/v1/account", "application/json", body);
        assert_eq!((status, text.contains(word)), (wanted, true), "{text}");
    }
    let (status, _, text) = exchange(
        &node.socket(),
        "PUT",
        "/api/v1/tariff/sell/rate",
        "text/csv",
        "prefix,rate\n49,1\n49,2\n",
    );
    assert_eq!((status, text.contains("rate 2")), (422, true), "{text}");
    assert_eq!(watched.map(|path| node.look(path)), before, "a refusal changes nothing");
}

#[test]
fn of_many_who_say_the_same_at_once_one_is_heard_and_no_change_is_lost() {
    let node = Node::start("together");
    node.furnish();
    let created = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|number| {
                let node = &node;
                scope.spawn(move || {
                    let body = json!({"name": "same", "role": "customer"});
                    let (status, _) = node.say("POST", "/account", &body);
                    let payment = json!({"amount": "1", "request_id": "same"});
                    node.ok("POST", "/account/customer/payment", &payment);
                    let fields = ["lines_max", "cps_max", "talk_s_max", "locked"];
                    let value = if number % 4 == 3 { json!(true) } else { json!(7) };
                    let change = json!({ fields[number % 4]: value });
                    node.ok("PATCH", "/gateway/mapping/in", &change);
                    status
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(created.iter().filter(|status| **status == 200).count(), 1, "{created:?}");
    assert_eq!(created.iter().filter(|status| **status == 409).count(), 7, "{created:?}");
    assert_eq!(node.look("/account/customer")["balance"], "26.50");
    let gateway = node.look("/gateway/mapping/in");
    let fields = ["lines_max", "cps_max", "talk_s_max"].map(|field| gateway[field].clone());
    assert_eq!((fields, &gateway["locked"]), ([7, 7, 7].map(Value::from), &json!(true)));
}

#[test]
fn a_recording_is_deleted_once_and_nothing_else_is() {
    let node = Node::start("recording-delete");
    let day = node.home.join("state/recordings/2026-01-01");
    std::fs::create_dir_all(&day).unwrap();
    let (file, other) = (format!("{}.wav", "0".repeat(32)), format!("{}-2.wav", "0".repeat(32)));
    for name in [file.as_str(), other.as_str(), "notes.txt"] {
        std::fs::write(day.join(name), b"RIFF").unwrap();
    }
    let path = format!("/recording/{file}");
    assert_eq!(node.say("DELETE", &path, &Value::Null).0, 204);
    assert_eq!(node.say("DELETE", &path, &Value::Null).0, 404);
    for strange in ["/recording/notes.txt", "/recording/..%2F..%2Ftollgate.db"] {
        assert_eq!(node.say("DELETE", strange, &Value::Null).0, 404, "{strange}");
    }
    let left: Vec<_> = std::fs::read_dir(&day).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(node.look("/recording")["items"][0]["file"], json!(other));
}

#[test]
fn every_list_that_grows_comes_in_pages_of_one_shape() {
    let node = Node::start("pages");
    node.furnish();
    for number in 0..5 {
        let name = format!("c{number}");
        node.ok("POST", "/account", &json!({"name": name, "role": "customer"}));
        node.ok("POST", "/tariff", &json!({"name": format!("t{number}")}));
        node.ok("POST", "/tariff/sell/rate", &json!({"prefix": "", "rate": "1"}));
        let rate = json!({"prefix": number.to_string(), "rate": "1"});
        node.ok("POST", "/tariff/sell/rate", &rate);
        let address = format!("192.0.2.{}", 10 + number);
        let gateway = json!({"name": name, "account": "customer", "addresses": [address]});
        node.ok("POST", "/gateway/mapping", &gateway);
        let gateway = json!({"name": name, "account": "vendor", "target": address});
        node.ok("POST", "/gateway/routing", &gateway);
        node.ok("POST", "/phone", &json!({"name": name, "account": "customer"}));
        let payment = json!({"amount": "1", "request_id": name});
        node.ok("POST", "/account/customer/payment", &payment);
        let locked = json!({"locked": number % 2 == 0});
        node.ok("PATCH", "/account/customer", &locked);
        let value = json!({"value": (5000 + number).to_string()});
        node.ok("PUT", "/param/SS_SIP_INVITE_TIMEOUT", &value);
        let denied = json!({"prefix": format!("198.51.102.{number}")});
        node.ok("POST", "/firewall/deny", &denied);
        node.ok("POST", "/firewall/trust", &json!({"name": format!("198.51.101.{number}")}));
        node.ok("POST", "/firewall/geo", &json!({"name": format!("g{number}")}));
        node.ok("POST", "/firewall/code", &json!({"name": name}));
        let five: Vec<Value> =
            (0..5).map(|n| json!({"prefix": format!("198.51.103.{n}")})).collect();
        node.ok("PUT", &format!("/firewall/import/i{number}"), &json!(five));
        node.ok("POST", "/user", &json!({"name": name, "role": "viewer"}));
        let mapping = json!({"name": name, "account": "vendor", "code": "Code", "rate": "Rate"});
        node.ok("POST", "/sheet/mapping", &mapping);
        let mapping = json!({"name": name, "callee": "To", "start": "Start", "duration": "Sec"});
        node.ok("POST", "/record/mapping", &mapping);
        node.ok("POST", "/package", &json!({ "name": name }));
        let rule = json!({"name": name, "original": format!("9{number}"), "target": "9"});
        node.ok("POST", "/number/transform", &rule);
        let section = format!("4433000{number}00-4433000{number}99");
        node.ok("POST", "/number/section", &json!({"name": section, "account": "customer"}));
        let invoice = json!({"account": "customer", "month": format!("2026-0{}", number + 1)});
        node.ok("POST", "/invoice", &invoice);
        let subscription = json!({"name": name, "account": "customer", "package": name});
        node.ok("POST", "/subscription", &subscription);
        let range = json!({"range": format!("198.51.{number}.0"), "addresses": 7});
        node.ok("POST", "/firewall/geo/g0/range", &range);
    }
    for day in 1..6 {
        let day = node.home.join(format!("state/recordings/2026-01-0{day}"));
        std::fs::create_dir_all(&day).unwrap();
        std::fs::write(day.join(format!("{}.wav", "0".repeat(32))), b"RIFF").unwrap();
        std::fs::write(day.join("notes.txt"), b"none of ours").unwrap();
    }
    for route in control::api::routes::ROUTES {
        if route.method != "get" || !route.query.contains(&"cursor") {
            continue;
        }
        let path = match route.path {
            "/account/{name}/ledger" => "/account/customer/ledger",
            "/tariff/{name}/rate" => "/tariff/sell/rate",
            "/tariff/{name}/diff" => "/tariff/sell/diff?with=t0",
            "/firewall/geo/{name}/range" => "/firewall/geo/g0/range",
            "/firewall/import/{name}/entry" => "/firewall/import/i0/entry",
            "/account/{name}/history" => "/account/customer/history",
            "/param/{name}/history" => "/param/SS_SIP_INVITE_TIMEOUT/history",
            other => other,
        };
        let and = if path.contains('?') { '&' } else { '?' };
        let whole = node.look(&format!("{path}{and}limit=10000"));
        assert_eq!(whole["next"], Value::Null, "{path}");
        let whole = whole["items"].as_array().unwrap();
        let grows = ![
            "/alarm",
            "/call",
            "/quality",
            "/cdr",
            "/registration",
            "/firewall/suspended",
            "/firewall/abuse",
        ]
        .contains(&path);
        assert!(!grows || whole.len() > 4, "{path} has {}", whole.len());
        let mut parts: Vec<Value> = Vec::new();
        let mut cursor = String::new();
        for _ in 0..=whole.len() {
            let page = node.look(&format!("{path}{and}limit=2{cursor}"));
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= 2, "{path}");
            parts.extend(items.iter().cloned());
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={}", next.replace('/', "%2F"));
        }
        assert_eq!(&parts, whole, "{path}");
    }
    // The rate of every number has an empty prefix, and goes by it.
    node.ok("DELETE", "/tariff/sell/rate/", &Value::Null);
    assert_eq!(node.look("/tariff/sell/rate")["items"][0]["prefix"], "0");
}

#[test]
fn a_password_that_is_made_here_is_shown_once_and_never_stored() {
    let mut node = Node::start("password");
    node.furnish();
    let body = json!({"name": "bob", "account": "customer"});
    let created = node.ok("POST", "/phone?generate_password=1", &body);
    let first = created["password"].as_str().unwrap().to_owned();
    let changed = node.ok("PATCH", "/phone/bob?generate_password=1", &json!({}));
    let second = changed["password"].as_str().unwrap().to_owned();
    assert!(first.len() >= 16 && second.len() >= 16 && first != second);
    assert_eq!(node.look("/phone/bob")["password"], "********");
    assert_eq!(node.look("/phone/alice")["password"], "");
    node.kill();
    for ending in ["", "-wal"] {
        let file = node.home.join(format!("state/tollgate.db{ending}"));
        let bytes = std::fs::read(file).unwrap_or_default();
        let has = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(!has(&first) && !has(&second), "{ending}");
    }
    node.run();
    assert_eq!(node.look("/phone/bob")["password"], "********");
    let realm = json!({"value": "sip.example.com"});
    assert_eq!(node.say("PUT", "/param/TG_SIP_REALM", &realm).0, 409);
}

#[test]
fn the_history_of_a_parameter_says_who_when_from_what_to_what() {
    let mut node = Node::start("history");
    let path = "/param/FEE_PRECISTION";
    node.ok("PUT", path, &json!({"value": "4"}));
    let row = node.ok("DELETE", path, &Value::Null);
    assert_eq!((&row["name"], &row["value"]), (&json!("FEE_PRECISION"), &json!("6")));
    let me = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).unwrap().unwrap().name;
    node.kill();
    node.run();
    let history = node.look("/param/FEE_PRECISION/history");
    let rows = history["items"].as_array().unwrap();
    let seen: Vec<[&Value; 3]> =
        rows.iter().map(|row| ["who", "old", "new"].map(|field| &row[field])).collect();
    assert_eq!(
        seen,
        [[&json!(me), &json!("4"), &Value::Null], [&json!(me), &json!("6"), &json!("4")]]
    );
    assert!(rows.iter().all(|row| row["at"].as_str().unwrap().ends_with('Z')));
}
