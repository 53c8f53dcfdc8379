//! What can go wrong on a socket, and that connections are reused.

use openstack_http::{Broken, Failure, Limits, Service, Tls, Unknown, Wire};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

const LIMITS: Limits =
    Limits { connect: Duration::from_secs(5), total: Duration::from_secs(20), body_bytes: 1000 };

/// What the server does after it has read a request.
#[derive(Clone, Copy)]
enum Then {
    /// Reads the next request on the same connection.
    Stay,
    /// Closes the connection.
    Close,
    /// Keeps the connection open and says nothing more.
    Hang,
}

/// Serves `reply` to every request; counts connections and requests.
async fn server(reply: String, then: Then) -> (Url, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url =
        format!("http://{}", listener.local_addr().expect("an address")).parse().expect("a url");
    let (connections, requests) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let counts = (connections.clone(), requests.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counts.0.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(answer(stream, reply.clone(), then, counts.1.clone()));
        }
    });
    (url, connections, requests)
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    reply: String,
    then: Then,
    requests: Arc<AtomicUsize>,
) {
    let mut seen = Vec::new();
    loop {
        while !seen.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => seen.push(byte),
                Err(_) => return,
            }
        }
        seen.clear();
        requests.fetch_add(1, Ordering::SeqCst);
        let _ = stream.write_all(reply.as_bytes()).await;
        match then {
            Then::Stay => {}
            Then::Close => {
                let _ = stream.shutdown().await;
                return;
            }
            Then::Hang => std::future::pending().await,
        }
    }
}

async fn get(url: &Url, limits: Limits) -> Result<openstack_http::Reply, Failure> {
    let wire = Wire::new(&Tls::System, limits).expect("a client");
    let service = Service::new(url, "v1", Arc::new(wire));
    service.call(http::Method::GET, "/thing").send(&[http::StatusCode::OK]).await
}

fn broken(outcome: Result<openstack_http::Reply, Failure>) -> Broken {
    match outcome.err() {
        Some(Failure::Unknown(Unknown::Broken(broken))) => broken,
        other => panic!("not a broken exchange: {other:?}"),
    }
}

#[tokio::test]
async fn a_connection_that_ends_early_is_broken() {
    let replies = [
        "",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
    ];
    for reply in replies {
        let (url, _, requests) = server(reply.to_owned(), Then::Close).await;
        let found = broken(get(&url, LIMITS).await);
        assert!(matches!(found, Broken::Closed(_)), "{reply:?}: {found:?}");
        assert_eq!(requests.load(Ordering::SeqCst), 1, "{reply:?} is asked for once");
    }
}

