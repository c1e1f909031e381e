//! The lab of `scripts/lab`, from Rust: real programs, real XDP, foreign clients.
//!
//! One lab exists per machine, so a [`Lab`] holds a lock; tests that need one take turns. Dropping it
//! takes the lab down, whatever the test did.

use std::fmt::Write;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::Value;

/// What went wrong in the lab, with the words of the program that said so.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The address of the appliance that the customers see.
pub const BOX_CUSTOMER_SIDE: &str = "10.10.1.2:5060";

/// No address, as a socket that waits for anybody has for its other end.
const NOBODY_4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const NOBODY_6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// How long whoever is told to end may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// The raised lab.
pub struct Lab {
    root: PathBuf,
    binaries: PathBuf,
    keep: bool,
    _turn: Flock<File>,
}

/// A process inside the lab that ends with its handle.
pub struct Running(Option<Child>);

impl Running {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn begin(command: &mut Command) -> Result<Self, Error> {
        Ok(Self(Some(command.spawn()?)))
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.0.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// Whether it has not ended yet.
    pub fn goes_on(&mut self) -> bool {
        self.0.is_some() && self.ended().is_none()
    }

    /// Whether it has ended and did not do what it should.
    pub fn has_failed(&mut self) -> bool {
        self.ended().is_some_and(|status| !status.success())
    }

    /// Ends it.
    pub fn kill(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
        }
    }

    /// Waits for its end and gives what it printed.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn output(mut self) -> Result<Output, Error> {
        Ok(self.0.take().ok_or("already waited for")?.wait_with_output()?)
    }

    /// Waits until somebody beside it is bound to this address.
    ///
    /// # Errors
    /// When nobody is, after twenty seconds.
    pub fn listens(&self, at: SocketAddr) -> Result<(), Error> {
        let process = self.0.as_ref().ok_or("already waited for")?.id();
        // Its other end is nobody yet: what is left of an older connection there listens to nothing.
        let nobody = SocketAddr::new(if at.is_ipv4() { NOBODY_4 } else { NOBODY_6 }, 0);
        let wanted = in_proc(at) + in_proc(nobody).trim_start();
        let bound = || {
            ["udp", "udp6", "tcp", "tcp6"].iter().any(|table| {
                let table = std::fs::read_to_string(format!("/proc/{process}/net/{table}"));
                table.is_ok_and(|table| table.contains(&wanted))
            })
        };
        if Lab::wait_until(Duration::from_secs(20), bound) {
            return Ok(());
        }
        Err(format!("nobody is bound to {at}").into())
    }

    /// Waits for its end and reads its last printed line as JSON.
    ///
    /// # Errors
    /// When it failed or printed no JSON.
    pub fn json(self) -> Result<Value, Error> {
        json(&self.output()?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Some have children of their own, which they end when they are told to.
        if self.goes_on()
            && let Some(child) = &self.0
        {
            let process = Pid::from_raw(i32::try_from(child.id()).unwrap_or(0));
            let _ = nix::sys::signal::kill(process, Signal::SIGTERM);
            Lab::wait_until(FAREWELL, || !self.goes_on());
        }
        self.kill();
        if let Some(child) = &mut self.0 {
            let _ = child.wait();
        }
    }
}

/// A MAC address as people write it.
///
/// # Errors
/// When it is none.
pub fn mac_of(text: &str) -> Result<[u8; 6], Error> {
    let bytes = text.split(':').map(|byte| u8::from_str_radix(byte, 16));
    let bytes: Vec<u8> = bytes.collect::<Result<_, _>>()?;
    bytes.try_into().map_err(|_| format!("{text} is no MAC address").into())
}

/// An address as the kernel's tables of sockets write it: words of four bytes in the machine's order.
fn in_proc(at: SocketAddr) -> String {
    let bytes = match at.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let mut text = " ".to_owned();
    for word in bytes.chunks_exact(4) {
        let word = word.try_into().map_or(0, u32::from_ne_bytes);
        let _ = write!(text, "{word:08X}");
    }
    let _ = write!(text, ":{:04X} ", at.port());
    text
}

fn json(output: &Output) -> Result<Value, Error> {
    let text = String::from_utf8_lossy(&output.stdout);
    let whole = serde_json::from_str(&text);
    let value = whole.or_else(|_| serde_json::from_str(text.lines().last().unwrap_or_default()));
    value.map_err(|error| {
        format!("{error} in: {text}{}", String::from_utf8_lossy(&output.stderr)).into()
    })
}

