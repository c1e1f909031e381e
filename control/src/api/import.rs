//! A list for the deny list, read beside the loop: which of its lines cannot be, and why, by their numbers.
//!
//! All or nothing, unless `skip=1` says to leave wrong lines out: half a list that nobody asked for is worse than
//! none. Withstands lists of strangers: what is no prefix, or covers a gateway of ours, is a wrong line.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::HeaderMap;
use routing::Prefix;
use serde_json::Value;

use super::{Shared, ask, body, question};
use crate::Refusal;
use crate::decide::Method;
use crate::shown::{self, ImportTaken, LineRefused};
use crate::state::imports::{ENTRIES_MAX, Entries};

/// Wrong lines that are told; all are counted.
const TOLD_MAX: usize = 1_000;
/// Those of them that fit into a problem.
const IN_PROBLEM: usize = 4;
/// Longest text of a wrong line that is told.
const TEXT_CHARS_MAX: usize = 60;

/// What a list says.
struct List {
    /// Line and prefix.
    good: Vec<(usize, Prefix)>,
    wrong: Vec<LineRefused>,
    refused: usize,
}

impl List {
    fn refuse(&mut self, line: usize, text: &str, why: impl ToString) {
        self.refused += 1;
        if self.wrong.len() < TOLD_MAX {
            let text = text.chars().take(TEXT_CHARS_MAX).collect();
            self.wrong.push(LineRefused { line, text, why: why.to_string() });
        }
    }

    fn read(&mut self, line: usize, text: &str) {
        match text.trim().parse() {
            // One too many is refused later; no more than that is kept.
            Ok(_) if self.good.len() > ENTRIES_MAX => {}
            Ok(prefix) => self.good.push((line, prefix)),
            Err(fault) => self.refuse(line, text.trim(), fault),
        }
    }

    /// Takes out what would shut out a gateway.
    fn spare(&mut self, gateways: &[Prefix]) {
        if self.good.len() > ENTRIES_MAX {
            return;
        }
        let entries = Entries::new(self.good.iter().map(|(_, prefix)| *prefix).collect());
        for gateway in gateways.iter().filter(|gateway| entries.meets(**gateway)) {
            let meets = |prefix: &Prefix| {
                prefix.contains(gateway.address()) || gateway.contains(prefix.address())
            };
            let why = format!("it covers the gateway at {gateway}");
            for (line, prefix) in
                self.good.extract_if(.., |(_, prefix)| meets(prefix)).collect::<Vec<_>>()
            {
                self.refuse(line, &prefix.to_string(), &why);
            }
        }
        self.wrong.sort_by_key(|wrong| wrong.line);
    }

    fn problem(&self) -> Refusal {
        let lines = self.wrong.iter().take(IN_PROBLEM);
        let lines = lines.map(|it| format!("line {}: {:?}: {}", it.line, it.text, it.why));
        let all = self.refused + self.good.len();
        let lines = lines.collect::<Vec<_>>().join("; ");
        Refusal::new(
            422,
            "list refused",
            format!("{} of {all} lines are wrong, nothing was imported. {lines}", self.refused),
        )
    }
}

/// Reads a list: text with an entry in each line, CSV with a column `prefix`, or JSON.
fn read(kind: &str, body: &[u8]) -> Result<List, Refusal> {
    let mut list = List { good: Vec::new(), wrong: Vec::new(), refused: 0 };
    if kind.starts_with("text/csv") {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(body);
        let header = reader.headers().map_err(|error| Refusal::invalid(error.to_string()))?;
        let place = header.iter().position(|name| name.trim() == "prefix");
        let place = place.ok_or_else(|| Refusal::invalid("the sheet has no column `prefix`"))?;
        let mut row = csv::StringRecord::new();
        loop {
            match reader.read_record(&mut row) {
                Ok(false) => break,
                Ok(true) => {
                    let line = row.position().map_or(0, |at| at.line() as usize);
                    list.read(line, row.get(place).unwrap_or_default());
                }
                Err(error) => {
                    let line = error.position().map_or(0, |at| at.line() as usize);
                    list.refuse(line, "", error);
                }
            }
        }
    } else if kind.starts_with("text/plain") {
        let text = String::from_utf8_lossy(body);
        for (index, line) in text.lines().enumerate() {
            let said = line.split(['#', ';']).next().unwrap_or_default().trim();
            if !said.is_empty() {
                list.read(index + 1, said);
            }
        }
    } else {
        for (index, prefix) in body::prefixes(body)?.iter().enumerate() {
            list.read(index + 1, prefix);
        }
    }
    Ok(list)
}

