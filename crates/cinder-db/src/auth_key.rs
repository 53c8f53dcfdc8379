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

/// How long new auth keys and their salts are, in hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lengths {
    /// `volume_transfer_salt_length`.
    pub salt: usize,
    /// `volume_transfer_key_length`.
    pub auth_key: usize,
}

impl Default for Lengths {
    /// Cinder's defaults.
    fn default() -> Self {
        Self { salt: 8, auth_key: 16 }
    }
}

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

    pub(crate) fn generate(digits: usize) -> Result<Self, RandomnessFailed> {
        random_hex(digits).map(Self)
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

pub(crate) fn generate_salt(digits: usize) -> Result<String, RandomnessFailed> {
    random_hex(digits).map(|text| text.to_string())
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

fn random_hex(digits: usize) -> Result<Zeroizing<String>, RandomnessFailed> {
    let mut bytes = Zeroizing::new(vec![0_u8; digits.div_ceil(2)]);
    OsRng.try_fill_bytes(&mut bytes).map_err(|_error| RandomnessFailed)?;
    let mut text = Zeroizing::new(hex::encode(&*bytes));
    text.truncate(digits);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with `cinder.transfer.api.API._get_crypt_hash` of Cinder 29.0.0.
    const CINDERS: [(&str, &str, &str); 4] = [
        ("12345678", "0123456789abcdef", "58394a1db559eed84ff22b9ebdb6481a35e5bda5"),
        ("a1b2c3d4", "secret key", "78271ef4f384636d4496e8c41bf3b140320f9e52"),
        ("", "x", "6244e66451a1c8695db9731ce2c4fd5de25ccf87"),
        ("é", "ü", "9b9bc34ebf5e97c28cd07b93efed74d29e01557f"),
    ];

    #[test]
    fn hashes_are_those_that_cinder_computes() {
        for (salt, key, hash) in CINDERS {
            assert_eq!(crypt_hash_of(salt, &AuthKey::new(key)), hash, "salt {salt}");
            assert!(AuthKey::new(key).opens(salt, hash));
            assert!(!AuthKey::new("another").opens(salt, hash));
            assert!(!AuthKey::new(key).opens(salt, ""));
        }
    }

    #[test]
    fn generated_keys_and_salts_have_the_length_that_is_asked_for_and_differ() {
        let is_hex = |text: &str| text.chars().all(|c| c.is_ascii_hexdigit());
        assert_eq!(Lengths::default(), Lengths { salt: 8, auth_key: 16 });
        for digits in [1, 7, 8, 16, 17, 255] {
            let (key, salt) = (AuthKey::generate(digits).unwrap(), generate_salt(digits).unwrap());
            for text in [key.reveal(), &salt] {
                assert!(text.len() == digits && is_hex(text), "{digits}");
            }
            assert!(digits < 16 || key.reveal() != salt);
        }
    }

    #[test]
    fn debug_shows_nothing_of_the_key() {
        assert_eq!(format!("{:?}", AuthKey::new("0123456789abcdef")), "AuthKey(..)");
    }
}
