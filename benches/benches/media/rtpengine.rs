//! rtpengine in user space, one thread, with calls that talk both ways.

use std::fs;
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use benches::world::{Failure, pin_thread};
use xdp_prog::Stream;

use crate::rivals::{CALLEE, CALLER, CALLER_PORT, CORE, OWN, at, stream};

const CONTROL: &str = "127.0.0.1:2223";

pub(crate) struct Rtpengine {
    child: Child,
}

impl Rtpengine {
    /// Starts it in this network namespace and sets up so many calls. Two streams of each.
    pub(crate) fn start(calls: u32) -> Result<(Self, Vec<Stream>), Failure> {
        let child = Command::new("rtpengine")
            .args(["--config-file=none", "--foreground", "--table=-1", "--num-threads=1"])
            .args(["--log-level=3", "--log-stderr", "--port-min=10000", "--port-max=60000"])
            // Left alone while others are measured.
            .args(["--timeout=7200", "--silent-timeout=7200", "--offer-timeout=7200"])
            .arg(format!("--interface={OWN}"))
            .arg(format!("--listen-ng={CONTROL}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{error}; scripts/install bench"))?;
        let mut relay = Self { child };
        let mut streams = Vec::new();
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(500)))?;
        socket.connect(CONTROL)?;
        relay.wait(&socket)?;
        for call in 0..calls {
            // Who offers is sent to at the port that the answer names, and so the other way round.
            let offer = sdp(CALLER, CALLER_PORT);
            let id = format!("call-{call}");
            let words =
                [("command", "offer"), ("call-id", &id), ("from-tag", "a"), ("sdp", &offer)];
            let for_callee = port_in(&ask(&socket, &words)?)?;
            let callee_port = 6_000 + call as u16 * 2;
            let answer = sdp(CALLEE, callee_port);
            let words = [
                ("command", "answer"),
                ("call-id", &id),
                ("from-tag", "a"),
                ("to-tag", "b"),
                ("sdp", &answer),
            ];
            let for_caller = port_in(&ask(&socket, &words)?)?;
            streams.push(stream(at(CALLER, CALLER_PORT), at(OWN, for_caller))?);
            streams.push(stream(at(CALLEE, callee_port), at(OWN, for_callee))?);
        }
        for thread in relay.threads()? {
            pin_thread(thread, CORE)?;
        }
        Ok((relay, streams))
    }

    fn wait(&mut self, socket: &UdpSocket) -> Result<(), Failure> {
        for _ in 0..20 {
            if ask(socket, &[("command", "ping")]).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("it ended: {status}").into());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Err("it does not answer".into())
    }

    fn threads(&self) -> Result<Vec<i32>, Failure> {
        let mut threads = Vec::new();
        for entry in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            threads.push(entry?.file_name().to_string_lossy().parse()?);
        }
        Ok(threads)
    }

    /// CPU time of all its threads.
    pub(crate) fn busy(&self) -> Result<Duration, Failure> {
        let mut ns = 0;
        for thread in self.threads()? {
            let path = format!("/proc/{}/task/{thread}/schedstat", self.child.id());
            let text = fs::read_to_string(path)?;
            ns += text.split_whitespace().next().ok_or("no CPU time")?.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(ns))
    }
}

impl Drop for Rtpengine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sdp(address: &str, port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
    )
}

/// The port that a description in an answer names.
fn port_in(told: &str) -> Result<u16, Failure> {
    let port = told.split("m=audio ").nth(1).and_then(|rest| rest.split(' ').next());
    Ok(port.ok_or_else(|| format!("no port: {told}"))?.parse()?)
}

/// A command of the ng protocol: a cookie and a bencoded dictionary.
fn ask(socket: &UdpSocket, words: &[(&str, &str)]) -> Result<String, Failure> {
    let mut sorted = words.to_vec();
    sorted.sort_unstable();
    let text = |word: &str| format!("{}:{word}", word.len());
    let body: String =
        sorted.iter().map(|(name, value)| format!("{}{}", text(name), text(value))).collect();
    static COOKIE: AtomicU32 = AtomicU32::new(0);
    let cookie = format!("c{} ", COOKIE.fetch_add(1, Ordering::Relaxed));
    socket.send(format!("{cookie}d{body}e").as_bytes())?;
    let mut room = vec![0; 65_536];
    loop {
        let length = socket.recv(&mut room)?;
        let told = String::from_utf8_lossy(&room[..length]).into_owned();
        // An answer to what was asked before, and given up.
        if !told.starts_with(&cookie) {
            continue;
        }
        return if told.contains("6:result5:error") { Err(told.into()) } else { Ok(told) };
    }
}
