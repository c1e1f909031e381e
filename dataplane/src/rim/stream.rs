//! The thread of connections: its listeners, and the runtime on which each connection is a task. Beside it
//! stands the thread of handshakes (`tls.rs`).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use link::endpoint::Transport;
use link::order::Parameters;
use nix::sys::socket::{Backlog, listen};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::counter::Tally;
use super::exchange::{Event, Exchange, Setup};
use super::limits::Limits;
use super::tls::{self, Tls};
use super::{Rings, SLOTS, WorkerEnd};
use crate::boot::last_words;

/// Pause after the process had no descriptor or memory left for a connection.
const SHORT_OF_FILES: Duration = Duration::from_millis(100);

/// A worker's end of the rings to this thread.
pub struct Streams {
    pub(super) end: WorkerEnd,
    pub(super) tally: Arc<Tally>,
    pub(super) limits: Arc<Limits>,
}

/// Where peers connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    /// Our address and the port of the transport.
    pub address: SocketAddr,
    /// What is spoken there.
    pub transport: Transport,
}

/// Starts the thread; one end per worker. A connection, and each message of it, comes in only if it is
/// admitted by its source and its bytes; of a connection there are none yet.
///
/// # Errors
/// When an address cannot be bound; names it.
pub fn start(
    doors: &[Door],
    rings: &Rings,
    tls: Tls,
    admits: impl FnMut(IpAddr, &[u8]) -> bool + Send + 'static,
    stop: Arc<AtomicBool>,
) -> io::Result<Vec<Streams>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shaking = tls::handshakes()?;
    let mut listeners = Vec::new();
    for door in doors {
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("{:?} {}: {error}", door.transport, door.address))
        };
        let listener = std::net::TcpListener::bind(door.address).map_err(named)?;
        listener.set_nonblocking(true).map_err(named)?;
        // As many as the kernel lets wait: after a restart all peers come at once.
        listen(&listener, Backlog::MAXCONN)?;
        listeners.push((*door, listener));
    }
    let tally = Arc::<Tally>::default();
    let limits = Arc::new(Limits::new(&Parameters::default()));
    let (mut sides, mut workers) = (Vec::new(), Vec::new());
    for (worker, rim) in rings.open(SLOTS)? {
        let (tally, limits) = (Arc::clone(&tally), Arc::clone(&limits));
        sides.push(Streams { end: worker, tally, limits });
        workers.push(rim);
    }
    let (bell, message_bytes_max) = (rings.bell.as_path(), rings.message_bytes_max);
    let freshness = tls.clone().keep_fresh(Arc::clone(&tally));
    let exchange = {
        let _within = runtime.enter();
        let handshakes = shaking.handle().clone();
        let setup =
            Setup { workers, bell, tls, handshakes, limits, tally, message_bytes_max, admits };
        Exchange::open(setup)?
    };
    std::thread::Builder::new().name("rim-streams".into()).spawn(move || {
        last_words("rim-streams", || {
            runtime.block_on(async {
                for (door, listener) in listeners {
                    let listener = TcpListener::from_std(listener).expect("a socket can be polled");
                    tokio::spawn(answer_door(door, listener, exchange.events()));
                }
                tokio::spawn(freshness);
                exchange.run(&stop).await;
            });
            shaking.shutdown_background();
        });
    })?;
    Ok(sides)
}

/// Accepts for ever. The exchange decides who stays.
async fn answer_door(door: Door, listener: TcpListener, events: mpsc::Sender<Event>) {
    loop {
        match listener.accept().await {
            Ok((socket, remote)) => {
                if events.send(Event::Knock { door, socket, remote }).await.is_err() {
                    return;
                }
            }
            // The peer gave up before we looked.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => tokio::time::sleep(SHORT_OF_FILES).await,
        }
    }
}
