//! The careful path: a real worker in user space, with calls that talk.

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
use xdp_prog::{Attached, Stream, attach};

use crate::rivals::{CORE, stream};

pub(crate) struct Careful {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    number: i32,
    _guard: Attached,
    _shared: Shared,
}

impl Careful {
    /// Starts it in this network namespace, with so many calls that talk already. Two streams of each.
    pub(crate) fn start(
        pins: &Path,
        device: &str,
        calls: u32,
    ) -> Result<(Self, Vec<Stream>), Failure> {
        let (near, away) = (phones::socket(phones::NEAR), phones::socket(phones::FAR));
        let (caller, vendor) = (phones::socket(phones::CALLER), phones::socket(phones::VENDOR));
        let lladdr = "02:00:00:00:00:02";
        run(&format!("ip addr add {}/24 dev {device}", away.ip()))?;
        run(&format!("ip neigh add {} lladdr {lladdr} nud permanent dev {device}", vendor.ip()))?;
        let names = [device.to_owned()];
        let guard = attach(&plan(pins, &names, &[near, away]))?;
        let nic = AfXdp::open(&names, 0, 8_192, 2_048, false)?;
        for (interface, socket) in nic.sockets().enumerate() {
            guard.set_socket(interface, 0, socket)?;
        }
        let table = shared::in_process(calls).map_err(|error| error.to_string())?;
        let mut phones = Phones::new(Exchange::open(calls, table), clock::now());
        let mut streams = Vec::new();
        for _ in 0..calls {
            let (ours_near, ours_far) = phones.begin();
            phones.forget();
            for (peer, own, port) in [(caller, near, ours_near), (vendor, away, ours_far)] {
                let from = SocketAddr::new(peer.ip(), phones::CALLER_MEDIA);
                streams.push(stream(from, SocketAddr::new(own.ip(), port))?);
            }
        }
        let shared = Shared::make(calls).map_err(|error| error.to_string())?;
        shared.link.begin_dataplane();
        let stop = Arc::new(AtomicBool::new(false));
        let mut hops = neighbors::start(&names, 1, Arc::clone(&stop))?;
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
            handoff: Handoff::new(0, phones::keys(), media(), vec![None], vec![None], 2_048),
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
        let (thread, _guard, _shared) = (Some(thread), guard, shared);
        Ok((Self { stop, thread, number, _guard, _shared }, streams))
    }

    /// CPU time of the worker.
    pub(crate) fn busy(&self) -> Result<Duration, Failure> {
        let text = fs::read_to_string(format!("/proc/self/task/{}/schedstat", self.number))?;
        let ns = text.split_whitespace().next().ok_or("no CPU time")?;
        Ok(Duration::from_nanos(ns.parse()?))
    }
}

fn media() -> (u16, u16) {
    let (first, last) = phones::MEDIA_PORTS;
    (first, last - first + 1)
}

impl Drop for Careful {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
