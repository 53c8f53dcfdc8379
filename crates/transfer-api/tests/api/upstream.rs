//! The service answers, and leaves rows, as upstream's cinder-api was recorded to.
//!
//! The requests are `conformance/cinder/cases`, the replies `conformance/cinder/recorded`, and what
//! differs on purpose stands in `docs/differences.md`. `cargo xtask conformance cinder` makes sure
//! of the recordings themselves.

use crate::cloud::{Cloud, PASSWORD};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use cinder_db::QuotaLimits;
use peer_replay::{BlockStorage, CaseFile, Endpoints, Known, Recording, Session, Verdict};
use serde_json::{Map, Value};
use simulator::server::Running;
use sqlx::{AssertSqlSafe, SqlitePool};
use std::collections::BTreeSet;
use std::path::PathBuf;
use tokio::net::TcpListener;
use transfer_api::ApiConfig;

const RESET: &str = include_str!("../../../../conformance/cinder/reset.sql");
const SHOW: &str = include_str!("../../../../conformance/cinder/show.sql");
const DEFAULTS: &str = include_str!("../../../../conformance/cinder/defaults.json");

type Row = Map<String, Value>;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn recorded(file: &str) -> Recording {
    let path = root().join("conformance/cinder/recorded").join(format!("{file}.json"));
    Recording::read(&path).unwrap()
}

fn cases() -> Vec<CaseFile> {
    CaseFile::read_all(&root().join("conformance/cinder/cases")).unwrap()
}

/// What upstream's side has `cinder_services.py` for.
fn rows(database: SqlitePool) -> Router {
    Router::new()
        .route("/", get(show).delete(reset))
        .route("/rest", get(rest))
        .route("/{table}", post(insert))
        .route("/{table}/{id}", put(update))
        .with_state(database)
}

async fn reset(State(database): State<SqlitePool>) -> StatusCode {
    sqlx::raw_sql(RESET).execute(&database).await.unwrap();
    StatusCode::NO_CONTENT
}

async fn show(State(database): State<SqlitePool>) -> impl IntoResponse {
    let shown: String = sqlx::query_scalar(SHOW).fetch_one(&database).await.unwrap();
    ([(header::CONTENT_TYPE, "application/json")], shown)
}

/// Answers once no hand-over is on record.
async fn rest(State(database): State<SqlitePool>) -> StatusCode {
    let on_record = "select count(*) from volume_transfer_hand_overs";
    while sqlx::query_scalar::<_, i64>(on_record).fetch_one(&database).await.unwrap() > 0 {
        tokio::task::yield_now().await;
    }
    StatusCode::NO_CONTENT
}

async fn insert(
    State(database): State<SqlitePool>,
    Path(table): Path<String>,
    Json(given): Json<Row>,
) -> StatusCode {
    let mut defaults: Map<String, Value> = serde_json::from_str(DEFAULTS).unwrap();
    let mut row: Row = serde_json::from_value(defaults.remove(&table).unwrap()).unwrap();
    row.extend(given);
    let names: Vec<_> = row.keys().cloned().collect();
    let values: Vec<_> = names.iter().map(|name| format!("json_extract(?1, '$.{name}')")).collect();
    let (names, values) = (names.join(", "), values.join(", "));
    change(&database, format!("insert into {table} ({names}) values ({values})"), &row).await
}

async fn update(
    State(database): State<SqlitePool>,
    Path((table, id)): Path<(String, String)>,
    Json(row): Json<Row>,
) -> StatusCode {
    let sets = row.keys().map(|name| format!("{name} = json_extract(?1, '$.{name}')"));
    let sets = sets.collect::<Vec<_>>().join(", ");
    change(&database, format!("update {table} set {sets} where id = '{id}'"), &row).await
}

async fn change(database: &SqlitePool, statement: String, row: &Row) -> StatusCode {
    let row = serde_json::to_string(row).unwrap();
    sqlx::query(AssertSqlSafe(statement)).bind(row).execute(database).await.unwrap();
    StatusCode::NO_CONTENT
}

/// Serves it on the loopback address, as long as the runtime lives.
async fn listen(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// Two replicas on one database, as upstream and a replica are in the recordings.
async fn replay(file: &CaseFile) -> Recording {
    let cloud = Cloud::at(simulator::Clock::running()).await;
    let running = Running::on_loopback(&cloud.simulator).await.unwrap();
    let urls = running.urls();
    let limits =
        QuotaLimits { volumes: -1, snapshots: -1, gigabytes: -1, ..QuotaLimits::default() };
    let mut replicas = Vec::new();
    for _ in 0..2 {
        let www_authenticate_uri = format!("{}/v3", urls.identity);
        let config = ApiConfig { www_authenticate_uri, ..ApiConfig::default() };
        let (_engine, router) = cloud.replica(&cloud.store().await, limits.clone(), config);
        replicas.push(listen(router).await);
    }
    let [cinder, neighbour]: [String; 2] = replicas.try_into().unwrap();
    let rows = listen(rows(SqlitePool::connect(&cloud.database).await.unwrap())).await;
    let endpoints = Endpoints {
        keystone: urls.identity.clone(),
        barbican: urls.key_manager.clone(),
        password: PASSWORD.to_owned(),
        block_storage: Some(BlockStorage { cinder, neighbour, rows }),
    };
    let recording = Session::open(endpoints).await.unwrap().replay(file).await.unwrap();
    running.stop().await;
    recording
}

#[tokio::test]
async fn the_service_answers_as_upstream_was_recorded_to() {
    let page = std::fs::read_to_string(root().join("docs/differences.md")).unwrap();
    let mut verdict = Verdict::default();
    for file in cases() {
        verdict.add(&file, &recorded(&file.name), &replay(&file).await);
    }
    let verdict = verdict.under(&Known::read_all(&page).unwrap(), 0);
    println!("{}", verdict.total());
    assert!(verdict.problems.is_empty(), "\n{}", verdict.problems.join("\n"));
}

#[tokio::test]
async fn an_answer_and_a_row_that_are_not_as_recorded_are_told() {
    let file = cases().into_iter().find(|file| file.name == "encrypted").unwrap();
    let replayed = replay(&file).await;
    let text = replayed.to_text().unwrap();
    for (is, was) in [("\"status\": 202", "\"status\": 200"), ("\"available\"", "\"error\"")] {
        let changed = serde_json::from_str(&text.replacen(is, was, 1)).unwrap();
        let mut verdict = Verdict::default();
        verdict.add(&file, &changed, &replayed);
        assert_eq!(verdict.differences.len(), 1, "{:?}", verdict.differences);
    }
}

#[test]
fn there_is_a_recording_for_every_file_of_cases_and_no_other() {
    let directory = std::fs::read_dir(root().join("conformance/cinder/recorded")).unwrap();
    let recorded = directory.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let recorded: BTreeSet<_> = recorded.collect();
    let cases = cases().iter().map(|file| format!("{}.json", file.name)).collect();
    assert_eq!(recorded, cases);
}
