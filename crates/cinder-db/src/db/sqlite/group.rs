//! Group commit: writers that wait for each other share one commit.
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

use super::connection::Connection;
use super::readers::closed;
use crate::DbError;
use crate::dialect::{Dialect, SqliteFile};
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

const BEGIN_PART: &str = "SAVEPOINT part";
const END_PART: &str = "RELEASE part";
const UNDO_PART: &str = "ROLLBACK TO part";

/// The groups of one database, one after another, on one connection.
#[derive(Clone, Debug)]
pub(super) struct Groups {
    file: SqliteFile,
    current: Arc<Mutex<Group>>,
}

/// The group that is open, if one is.
#[derive(Debug)]
struct Group {
    /// `None` when it was lost; it is opened anew then.
    connection: Option<Connection>,
    is_open: bool,
    /// Those whose part is done.
    members: Vec<oneshot::Sender<Result<(), DbError>>>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Between two parts.
    Sound,
    /// Within the first part, which has nobody before it to spare: it needs no savepoint.
    First,
    /// Within a later part.
    Part,
    /// It may be that there is no transaction.
    Lost,
    /// There will be no other group.
    Closed,
}

/// One writer's part in a group. Dropped before its end, it is undone by whoever comes next.
#[derive(Debug)]
pub(in crate::db) struct Part(OwnedMutexGuard<Group>);

/// The connection between two groups.
#[derive(Debug)]
pub(in crate::db) struct Alone(OwnedMutexGuard<Group>);

impl Groups {
    pub(super) fn new(file: SqliteFile, connection: Connection) -> Self {
        let group = Group {
            connection: Some(connection),
            is_open: false,
            members: Vec::new(),
            state: State::Sound,
        };
        Self { file, current: Arc::new(Mutex::new(group)) }
    }

    /// Begins a part, in the group that is open or in a new one.
    pub(super) async fn join(&self) -> Result<Part, DbError> {
        let mut group = Arc::clone(&self.current).lock_owned().await;
        group.tidy();
        if !group.is_open {
            self.open(&mut group).await?;
        } else if let Err(error) = group.run(BEGIN_PART) {
            group.state = State::Lost;
            return Err(error);
        } else {
            group.state = State::Part;
        }
        Ok(Part(group))
    }

    async fn open(&self, group: &mut Group) -> Result<(), DbError> {
        // Lost with this future, if that ends early.
        let connection = self.connection(group)?;
        group.connection = Some(connection.begin(Dialect::Sqlite.begin_write()).await?);
        (group.is_open, group.state) = (true, State::First);
        let current = Arc::clone(&self.current);
        tokio::spawn(async move { current.lock_owned().await.commit().await });
        Ok(())
    }

    /// The connection for whoever reads where there is no other. A group that is open is ended.
    pub(super) async fn alone(&self) -> Result<Alone, DbError> {
        let mut group = Arc::clone(&self.current).lock_owned().await;
        group.commit().await;
        group.connection = Some(self.connection(&mut group)?);
        Ok(Alone(group))
    }

    fn connection(&self, group: &mut Group) -> Result<Connection, DbError> {
        match group.connection.take() {
            _any if group.state == State::Closed => Err(closed()),
            Some(connection) => Ok(connection),
            None => Ok(Connection::open_to_write(&self.file)?),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.current.try_lock().is_ok_and(|group| !group.is_open)
    }

    /// Ends the group that is open; there is none after it.
    pub(super) async fn close(&self) {
        let mut group = Arc::clone(&self.current).lock_owned().await;
        group.commit().await;
        (group.connection, group.state) = (None, State::Closed);
    }
}

impl Group {
    fn connection(&self) -> Result<&Connection, DbError> {
        self.connection.as_ref().ok_or_else(closed)
    }

    fn run(&self, sql: &'static str) -> Result<(), DbError> {
        self.connection()?.run(sql)
    }

    /// Undoes a part that was not ended, and ends a group that is lost.
    fn tidy(&mut self) {
        if self.state == State::Part {
            let undone = self.run(UNDO_PART).and_then(|()| self.run(END_PART)).is_ok();
            self.state = if undone { State::Sound } else { State::Lost };
        }
        if matches!(self.state, State::First | State::Lost) {
            self.end(|| DbError::Interrupted("the group of writers was lost".to_owned()));
        }
    }

    /// Commits, if there is anything to commit.
    async fn commit(&mut self) {
        self.tidy();
        if !self.is_open {
            return;
        }
        // From here on the connection is whole again only after the commit.
        self.is_open = false;
        let committed = match self.connection.take() {
            Some(connection) => connection.commit().await,
            None => Err(closed()),
        };
        let told = committed.map(|connection| self.connection = Some(connection));
        let words = told.map_err(|error| error.to_string());
        for member in self.members.drain(..) {
            // One that has gone need not know.
            let _gone = member.send(words.clone().map_err(DbError::Database));
        }
    }

    /// Rolls back what there is, and tells the members.
    fn end(&mut self, why: impl Fn() -> DbError) {
        if self.connection().and_then(Connection::reset).is_err() {
            // Closed, it leaves nothing behind either.
            self.connection = None;
        }
        (self.is_open, self.state) = (false, State::Sound);
        for member in self.members.drain(..) {
            let _gone = member.send(Err(why()));
        }
    }
}

impl Part {
    pub(super) fn connection(&self) -> Result<&Connection, DbError> {
        self.0.connection()
    }

