//! The storage thread with databases and spills that cannot: nothing is lost, doubled or out of order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::store::spill::tests::Disk;
use crate::store::{Loaded, Place};

/// A store that counts.
struct Counting(Arc<std::sync::atomic::AtomicUsize>);

impl Store for Counting {
    fn load(&mut self) -> Result<Loaded, Error> {
        Ok(Loaded::default())
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), Error> {
        self.0.fetch_add(changes.len(), Ordering::SeqCst);
        Ok(())
    }

    fn has_end(&mut self, _: [u64; 2]) -> Result<bool, Error> {
        Ok(false)
    }

    fn commit_spilled(&mut self, _: Place, changes: &[Change]) -> Result<(), Error> {
        self.commit(changes)
    }

    fn spilled_through(&mut self) -> Result<Place, Error> {
        Ok(Place::default())
    }
}

/// A channel of one, ten changes of one group each, and a bell.
fn store_ten(listens: bool) -> (usize, Vec<Stored>) {
    let path = std::env::temp_dir().join(format!("tollgate-bell-{listens}-{}", std::process::id()));
    let bell = Doorbell::open(&path).unwrap();
    let (to, changes) = crossbeam::channel::bounded(1);
    let (stored_out, stored) = crossbeam::channel::bounded(1);
    let stored = listens.then_some(stored);
    let count = Arc::default();
    let mut store = Counting(Arc::clone(&count));
    let storing = std::thread::spawn(move || {
        run_store(&mut store, None, &changes, &stored_out, &bell);
    });
    for sequence in 1..=10 {
        to.send((sequence, vec![Change::RateGone(1, String::new())])).unwrap();
    }
    let mut heard = Vec::new();
    // Nobody listened meanwhile; the newest is said again as soon as somebody does.
    while let Some(stored) = &stored
        && !matches!(heard.last(), Some(Stored::Through(10)))
    {
        heard.push(stored.recv_timeout(Duration::from_secs(10)).unwrap());
    }
    drop(to);
    storing.join().unwrap();
    let _ = std::fs::remove_file(path);
    (count.load(Ordering::SeqCst), heard)
}

#[test]
fn a_store_never_waits_for_a_loop_that_does_not_listen() {
    let (durable, heard) = store_ten(true);
    assert_eq!(durable, 10);
    assert!(matches!(heard.last(), Some(Stored::Through(10))), "{heard:?}");
    let (durable, _) = store_ten(false);
    assert_eq!(durable, 10, "what was given is durable, whoever is gone");
}

/// A database that takes nothing while it is away, and remembers what it took.
#[derive(Clone, Default)]
struct Flaky {
    away: Arc<AtomicBool>,
    took: Arc<Mutex<(Vec<u64>, Place)>>,
}

impl Flaky {
    fn take(&self, through: Option<Place>, changes: &[Change]) -> Result<(), Error> {
        if self.away.load(Ordering::SeqCst) {
            let (what, detail) = ("storing".into(), "database is locked".into());
            return Err(Error { what, detail, hint: "nothing is lost", passes: true });
        }
        let mut took = self.took.lock().unwrap();
        for change in changes {
            let Change::Heartbeat(number) = change else { panic!("{change:?}") };
            took.0.push(*number);
        }
        took.1 = through.unwrap_or(took.1);
        Ok(())
    }

    fn took(&self) -> Vec<u64> {
        self.took.lock().unwrap().0.clone()
    }

    fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }
}

impl Store for Flaky {
    fn load(&mut self) -> Result<Loaded, Error> {
        Ok(Loaded::default())
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), Error> {
        self.take(None, changes)
    }

    fn has_end(&mut self, _: [u64; 2]) -> Result<bool, Error> {
        Ok(false)
    }

    fn commit_spilled(&mut self, through: Place, changes: &[Change]) -> Result<(), Error> {
        self.take(Some(through), changes)
    }

    fn spilled_through(&mut self) -> Result<Place, Error> {
        Ok(self.took.lock().unwrap().1)
    }
}

const ROOM: u64 = 1 << 20;

/// A storage thread and its two ends.
struct Thread {
    to: Option<Sender<(u64, Vec<Change>)>>,
    stored: Receiver<Stored>,
    handle: Option<std::thread::JoinHandle<()>>,
    sent: u64,
    through: u64,
    standing: Standing,
}

