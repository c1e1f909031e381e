//! What the API says of itself is so: real answers are checked against the schemas it serves, and
//! requests made from a schema are taken.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod node;

use control::cdr::{BillingMode, Cdr};
use control::shown::AttemptShown;
use control::state::binding::Binding;
use control::state::entity::{Entity, Kind};
use control::store::sqlite::Sqlite;
use control::store::{Change, Store};
use node::Node;
use serde_json::{Map, Value, json};

/// What a value is not that its schema says. A word that this does not know is a fault too.
fn faults(document: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    let Some(words) = schema.as_object() else { return };
    for (word, says) in words {
        let fits = match word.as_str() {
            "title" | "description" | "default" | "readOnly" | "required" | "format" => true,
            "$ref" => {
                let target = document.pointer(says.as_str().unwrap().trim_start_matches('#'));
                faults(document, target.unwrap(), value, place, &mut *found);
                true
            }
            "anyOf" => says.as_array().unwrap().iter().any(|one| {
                let mut none = Vec::new();
                faults(document, one, value, place, &mut none);
                none.is_empty()
            }),
            "const" => value == says,
            "enum" => says.as_array().unwrap().contains(value),
            "type" => match says {
                Value::String(one) => is_a(one, value),
                several => {
                    several.as_array().unwrap().iter().any(|one| is_a(one.as_str().unwrap(), value))
                }
            },
            "minimum" => value.is_null() || value.as_f64() >= says.as_f64(),
            "maximum" => value.is_null() || value.as_f64() <= says.as_f64(),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    faults(document, says, item, &format!("{place}[{index}]"), &mut *found);
                }
                true
            }
            "properties" => {
                for (name, field) in value.as_object().into_iter().flatten() {
                    if let Some(says) = says.get(name) {
                        faults(document, says, field, &format!("{place}.{name}"), &mut *found);
                    }
                }
                true
            }
            "additionalProperties" => {
                for (name, field) in value.as_object().into_iter().flatten() {
                    faults(document, says, field, &format!("{place}.{name}"), &mut *found);
                }
                true
            }
            unknown => {
                found.push(format!("{place}: the check does not know `{unknown}`"));
                true
            }
        };
        if !fits {
            found.push(format!("{place}: {word} is {says}: {value:.200}"));
        }
    }
    let mut fault = |what: String| found.push(format!("{place}: {what}"));
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.is_object() && value.get(name.as_str().unwrap()).is_none() {
            fault(format!("{name} is missing"));
        }
    }
    // More than JSON Schema asks: no answer has a field that the document does not name.
    if let (Some(named), Some(fields)) = (schema["properties"].as_object(), value.as_object()) {
        for name in fields.keys().filter(|name| !named.contains_key(*name)) {
            fault(format!("`{name}` is not named"));
        }
    }
    if let (Some(format), Some(text)) = (schema["format"].as_str(), value.as_str()) {
        let fits = match format {
            "date-time" => {
                text.len() == 24 && text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok()
            }
            "decimal" => text.parse::<rating::Money>().is_ok(),
            _ => false,
        };
        if !fits {
            fault(format!("{text:?} is no {format}"));
        }
    }
}

fn is_a(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

/// A node, its document, and what was found wrong.
struct Reader {
    node: Node,
    document: Value,
    found: Vec<String>,
    checked: Vec<String>,
}

impl Reader {
    fn new(node: Node) -> Self {
        let document = node.look("/openapi.json");
        Self { node, document, found: Vec::new(), checked: Vec::new() }
    }

    /// Says it, and compares answer and schema.
    fn say(&mut self, method: &str, pattern: &str, path: &str, body: &Value) {
        let operation = &self.document["paths"][format!("/api/v1{pattern}")][method];
        assert!(operation.is_object(), "{method} {pattern} is not in the document");
        let place = format!("{method} {path}");
        if !body.is_null() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            faults(&self.document, schema, body, &format!("{place} sent"), &mut self.found);
        }
        let (status, answer) = self.node.say(&method.to_uppercase(), path, body);
        let responses = &operation["responses"];
        let (kind, response) = match responses.get(status.to_string()) {
            Some(response) => ("application/json", response),
            None => ("application/problem+json", &responses["default"]),
        };
        if status != 204 {
            let schema = &response["content"][kind]["schema"];
            assert!(schema.as_object().is_some_and(|words| !words.is_empty()), "{place}");
            faults(&self.document, schema, &answer, &place, &mut self.found);
        }
        if status < 300 {
            self.checked.push(format!("{method} {pattern}"));
        }
    }
}

