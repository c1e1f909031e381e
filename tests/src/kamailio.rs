//! Kamailio as a vendor's proxy: it stays in the path of a call by Record-Route, and may ask who calls, or
//! ring several places at once.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use crate::lab::{Error, Lab, Running};
use crate::sipp::Carrier;

/// Whether the tool is here.
#[must_use]
pub fn is_installed() -> bool {
    let here = Path::new("/usr/sbin/kamailio").exists();
    if !here {
        eprintln!("SKIPPED: needs kamailio; run scripts/install lab");
    }
    here
}

/// One proxy.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Where it is.
    pub at: SocketAddr,
    /// UDP or TCP, on both sides of it.
    pub carrier: Carrier,
    /// Whither new calls go; several are rung at once.
    pub next: Vec<SocketAddr>,
    /// Whom it asks who they are. `None`: nobody.
    pub asks: Option<Asks>,
}

/// How it asks a caller for a password.
#[derive(Clone, Copy, Debug)]
pub struct Asks {
    /// 401 or 407.
    pub status: u16,
    /// `MD5` or `SHA-256`.
    pub algorithm: &'static str,
    /// `auth`, or empty for none.
    pub qop: &'static str,
    /// What it wants to hear.
    pub password: &'static str,
}

impl Asks {
    /// Its part of the script: whoever cannot prove himself is asked and gets no further.
    fn script(self) -> String {
        let kind = if self.status == 401 { "www" } else { "proxy" };
        let flags = u8::from(!self.qop.is_empty());
        let realm = format!("\"{}\"", self.realm());
        let password = self.password;
        format!(
            "\tif (!pv_{kind}_authenticate({realm}, \"{password}\", \"0\")) {{\n\
             \t\t{kind}_challenge({realm}, \"{flags}\");\n\t\texit;\n\t}}\n"
        )
    }

    /// Each way of asking has a realm of its own.
    fn realm(self) -> String {
        format!("{}-{}-{}", self.status, self.algorithm, self.qop)
    }
}

impl Proxy {
    /// One that passes all new calls on, by UDP.
    #[must_use]
    pub fn between(at: SocketAddr, next: SocketAddr) -> Self {
        Self { at, carrier: Carrier::Udp, next: vec![next], asks: None }
    }

    fn config(&self) -> String {
        let carrier = self.carrier.name().to_lowercase();
        let mut config = format!(
            "log_stderror=yes\nauto_aliases=no\nchildren=1\ntcp_children=1\nlisten={carrier}:{}\n",
            self.at
        );
        if self.carrier == Carrier::Udp {
            config.push_str("disable_tcp=yes\n");
        }
        for module in ["tm", "sl", "rr", "pv", "textops", "siputils", "corex", "auth"] {
            let _ = writeln!(config, "loadmodule \"{module}.so\"");
        }
        if let Some(Asks { algorithm, qop, .. }) = self.asks {
            let _ = writeln!(config, "modparam(\"auth\", \"algorithm\", \"{algorithm}\")");
            if !qop.is_empty() {
                let _ = writeln!(config, "modparam(\"auth\", \"qop\", \"{qop}\")");
            }
        }
        config.push_str(
            "request_route {\n\
             \tif (is_method(\"CANCEL\")) { if (t_check_trans()) t_relay(); exit; }\n\
             \tif (has_totag()) {\n\
             \t\tif (loose_route() || is_method(\"ACK\") && t_check_trans()) t_relay();\n\
             \t\texit;\n\t}\n",
        );
        config.push_str(&self.asks.map(Asks::script).unwrap_or_default());
        config.push_str("\trecord_route();\n");
        let mut places = self.next.iter();
        if let Some(first) = places.next() {
            let _ = writeln!(config, "\t$ru = \"sip:\" + $rU + \"@{first};transport={carrier}\";");
        }
        for next in places {
            let _ = writeln!(config, "\tappend_branch(\"sip:$rU@{next};transport={carrier}\");");
        }
        config.push_str("\tt_relay();\n}\n");
        config
    }

    /// Starts it on the vendors' side.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(&self, lab: &Lab) -> Result<Running, Error> {
        let at: String = self
            .at
            .to_string()
            .chars()
            .map(|c| if c.is_alphanumeric() { c } else { '-' })
            .collect();
        let name = format!("tollgate-kamailio-{}-{at}.cfg", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, self.config())?;
        // It stays the parent of its children, and takes little memory.
        let arguments = ["-DD", "-m", "16", "-M", "4", "-f", &path.to_string_lossy()];
        let proxy = lab.start("vend", "kamailio", &arguments)?;
        proxy.listens(self.at)?;
        std::fs::remove_file(path)?;
        Ok(proxy)
    }
}
