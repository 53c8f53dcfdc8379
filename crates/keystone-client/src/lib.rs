//! Keystone v3 tokens: get one, keep one, validate a caller's.
//!
//! [`Keystone`] makes single calls; [`ServiceSession`] keeps the service's own token alive;
//! [`Validator`] tells whose a caller's token is, with a bounded cache. Time is a [`Clock`] that
//! the caller hands in.
//!
//! Invariants: no token or password is printed or kept longer than it is used; the cache knows
//! tokens by their digest only; an identity never outlives its token.
//!
//! Does not: decide what an identity may do, revoke tokens, or follow an application
//! credential's access rules (Keystone hides tokens with such rules from a validator that does
//! not announce them, so they are refused).

mod credentials;
mod identity;
mod keystone;
mod session;
mod validator;

pub use credentials::{ApplicationCredential, Credentials, DomainRef, ProjectRef, UserRef};
pub use identity::{Catalog, Identity};
pub use keystone::{Issued, Keystone, ValidateError};
pub use session::ServiceSession;
pub use validator::{CacheLimits, ServiceTokens, Validator};

/// The wall clock, in UTC. Token times are Keystone's, so both clocks are assumed to agree to
/// within seconds.
pub type Clock = std::sync::Arc<dyn Fn() -> time::OffsetDateTime + Send + Sync>;
