//! `jobtrack serve`.

use std::future::Future;
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jobtrack::{LeaseOptions, Lost, Options, Tracker};
use jobtrack_http::{
    ServerOptions, Tls, Users, parse_span, router, serve as serve_http, serve_tls, with_users,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::claim::lost;
use crate::demo::Demo;
use crate::store::StoreName;
use crate::tls::{TlsArguments, now};
use crate::{Exit, Failed};

/// Serve the jobs of one store over HTTP.
///
/// Stops on SIGTERM and on Ctrl-C: requests in flight are answered, everything is written out, and
/// the exit status is 0. SIGHUP makes it read certificate and users again, if it has any, and never
/// stops it.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where to listen; port 0 takes a free one and says which
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: String,

    /// Where the jobs are: redb:FOLDER, made if it is absent, or memory:
    #[arg(long, default_value = "redb:./jobtrack-data",
          default_value_if("demo", clap::builder::ArgPredicate::Equals("true".into()), "memory:"))]
    store: StoreName,

    /// How long a job stays after its end, unless it says so itself: a number and s, m, h or d
    #[arg(long, default_value = "300s", value_parser = parse_span, value_name = "SPAN")]
    retention: Duration,

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
    #[arg(long, env = "JOBTRACK_USERS", value_name = "FILE")]
    users: Option<PathBuf>,

    /// Connections at a time; more wait until one ends
    #[arg(long, default_value_t = ServerOptions::default().connections, value_name = "N")]
    connections: usize,

    /// What to log on standard error: error, warn, info, debug or trace
    #[arg(long, default_value = "warn", value_name = "LEVEL")]
    log: tracing::Level,
}

/// How often what has expired is taken out of memory and store. Answers do not wait for it.
const MAINTENANCE: Duration = Duration::from_secs(1);
/// How many jobs go at a time, so that requests get their turn between.
const MAINTENANCE_BUDGET: usize = 1_000;

pub(crate) fn serve(arguments: &Arguments) -> Result<Exit, Failed> {
    tracing_subscriber::fmt()
        .with_max_level(arguments.log)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
    let given = arguments.tls.given()?;
    let users = arguments.users.as_ref().map(open_users).transpose()?;
    // The port before the store: it is taken or free, and a store that opens in vain was locked in
    // vain.
    let listener = bind(arguments)?;
    let leases = leases(arguments);
    let options = Options { retention: arguments.retention, leases, ..Options::default() };
    let tracker = arguments.store.open(options)?;
    let demo = arguments.demo.then(|| Demo::begin(tracker.clone())).transpose()?;
    let served = serve_store(listener, &tracker, given, users, arguments);
    if let Some(demo) = demo {
        demo.end();
    }
    // Also where the service failed: what is not closed looks like a crash to who opens it next.
    let closed = tracker.close();
    served?;
    closed?;
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

fn bind(arguments: &Arguments) -> Result<TcpListener, Failed> {
    let text = &arguments.listen;
    let addresses: Vec<SocketAddr> = text
        .to_socket_addrs()
        .map_err(|error| format!("cannot listen on {text:?}: {error}; write ADDRESS:PORT"))?
        .collect();
    if let Some(remote) = addresses.iter().find(|address| !address.ip().is_loopback())
        && !arguments.allow_remote
    {
        let danger = match (&arguments.users, arguments.tls.is_on()) {
            (Some(_), true) => None,
            (Some(_), false) => Some("passwords would go there for all on the way to read"),
            (None, _) => Some("whoever reaches it could read and change every job"),
        };
        if let Some(danger) = danger {
            return Err(Failed::because(format!(
                "{remote} can be reached from other machines, and {danger}; add --tls and --users \
                 FILE, or --allow-remote if that is meant"
            )));
        }
    }
    let listener = TcpListener::bind(addresses.as_slice())
        .map_err(|error| format!("cannot listen on {text}: {error}"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves a store that is open.
fn serve_store(
    listener: TcpListener,
    tracker: &Tracker,
    given: Option<Tls>,
    users: Option<Arc<Users>>,
    arguments: &Arguments,
) -> Result<(), Failed> {
    let address = listener.local_addr()?;
    let tls = match given {
        None if arguments.tls.is_made_here() => {
            let listen = (arguments.listen.as_str(), address);
            Some(arguments.tls.made_here(arguments.store.folder(), listen)?)
        }
        given => given,
    };
    let guards = Guards { tls: tls.map(Arc::new), users };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(listener, address, tracker, guards, arguments))?;
    // Work that still blocks a thread is waited for: it is a commit, which ends, or an export, whose
    // reader is gone.
    drop(runtime);
    Ok(())
}

/// What stands between the server and the world.
#[derive(Clone)]
struct Guards {
    tls: Option<Arc<Tls>>,
    users: Option<Arc<Users>>,
}

/// What whoever started it wants to know.
fn announce(address: SocketAddr, arguments: &Arguments, tracker: &Tracker, guards: &Guards) {
    let scheme = if guards.tls.is_some() { "https" } else { "http" };
    say(concat!("jobtrack ", env!("CARGO_PKG_VERSION")));
    say(&format!("listening on  {scheme}://{address}"));
    say(&format!("data in       {}", arguments.store));
    say(&format!("found         {}", tracker.opened()));
    let mut near = address;
    if address.ip().is_unspecified() {
        near.set_ip(if address.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        });
    }
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
    say(&format!("try           {curl} '{scheme}://{near}/api/cluster/jobs?fields=*'"));
}

/// Says it on standard output, which somebody may have closed: that is no reason to stop serving.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

async fn run(
    listener: TcpListener,
    address: SocketAddr,
    tracker: &Tracker,
    guards: Guards,
    arguments: &Arguments,
) -> Result<(), Failed> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let stop = stop_signal()?;
    let reload = reload_on_hangup(guards.clone())?;
    // Only now, when signals are heeded, may anybody think that the server is there.
    announce(address, arguments, tracker, &guards);
    let maintenance = tokio::spawn(maintain(tracker.clone()));
    let mut router = router(Arc::new(tracker.clone()), jobtrack_http::Options::default());
    if let Some(users) = guards.users {
        router = with_users(router, users);
    }
    let options = ServerOptions { connections: arguments.connections, ..ServerOptions::default() };
    match guards.tls {
        None => serve_http(listener, router, options, stop).await,
        Some(tls) => serve_tls(listener, tls, router, options, stop).await,
    }
    reload.abort();
    maintenance.abort();
    Ok(())
}

/// Reads certificate and users again whenever the process is sent SIGHUP. Without either there is
/// nothing to do, and it is no reason to stop: a terminal that is closed sends it, too.
fn reload_on_hangup(guards: Guards) -> Result<JoinHandle<()>, Failed> {
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let guards = guards.clone();
            let reloaded = tokio::task::spawn_blocking(move || {
                let tls = guards.tls.map_or(Ok(()), |tls| tls.reload(now()));
                let users = guards.users.map_or(Ok(()), |users| users.reload());
                for error in [tls, users].into_iter().filter_map(Result::err) {
                    tracing::error!("what was read before stays in use: {error}");
                }
            });
            if let Err(error) = reloaded.await {
                tracing::error!("reading again ended in a fault: {error}");
            }
        }
    }))
}

/// Done once the process is told to stop.
fn stop_signal() -> Result<impl Future<Output = ()>, Failed> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("told to stop by SIGTERM"),
            _ = interrupt.recv() => tracing::info!("told to stop by SIGINT"),
        }
    })
}

async fn maintain(tracker: Tracker) {
    let mut turns = tokio::time::interval(MAINTENANCE);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
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
