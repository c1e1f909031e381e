//! `replay`: handed on to `tollgate-replay`, which is installed beside this program.
//!
//! What may be said to it is in a file of its own crate, read here too, so that help, manual and completions know
//! it. This program sends no frame: it knows the API and nothing else.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use crate::render::Output;
use crate::{Failure, Usage};

#[path = "../../../replay/src/args.rs"]
#[allow(dead_code, reason = "only their form is of use here")]
mod args;

pub(crate) use args::Args;

const PROGRAM: &str = "tollgate-replay";

/// Becomes that program; returns only if it cannot.
pub(crate) fn run(output: Output) -> Result<(), Failure> {
    let output = match output {
        Output::Table => "table",
        Output::Json => "json",
        Output::Csv => return Err(Usage("a replay is printed as table or json".to_owned()).into()),
    };
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(PROGRAM));
    let program = beside.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from(PROGRAM));
    let words = own_words(std::env::args_os().skip(1));
    let error = Command::new(&program).args(words).args(["--output", output]).exec();
    Err(format!("{}: {error}; it is installed beside tollgate", program.display()).into())
}

/// What was said, without the noun and without the flags that all nouns have.
fn own_words(said: impl Iterator<Item = OsString>) -> Vec<OsString> {
    const GLOBAL: [&str; 3] = ["--output", "-o", "--socket"];
    let mut words = Vec::new();
    let (mut noun_seen, mut value_follows) = (false, false);
    for word in said {
        let text = word.to_string_lossy();
        let is_global = GLOBAL.iter().any(|flag| {
            let rest = text.strip_prefix(flag);
            rest.is_some_and(|rest| rest.starts_with('=') || flag.len() == 2)
        });
        if std::mem::take(&mut value_follows) {
            continue;
        }
        if GLOBAL.contains(&&*text) {
            value_follows = true;
        } else if is_global {
            // Its value is in it.
        } else if !noun_seen && text == "replay" {
            noun_seen = true;
        } else {
            words.push(word);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> Vec<String> {
        let said = text.split(' ').map(OsString::from);
        own_words(said).into_iter().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn what_all_nouns_have_is_not_handed_on() {
        let wanted = ["call.pcap", "--to", "replay", "--core", "1"];
        for text in [
            "replay call.pcap --to replay --core 1",
            "--output json replay call.pcap --to replay --core 1",
            "-o json --socket=/run/x replay call.pcap --to replay --core 1",
            "replay call.pcap --to replay -ojson --core 1 --socket replay",
        ] {
            assert_eq!(kept(text), wanted, "{text}");
        }
    }
}
