//! Documents by mail: one message with the paper and the table, handed to the carrier's own mail server.

use std::time::Duration;

use config::{Mail, MailTls};
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::{Document, Paper, paper};
use crate::Refusal;

/// How long the server may take to take it.
const PATIENCE: Duration = Duration::from_secs(8);

fn address(field: &str, text: &str) -> Result<Mailbox, Refusal> {
    let wrong = |fault| Refusal::invalid(format!("{field}: {text:?}: {fault}"));
    text.parse().map_err(wrong)
}

fn message(from: &str, to: &str, document: &Document, sha256: &str) -> Result<Message, Refusal> {
    let number = &document.number;
    let word = match document.paper {
        Paper::Invoice => "Invoice",
        Paper::CreditNote => "Credit note",
        Paper::DebitNote => "Debit note",
    };
    let text = format!(
        "{word} {number} of {}: {} {}, due {}.\nIts SHA-256 is {sha256}.\n",
        document.issued, document.currency, document.total, document.due
    );
    let kind = |kind: &str| ContentType::parse(kind).unwrap_or(ContentType::TEXT_PLAIN);
    let attached = |ending: &str, mime: &str, bytes: Vec<u8>| {
        Attachment::new(format!("{number}.{ending}")).body(bytes, kind(mime))
    };
    let parts = MultiPart::mixed()
        .singlepart(SinglePart::plain(text))
        .singlepart(attached("pdf", "application/pdf", paper::pdf(document, sha256)))
        .singlepart(attached("csv", "text/csv", paper::csv(document)?));
    let unwritten = |error: lettre::error::Error| Refusal::invalid(format!("mail: {error}"));
    Message::builder()
        .from(address("mail.from", from)?)
        .to(address("to", to)?)
        .subject(format!("{word} {number}"))
        .multipart(parts)
        .map_err(unwritten)
}

/// Hands a document to the mail server.
///
/// # Errors
/// When there is none, an address is none, or the server does not take it; it says why.
pub async fn send(
    mail: Option<&Mail>,
    to: &str,
    document: &Document,
    sha256: &str,
) -> Result<(), Refusal> {
    let none = || {
        let hint = "there is no [mail] in the configuration file; send the PDF by hand";
        Refusal::new(409, "no mail server", hint)
    };
    let mail = mail.ok_or_else(none)?;
    let message = message(&mail.from, to, document, sha256)?;
    type Server = AsyncSmtpTransport<Tokio1Executor>;
    let refused = |error: lettre::transport::smtp::Error| {
        let detail = format!("{}: {error}; nothing was sent, try again", mail.server);
        Refusal::new(503, "mail server", detail)
    };
    let server = match mail.tls {
        MailTls::None => Ok(Server::builder_dangerous(mail.server.as_str())),
        MailTls::StartTls => Server::starttls_relay(&mail.server),
        MailTls::Tls => Server::relay(&mail.server),
    };
    let mut server = server.map_err(refused)?.port(mail.port).timeout(Some(PATIENCE));
    if let Some(file) = &mail.password_file {
        let unread = |error: std::io::Error| {
            Refusal::new(503, "mail server", format!("{}: {error}", file.display()))
        };
        let password = std::fs::read_to_string(file).map_err(unread)?;
        let password = password.trim_end_matches(['\r', '\n']).to_owned();
        server = server.credentials(Credentials::new(mail.username.clone(), password));
    }
    server.build().send(message).await.map(drop).map_err(refused)
}
