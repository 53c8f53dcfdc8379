//! Query strings, as the Python services read them.

use url::form_urlencoded;

/// Decoded parameters in their order; one that is given twice keeps all its values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, Vec<String>)>);

impl Query {
    pub(crate) fn parse(text: Option<&str>) -> Self {
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(text.unwrap_or_default().as_bytes()) {
            match query.0.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => values.push(value.into_owned()),
                None => query.0.push((name.into_owned(), vec![value.into_owned()])),
            }
        }
        query
    }

    /// The first value of a parameter, unless it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).first().map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    /// Every value of a parameter.
    pub(crate) fn all(&self, name: &str) -> &[String] {
        self.0.iter().find(|(known, _)| known == name).map_or(&[], |(_, values)| values)
    }

    /// The parameters but those named, encoded again.
    pub(crate) fn without(&self, names: &[&str]) -> String {
        let mut text = form_urlencoded::Serializer::new(String::new());
        for (name, values) in &self.0 {
            if !names.contains(&name.as_str()) {
                text.extend_pairs(values.iter().map(|value| (name, value)));
            }
        }
        text.finish()
    }
}

/// What oslo.utils takes for a boolean in strict mode.
pub(crate) fn strict_bool(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Some(true),
        "0" | "f" | "false" | "off" | "n" | "no" => Some(false),
        _ => None,
    }
}
