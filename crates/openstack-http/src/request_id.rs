//! The id under which services log what belongs to one request of a user's.
//!
//! It goes with the task, not with the client: whatever a task asks of any service carries the id
//! under which the task runs. A task that is spawned has to be given it anew.

use http::HeaderValue;
use std::future::Future;

tokio::task_local! {
    static CURRENT: RequestId;
}

/// A global request id, `req-` and a UUID: services log it beside their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Reads an id as oslo.middleware does: anything else than `req-<uuid>` in lower case is none.
    pub fn parse(text: &str) -> Option<Self> {
        let uuid = text.strip_prefix("req-")?;
        let formed = uuid.len() == 36
            && uuid.char_indices().all(|(at, c)| match at {
                8 | 13 | 18 | 23 => c == '-',
                _ => matches!(c, '0'..='9' | 'a'..='f'),
            });
        if formed { HeaderValue::from_str(text).ok().map(Self) } else { None }
    }

    /// As a header carries it.
    pub fn header(&self) -> &HeaderValue {
        &self.0
    }

    /// The id under which this task runs.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Runs a task under an id, if there is one.
    pub async fn during<T>(id: Option<Self>, task: impl Future<Output = T>) -> T {
        match id {
            Some(id) => CURRENT.scope(id, task).await,
            None => task.await,
        }
    }
}
