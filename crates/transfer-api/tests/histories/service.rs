//! One life of the service: a process's worth of engine, connections and tasks, which can be
//! killed.

use crate::cloud::{Cloud, Reply, answer};
use crate::reference::{GIGABYTES, SNAPSHOTS, VOLUMES};
use axum::Router;
use axum::body::Body;
use cinder_db::{QuotaLimits, Store};
use http::Request;
use simulator::faults::Fault;
use tokio::runtime::{Builder, Runtime};
use transfer_api::ApiConfig;
use transfer_engine::Engine;

/// What the service runs on has one thread; when it is dropped, so is everything under way.
pub(crate) struct Service {
    runtime: Runtime,
    pub(crate) store: Store,
    pub(crate) engine: Engine,
    router: Router,
    /// The tasks of a service that has nothing to do.
    idle: usize,
}

/// What is to become of the service when the fault strikes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stroke {
    Survives,
    /// The struck request waits, and is let go when all else is done.
    Holds,
    Kills,
}

/// What came of a request.
pub(crate) struct Outcome {
    /// None when the service died first.
    pub(crate) reply: Option<Reply>,
    pub(crate) struck: bool,
}

impl Service {
    pub(crate) fn start(cloud: &Cloud) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let store = runtime.block_on(cloud.store());
        let (engine, router) = cloud.replica(&store, limits(), ApiConfig::default());
        let idle = runtime.metrics().num_alive_tasks();
        Self { runtime, store, engine, router, idle }
    }

    /// Does something, and then all that it leaves to do in the background.
    pub(crate) fn run<T>(&self, act: impl Future<Output = T>) -> T {
        self.runtime.block_on(async {
            let done = act.await;
            self.is_idle().await;
            done
        })
    }

    /// Sends a request that may meet a fault, and waits for what it leaves to do.
    pub(crate) fn ask(&self, request: Request<Body>, fault: Option<(Fault, Stroke)>) -> Outcome {
        self.runtime.block_on(async {
            let mut reply = None;
            let asked = async {
                reply = Some(answer(self.router.clone(), request).await);
            };
            let struck = match &fault {
                None => {
                    asked.await;
                    self.is_idle().await;
                    false
                }
                Some((fault, Stroke::Survives)) => {
                    asked.await;
                    self.is_idle().await;
                    is_struck(fault).await
                }
                Some((fault, Stroke::Holds)) => {
                    asked.await;
                    let mut struck = false;
                    while self.tasks() > self.idle + usize::from(struck) {
                        struck = struck || is_struck(fault).await;
                        let_others_work().await;
                    }
                    fault.release();
                    self.is_idle().await;
                    struck
                }
                Some((fault, Stroke::Kills)) => {
                    let done = async {
                        asked.await;
                        self.is_idle().await;
                    };
                    tokio::select! {
                        biased;
                        () = fault.reached() => true,
                        () = done => false,
                    }
                }
            };
            Outcome { reply, struck }
        })
    }

    /// Waits until nothing is left to do.
    async fn is_idle(&self) {
        while self.tasks() > self.idle {
            let_others_work().await;
        }
    }

    fn tasks(&self) -> usize {
        self.runtime.metrics().num_alive_tasks()
    }
}

/// Lets the runtime's tasks, and the threads of the database, come to their turn.
async fn let_others_work() {
    std::thread::yield_now();
    tokio::task::yield_now().await;
}

async fn is_struck(fault: &Fault) -> bool {
    tokio::select! {
        biased;
        () = fault.reached() => true,
        () = std::future::ready(()) => false,
    }
}

pub(crate) fn limits() -> QuotaLimits {
    QuotaLimits {
        volumes: VOLUMES,
        snapshots: SNAPSHOTS,
        gigabytes: GIGABYTES,
        use_default_quota_class: false,
        ..QuotaLimits::default()
    }
}
