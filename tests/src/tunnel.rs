//! TLS for a SIPp that has none: socat speaks it, with an OpenSSL that nobody here wrote. A detour by it
//! lets a SIPp speak from one port and listen at another.
//!
//! An [`Authority`] vouches for the appliance and for the vendors; the peers believe nobody else, and
//! neither does the appliance.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::lab::{Error, Lab, Running};

/// The appliance, as its certificate names it: socat compares no addresses of IPv6.
const NAMED: &str = "10.10.1.2";
/// Vendors that are known by name.
const VENDORS: [&str; 2] = ["tls4.example", "tls6.example"];

/// Certificates of one lab, gone with their handle.
pub struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// A new one, with certificates `box` for all addresses of the appliance, `vendor` for these and the
    /// names of vendors, and `stranger` for an address that is nobody's.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn new(vendors: &[IpAddr]) -> Result<Self, Error> {
        let folder = std::env::temp_dir().join(format!("tollgate-tls-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "the lab's authority");
        let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        std::fs::write(folder.join("authority.pem"), issuer.pem())?;
        let appliance = [NAMED, "10.10.2.2", "fd10:1::2", "fd10:2::2"].map(str::to_owned);
        let named = VENDORS.map(str::to_owned);
        let vendors = vendors.iter().map(ToString::to_string).chain(named).collect::<Vec<_>>();
        let stranger = vec!["192.0.2.1".to_owned()];
        for (name, addresses) in
            [("box", appliance.to_vec()), ("vendor", vendors), ("stranger", stranger)]
        {
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::new(addresses)?;
            params.distinguished_name.push(DnType::CommonName, name);
            let certificate = params.signed_by(&key, &issuer)?;
            std::fs::write(folder.join(format!("{name}.pem")), certificate.pem())?;
            std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem())?;
        }
        Ok(Self { folder })
    }

    /// What the appliance's configuration says of it, and of WebSocket.
    #[must_use]
    pub fn section(&self) -> String {
        let [certificate, key, authority] =
            ["box.pem", "box.key", "authority.pem"].map(|name| self.file(name));
        format!(
            "\n[streams]\ntls_certificate = \"{certificate}\"\ntls_key = \"{key}\"\n\
             tls_authorities = \"{authority}\"\nws_port = 8080\nwss_port = 8443\n"
        )
    }

    /// `authority.pem`, or certificate (`.pem`) or key (`.key`) of one of its own.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Whoever connects to `near` in `place` speaks by TLS from `own` to `far`.
    ///
    /// # Errors
    /// When the tunnel does not open.
    pub fn towards(
        &self,
        lab: &Lab,
        place: &str,
        near: SocketAddr,
        own: IpAddr,
        far: SocketAddr,
    ) -> Result<Running, Error> {
        let family = if far.is_ipv6() { "ip6" } else { "ip4" };
        let own = SocketAddr::new(own, 0).to_string();
        let own = own.trim_end_matches(":0");
        let authority = self.file("authority.pem");
        let secure =
            format!("OPENSSL:{far},pf={family},bind={own},cafile={authority},commonname={NAMED}");
        open(lab, place, near, &listening(near), &secure)
    }

    /// Whoever connects to `near` in `place` by TLS speaks to `far` in it; `name` names the certificate
    /// that is shown.
    ///
    /// # Errors
    /// When the tunnel does not open.
    pub fn behind(
        &self,
        lab: &Lab,
        place: &str,
        near: SocketAddr,
        name: &str,
        far: SocketAddr,
    ) -> Result<Running, Error> {
        let family = if near.is_ipv6() { "ip6" } else { "ip4" };
        let [certificate, key] = ["pem", "key"].map(|end| self.file(&format!("{name}.{end}")));
        let (port, ip) = (near.port(), near.to_string());
        let ip = ip.trim_end_matches(&format!(":{port}")).to_owned();
        let secure = format!(
            "OPENSSL-LISTEN:{port},pf={family},bind={ip},reuseaddr,fork,cert={certificate},key={key},verify=0"
        );
        open(lab, place, near, &secure, &format!("TCP:{far}"))
    }

    /// Whether the tunnels' tool is here.
    #[must_use]
    pub fn has_tunnels() -> bool {
        let here = Path::new("/usr/bin/socat").exists();
        if !here {
            eprintln!("SKIPPED: SIP over TLS by SIPp needs socat; run scripts/install lab");
        }
        here
    }
}

/// Datagrams to `near` in `place` go on from `mouth` to `far`; nothing comes back.
pub(crate) fn detour(
    lab: &Lab,
    place: &str,
    near: SocketAddr,
    mouth: SocketAddr,
    far: SocketAddr,
) -> Result<Running, Error> {
    let version = if near.is_ipv6() { 6 } else { 4 };
    let (port, ip) = (near.port(), near.to_string());
    let ip = ip.trim_end_matches(&format!(":{port}")).to_owned();
    let from = format!("UDP{version}-RECV:{port},bind={ip}");
    let to = format!("UDP{version}-SENDTO:{far},bind={mouth}");
    let detour = lab.start(place, "socat", &["-u", &from, &to])?;
    detour.listens(near)?;
    Ok(detour)
}

fn listening(near: SocketAddr) -> String {
    format!("TCP-LISTEN:{},bind={},reuseaddr,fork", near.port(), near.ip())
}

fn open(lab: &Lab, place: &str, near: SocketAddr, from: &str, to: &str) -> Result<Running, Error> {
    let tunnel = lab.start(place, "socat", &[from, to])?;
    tunnel.listens(near)?;
    Ok(tunnel)
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
