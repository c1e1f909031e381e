//! The API as a client sees it.

use super::*;

#[test]
fn what_a_client_escapes_arrives_as_it_was_meant() {
    let path = |text| unescape(text, Plus::Plus);
    assert_eq!(path("10.10.1.0%2F24").unwrap(), "10.10.1.0/24");
    assert_eq!(path("a+b%20c").unwrap(), "a+b c");
    assert!(path("%zz").is_err());
    assert!(path("%ff").is_err());
    let query = parse_query("a=1+2&b=x%26y&c").unwrap();
    assert_eq!((&*query["a"], &*query["b"], &*query["c"]), ("1 2", "x&y", ""));
    assert!(parse_query("a=1&a=2").unwrap_err().detail.contains("twice"));
}

#[test]
fn a_filter_that_means_nothing_is_refused_by_name() {
    let wrong = |text: &str| filter(&parse_query(text).unwrap()).unwrap_err().detail;
    assert!(wrong("answered=2").contains("answered"));
    assert!(wrong("billing_mode=free").contains("customer_gateway"));
    assert!(wrong("end_reason=tired").contains("no_answer"));
    let right = filter(&parse_query("answered=0&billing_mode=illegal&caller=39").unwrap()).unwrap();
    assert_eq!((right.answered, right.caller.as_deref()), (Some(false), Some("39")));
}

#[test]
fn what_is_not_in_the_table_of_routes_is_refused() {
    let detail = |found: Result<_, Refusal>| found.map(|_: &routes::Route| ()).unwrap_err();
    assert_eq!(detail(routes::find("get", &["nothing"])).status, 404);
    assert_eq!(detail(routes::find("get", &["account", "x", "y"])).status, 404);
    let refusal = detail(routes::find("put", &["account", "x"]));
    assert_eq!((refusal.status, &*refusal.detail), (405, "it takes get, patch, delete"));
    assert_eq!(routes::find("GET", &["account", "x"]).unwrap().path, "/account/{name}");
    let every = routes::find("delete", &["tariff", "x", "rate", ""]).unwrap();
    assert_eq!(every.path, "/tariff/{name}/rate/{prefix}");
    let accounts = routes::find("get", &["account"]).unwrap();
    let refusal = accounts.check_query([&"limt".to_owned()].into_iter()).unwrap_err();
    assert!(refusal.detail.contains("`limt`") && refusal.detail.contains("limit, cursor"));
}

#[test]
fn the_document_names_every_route_once() {
    let document = openapi::document();
    let paths = document["paths"].as_object().unwrap();
    let operations: usize = paths.values().map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!(operations, routes::ROUTES.len());
}
