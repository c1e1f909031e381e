//! The configuration file: text to one valid value.
//!
//! [`Config::parse`] takes the whole text of the TOML file and gives either a [`Config`] that holds
//! nothing invalid, or every mistake at once. It opens no file and asks no machine: whether an
//! interface is there or a core exists, the programs find out.
//!
//! The file says what is fixed at start: paths, interfaces, addresses, workers, sizes. Business state
//! lives in the store. Read `config.rs` for every key with its default and reason, `check.rs` for what
//! must hold between keys, `section.rs` for how a table is read, `invocation.rs` for how a daemon comes
//! to its file.

#![forbid(unsafe_code)]

mod check;
mod config;
mod error;
mod invocation;
mod mail;
mod section;
mod streams;

pub use config::{
    Address, Config, Control, Dataplane, Interface, Limits, Log, LogFormat, LogLevel, Media,
    MediaAddress, Nic, Node, Paths, Prompts, Recording, Sip, XdpMode, keys,
};
pub use error::Error;
pub use invocation::{Errand, Program, Refusal};
pub use mail::{Mail, MailTls};
pub use streams::{Clients, Identity, Streams, Verify};