impl Thread {
    fn start(store: &Flaky, disk: &Disk, sent: u64) -> Self {
        let bell =
            format!("tollgate-writer-{}-{:?}", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(bell);
        let bell = Doorbell::open(&path).unwrap();
        let (to, changes) = crossbeam::channel::bounded(64);
        let (stored_out, stored) = crossbeam::channel::bounded(1);
        let mut store = store.clone();
        let mut spill = Spill::new(disk.medium(), ROOM, store.spilled_through().unwrap()).unwrap();
        // As at a start; a database that is away is no start.
        catch_up(&mut store, &mut spill).unwrap();
        let handle = std::thread::spawn(move || {
            run_store(&mut store, Some(spill), &changes, &stored_out, &bell);
            let _ = std::fs::remove_file(path);
        });
        let (to, handle) = (Some(to), Some(handle));
        Self { to, stored, handle, sent, through: 0, standing: Standing::default() }
    }

    fn send(&mut self) {
        self.sent += 1;
        let group = vec![Change::Heartbeat(self.sent)];
        self.to.as_ref().unwrap().send((self.sent, group)).unwrap();
    }

    fn hear(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            match self.stored.recv_timeout(Duration::from_secs(10)).expect(what) {
                Stored::Through(through) => self.through = through,
                Stored::Standing(standing) => self.standing = *standing,
            }
        }
    }

    fn stop(mut self) {
        self.to = None;
        self.handle.take().unwrap().join().unwrap();
    }
}

#[test]
fn while_the_database_is_away_groups_are_durable_in_the_spill_and_go_to_it_in_order() {
    let (store, disk) = (Flaky::default(), Disk::default());
    let mut thread = Thread::start(&store, &disk, 0);
    thread.send();
    thread.hear("stored", |it| it.through == 1);
    store.set_away(true);
    for _ in 0..50 {
        thread.send();
        let sent = thread.sent;
        thread.hear("spilled", |it| it.through == sent);
    }
    assert_eq!(store.took(), [1]);
    thread.hear("told", |it| it.standing.waiting.groups == 50);
    assert!(thread.standing.trouble.as_ref().unwrap().contains("locked"));
    assert_eq!(thread.standing.stuck, None);
    store.set_away(false);
    for _ in 0..50 {
        thread.send();
    }
    thread.hear("mended", |it| it.standing == Standing::default() && it.through == 101);
    thread.stop();
    assert_eq!(store.took(), (1..=101).collect::<Vec<_>>());
}

#[test]
fn what_was_spilled_outlives_the_process_and_goes_in_once() {
    let (store, disk) = (Flaky::default(), Disk::default());
    let mut thread = Thread::start(&store, &disk, 0);
    store.set_away(true);
    for _ in 0..20 {
        thread.send();
    }
    thread.hear("spilled", |it| it.through == 20);
    thread.stop();
    assert_eq!(store.took(), [0; 0]);
    store.set_away(false);
    // Whether or not the void of its frames is durable.
    for _ in 0..3 {
        Thread::start(&store, &disk, 20).stop();
        assert_eq!(store.took(), (1..=20).collect::<Vec<_>>());
    }
}

#[test]
fn a_spill_that_is_full_or_fails_is_told_and_what_it_left_half_done_comes_back_neither_twice_nor_late()
 {
    let (store, disk) = (Flaky::default(), Disk::default());
    let mut thread = Thread::start(&store, &disk, 0);
    store.set_away(true);
    thread.send();
    thread.hear("spilled", |it| it.through == 1);
    // The frame is written whole, and nobody can say so.
    disk.fail_syncs(true);
    thread.send();
    thread.hear("stuck", |it| it.standing.stuck.is_some());
    assert_eq!(thread.through, 1);
    store.set_away(false);
    thread.hear("stored", |it| it.through == 2);
    assert_eq!(store.took(), [1, 2]);
    thread.send();
    thread.hear("stored", |it| it.through == 3 && it.standing == Standing::default());
    disk.fail_syncs(false);
    thread.stop();
    Thread::start(&store, &disk, 3).stop();
    assert_eq!(store.took(), [1, 2, 3]);
}
