//! The listeners, and what each of them serves.

use std::sync::Arc;

use jobtrack::Tracker;
use jobtrack_http::{
    Front, Monitor, Options, ServerOptions, Tls, router, serve as serve_http, serve_tls,
    with_users, without_administration,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Arguments;
use super::binding::Sockets;
use super::guards::Guards;
use super::limits::ADMIN_CONNECTIONS;
use super::otel::Traces;
use super::sockets::{File, Socket};
use crate::Failed;

/// The listeners, each with its own tasks, until they are told to end.
pub(super) struct Listening {
    monitor: Monitor,
    clients: Front,
    admin: Option<Front>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    _files: Vec<File>,
}

impl Listening {
    pub(super) fn begin(
        sockets: Sockets,
        monitor: &Monitor,
        guards: &Guards,
        arguments: &Arguments,
    ) -> Result<Listening, Failed> {
        // Without users nothing is kept from anybody who reaches the port.
        let is_open_to_all = sockets.admin.is_none() && guards.users.is_none();
        let hosts = arguments.security.hosts(guards.users.is_some());
        let clients = monitor.front(is_open_to_all).known_as(hosts);
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
            connections: arguments.limits.connections,
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
    pub(super) fn open(
        &self,
        tracker: &Tracker,
        faces: Options,
        guards: &Guards,
        traces: Option<&Traces>,
    ) {
        let all = router(Arc::new(tracker.clone()), faces);
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
    pub(super) async fn end(&mut self) {
        // Nobody is there to hear it only if all have ended.
        let _ = self.stop.send(true);
        while self.tasks.join_next().await.is_some() {}
    }
}
