//! What an option's text may be, and what it means.
//!
//! Follows oslo.config: `types.py`. An empty number is no number, an empty list is an empty list.
//! Where this knowingly differs: a whole number must fit in 64 bits, a URI must be one that can be
//! connected to or empty, and list items are texts.

use std::net::SocketAddr;
use url::Url;

/// What an option's value must be besides its type.
#[derive(Clone, Copy, Default)]
pub struct Limits {
    pub(crate) least: Option<i64>,
    pub(crate) most: Option<i64>,
    pub(crate) one_of: &'static [&'static str],
}

/// A type that options have.
pub trait OptionType: Sized {
    /// Whether every assignment counts, and not only the last one.
    const MULTI: bool = false;

    /// What one text means; `None` where it is empty and the type has no empty value.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    fn read(text: &str, limits: &Limits) -> Result<Option<Self>, String>;

    /// What all the assignments of an option mean together.
    ///
    /// # Errors
    /// As [`OptionType::read`].
    fn read_all(texts: &[String], limits: &Limits) -> Result<Option<Self>, String> {
        texts.last().map_or(Ok(None), |text| Self::read(text, limits))
    }

    /// The value as Python prints it; lists with commas between.
    fn show(&self) -> String;
}

impl OptionType for String {
    fn read(text: &str, limits: &Limits) -> Result<Option<Self>, String> {
        if !limits.one_of.is_empty() && !limits.one_of.contains(&text) {
            return Err(format!("not known; write one of {}", limits.one_of.join(", ")));
        }
        Ok(Some(text.to_owned()))
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl OptionType for bool {
    fn read(text: &str, _limits: &Limits) -> Result<Option<Self>, String> {
        match text.to_lowercase().as_str() {
            "true" | "1" | "on" | "yes" => Ok(Some(true)),
            "false" | "0" | "off" | "no" => Ok(Some(false)),
            _ => Err("neither true nor false; write one of them".to_owned()),
        }
    }

    fn show(&self) -> String {
        if *self { "True".to_owned() } else { "False".to_owned() }
    }
}

impl OptionType for i64 {
    fn read(text: &str, limits: &Limits) -> Result<Option<Self>, String> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        let number: Self = digits(text.trim())
            .and_then(|text| text.parse().ok())
            .ok_or("not a whole number; write digits, such as 10")?;
        match (limits.least, limits.most) {
            (Some(least), _) if number < least => Err(format!("write {least} or more")),
            (_, Some(most)) if number > most => Err(format!("write {most} or less")),
            (_, _) => Ok(Some(number)),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl OptionType for f64 {
    fn read(text: &str, _limits: &Limits) -> Result<Option<Self>, String> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        let number = digits(text.trim()).and_then(|text| text.parse().ok());
        number.map(Some).ok_or_else(|| "not a number; write digits, such as 1.5".to_owned())
    }

    fn show(&self) -> String {
        format!("{self:?}")
    }
}

/// A port.
impl OptionType for u16 {
    fn read(text: &str, _limits: &Limits) -> Result<Option<Self>, String> {
        let most = Some(i64::from(Self::MAX));
        let number = i64::read(text, &Limits { least: Some(0), most, one_of: &[] })?;
        Ok(number.and_then(|number| Self::try_from(number).ok()))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl OptionType for Url {
    fn read(text: &str, _limits: &Limits) -> Result<Option<Self>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        let url = Self::parse(text).ok().filter(|url| text.is_ascii() && url.has_host());
        url.map(Some)
            .ok_or_else(|| "not a URL; write it whole, as http://host:port/path".to_owned())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// Our own: an address to listen on.
impl OptionType for SocketAddr {
    fn read(text: &str, _limits: &Limits) -> Result<Option<Self>, String> {
        let address = text.parse().map(Some);
        address.map_err(|_| "not an address and a port; write it as 127.0.0.1:8776".to_owned())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// Items with commas between.
impl OptionType for Vec<String> {
    fn read(text: &str, _limits: &Limits) -> Result<Option<Self>, String> {
        let text = text.trim().trim_end_matches(',');
        if text.is_empty() {
            return Ok(Some(Self::new()));
        }
        Ok(Some(text.split(',').map(|item| item.trim().to_owned()).collect()))
    }

    fn show(&self) -> String {
        self.join(",")
    }
}

/// The values of an option that may be assigned many times.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Multi(pub Vec<String>);

impl OptionType for Multi {
    const MULTI: bool = true;

    fn read(text: &str, _limits: &Limits) -> Result<Option<Self>, String> {
        Ok(Some(Self(vec![text.to_owned()])))
    }

    fn read_all(texts: &[String], _limits: &Limits) -> Result<Option<Self>, String> {
        Ok((!texts.is_empty()).then(|| Self(texts.to_vec())))
    }

    fn show(&self) -> String {
        self.0.join(",")
    }
}

/// Python's numbers may have single underscores between digits.
fn digits(text: &str) -> Option<String> {
    let is_digit = |at: Option<&u8>| at.is_some_and(u8::is_ascii_digit);
    let bytes = text.as_bytes();
    let well_placed = |at: usize| {
        is_digit(at.checked_sub(1).and_then(|before| bytes.get(before)))
            && is_digit(bytes.get(at + 1))
    };
    let ok = text.match_indices('_').all(|(at, _)| well_placed(at));
    ok.then(|| text.replace('_', ""))
}
