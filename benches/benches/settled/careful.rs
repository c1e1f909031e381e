//! The careful path: a real worker in user space with calls that talk, on a cable like everybody else's.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use benches::phones::{self, Exchange, Phones};
use benches::shared::{self, Shared};
use benches::world::{Failure, pin, plan, run};
use dataplane::nic::afxdp::AfXdp;
use dataplane::worker::{Handoff, Parts, Worker};
use dataplane::{clock, neighbors, rim};
use xdp_prog::{Attached, attach};

const CORE: usize = 1;

pub(crate) struct Careful {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    number: i32,
    /// The ports that callers send to.
    pub(crate) ports: Vec<u16>,
    _guard: Attached,
    _shared: Shared,
}

impl Careful {
    /// Starts it in this network namespace, with calls that talk already.
    pub(crate) fn start(pins: &Path, device: &str, calls: u32) -> Result<Self, Failure> {
        let (near, away) = (phones::socket(phones::NEAR), phones::socket(phones::FAR));
        run(&format!("ip addr add {}/24 dev {device}", away.ip()))?;
        let vendor = phones::socket(phones::VENDOR).ip();
        let lladdr = "02:00:00:00:00:02";
        run(&format!("ip neigh add {vendor} lladdr {lladdr} nud permanent dev {device}"))?;
        let names = [device.to_owned()];
        let guard = attach(&plan(pins, &names, &[near, away]))?;
        let nic = AfXdp::open(&names, 0, 8_192, 2_048, false)?;
        for (interface, socket) in nic.sockets().enumerate() {
            guard.set_socket(interface, 0, socket)?;
        }
        let table = shared::in_process(calls).map_err(|error| error.to_string())?;
        let mut phones = Phones::new(Exchange::open(calls, table), clock::now());
        let ports: Vec<u16> = (0..calls).map(|_| phones.begin()).collect();
        let shared = Shared::make(calls).map_err(|error| error.to_string())?;
        shared.link.begin_dataplane();
        let stop = Arc::new(AtomicBool::new(false));
        let mut hops = neighbors::start(&names, 1, Arc::clone(&stop))?;
        let (first, last) = phones::MEDIA_PORTS;
        let (control, bell) = shared.bells().map_err(|error| error.to_string())?;
        let parts = Parts {
            index: 0,
            nic,
            switch: phones.into_switch(),
            link: shared.link,
            side: shared.link.worker_side(0)?,
            control,
            bell,
            hops: hops.pop().ok_or("no next hops")?,
            handoff: Handoff::new(
                0,
                phones::keys(),
                (first, last - first + 1),
                vec![None],
                vec![None],
                2_048,
            ),
            rim: rim::WorkerSide::none(),
            greeter: None,
            knows: Box::new(|_| true),
            roster: None,
            media: None,
            recorder: None,
            calls_max: calls as usize,
            message_bytes_max: 8_192,
            spin: Duration::ZERO,
            wall_offset: clock::wall_offset,
        };
        let (tell, told) = std::sync::mpsc::channel();
        let until = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let pinned = pin(CORE).is_ok();
            if tell.send(pinned.then(|| nix::unistd::gettid().as_raw())).is_ok() {
                Worker::open(parts, clock::now()).run(|| until.load(Ordering::Relaxed));
            }
        });
        let number = told.recv()?.ok_or("the worker has no core")?;
        let (_guard, _shared) = (guard, shared);
        Ok(Self { stop, thread: Some(thread), number, ports, _guard, _shared })
    }

    /// CPU time of the worker.
    pub(crate) fn busy(&self) -> Result<Duration, Failure> {
        let text = fs::read_to_string(format!("/proc/self/task/{}/schedstat", self.number))?;
        let ns = text.split_whitespace().next().ok_or("no CPU time")?;
        Ok(Duration::from_nanos(ns.parse()?))
    }
}

impl Drop for Careful {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Where those ports are.
pub(crate) fn at(port: u16) -> SocketAddr {
    SocketAddr::new(phones::socket(phones::NEAR).ip(), port)
}
