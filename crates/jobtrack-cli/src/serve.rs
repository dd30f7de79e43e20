//! `jobtrack serve`.

use std::future::Future;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use jobtrack::{Options, Tracker};
use jobtrack_http::{ServerOptions, parse_span, router, serve as serve_http};
use tokio::signal::unix::{SignalKind, signal};

use crate::store::StoreName;
use crate::{Done, Failed};

/// Serve the jobs of one store over HTTP.
///
/// Stops on SIGTERM and on Ctrl-C: requests in flight are answered, everything is written out, and
/// the exit status is 0.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where to listen; port 0 takes a free one and says which
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: String,

    /// Where the jobs are: redb:FOLDER, made if it is absent, or memory:
    #[arg(long, default_value = "redb:./jobtrack-data")]
    store: StoreName,

    /// How long a job stays after its end, unless it says so itself: a number and s, m, h or d
    #[arg(long, default_value = "300s", value_parser = parse_span, value_name = "SPAN")]
    retention: Duration,

    /// Listen on an address that other machines reach. There are no users yet: whoever reaches the
    /// port may read and change every job
    #[arg(long)]
    allow_remote: bool,

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

pub(crate) fn serve(arguments: &Arguments) -> Result<Done, Failed> {
    tracing_subscriber::fmt()
        .with_max_level(arguments.log)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
    // The port first: it is taken or free, and a store that opens in vain was locked in vain.
    let listener = bind(arguments)?;
    let address = listener.local_addr()?;
    let options = Options { retention: arguments.retention, ..Options::default() };
    let tracker = arguments.store.open(options)?;

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(listener, address, &tracker, arguments))?;
    // Work that still blocks a thread is waited for: it is a commit, which ends, or an export, whose
    // reader is gone.
    drop(runtime);
    tracker.close()?;
    say("stopped; every change is in the store");
    Ok(Done::Wholly)
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
        return Err(Failed(format!(
            "{remote} can be reached from other machines, and there are no users yet: whoever \
             reaches it may read and change every job; add --allow-remote if that is meant"
        )));
    }
    let listener = TcpListener::bind(addresses.as_slice())
        .map_err(|error| format!("cannot listen on {text}: {error}"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// What whoever started it wants to know.
fn announce(address: SocketAddr, store: &StoreName, tracker: &Tracker) {
    say(concat!("jobtrack ", env!("CARGO_PKG_VERSION")));
    say(&format!("listening on  http://{address}"));
    say(&format!("data in       {store}"));
    say(&format!("found         {}", tracker.opened()));
    say(&format!("try           curl 'http://{address}/api/cluster/jobs?fields=*'"));
}

/// Says it on standard output, which somebody may have closed: that is no reason to stop serving.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

async fn run(
    listener: TcpListener,
    address: SocketAddr,
    tracker: &Tracker,
    arguments: &Arguments,
) -> Result<(), Failed> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let stop = stop_signal()?;
    // Only now, when a signal to stop is heeded, may anybody think that the server is there.
    announce(address, &arguments.store, tracker);
    let maintenance = tokio::spawn(maintain(tracker.clone()));
    let router = router(Arc::new(tracker.clone()), jobtrack_http::Options::default());
    let options = ServerOptions { connections: arguments.connections, ..ServerOptions::default() };
    serve_http(listener, router, options, stop).await;
    maintenance.abort();
    Ok(())
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
