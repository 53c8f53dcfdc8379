//! The log of every request that reached a simulated service.
//!
//! It holds who asked for what and what became of it, never a payload, a token or a password. Tests
//! count requests with it and enumerate the external steps of an operation. It remembers the last
//! [`CAPACITY`] requests, so that it never grows beyond that.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use http::Method;
use serde::Serialize;
use time::OffsetDateTime;
use tokio::sync::broadcast;

use crate::Service;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// 1 for the first request of this simulator, whatever the service.
    pub seq: u64,
    /// When it came, by the simulator's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The service that was asked.
    pub service: Service,
    /// The HTTP method.
    #[serde(serialize_with = "method_name")]
    pub method: Method,
    /// The path's template, such as `/v1/secrets/{id}`; the path itself where no template fits.
    pub template: String,
    /// The path as it was asked for, without its query.
    pub path: String,
    /// Name of the user behind the token (or of the user who asks for one).
    pub user: Option<String>,
    /// Name of the token's project (or of the project that is asked for).
    pub project: Option<String>,
    /// What a rule did to it, by the name of the action.
    pub fault: Option<&'static str>,
    /// The status that was sent; `None` as long as nothing was, or when the connection broke.
    pub status: Option<u16>,
    /// Whether a request that changes something was carried out with success.
    pub effect: bool,
}

fn method_name<S: serde::Serializer>(method: &Method, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(method.as_str())
}

/// How many requests the log remembers; older ones are forgotten.
pub const CAPACITY: usize = 1 << 16;

/// How far a follower may fall behind before it misses something.
const BEHIND: usize = 1 << 10;

/// What somebody is told who follows the log.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// A request has come, or something has become of it.
    Event(Event),
    /// The log begins anew, with number 1.
    Cleared,
}

#[derive(Debug)]
pub(crate) struct Events {
    log: Mutex<Log>,
    news: broadcast::Sender<News>,
}

#[derive(Debug, Default)]
struct Log {
    last: u64,
    events: VecDeque<Event>,
}

impl Default for Events {
    fn default() -> Self {
        Self { log: Mutex::default(), news: broadcast::Sender::new(BEHIND) }
    }
}

impl Events {
    /// Enters a request; its number is set here and returned.
    pub(crate) fn enter(&self, mut event: Event) -> u64 {
        self.with(|log| {
            log.last += 1;
            event.seq = log.last;
            self.publish(|| News::Event(event.clone()));
            if log.events.len() == CAPACITY {
                log.events.pop_front();
            }
            log.events.push_back(event);
            log.last
        })
    }

    pub(crate) fn told(&self, seq: u64, status: u16) {
        self.update(seq, |event| event.status = Some(status));
    }

    pub(crate) fn took_effect(&self, seq: u64) {
        self.update(seq, |event| event.effect = true);
    }

    pub(crate) fn all(&self) -> Vec<Event> {
        self.with(|log| log.events.iter().cloned().collect())
    }

    /// Those that are remembered of the ones after `seq`.
    pub(crate) fn after(&self, seq: u64) -> Vec<Event> {
        self.with(|log| log.after(seq))
    }

    /// Those after `seq`, and all that follows.
    pub(crate) fn follow(&self, seq: u64) -> (Vec<Event>, broadcast::Receiver<News>) {
        self.with(|log| (log.after(seq), self.news.subscribe()))
    }

    pub(crate) fn count(&self, fit: impl Fn(&Event) -> bool) -> usize {
        self.with(|log| log.events.iter().filter(|event| fit(event)).count())
    }

    /// Number of the last request.
    pub(crate) fn last(&self) -> u64 {
        self.with(|log| log.last)
    }

    pub(crate) fn clear(&self) {
        self.with(|log| {
            *log = Log::default();
            self.publish(|| News::Cleared);
        });
    }

    /// Under the lock, so that news come in order.
    fn publish(&self, news: impl FnOnce() -> News) {
        if self.news.receiver_count() > 0 {
            // Without a receiver after all there is nobody to tell.
            drop(self.news.send(news()));
        }
    }

    fn update(&self, seq: u64, change: impl FnOnce(&mut Event)) {
        self.with(|log| {
            if let Ok(place) = log.events.binary_search_by_key(&seq, |event| event.seq) {
                change(&mut log.events[place]);
                self.publish(|| News::Event(log.events[place].clone()));
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Log) -> T) -> T {
        act(&mut self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Log {
    fn after(&self, seq: u64) -> Vec<Event> {
        let from = self.events.partition_point(|event| event.seq <= seq);
        self.events.range(from..).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_requests_are_remembered_and_no_more() {
        let events = Events::default();
        let one = Event {
            seq: 0,
            at: OffsetDateTime::UNIX_EPOCH,
            service: Service::Barbican,
            method: Method::GET,
            template: "/".to_owned(),
            path: "/".to_owned(),
            user: None,
            project: None,
            fault: None,
            status: None,
            effect: false,
        };
        let beyond = 3;
        for _ in 0..CAPACITY + beyond {
            let seq = events.enter(one.clone());
            events.told(seq, 300);
        }
        events.told(1, 500);
        let all = events.all();
        assert_eq!((all.len(), all[0].seq), (CAPACITY, 4));
        assert!(all.iter().all(|event| event.status == Some(300)));
        assert_eq!(events.after(events.last() - 2), all[CAPACITY - 2..]);
        assert_eq!(events.with(|log| log.events.capacity()), CAPACITY);
    }
}
