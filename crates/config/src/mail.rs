//! `[mail]`: the carrier's own server, that mail is handed to.

use std::path::PathBuf;

use crate::section::Section;

/// How a connection to it is made private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// After the greeting (RFC 3207), and only then.
    StartTls,
    /// From the first byte on.
    Tls,
    /// Not at all: for a server on this machine.
    None,
}

/// Where mail is handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mail {
    /// Its name, as in its certificate.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How it is kept private.
    pub tls: MailTls,
    /// Whom mail is from.
    pub from: String,
    /// As whom we log in.
    pub username: String,
    /// Where the password is; `None`: we do not log in.
    pub password_file: Option<PathBuf>,
}

/// `None`: no server is named.
pub(crate) fn read(section: &mut Section<'_>) -> Option<Mail> {
    let choices = [("starttls", MailTls::StartTls), ("tls", MailTls::Tls), ("none", MailTls::None)];
    let tls = section.choice("tls", &choices).unwrap_or(MailTls::StartTls);
    let port = match tls {
        MailTls::StartTls => 587,
        MailTls::Tls => 465,
        MailTls::None => 25,
    };
    let port = section.number("port", 1..=65_535).unwrap_or(port);
    let (from, server) = (section.text("from"), section.text("server"));
    let username = section.text("username").unwrap_or_default();
    let password_file = section.path("password_file");
    if password_file.is_some() == username.is_empty() {
        section.invalid("username", "with password_file, and neither without the other");
    }
    match (server, from) {
        (None, None) => None,
        (Some(server), Some(from)) => {
            Some(Mail { server, port, tls, from, username, password_file })
        }
        (None, Some(_)) => {
            section.missing("server", "server = \"mail.example.com\"");
            None
        }
        (Some(_), None) => {
            section.missing("from", "from = \"accounts@example.com\"");
            None
        }
    }
}
