//! The cloud on one page, for eyes: who has which secret and volume, what is on offer, what is
//! asked for, and buttons for what `/_simulator` does.
//!
//! Everything is rendered here, and escaped by the templates; the script puts it into its place,
//! draws where a key went, and sends forms as JSON. Nothing comes from elsewhere, and the page's
//! policy allows nothing else. Bytes of secrets are not on it.

mod board;
mod row;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use cinder_db::{DbError, Scope, Store, Volume};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode};
use maud::{DOCTYPE, Markup, html};
use transfer_core::invariants::OfferFate;
use transfer_core::{ProjectId, TransferId, VolumeId};

use crate::authtoken::header;
use crate::control::{Control, PREFIX};
use crate::identity::Kind;
use crate::{SecretView, Simulator};
pub(crate) use row::row;

const STYLE: &str = include_str!("console/style.css");
const SCRIPT: &str = include_str!("console/script.js");
/// Nothing but what this page is made of.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Events that are there when the page opens.
const PAST: u64 = 100;

const COLUMNS: [&str; 6] = ["No.", "Time", "Who", "Service", "Request", "Answer"];

/// Where the page stands.
pub(crate) const PAGE: &str = "/_simulator/console";

/// Whether a browser asks for the root.
pub(crate) fn is_asked_for<B>(request: &Request<B>) -> bool {
    let accepts = header(request.headers(), "accept").unwrap_or_default();
    request.method() == Method::GET && request.uri().path() == "/" && accepts.contains("text/html")
}

pub(crate) fn routes() -> Router<Arc<Control>> {
    let asset = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(CONTENT_TYPE, kind)], text) })
    };
    Router::new()
        .route("/console", get(page))
        .route("/console/board", get(fragment))
        .route("/console/style.css", asset("text/css; charset=utf-8", STYLE))
        .route("/console/script.js", asset("text/javascript; charset=utf-8", SCRIPT))
}

/// What there is of a project.
struct Column {
    id: String,
    name: String,
    volumes: Vec<Volume>,
    secrets: Vec<SecretView>,
}

/// What there is, at about one moment.
struct Board {
    simulator: Simulator,
    columns: Vec<Column>,
    /// Open ones; `None` when there is no block storage.
    offers: Option<Vec<(TransferId, VolumeId)>>,
}

impl Board {
    async fn of(simulator: &Simulator) -> Result<Self, DbError> {
        let (mut volumes, offers) = match simulator.store() {
            None => (Vec::new(), None),
            Some(store) => {
                (store.volumes(&Scope::All).await?, Some(open_offers(simulator, &store).await?))
            }
        };
        let mut secrets = simulator.secrets();
        let projects = simulator.read(|state| {
            let projects = state.identity.directory().all(Kind::Project).iter();
            projects.map(|one| (one.id.clone(), one.name().to_owned())).collect::<Vec<_>>()
        });
        let mut take = |(id, name): (String, String)| Column {
            volumes: volumes.extract_if(.., |one| one.project.as_str() == id).collect(),
            secrets: secrets.extract_if(.., |one| one.project == id).collect(),
            id,
            name,
        };
        let mut columns: Vec<_> = projects.into_iter().map(&mut take).collect();
        // Those that hand over stand in the order in which keys go.
        let order = ["donor", "service", "recipient"];
        columns.sort_by_key(|one| order.iter().position(|name| *name == one.name).unwrap_or(9));
        Ok(Self { simulator: simulator.clone(), columns, offers })
    }

    fn offer_of(&self, volume: &Volume) -> Option<&TransferId> {
        let offers = self.offers.iter().flatten();
        offers.filter(|(_, offered)| *offered == volume.id).map(|(id, _)| id).next()
    }
}

async fn open_offers(
    simulator: &Simulator,
    store: &Store,
) -> Result<Vec<(TransferId, VolumeId)>, DbError> {
    let service = ProjectId::new(simulator.project_id("service").unwrap_or_default());
    let offers = store.world_rows(&service).await?.offers.into_iter();
    let open = offers.filter(|offer| offer.fate == OfferFate::Open);
    Ok(open.map(|offer| (offer.id, offer.volume)).collect())
}

type Shared = State<Arc<Control>>;

async fn fragment(State(control): Shared) -> Response {
    match Board::of(control.simulator()).await {
        Ok(board) => no_store(Html(board.html().into_string())),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

async fn page(State(control): Shared) -> Response {
    let simulator = control.simulator();
    let board = match Board::of(simulator).await {
        Ok(board) => board.html(),
        Err(error) => html! { p { "The database does not answer: " (error.to_string()) } },
    };
    let mut response = no_store(Html(document(simulator, &board).into_string()));
    let policy = http::HeaderValue::from_static(POLICY);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    response
}

fn no_store(page: Html<String>) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    (headers, page).into_response()
}

fn document(simulator: &Simulator, board: &Markup) -> Markup {
    let after = simulator.log().last().saturating_sub(PAST);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Simulated cloud" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href=(format!("{PAGE}/style.css"));
                script defer src=(format!("{PAGE}/script.js")) {}
            }
            body {
                a.skip href="#log" { "To what is asked for" }
                header {
                    h1 { "Simulated cloud" }
                    p {
                        "Identity " code { (simulator.urls().identity) } ", key manager "
                        code { (simulator.urls().key_manager) } ", seed "
                        code { (simulator.config().seed) }
                    }
                }
                main {
                    noscript { p { "Without its script this page stands still." } }
                    p #said role="status" {}
                    (tools())
                    div #stage {
                        div #board { (board) }
                        svg #wires aria-hidden="true" {
                            defs {
                                marker id="head" viewBox="0 0 10 10" refX="9" refY="5"
                                    markerWidth="7" markerHeight="7" orient="auto" {
                                    path d="M0 0 10 5 0 10z" {}
                                }
                            }
                        }
                    }
                    section aria-labelledby="asked" {
                        h2 #asked { "What is asked for" }
                        div.scroll tabindex="0" role="group" aria-labelledby="asked" {
                            table {
                                thead { tr {
                                    @for name in COLUMNS { th scope="col" { (name) } }
                                } }
                                tbody #log tabindex="-1" data-after=(after) {}
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What can be done without looking at anything.
fn tools() -> Markup {
    html! {
        section.tools aria-label="Faults and time" {
            form data-ask=(format!("{PREFIX}/faults")) data-done="The rule holds." {
                label for="line" { "Fault" }
                input #line name="line" list="lines" required size="44" spellcheck="false"
                    autocomplete="off" placeholder="barbican POST /v1/secrets nth=2 status=503";
                datalist #lines {
                    @for line in [
                        "barbican standing hold_before",
                        "barbican POST /v1/secrets status=503 retry_after=2",
                        "barbican GET /v1/secrets/{id}/payload drop_after",
                        "barbican DELETE /v1/secrets/{id} late=drop",
                        "barbican standing probability=0.2 status=500",
                        "barbican standing delay_ms=500..1500",
                        "barbican project=donor expire_token",
                        "keystone POST /v3/auth/tokens status=401",
                    ] { option value=(line) {} }
                }
                button { "Inject" }
            }
            form data-ask=(format!("{PREFIX}/clock")) data-done="Time has gone by." {
                label for="seconds" { "Seconds" }
                input #seconds name="advance_seconds" type="number" min="0" max="1000000000"
                    value="3600" required;
                button { "Let them pass" }
            }
            form data-ask=(format!("{PREFIX}/reset")) data-done="As at the start." {
                button { "Reset" }
            }
        }
    }
}
