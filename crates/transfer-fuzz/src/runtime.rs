//! The one thread that an input runs on.

use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_all().build().unwrap();
}

/// Runs to the end. Tasks that are left go on in the next run.
pub(crate) fn block_on<T>(run: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| runtime.block_on(run))
}
