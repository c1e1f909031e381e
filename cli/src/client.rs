//! The API over control's Unix socket: one request, one JSON answer.

use std::io::Write;
use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;

/// Why a command did not get its answer; each says what to do.
#[derive(Debug)]
pub(crate) enum Error {
    /// Control does not listen there.
    NotRunning(PathBuf, std::io::Error),
    /// The connection broke, or what came was no HTTP.
    Connection(String),
    /// Control refused (RFC 9457): title, detail.
    Refused(StatusCode, String, String),
    /// The answer was no JSON.
    Unreadable(String),
    /// What was asked for could not be written down here.
    Unwritable(std::io::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotRunning(path, error) => write!(
                f,
                "no answer at {}: {error}\nIs tollgate-control running? Another socket: --socket PATH",
                path.display()
            ),
            Self::Connection(what) => {
                write!(f, "the connection to control broke: {what}\nTry again; see its log")
            }
            Self::Refused(status, title, detail) if detail.is_empty() => {
                write!(f, "{title} ({status})")
            }
            Self::Refused(_, title, detail) => write!(f, "{title}: {detail}"),
            Self::Unreadable(what) => write!(f, "control sent something unreadable: {what}"),
            Self::Unwritable(error) => write!(f, "the answer could not be written: {error}"),
        }
    }
}

impl std::error::Error for Error {}

/// Where control listens.
pub(crate) struct Client {
    socket: PathBuf,
}

/// A request's body.
pub(crate) enum Body {
    /// None.
    Empty,
    /// A JSON value.
    Json(Value),
    /// A CSV file.
    Csv(Vec<u8>),
    /// A list with one entry in each line.
    List(Vec<u8>),
    /// A file as somebody else's program wrote it.
    File(Vec<u8>),
}

impl Client {
    /// A client of the control that listens at `socket`; nothing is opened yet.
    pub(crate) fn new(socket: &Path) -> Self {
        Self { socket: socket.to_path_buf() }
    }

    /// One GET below `/api/v1`.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Error> {
        self.request(Method::GET, path, Body::Empty)
    }

    /// One request below `/api/v1`. An empty answer is `null`.
    pub(crate) fn request(&self, method: Method, path: &str, body: Body) -> Result<Value, Error> {
        let text = self.text(method, &format!("/api/v1{path}"), body)?;
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).map_err(|error| Error::Unreadable(format!("{error}: {text}")))
    }

    /// One request, the answer as text.
    pub(crate) fn text(&self, method: Method, path: &str, body: Body) -> Result<String, Error> {
        let mut text = Vec::new();
        self.write(method, path, body, &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// One request, the answer written out as it comes. How many bytes it had.
    pub(crate) fn write(
        &self,
        method: Method,
        path: &str,
        body: Body,
        out: &mut impl Write,
    ) -> Result<u64, Error> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::Connection(error.to_string()))?
            .block_on(self.exchange(method, path, body, out))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Body,
        out: &mut impl Write,
    ) -> Result<u64, Error> {
        let broken = |error: hyper::Error| Error::Connection(error.to_string());
        let stream = tokio::net::UnixStream::connect(&self.socket)
            .await
            .map_err(|error| Error::NotRunning(self.socket.clone(), error))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let driver = tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", "control");
        let bytes = match body {
            Body::Empty => Bytes::new(),
            Body::Json(value) => {
                request = request.header("content-type", "application/json");
                Bytes::from(value.to_string())
            }
            Body::Csv(bytes) => {
                request = request.header("content-type", "text/csv");
                Bytes::from(bytes)
            }
            Body::File(bytes) => {
                request = request.header("content-type", "application/octet-stream");
                Bytes::from(bytes)
            }
            Body::List(bytes) => {
                request = request.header("content-type", "text/plain");
                Bytes::from(bytes)
            }
        };
        let request = request
            .body(Full::new(bytes))
            .map_err(|error| Error::Connection(format!("{path}: {error}")))?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        let mut body = response.into_body();
        if !status.is_success() {
            let bytes = body.collect().await.map_err(broken)?.to_bytes();
            driver.abort();
            return Err(refusal(status, &String::from_utf8_lossy(&bytes)));
        }
        let mut written = 0;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            out.write_all(&data).map_err(Error::Unwritable)?;
            written += data.len() as u64;
        }
        driver.abort();
        Ok(written)
    }
}

/// Reads a problem document (RFC 9457); anything else is shown as it came.
fn refusal(status: StatusCode, text: &str) -> Error {
    let problem: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    let part = |name: &str| problem.get(name).and_then(Value::as_str).map(str::to_owned);
    let title = part("title").unwrap_or_else(|| "control refused".into());
    let detail = part("detail")
        .unwrap_or_else(|| if problem.is_null() { text.to_owned() } else { String::new() });
    Error::Refused(status, title, detail)
}

/// One component of a path or query, percent-encoded (RFC 3986 §2.3).
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_types_cannot_leave_its_component() {
        assert_eq!(escape("10.10.1.0/24"), "10.10.1.0%2F24");
        assert_eq!(escape("a b&c=d"), "a%20b%26c%3Dd");
    }

    #[test]
    fn a_refusal_reads_as_its_problem_document() {
        let text = r#"{"title":"no such gateway","detail":"gateway 7 does not exist"}"#;
        let shown = refusal(StatusCode::NOT_FOUND, text).to_string();
        assert_eq!(shown, "no such gateway: gateway 7 does not exist");
        assert_eq!(refusal(StatusCode::BAD_GATEWAY, "oops").to_string(), "control refused: oops");
    }
}