fn with_a_record(node: &Node) {
    let mut record = link::CallRecord::empty();
    record.id = [1, 2];
    record.started_us = 1_700_000_000_000_000;
    (record.answered_ms, record.ended_ms) = (1_000, 61_000);
    let attempt = AttemptShown {
        gateway: "out".into(),
        sent_ms: 1,
        ringing_ms: None,
        answered_ms: Some(1_000),
        ended_ms: Some(61_000),
        status: 200,
        reason: "normal",
        cause: Some(16),
    };
    let cdr = Cdr {
        record,
        billing_mode: BillingMode::CustomerGateway,
        attempts: vec![attempt],
        ..Cdr::default()
    };
    let mut store = Sqlite::open(&node.home.join("state/tollgate.db")).unwrap();
    store.load().unwrap();
    store.commit(&[Change::CdrEnd(Box::new(cdr))]).unwrap();
    // A phone that was registered before control started.
    let put = |kind, id, body| Change::Put(Box::new(Entity::read(kind, id, body).unwrap()));
    let hashes = json!({"md5": "0".repeat(32), "sha256": "0".repeat(64)});
    let binding: Binding = serde_json::from_value(json!({
        "uri": "sip:early@192.0.2.5", "q": 1000, "expires_us": 4_000_000_000_000_000_u64, "stored_until_us": 0,
        "path": "", "source": "udp 192.0.2.5:5060", "local": "", "connection": 0, "epoch": 1,
        "user_agent": "Phone/1", "call_id": "c", "cseq": 1, "since_us": 1, "refreshed_us": 2,
        "generation": 3, "nat": false,
    }))
    .unwrap();
    let phone = json!({"name": "early", "account": "early", "password": hashes});
    // An account that began to call satellites before control started.
    let habit: control::store::HabitKept = serde_json::from_value(json!({
        "account": 1, "day": 20_000, "peaks": [0, 0, 0, 0, 0, 0, 0, 0], "last_us": 1_728_000_000_000_000_u64,
        "listed": {"prefix": "881", "since_us": 1_728_000_000_000_000_u64,
            "until_us": 4_000_000_000_000_000_u64, "calls": 21, "usual": 0, "busiest": 40},
    }))
    .unwrap();
    let changes = [
        put(Kind::Account, 1, json!({"name": "early", "role": "customer"})),
        put(Kind::Phone, 2, phone),
        Change::Binding(2, Box::new(binding)),
        Change::Habit(Box::new(habit)),
    ];
    store.commit(&changes).unwrap();
}

