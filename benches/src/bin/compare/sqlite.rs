//! The other side: the same jobs in SQLite, in memory, as a good engineer would keep them.
//!
//! One row a job, one column for each field that can be set today; times in microseconds, uuids as
//! bytes, words as numbers, unset texts as NULL, and what is a list or a map as JSON. The indexes are
//! on uuid, state and start, start, end, code, and expiry. Statements are prepared once.

use std::collections::BTreeMap;
use std::num::NonZeroI64;
use std::path::Path;
use std::time::Duration;

use jobtrack::{
    Action, Actor, Allows, Argument, Cause, JobError, JobId, JobParts, Progress, Request, Revision,
    Scope, State, Timestamp,
};
use jobtrack_benches::{Asked, QueryClass, Sql, state_number};
use rusqlite::types::Type;
use rusqlite::{Connection, Result, Row, Statement, params};

/// Made before anything is loaded. Temporary b-trees of sorts stay in memory, as all else does.
const SCHEMA: &str = "
    PRAGMA temp_store = MEMORY;
    CREATE TABLE job (
        id INTEGER PRIMARY KEY, uuid BLOB NOT NULL, state INTEGER NOT NULL, cause INTEGER,
        description TEXT, message TEXT, code INTEGER NOT NULL,
        error_target TEXT, error_arguments TEXT,
        create_time INTEGER NOT NULL, start_time INTEGER, end_time INTEGER,
        update_time INTEGER NOT NULL,
        retention INTEGER NOT NULL, retained_from INTEGER, expire_time INTEGER,
        kind TEXT, node TEXT, scope_name TEXT, scope_id TEXT, labels TEXT,
        progress_done INTEGER, progress_total INTEGER, progress_unit TEXT,
        allows_pause INTEGER NOT NULL, allows_cancel INTEGER NOT NULL,
        cooperative INTEGER NOT NULL,
        requested_action INTEGER, requested_by TEXT, requested_time INTEGER, requested_reason TEXT,
        revision INTEGER NOT NULL
    );";

/// Made after a bulk load, which is far faster than keeping them up meanwhile.
const INDEXES: &str = "
    CREATE UNIQUE INDEX job_uuid ON job (uuid);
    CREATE INDEX job_state_start ON job (state, start_time);
    CREATE INDEX job_start ON job (start_time);
    CREATE INDEX job_end ON job (end_time);
    CREATE INDEX job_code ON job (code);
    CREATE INDEX job_expire ON job (expire_time);";

/// What is read of each job, in the order of [`record`], and written, in that of [`insert`].
const COLUMNS: &str = "uuid, state, cause, description, message, code, error_target, \
    error_arguments, create_time, start_time, end_time, update_time, retention, retained_from, \
    expire_time, kind, node, scope_name, scope_id, labels, progress_done, progress_total, \
    progress_unit, allows_pause, allows_cancel, cooperative, requested_action, requested_by, \
    requested_time, requested_reason";

/// A database of jobs.
#[derive(Debug)]
pub(crate) struct Sqlite(pub(crate) Connection);

/// What a query answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// The jobs, in order; their revisions are each side's own and left out.
    Records(Vec<JobParts>),
    /// A number of jobs.
    Count(u64),
    /// Numbers of jobs by kind and number of the state.
    Counts(BTreeMap<(String, i64), u64>),
}

impl Answer {
    /// How many records it has, or jobs it counts.
    pub(crate) fn rows(&self) -> u64 {
        match self {
            Answer::Records(jobs) => jobs.len() as u64,
            Answer::Count(count) => *count,
            Answer::Counts(counts) => counts.values().sum(),
        }
    }
}

impl Sqlite {
    /// An empty table without indexes.
    pub(crate) fn new() -> Self {
        Sqlite::of(Connection::open_in_memory().expect("memory can be had"))
    }

    /// An empty table with its indexes in a new file, as durable as a synced commit of a tracker.
    pub(crate) fn in_file(path: &Path) -> Self {
        let connection = Connection::open(path).expect("a file can be made");
        let durable = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";
        connection.execute_batch(durable).expect("a file can be journaled");
        let sqlite = Sqlite::of(connection);
        sqlite.index();
        sqlite
    }

