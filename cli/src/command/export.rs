//! `tollgate cdr export --file`: every matching record, page by page, into a file that is whole or is not there.
//!
//! What is counted and hashed is what is written; who moves the file elsewhere finds out there whether it arrived, by
//! `sha256sum --check FILE.sha256`.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::client::escape;
use crate::{Context, Failure};

/// Records of one request.
const PAGE: u32 = 5_000;

/// What a record has, in the order of the columns of a CSV file. New ones come at the end.
const FIELDS: [&str; 58] = [
    "id",
    "started",
    "ringing",
    "answered",
    "ended",
    "complete",
    "billing_mode",
    "billing_mode_code",
    "account",
    "vendor_account",
    "gateway",
    "vendor_gateway",
    "source",
    "caller",
    "callee",
    "caller_billed",
    "callee_billed",
    "caller_sent",
    "callee_sent",
    "call_id",
    "user_agent",
    "calls",
    "status",
    "end_reason",
    "ended_by",
    "far_status",
    "far_cause",
    "pdd_ms",
    "connect_ms",
    "hold_ms",
    "charged_ms",
    "billed_s",
    "rate",
    "origin",
    "charge",
    "tax",
    "package_s",
    "package_charge",
    "agent",
    "agent_rate",
    "agent_charge",
    "agent_income",
    "vendor_hold_ms",
    "vendor_billed_s",
    "vendor_rate",
    "vendor_origin",
    "vendor_charge",
    "vendor_tax",
    "terms",
    "vendor_terms",
    "media_ms",
    "uncommitted",
    "recording",
    "media",
    "attempts",
    "packages",
    "corrections",
    "version",
];

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A header and a line for each record.
    Csv,
    /// A JSON object in each line.
    Jsonl,
}

/// Writes all records of a list into a new file. What it is then.
pub(crate) fn export(
    context: &Context,
    list: &str,
    path: &Path,
    format: Format,
) -> Result<Value, Failure> {
    if path.exists() {
        let what = format!("{}: it is there already; name another file", path.display());
        return Err(Failure::from(what));
    }
    let part = PathBuf::from(format!("{}.part", path.display()));
    let new = File::create_new(&part).map_err(|error| uncreated(&part, &error))?;
    let written = write(context, list, new, format).inspect_err(|_| {
        // Half a file is none; if it cannot go, nothing else is lost.
        let _ = std::fs::remove_file(&part);
    })?;
    std::fs::rename(&part, path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let sum = format!("{}  {name}\n", written.sha256);
    std::fs::write(format!("{}.sha256", path.display()), sum)?;
    let Written { records, bytes, sha256 } = written;
    let file = path.display().to_string();
    Ok(json!({"file": file, "records": records, "bytes": bytes, "sha256": sha256}))
}

/// What is there may be another's, who writes it now.
fn uncreated(part: &Path, error: &std::io::Error) -> Failure {
    let part = part.display();
    Failure::from(match error.kind() {
        ErrorKind::AlreadyExists => format!(
            "{part}: another export writes it, or one was cut off; delete it if none does, or name another file"
        ),
        _ => format!("{part}: {error}"),
    })
}

struct Written {
    records: u64,
    bytes: u64,
    sha256: String,
}

fn write(context: &Context, list: &str, new: File, format: Format) -> Result<Written, Failure> {
    let mut out = Hashed::new(BufWriter::new(new));
    if format == Format::Csv {
        out.write_all(&line(FIELDS.into_iter().map(str::to_owned))?)?;
    }
    let separator = if list.contains('?') { '&' } else { '?' };
    let (mut records, mut next) = (0, String::new());
    loop {
        let page = context.client.get(&format!("{list}{separator}limit={PAGE}{next}"))?;
        for record in page["items"].as_array().into_iter().flatten() {
            let bytes = match format {
                Format::Csv => line(FIELDS.into_iter().map(|name| cell(&record[name])))?,
                Format::Jsonl => format!("{record}\n").into_bytes(),
            };
            out.write_all(&bytes)?;
            records += 1;
        }
        match page["next"].as_str() {
            Some(cursor) => next = format!("&cursor={}", escape(cursor)),
            None => break,
        }
    }
    let (mut file, bytes, sha256) = out.finish();
    file.flush()?;
    file.get_ref().sync_all()?;
    Ok(Written { records, bytes, sha256 })
}

fn line(cells: impl Iterator<Item = String>) -> Result<Vec<u8>, Failure> {
    let mut line = csv::Writer::from_writer(Vec::new());
    line.write_record(cells)?;
    Ok(line.into_inner().map_err(|error| error.into_error())?)
}

/// What has parts is JSON in its cell.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Counts and hashes what goes through.
struct Hashed<W> {
    out: W,
    bytes: u64,
    hash: Sha256,
}

impl<W: Write> Hashed<W> {
    fn new(out: W) -> Self {
        Self { out, bytes: 0, hash: Sha256::new() }
    }

    fn finish(self) -> (W, u64, String) {
        let hash = self.hash.finalize();
        (self.out, self.bytes, hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or(bytes));
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