#[test]
fn every_answer_is_what_the_document_says() {
    let mut node = Node::prepare("openapi");
    with_a_record(&node);
    node.run();
    node.furnish();
    let mut reader = Reader::new(node);
    let bodies = [
        ("post", "/account", "/account", json!({"name": "a", "role": "customer", "credit": null})),
        ("patch", "/account/{name}", "/account/a", json!({"locked": true})),
        (
            "post",
            "/account/{name}/payment",
            "/account/customer/payment",
            json!({"amount": "-0.50", "request_id": "two"}),
        ),
        (
            "post",
            "/account/{name}/refund",
            "/account/customer/refund",
            json!({"amount": "0.50", "request_id": "three"}),
        ),
        (
            "post",
            "/account/{name}/correction",
            "/account/customer/correction",
            json!({"amount": "-0.25", "request_id": "four", "memo": "a call that was not"}),
        ),
        ("post", "/tariff", "/tariff", json!({"name": "t", "fee_precision": 2})),
        ("patch", "/tariff/{name}", "/tariff/t", json!({"rounding": "up"})),
        (
            "post",
            "/tariff/{name}/rate",
            "/tariff/t/rate",
            json!([{"prefix": "1", "rate": "0.10"}, {"prefix": "2", "rate": "1"}]),
        ),
        ("put", "/tariff/{name}/rate", "/tariff/t/rate", json!({"prefix": "1", "rate": "0.2"})),
        (
            "post",
            "/gateway/mapping",
            "/gateway/mapping",
            json!({
                "name": "m", "account": "customer", "addresses": ["192.0.2.9"],
                "caller_rules": [{"original": "00", "target": ""}],
            }),
        ),
        ("patch", "/gateway/mapping/{name}", "/gateway/mapping/m", json!({"cps_max": 7})),
        (
            "post",
            "/gateway/routing",
            "/gateway/routing",
            json!({"name": "r", "account": "vendor", "target": "198.51.100.9", "stop_codes": [486]}),
        ),
        ("patch", "/gateway/routing/{name}", "/gateway/routing/r", json!({"priority": 2})),
        (
            "patch",
            "/gateway/routing/{name}",
            "/gateway/routing/r",
            json!({
                "target": "sip:carrier.invalid;transport=tcp", "registration": true,
                "registration_user": "me", "options_check": true, "rel100": "required",
                "tls_verify": "no",
                "failure_map": [{"from": 404, "to": 480}],
            }),
        ),
        (
            "patch",
            "/gateway/mapping/{name}",
            "/gateway/mapping/m",
            json!({"auth_username": "m", "auth_password": "Correct-Horse-7"}),
        ),
        (
            "post",
            "/phone",
            "/phone?generate_password=1",
            json!({"name": "bob", "account": "customer", "ring": "all"}),
        ),
        ("patch", "/phone/{name}", "/phone/bob", json!({"numbers": ["201"]})),
        ("delete", "/registration/{name}", "/registration/bob", Value::Null),
        ("delete", "/phone/{name}", "/phone/bob", Value::Null),
        ("put", "/param/{name}", "/param/FREE_TIME", json!({"value": 3})),
        ("delete", "/param/{name}", "/param/FREE_TIME", Value::Null),
        (
            "post",
            "/firewall/deny",
            "/firewall/deny",
            json!({"prefix": "203.0.115.1", "until": "2035-01-01T00:00:00.000Z"}),
        ),
        (
            "put",
            "/firewall/import/{name}",
            "/firewall/import/bad?reason=lab&for_s=60&skip=1",
            json!([{"prefix": "203.0.117.1"}, {"prefix": "203.0.117.0/33"}, {"prefix": "::2"}]),
        ),
        (
            "delete",
            "/firewall/import/{name}/entry/{prefix}",
            "/firewall/import/bad/entry/::2",
            Value::Null,
        ),
        ("post", "/firewall/trust", "/firewall/trust", json!({"name": "203.0.116.1"})),
        (
            "patch",
            "/firewall/trust/{prefix}",
            "/firewall/trust/203.0.116.1",
            json!({"reason": "lab"}),
        ),
        (
            "post",
            "/firewall/code",
            "/firewall/code",
            json!({"name": "road", "for_s": 600, "code": "open-sesame-4711"}),
        ),
        (
            "post",
            "/firewall/open",
            "/firewall/open",
            json!({"code": "open-sesame-4711", "address": "203.0.116.9"}),
        ),
        ("post", "/firewall/geo", "/firewall/geo", json!({"name": "it", "dated": "2026-01-31"})),
        ("patch", "/firewall/geo/{name}", "/firewall/geo/it", json!({"source": "registry"})),
        (
            "put",
            "/firewall/geo/{name}/range",
            "/firewall/geo/it/range",
            json!([{"range": "198.51.100.0/24"}, {"range": "2001:db8::1"}]),
        ),
        (
            "post",
            "/firewall/geo/{name}/range",
            "/firewall/geo/it/range",
            json!({"range": "192.0.2.1", "addresses": 5}),
        ),
        (
            "delete",
            "/firewall/geo/{name}/range/{range}",
            "/firewall/geo/it/range/192.0.2.1",
            Value::Null,
        ),
        (
            "post",
            "/sheet/mapping",
            "/sheet/mapping",
            json!({"name": "m", "account": "vendor", "code": "Code", "rate": "Rate"}),
        ),
        (
            "patch",
            "/sheet/mapping/{name}",
            "/sheet/mapping/m",
            json!({"date_formats": ["%d.%m.%Y"]}),
        ),
        (
            "post",
            "/record/mapping",
            "/record/mapping",
            json!({"name": "m", "callee": "To", "start": "Start", "duration": "Sec"}),
        ),
        (
            "patch",
            "/record/mapping/{name}",
            "/record/mapping/m",
            json!({"start_formats": ["epoch_s"], "delimiter": "|"}),
        ),
        (
            "post",
            "/package",
            "/package",
            json!({"name": "p", "free_minutes": 100, "hours": ["mon-fri 08:00-19:00"]}),
        ),
        ("patch", "/package/{name}", "/package/p", json!({"rent": "5", "renewals": 11})),
        (
            "post",
            "/subscription",
            "/subscription",
            json!({"name": "s", "account": "customer", "package": "p"}),
        ),
        (
            "patch",
            "/subscription/{name}",
            "/subscription/s",
            json!({"ends": "2100-01-01T00:00:00.000Z"}),
        ),
        (
            "post",
            "/number/section",
            "/number/section",
            json!({"name": "+390212345000-+390212345999", "account": "customer"}),
        ),
        (
            "patch",
            "/number/section/{name}",
            "/number/section/390212345000-390212345999",
            json!({"memo": "Milan"}),
        ),
        (
            "post",
            "/number/transform",
            "/number/transform",
            json!({"name": "double", "number": "callee", "original": "~^00(00.*)$", "target": "$1"}),
        ),
        (
            "patch",
            "/number/transform/{name}",
            "/number/transform/double",
            json!({"memo": "a switch that dials twice"}),
        ),
        (
            "post",
            "/invoice",
            "/invoice",
            json!({"account": "customer", "month": "2026-01", "area_digits": 3}),
        ),
        ("post", "/user", "/user", json!({"name": "carol", "role": "viewer", "memo": "desk"})),
        ("patch", "/user/{name}", "/user/carol", json!({"role": "operator"})),
        ("post", "/drain", "/drain", json!({"draining": false})),
        ("delete", "/account/{name}", "/account/a", Value::Null),
        ("delete", "/firewall/trust/{prefix}", "/firewall/trust/203.0.116.1", Value::Null),
        ("delete", "/tariff/{name}/rate/{prefix}", "/tariff/t/rate/1", Value::Null),
        ("delete", "/tariff/{name}", "/tariff/t", Value::Null),
        ("delete", "/gateway/mapping/{name}", "/gateway/mapping/m", Value::Null),
    ];
    for (method, pattern, path, body) in &bodies {
        reader.say(method, pattern, path, body);
        assert_eq!(reader.checked.last(), Some(&format!("{method} {pattern}")), "{body}");
    }
    // Every GET, and once more where nothing is: that is a problem document.
    let names = [
        ("/account", "customer"),
        ("/tariff", "sell"),
        ("/gateway/mapping", "in"),
        ("/gateway/routing", "out"),
        ("/phone", "alice"),
        ("/sheet/mapping", "m"),
        ("/record/mapping", "m"),
        ("/package", "p"),
        ("/subscription", "s"),
        ("/number/section", "390212345000-390212345999"),
        ("/number/owner", "390212345678"),
        ("/number/transform", "double"),
        ("/invoice", "draft-1"),
        ("/firewall/geo", "it"),
        ("/firewall/code", "road"),
        ("/firewall/import", "bad"),
        ("/registration", "early"),
        ("/user", "carol"),
        ("/param", "SS_SIP_INVITE_TIMEOUT"),
    ];
    let paths: Vec<String> =
        reader.document["paths"].as_object().unwrap().keys().map(ToOwned::to_owned).collect();
    reader.say("post", "/backup", "/backup", &json!({"name": "one.db"}));
    for path in paths {
        let pattern = path.strip_prefix("/api/v1").unwrap();
        // Paper is no JSON.
        let is_paper = ["/invoice/{name}/pdf", "/invoice/{name}/csv"].contains(&pattern);
        if is_paper || reader.document["paths"][&path].get("get").is_none() {
            continue;
        }
        let name = names.iter().find(|(noun, _)| pattern.starts_with(noun)).map_or("", |it| it.1);
        let list = if pattern.contains("trust") { "203.0.114.0%2F24" } else { "203.0.113.0%2F24" };
        let real =
            pattern.replace("{name}", name).replace("{number}", name).replace("{prefix}", list);
        let real = real.replace("{id}", "00000000000000010000000000000002");
        let real = match pattern {
            "/reports/{kind}" => "/reports/area?from=2023-11-14&to=2023-11-15&by=hour".to_owned(),
            "/route/explain" => "/route/explain?gateway=in&from=39021&to=44207".to_owned(),
            "/tariff/{name}/diff" => "/tariff/sell/diff?to=2100-01-01T00:00:00Z".to_owned(),
            "/backup/{file}" => "/backup/one.db".to_owned(),
            _ => real,
        };
        reader.say("get", pattern, &real, &Value::Null);
        if pattern.contains('{') {
            let none = pattern.replace(['{', '}'], "");
            reader.say("get", pattern, &none, &Value::Null);
        }
    }
    let registered = reader.node.look("/registration");
    assert_eq!(registered["items"][0]["contacts"][0]["source"], "192.0.2.5:5060");
    assert!(reader.found.is_empty(), "\n{}\n", reader.found.join("\n"));
    let gets = reader.checked.iter().filter(|done| done.starts_with("get ")).count();
    let all = control::api::routes::ROUTES.iter().filter(|route| route.method == "get").count();
    // Without calls and a driver there is no running call to look at, none on disk, and nobody to explain a packet;
    // two are paper.
    assert_eq!(gets, all - 5, "{:#?}", reader.checked);
}

