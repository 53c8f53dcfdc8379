//! A way to a server that breaks when it is told to.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// When the connection breaks: as these words come by on their way to the server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// They do not arrive.
    Before(&'static str),
    /// They arrive, and the server has replied, but the reply does not come back.
    After(&'static str),
    /// As `After`, and the connection stays, with nobody at either end of it any more.
    StillAfter(&'static str),
}

/// The way. It is gone when dropped, and every connection on it.
pub(crate) struct Proxy {
    address: SocketAddr,
    cut: Arc<Mutex<Option<Cut>>>,
    all: Arc<Notify>,
    still: Arc<Notify>,
    traffic: Arc<Traffic>,
    serving: tokio::task::JoinHandle<()>,
}

/// What has gone by.
#[derive(Default)]
struct Traffic {
    connections: AtomicUsize,
    /// How often the server was asked something.
    questions: AtomicUsize,
}

impl Proxy {
    /// A way to the server of this url.
    pub(crate) async fn to(url: &str) -> Self {
        let server = authority(url).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (cut, all) = (Arc::new(Mutex::new(None)), Arc::new(Notify::new()));
        let (cut_here, all_here) = (Arc::clone(&cut), Arc::clone(&all));
        let still = Arc::new(Notify::new());
        let still_here = Arc::clone(&still);
        let traffic = Arc::new(Traffic::default());
        let traffic_here = Arc::clone(&traffic);
        let serving = tokio::spawn(async move {
            loop {
                let (client, _from) = listener.accept().await.expect("accepted");
                let server = TcpStream::connect(&server).await.expect("the server is up");
                let (cut, all) = (Arc::clone(&cut_here), Arc::clone(&all_here));
                let still = Arc::clone(&still_here);
                let traffic = Arc::clone(&traffic_here);
                traffic.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    tokio::select! {
                        () = carry(client, server, &cut, &still, &traffic.questions) => {}
                        () = all.notified() => {}
                    }
                });
            }
        });
        Self { address, cut, all, still, traffic, serving }
    }

    /// The url, by this way, and without TLS: what goes by is to be understood.
    pub(crate) fn url(&self, url: &str) -> String {
        let in_the_clear =
            if url.starts_with("mysql") { "ssl_mode=DISABLED" } else { "sslmode=disable" };
        let url = url.replace(authority(url), &self.address.to_string());
        format!("{url}?{in_the_clear}")
    }

    /// Breaks the next connection on which that comes by.
    pub(crate) fn arm(&self, cut: Cut) {
        *self.cut.lock().expect("whole") = Some(cut);
    }

    /// Whether it has not broken a connection since it was armed.
    pub(crate) fn is_armed(&self) -> bool {
        self.cut.lock().expect("whole").is_some()
    }

    /// Returns when a connection stands still.
    pub(crate) async fn stands_still(&self) {
        self.still.notified().await;
    }

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> usize {
        self.traffic.connections.load(Ordering::Relaxed)
    }

    /// How often the server has been asked something since this was read.
    pub(crate) fn questions(&self) -> usize {
        self.traffic.questions.swap(0, Ordering::Relaxed)
    }

    /// Breaks every connection.
    pub(crate) fn break_all(&self) {
        self.all.notify_waiters();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
        self.break_all();
    }
}

/// `host:port` of a url.
fn authority(url: &str) -> &str {
    let (_before, rest) = url.rsplit_once('@').expect("credentials");
    rest.split('/').next().expect("an authority")
}

/// Carries bytes both ways until one side has ended, or the cut comes.
async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    cut: &Mutex<Option<Cut>>,
    still: &Notify,
    questions: &AtomicUsize,
) {
    let (mut up, mut down) = ([0; 16_384], [0; 16_384]);
    let mut is_asking = false;
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(length @ 1..) = read else { return };
                if !is_asking {
                    is_asking = true;
                    questions.fetch_add(1, Ordering::Relaxed);
                }
                let due = due(cut, &up[..length]);
                if matches!(due, Some(Cut::Before(_))) {
                    return;
                }
                server.write_all(&up[..length]).await.expect("sent to the server");
                if due.is_some() {
                    let replied = server.read(&mut down).await.expect("its reply");
                    assert_ne!(replied, 0, "the server has hung up");
                    if matches!(due, Some(Cut::StillAfter(_))) {
                        still.notify_one();
                        std::future::pending::<()>().await;
                    }
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(length @ 1..) = read else { return };
                is_asking = false;
                if client.write_all(&down[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The cut that these bytes bring about. It happens once.
fn due(cut: &Mutex<Option<Cut>>, bytes: &[u8]) -> Option<Cut> {
    let mut armed = cut.lock().expect("whole");
    let (Cut::Before(mark) | Cut::After(mark) | Cut::StillAfter(mark)) = (*armed)?;
    // Whole words: COMMITTED is no COMMIT.
    let comes_by = bytes.windows(mark.len()).enumerate().any(|(index, window)| {
        let next = bytes.get(index + mark.len());
        window == mark.as_bytes() && !next.is_some_and(u8::is_ascii_alphabetic)
    });
    if comes_by { armed.take() } else { None }
}
