//! `jobtrack serve`.

mod announcement;
mod binding;
mod guards;
mod limits;
mod listening;
mod log;
#[cfg(feature = "otel")]
mod otel;
#[cfg(not(feature = "otel"))]
#[path = "serve/no_otel.rs"]
mod otel;
mod signals;
mod sockets;
mod systemd;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jobtrack::{LeaseOptions, Lost, Opening, Options, Tracker};
use jobtrack_http::{Monitor, parse_span};
use tokio::task::JoinHandle;
use tracing_subscriber::filter::Targets;

use self::announcement::{Announcement, say};
use self::binding::Sockets;
use self::guards::{Guards, open_users};
use self::limits::LimitArguments;
use self::listening::Listening;
use self::log::{Format, RequestLog};
use self::otel::Traces;
use self::signals::{Reload, Stop};
use self::sockets::Place;
use crate::claim::lost;
use crate::config::Settled;
use crate::demo::Demo;
use crate::retain::{ArchiveWatch, RetentionArguments};
use crate::security::SecurityArguments;
use crate::store::StoreName;
use crate::tls::TlsArguments;
use crate::{Exit, Failed};

/// Serve the jobs of one store over HTTP.
///
/// Stops on SIGTERM and on Ctrl-C: requests in flight are answered, everything is written out, and
/// the exit status is 0; a second one ends it at once. SIGHUP makes it read certificate, users and
/// what to log again, and never stops it.
///
/// Each option can also be set by a variable, JOBTRACK_ and its name in capitals (JOBTRACK_TLS_DIR),
/// and in the file that --config names; jobtrack config shows what counts.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A file of settings, in TOML: any option here, by its own name
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Where to listen; port 0 takes a free one and says which; none for no address at all
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: String,

    /// Where the jobs are: redb:FOLDER, made if it is absent, or memory:
    #[arg(long, default_value = "redb:./jobtrack-data",
          default_value_if("demo", clap::builder::ArgPredicate::Equals("true".into()), "memory:"))]
    store: StoreName,

    /// How long a job stays after its end, unless it says so itself: a number and s, m, h or d
    #[arg(long, default_value = "300s", value_parser = parse_span, value_name = "SPAN")]
    retention: Duration,

    #[command(flatten)]
    retain: RetentionArguments,

    /// How long a lease lasts that was claimed without a term: a number and s, m, h or d
    #[arg(long, default_value = "60s", value_parser = parse_span, value_name = "SPAN")]
    lease: Duration,

    /// What becomes of a job whose worker was lost: fail, leave (as it is, held by nobody), or
    /// queue:N (again, N times at most, and then fail). For one kind of jobs if it is named; may be
    /// given several times
    #[arg(long, default_value = "fail", value_parser = lost, value_name = "[KIND=]POLICY")]
    lost: Vec<(Option<String>, Lost)>,

    /// Listen on an address that other machines reach without both --tls and --users: whoever
    /// reaches the port, or listens on the way to it, may read and change every job
    #[arg(long)]
    allow_remote: bool,

    /// Fill it with made-up jobs that move, to have something to look at; in memory unless a store
    /// is named
    #[arg(long)]
    demo: bool,

    #[command(flatten)]
    tls: TlsArguments,

    /// The file of those who may use the server, which jobtrack user add writes. Without it,
    /// whoever reaches the port may
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,

    #[command(flatten)]
    security: SecurityArguments,

    #[command(flatten)]
    limits: LimitArguments,

    /// Listen on a Unix socket as well, which is made there
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,

    /// Who may connect to the Unix sockets: permissions in octal
    #[arg(long, default_value = "600", value_parser = sockets::mode, value_name = "MODE")]
    unix_mode: u32,

    /// Where operators ask: metrics and health in detail are served there, to whoever reaches it,
    /// and backups, imports and upkeep; and none of that anywhere else then
    #[arg(long, value_name = "ADDRESS:PORT|unix:PATH")]
    admin: Option<Place>,

    /// After the signal to stop, take requests for so long while /readyz says no, so that load
    /// balancers notice
    #[arg(long, default_value = "0s", value_parser = parse_span, value_name = "SPAN")]
    drain: Duration,

    /// How long requests in progress may take after that
    #[arg(long, default_value = "10s", value_parser = parse_span, value_name = "SPAN")]
    grace: Duration,

    /// What to log on standard error: off, error, warn, info, debug or trace; or levels by part,
    /// such as info,jobtrack_http=debug
    #[arg(long, default_value = "warn", value_parser = log::filter, value_name = "FILTER")]
    log: Targets,

    /// How to log
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    log_format: Format,

    /// At which level each request is logged, with its id, route, status and time
    #[arg(long, default_value = "info", value_parser = log::request_log, value_name = "LEVEL")]
    log_requests: RequestLog,
}

