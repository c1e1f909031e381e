//! `tollgate-control`: validates, opens the store, starts the threads, runs the loop.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use config::{Config, Errand, LogFormat, Program};
use control::Time;
use control::api::backup::{Backups, stamp};
use control::api::{self, Shared};
use control::builder::Builder;
use control::decide::{DenyRoom, Office};
use control::driver::{Clock, Driver, durable_ends, run_store};
use control::reconcile::{self, SharedMaps};
use control::resolve::dns::{self, Families};
use control::store::spill::{Place, Spill};
use control::store::sqlite::{Reader, Sqlite, backup};
use control::store::writer::catch_up;
use control::store::{self, Loaded, Store};
use control::{btmp, machine};
use crossbeam::channel::bounded;
use link::layout::{Link, Sizes};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Group;
use shm::{Doorbell, Lock, Region};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Error = Box<dyn std::error::Error>;

const PROGRAM: Program = Program {
    name: "tollgate-control",
    version: env!("CARGO_PKG_VERSION"),
    unload: false,
    restore: true,
};

/// How soon a database is asked again that could not be read at the start.
const STORE_AGAIN: Duration = Duration::from_secs(1);
/// Requests of the API that may wait for the loop; a further one is refused with 503.
const REQUESTS_MAX: usize = 1024;
/// Groups of changes on their way to the store. While they are there the loop keeps further changes to
/// itself, in the backlog whose length already decides whether new work is taken.
const GROUPS_MAX: usize = 64;
/// What the store says; it never waits for the loop to listen.
const STORED_MAX: usize = 64;
/// News for the driver's lists on their way.
const GUARDS_MAX: usize = 4_096;

/// Looks at the driver on their way; one that finds no room is lost.
const LOOKS_MAX: usize = 4;

/// The ports that the configuration names; those of SIP over UDP and media the driver knows by itself.
fn served(config: &Config) -> xdp_prog::Ports {
    let streams = &config.streams;
    let sip = streams.tcp.then_some(config.sip.port);
    let others = [sip, streams.tls_port, streams.ws_port, streams.wss_port];
    xdp_prog::Ports {
        tcp: others.into_iter().flatten().collect(),
        local: reconcile::local_ports(),
        ..xdp_prog::Ports::default()
    }
}

struct SystemClock;

fn now() -> Time {
    // Both clocks exist on every Linux.
    let read = |clock| clock_gettime(clock).map_or(Duration::ZERO, Duration::from);
    let wall = read(ClockId::CLOCK_REALTIME);
    Time {
        now: read(ClockId::CLOCK_MONOTONIC),
        wall_us: u64::try_from(wall.as_micros()).unwrap_or(u64::MAX),
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Time {
        now()
    }
}

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    let done = match PROGRAM.errand(arguments, |file| std::fs::read_to_string(file)) {
        Ok(Errand::Say(text)) => {
            print!("{text}");
            Ok(())
        }
        // There is no `--unload` here to be asked for.
        Ok(Errand::Run(config) | Errand::Unload(config)) => run(&config),
        Ok(Errand::Restore(config, file)) => restore(&config, &file),
        Err(refusal) => {
            eprintln!("{refusal}");
            return ExitCode::from(refusal.exit_code());
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", PROGRAM.name);
            ExitCode::FAILURE
        }
    }
}

fn log(config: &Config) {
    let level = config.log.level.name();
    let filter = tracing_subscriber::EnvFilter::new(level);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log.format {
        LogFormat::Json => lines.json().init(),
        LogFormat::Text => lines.with_ansi(false).init(),
    }
}

fn named<T>(what: &Path, result: std::io::Result<T>) -> Result<T, Error> {
    result.map_err(|error| format!("{}: {error}", what.display()).into())
}

/// Puts a backup in the database's place. Not while a control runs: what it knows would be another state.
fn restore(config: &Config, file: &Path) -> Result<(), Error> {
    let paths = &config.paths;
    named(&paths.run, std::fs::create_dir_all(&paths.run))?;
    let _lock = Lock::try_take(&paths.control_lock())
        .map_err(|error| format!("{error}; stop tollgate-control first, running calls go on"))?;
    let aside = format!("before-restore-{}", stamp(now().wall_us));
    let kept = backup::restore(file, &paths.database(), &paths.spill(), &aside)?;
    println!("{} is restored from {}", paths.database().display(), file.display());
    println!("what was there is in {}; start tollgate-control", kept.display());
    Ok(())
}

