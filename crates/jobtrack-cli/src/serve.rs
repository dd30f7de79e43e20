//! `jobtrack serve`.

mod log;
#[cfg(feature = "otel")]
mod otel;
#[cfg(not(feature = "otel"))]
#[path = "serve/no_otel.rs"]
mod otel;
mod signals;
mod sockets;
mod systemd;

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jobtrack::{LeaseOptions, Lost, Options, Tracker};
use jobtrack_http::{
    Front, Monitor, ServerOptions, Tls, Users, parse_span, router, serve as serve_http, serve_tls,
    with_users, without_administration,
};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tracing_subscriber::filter::Targets;

use self::log::{Format, RequestLog};
use self::otel::Traces;
use self::signals::{Reload, Stop};
use self::sockets::{File, Place, Socket};
use crate::claim::lost;
use crate::config::Settled;
use crate::demo::Demo;
use crate::retain::{ArchiveWatch, RetentionArguments};
use crate::store::StoreName;
use crate::tls::{TlsArguments, now};
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

    /// Connections at a time; more wait until one ends
    #[arg(long, default_value_t = ServerOptions::default().connections, value_name = "N")]
    connections: usize,

    /// Listen on a Unix socket as well, which is made there
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,

    /// Who may connect to the Unix sockets: permissions in octal
    #[arg(long, default_value = "600", value_parser = sockets::mode, value_name = "MODE")]
    unix_mode: u32,

    /// Where operators ask: metrics, health in detail and backups are served there, to whoever
    /// reaches it, and nowhere else then
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

/// Connections at a time of the listener for administration, which clients cannot take up.
const ADMIN_CONNECTIONS: usize = 32;

