//! Kamailio as a vendor's proxy: it stays in the path of a call by Record-Route, and knows nothing else.

use std::net::SocketAddr;
use std::path::Path;

use crate::lab::{Error, Lab, Running};

/// Whether the tool is here.
#[must_use]
pub fn is_installed() -> bool {
    let here = Path::new("/usr/sbin/kamailio").exists();
    if !here {
        eprintln!("SKIPPED: needs kamailio; run scripts/install lab");
    }
    here
}

/// A proxy on the vendors' side that passes all new calls from `at` to `next`, by UDP.
///
/// # Errors
/// When it does not start.
pub fn start(lab: &Lab, at: SocketAddr, next: SocketAddr) -> Result<Running, Error> {
    let modules = ["tm", "sl", "rr", "pv", "textops", "siputils"];
    let modules: String =
        modules.iter().map(|name| format!("loadmodule \"{name}.so\"\n")).collect();
    let config = format!(
        "log_stderror=yes\nfork=no\ndisable_tcp=yes\nauto_aliases=no\nlisten=udp:{at}\n\
         {modules}\
         request_route {{\n\
         \tif (is_method(\"CANCEL\")) {{ if (t_check_trans()) t_relay(); exit; }}\n\
         \tif (has_totag()) {{\n\
         \t\tif (loose_route() || is_method(\"ACK\") && t_check_trans()) t_relay();\n\
         \t\texit;\n\t}}\n\
         \trecord_route();\n\t$du = \"sip:{next}\";\n\tt_relay();\n}}\n"
    );
    let path = std::env::temp_dir().join(format!("tollgate-kamailio-{}.cfg", std::process::id()));
    std::fs::write(&path, config)?;
    let proxy = lab.start("vend", "kamailio", &["-f", &path.to_string_lossy()])?;
    proxy.listens(at)?;
    std::fs::remove_file(path)?;
    Ok(proxy)
}
