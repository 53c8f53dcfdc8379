//! A seam for checkers: whoever stands at the turnstile decides when a writing transaction begins
//! and what becomes of its commit.
//!
//! Invariants: nothing is held (no connection, no place among the writers) while the turnstile is
//! asked; what it decides is carried out here, so that the caller cannot tell it from a database
//! that failed. Does not see values: statements have placeholders. A store without a turnstile pays
//! nothing.

use async_trait::async_trait;
use std::fmt;

/// Watches the transactions of one handle, and holds back those that may write.
#[async_trait]
pub trait Turnstile: Send + Sync + fmt::Debug {
    /// Asked before a transaction that may write begins. It begins when this returns.
    async fn enter(&self) -> Passage;

    /// A transaction is about to begin, reading or writing.
    fn begins(&self);

    /// It is about to run this statement.
    fn statement(&self, sql: &str);

    /// That transaction is over: committed, or rolled back.
    fn over(&self, committed: bool);

    /// The transaction has committed and holds nothing any more; its caller hears of it when this
    /// returns.
    async fn leave(&self);
}

/// What becomes of a transaction that may write.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Passage {
    /// It is carried out.
    Free,
    /// It does not begin.
    NoBegin,
    /// Its commit fails, and nothing happens.
    NoCommit,
    /// It commits, and its caller is told of a failure.
    ReplyLost,
}