    /// Success is told when it is on disk.
    pub(super) async fn commit(self) -> Result<(), DbError> {
        let Self(mut group) = self;
        if group.state == State::Part
            && let Err(error) = group.run(END_PART)
        {
            group.state = State::Lost;
            return Err(error);
        }
        group.state = State::Sound;
        let (sender, told) = oneshot::channel();
        group.members.push(sender);
        drop(group);
        told.await.unwrap_or_else(|_lost| {
            Err(DbError::Database("the runtime ended before the commit".to_owned()))
        })
    }

    pub(super) fn roll_back(self) {
        let Self(mut group) = self;
        group.tidy();
    }
}

impl Alone {
    pub(super) fn connection(&self) -> Result<&Connection, DbError> {
        self.0.connection()
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        if self.connection().and_then(Connection::reset).is_err() {
            self.0.connection = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::SqliteFile;
    use futures::future::join_all;
    use sea_query::Values;

    struct Fixture {
        _folder: tempfile::TempDir,
        groups: Groups,
    }

    fn nothing() -> Values {
        Values(Vec::new())
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("test.db");
            let file = SqliteFile::read(&format!("{}?mode=rwc", path.display())).unwrap();
            let connection = Connection::open(&file).unwrap();
            connection.run("CREATE TABLE t (id INTEGER PRIMARY KEY)").unwrap();
            Self { _folder: folder, groups: Groups::new(file, connection) }
        }

        async fn part(&self, id: i64) -> Part {
            let part = self.groups.join().await.unwrap();
            let insert = format!("INSERT INTO t VALUES ({id})");
            part.connection().unwrap().execute(&insert, &nothing()).unwrap();
            part
        }

        fn rows(&self) -> Vec<i64> {
            let connection = Connection::open(&self.groups.file).unwrap();
            let rows = connection.rows("SELECT id FROM t ORDER BY id", &nothing(), 100).unwrap();
            rows.iter().map(|row| row.integer("id").unwrap().unwrap()).collect()
        }
    }

    #[tokio::test]
    async fn parts_that_are_dropped_or_rolled_back_take_no_other_with_them() {
        let fixture = Fixture::new();
        let all = (0..30).map(|id| {
            let fixture = &fixture;
            async move {
                let part = fixture.part(id).await;
                match id % 3 {
                    0 => part.commit().await.unwrap(),
                    1 => drop(part),
                    _ => part.roll_back(),
                }
            }
        });
        join_all(all).await;
        assert_eq!(fixture.rows(), (0..30).step_by(3).collect::<Vec<i64>>());
    }

    #[tokio::test]
    async fn those_who_wait_for_each_other_are_all_told_of_success() {
        let fixture = Fixture::new();
        let all = (0..9).map(|id| {
            let fixture = &fixture;
            async move { fixture.part(id).await.commit().await }
        });
        for told in join_all(all).await {
            told.unwrap();
        }
        assert_eq!(fixture.rows(), (0..9).collect::<Vec<_>>());
    }

    /// Who shares a group with whom is left to the moment.
    #[tokio::test]
    async fn of_a_group_that_is_lost_nothing_is_left_and_nobody_is_told_of_success() {
        let fixture = Fixture::new();
        let losing = async {
            let part = fixture.part(2).await;
            // As the database itself does when its disk is full.
            part.connection().unwrap().run("ROLLBACK").unwrap();
            part.commit().await
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
        assert_eq!(fixture.rows(), kept);
        fixture.part(3).await.commit().await.unwrap();
        kept.push(3);
        assert_eq!(fixture.rows(), kept);
    }

    #[tokio::test]
    async fn a_commit_whose_future_is_dropped_happens_all_the_same_or_not_at_all() {
        let fixture = Fixture::new();
        let part = fixture.part(1).await;
        let mut committing = Box::pin(part.commit());
        assert!(futures::FutureExt::now_or_never(committing.as_mut()).is_none());
        drop(committing);
        fixture.part(2).await.commit().await.unwrap();
        assert_eq!(fixture.rows(), [1, 2]);
    }

    #[tokio::test]
    async fn a_writer_of_another_process_is_waited_for() {
        let fixture = Fixture::new();
        let other = Connection::open(&fixture.groups.file).unwrap();
        other.run("BEGIN IMMEDIATE").unwrap();
        other.run("INSERT INTO t VALUES (1)").unwrap();
        let mut joining = Box::pin(fixture.part(2));
        assert!(futures::FutureExt::now_or_never(joining.as_mut()).is_none());
        other.run("COMMIT").unwrap();
        joining.await.commit().await.unwrap();
        assert_eq!(fixture.rows(), [1, 2]);
    }

    #[tokio::test]
    async fn nobody_is_let_in_after_the_end_and_whoever_was_before_has_committed() {
        let fixture = Fixture::new();
        let part = fixture.part(1).await;
        let ((), told) = tokio::join!(fixture.groups.close(), part.commit());
        told.unwrap();
        assert!(fixture.groups.join().await.is_err());
        assert_eq!(fixture.rows(), [1]);
    }
}
