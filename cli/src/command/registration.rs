//! `tollgate registration`

use clap::Subcommand;
use hyper::Method;
use serde_json::{Value, json};

use super::Page;
use crate::client::{Body, escape};
use crate::render::{self, Output};
use crate::{Context, Failure};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Everyone who is registered, a line for each contact.
    List {
        #[command(flatten)]
        page: Page,
    },
    /// One address of record.
    Show {
        /// Its user part.
        aor: String,
    },
    /// Forget all its contacts; the phone may register again.
    Delete {
        /// Its user part.
        aor: String,
    },
}

/// A row for each contact, with whose it is.
fn contacts(list: &Value) -> Vec<Value> {
    let owners = list["items"].as_array().into_iter().flatten();
    let rows = owners.flat_map(|owner| {
        let contacts = owner["contacts"].as_array().into_iter().flatten();
        contacts.map(|contact| {
            let mut row = contact.clone();
            (row["aor"], row["owner"]) = (owner["aor"].clone(), owner["owner"].clone());
            row
        })
    });
    rows.collect()
}

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    let path = |aor: &str| format!("/registration/{}", escape(aor));
    let columns =
        ["aor", "uri", "source", "transport", "expires", "since", "user_agent", "nat", "online"];
    match verb {
        Verb::List { page } => {
            let list = page.collect("/registration", |path| context.client.get(path))?;
            if context.output == Output::Json {
                return context.show(&list, &[]);
            }
            context.show(&json!({ "items": contacts(&list) }), &columns)?;
            if let (Some(next), Output::Table) = (list["next"].as_str(), context.output) {
                render::warn(&format!("more: --cursor '{next}'"));
            }
            Ok(())
        }
        Verb::Show { aor } => context.list(&path(&aor), &[]),
        Verb::Delete { aor } => context.send(Method::DELETE, &path(&aor), Body::Empty),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contact_has_a_line_that_says_whose_it_is() {
        let contact = |uri: &str| json!({ "uri": uri });
        let list = json!({"items": [
            {"aor": "alice", "owner": "alice", "contacts": [contact("a"), contact("b")]},
            {"aor": "trunk", "owner": "gateway", "contacts": [contact("c")]},
        ]});
        let rows = contacts(&list);
        let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
        let seen: Vec<String> =
            rows.iter().map(|row| format!("{} {}", text(row, "owner"), text(row, "uri"))).collect();
        assert_eq!(seen, ["alice a", "alice b", "gateway c"]);
    }
}
