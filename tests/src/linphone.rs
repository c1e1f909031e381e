//! linphone's console client, a softphone that nobody here wrote: it is typed to, and what happened is
//! read from what it prints.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::lab::{Error, Lab};
use crate::softphone::{TONE_S, wav};

/// One client in a namespace of the lab. It ends with its handle.
pub struct Linphone {
    folder: PathBuf,
    child: Child,
}

/// How it is set up. It has the address that the kernel gives it.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// Port of UDP and TCP; the one behind it is that of TLS, the one thousand behind it that of audio.
    pub port: u16,
    /// Whom it believes; a PEM file.
    pub authorities: Option<&'a str>,
    /// Whether it tells keys by INFO; else by RFC 4733 events.
    pub by_info: bool,
}

impl Linphone {
    /// Whether the tool is here.
    #[must_use]
    pub fn is_installed() -> bool {
        let here = Path::new("/usr/bin/linphonec").exists();
        if !here {
            eprintln!("SKIPPED: needs linphonec; run scripts/install lab");
        }
        here
    }

    /// Starts one in `place`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(lab: &Lab, place: &str, setup: Setup<'_>) -> Result<Self, Error> {
        let Setup { port, authorities, by_info } = setup;
        let name = format!("tollgate-linphone-{}-{place}-{port}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        // It keeps its state only where these folders are there already.
        std::fs::create_dir_all(folder.join(".local/share/linphone"))?;
        std::fs::create_dir_all(folder.join(".config/linphone"))?;
        let (secure, audio) = (port + 1, port + 1_000);
        // A certificate of ours names addresses, which it does not look for.
        let trust = authorities.map_or_else(String::new, |file| {
            format!("root_ca={file}\nverify_server_certs=1\nverify_server_cn=0\n")
        });
        let (info, events) = (u8::from(by_info), u8::from(!by_info));
        let keys = format!("use_info={info}\nuse_rfc2833={events}\n");
        let config = format!(
            "[sip]\nsip_port={port}\nsip_tcp_port={port}\nsip_tls_port={secure}\n{trust}{keys}\
             [rtp]\naudio_rtp_port={audio}\n"
        );
        let path = folder.join("linphonerc");
        std::fs::write(&path, config)?;
        let log = File::create(folder.join("log"))?;
        let mut command = lab.inside(place, "linphonec", &["-c", &path.to_string_lossy()]);
        command.env("HOME", &folder).stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn()?;
        let mut phone = Self { folder, child };
        phone.waits_for("linphonec>", Duration::from_secs(10))?;
        phone.types("soundcard use files")?;
        Ok(phone)
    }

    /// Speaks a tone into its running call.
    ///
    /// # Errors
    /// When it cannot.
    pub fn speaks(&mut self) -> Result<(), Error> {
        let tone = self.folder.join("tone.wav");
        std::fs::write(&tone, wav(TONE_S))?;
        self.types(&format!("play {}", tone.display()))
    }

    /// Types a line: `register …`, `call …`, `answer`, `pause`, `resume`, `terminate`, …
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
        let bytes = std::fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until it printed this.
    ///
    /// # Errors
    /// When it did not in time; with all that it printed.
    pub fn waits_for(&self, text: &str, time: Duration) -> Result<(), Error> {
        if Lab::wait_until(time, || self.log().contains(text)) {
            return Ok(());
        }
        Err(format!("linphone never says {text:?}:\n{}", self.log()).into())
    }
}

impl Drop for Linphone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
