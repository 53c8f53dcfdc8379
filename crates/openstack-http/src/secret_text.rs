//! Text that authenticates somebody: tokens and passwords.
//!
//! Invariants: wiped from memory when dropped; `Debug` prints the type's name only; there is no
//! `Display` and no `Serialize`, and equality takes the same time wherever the texts differ.

use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

macro_rules! secret_texts {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Zeroizing<String>);

        impl $name {
            /// Takes the text over.
            pub fn new(text: impl Into<String>) -> Self {
                Self(Zeroizing::new(text.into()))
            }

            /// The text itself, to be sent to the service that it is meant for.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
            }
        }

        impl Eq for $name {}
    )*};
}

secret_texts! {
    /// A Keystone token, the caller's or the service's own.
    Token;
    /// A password, or the secret of an application credential.
    Password;
}
