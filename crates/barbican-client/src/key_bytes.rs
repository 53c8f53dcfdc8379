//! The bytes of a key on their way from one secret to another.
//!
//! Invariants: wiped from memory when dropped; cannot be printed, cloned or serialized; compared
//! in constant time.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A secret's payload, byte for byte. It cannot be printed,
///
/// ```compile_fail
/// println!("{:?}", barbican_client::KeyBytes::new(vec![1]));
/// ```
///
/// nor duplicated.
///
/// ```compile_fail
/// let copy = barbican_client::KeyBytes::new(vec![1]).clone();
/// ```
pub struct KeyBytes(Zeroizing<Vec<u8>>);

impl KeyBytes {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves, to be sent to the secret store.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether both are the same bytes; takes the same time wherever they differ.
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}
