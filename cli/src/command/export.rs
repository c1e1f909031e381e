//! `tollgate cdr export --file`: every matching record, page by page, into a file that is whole or is not there.
//!
//! What is counted and hashed is what is written; who moves the file elsewhere finds out there whether it arrived, by
//! `sha256sum --check FILE.sha256`.

mod columns;

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::client::escape;
use crate::{Context, Failure};

use columns::Kind::{self, Flag, Money, Number, Parts, Text, Time};
use columns::{Asked, Columns};

/// Records of one request.
const PAGE: u32 = 5_000;

/// What a record has, in the order of the columns of a file, and what each is. New ones come at the end.
const FIELDS: [(&str, Kind); 59] = [
    ("id", Text),
    ("started", Time),
    ("ringing", Time),
    ("answered", Time),
    ("ended", Time),
    ("complete", Flag),
    ("billing_mode", Text),
    ("billing_mode_code", Number),
    ("account", Text),
    ("vendor_account", Text),
    ("gateway", Text),
    ("vendor_gateway", Text),
    ("source", Text),
    ("caller", Text),
    ("callee", Text),
    ("caller_billed", Text),
    ("callee_billed", Text),
    ("caller_sent", Text),
    ("callee_sent", Text),
    ("call_id", Text),
    ("user_agent", Text),
    ("calls", Number),
    ("status", Number),
    ("end_reason", Text),
    ("ended_by", Text),
    ("far_status", Number),
    ("far_cause", Number),
    ("pdd_ms", Number),
    ("connect_ms", Number),
    ("hold_ms", Number),
    ("charged_ms", Number),
    ("billed_s", Number),
    ("rate", Text),
    ("origin", Text),
    ("charge", Money),
    ("tax", Money),
    ("package_s", Number),
    ("package_charge", Money),
    ("agent", Text),
    ("agent_rate", Text),
    ("agent_charge", Money),
    ("agent_income", Money),
    ("vendor_hold_ms", Number),
    ("vendor_billed_s", Number),
    ("vendor_rate", Text),
    ("vendor_origin", Text),
    ("vendor_charge", Money),
    ("vendor_tax", Money),
    ("terms", Text),
    ("vendor_terms", Text),
    ("media_ms", Number),
    ("uncommitted", Flag),
    ("recording", Text),
    ("media", Parts),
    ("attempts", Parts),
    ("packages", Parts),
    ("corrections", Parts),
    ("version", Number),
    ("billing_prefix", Text),
];

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A header and a line for each record.
    Csv,
    /// A JSON object in each line.
    Jsonl,
    /// Typed columns, as warehouses read them.
    Parquet,
}

/// Writes all records of a list into a new file, which says what was `asked` for where its format can. What it is then.
pub(crate) fn export(
    context: &Context,
    list: &str,
    asked: Asked,
    path: &Path,
    format: Format,
) -> Result<Value, Failure> {
    if path.exists() {
        let what = format!("{}: it is there already; name another file", path.display());
        return Err(Failure::from(what));
    }
    let part = PathBuf::from(format!("{}.part", path.display()));
    let new = File::create_new(&part).map_err(|error| uncreated(&part, &error))?;
    let written = Records::begin(new, format, asked)
        .and_then(|into| write(context, list, into))
        .inspect_err(|_| {
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

fn write(context: &Context, list: &str, mut into: Records) -> Result<Written, Failure> {
    let separator = if list.contains('?') { '&' } else { '?' };
    let (mut records, mut next) = (0, String::new());
    loop {
        let page = context.client.get(&format!("{list}{separator}limit={PAGE}{next}"))?;
        for record in page["items"].as_array().into_iter().flatten() {
            into.add(record)?;
            records += 1;
        }
        match page["next"].as_str() {
            Some(cursor) => next = format!("&cursor={}", escape(cursor)),
            None => break,
        }
    }
    let (mut file, bytes, sha256) = into.finish()?.finish();
    file.flush()?;
    file.get_ref().sync_all()?;
    Ok(Written { records, bytes, sha256 })
}

type Out = Hashed<BufWriter<File>>;

/// A file that is being written.
enum Records {
    Csv(Out),
    Jsonl(Out),
    Parquet(Box<Columns<Out>>),
}

impl Records {
    fn begin(file: File, format: Format, asked: Asked) -> Result<Self, Failure> {
        let mut out = Hashed::new(BufWriter::new(file));
        Ok(match format {
            Format::Csv => {
                out.write_all(&line(FIELDS.into_iter().map(|(name, _)| name.to_owned()))?)?;
                Self::Csv(out)
            }
            Format::Jsonl => Self::Jsonl(out),
            Format::Parquet => Self::Parquet(Box::new(Columns::begin(out, &FIELDS, asked)?)),
        })
    }

    fn add(&mut self, record: &Value) -> Result<(), Failure> {
        match self {
            Self::Csv(out) => {
                let cells = FIELDS.into_iter().map(|(name, _)| cell(&record[name]));
                Ok(out.write_all(&line(cells)?)?)
            }
            Self::Jsonl(out) => Ok(out.write_all(format!("{record}\n").as_bytes())?),
            Self::Parquet(columns) => columns.add(record),
        }
    }

    fn finish(self) -> Result<Out, Failure> {
        match self {
            Self::Csv(out) | Self::Jsonl(out) => Ok(out),
            Self::Parquet(columns) => columns.finish(),
        }
    }
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