/// The workspace.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap_or_default()
}

impl Lab {
    /// Raises a lab with `queues` receive queues per interface. `None`, said loudly, when this
    /// machine cannot: not root, or the foreign clients are missing.
    ///
    /// # Errors
    /// When the lab does not come up.
    pub fn up(queues: u32, xdp: bool) -> Result<Option<Self>, Error> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("SKIPPED: the lab needs root");
            return Ok(None);
        }
        if !Path::new("/usr/bin/sipp").exists() {
            eprintln!("SKIPPED: the lab needs sipp; run scripts/install lab");
            return Ok(None);
        }
        let lock = File::create("/run/tollgate-lab.lock")?;
        let turn = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| error)?;
        // The binaries lie beside this one: target/<profile>/ or target/<profile>/deps/.
        let own = std::env::current_exe()?;
        let mut binaries = own.parent().ok_or("a binary has a folder")?.to_path_buf();
        if binaries.ends_with("deps") {
            binaries.pop();
        }
        let lab = Self { root: root(), binaries, keep: false, _turn: turn };
        let queues = queues.to_string();
        let mut arguments = vec!["up", "--queues", &queues];
        if !xdp {
            arguments.push("--no-xdp");
        }
        lab.script(&arguments)?;
        Ok(Some(lab))
    }

    /// Leaves the lab running when this handle goes.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    /// Runs `scripts/lab` with these arguments.
    ///
    /// # Errors
    /// What the script said, when it failed.
    pub fn script(&self, arguments: &[&str]) -> Result<(), Error> {
        let output = self.lab(arguments).stdin(Stdio::null()).output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("lab {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
    }

    fn lab(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.root.join("scripts/lab"));
        let profile = self.binaries.file_name().unwrap_or_default();
        let target = self.binaries.parent().unwrap_or(&self.binaries);
        command.env("CARGO_TARGET_DIR", target).env("TOLLGATE_LAB_PROFILE", profile);
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// A command inside `cust`, `box` or `vend`, not started yet.
    #[must_use]
    pub fn inside(&self, place: &str, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.lab(&["sh", place, "--"]);
        command.arg(program).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts a command inside.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, place: &str, program: &str, arguments: &[&str]) -> Result<Running, Error> {
        Running::begin(&mut self.inside(place, program, arguments))
    }

    /// Runs a command inside to its end.
    ///
    /// # Errors
    /// What it said, when it failed.
    pub fn run(&self, place: &str, program: &str, arguments: &[&str]) -> Result<String, Error> {
        let output = self.inside(place, program, arguments).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("{program} {arguments:?}: {text}{said}").into())
    }

    /// A kernel socket of this process inside `cust`, `box` or `vend`.
    ///
    /// # Errors
    /// When the address is not there.
    pub fn socket(&self, place: &str, address: &str) -> Result<UdpSocket, Error> {
        // The socket stays in it.
        self.within(place, || Ok(UdpSocket::bind(address)?))
    }

    /// Does something inside `cust`, `box` or `vend`, on a thread of its own.
    ///
    /// # Errors
    /// Its own.
    pub fn within<T: Send>(
        &self,
        place: &str,
        work: impl FnOnce() -> Result<T, Error> + Send,
    ) -> Result<T, Error> {
        let namespace = File::open(format!("/run/netns/tg-{place}"))?;
        std::thread::scope(|scope| {
            let there = scope.spawn(|| {
                nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET)?;
                work()
            });
            there.join().map_err(|_| "what was done there died")?
        })
    }

    /// The MAC address of an interface inside `cust`, `box` or `vend`.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn mac(&self, place: &str, interface: &str) -> Result<[u8; 6], Error> {
        let link = self.run(place, "ip", &["-o", "link", "show", interface])?;
        let mut words = link.split_whitespace().skip_while(|&word| word != "link/ether");
        mac_of(words.nth(1).ok_or_else(|| format!("{interface} has no address"))?)
    }

    /// Sends a signal to one of the daemons.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, daemon: &str, signal: &str) -> Result<(), Error> {
        let pid = std::fs::read_to_string(format!("/run/tollgate/{daemon}.pid"))?;
        let sent = Command::new("kill").args([&format!("-{signal}"), pid.trim()]).status()?;
        if sent.success() { Ok(()) } else { Err(format!("{daemon} takes no {signal}").into()) }
    }

    /// Packets that the driver counted under these reasons.
    ///
    /// # Errors
    /// What the CLI said, when it refused.
    pub fn driver_packets(&self, reasons: &[&str]) -> Result<u64, Error> {
        let counters = self.tollgate(&["firewall", "counters", "--all"])?;
        let items = counters.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        let wanted = |item: &&Value| {
            let reason = item.get("reason").and_then(Value::as_str);
            reason.is_some_and(|reason| reasons.contains(&reason))
        };
        let packets = |item: &Value| item.get("packets").and_then(Value::as_u64).unwrap_or(0);
        Ok(items.iter().filter(wanted).map(packets).sum())
    }

    /// What the driver and the workers counted, in a few lines: where a message went that nobody got.
    #[must_use]
    pub fn books(&self) -> String {
        let list = |words: &[&str], name: &str| {
            let said = self.tollgate(words).unwrap_or_default();
            said.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let driver = list(&["firewall", "counters"], "items").into_iter().map(|item| {
            let word = |name| item.get(name).map(Value::to_string).unwrap_or_default();
            let of = ["packets", "stranger", "regular", "trusted"].map(word);
            format!("{} {}", word("reason"), of.join("/"))
        });
        let workers = list(&["status"], "workers").into_iter().filter_map(|mut worker| {
            worker.get_mut("counters").map(|counters| counters.take().to_string())
        });
        driver.chain(workers).collect::<Vec<_>>().join("\n")
    }

    /// Runs `tollgate … --output json`.
    ///
    /// # Errors
    /// What the CLI said, when it refused.
    pub fn tollgate(&self, arguments: &[&str]) -> Result<Value, Error> {
        let output = Command::new(self.binaries.join("tollgate"))
            .args(arguments)
            .args(["--output", "json"])
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("tollgate {arguments:?}: {said}").into());
        }
        if output.stdout.iter().all(u8::is_ascii_whitespace) {
            return Ok(Value::Null);
        }
        json(&output)
    }

    /// Puts an XDP program that lets all pass on the far end of a wire: on veth, what the driver sends back where it
    /// came from (`XDP_TX`) goes nowhere else.
    ///
    /// # Errors
    /// When clang or the kernel refuses.
    pub fn polls(&self, place: &str) -> Result<(), Error> {
        const PASS: &str =
            r#"__attribute__((section("xdp"), used)) int pass(void *frame) { return 2; }"#;
        let interface = if place == "cust" { "tgc0" } else { "tgv0" };
        let object = format!("/run/tollgate/{interface}.o");
        let source = format!("/run/tollgate/{interface}.c");
        std::fs::write(&source, PASS)?;
        let words = ["-target", "bpf", "-g", "-O2", "-c", &source, "-o", &object];
        self.run(place, "clang", &words)?;
        let words = ["link", "set", "dev", interface, "xdpdrv", "obj", &object, "sec", "xdp"];
        self.run(place, "ip", &words)?;
        Ok(())
    }

    /// Gives one more address of its subnets to the customers' side, or to the vendors'.
    ///
    /// # Errors
    /// When the address is taken.
    pub fn add_address(&self, place: &str, address: &str) -> Result<(), Error> {
        let interface = if place == "cust" { "tgc0" } else { "tgv0" };
        let subnet = format!("{address}/{}", if address.contains(':') { 64 } else { 24 });
        let mut arguments = vec!["addr", "add", &subnet, "dev", interface];
        // An IPv6 address that is looked for first cannot be bound yet.
        arguments.extend(address.contains(':').then_some("nodad"));
        self.run(place, "ip", &arguments)?;
        Ok(())
    }

    /// Adds to the configuration of the appliance, before it starts.
    ///
    /// # Errors
    /// When the lab is down.
    pub fn configure(&self, text: &str) -> Result<(), Error> {
        let mut file = File::options().append(true).open("/run/tollgate/lab.toml")?;
        Ok(std::io::Write::write_all(&mut file, text.as_bytes())?)
    }

    /// Waits until `true`, ten milliseconds at a time; `false` when `limit` passed first.
    pub fn wait_until(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
        let until = Instant::now() + limit;
        while Instant::now() < until {
            if holds() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        holds()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = self.script(&["down"])
        {
            eprintln!("the lab did not come down: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The script in a folder of its own, over paths in that folder, where every command that would reach
    /// into the machine notes its words instead.
    struct Script {
        folder: PathBuf,
    }

    impl Script {
        fn new(name: &str) -> Self {
            use std::os::unix::fs::PermissionsExt;
            let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
            let text = std::fs::read_to_string(root().join("scripts/lab")).expect("the script");
            let paths = "RUN=/run/tollgate STATE=/var/lib/tollgate PINS=/sys/fs/bpf/tollgate \
                         SHARED=/dev/shm/tollgate-main\n";
            assert!(text.contains(paths), "scripts/lab names its paths in one line");
            let own = |name: &str| folder.join(name).display().to_string();
            let text = text.replace(
                paths,
                &format!(
                    "RUN={} STATE={} PINS={} SHARED={}\n",
                    own("run"),
                    own("state"),
                    own("pins"),
                    own("shared")
                ),
            );
            std::fs::create_dir_all(folder.join("scripts")).expect("a folder");
            let stub = "#!/bin/sh\necho \"${0##*/} $*\" >>\"${0%/*}/../calls\"\n";
            let commands = ["ip", "nsenter", "ethtool", "mount", "tollgate-dataplane"];
            let files = commands.map(|name| (format!("bin/release/{name}"), stub.to_owned()));
            std::fs::create_dir_all(folder.join("bin/release")).expect("a folder");
            let template = ("scripts/lab.toml".to_owned(), "@NIC@ @QUEUES@\n".to_owned());
            for (name, text) in [("scripts/lab".to_owned(), text), template].iter().chain(&files) {
                let path = folder.join(name);
                std::fs::write(&path, text).expect("a file");
                let mode = std::fs::Permissions::from_mode(0o755);
                std::fs::set_permissions(path, mode).expect("a script");
            }
            Self { folder }
        }

        fn run(&self, word: &str) -> Output {
            let stubs = self.folder.join("bin/release");
            Command::new(self.folder.join("scripts/lab"))
                .arg(word)
                .env("CARGO_TARGET_DIR", self.folder.join("bin"))
                .env("TOLLGATE_LAB_PROFILE", "release")
                .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", stubs.display()))
                .output()
                .expect("bash runs the script")
        }

        fn make(&self, file: &str) {
            let path = self.folder.join(file);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, "precious").expect("a file");
        }

        fn has(&self, name: &str) -> bool {
            self.folder.join(name).exists()
        }
    }

    impl Drop for Script {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }

    const APPLIANCE: [&str; 4] = ["state/tollgate.db", "run/control.sock", "pins/deny", "shared"];

    #[test]
    fn an_installed_appliance_survives_every_word_of_the_lab() {
        let script = Script::new("lab-of-others");
        for file in APPLIANCE {
            script.make(file);
        }
        for word in ["up", "down", "start", "stop", "kill", "cut"] {
            let done = script.run(word);
            assert_eq!(done.status.success(), word == "down", "{word}");
            for file in APPLIANCE {
                assert!(script.has(file), "{file} is gone after {word}");
            }
        }
        let calls = std::fs::read_to_string(script.folder.join("bin/calls")).unwrap_or_default();
        for forbidden in ["tollgate-dataplane", "netns add"] {
            assert!(!calls.contains(forbidden), "{calls}");
        }
        // Each path alone is enough.
        for file in APPLIANCE {
            let script = Script::new("lab-of-one-other");
            script.make(file);
            let said = String::from_utf8_lossy(&script.run("up").stderr).into_owned();
            assert!(said.contains("belongs to an installed Tollgate"), "{file}: {said}");
            assert!(script.has(file));
        }
    }

    #[test]
    fn a_lab_that_is_raised_again_and_taken_down_leaves_nothing() {
        let script = Script::new("lab-of-ours");
        for _ in 0..2 {
            let done = script.run("up");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            script.make("pins/deny");
            script.make("shared");
        }
        assert!(script.has("run/lab.toml") && script.has("state/.lab"));
        let calls = std::fs::read_to_string(script.folder.join("bin/calls")).unwrap_or_default();
        assert!(calls.contains("--unload"), "{calls}");
        assert!(script.run("down").status.success());
        for path in ["run", "state", "shared"] {
            assert!(!script.has(path), "{path}");
        }
    }
}
