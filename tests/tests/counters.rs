//! The page of counters is what the code says: every counter has a name, a unit and a sentence, and every
//! reason why a call ends stands in the operations page.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};
use std::path::{Path, PathBuf};

use dataplane::counters::{Counters, WorkerCounter};
use dataplane::recorder::RecorderCounter;
use dataplane::rim::StreamCounter;
use link::record::EndReason;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_default()
}

/// Variants of an enum, or fields of a struct, with their doc comments.
fn docs(path: &str, item: &str) -> BTreeMap<String, String> {
    let text = read(path);
    let body =
        text.split(&format!("pub {item} {{\n")).nth(1).and_then(|rest| rest.split("\n}").next());
    let body = body.unwrap_or_else(|| panic!("{path} has no `{item}`"));
    let (mut found, mut doc) = (BTreeMap::new(), String::new());
    for line in body.lines().map(str::trim) {
        if let Some(more) = line.strip_prefix("///") {
            doc.push_str(more);
        } else if !line.starts_with('#') && !line.is_empty() {
            let end = |c: char| !c.is_alphanumeric() && c != '_';
            let name = line.trim_start_matches("pub ").split(end).next().unwrap_or_default();
            found.insert(name.to_owned(), std::mem::take(&mut doc).trim().to_owned());
        }
    }
    found
}

/// What is counted, if its sentence begins with another noun than its group is about.
const NOUNS: [&str; 20] = [
    "acks",
    "answers",
    "calls",
    "cancels",
    "challenges",
    "connections",
    "contacts",
    "datagrams",
    "frames",
    "images",
    "invites",
    "keys",
    "messages",
    "offers",
    "options",
    "orders",
    "packets",
    "requests",
    "responses",
    "transactions",
];

fn unit<'u>(doc: &'u str, usual: &'u str) -> String {
    let words = doc.split([' ', ':', ',', '.']).take(3);
    let noun = words.map(str::to_ascii_lowercase).find(|word| NOUNS.contains(&word.as_str()));
    match (noun, doc.starts_with("Times ") || doc.starts_with("Changes ")) {
        (_, true) => "times".to_owned(),
        (Some(noun), _) => noun,
        (None, _) => usual.to_owned(),
    }
}

/// One table of the page.
struct Group {
    title: &'static str,
    /// Name, unit, sentence.
    rows: Vec<[String; 3]>,
}

/// A group whose counters are an enum.
fn group<T: Copy + Debug>(
    title: &'static str,
    (path, item): (&str, &str),
    all: &[T],
    usual: &str,
    name: impl Fn(T) -> String,
) -> Group {
    let docs = docs(path, item);
    let known: BTreeSet<String> = all.iter().map(|one| format!("{one:?}")).collect();
    let written: BTreeSet<String> = docs.keys().cloned().collect();
    assert_eq!(known, written, "{path}: `ALL` is not all of `{item}`");
    let row = |&one: &T| {
        let doc = docs[&format!("{one:?}")].clone();
        assert!(doc.ends_with('.'), "{path}: {one:?} has no doc line that is a sentence");
        [name(one), unit(&doc, usual), doc]
    };
    Group { title, rows: all.iter().map(row).collect() }
}

fn groups() -> Vec<Group> {
    let nic = docs("dataplane/src/nic/mod.rs", "struct NicStatistics");
    let names = Counters::names();
    let nic = names.iter().filter_map(|name| {
        let doc = nic.get(name.strip_prefix("nic_")?)?.clone();
        Some([name.clone(), unit(&doc, "frames"), doc])
    });
    let registrations = docs("control/src/shown.rs", "struct RegistrationFigures");
    let registrations = registrations.into_iter().map(|(name, doc)| {
        let unit = if name == "live" { "contacts, now" } else { "requests" };
        [name, unit.to_owned(), doc]
    });
    let asks = docs("control/src/shown.rs", "struct AskFigures");
    let asks = asks.into_iter().map(|(name, doc)| [name, "requests".to_owned(), doc]);
    let driver = xdp_prog::Reason::ALL.iter().map(|reason| {
        [reason.name().to_owned(), "frames, and their bytes".to_owned(), reason.doc().to_owned()]
    });
    vec![
        group(
            "A worker",
            ("dataplane/src/counters.rs", "enum WorkerCounter"),
            &WorkerCounter::ALL,
            "datagrams",
            |counter| counter.name().to_owned(),
        ),
        group(
            "Datagrams that are no SIP message",
            ("crates/sip/src/fault.rs", "enum Fault"),
            &sip::Fault::ALL,
            "datagrams",
            |fault| format!("sip_{}", fault.name()),
        ),
        group(
            "Connections",
            ("dataplane/src/rim/counter.rs", "enum StreamCounter"),
            &StreamCounter::ALL,
            "messages",
            |counter| counter.name().to_owned(),
        ),
        group(
            "Recordings",
            ("dataplane/src/recorder/counter.rs", "enum RecorderCounter"),
            &RecorderCounter::ALL,
            "recordings",
            |counter| counter.name().to_owned(),
        ),
        group(
            "Frames that are no datagram",
            ("crates/wire/src/datagram.rs", "enum Fault"),
            &wire::Fault::ALL,
            "frames",
            |fault| fault.name().to_owned(),
        ),
        group(
            "Media that goes nowhere",
            ("crates/relay/src/forward.rs", "enum DropReason"),
            &relay::DropReason::ALL,
            "datagrams",
            |reason| reason.name().to_owned(),
        ),
        group(
            "Calls and transactions",
            ("crates/b2bua/src/counter.rs", "enum Counter"),
            b2bua::Counter::ALL,
            "requests",
            |counter| counter.name().to_owned(),
        ),
        Group { title: "The NIC's rings", rows: nic.collect() },
        Group { title: "Registrations", rows: registrations.collect() },
        Group { title: "Questions to control", rows: asks.collect() },
        Group { title: "The driver", rows: driver.collect() },
    ]
}