#[tokio::test]
async fn a_reply_that_never_completes_runs_out_of_time() {
    let limits = Limits { total: Duration::from_millis(50), ..LIMITS };
    for reply in ["", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345"] {
        let (url, _, _) = server(reply.to_owned(), Then::Hang).await;
        assert_eq!(broken(get(&url, limits).await), Broken::TimedOut(limits.total), "{reply:?}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_read() {
    let body = "x".repeat(1001);
    let announced = format!("HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n{body}");
    let chunked = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n{body}\r\n");
    for reply in [announced, chunked] {
        let (url, _, _) = server(reply, Then::Hang).await;
        assert_eq!(broken(get(&url, LIMITS).await), Broken::TooLong(1000));
    }
    let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{}", &body[1..]);
    let (url, _, _) = server(reply, Then::Stay).await;
    assert_eq!(get(&url, LIMITS).await.unwrap().body.len(), 1000);
}

#[tokio::test]
async fn nobody_listening_and_no_such_scheme_are_not_connected() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    for url in [url, "ftp://127.0.0.1/".parse().unwrap()] {
        let found = broken(get(&url, LIMITS).await);
        assert!(matches!(found, Broken::NotConnected(_)), "{url}: {found:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (elsewhere, visits, _) = server("HTTP/1.1 200 OK\r\n\r\n".to_owned(), Then::Close).await;
    let reply = format!("HTTP/1.1 307 T\r\nlocation: {elsewhere}\r\ncontent-length: 0\r\n\r\n");
    let (url, _, _) = server(reply, Then::Stay).await;
    let found = get(&url, LIMITS).await.err();
    let message = "temporary redirect".to_owned();
    let unknown = Unknown::Status { status: 307, message, retry_after: None };
    assert_eq!(found, Some(Failure::Unknown(unknown)));
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn calls_one_after_another_use_one_connection() {
    let reply = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned();
    let (url, connections, requests) = server(reply, Then::Stay).await;
    let wire = Wire::new(&Tls::System, LIMITS).unwrap();
    let service = Service::new(&url, "v1", Arc::new(wire));
    for _ in 0..20 {
        let call = service.call(http::Method::GET, "/thing");
        assert_eq!(call.send(&[http::StatusCode::OK]).await.unwrap().body, "ok");
    }
    assert_eq!(requests.load(Ordering::SeqCst), 20);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

/// An https server that speaks HTTP/1.1.
async fn https_server() -> (Url, String) {
    https(&[], |stream| async move {
        let reply = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned();
        answer(stream, reply, Then::Stay, Arc::default()).await;
    })
    .await
}

/// Whom a TLS server has let in.
type Guest = tokio_rustls::server::TlsStream<TcpStream>;

/// An https server that offers these protocols, with a certificate for `localhost` that no
/// authority has signed.
async fn https<F: Future<Output = ()> + Send + 'static>(
    offers: &[&[u8]],
    serve: impl Fn(Guest) -> F + Clone + Send + 'static,
) -> (Url, String) {
    let key =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let pem = key.cert.pem();
    let private = rustls::pki_types::PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("tls versions")
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private.into())
        .expect("a certificate");
    config.alpn_protocols = offers.iter().map(|offer| offer.to_vec()).collect();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, serve) = (acceptor.clone(), serve.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream).await;
                }
            });
        }
    });
    (format!("https://localhost:{port}").parse().expect("a url"), pem)
}

/// Answers every request with `ok`, over HTTP/2.
async fn answer_over_http_2(stream: Guest) {
    let ok =
        hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| async move {
            assert_eq!(request.version(), http::Version::HTTP_2);
            Ok::<_, std::convert::Infallible>(http::Response::new("ok".to_owned()))
        });
    let server = hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
    let _ended = server.serve_connection(hyper_util::rt::TokioIo::new(stream), ok).await;
}

#[tokio::test]
async fn calls_at_the_same_time_share_a_connection_where_http_2_is_offered() {
    let connections = Arc::<AtomicUsize>::default();
    let count = connections.clone();
    let (url, _pem) = https(&[b"h2", b"http/1.1"], move |stream| {
        count.fetch_add(1, Ordering::SeqCst);
        answer_over_http_2(stream)
    })
    .await;
    let service = Service::new(&url, "v1", Arc::new(Wire::new(&Tls::Insecure, LIMITS).unwrap()));
    let get = async || {
        service.call(http::Method::GET, "/thing").send(&[http::StatusCode::OK]).await.unwrap().body
    };
    assert_eq!(get().await, "ok");
    let (one, two, three) = tokio::join!(get(), get(), get());
    assert_eq!([one, two, three], ["ok", "ok", "ok"]);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_certificate_is_verified_unless_told_otherwise() {
    let (url, pem) = https_server().await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(pem.as_bytes()).unwrap();
    let get = async |tls: Tls| {
        let service = Service::new(&url, "v1", Arc::new(Wire::new(&tls, LIMITS).unwrap()));
        service.call(http::Method::GET, "/thing").send(&[http::StatusCode::OK]).await
    };
    let found = broken(get(Tls::System).await);
    assert!(matches!(found, Broken::NotConnected(_)), "{found:?}");
    assert_eq!(get(Tls::SystemAnd(file.path().to_owned())).await.unwrap().body, "ok");
    assert_eq!(get(Tls::Insecure).await.unwrap().body, "ok");
}

#[test]
fn a_file_without_certificates_is_told_at_once() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"no certificate\n").unwrap();
    for path in [file.path().to_owned(), file.path().join("missing")] {
        let error = Wire::new(&Tls::SystemAnd(path.clone()), LIMITS).err().expect("an error");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}