pub(crate) fn serve(arguments: &Arguments, settled: &Settled) -> Result<Exit, Failed> {
    let log = log::begin(&arguments.log, arguments.log_format)?;
    let given = arguments.tls.given()?;
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

fn open_users(path: &PathBuf) -> Result<Arc<Users>, Failed> {
    let users = Users::open(path)?;
    if users.names().is_empty() {
        return Err(Failed::because(format!(
            "{path}: it names no user, so nobody could use the server; add one: jobtrack user add \
             NAME --users {path}",
            path = path.display()
        )));
    }
    Ok(Arc::new(users))
}

/// Where the server listens: for clients, and for administration.
struct Sockets {
    clients: Vec<Socket>,
    admin: Option<Socket>,
}

impl Sockets {
    /// What systemd has opened, in place of what the options name.
    fn open(arguments: &Arguments) -> Result<Sockets, Failed> {
        let (admin, clients): (Vec<_>, Vec<_>) =
            sockets::activated()?.into_iter().partition(|(name, _)| name.contains("admin"));
        let mut clients: Vec<_> = clients.into_iter().map(|(_, socket)| socket).collect();
        let mut admin = admin.into_iter().map(|(_, socket)| socket).next();
        let is_activated = !clients.is_empty();
        for socket in clients.iter().chain(&admin) {
            if let Socket::Tcp(_, address) = socket {
                expect_guarded(&[*address], arguments)?;
            }
        }
        if !is_activated && arguments.listen != "none" {
            clients.push(bind(&arguments.listen, arguments)?);
        }
        if let Some(path) = arguments.unix.as_ref().filter(|_| !is_activated) {
            clients.push(Socket::unix(path, arguments.unix_mode)?);
        }
        if admin.is_none() {
            admin = match &arguments.admin {
                None => None,
                Some(Place::Unix(path)) => Some(Socket::unix(path, arguments.unix_mode)?),
                Some(Place::Address(text)) => Some(bind_for_administration(text, arguments)?),
            };
        }
        if clients.is_empty() {
            let message = "there is nowhere to listen: name an address, or --unix PATH";
            return Err(Failed::usage(message));
        }
        Ok(Sockets { clients, admin })
    }

    /// The address of clients, if they come over TCP.
    fn address(&self) -> Option<SocketAddr> {
        self.clients.iter().find_map(|socket| match socket {
            Socket::Tcp(_, address) => Some(*address),
            Socket::Unix(..) => None,
        })
    }
}

fn bind(text: &str, arguments: &Arguments) -> Result<Socket, Failed> {
    let addresses = sockets::addresses(text)?;
    expect_guarded(&addresses, arguments)?;
    let bound = Socket::tcp(&addresses);
    bound.map_err(|error| Failed::because(format!("cannot listen on {text}: {error}")))
}

/// Refuses an address that other machines reach, unless it is guarded, or meant.
fn expect_guarded(addresses: &[SocketAddr], arguments: &Arguments) -> Result<(), Failed> {
    let Some(remote) = addresses.iter().find(|address| !address.ip().is_loopback()) else {
        return Ok(());
    };
    let danger = match (&arguments.users, arguments.tls.is_on()) {
        _ if arguments.allow_remote => return Ok(()),
        (Some(_), true) => return Ok(()),
        (Some(_), false) => "passwords would go there for all on the way to read",
        (None, _) => "whoever reaches it could read and change every job",
    };
    Err(Failed::because(format!(
        "{remote} can be reached from other machines, and {danger}; add --tls and --users FILE, or \
         --allow-remote if that is meant"
    )))
}

fn bind_for_administration(text: &str, arguments: &Arguments) -> Result<Socket, Failed> {
    let addresses = sockets::addresses(text)?;
    let remote = addresses.iter().find(|address| !address.ip().is_loopback());
    if let Some(remote) = remote.filter(|_| !arguments.allow_remote) {
        return Err(Failed::because(format!(
            "--admin: {remote} can be reached from other machines, and metrics and health are told \
             there to whoever asks; name an address of this machine or unix:PATH, or add \
             --allow-remote if that is meant"
        )));
    }
    let bound = Socket::tcp(&addresses);
    bound.map_err(|error| Failed::because(format!("--admin: cannot listen on {text}: {error}")))
}

/// What stands between the server and the world.
#[derive(Clone)]
struct Guards {
    tls: Option<Arc<Tls>>,
    users: Option<Arc<Users>>,
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
    // A certificate that is still to be made goes into the store's folder, which must be empty until
    // the store is there. Such a store is new, and so opened at once.
    let folder = arguments.store.folder();
    let mut opened = None;
    if arguments.tls.is_made_here() && !arguments.tls.is_there(folder) {
        opened = Some(open_store(arguments).await??);
    }
    if let (true, Some(address)) = (arguments.tls.is_made_here(), sockets.address()) {
        let listen = (arguments.listen.as_str(), address);
        guards.tls = Some(Arc::new(arguments.tls.made_here(folder, listen)?));
    }
    guards.read_again(&mut reload);
    let reload = reload.on_hangup()?;
    let announcement = Announcement::begin(&sockets, arguments);
    let mut listening = Listening::begin(sockets, &monitor, &guards, arguments)?;
    let served = match opened {
        Some(served) => served,
        None => {
            let _patience = systemd::opening();
            tokio::select! {
                opened = open_store(arguments) => opened??,
                () = stop.told() => {
                    systemd::stopping(Duration::ZERO);
                    return Ok(None);
                }
            }
        }
    };
    listening.open(&served.tracker, &guards, traces);
    monitor.opened(&served.tracker);
    // Only now, when signals are heeded and requests answered, may anybody think that the server is
    // there.
    systemd::ready();
    announcement.end(arguments, &served.tracker, &guards);
    let maintenance = tokio::spawn(maintain(served.tracker.clone()));
    let watchdog = systemd::keep_alive(monitor.clone());
    stop.told().await;
    systemd::stopping(arguments.drain + arguments.grace + CLOSING);
    monitor.draining();
    tokio::time::sleep(arguments.drain).await;
    listening.end().await;
    [Some(reload), Some(maintenance), watchdog].into_iter().flatten().for_each(|task| task.abort());
    Ok(Some(served))
}

/// How long closing the store may take before systemd gives up on it.
const CLOSING: Duration = Duration::from_secs(60);

/// Opens the store, where it disturbs nobody who asks meanwhile.
fn open_store(arguments: &Arguments) -> JoinHandle<Result<Served, Failed>> {
    let leases = leases(arguments);
    let options = Options { retention: arguments.retention, leases, ..Options::default() };
    let options = arguments.retain.add_to(options);
    let (store, has_demo) = (arguments.store.clone(), arguments.demo);
    tokio::task::spawn_blocking(move || {
        let tracker = store.open(options?)?;
        let demo = has_demo.then(|| Demo::begin(tracker.clone())).transpose()?;
        Ok(Served { tracker, demo })
    })
}

/// The listeners, each with its own tasks, until they are told to end.
struct Listening {
    monitor: Monitor,
    clients: Front,
    admin: Option<Front>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    _files: Vec<File>,
}

impl Listening {
    fn begin(
        sockets: Sockets,
        monitor: &Monitor,
        guards: &Guards,
        arguments: &Arguments,
    ) -> Result<Listening, Failed> {
        // Without users nothing is kept from anybody who reaches the port.
        let is_open_to_all = sockets.admin.is_none() && guards.users.is_none();
        let clients = monitor.front(is_open_to_all);
        let admin = sockets.admin.as_ref().map(|_| monitor.front(true));
        let (stop, _) = watch::channel(false);
        let mut listening = Listening {
            monitor: monitor.clone(),
            clients: clients.clone(),
            admin: admin.clone(),
            stop,
            tasks: JoinSet::new(),
            _files: Vec::new(),
        };
        let options = ServerOptions {
            connections: arguments.connections,
            grace: arguments.grace,
            ..ServerOptions::default()
        };
        for socket in sockets.clients {
            let tls = guards.tls.clone().filter(|_| matches!(socket, Socket::Tcp(..)));
            listening.add(socket, &clients, tls, options.clone())?;
        }
        if let (Some(socket), Some(front)) = (sockets.admin, admin) {
            let options = ServerOptions { connections: ADMIN_CONNECTIONS, ..options };
            listening.add(socket, &front, None, options)?;
        }
        Ok(listening)
    }

    fn add(
        &mut self,
        socket: Socket,
        front: &Front,
        tls: Option<Arc<Tls>>,
        options: ServerOptions,
    ) -> Result<(), Failed> {
        let (listener, file) = socket.listener(&self.monitor)?;
        self._files.extend(file);
        let mut stopped = self.stop.subscribe();
        let stopped = async move {
            let _gone = stopped.wait_for(|stops| *stops).await;
        };
        let router = front.router();
        match tls {
            None => self.tasks.spawn(serve_http(listener, router, options, stopped)),
            Some(tls) => self.tasks.spawn(serve_tls(listener, tls, router, options, stopped)),
        };
        Ok(())
    }

    /// Serves what the tracker holds, too.
    fn open(&self, tracker: &Tracker, guards: &Guards, traces: Option<&Traces>) {
        let all = router(Arc::new(tracker.clone()), jobtrack_http::Options::default());
        let guarded = |router| match &guards.users {
            Some(users) => with_users(router, Arc::clone(users)),
            None => router,
        };
        let observed = |router| {
            let router = self.monitor.observe(router);
            traces.map_or(router.clone(), |traces| traces.trace(router))
        };
        match &self.admin {
            None => {
                let all = all.merge(self.monitor.details());
                self.clients.open(observed(guarded(all)));
            }
            Some(admin) => {
                let few = without_administration(all.clone());
                self.clients.open(observed(guarded(few)));
                admin.open(observed(guarded(all)));
            }
        }
    }

    /// Takes no more connections, and lets the requests in progress end.
    async fn end(&mut self) {
        // Nobody is there to hear it only if all have ended.
        let _ = self.stop.send(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// What whoever started it wants to know: where the server listens, once it serves what it is asked.
struct Announcement {
    address: Option<SocketAddr>,
    places: Vec<String>,
}

impl Announcement {
    fn begin(sockets: &Sockets, arguments: &Arguments) -> Announcement {
        let scheme = if arguments.tls.is_on() { "https" } else { "http" };
        let at = |scheme: &str, socket: &Socket| match socket {
            Socket::Tcp(_, address) => format!("{scheme}://{address}"),
            Socket::Unix(..) => socket.to_string(),
        };
        let of_clients = sockets.clients.iter().map(|socket| at(scheme, socket));
        let mut places: Vec<_> = of_clients.map(|place| format!("listening on  {place}")).collect();
        places.extend(
            sockets.admin.iter().map(|socket| format!("administered  {}", at("http", socket))),
        );
        say(concat!("jobtrack ", env!("CARGO_PKG_VERSION")));
        say(&format!("opening       {}", arguments.store.url()));
        Announcement { address: sockets.address(), places }
    }

    fn end(&self, arguments: &Arguments, tracker: &Tracker, guards: &Guards) {
        self.places.iter().for_each(|place| say(place));
        announce_open(self.address, arguments, tracker, guards);
    }
}

/// What can be told only once the store is open.
fn announce_open(
    address: Option<SocketAddr>,
    arguments: &Arguments,
    tracker: &Tracker,
    guards: &Guards,
) {
    say(&format!("data in       {}", arguments.store));
    say(&format!("found         {}", tracker.opened()));
    let mut curl = "curl".to_owned();
    if let Some(tls) = &guards.tls {
        let path = tls.certificate().canonicalize();
        let path = path.as_deref().unwrap_or(tls.certificate()).display();
        say(&format!("certificate   {path}, good until {}", tls.expires()));
        say(&format!("fingerprint   SHA-256 {}", tls.fingerprint()));
        if arguments.tls.is_made_here() {
            curl.push_str(&format!(" --cacert '{path}'"));
        }
    }
    if let Some(users) = &guards.users {
        let names = users.names();
        say(&format!("users         {} in {}", names.len(), users.path().display()));
        if let Some(name) = names.first() {
            curl.push_str(&format!(" -u {name}"));
        }
    }
    let place = match (address, &arguments.unix) {
        (Some(mut near), _) => {
            if near.ip().is_unspecified() {
                near.set_ip(if near.is_ipv4() {
                    Ipv4Addr::LOCALHOST.into()
                } else {
                    Ipv6Addr::LOCALHOST.into()
                });
            }
            let scheme = if guards.tls.is_some() { "https" } else { "http" };
            format!("{scheme}://{near}")
        }
        (None, Some(path)) => {
            curl.push_str(&format!(" --unix-socket '{}'", path.display()));
            "http://localhost".to_owned()
        }
        (None, None) => "http://localhost".to_owned(),
    };
    say(&format!("try           {curl} '{place}/api/cluster/jobs?fields=*'"));
}

/// Says it on standard output, which somebody may have closed: that is no reason to stop serving.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

impl Guards {
    /// Certificate and users are read again on SIGHUP.
    fn read_again(&self, reload: &mut Reload) {
        if let Some(tls) = self.tls.clone() {
            reload.on("certificate", move || tls.reload(now()).map_err(|error| error.to_string()));
        }
        if let Some(users) = self.users.clone() {
            reload.on("users", move || users.reload().map_err(|error| error.to_string()));
        }
    }
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
