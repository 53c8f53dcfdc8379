//! Text that authenticates somebody: tokens and passwords.
//!
//! Invariants: wiped from memory when dropped; `Debug` prints the type's name only; there is no
//! `Display` and no `Serialize`, and equality takes the same time wherever the texts differ.

use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

macro_rules! secret_texts {
    ($($(#[$doc:meta])* $vis:vis $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        $vis struct $name(Zeroizing<String>);

        impl $name {
            /// Takes the text over.
            $vis fn new(text: impl Into<String>) -> Self {
                Self(Zeroizing::new(text.into()))
            }

            /// The text itself, to be sent to the service that it is meant for.
            $vis fn expose(&self) -> &str {
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
    Text;
    /// A password, or the secret of an application credential.
    pub Password;
}

/// A Keystone token, the caller's or the service's own.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    text: Text,
    beside: Option<Text>,
}

impl Token {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: Text::new(text), beside: None }
    }

    /// The text itself, to be sent to the service that it is meant for.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// This token, beside which a service that acts for its user sends its own.
    #[must_use]
    pub fn beside(&self, services: &Self) -> Self {
        Self { text: self.text.clone(), beside: Some(services.text.clone()) }
    }

    /// What is sent beside it.
    pub(crate) fn companion(&self) -> Option<Self> {
        self.beside.clone().map(|text| Self { text, beside: None })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}
