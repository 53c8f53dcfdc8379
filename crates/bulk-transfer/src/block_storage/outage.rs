//! Outages of a service: told once when one begins, and once when it is over.
//!
//! One lasts as long as anybody waits to ask again: many that wait at once are in the same outage.

use openstack_http::Failure;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What is told of an outage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outage {
    /// A cloud gives no answer to go by.
    Begun {
        /// Its name.
        cloud: String,
        /// What it said, if anything.
        said: String,
        /// How long it takes until it is asked again, for the first time.
        again: Duration,
    },
    /// Everybody who waited has an answer.
    Over {
        /// The name of the cloud.
        cloud: String,
    },
}

/// Who waits for a service, and who hears of it.
pub(crate) struct Watch {
    cloud: String,
    tell: Box<dyn Fn(&Outage) + Send + Sync>,
    waiting: Mutex<usize>,
}

impl Watch {
    pub(crate) fn new(cloud: &str, tell: impl Fn(&Outage) + Send + Sync + 'static) -> Self {
        Self { cloud: cloud.to_owned(), tell: Box::new(tell), waiting: Mutex::new(0) }
    }

    fn begin(&self, failure: &Failure, again: Duration) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting += 1;
        if *waiting == 1 {
            let (cloud, said) = (self.cloud.clone(), failure.to_string());
            (self.tell)(&Outage::Begun { cloud, said, again });
        }
    }

    fn end(&self, is_answered: bool) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting -= 1;
        if *waiting == 0 && is_answered {
            (self.tell)(&Outage::Over { cloud: self.cloud.clone() });
        }
    }
}

/// One that asks a service, and may have to wait for it.
#[derive(Default)]
pub(crate) struct Waiting<'a>(Option<&'a Watch>);

impl<'a> Waiting<'a> {
    /// Waits from now on, if it does not yet; for a refusal nobody does.
    pub(crate) fn begin(&mut self, watch: &'a Watch, failure: &Failure, again: Duration) {
        if matches!(failure, Failure::Unknown(_)) && self.0.is_none() {
            watch.begin(failure, again);
            self.0 = Some(watch);
        }
    }

    /// Waits no more after an answer, be it a no.
    pub(crate) fn hear<T>(&mut self, outcome: &Result<T, Failure>) {
        if !matches!(outcome, Err(Failure::Unknown(_))) {
            self.answered();
        }
    }

    pub(crate) fn answered(&mut self) {
        self.end(true);
    }

    fn end(&mut self, is_answered: bool) {
        if let Some(watch) = self.0.take() {
            watch.end(is_answered);
        }
    }
}

/// Gives up.
impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.end(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// One of three that wait hears that the service does not answer, that it does, or gives up.
    #[derive(Clone, Copy)]
    enum Step {
        Unknown(usize),
        Answer(usize),
        GiveUp(usize),
    }

    #[test]
    fn an_outage_is_told_once_however_many_wait_for_its_end() {
        use Step::{Answer, GiveUp, Unknown};
        let cases: [(&[Step], &str); 6] = [
            (&[Answer(0)], ""),
            (&[Unknown(0), Unknown(0), Answer(0)], "begun over "),
            (&[Unknown(0), Unknown(1), Answer(0), Unknown(2), Answer(1)], "begun "),
            (&[Unknown(0), Unknown(1), Answer(0), Answer(1), Answer(1)], "begun over "),
            (&[Unknown(0), Unknown(1), Answer(0), GiveUp(1)], "begun "),
            (&[Unknown(0), GiveUp(0), Unknown(1), Answer(1)], "begun begun over "),
        ];
        for (number, (steps, expected)) in cases.into_iter().enumerate() {
            let told = Arc::new(Mutex::new(String::new()));
            let heard = Arc::clone(&told);
            let watch = Watch::new("c", move |outage| {
                *heard.lock().unwrap() += match outage {
                    Outage::Begun { .. } => "begun ",
                    Outage::Over { .. } => "over ",
                };
            });
            let mut all: [Waiting<'_>; 3] = Default::default();
            for step in steps {
                match *step {
                    Unknown(who) => {
                        let failure = Failure::unreadable("a list");
                        all[who].hear::<()>(&Err(failure.clone()));
                        all[who].begin(&watch, &failure, Duration::ZERO);
                    }
                    Answer(who) => all[who].hear(&Ok(())),
                    GiveUp(who) => all[who] = Waiting::default(),
                }
            }
            assert_eq!(*told.lock().unwrap(), expected, "case {number}");
        }
    }
}
