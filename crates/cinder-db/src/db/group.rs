//! Group commit for SQLite: writers that wait for each other share one commit.
//!
//! SQLite has one writer, and each commit waits for the disk. So a writer finds the transaction
//! open that the one before it has used, does its part in a savepoint, and is told of success when
//! the commit that they share has succeeded. Whoever opens a group also has it closed: by a task
//! that queues for it at once, behind those who are waiting already, and ends with nobody's
//! future. A writer without company commits as soon as it is done.
//!
//! Invariants: success is told after the commit; a part that is rolled back takes no other with
//! it; a group that is lost leaves nothing behind, and its members are told that it was
//! interrupted. What a member sees of those before it in the group has happened, or fails with it.

use crate::DbError;
use crate::dialect::Dialect;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{Sqlite, SqliteConnection, SqlitePool};
use sqlx::{Executor as _, Transaction};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

const BEGIN_PART: &str = "SAVEPOINT part";
const END_PART: &str = "RELEASE part";
const UNDO_PART: &str = "ROLLBACK TO part; RELEASE part";

/// The groups of one database, one after another.
#[derive(Clone, Debug)]
pub(super) struct Groups {
    pool: SqlitePool,
    current: Arc<Mutex<Group>>,
}

/// The group that is open, if one is.
#[derive(Debug, Default)]
struct Group {
    connection: Option<PoolConnection<Sqlite>>,
    /// Those whose part is done.
    members: Vec<oneshot::Sender<Result<(), DbError>>>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    /// Between two parts.
    #[default]
    Sound,
    /// Within the first part, which has nobody before it to spare: it needs no savepoint.
    First,
    /// Within a later part.
    Part,
    /// It may be that there is no transaction.
    Lost,
}

/// A transaction on SQLite.
#[derive(Debug)]
pub(super) enum SqliteTxn {
    Reading(Transaction<'static, Sqlite>),
    Writing(Part),
}

/// One writer's part in a group. Dropped before its end, it is undone by whoever comes next.
#[derive(Debug)]
pub(super) struct Part(OwnedMutexGuard<Group>);

impl Groups {
    pub(super) fn new(pool: SqlitePool) -> Self {
        Self { pool, current: Arc::default() }
    }

    /// Begins a part, in the group that is open or in a new one.
    pub(super) async fn join(&self) -> Result<Part, sqlx::Error> {
        let mut group = Arc::clone(&self.current).lock_owned().await;
        group.tidy().await;
        if group.connection.is_none() {
            self.open(&mut group).await?;
            return Ok(Part(group));
        }
        group.state = State::Part;
        if let Err(error) = group.run(BEGIN_PART).await {
            group.state = State::Lost;
            return Err(error);
        }
        Ok(Part(group))
    }

    async fn open(&self, group: &mut Group) -> Result<(), sqlx::Error> {
        let connection = self.pool.acquire().await?;
        // Until it is known to have begun: this future may end here.
        group.state = State::Lost;
        group.connection = Some(connection);
        let current = Arc::clone(&self.current);
        tokio::spawn(async move { current.lock_owned().await.close().await });
        group.run(Dialect::Sqlite.begin_write()).await?;
        group.state = State::First;
        Ok(())
    }
}

impl Group {
    async fn run(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        match self.connection.as_deref_mut() {
            Some(connection) => connection.execute(sql).await.map(|_done| ()),
            None => Err(sqlx::Error::PoolClosed),
        }
    }

    /// Undoes a part that was not ended, and ends a group that is lost.
    async fn tidy(&mut self) {
        if self.state == State::Part {
            self.state = State::Lost;
            if self.run(UNDO_PART).await.is_ok() {
                self.state = State::Sound;
            }
        }
        if matches!(self.state, State::First | State::Lost) {
            let interrupted = || DbError::Interrupted("the group of writers was lost".to_owned());
            self.end(|| Err(interrupted())).await;
        }
    }

    /// Commits, unless there is nothing to commit.
    async fn close(&mut self) {
        self.tidy().await;
        if self.connection.is_none() {
            return;
        }
        if self.members.is_empty() {
            self.end(|| Ok(())).await;
            return;
        }
        self.state = State::Lost;
        match self.run("COMMIT").await {
            Ok(()) => {
                self.state = State::Sound;
                self.connection = None;
                for member in self.members.drain(..) {
                    // One that has gone need not know.
                    let _gone = member.send(Ok(()));
                }
            }
            Err(error) => {
                let words = error.to_string();
                self.end(|| Err(DbError::Database(words.clone()))).await;
            }
        }
    }

