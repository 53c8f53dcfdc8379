//! JSON values as Cinder sees them: as Python prints them.
//!
//! Cinder's schema errors quote what they were sent with `str()` and `repr()`, so both are
//! reproduced here. Keeps the order of an object's members, and of equal keys the last value, as
//! `json.loads` does. Does not: read what only Python's parser takes (`NaN`, lone surrogates,
//! numbers beyond 64 bits; the last are floats here).

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A JSON value.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(String),
    List(Vec<Value>),
    Dict(Vec<(String, Value)>),
}

impl Value {
    /// A member of an object.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Dict(members) => {
                members.iter().find(|(member, _)| member == name).map(|(_, value)| value)
            }
            Self::None
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Str(_)
            | Self::List(_) => None,
        }
    }

    /// A string's text.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Str(text) = self { Some(text) } else { None }
    }

    /// Python's `repr()`; [`fmt::Display`] is its `str()`.
    pub(crate) fn repr(&self) -> String {
        if let Self::Str(text) = self { quoted(text) } else { self.to_string() }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bool(true) => f.write_str("True"),
            Self::Bool(false) => f.write_str("False"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => f.write_str(&float(*number)),
            Self::Str(text) => f.write_str(text),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::repr).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Self::Dict(members) => {
                let member =
                    |(name, value): &(String, Self)| format!("{}: {}", quoted(name), value.repr());
                let members: Vec<String> = members.iter().map(member).collect();
                write!(f, "{{{}}}", members.join(", "))
            }
        }
    }
}

/// `repr()` of a string.
pub(crate) fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut quoted = String::from(quote);
    for letter in text.chars() {
        match letter {
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            letter if letter == quote => quoted.extend(['\\', letter]),
            letter if is_printable(letter) => quoted.push(letter),
            letter => quoted.push_str(&match u32::from(letter) {
                code @ ..0x100 => format!("\\x{code:02x}"),
                code @ 0x100..0x1_0000 => format!("\\u{code:04x}"),
                code => format!("\\U{code:08x}"),
            }),
        }
    }
    quoted.push(quote);
    quoted
}

/// `str.isprintable()`. Rust escapes in `Debug` what is of the same categories; a letter in front
/// keeps it from escaping combining marks, which Python prints.
fn is_printable(letter: char) -> bool {
    letter == '"' || letter == '\'' || format!("a{letter}").escape_debug().nth(1) == Some(letter)
}

/// `repr()` of a float: the shortest digits, in scientific form below 1e-4 and from 1e16 on.
fn float(number: f64) -> String {
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
        _ => format!("{number:?}"),
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::None)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Str(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut members: Vec<(String, Value)> = Vec::new();
        let mut places = std::collections::HashMap::new();
        while let Some((name, value)) = entries.next_entry::<String, Value>()? {
            match places.get(&name).and_then(|place: &usize| members.get_mut(*place)) {
                Some(member) => member.1 = value,
                None => {
                    places.insert(name.clone(), members.len());
                    members.push((name, value));
                }
            }
        }
        Ok(Value::Dict(members))
    }
}

#[cfg(test)]
mod tests {
    use super::Value;

    fn read(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn values_are_quoted_as_python_does() {
        for (json, repr) in [
            ("null", "None"),
            ("true", "True"),
            ("false", "False"),
            ("5", "5"),
            ("-7", "-7"),
            ("18446744073709551615", "18446744073709551615"),
            ("1.5", "1.5"),
            ("2.0", "2.0"),
            ("-0.0", "-0.0"),
            ("1e30", "1e+30"),
            ("1e16", "1e+16"),
            ("1e15", "1000000000000000.0"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("1.5e-7", "1.5e-07"),
            (r#""x""#, "'x'"),
            (r#""it's""#, "\"it's\""),
            (r#""a\"b'c""#, "'a\"b\\'c'"),
            (r#""\\""#, r"'\\'"),
            (r#""é\n\t\r\u0001\u200b😀""#, r"'é\n\t\r\x01\u200b😀'"),
            (r#""\u00a0\u00ad\u0301\udbff\udfff""#, "'\\xa0\\xad\u{301}\\U0010ffff'"),
            ("[]", "[]"),
            (r#"[1, "a", [null]]"#, "[1, 'a', [None]]"),
            ("{}", "{}"),
            (r#"{"z": 1, "a": {"b": false}}"#, "{'z': 1, 'a': {'b': False}}"),
            (r#"{"a": 1, "b": 2, "a": 3}"#, "{'a': 3, 'b': 2}"),
        ] {
            assert_eq!(read(json).repr(), repr, "{json}");
        }
    }

    #[test]
    fn str_of_a_string_is_the_string_itself() {
        assert_eq!(read(r#""it's""#).to_string(), "it's");
        assert_eq!(read(r#"["it's"]"#).to_string(), r#"["it's"]"#);
    }
}
