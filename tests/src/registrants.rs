//! Phones that register by a foreign client (SIPp), each with a name and password of its own.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::lab::{BOX_CUSTOMER_SIDE, Error, Lab};

/// REGISTER, and again with the password that the line of the sheet gives.
fn scenario() -> String {
    let register = |number: u32, credentials: &str| {
        format!(
            "<send retrans=\"500\"><![CDATA[\nREGISTER sip:[remote_ip] SIP/2.0\n\
             Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport\n\
             Max-Forwards: 70\nFrom: <sip:[field0]@[remote_ip]>;tag=[call_number]\n\
             To: <sip:[field0]@[remote_ip]>\nCall-ID: [call_id]\nCSeq: {number} REGISTER\n\
             Contact: <sip:[field0]@[local_ip]:[local_port]>;expires=600\n{credentials}\
             Content-Length: 0\n\n]]></send>\n"
        )
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<scenario name=\"an office comes back\">\n\
         {}<recv response=\"401\" auth=\"true\"/>\n{}<recv response=\"200\"/>\n</scenario>\n",
        register(1, ""),
        register(2, "[field1]\n")
    )
}

/// A folder for what SIPp reads, gone at the end.
pub struct Registrants(PathBuf);

impl Registrants {
    /// Nobody yet.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new() -> Result<Self, Error> {
        let path =
            std::env::temp_dir().join(format!("tollgate-registrants-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        std::fs::write(path.join("registers.xml"), scenario())?;
        Ok(Self(path))
    }

    /// A file beside the scenario.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, name: &str, text: &str) -> Result<String, Error> {
        let path = self.0.join(name);
        std::fs::write(&path, text)?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// All of them register at once from one address, each from a port of its own; how long it took.
    ///
    /// # Errors
    /// When one did not get in, with the last that SIPp said.
    pub fn register(
        &self,
        lab: &Lab,
        address: &str,
        logins: impl IntoIterator<Item = (u32, String)>,
    ) -> Result<Duration, Error> {
        let lines: Vec<String> = logins
            .into_iter()
            .map(|(name, password)| {
                format!("{name};[authentication username={name} password={password}]\n")
            })
            .collect();
        let all = lines.len().to_string();
        let sheet = self.put("logins.csv", &format!("SEQUENTIAL\n{}", lines.concat()))?;
        let scenario = self.0.join("registers.xml").to_string_lossy().into_owned();
        let begun = Instant::now();
        let words = [
            ["60", "sipp", BOX_CUSTOMER_SIDE, "-sf", &scenario, "-inf", &sheet, "-i", address],
            ["-t", "un", "-max_socket", "1000", "-m", &all, "-r", &all, "-nostdin"],
        ];
        let limits = ["-l", &all, "-timeout", "40s", "-recv_timeout", "20000"];
        let words: Vec<&str> = words.into_iter().flatten().chain(limits).collect();
        let output = lab.inside("cust", "timeout", &words).current_dir(&self.0).output()?;
        if output.status.success() {
            return Ok(begun.elapsed());
        }
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let last: Vec<&str> = said.lines().rev().take(40).collect();
        Err(last.into_iter().rev().collect::<Vec<_>>().join("\n").into())
    }
}

impl Drop for Registrants {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
