//! A way to a service along which somebody looks at what is sent, and may say to which trace it
//! belongs.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use axum::response::Response;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use volume_transfer::stage::client;

const TRACEPARENT: &str = "traceparent";

/// A request that passed.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) traceparent: Option<String>,
}

struct Way {
    http: reqwest::Client,
    to: String,
    traceparent: Option<String>,
    seen: Mutex<Vec<Seen>>,
}

pub(crate) struct Passage {
    pub(crate) url: String,
    way: Arc<Way>,
}

impl Passage {
    /// Begins to listen. Requests get this `traceparent`, if there is one.
    pub(crate) async fn to(url: &str, traceparent: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let way = Arc::new(Way {
            http: client().expect("a client"),
            to: url.trim_end_matches('/').to_owned(),
            traceparent,
            seen: Mutex::default(),
        });
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(forward).with_state(way.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, way }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.way.seen.lock().expect("whole").clone()
    }
}

async fn forward(State(way): State<Arc<Way>>, request: Request) -> Response {
    let (mut head, body) = request.into_parts();
    let traceparent = head.headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
    way.seen.lock().expect("whole").push(Seen {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        traceparent: traceparent.map(str::to_owned),
    });
    if let Some(text) = &way.traceparent {
        let value = HeaderValue::from_str(text).expect("a header");
        head.headers.insert(TRACEPARENT, value);
    }
    for name in [HOST, CONNECTION, TRANSFER_ENCODING] {
        head.headers.remove(name);
    }
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let sent = way
        .http
        .request(head.method, format!("{}{path}", way.to))
        .headers(head.headers)
        .body(to_bytes(body, 1 << 20).await.expect("a body"))
        .send()
        .await
        .expect("a reply");
    let (status, mut headers) = (sent.status(), sent.headers().clone());
    for name in [CONNECTION, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    let mut reply = Response::new(Body::from(sent.bytes().await.expect("a body")));
    *reply.status_mut() = status;
    *reply.headers_mut() = headers;
    reply
}
