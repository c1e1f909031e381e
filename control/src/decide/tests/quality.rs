//! What media of ended calls were like, while gateways come and go.

use link::record::MediaFigures;

use super::*;

/// A call from the gateway `in` to a vendor ended.
fn ended(desk: &mut Desk) {
    let heard = MediaFigures { packets: 9, careful: 9, ..MediaFigures::default() };
    let customers = &desk.office.state.customers;
    // A deleted one is known by no number.
    let customer_gateway = (1..100).find(|id| customers.get(*id).is_some()).unwrap_or(1);
    let record = CallRecord { customer_gateway, from_caller: heard, ..CallRecord::default() };
    let cdr = Cdr { record, gateway: "in".into(), ..Cdr::default() };
    desk.office.note_quality(&cdr);
}

fn lines(desk: &mut Desk) -> Vec<String> {
    let told = desk.say(Method::Get, "quality", Value::Null).unwrap();
    let lines = told["items"].as_array().unwrap().iter();
    lines.map(|line| format!("{} {} {}", line["kind"], line["gateway"], line["calls"])).collect()
}

#[test]
fn a_deleted_gateway_leaves_no_line_and_what_ends_after_it_is_of_others() {
    let mut desk = Desk::new("10");
    ended(&mut desk);
    ended(&mut desk);
    assert_eq!(lines(&mut desk), [r#""gateway" "in" 2"#]);
    desk.say(Method::Delete, "gateway/mapping/in", Value::Null).unwrap();
    assert_eq!(lines(&mut desk), [] as [String; 0]);
    ended(&mut desk);
    assert_eq!(lines(&mut desk), [r#""crowd" "others" 1"#]);
}
