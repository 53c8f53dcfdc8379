//! Pairs of keys for orders.
//!
//! Every order of a kind gets the same pair, out of this source: making one takes seconds, and
//! nothing here is fit for real use anyway. A pair is whole, so that what one half signs or
//! encrypts is good for the other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::payload::Payload;

/// The two halves, as base64 of their DER.
macro_rules! halves {
    ($name:literal) => {
        [
            include_str!(concat!("pairs/", $name, ".private.txt")),
            include_str!(concat!("pairs/", $name, ".public.txt")),
        ]
    };
}

const PAIRS: &[(&str, i64, [&str; 2])] = &[
    ("rsa", 1024, halves!("rsa-1024")),
    ("rsa", 2048, halves!("rsa-2048")),
    ("rsa", 4096, halves!("rsa-4096")),
    ("dsa", 1024, halves!("dsa-1024")),
    ("dsa", 2048, halves!("dsa-2048")),
    ("dsa", 4096, halves!("dsa-4096")),
];

/// A private key (PKCS #8) and its public one (SubjectPublicKeyInfo), both in the form that
/// upstream gives them: RSA as PEM, DSA as DER.
pub(super) fn pair(algorithm: &str, bits: i64) -> Option<[Payload; 2]> {
    let is_wanted = |pair: &&(&str, i64, [&str; 2])| pair.0 == algorithm && pair.1 == bits;
    let (_, _, [private, public]) = PAIRS.iter().find(is_wanted)?;
    if algorithm == "rsa" {
        return Some([pem("PRIVATE KEY", private), pem("PUBLIC KEY", public)]);
    }
    Some([der(private)?, der(public)?])
}

fn pem(label: &str, body: &str) -> Payload {
    Payload::new(format!("-----BEGIN {label}-----\n{body}-----END {label}-----\n").into_bytes())
}

fn der(body: &str) -> Option<Payload> {
    STANDARD.decode(body.replace('\n', "")).ok().map(Payload::new)
}
