//! How the names in a list's query are matched.

use url::form_urlencoded;

/// The name filter is decoded once more than the rest of the query.
pub(super) fn unquote(text: &str) -> String {
    // A name with `&` or `=` in it must not fall apart.
    let text = text.replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(text.as_bytes())
        .map(|(name, _)| name.into_owned())
        .next()
        .unwrap_or_default()
}

/// SQL's LIKE with `\` as its escape, case-sensitive as in PostgreSQL.
pub(super) fn like(pattern: &str, value: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let value: Vec<char> = value.chars().collect();
    // Which beginnings of the value the pattern so far can stand for.
    let mut reached = vec![false; value.len() + 1];
    reached[0] = true;
    let mut letters = pattern.into_iter();
    while let Some(letter) = letters.next() {
        let mut next = vec![false; value.len() + 1];
        if letter == '%' {
            let first = reached.iter().position(|reached| *reached).unwrap_or(next.len());
            next[first..].fill(true);
        } else {
            let any = letter == '_';
            let letter = if letter == '\\' { letters.next().unwrap_or('\\') } else { letter };
            for (place, found) in value.iter().enumerate() {
                next[place + 1] = reached[place] && (any || *found == letter);
            }
        }
        reached = next;
    }
    reached[value.len()]
}

#[cfg(test)]
mod tests {
    use super::{like, unquote};

    #[test]
    fn names_are_matched_as_sql_does() {
        for (pattern, value, expected) in [
            ("shell", "shell", true),
            ("sh%", "shell", true),
            ("%ell", "shell", true),
            ("s_ell", "shell", true),
            ("%", "", true),
            ("a%b%c", "a-b-b-c", true),
            ("SHELL", "shell", false),
            ("sh", "shell", false),
            ("s\\_ell", "shell", false),
            ("s\\_ell", "s_ell", true),
            ("\\%", "%", true),
            ("", "x", false),
        ] {
            assert_eq!(like(pattern, value), expected, "{pattern} {value}");
        }
    }

    #[test]
    fn the_name_filter_is_decoded_once_more() {
        for (given, expected) in
            [("a+b", "a b"), ("%73hell", "shell"), ("a&b=c", "a&b=c"), ("%", "%")]
        {
            assert_eq!(unquote(given), expected);
        }
    }
}
