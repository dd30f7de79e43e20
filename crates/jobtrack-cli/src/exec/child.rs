//! The command's process, and the group in which it and its own children are.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::Sender;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::Event;
use crate::Failed;

/// A command that was started.
#[derive(Debug)]
pub(super) struct Group {
    child: Child,
    leader: Pid,
}

/// What its output comes through.
pub(super) struct Pipes {
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Exited(u8),
    Killed(i32),
}

/// Starts the command, with these variables in its environment, those that are empty left as they
/// are.
pub(super) fn start(
    command: &[String],
    environment: &[(&str, String)],
) -> io::Result<(Group, Pipes)> {
    let (program, arguments) = command.split_first().ok_or(io::ErrorKind::NotFound)?;
    // In the background of the terminal, a read from it would stop the command for good.
    let stdin =
        if io::IsTerminal::is_terminal(&io::stdin()) { Stdio::null() } else { Stdio::inherit() };
    let environment = environment.iter().filter(|(_, value)| !value.is_empty());
    let mut child = Command::new(program)
        .args(arguments)
        .envs(environment.map(|(name, value)| (name, value)))
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let pipes = Pipes { stdout: child.stdout.take(), stderr: child.stderr.take() };
    let leader = Pid::from_child(&child);
    Ok((Group { child, leader }, pipes))
}

impl Group {
    /// Tells when the leader has exited, and does not reap it: until that is done its number, which
    /// is also the group's, goes to nobody else.
    pub(super) fn watch(&self, events: Sender<Event>) {
        let leader = self.leader;
        std::thread::spawn(move || {
            let exited = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(leader), exited) {}
            let _ = events.send(Event::Exited);
        });
    }

    /// Asks it to end. One that is stopped must go on to hear it.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
    }

    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    pub(super) fn stop(&self) {
        self.signal(Signal::STOP);
    }

    pub(super) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// How the leader ended, after which nothing may be sent any more.
    pub(super) fn reap(mut self) -> Result<Status, Failed> {
        let status = self.child.wait()?;
        Ok(match (status.code(), status.signal()) {
            (Some(code), _) => Status::Exited(u8::try_from(code).unwrap_or(u8::MAX)),
            (None, signal) => Status::Killed(signal.unwrap_or_default()),
        })
    }

    fn signal(&self, signal: Signal) {
        // It fails where all of the group have exited, and then there is nothing to do.
        let _ = kill_process_group(self.leader, signal);
    }
}

/// The signal's name, such as SIGTERM.
pub(super) fn signal_name(signal: i32) -> String {
    match signal_hook::low_level::signal_name(signal) {
        Some(name) => name.to_owned(),
        None => format!("signal {signal}"),
    }
}