    /// Rolls back what there is, and tells the members.
    async fn end(&mut self, told: impl Fn() -> Result<(), DbError>) {
        // Where there is no transaction any more there is nothing to roll back.
        let _none = self.run("ROLLBACK").await;
        self.state = State::Sound;
        self.connection = None;
        for member in self.members.drain(..) {
            let _gone = member.send(told());
        }
    }
}

impl SqliteTxn {
    /// Success is told when it is on disk.
    pub(super) async fn commit(self) -> Result<(), DbError> {
        let mut group = match self {
            Self::Reading(txn) => return txn.commit().await.map_err(DbError::of_commit),
            Self::Writing(Part(group)) => group,
        };
        if group.state == State::Part
            && let Err(error) = group.run(END_PART).await
        {
            group.state = State::Lost;
            return Err(DbError::of_commit(error));
        }
        group.state = State::Sound;
        let (sender, told) = oneshot::channel();
        group.members.push(sender);
        drop(group);
        told.await.unwrap_or_else(|_lost| {
            Err(DbError::Database("the runtime ended before the commit".to_owned()))
        })
    }

    pub(super) async fn rollback(self) -> Result<(), DbError> {
        match self {
            Self::Reading(txn) => Ok(txn.rollback().await?),
            Self::Writing(Part(mut group)) => {
                group.tidy().await;
                Ok(())
            }
        }
    }
}

impl Deref for SqliteTxn {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        match self {
            Self::Reading(txn) => txn,
            Self::Writing(Part(group)) => group.connection.as_deref().expect(OPEN),
        }
    }
}

impl DerefMut for SqliteTxn {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        match self {
            Self::Reading(txn) => txn,
            Self::Writing(Part(group)) => group.connection.as_deref_mut().expect(OPEN),
        }
    }
}

/// A part exists only while its group is open: the guard that it holds keeps all others out.
const OPEN: &str = "a part without an open group";

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};

    struct Fixture {
        _folder: tempfile::TempDir,
        groups: Groups,
    }

    impl Fixture {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let options = SqliteConnectOptions::new()
                .filename(folder.path().join("test.db"))
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal);
            let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options);
            let pool = pool.await.unwrap();
            pool.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)").await.unwrap();
            Self { _folder: folder, groups: Groups::new(pool) }
        }

        async fn part(&self, id: i64) -> SqliteTxn {
            let mut txn = SqliteTxn::Writing(self.groups.join().await.unwrap());
            let insert = sqlx::query("INSERT INTO t VALUES (?)").bind(id);
            insert.execute(&mut *txn).await.unwrap();
            txn
        }

        async fn rows(&self) -> Vec<i64> {
            let select = sqlx::query_scalar("SELECT id FROM t ORDER BY id");
            select.fetch_all(&self.groups.pool).await.unwrap()
        }
    }

    #[tokio::test]
    async fn parts_that_are_dropped_or_rolled_back_take_no_other_with_them() {
        let fixture = Fixture::new().await;
        let all = (0..30).map(|id| {
            let fixture = &fixture;
            async move {
                let txn = fixture.part(id).await;
                match id % 3 {
                    0 => txn.commit().await.unwrap(),
                    1 => drop(txn),
                    _ => txn.rollback().await.unwrap(),
                }
            }
        });
        join_all(all).await;
        assert_eq!(fixture.rows().await, (0..30).step_by(3).collect::<Vec<i64>>());
    }

    #[tokio::test]
    async fn those_who_wait_for_each_other_are_all_told_of_success() {
        let fixture = Fixture::new().await;
        let all = (0..9).map(|id| {
            let fixture = &fixture;
            async move { fixture.part(id).await.commit().await }
        });
        for told in join_all(all).await {
            told.unwrap();
        }
        assert_eq!(fixture.rows().await, (0..9).collect::<Vec<_>>());
    }

    /// Who shares a group with whom is left to the moment.
    #[tokio::test]
    async fn of_a_group_that_is_lost_nothing_is_left_and_nobody_is_told_of_success() {
        let fixture = Fixture::new().await;
        let losing = async {
            let mut txn = fixture.part(2).await;
            // As the database itself does when its disk is full.
            txn.execute("ROLLBACK").await.unwrap();
            txn.commit().await
        };
        let sharing = async |id| (id, fixture.part(id).await.commit().await);
        let (before, lost, after) = tokio::join!(sharing(0), losing, sharing(1));
        assert!(lost.is_err());
        let mut kept = Vec::new();
        for (id, told) in [before, after] {
            match told {
                Ok(()) => kept.push(id),
                Err(DbError::Interrupted(_)) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(fixture.rows().await, kept);
        fixture.part(3).await.commit().await.unwrap();
        kept.push(3);
        assert_eq!(fixture.rows().await, kept);
    }

    #[tokio::test]
    async fn a_commit_whose_future_is_dropped_happens_all_the_same_or_not_at_all() {
        let fixture = Fixture::new().await;
        let txn = fixture.part(1).await;
        let mut committing = Box::pin(txn.commit());
        assert!(futures::FutureExt::now_or_never(committing.as_mut()).is_none());
        drop(committing);
        fixture.part(2).await.commit().await.unwrap();
        assert_eq!(fixture.rows().await, [1, 2]);
    }
}
