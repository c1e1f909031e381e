//! Recorded calls: which files there are, and what is in one. They are the dataplane's; here they are only read.

use std::collections::BTreeMap;
use std::fs::DirEntry;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, header};
use serde_json::Value;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::Shared;
use crate::page::Page;
use crate::shown::{self, RecordingShown};
use crate::{Refusal, cdr};

/// Read and sent at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// A file `ID.wav`, `ID.pcap`, or of a later part `ID-2.wav`.
struct Name<'a> {
    cdr: &'a str,
    kind: &'static str,
}

impl<'a> Name<'a> {
    fn read(file: &'a str) -> Option<Self> {
        let (stem, kind) = file.rsplit_once('.')?;
        let kind = ["wav", "pcap"].into_iter().find(|known| *known == kind)?;
        let (cdr, part) = stem.split_once('-').unwrap_or((stem, "2"));
        let is_part = part.bytes().all(|byte| byte.is_ascii_digit());
        (is_part && cdr::id_from_text(cdr).is_some()).then_some(Self { cdr, kind })
    }
}

/// Every recording, the oldest day first; of one call, if `cdr` names it.
pub(super) async fn list(
    shared: &Arc<Shared>,
    query: &BTreeMap<String, String>,
) -> Result<Value, Refusal> {
    let (page, cdr) = (Page::read(query)?, query.get("cdr").cloned());
    let directory = shared.recordings.clone();
    let read = move || {
        let behind = page.cursor.clone();
        // A page reads the days that it shows, and none before.
        let first = behind.as_deref().and_then(|place| Some(place.split_once('/')?.0));
        let days = entries(&directory).into_iter().filter(|day| day.path().is_dir());
        let days = days.filter(|day| first.is_none_or(|first| *day.file_name() >= *first));
        let files = days.flat_map(|day| {
            let name = day.file_name();
            entries(&day.path()).into_iter().map(move |file| (name.clone(), file))
        });
        let shown = files.filter_map(|(day, file)| shown_of(&day.to_string_lossy(), &file));
        let wanted = shown
            .filter(|one| cdr.as_ref().is_none_or(|cdr| *cdr == one.cdr))
            .filter(|one| behind.as_ref().is_none_or(|behind| place(one) > *behind));
        page.fill(wanted, place, shown::json)
    };
    tokio::task::spawn_blocking(read).await.map_err(|error| unreadable(&error))
}

/// By which pages go on: days in order, files in order.
fn place(one: &RecordingShown) -> String {
    format!("{}/{}", one.day, one.file)
}

/// What is in a directory, by name; nothing where there is none.
fn entries(directory: &Path) -> Vec<DirEntry> {
    let read = std::fs::read_dir(directory);
    let mut entries: Vec<DirEntry> = read.into_iter().flatten().filter_map(Result::ok).collect();
    entries.sort_by_key(DirEntry::file_name);
    entries
}

fn shown_of(day: &str, entry: &DirEntry) -> Option<RecordingShown> {
    let file = entry.file_name().to_string_lossy().into_owned();
    let Name { cdr, kind } = Name::read(&file)?;
    let bytes = entry.metadata().ok()?.len();
    Some(RecordingShown { cdr: cdr.to_owned(), kind, day: day.to_owned(), bytes, file })
}

/// Deletes one file; what is still written stays.
pub(super) async fn delete(shared: &Arc<Shared>, file: &str) -> Result<Value, Refusal> {
    let name = Name::read(file).ok_or_else(|| missing(file))?;
    if super::status::call(shared, name.cdr).is_ok() {
        let detail = format!("{file:?} is of a call that goes on; hang it up, or wait");
        return Err(Refusal::new(409, "in use", detail));
    }
    let (directory, wanted) = (shared.recordings.clone(), file.to_owned());
    let remove = move || find(&directory, &wanted).map(std::fs::remove_file);
    let removed = tokio::task::spawn_blocking(remove).await.map_err(|error| unreadable(&error))?;
    removed.ok_or_else(|| missing(file))?.map_err(|error| unreadable(&error))?;
    Ok(Value::Null)
}

/// Where a file is; it belongs to one day.
fn find(directory: &Path, file: &str) -> Option<PathBuf> {
    let mut paths = entries(directory).into_iter().map(|day| day.path().join(file));
    paths.find(|path| path.is_file())
}

fn missing(file: &str) -> Refusal {
    Refusal::new(404, "no such recording", format!("{file:?}"))
}

/// One file, as far as it is written.
pub(super) async fn fetch(shared: &Arc<Shared>, file: &str) -> Result<Response<Body>, Refusal> {
    let name = Name::read(file).ok_or_else(|| missing(file))?;
    let (directory, wanted) = (shared.recordings.clone(), file.to_owned());
    let look = move || find(&directory, &wanted);
    let path = tokio::task::spawn_blocking(look).await.map_err(|error| unreadable(&error))?;
    let path = path.ok_or_else(|| missing(file))?;
    let file = File::open(path).await.map_err(|error| unreadable(&error))?;
    let length = file.metadata().await.map_err(|error| unreadable(&error))?.len();
    let chunks = futures_util::stream::try_unfold(file.take(length), |mut file| async move {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let read = (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut chunk).await?;
        Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(chunk), file)))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    let kind = if name.kind == "wav" { "audio/wav" } else { "application/vnd.tcpdump.pcap" };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    Ok(response)
}

fn unreadable(error: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(500, "recording unreadable", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_the_recorder_gives_are_read() {
        let id = "0123456789abcdef0123456789abcdef";
        for name in
            ["", ".wav", "../tollgate.db", "x.wav", &format!("{id}.db"), &format!("{id}-x.wav")]
        {
            assert!(Name::read(name).is_none(), "{name}");
        }
        for (name, kind) in [("", "wav"), ("-2", "wav"), ("-17", "pcap")] {
            let file = format!("{id}{name}.{kind}");
            let read = Name::read(&file).unwrap();
            assert_eq!((read.cdr, read.kind), (id, kind));
        }
    }
}
