//! The API as a client sees it.

use super::*;

#[test]
fn what_a_client_escapes_arrives_as_it_was_meant() {
    assert_eq!(unescape("10.10.1.0%2F24").unwrap(), "10.10.1.0/24");
    assert!(unescape("%zz").is_err());
    assert!(unescape("%ff").is_err());
    let query = parse_query("a=1&b=x%26y&c").unwrap();
    assert_eq!(query["b"], "x&y");
    assert_eq!(query["c"], "");
}

#[test]
fn an_unknown_filter_is_refused_by_name() {
    let query = parse_query("colour=red").unwrap();
    assert!(filter(&query).unwrap_err().detail.contains("colour"));
    assert_eq!(filter(&parse_query("limit=5&caller=39").unwrap()).unwrap().limit, Some(5));
}

#[test]
fn a_rate_sheet_says_which_line_is_wrong() {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "text/csv".parse().unwrap());
    let sheet = b"prefix,rate,unit_s,minimum_s,increment_s,connection_fee\n44,0.01,60,1,1,0\n33,x,60,1,1,0\n";
    let refusal = read_body(&headers, sheet).unwrap_err();
    assert!(refusal.detail.contains("line 3"), "{}", refusal.detail);
    let (_, rows) = read_body(&headers, &sheet[..sheet.len() - 14]).unwrap();
    assert_eq!(rows.len(), 1);
}

#[test]
fn the_document_names_every_route_once() {
    let document = openapi::document();
    let paths = document["paths"].as_object().unwrap();
    let operations: usize = paths.values().map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!(operations, routes::ROUTES.len());
}