/// How often what has expired is taken out of memory and store. Answers do not wait for it.
const MAINTENANCE: Duration = Duration::from_secs(1);
/// How many jobs go at a time, so that requests get their turn between.
const MAINTENANCE_BUDGET: usize = 1_000;

pub(crate) fn serve(arguments: &Arguments, settled: &Settled) -> Result<Exit, Failed> {
    let log = log::begin(&arguments.log, arguments.log_format)?;
    arguments.limits.raise_open_files();
    let given = match arguments.tls.is_made_here() {
        true => None,
        false => arguments.security.with_clients(arguments.tls.given()?)?,
    };
    let users = arguments.users.as_ref().map(open_users).transpose()?;
    // The port before the store: it is taken or free, and a store that opens in vain was locked in
    // vain.
    let sockets = Sockets::open(arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut reload = Reload::default();
    reload.on("settings", read_settings_again(log, settled.clone()));
    let guards = Guards { tls: given.map(Arc::new), users };
    let traces = Traces::wanted()?;
    let ended = runtime.block_on(run(sockets, guards, reload, traces.as_ref(), arguments));
    let served = match ended {
        Ok(Some(served)) => served,
        Ok(None) => {
            // Opening goes on until the process ends, which does it no harm: it reads, and what it
            // writes is there wholly or not at all.
            runtime.shutdown_background();
            say("stopped before the store was open");
            return Ok(Exit::Done);
        }
        Err(failed) => {
            runtime.shutdown_background();
            return Err(failed);
        }
    };
    // Work that still blocks a thread is waited for: it is a commit, which ends, or an export, whose
    // reader is gone.
    drop(runtime);
    if let Some(traces) = traces {
        traces.end();
    }
    if let Some(demo) = served.demo {
        demo.end();
    }
    served.tracker.close()?;
    say("stopped; every change is in the store");
    Ok(Exit::Done)
}

fn leases(arguments: &Arguments) -> LeaseOptions {
    let mut leases = LeaseOptions { term: arguments.lease, ..LeaseOptions::default() };
    for (kind, lost) in &arguments.lost {
        match kind {
            None => leases.lost = *lost,
            Some(kind) => drop(leases.by_kind.insert(kind.clone(), *lost)),
        }
    }
    leases
}

/// What is left to close when nothing is served any more.
struct Served {
    tracker: Tracker,
    demo: Option<Demo>,
}

/// Serves until the signal to stop. None if that came before the store was open.
async fn run(
    sockets: Sockets,
    mut guards: Guards,
    mut reload: Reload,
    traces: Option<&Traces>,
    arguments: &Arguments,
) -> Result<Option<Served>, Failed> {
    let mut stop = Stop::heeded()?;
    let monitor = Monitor::logging(arguments.log_requests.0);
    let patience = systemd::opening();
    // A certificate that is still to be made goes into the store's folder, which must be empty until
    // the store is there. As a rule such a store is new, and so opened at once.
    let folder = arguments.store.folder();
    let mut opened = None;
    if arguments.tls.is_made_here() && !arguments.tls.is_there(folder) {
        opened = Some(open_store(arguments).await??);
    }
    if arguments.tls.is_made_here() {
        let listen = sockets.address().map(|address| (arguments.listen.as_str(), address));
        let made = listen.map(|listen| arguments.tls.made_here(folder, listen)).transpose()?;
        guards.tls = arguments.security.with_clients(made)?.map(Arc::new);
    }
    guards.read_again(&mut reload);
    let reload = reload.on_hangup()?;
    let announcement = Announcement::begin(&sockets, arguments);
    let mut listening = Listening::begin(sockets, &monitor, &guards, arguments)?;
    let served = match opened {
        Some(served) => served,
        None => {
            tokio::select! {
                opened = open_store(arguments) => opened??,
                () = stop.told() => {
                    systemd::stopping(Duration::ZERO);
                    return Ok(None);
                }
            }
        }
    };
    drop(patience);
    // Like the certificate, the key of page tokens goes into the folder of a store that is there.
    let faces = faces(arguments, &guards).inspect_err(|_| drop(served.tracker.close()))?;
    listening.open(&served.tracker, faces, &guards, traces);
    monitor.opened(&served.tracker);
    // Only now, when signals are heeded and requests answered, may anybody think that the server is
    // there.
    systemd::ready();
    announcement.end(arguments, &served.tracker, &guards);
    let maintenance = tokio::spawn(maintain(served.tracker.clone()));
    let (look, watchdog) = (guards.look(), systemd::keep_alive(monitor.clone()));
    stop.told().await;
    systemd::stopping(arguments.drain + arguments.grace + CLOSING);
    monitor.draining();
    tokio::time::sleep(arguments.drain).await;
    listening.end().await;
    let tasks = [Some(reload), Some(maintenance), look, watchdog];
    tasks.into_iter().flatten().for_each(|task| task.abort());
    Ok(Some(served))
}

/// How long closing the store may take before systemd gives up on it.
const CLOSING: Duration = Duration::from_secs(60);

/// Opens the store, where it disturbs nobody who asks meanwhile.
fn open_store(arguments: &Arguments) -> JoinHandle<Result<Served, Failed>> {
    let leases = leases(arguments);
    // Nothing else is done until the store is open.
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(64));
    let opening = Opening { threads, ..Opening::default() };
    let image_from = arguments.limits.image_from;
    let retention = arguments.retention;
    let options = Options { retention, leases, opening, image_from, ..Options::default() };
    let options = arguments.retain.add_to(options);
    let (store, has_demo) = (arguments.store.clone(), arguments.demo);
    tokio::task::spawn_blocking(move || {
        let tracker = store.open(options?)?;
        let demo = has_demo.then(|| Demo::begin(tracker.clone())).transpose()?;
        Ok(Served { tracker, demo })
    })
}