fn page() -> String {
    let mut page = String::from(
        "# Counters\n\nMade of the code's own comments; do not edit. All count from the start of the process (the \
         driver's: from the load of its\nprogram) and only grow. `tollgate status` shows those of the workers, \
         `tollgate firewall counters` those of the driver, and\n`/metrics` all of them: \
         `tollgate_worker_events_total{worker,name}` and `tollgate_driver_packets_total{reason}`.\n\
         Each frame stands in `packets` of one reason of the driver, so they add up; `spared` \
         (`tollgate_driver_spared_total{reason}`) counts besides what it\nwould have dropped for that reason, but let in, \
         in monitor mode, or told so (`answer_unreachable`).\n\
         Registrations and questions are control's: `status` has them, `/metrics` as `tollgate_registrations`,\n\
         `tollgate_registration_events_total{name}` and `tollgate_asks_expired_total`.\n",
    );
    for Group { title, rows } in groups() {
        let _ = write!(page, "\n## {title}\n\n| counter | counts | meaning |\n|---|---|---|\n");
        for [name, unit, doc] in rows {
            // A link of the code's own pages leads nowhere here.
            let doc = doc.replace("[`crate::", "`").replace("[`", "`").replace("`]", "`");
            let _ = writeln!(page, "| `{name}` | {unit} | {doc} |");
        }
    }
    page
}

#[test]
fn every_counter_that_a_worker_shows_is_on_the_page_once() {
    let shown = Counters::names();
    let mut told: Vec<String> = Vec::new();
    let is_workers = |group: &&Group| {
        !["Registrations", "Questions to control", "The driver"].contains(&group.title)
    };
    for group in groups().iter().filter(is_workers) {
        told.extend(group.rows.iter().map(|[name, ..]| name.clone()));
    }
    let differ = |one: &[String], other: &[String]| -> Vec<String> {
        one.iter().filter(|name| !other.contains(name)).cloned().collect()
    };
    assert_eq!(differ(&shown, &told), Vec::<String>::new(), "shown and not told");
    assert_eq!(differ(&told, &shown), Vec::<String>::new(), "told and not shown");
    assert_eq!(told.len(), told.iter().collect::<BTreeSet<_>>().len(), "a name stands twice");
}

#[test]
fn the_page_of_counters_is_what_the_code_says() {
    assert!(
        read("docs/counters.md") == page(),
        "docs/counters.md is old; cargo test -p tests --test counters write_the_page -- --ignored"
    );
}

#[test]
#[ignore = "writes docs/counters.md"]
fn write_the_page() {
    std::fs::write(root().join("docs/counters.md"), page()).expect("a writable page");
}

#[test]
fn every_reason_why_a_call_ends_stands_in_the_operations_page() {
    let text = read("docs/operations.md");
    let section = text.split("\n## Why a call ended\n").nth(1).expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let told: Vec<&str> =
        section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let reasons = EndReason::ALL.into_iter().filter(|reason| *reason != EndReason::None);
    let known: BTreeSet<&str> = reasons.map(EndReason::name).collect();
    assert_eq!(told.iter().copied().collect::<BTreeSet<_>>(), known);
    assert_eq!(told.len(), known.len(), "one stands twice");
}
