//! Audit and repair on a real database file and a simulated cloud: each class of damage that
//! upstream makes, each kind of finding, and that nothing is found where nothing is wrong.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod bench;
mod damage;
mod kinds;
mod moving;
mod page;
mod repairs;