/// What the faces are told.
fn faces(arguments: &Arguments, guards: &Guards) -> Result<jobtrack_http::Options, Failed> {
    let hosts = arguments.security.hosts(guards.users.is_some());
    let page_key = Some(arguments.security.page_key(arguments.store.folder())?);
    Ok(jobtrack_http::Options { hosts, page_key, ..arguments.limits.faces() })
}

/// Reads the settings again. What to log counts at once; of what else has changed it is said that it
/// counts after the next start.
fn read_settings_again(
    log: log::Log,
    settled: Settled,
) -> impl Fn() -> Result<(), String> + Send + Sync + 'static {
    move || {
        let parsed = crate::parse_again().map_err(|failed| failed.message)?;
        let parsed = parsed.map_err(|error| error.to_string())?;
        let crate::Task::Serve(arguments) = &parsed.arguments.task else { return Ok(()) };
        log.filter(&arguments.log)?;
        let mut changed = settled.differences(&parsed.settled);
        changed.retain(|name| *name != "log");
        if !changed.is_empty() {
            let changed = changed.join(", ");
            tracing::warn!("settings that have changed count after the next start: {changed}");
        }
        Ok(())
    }
}

async fn maintain(tracker: Tracker) {
    let mut turns = tokio::time::interval(MAINTENANCE);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut archive = ArchiveWatch::default();
    loop {
        turns.tick().await;
        archive.look(&tracker);
        loop {
            let tracker = tracker.clone();
            let done = tokio::task::spawn_blocking(move || tracker.maintain(MAINTENANCE_BUDGET));
            match done.await {
                Ok(Ok(maintained)) if maintained.more => {}
                Ok(Ok(_)) => break,
                Ok(Err(error)) => {
                    tracing::warn!("expired jobs could not be taken out: {error}");
                    break;
                }
                Err(error) => {
                    tracing::error!("maintenance ended in a fault: {error}");
                    break;
                }
            }
        }
    }
}