    fn of(connection: Connection) -> Self {
        connection.execute_batch(SCHEMA).expect("the schema is right");
        connection.set_prepared_statement_cache_capacity(64);
        Sqlite(connection)
    }

    pub(crate) fn begin(&self) {
        self.0.execute_batch("BEGIN").expect("nothing else has begun");
    }

    pub(crate) fn commit(&self) {
        self.0.execute_batch("COMMIT").expect("memory can be had");
    }

    pub(crate) fn index(&self) {
        self.0.execute_batch(INDEXES).expect("memory can be had");
    }

    /// Lets the planner know the data.
    pub(crate) fn analyze(&self) {
        self.0.execute_batch("ANALYZE").expect("memory can be had");
    }

    /// The statement that inserts a job, prepared.
    pub(crate) fn inserter(&self) -> Inserter<'_> {
        let values = "?, ".repeat(COLUMNS.split(',').count());
        let statement = format!("INSERT INTO job ({COLUMNS}, revision) VALUES ({values}1)");
        Inserter(self.0.prepare(&statement).expect("the statement is right"))
    }

    /// How many jobs there are of each kind in each state.
    pub(crate) fn counts(&self) -> Answer {
        let mut statement = self.0.prepare_cached(COUNTS).expect("the statement is right");
        counts(&mut statement).expect("the statement can be run")
    }

    /// The job of this uuid.
    pub(crate) fn get(&self, id: JobId) -> Answer {
        let statement = format!("SELECT {COLUMNS} FROM job WHERE uuid = ?1");
        let mut statement = self.0.prepare_cached(&statement).expect("the statement is right");
        let job = statement.query_row([id.as_bytes()], record).expect("the job is there");
        Answer::Records(vec![job])
    }

    /// Bytes of all its pages, free ones included. What its cache needs for each page besides is
    /// not counted, in its favour.
    pub(crate) fn bytes(&self) -> u64 {
        let pragma = |name: &str| {
            let number = self.0.pragma_query_value(None, name, |row| number(row, 0));
            number.expect("there is such a pragma")
        };
        pragma("page_count") * pragma("page_size")
    }

    /// What the class asks, with ties as a tracker has them.
    pub(crate) fn ask_exactly(&self, class: &QueryClass) -> Answer {
        let sql = Sql { order: class.sql.exact_order(), ..class.sql.clone() };
        self.prepare(&QueryClass { sql, ..class.clone() }).ask(0)
    }

    /// The class's query, ready to be asked any number of times.
    pub(crate) fn prepare<'a>(&'a self, class: &'a QueryClass) -> Prepared<'a> {
        let statement = self.0.prepare(&statement(class)).expect("the statement is right");
        Prepared { statement, asked: &class.asked }
    }

    /// How SQLite is going to answer, in its own words.
    pub(crate) fn plan(&self, class: &QueryClass) -> String {
        let explain = format!("EXPLAIN QUERY PLAN {}", statement(class));
        let mut statement = self.0.prepare(&explain).expect("the statement is right");
        let unbound = statement.parameter_count();
        for n in 1..=unbound {
            statement.raw_bind_parameter(n, [0_u8; 16]).expect("there is such a parameter");
        }
        let mut steps = Vec::new();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().expect("a plan can be read") {
            steps.push(row.get::<_, String>("detail").expect("a step is text"));
        }
        steps.join("; ")
    }
}

/// A query that was prepared.
pub(crate) struct Prepared<'a> {
    statement: Statement<'a>,
    asked: &'a Asked,
}

