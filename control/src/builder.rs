//! The thread that builds tables of large tariffs, so that the loop does not wait for them.

use crossbeam::channel::{Receiver, Sender, unbounded};
use shm::Doorbell;

use crate::state::tables::{Build, Built};

/// The loop's side of it.
pub enum Builder {
    /// A thread of its own builds.
    Beside {
        /// What is to be built.
        orders: Sender<Build>,
        /// What is ready.
        ready: Receiver<Built>,
    },
    /// The loop itself builds, where time is not its own.
    Within(Option<Built>),
}

impl Builder {
    /// Starts the thread, which ends when this is dropped; the bell wakes the loop.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub fn beside(bell: Doorbell) -> std::io::Result<Self> {
        let (orders, waiting) = unbounded::<Build>();
        let (done, ready) = unbounded();
        std::thread::Builder::new().name("tables".into()).spawn(move || {
            for build in waiting {
                if done.send(build.run()).is_err() {
                    break;
                }
                bell.ring();
            }
        })?;
        Ok(Self::Beside { orders, ready })
    }

    /// Without a thread.
    #[must_use]
    pub fn within() -> Self {
        Self::Within(None)
    }

    /// Has one built.
    pub fn order(&mut self, build: Build) {
        match self {
            Self::Beside { orders, .. } => drop(orders.send(build)),
            Self::Within(ready) => *ready = Some(build.run()),
        }
    }

    /// The next one that is ready.
    pub fn poll_ready(&mut self) -> Option<Built> {
        match self {
            Self::Beside { ready, .. } => ready.try_recv().ok(),
            Self::Within(ready) => ready.take(),
        }
    }
}