fn run(config: &Config) -> Result<(), Error> {
    log(config);
    let paths = &config.paths;
    named(&paths.state, std::fs::create_dir_all(&paths.state))?;
    named(&paths.run, std::fs::create_dir_all(&paths.run))?;
    let _lock = Lock::try_take(&paths.control_lock())?;
    let link = open_link(config)?;
    link.begin_control();
    let workers = config.dataplane.workers;

    let Opened { mut store, spill, loaded, history, ended_before } = wait_for_store(config, &link)?;

    let (changes, changes_in) = bounded(GROUPS_MAX);
    let (stored_out, stored) = bounded(STORED_MAX);
    let (requests, requests_in) = bounded(REQUESTS_MAX);
    let (guard, guard_in) = bounded(GUARDS_MAX);
    let (seen_out, seen) = bounded(LOOKS_MAX);
    let maps = SharedMaps::default();

    let mut sides = Vec::new();
    let mut bells = Vec::new();
    for worker in 0..workers {
        sides.push(link.control_side(worker)?);
        bells.push(Doorbell::open(&paths.worker_bell(worker))?);
    }
    let bell = || Doorbell::open(&paths.control_bell());
    let store_bell = bell()?;
    let storing = std::thread::Builder::new()
        .name("store".into())
        .spawn(move || run_store(&mut store, spill, &changes_in, &stored_out, &store_bell))?;
    let pins = paths.pins.clone();
    let reconciled = Arc::clone(&maps);
    let served = served(config);
    let (state, looked) = (config.paths.state.clone(), seen_out.clone());
    std::thread::Builder::new()
        .name("machine".into())
        .spawn(move || machine::watch(&state, &looked))?;
    let (failed_logins, logins_seen) = (config.paths.failed_logins.clone(), seen_out.clone());
    std::thread::Builder::new()
        .name("btmp".into())
        .spawn(move || btmp::watch(&failed_logins, &logins_seen))?;
    std::thread::Builder::new()
        .name("reconcile".into())
        .spawn(move || reconcile::run(&pins, served, &guard_in, &seen_out, &reconciled))?;
    let families = Families::of(config.addresses.iter().map(|address| &address.ip));
    let names = dns::start(families, bell()?)?;
    let shared = Arc::new(Shared {
        requests,
        bell: bell()?,
        history: std::sync::Mutex::new(Box::new(history)),
        maps,
        pins: paths.pins.clone(),
        link,
        recordings: config.recording.directory.clone(),
        backups: Backups {
            database: paths.database(),
            folder: paths.backups(),
            busy: AtomicBool::new(false),
        },
        archive: paths.archive(),
        hours: paths.hours(),
        mail: config.mail.clone(),
        addresses: config.addresses.iter().map(|address| address.ip).collect(),
        node: config.node.name.clone(),
        now,
    });
    let stop = Arc::new(AtomicBool::new(false));
    let group = config.control.socket_group.as_deref();
    serve(&paths.control_socket(), group, shared, Arc::clone(&stop), bell()?)?;
    pin(config.control.core);
    tracing::info!(workers, socket = %paths.control_socket().display(), "control_started");

    let deny_room = DenyRoom {
        addresses: config.limits.deny_addresses as usize,
        prefixes: config.limits.deny_prefixes as usize,
    };
    let mut driver = Driver {
        office: Office::new(loaded, workers as usize)
            .seeded(getrandom::u64()?)
            .with_deny_room(deny_room),
        clock: SystemClock,
        link,
        sides,
        bells,
        bell: bell()?,
        changes,
        stored,
        requests: requests_in,
        guard,
        seen,
        names,
        builder: Builder::beside(bell()?)?,
        ended_before,
    };
    driver.run(|| stop.load(Ordering::Relaxed));
    drop(driver);
    // The store's thread ends once everything it was given is durable.
    let _ = storing.join();
    tracing::info!("control_stopped");
    Ok(())
}

/// What is read before anything is decided.
struct Opened {
    store: Sqlite,
    spill: Option<Spill>,
    loaded: Loaded,
    history: Reader,
    ended_before: HashSet<[u64; 2]>,
}

/// Waits while somebody locks the database, or its disk has no room, for the spill neither: nothing can be decided without it, and calls go on.
fn wait_for_store(config: &Config, link: &Link) -> Result<Opened, Error> {
    let mut is_told = false;
    loop {
        let error = match read_store(config, link) {
            Ok(opened) => return Ok(opened),
            Err(error) => error,
        };
        if !error.downcast_ref::<store::Error>().is_some_and(|error| error.passes) {
            return Err(error);
        }
        if !is_told {
            tracing::error!(%error, "store_awaited");
            is_told = true;
        }
        std::thread::sleep(STORE_AGAIN);
    }
}

