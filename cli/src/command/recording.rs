//! `tollgate recording`

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use hyper::Method;

use super::Page;
use crate::client::{Body, escape};
use crate::{Context, Failure};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Files of recorded calls, the oldest day first; 100 unless more are asked for.
    List {
        /// Of this call record alone.
        #[arg(long)]
        cdr: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// One file, as far as it is written.
    Fetch {
        /// Its name, as the list has it.
        file: String,
        /// Where it goes; `-` is standard output. Its own name here unless said otherwise.
        #[arg(long)]
        to: Option<PathBuf>,
    },
    /// Delete a file, if its call is over.
    Delete {
        /// Its name, as the list has it.
        file: String,
    },
}

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::List { cdr, page } => {
            let filter = cdr.map(|cdr| format!("?cdr={}", escape(&cdr))).unwrap_or_default();
            let columns = ["day", "file", "cdr", "kind", "bytes"];
            context.pages(&format!("/recording{filter}"), &page.or_at_most(100), &columns)
        }
        Verb::Delete { file } => {
            let path = format!("/recording/{}", escape(&file));
            context.send(Method::DELETE, &path, Body::Empty)
        }
        Verb::Fetch { file, to } => {
            let path = format!("/api/v1/recording/{}", escape(&file));
            let to = to.unwrap_or_else(|| PathBuf::from(&file));
            if to.as_os_str() == "-" {
                context.client.write(Method::GET, &path, Body::Empty, &mut io::stdout().lock())?;
                return Ok(());
            }
            fetch(context, &path, &to)
        }
    }
}

/// Writes an answer that is no JSON into a new file.
pub(super) fn fetch(context: &Context, path: &str, to: &Path) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(0o600).open(to);
    let mut out = opened.map_err(|error| format!("{}: {error}", to.display()))?;
    let fetched = context.client.write(Method::GET, path, Body::Empty, &mut out);
    if fetched.is_err() {
        // Half a file looks like a whole one.
        let _ = std::fs::remove_file(to);
    }
    fetched?;
    Ok(out.flush()?)
}
