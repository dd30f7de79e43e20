//! A few places, given to clients in turn.
//!
//! What reads much takes processor time, and more threads than there are processors make nothing of
//! it faster; they only take time from those who ask for little. So few such requests are at work
//! together, and the others wait: each client in a queue of its own, and the queues take turns. Who
//! asks three hundred times at once keeps itself waiting, and nobody else.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Whose turn it is: the user, where there are users, or else an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    User(String),
    /// None is who came over a socket of the file system.
    Address(Option<IpAddr>),
}

/// Places for which clients wait.
#[derive(Debug)]
pub(crate) struct Fair {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Who holds a place or waits for one.
    clients: HashMap<Client, Queue>,
    /// Who waits, each once, whose turn is next first.
    turns: VecDeque<Client>,
}

#[derive(Debug, Default)]
struct Queue {
    held: usize,
    waiting: VecDeque<oneshot::Sender<FairPlace>>,
}

/// One of the places, until it is dropped.
#[derive(Debug)]
pub(crate) struct FairPlace {
    /// None once it was given back.
    of: Option<(Arc<Fair>, Client)>,
}

impl Fair {
    /// So many places; one at least.
    pub(crate) fn new(places: usize) -> Arc<Fair> {
        let (clients, turns) = (HashMap::new(), VecDeque::new());
        Arc::new(Fair { state: Mutex::new(State { free: places.max(1), clients, turns }) })
    }

    /// A place for this client, as soon as it is its turn. Dropped, it waits no more.
    pub(crate) async fn place(self: &Arc<Self>, client: &Client) -> FairPlace {
        loop {
            let given = self.state.lock().wait(client);
            self.give();
            // A queue drops nobody who waits, so there is an answer; if not, there is a next time.
            if let Ok(place) = given.await {
                return place;
            }
        }
    }

    /// Gives what is free to those whose turn it is.
    fn give(self: &Arc<Self>) {
        loop {
            let Some((client, waits)) = self.state.lock().next() else { return };
            let place = FairPlace { of: Some((Arc::clone(self), client)) };
            // Who has just stopped waiting gives it back, for the next round of this loop.
            if let Err(mut place) = waits.send(place)
                && let Some((_, client)) = place.of.take()
            {
                self.state.lock().take_back(&client);
            }
        }
    }
}

impl Drop for FairPlace {
    fn drop(&mut self) {
        if let Some((fair, client)) = self.of.take() {
            fair.state.lock().take_back(&client);
            fair.give();
        }
    }
}

impl State {
    /// Puts the client in its queue.
    fn wait(&mut self, client: &Client) -> oneshot::Receiver<FairPlace> {
        let (gives, given) = oneshot::channel();
        let queue = self.clients.entry(client.clone()).or_default();
        if queue.waiting.is_empty() {
            self.turns.push_back(client.clone());
        }
        // Those who wait no more would otherwise be found only when it is their turn.
        queue.waiting.retain(|waits| !waits.is_closed());
        queue.waiting.push_back(gives);
        given
    }

    /// Takes a place for whose turn it is, if anybody's is. The last place is for a client that holds
    /// none: so whoever holds all the others cannot keep everybody out.
    fn next(&mut self) -> Option<(Client, oneshot::Sender<FairPlace>)> {
        let may = |client: &&Client| {
            let holds_none = self.clients.get(*client).is_none_or(|queue| queue.held == 0);
            self.free > 1 || self.free == 1 && holds_none
        };
        let at = self.turns.iter().position(|client| may(&client))?;
        let client = self.turns.remove(at)?;
        let queue = self.clients.get_mut(&client)?;
        let waits = queue.waiting.pop_front()?;
        queue.held += 1;
        self.free -= 1;
        if !queue.waiting.is_empty() {
            self.turns.push_back(client.clone());
        }
        Some((client, waits))
    }

    fn take_back(&mut self, client: &Client) {
        self.free += 1;
        let Some(queue) = self.clients.get_mut(client) else { return };
        queue.held -= 1;
        if queue.held == 0 && queue.waiting.is_empty() {
            self.clients.remove(client);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future, ready};
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn client(name: &str) -> Client {
        Client::User(name.to_owned())
    }

    type Asked<'a> = Pin<Box<dyn Future<Output = FairPlace> + 'a>>;

    fn polled(asked: &mut Asked<'_>) -> Poll<FairPlace> {
        asked.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Asks, so that the client stands in its queue or has what it asked for.
    fn ask<'a>(fair: &'a Arc<Fair>, client: &'a Client) -> Asked<'a> {
        let mut asked: Asked<'a> = Box::pin(fair.place(client));
        match polled(&mut asked) {
            Poll::Ready(answer) => Box::pin(ready(answer)),
            Poll::Pending => asked,
        }
    }

    fn place(asked: &mut Asked<'_>) -> FairPlace {
        match polled(asked) {
            Poll::Ready(place) => place,
            Poll::Pending => panic!("it waits"),
        }
    }

    #[test]
    fn clients_take_turns_however_much_each_asks_for() {
        let fair = Fair::new(1);
        let [many, one] = [client("many"), client("one")];
        let mut first = ask(&fair, &many);
        let mut second = ask(&fair, &many);
        let mut third = ask(&fair, &many);
        let mut other = ask(&fair, &one);
        let at_work = place(&mut first);
        assert!(polled(&mut second).is_pending());
        drop(at_work);
        let at_work = place(&mut second);
        assert!(polled(&mut third).is_pending() && polled(&mut other).is_pending());
        drop(at_work);
        // Its turn, though it came last.
        let at_work = place(&mut other);
        assert!(polled(&mut third).is_pending());
        drop(at_work);
        drop(place(&mut third));
        assert!(fair.state.lock().clients.is_empty());
    }

    #[test]
    fn the_last_place_is_for_who_holds_none() {
        let fair = Fair::new(3);
        let [many, one] = [client("many"), client("one")];
        let (mut first, mut second) = (ask(&fair, &many), ask(&fair, &many));
        let mut third = ask(&fair, &many);
        let at_work = [place(&mut first), place(&mut second)];
        assert!(polled(&mut third).is_pending());
        let mut other = ask(&fair, &one);
        let others = place(&mut other);
        assert!(polled(&mut third).is_pending());
        drop(at_work);
        place(&mut third);
        drop(others);
        assert_eq!(fair.state.lock().free, 3);
    }

    #[test]
    fn who_stops_waiting_leaves_its_place_to_the_next() {
        let fair = Fair::new(1);
        let [left, stays] = [client("left"), client("stays")];
        let mut first = ask(&fair, &stays);
        let at_work = place(&mut first);
        let gone = ask(&fair, &left);
        let mut next = ask(&fair, &stays);
        // One is gone before it has its place, the other with it.
        drop(gone);
        let given = ask(&fair, &left);
        drop(at_work);
        drop(given);
        place(&mut next);
        let state = fair.state.lock();
        assert_eq!((state.free, state.turns.len(), state.clients.len()), (1, 0, 0));
    }

    #[test]
    fn who_waits_no_more_takes_no_room_in_the_queue() {
        let fair = Fair::new(1);
        let one = client("one");
        let mut first = ask(&fair, &one);
        let at_work = place(&mut first);
        (0..1_000).for_each(|_| drop(ask(&fair, &one)));
        assert!(fair.state.lock().clients[&one].waiting.len() <= 1);
        let mut next = ask(&fair, &one);
        drop(at_work);
        place(&mut next);
    }
}
