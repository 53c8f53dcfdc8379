//! Barbican secrets over HTTP, and the only type that holds key bytes.
//!
//! A copy of a secret is four calls: [`Barbican::metadata`] and [`Barbican::payload`] of the old
//! one, [`Barbican::create_shell`] and [`Barbican::fill`] of the new one. Each is safe to repeat.
//!
//! Invariants: key bytes live in [`KeyBytes`] only, which is wiped when dropped and can be neither
//! printed nor cloned; a secret with registered consumers is never deleted, and never by force.
//!
//! Does not: hold credentials (every method takes the token of whoever has the authority),
//! generate keys, or retry.

mod barbican;
mod key_bytes;
mod secret;

pub use barbican::{Barbican, FillFailure, SecretsPage};
pub use key_bytes::KeyBytes;
pub use secret::{Attributes, ContentType, Metadata, SecretType};
