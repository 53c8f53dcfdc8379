//! `cargo xtask bench-simulator`: how soon `simulate` answers, how much it is asked in a second,
//! and what it holds in memory after how many requests.
//!
//! The release binary runs as a process of its own, and is asked over sockets. How that compares to
//! the real Barbican measures `bench-peers`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::conformance::{binary, empty};
use crate::workspace::Workspace;

const PASSWORD: &str = "secret";
/// What a start may take at most.
const SOON: Duration = Duration::from_millis(50);
/// How long to wait for a start before giving up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Connections that ask at the same time.
const LANES: u64 = 4;
/// After how many requests the memory is looked at.
const MARKS: [u64; 5] = [10_000, 100_000, 500_000, 750_000, 1_000_000];
/// From here on nothing may grow: the log of events and the tokens have reached their bounds.
const FULL: u64 = 500_000;
/// What growth from there on may be an allocator's.
const SLACK: f64 = 1.05;

/// How much to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How often to start it
    #[arg(long, default_value_t = 30)]
    starts: u32,
    /// How long each kind of request is sent
    #[arg(long, value_name = "S", default_value_t = 5)]
    seconds: u64,
}

/// Measures, and prints what was found.
///
/// # Errors
/// When it starts too late, answers wrongly or grows.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let binary = binary(workspace)?;
    let directory = empty(&workspace.target.join("bench-simulator"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let median = starts(&binary, &directory, options.starts).await?;
        let simulator = Simulator::start(&binary, &directory).await?;
        rates(&simulator, Duration::from_secs(options.seconds)).await?;
        drop(simulator);
        memory(&Simulator::start(&binary, &directory).await?).await?;
        ensure!(median < SOON, "half of the starts take longer than {SOON:?}");
        Ok(())
    })
}

/// From the start of the process to the first reply: the median, which is printed with the rest.
async fn starts(binary: &Path, directory: &Path, count: u32) -> Result<Duration> {
    let mut spans = Vec::new();
    for _ in 0..count.max(1) {
        let begun = Instant::now();
        let simulator = Simulator::start(binary, directory).await?;
        let mut lane = Lane::open(&simulator.urls.identity).await?;
        lane.ask(StatusCode::OK, Request::get("/v3"), String::new()).await?;
        spans.push(begun.elapsed());
    }
    spans.sort_unstable();
    let (least, most) = (spans[0], spans[spans.len() - 1]);
    let median = spans[spans.len() / 2];
    println!("start to first reply: {median:.1?} (median of {count}; {least:.1?} to {most:.1?})");
    Ok(median)
}

/// Requests in a second, over so many connections, each waiting for its reply.
async fn rates(simulator: &Simulator, span: Duration) -> Result<()> {
    let token = simulator.token().await?;
    let key_manager = &simulator.urls.key_manager;
    let mut first = Lane::open(key_manager).await?;
    let secret = first.store(&token).await?;
    for (what, stores) in [("GET payload", false), ("POST secret", true)] {
        let mut lanes = Vec::new();
        let begun = Instant::now();
        for _ in 0..LANES {
            let (token, secret) = (token.clone(), secret.clone());
            let mut lane = Lane::open(key_manager).await?;
            lanes.push(tokio::spawn(async move {
                let mut count = 0_u32;
                while begun.elapsed() < span {
                    if stores {
                        lane.store(&token).await?;
                    } else {
                        lane.payload(&token, &secret).await?;
                    }
                    count += 1;
                }
                anyhow::Ok(count)
            }));
        }
        let mut count = 0;
        for lane in lanes {
            count += lane.await??;
        }
        let rate = f64::from(count) / begun.elapsed().as_secs_f64();
        println!("{what}: {rate:.0} a second over {LANES} connections");
    }
    Ok(())
}