impl Prepared<'_> {
    /// Asks for the `turn`th time.
    pub(crate) fn ask(&mut self, turn: usize) -> Answer {
        self.answer(turn).expect("the statement can be run")
    }

    fn answer(&mut self, turn: usize) -> Result<Answer> {
        let statement = &mut self.statement;
        Ok(match self.asked {
            Asked::Get(ids) => {
                let id = ids[turn % ids.len()];
                Answer::Records(vec![statement.query_row([id.as_bytes()], record)?])
            }
            Asked::Page(_) => {
                Answer::Records(statement.query_map([], record)?.collect::<Result<_>>()?)
            }
            Asked::Count(_) => Answer::Count(statement.query_row([], |row| number(row, 0))?),
            Asked::Counts => counts(statement)?,
        })
    }
}

/// How many jobs there are of each kind in each state.
const COUNTS: &str = "SELECT kind, state, count(*) FROM job GROUP BY kind, state";

/// What this is asked, by a statement of [`COUNTS`].
fn counts(statement: &mut Statement<'_>) -> Result<Answer> {
    let read = |row: &Row<'_>| Ok(((text(row, 0)?, row.get(1)?), number(row, 2)?));
    Ok(Answer::Counts(statement.query_map([], read)?.collect::<Result<_>>()?))
}

/// The statement that inserts a job.
pub(crate) struct Inserter<'a>(Statement<'a>);

impl Inserter<'_> {
    pub(crate) fn insert(&mut self, job: &JobParts) {
        insert(&mut self.0, job).expect("a new job can be inserted");
    }
}

/// What SQLite is asked for this class.
fn statement(class: &QueryClass) -> String {
    let filter = match class.sql.filter.as_str() {
        "" => String::new(),
        filter => format!(" WHERE {filter}"),
    };
    match &class.asked {
        Asked::Get(_) => format!("SELECT {COLUMNS} FROM job WHERE uuid = ?1"),
        Asked::Page(query) => {
            let records = query.max_records.expect("a page of a size");
            let order = &class.sql.order;
            format!("SELECT {COLUMNS} FROM job{filter} ORDER BY {order} LIMIT {records}")
        }
        Asked::Count(_) => format!("SELECT count(*) FROM job{filter}"),
        Asked::Counts => COUNTS.to_owned(),
    }
}

fn insert(statement: &mut Statement<'_>, job: &JobParts) -> Result<usize> {
    let error = job.error.as_ref().filter(|error| !error.arguments.is_empty());
    let arguments = error.map(|error| json(&error.arguments));
    let labels = (!job.labels.is_empty()).then(|| json(&job.labels));
    let progress = job.progress.as_ref();
    let request = job.requested.as_ref();
    statement.execute(params![
        job.uuid.as_bytes(),
        state_number(job.state),
        job.cause.map(|cause| place(Cause::ALL, &cause)),
        set(&job.description),
        set(&job.message),
        job.code,
        job.error.as_ref().and_then(|error| set(&error.target)),
        arguments,
        job.create_time.as_micros(),
        job.start_time.map(Timestamp::as_micros),
        job.end_time.map(Timestamp::as_micros),
        job.update_time.as_micros(),
        micros(job.retention),
        job.retained_from.map(Timestamp::as_micros),
        job.expire_time.map(Timestamp::as_micros),
        set(&job.kind),
        set(&job.node),
        job.scope.as_ref().and_then(|scope| set(&scope.name)),
        job.scope.as_ref().and_then(|scope| set(&scope.id)),
        labels,
        progress.map(|progress| progress.done.cast_signed()),
        progress.and_then(|progress| progress.total).map(u64::cast_signed),
        progress.and_then(|progress| set(&progress.unit)),
        job.allows.pause,
        job.allows.cancel,
        job.cooperative,
        request.map(|request| place(Action::ALL, &request.action)),
        request.and_then(|request| set(request.by.name())),
        request.map(|request| request.time.as_micros()),
        request.and_then(|request| set(&request.reason)),
    ])
}

