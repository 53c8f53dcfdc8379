//! Deterministic randomness: ids, token strings and the bytes of ordered keys.
//!
//! A draw is a hash of the seed and of a counter that is part of the saved state, so a restarted
//! simulator goes on where it stopped and never repeats an id. Nothing here is fit for real keys.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// The position in the stream of draws of one seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Draws {
    seed: u64,
    count: u64,
}

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, count: 0 }
    }

    /// The next `length` bytes.
    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut drawn = Vec::with_capacity(length + 31);
        while drawn.len() < length {
            self.count += 1;
            drawn.extend_from_slice(&digest(self.seed, "draw", &self.count.to_string()));
        }
        drawn.truncate(length);
        drawn
    }

    /// The next UUID of version 4.
    pub(crate) fn uuid(&mut self) -> Uuid {
        self.count += 1;
        uuid_of(digest(self.seed, "uuid", &self.count.to_string()))
    }
}

/// The UUID that `name` of this `kind` has under `seed`: the same in every run.
pub(crate) fn named(seed: u64, kind: &str, name: &str) -> Uuid {
    uuid_of(digest(seed, kind, name))
}

/// A number from 0 up to 1 that follows from the three.
pub(crate) fn fraction(seed: u64, kind: &str, name: &str) -> f64 {
    let block = digest(seed, kind, name);
    let number = block[..4].iter().fold(0, |sum, byte| (sum << 8) | u32::from(*byte));
    f64::from(number) / (f64::from(u32::MAX) + 1.0)
}

fn digest(seed: u64, kind: &str, name: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_be_bytes());
    hasher.update(kind.as_bytes());
    hasher.update([0]);
    hasher.update(name.as_bytes());
    hasher.finalize().into()
}

fn uuid_of(block: [u8; 32]) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&block[..16]);
    Builder::from_random_bytes(bytes).into_uuid()
}