/// Log in, store, read, delete: the memory after so many requests.
async fn memory(simulator: &Simulator) -> Result<()> {
    let (mut sent, mut full) = (0, None);
    for mark in MARKS {
        let rounds = (mark - sent) / (4 * LANES);
        let mut lanes = Vec::new();
        for _ in 0..LANES {
            let mut identity = Lane::open(&simulator.urls.identity).await?;
            let mut key_manager = Lane::open(&simulator.urls.key_manager).await?;
            lanes.push(tokio::spawn(async move {
                for _ in 0..rounds {
                    let token = identity.log_in().await?;
                    let secret = key_manager.store(&token).await?;
                    key_manager.payload(&token, &secret).await?;
                    key_manager.delete(&token, &secret).await?;
                }
                anyhow::Ok(())
            }));
        }
        for lane in lanes {
            lane.await??;
        }
        sent = mark;
        let held = simulator.resident_mib()?;
        println!("memory after {mark} requests: {held:.1} MiB");
        match full {
            None if mark >= FULL => full = Some(held),
            None => {}
            Some(full) => {
                ensure!(held <= full * SLACK, "{full:.1} MiB became {held:.1} MiB: it grows");
            }
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Urls {
    identity: String,
    key_manager: String,
}

/// A running `simulate`, killed when dropped.
struct Simulator {
    process: Child,
    urls: Urls,
}

impl Simulator {
    async fn start(binary: &Path, directory: &Path) -> Result<Self> {
        let ready: PathBuf = directory.join("ready.json");
        if ready.exists() {
            std::fs::remove_file(&ready)?;
        }
        let mut command = Command::new(binary);
        command.args(["simulate", "--ephemeral", "--password", PASSWORD, "--ready-file"]);
        let process = command.arg(&ready).stdout(Stdio::null()).spawn()?;
        let urls = Urls { identity: String::new(), key_manager: String::new() };
        let mut simulator = Self { process, urls };
        let begun = Instant::now();
        while !ready.exists() {
            ensure!(begun.elapsed() < PATIENCE, "not ready after {PATIENCE:?}");
            if let Some(status) = simulator.process.try_wait()? {
                anyhow::bail!("ended with {status}");
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        simulator.urls = serde_json::from_slice(&std::fs::read(&ready)?)?;
        Ok(simulator)
    }

    async fn token(&self) -> Result<String> {
        Lane::open(&self.urls.identity).await?.log_in().await
    }

    fn resident_mib(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib: f64 = kib.context("no VmRSS in /proc")?.parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if self.process.kill().and_then(|()| self.process.wait()).is_err() {
            println!("process {} was gone before it was ended", self.process.id());
        }
    }
}

/// A connection that is kept.
struct Lane {
    host: String,
    sender: SendRequest<Full<Bytes>>,
}

impl Lane {
    async fn open(url: &str) -> Result<Self> {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let host = rest.split('/').next().unwrap_or_default().to_owned();
        let stream = TcpStream::connect(&host).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { host, sender })
    }

    async fn ask(
        &mut self,
        expected: StatusCode,
        request: http::request::Builder,
        body: String,
    ) -> Result<(http::HeaderMap, Bytes)> {
        let request = request.header("host", &self.host).header("content-type", "application/json");
        let request = request.body(Full::new(Bytes::from(body)))?;
        let what = format!("{} {}", request.method(), request.uri());
        self.sender.ready().await?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let shown = || String::from_utf8_lossy(&body).into_owned();
        ensure!(head.status == expected, "{what}: {}: {}", head.status, shown());
        Ok((head.headers, body))
    }

    async fn log_in(&mut self) -> Result<String> {
        let domain = json!({"id": "default"});
        let user = json!({"name": "x", "domain": domain, "password": PASSWORD});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "donor", "domain": domain}},
        }});
        let request = Request::post("/v3/auth/tokens");
        let (headers, _) = self.ask(StatusCode::CREATED, request, body.to_string()).await?;
        let token = headers.get("x-subject-token").context("no token in the reply")?;
        Ok(token.to_str()?.to_owned())
    }

    /// Stores a key of 256 bits and returns its path.
    async fn store(&mut self, token: &str) -> Result<String> {
        let body = json!({
            "name": "bench", "secret_type": "symmetric", "algorithm": "aes", "bit_length": 256,
            "payload": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "payload_content_type": "application/octet-stream",
            "payload_content_encoding": "base64",
        });
        let request = Request::post("/v1/secrets").header("x-auth-token", token);
        let (_, reply) = self.ask(StatusCode::CREATED, request, body.to_string()).await?;
        let reply: Value = serde_json::from_slice(&reply)?;
        let (_, id) = reply["secret_ref"]
            .as_str()
            .and_then(|reference| reference.rsplit_once('/'))
            .context("no reference in the reply")?;
        Ok(format!("/v1/secrets/{id}"))
    }

    async fn payload(&mut self, token: &str, secret: &str) -> Result<()> {
        let request = Request::get(format!("{secret}/payload"))
            .header("x-auth-token", token)
            .header("accept", "application/octet-stream");
        self.ask(StatusCode::OK, request, String::new()).await.map(drop)
    }

    async fn delete(&mut self, token: &str, secret: &str) -> Result<()> {
        let request = Request::delete(secret).header("x-auth-token", token);
        self.ask(StatusCode::NO_CONTENT, request, String::new()).await.map(drop)
    }
}
