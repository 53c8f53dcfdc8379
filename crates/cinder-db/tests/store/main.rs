//! The store against a real database with Cinder's own tables: SQLite, or the server that
//! `VOLUME_TRANSFER_TEST_DATABASE` names.

mod audit;
mod block_storage;
mod claims;
mod debts;
mod ends;
mod expiry;
mod fences;
mod fixture;
mod listener;
mod plans;
mod proxy;
mod quotas;
mod recounts;
mod restore;
mod schema;
mod sequences;
mod servers;
mod statements;
mod tls;
mod transfers;
mod turnstile;