/// Takes a list in, and says what of it was left out.
pub(super) async fn put(
    shared: &Arc<Shared>,
    who: String,
    path: Vec<String>,
    query: BTreeMap<String, String>,
    headers: &HeaderMap,
    bytes: Vec<u8>,
) -> Result<Value, Refusal> {
    let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let kind = kind.to_owned();
    let known = ask(shared, String::new(), question(&["firewall", "gateways"])).await?;
    let gateways: Vec<Prefix> = known
        .get("items")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|text| text.as_str()?.parse().ok())
        .collect();
    let skip = query.get("skip").is_some_and(|skip| skip == "1");
    let read = tokio::task::spawn_blocking(move || {
        let mut list = read(&kind, &bytes)?;
        list.spare(&gateways);
        if list.refused > 0 && !skip {
            return Err(list.problem());
        }
        if list.good.is_empty() {
            return Err(Refusal::invalid("the list has no entry that can be taken"));
        }
        if list.good.len() > ENTRIES_MAX {
            return Err(Refusal::invalid(format!("an import has up to {ENTRIES_MAX} entries")));
        }
        let entries = Entries::new(list.good.drain(..).map(|(_, prefix)| prefix).collect());
        Ok((list, Arc::new(entries)))
    });
    let gone = |_| Refusal::new(500, "list unreadable", "try again");
    let (list, entries) = read.await.map_err(gone)??;
    let taken = entries.count();
    let mut command = question(&[]);
    (command.method, command.path, command.query) = (Method::Put, path, query);
    command.entries = Some(entries);
    ask(shared, who, command).await?;
    let List { refused, wrong: lines, .. } = list;
    Ok(shown::json(ImportTaken { entries: taken, refused, lines }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(list: &List) -> Vec<usize> {
        list.wrong.iter().map(|wrong| wrong.line).collect()
    }

    #[test]
    fn wrong_lines_are_named_by_their_numbers_in_every_form() {
        let text = b"# bad ones\n192.0.2.1\n\n192.0.2.0/33\n 198.51.100.0/24 ; whole\nx\n";
        let list = read("text/plain; charset=utf-8", text).unwrap();
        assert_eq!((list.good.len(), lines(&list)), (2, vec![4, 6]));
        let text = list.problem().detail;
        assert!(
            text.contains("2 of 4 lines") && text.contains("line 4: \"192.0.2.0/33\""),
            "{text}"
        );

        let sheet = b"reason,prefix\nscan,192.0.2.1\nscan\n\"a\nb\",::1\nscan,192.0.2.300\n";
        let list = read("text/csv", sheet).unwrap();
        assert_eq!((list.good.len(), lines(&list)), (2, vec![3, 6]));
        assert!(read("text/csv", b"address\n192.0.2.1\n").is_err());

        let list = read("application/json", br#"[{"prefix": "::1"}, {"prefix": "y"}]"#).unwrap();
        assert_eq!((list.good.len(), lines(&list)), (1, vec![2]));
        assert!(read("application/json", br#"[{"range": "::1"}]"#).is_err());

        let list = read("text/plain", b"::ffff:192.0.2.1\n::ffff:0:0/96 # a bogon\n").unwrap();
        assert_eq!((list.good[0].1.to_string(), lines(&list)), ("192.0.2.1".to_owned(), vec![2]));
        assert!(list.wrong[0].why.contains("all of IPv4"), "{}", list.wrong[0].why);
        assert!(read("text/plain", b"\xff\xfe\n").unwrap().refused == 1);
    }

    #[test]
    fn lines_that_cover_a_gateway_are_left_out_and_the_others_stay() {
        let mut list =
            read("text/plain", b"10.0.0.0/8\n192.0.2.1\n10.1.0.1\n2001:db8::5\n").unwrap();
        let gateways = ["10.1.0.1", "2001:db8::/64"].map(|text| text.parse().unwrap());
        list.spare(&gateways);
        assert_eq!((list.good.len(), lines(&list)), (1, vec![1, 3, 4]));
        assert!(list.wrong[0].why.contains("gateway at 10.1.0.1"));
    }

    #[test]
    fn of_a_list_that_is_all_wrong_so_many_lines_are_told_and_all_are_counted() {
        let list = read("text/plain", "nonsense\n".repeat(5_000).as_bytes()).unwrap();
        assert_eq!((list.refused, list.wrong.len()), (5_000, TOLD_MAX));
        assert!(list.problem().detail.len() < 500);
    }
}
