//! A list that is denied whole: taken, refused, taken back, over by itself, and there again after a restart.

use std::sync::Arc;

use super::*;
use crate::decide::DenyRoom;
use crate::reconcile::{Imported, News};
use crate::state::entity::Kind;
use crate::state::imports::Entries;

fn entries(list: &[&str]) -> Arc<Entries> {
    Arc::new(Entries::new(list.iter().map(|text| text.parse().unwrap()).collect()))
}

impl Desk {
    fn imports(
        &mut self,
        name: &str,
        list: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Value, crate::Refusal> {
        let said = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let command = Command {
            method: Method::Put,
            path: ["firewall", "import", name].map(str::to_owned).into(),
            query: said.collect(),
            body: Value::Null,
            rates: Vec::new(),
            ranges: None,
            entries: Some(entries(list)),
            records: None,
            sheet: None,
        };
        self.office.handle_command_of(self.time, "anna", &command)
    }

    /// What the driver is told of imports, if anything: entries and ends in s from now.
    fn told(&mut self) -> Option<Vec<(usize, Option<u64>)>> {
        let mut told = None;
        while let Some(news) = self.office.poll_guard(self.time) {
            let imports = match news {
                News::Whole(desired) => desired.imports,
                News::Imports(imports) => imports,
                _ => continue,
            };
            let left = |it: &Imported| it.not_after.map(|end| (end - self.time.now).as_secs());
            told = Some(imports.iter().map(|it| (it.entries.count(), left(it))).collect());
        }
        told
    }
}

#[test]
fn a_list_is_denied_at_one_stroke_and_admitted_at_one() {
    let mut desk = Desk::new("10");
    desk.told();
    let query = [("reason", "registry"), ("for_s", "3600")];
    desk.imports("bad", &["198.51.100.1", "198.51.100.2", "203.0.113.0/24"], &query).unwrap();
    assert_eq!(desk.told(), Some(vec![(3, Some(3_600))]));
    let shown = desk.say(Method::Get, "firewall/import/bad", Value::Null).unwrap();
    assert_eq!(
        [&shown["entries"], &shown["reason"], &shown["by"]],
        [&json!(3), &json!("registry"), &json!("anna")]
    );
    // The same name once more: in place of it, and for good.
    desk.imports("bad", &["198.51.100.1", "198.51.100.2"], &[]).unwrap();
    desk.imports("worse", &["2001:db8::/32"], &[]).unwrap();
    assert_eq!(desk.told(), Some(vec![(2, None), (1, None)]));

    let path = "firewall/import/bad/entry/198.51.100.2";
    desk.say(Method::Delete, path, Value::Null).unwrap();
    assert_eq!(desk.say(Method::Delete, path, Value::Null).unwrap_err().status, 404);
    assert_eq!(desk.told(), Some(vec![(1, None), (1, None)]));
    let hint = desk.say(Method::Delete, "firewall/deny/198.51.100.1", Value::Null).unwrap_err();
    assert!(hint.status == 404 && hint.detail.contains("--by-import bad"), "{}", hint.detail);
    let page = desk.say(Method::Get, "firewall/import/bad/entry", Value::Null).unwrap();
    assert_eq!(page["items"], json!([{"prefix": "198.51.100.1", "hits": null}]));

    desk.say(Method::Delete, "firewall/import/bad", Value::Null).unwrap();
    assert_eq!(desk.told(), Some(vec![(1, None)]));
    let events: Vec<&str> = desk.office.journal.events().map(|event| event.name).collect();
    assert!(events.contains(&"denials_imported") && events.contains(&"deleted"), "{events:?}");
}

#[test]
fn a_list_that_covers_a_gateway_or_finds_no_room_changes_nothing() {
    let mut desk = Desk::new("10");
    let refusal = desk.imports("bad", &["198.51.100.1", "10.1.0.0/16"], &[]).unwrap_err();
    assert!(refusal.status == 409 && refusal.detail.contains("10.1.0.1"), "{}", refusal.detail);
    desk.office =
        std::mem::take(&mut desk.office).with_deny_room(DenyRoom { addresses: 2, prefixes: 1 });
    desk.post("firewall/deny", json!({"prefix": "192.0.2.1"})).unwrap();
    let two = ["198.51.100.1", "198.51.100.2"];
    assert_eq!(desk.imports("bad", &two, &[]).unwrap_err().status, 507);
    desk.imports("bad", &two[..1], &[]).unwrap();
    desk.imports("bad", &two[1..], &[]).expect("it takes the place of the one before");
    let nets = ["198.51.101.0/24", "198.51.102.0/24"];
    assert_eq!(desk.imports("nets", &nets, &[]).unwrap_err().status, 507);
    for (name, value) in [("for_s", "soon"), ("until", "never"), ("until", "2001-01-01T00:00:00Z")]
    {
        let refusal = desk.imports("late", &nets[..1], &[(name, value)]).unwrap_err();
        assert!(refusal.detail.contains(name), "{}", refusal.detail);
    }
    assert_eq!(desk.office.state.documents(Kind::Import).count(), 1);
}

#[test]
fn an_import_ends_by_itself_and_one_that_does_not_outlives_a_restart() {
    let mut desk = Desk::new("10");
    desk.imports("short", &["198.51.100.1"], &[("for_s", "60")]).unwrap();
    desk.imports("long", &["198.51.100.2", "198.51.100.3"], &[]).unwrap();
    desk.told();
    desk.pass(59_000);
    assert_eq!(desk.told(), None);
    desk.pass(1_000);
    assert_eq!(desk.told(), Some(vec![(2, None)]));
    let mut loaded = Loaded::default();
    while let Some(change) = desk.office.poll_change() {
        match change {
            Change::Put(entity) => {
                loaded.entities.retain(|old| old.id() != entity.id());
                loaded.entities.push(*entity);
            }
            Change::Delete(_, id) => loaded.entities.retain(|old| old.id() != id),
            Change::ImportEntries(id, entries) => loaded.imports.push((id, (*entries).clone())),
            _ => {}
        }
    }
    desk.office = Office::new(loaded, 2);
    assert_eq!(desk.told(), Some(vec![(2, None)]));
}

#[test]
fn the_room_counts_geo_sets_that_the_driver_forbids_and_each_entry_once() {
    let mut desk = Desk::new("10");
    desk.office =
        std::mem::take(&mut desk.office).with_deny_room(DenyRoom { addresses: 3, prefixes: 1 });
    desk.post("firewall/geo", json!({"name": "bad", "driver": "forbid"})).unwrap();
    let set = |list: &[&str]| {
        Arc::new(guard::GeoSet::build(list.iter().map(|it| it.parse().unwrap())).unwrap())
    };
    let known = set(&["192.0.2.1", "192.0.2.9", "198.51.100.0/24", "203.0.113.0/24"]);
    desk.office.state.put_geo("bad", known).unwrap();
    let no = desk.imports("list", &["192.0.2.3", "192.0.2.5"], &[]).unwrap_err();
    assert!(no.status == 507 && no.detail.contains("with it 4 would"), "{}", no.detail);
    // Its networks are the regions' of the driver, and what lists share stands there once.
    desk.imports("list", &["192.0.2.1", "192.0.2.3", "198.51.101.0/24"], &[]).unwrap();
    desk.imports("again", &["192.0.2.1", "192.0.2.3", "198.51.101.0/24"], &[]).unwrap();
    desk.post("firewall/deny", json!({"prefix": "192.0.2.3"})).unwrap();
    desk.imports("list", &["192.0.2.9", "192.0.2.3"], &[]).unwrap();
    desk.patch("firewall/geo/bad", json!({"driver": "ignore"}));
    desk.imports("more", &["192.0.2.77"], &[]).unwrap_err();
    desk.say(Method::Delete, "firewall/import/list", Value::Null).unwrap();
    desk.imports("more", &["192.0.2.77"], &[]).unwrap();
}

#[test]
fn ipv4_that_is_written_as_ipv6_is_ipv4_in_every_list() {
    let mut desk = Desk::new("10");
    for list in ["deny", "trust"] {
        let field = if list == "deny" { "prefix" } else { "name" };
        let path = format!("firewall/{list}");
        desk.post(&path, json!({field: "::ffff:192.0.2.7"})).unwrap();
        desk.post(&path, json!({field: "::ffff:c633:6400/120"})).unwrap();
        let list = desk.say(Method::Get, &path, Value::Null).unwrap();
        let names: Vec<_> =
            list["items"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
        assert_eq!(names, ["192.0.2.7", "198.51.100.0/24"]);
        let all = desk.post(&path, json!({field: "::ffff:0:0/96"})).unwrap_err();
        assert!(all.detail.contains("all of IPv4"), "{}", all.detail);
        desk.say(Method::Delete, &format!("{path}/::ffff:192.0.2.7"), Value::Null).unwrap();
        desk.say(Method::Delete, &format!("{path}/192.0.2.7"), Value::Null).unwrap_err();
    }
    let no = desk.post("firewall/deny", json!({"prefix": "::ffff:10.1.0.1"})).unwrap_err();
    assert_eq!(no.status, 409, "a gateway of ours, however it is written: {}", no.detail);
    let no = desk.imports("bad", &["::ffff:10.1.0.1"], &[]).unwrap_err();
    assert_eq!(no.status, 409);
    desk.imports("bad", &["::ffff:192.0.2.9", "192.0.2.9"], &[]).unwrap();
    desk.say(Method::Delete, "firewall/import/bad/entry/::ffff:192.0.2.9", Value::Null).unwrap();
    let shown = desk.say(Method::Get, "firewall/import/bad", Value::Null).unwrap();
    assert_eq!(shown["entries"], 0);
}
