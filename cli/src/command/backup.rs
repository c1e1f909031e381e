//! `tollgate backup`

use clap::Subcommand;
use hyper::Method;

use super::Fields;
use crate::client::escape;
use crate::{Context, Failure};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Copy the database as it is now, and verify the copy; calls go on.
    Create {
        /// Its name in the folder of backups, ending with `.db`; the time unless given.
        file: Option<String>,
    },
    /// Those in the folder of backups, the oldest first.
    List,
    /// Whether one is good: its checksum, its structure, its books.
    Verify {
        /// Its name in the folder of backups.
        file: String,
    },
}

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Create { file } => {
            context.send(Method::POST, "/backup", Fields::default().set("name", file).body())
        }
        Verb::List => context.list("/backup", &["name", "made", "bytes"]),
        Verb::Verify { file } => {
            let found = context.client.get(&format!("/backup/{}", escape(&file)))?;
            context.show(&found, &[])?;
            match found.get("good") {
                Some(serde_json::Value::Bool(true)) => Ok(()),
                _ => Err(format!("{file} is not good; take another one").into()),
            }
        }
    }
}
