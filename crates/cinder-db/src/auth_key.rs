//! The auth key of an offer, and the hash of it that Cinder keeps.
//!
//! An auth key is shown to the donor once. It is wiped from memory when dropped, and has no
//! content in `Debug`.

use hmac::{Hmac, KeyInit, Mac};
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha1::Sha1;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Cinder's default `volume_transfer_salt_length`.
const SALT_DIGITS: usize = 8;

/// Cinder's default `volume_transfer_key_length`.
const KEY_DIGITS: usize = 16;

/// What a recipient has to show.
#[derive(Clone)]
pub struct AuthKey(Zeroizing<String>);

impl AuthKey {
    /// An auth key as a caller sent it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text, for the one reply that shows it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn generate() -> Result<Self, RandomnessFailed> {
        random_hex(KEY_DIGITS).map(|text| Self(Zeroizing::new(text)))
    }

    /// Whether this key has the hash that the transfer's row holds.
    pub(crate) fn opens(&self, salt: &str, crypt_hash: &str) -> bool {
        let shown = crypt_hash_of(salt, self);
        !shown.is_empty() && bool::from(shown.as_bytes().ct_eq(crypt_hash.as_bytes()))
    }
}

impl fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthKey(..)")
    }
}

/// The operating system gave no random bytes.
#[derive(Debug)]
pub(crate) struct RandomnessFailed;

pub(crate) fn generate_salt() -> Result<String, RandomnessFailed> {
    random_hex(SALT_DIGITS)
}

/// The value of `transfers.crypt_hash` (cinder: `transfer/api.py` `_get_crypt_hash`): the
/// HMAC-SHA1 of the auth key, keyed with the salt, in lower-case hex.
pub(crate) fn crypt_hash_of(salt: &str, auth_key: &AuthKey) -> String {
    match Hmac::<Sha1>::new_from_slice(salt.as_bytes()) {
        Ok(mut mac) => {
            mac.update(auth_key.0.as_bytes());
            hex::encode(mac.finalize().into_bytes())
        }
        // An HMAC takes a key of any length. An empty hash opens nothing.
        Err(_invalid_length) => String::new(),
    }
}

fn random_hex(digits: usize) -> Result<String, RandomnessFailed> {
    let mut bytes = Zeroizing::new(vec![0_u8; digits / 2]);
    OsRng.try_fill_bytes(&mut bytes).map_err(|_error| RandomnessFailed)?;
    Ok(hex::encode(&*bytes))
}