fn read_store(config: &Config, link: &Link) -> Result<Opened, Error> {
    let (mut store, spill) = open_store(config)?;
    let loaded = store.load()?;
    let history = Reader::open(&config.paths.database())?;
    let ended_before = durable_ends(&mut store, link)?;
    Ok(Opened { store, spill, loaded, history, ended_before })
}

/// The database, and the spill once the database has what was in it.
fn open_store(config: &Config) -> Result<(Sqlite, Option<Spill>), Error> {
    let (database, path) = (config.paths.database(), config.paths.spill());
    let room = config.control.spill_bytes;
    let is_wanted = room > 0 || path.exists();
    if is_wanted && !database.exists() {
        let groups = open_spill(&path, room, Place::default())?.waiting().groups;
        let hint = "put it back where it was, or restore a backup";
        if groups > 0 {
            let (path, database) = (path.display(), database.display());
            return Err(format!(
                "{path}: {groups} groups wait for {database}, which is gone; {hint}"
            )
            .into());
        }
    }
    let mut store = Sqlite::open(&database)?;
    if !is_wanted {
        return Ok((store, None));
    }
    let mut spill = open_spill(&path, room, store.spilled_through()?)?;
    let groups = spill.waiting().groups;
    if catch_up(&mut store, &mut spill)? {
        tracing::info!(groups, "spill_replayed");
    }
    Ok((store, (room > 0).then_some(spill)))
}

fn open_spill(path: &Path, room: u64, through: Place) -> Result<Spill, store::Error> {
    Spill::open(path, room, through).map_err(|error| store::Error {
        what: format!("opening {}", path.display()),
        detail: error.to_string(),
        hint: "free space, or mend what is wrong with the file; nothing is lost meanwhile",
        passes: matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded),
    })
}

/// The shared words, formatted by whoever comes first.
fn open_link(config: &Config) -> Result<Link, Error> {
    let workers = config.dataplane.workers;
    let sizes = Sizes {
        workers,
        calls_per_worker: config.limits.calls_per_worker(workers),
        ring_slots: config.limits.ring_slots,
    };
    let region = Region::open(&config.paths.shared_memory, sizes.bytes_needed())?;
    Ok(Link::open_or_format(region.words(), &sizes, config.node.number)?)
}

/// The API's thread: the Unix socket, and the signals that end the process.
fn serve(
    path: &Path,
    group: Option<&str>,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    bell: Doorbell,
) -> Result<(), Error> {
    // A socket file outlives its process; nobody else listens there, we hold the lock.
    let _ = std::fs::remove_file(path);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _inside = runtime.enter();
        named(path, tokio::net::UnixListener::bind(path))?
    };
    admit_group(path, group)?;
    std::thread::Builder::new().name("api".into()).spawn(move || {
        runtime.block_on(async move {
            let keeper = tokio::spawn(api::day::keep(Arc::clone(&shared)));
            let writer = tokio::spawn(api::hourly::keep_hours(Arc::clone(&shared)));
            let api = api::router(shared).into_make_service_with_connect_info::<api::Peer>();
            let server = axum::serve(listener, api);
            tokio::select! {
                result = server.into_future() => {
                    if let Err(error) = result {
                        tracing::error!(%error, "api_failed");
                    }
                }
                () = stopped() => {}
            }
            keeper.abort();
            writer.abort();
            stop.store(true, Ordering::Relaxed);
            bell.ring();
        });
    })?;
    Ok(())
}

/// The socket is its owner's alone, or a group's as well.
fn admit_group(path: &Path, group: Option<&str>) -> Result<(), Error> {
    let mode = match group {
        None => 0o600,
        Some(name) => {
            let found = Group::from_name(name)?;
            let hint = "make it with `groupadd --system`, or name another one";
            let group =
                found.ok_or_else(|| format!("control.socket_group: no group {name:?}; {hint}"))?;
            named(path, std::os::unix::fs::chown(path, None, Some(group.gid.as_raw())))?;
            0o660
        }
    };
    named(path, std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)))
}

async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

fn pin(core: Option<u32>) {
    let Some(core) = core else { return };
    let mut set = nix::sched::CpuSet::new();
    let pinned = set
        .set(core as usize)
        .and_then(|()| nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set));
    if let Err(error) = pinned {
        tracing::warn!(core, %error, "not_pinned");
    }
}
