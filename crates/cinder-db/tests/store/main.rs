//! The store against a real SQLite file with Cinder's own tables.

mod block_storage;
mod claims;
mod debts;
mod ends;
mod fences;
mod fixture;
mod quotas;
mod schema;
mod sequences;
mod transfers;
mod turnstile;
