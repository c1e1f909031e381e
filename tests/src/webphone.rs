//! A phone by SIP over WebSocket (RFC 7118): SIP.js, which nobody here wrote, under node
//! (`tests/websocket/phone.mjs`). It is typed to, and what happened is read from what it prints.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::lab::{Error, Lab, root};

/// One phone in the customers' namespace. It ends with its handle.
pub struct Webphone {
    log: PathBuf,
    child: Child,
}

/// Who it is, and where.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// `ws://10.10.1.2:8080`
    pub server: &'a str,
    /// The host of its address of record.
    pub domain: &'a str,
    /// Its name there.
    pub user: &'a str,
    /// Its password.
    pub password: &'a str,
    /// Its own address, for audio.
    pub address: &'a str,
    /// Whom it believes; a PEM file.
    pub authorities: Option<&'a str>,
}

/// The folder of the scripts and of what they need.
fn folder() -> PathBuf {
    root().join("tests/websocket")
}

/// Whether node and the libraries are here.
#[must_use]
pub fn is_installed() -> bool {
    let here = folder().join("node_modules/sip.js/package.json").exists();
    if !here {
        eprintln!("SKIPPED: needs node and SIP.js; run scripts/install websocket");
    }
    here
}

/// Runs a script of the folder to its end, in the customers' namespace; what it printed.
///
/// # Errors
/// What it said, when it failed.
pub fn run(lab: &Lab, script: &str, arguments: &[&str]) -> Result<String, Error> {
    let script = folder().join(script).display().to_string();
    lab.run("cust", "node", &[&[script.as_str()], arguments].concat())
}

impl Webphone {
    /// Starts one and waits until it is connected.
    ///
    /// # Errors
    /// When it is not.
    pub fn start(lab: &Lab, setup: Setup<'_>) -> Result<Self, Error> {
        let Setup { server, domain, user, password, address, authorities } = setup;
        let name = format!("tollgate-webphone-{}-{user}.log", std::process::id());
        let log = std::env::temp_dir().join(name);
        let file = File::create(&log)?;
        let script = folder().join("phone.mjs").display().to_string();
        let mut command =
            lab.inside("cust", "node", &[&script, server, domain, user, password, address]);
        if let Some(authorities) = authorities {
            command.env("NODE_EXTRA_CA_CERTS", authorities);
        }
        command.stdin(Stdio::piped()).stdout(file.try_clone()?).stderr(file);
        let phone = Self { log, child: command.spawn()? };
        phone.says("connected", 1)?;
        Ok(phone)
    }

    /// Types a line: `register`, `call 44107946`, `answer`, `hold`, `bye`, …
    ///
    /// # Errors
    /// When nobody reads it.
    pub fn types(&mut self, line: &str) -> Result<(), Error> {
        let keys = self.child.stdin.as_mut().ok_or("it has no keyboard")?;
        Ok(writeln!(keys, "{line}")?)
    }

    /// Everything it printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it printed a line for so many times.
    ///
    /// # Errors
    /// When it did not in ten seconds; with all that it printed.
    pub fn says(&self, line: &str, times: usize) -> Result<(), Error> {
        let said = || self.log().lines().filter(|said| *said == line).count() >= times;
        if Lab::wait_until(Duration::from_secs(10), said) {
            return Ok(());
        }
        Err(format!("it does not say {line:?} {times} times:\n{}", self.log()).into())
    }
}

impl Drop for Webphone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.log);
    }
}