/// The job of a row of [`COLUMNS`].
fn record(row: &Row<'_>) -> Result<JobParts> {
    let number_of_state: i64 = row.get(1)?;
    let state = State::ALL.iter().copied().find(|each| state_number(*each) == number_of_state);
    let state = state.ok_or_else(|| wrong(1))?;
    let message = text(row, 4)?;
    let code: i64 = row.get(5)?;
    let error = match (state, NonZeroI64::new(code)) {
        (State::Failure, Some(code)) => Some(JobError {
            code,
            message: message.clone(),
            target: text(row, 6)?,
            arguments: from_json::<Vec<Argument>>(row, 7)?,
        }),
        _ => None,
    };
    let scope = Scope { name: text(row, 17)?.into(), id: text(row, 18)?.into() };
    let progress = match row.get::<_, Option<i64>>(20)? {
        None => None,
        Some(done) => Some(Progress {
            done: done.cast_unsigned(),
            total: row.get::<_, Option<i64>>(21)?.map(i64::cast_unsigned),
            unit: text(row, 22)?.into(),
        }),
    };
    let requested = match word(row, 26, Action::ALL)? {
        None => None,
        Some(action) => Some(Request {
            action,
            by: Actor::named(text(row, 27)?),
            time: time(row, 28)?.ok_or_else(|| wrong(28))?,
            reason: text(row, 29)?.into(),
        }),
    };
    Ok(JobParts {
        uuid: JobId::from_uuid(uuid::Uuid::from_bytes(row.get(0)?)),
        state,
        requested,
        cause: word(row, 2, Cause::ALL)?,
        description: text(row, 3)?,
        message,
        code,
        error,
        create_time: time(row, 8)?.ok_or_else(|| wrong(8))?,
        start_time: time(row, 9)?,
        end_time: time(row, 10)?,
        update_time: time(row, 11)?.ok_or_else(|| wrong(11))?,
        retention: Duration::from_micros(number(row, 12)?),
        retention_told: None,
        retained_from: time(row, 13)?,
        expire_time: time(row, 14)?,
        held: None,
        deadline: None,
        kind: text(row, 15)?,
        node: text(row, 16)?,
        scope: (scope != Scope::default()).then_some(scope),
        labels: from_json(row, 19)?,
        progress,
        parent: None,
        allows: Allows { pause: row.get(23)?, cancel: row.get(24)? },
        cooperative: row.get(25)?,
        lease: None,
        claims: 0,
        losses: 0,
        payload_bytes: None,
        result_bytes: None,
        idempotency_key: None,
        revision: Revision::default(),
    })
}

/// The text, unless it is empty and so unset.
pub(crate) fn set(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

pub(crate) fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).expect("at most a hundred years")
}

pub(crate) fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("texts make JSON")
}

fn from_json<T: Default + serde::de::DeserializeOwned>(row: &Row<'_>, at: usize) -> Result<T> {
    match row.get_ref(at)?.as_str_or_null()? {
        None => Ok(T::default()),
        Some(text) => serde_json::from_str(text).map_err(|_| wrong(at)),
    }
}

pub(crate) fn place<T: PartialEq>(all: &[T], one: &T) -> i64 {
    let place = all.iter().position(|each| each == one);
    i64::try_from(place.expect("one of all")).expect("a small number")
}

fn word<T: Copy>(row: &Row<'_>, at: usize, all: &[T]) -> Result<Option<T>> {
    let Some(place) = row.get::<_, Option<i64>>(at)? else { return Ok(None) };
    let place = usize::try_from(place).map_err(|_| wrong(at))?;
    all.get(place).copied().map(Some).ok_or_else(|| wrong(at))
}

fn text(row: &Row<'_>, at: usize) -> Result<String> {
    row.get::<_, Option<String>>(at).map(Option::unwrap_or_default)
}

fn time(row: &Row<'_>, at: usize) -> Result<Option<Timestamp>> {
    let Some(micros) = row.get::<_, Option<i64>>(at)? else { return Ok(None) };
    Timestamp::from_micros(micros).map(Some).ok_or_else(|| wrong(at))
}

fn number(row: &Row<'_>, at: usize) -> Result<u64> {
    row.get::<_, i64>(at).map(i64::cast_unsigned)
}

fn wrong(at: usize) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(at, "what was written".to_owned(), Type::Null)
}
