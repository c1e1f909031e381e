//! baresip, a softphone that nobody here wrote: registers, dials, answers, holds, transfers, with audio.
//!
//! It is told what to do over its control socket, and what happened is read from what it prints.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use crate::lab::{Error, Lab};

/// Port of the control socket: each phone has its own address.
const CONTROL_PORT: u16 = 4_444;

/// Length of what it says.
pub(crate) const TONE_S: u32 = 30;

/// A tone of 400 Hz as a WAV file of 16-bit samples at 8 kHz.
pub(crate) fn wav(seconds: u32) -> Vec<u8> {
    const RATE: u32 = 8_000;
    let bytes = seconds * RATE * 2;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + bytes).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    for half in [1_u16, 1] {
        file.extend(half.to_le_bytes());
    }
    file.extend(RATE.to_le_bytes());
    file.extend((RATE * 2).to_le_bytes());
    for half in [2_u16, 16] {
        file.extend(half.to_le_bytes());
    }
    file.extend(b"data");
    file.extend(bytes.to_le_bytes());
    for sample in 0..seconds * RATE {
        let level = (f64::from(sample) * 400.0 * std::f64::consts::TAU / f64::from(RATE)).sin();
        file.extend(((level * 8_000.0) as i16).to_le_bytes());
    }
    file
}

/// One softphone in a namespace of the lab. It ends with its handle.
pub struct Softphone<'l> {
    lab: &'l Lab,
    place: &'static str,
    address: String,
    folder: PathBuf,
    child: std::process::Child,
}

/// How a softphone is set up.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// `sip:alice@10.10.1.2`, or with a transport.
    pub uri: &'a str,
    /// Parameters of the account, like `;auth_pass=…;regint=60`.
    pub parameters: &'a str,
    /// Whether it answers by itself.
    pub answers: bool,
    /// Whom it believes; a PEM file.
    pub authorities: Option<&'a str>,
}

impl<'a> Account<'a> {
    /// One that registers nowhere.
    #[must_use]
    pub fn unregistered(uri: &'a str, answers: bool) -> Self {
        Self { uri, parameters: ";regint=0", answers, authorities: None }
    }
}

impl<'l> Softphone<'l> {
    /// Starts one at an address of `place`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(
        lab: &'l Lab,
        place: &'static str,
        address: &str,
        account: Account<'_>,
    ) -> Result<Self, Error> {
        let name: String =
            address.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
        let folder =
            std::env::temp_dir().join(format!("tollgate-phone-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let Account { uri, parameters, answers, authorities } = account;
        let mode = if answers { ";answermode=auto" } else { "" };
        std::fs::write(folder.join("accounts"), format!("<{uri}>{parameters}{mode}\n"))?;
        std::fs::write(folder.join("contacts"), "")?;
        let bracketed =
            if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        let tone = folder.join("tone.wav");
        std::fs::write(&tone, wav(TONE_S))?;
        let mut config = String::new();
        let _ = write!(
            config,
            "sip_listen {bracketed}:5060\naudio_source aufile,{}\naudio_player aufile,/dev/null\n\
             audio_alert aufile,/dev/null\nrtp_ports 20000-20100\nmodule_path /usr/lib/baresip/modules\n\
             module g711.so\nmodule srtp.so\nmodule sndfile.so\nmodule aufile.so\nmodule ctrl_tcp.so\n\
             module_tmp account.so\nmodule_app menu.so\nsnd_path {}\nctrl_tcp_listen {bracketed}:{CONTROL_PORT}\n",
            tone.display(),
            folder.display(),
        );
        if let Some(file) = authorities {
            let _ = writeln!(config, "sip_cafile {file}");
        }
        std::fs::write(folder.join("config"), config)?;
        let log = std::fs::File::create(folder.join("log"))?;
        let folder_text = folder.to_string_lossy().into_owned();
        let mut command = lab.inside(place, "baresip", &["-v", "-s", "-f", &folder_text]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn()?;
        let phone = Self { lab, place, address: address.to_owned(), folder, child };
        phone.waits_for("baresip is ready", Duration::from_secs(10))?;
        Ok(phone)
    }

    /// Whether the tool is here.
    #[must_use]
    pub fn is_installed() -> bool {
        let here = std::path::Path::new("/usr/bin/baresip").exists();
        if !here {
            eprintln!("SKIPPED: needs baresip; run scripts/install lab");
        }
        here
    }

    /// Everything it printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What it has decoded since its stream began last.
    fn newest_dump(&self) -> Option<Vec<u8>> {
        let files = std::fs::read_dir(&self.folder).ok()?.flatten();
        let heard = files.filter(|file| file.file_name().to_string_lossy().ends_with("dec.wav"));
        let newest = heard.max_by_key(|file| file.metadata().and_then(|it| it.modified()).ok())?;
        std::fs::read(newest.path()).ok()
    }

    /// How many samples it has decoded; of what it hears after a change of the session it keeps nothing.
    #[must_use]
    pub fn heard_samples(&self) -> usize {
        self.newest_dump().map_or(0, |file| file.len() / 2)
    }

    /// How much of the last two seconds that it heard is the tone that the others say: 0 to 1000. Without any
    /// sound 0.
    #[must_use]
    pub fn heard_tone(&self) -> u32 {
        const HEAD: usize = 44;
        const RATE: f64 = 8_000.0;
        let file = self.newest_dump().unwrap_or_default();
        let pairs = file.get(HEAD..).unwrap_or_default().as_chunks::<2>().0;
        let samples: Vec<f64> = pairs.iter().map(|pair| i16::from_le_bytes(*pair).into()).collect();
        let (mut tone, mut all) = (0.0, 0.0);
        // A piece is short enough for the gaps between packets not to turn the phase of all that follows.
        for piece in samples.rchunks_exact(160).take(100) {
            let (mut real, mut imaginary) = (0.0, 0.0);
            for (at, sample) in piece.iter().enumerate() {
                let (sin, cos) = (at as f64 * 400.0 * std::f64::consts::TAU / RATE).sin_cos();
                real += sample * cos;
                imaginary += sample * sin;
                all += sample * sample;
            }
            tone += (real * real + imaginary * imaginary) * 2.0 / piece.len() as f64;
        }
        if all == 0.0 { 0 } else { (tone / all * 1_000.0) as u32 }
    }

    /// Waits until it printed this.
    ///
    /// # Errors
    /// When it did not in time; with all that it printed.
    pub fn waits_for(&self, text: &str, time: Duration) -> Result<(), Error> {
        if Lab::wait_until(time, || self.log().contains(text)) {
            return Ok(());
        }
        Err(format!("{} never says {text:?}:\n{}", self.address, self.log()).into())
    }

    /// Tells it something: `dial`, `hangup`, `accept`, `hold`, `resume`, `transfer`, …
    ///
    /// # Errors
    /// When it does not listen.
    pub fn told(&self, command: &str, params: &str) -> Result<(), Error> {
        let json = format!("{{\"command\":\"{command}\",\"params\":\"{params}\"}}");
        let netstring = format!("{}:{json},", json.len());
        let script = format!(
            "exec 3<>/dev/tcp/{}/{CONTROL_PORT}; printf '%s' '{netstring}' >&3; sleep 0.3",
            self.address
        );
        let output = self.lab.inside(self.place, "bash", &["-c", &script]).output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("{command}: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}

impl Drop for Softphone<'_> {
    fn drop(&mut self) {
        let _ = self.told("quit", "");
        std::thread::sleep(Duration::from_millis(200));
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
