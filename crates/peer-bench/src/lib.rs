//! Upstream's cinder-api, this service, and the floor: measured side by side in one run.
//!
//! `measure` needs a ground that is up, as `conformance/bench_services.py` starts it, and knows
//! nothing of the project's own clients, so that it shares none of their ways. The contenders take
//! turns, round by round, since a machine is not equally busy at all times; `report` joins what was
//! measured on both grounds. `cargo xtask bench-peers` runs it all. In the same way `grow` measures
//! this service beside ever more rows and in more replicas, for `cargo xtask bench-growth`.
#![expect(
    clippy::cast_precision_loss,
    reason = "counts of requests and operations are far below 2^53"
)]

mod block_storage;
mod figures;
mod floor;
mod ground;
mod growth;
mod lane;
mod load;
mod measure;
mod plot;
mod processes;
mod report;
mod requests;
mod wire;

pub use ground::Ready;
pub use growth::{grow, growth_plot, growth_table};
pub use lane::Bound;
pub use measure::{Plan, measure};
pub use plot::{Group, Plot};
pub use report::{GROUNDS, complete, plot, table};