#[test]
fn the_document_says_what_may_be_left_out_and_what_is_meant_then() {
    let document = Node::start("document").look("/openapi.json");
    let request = |method: &str, path: &str| {
        let content = &document["paths"][path][method]["requestBody"]["content"];
        content["application/json"]["schema"].clone()
    };
    let account = request("post", "/api/v1/account");
    assert_eq!(account["required"], json!(["name", "role"]));
    let default = |schema: &Value, field: &str| schema["properties"][field]["default"].clone();
    assert_eq!(default(&account, "currency"), "EUR");
    assert_eq!(default(&account, "credit"), "0.00");
    assert_eq!(account["properties"]["credit"]["type"], json!(["string", "null"]));
    assert!(account["properties"].get("id").is_none(), "it is ours to write");
    let patch = request("patch", "/api/v1/account/{name}");
    assert_eq!((&patch["required"], default(&patch, "currency")), (&Value::Null, Value::Null));
    let rate = request("put", "/api/v1/tariff/{name}/rate");
    assert_eq!(default(&rate["anyOf"][0], "connection_fee"), Value::Null);
    let none: Map<String, Value> = Map::new();
    for (path, operations) in document["paths"].as_object().unwrap_or(&none) {
        for (method, operation) in operations.as_object().unwrap() {
            for (name, property) in request(method, path)["properties"].as_object().unwrap_or(&none)
            {
                assert!(property["description"].is_string(), "{method} {path}: {name}");
                assert!(property["type"].is_string() || property["type"].is_array(), "{name}");
            }
            assert!(operation["responses"]["default"].is_object(), "{method} {path}");
        }
    }
}
