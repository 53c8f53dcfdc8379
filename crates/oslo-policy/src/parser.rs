//! Reads the rule language.
//!
//! oslo.policy: `_parser.py`. Words are shifted on a stack and reduced greedily: `and` binds
//! tighter than `or`, `not` takes one check, and what does not reduce to one is not understood.
//! Neither depth nor length of a rule can exhaust the thread's stack.

use crate::check::Check;
use crate::template::Template;
use serde_json::Value;

/// Most words that wait for their end, such as parentheses that are open.
const MAX_PENDING: usize = 200;

enum Token {
    Check(Check),
    AndExpression(Vec<Check>),
    OrExpression(Vec<Check>),
    And,
    Or,
    Not,
    Open,
    Close,
    Quoted,
}

/// Reads a rule as text.
pub(crate) fn rule(text: &str) -> Check {
    if text.is_empty() {
        return Check::True;
    }
    let mut stack = Vec::new();
    for token in text.split(is_space).flat_map(tokens) {
        shift(&mut stack, token);
        if stack.len() > MAX_PENDING {
            break;
        }
    }
    let last = stack.pop().and_then(Token::check);
    last.filter(|_| stack.is_empty()).unwrap_or_else(|| not_understood(text))
}

/// Reads a rule as a file holds it: text, the older list of lists, or nothing. `None` where it is
/// none of them.
pub(crate) fn value(value: &Value) -> Option<Check> {
    match value {
        Value::Null => Some(Check::True),
        Value::String(text) => Some(rule(text)),
        Value::Array(alternatives) => list(alternatives),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// The outer list is joined by `or`, the inner ones by `and`; empty inner ones do not count.
fn list(alternatives: &[Value]) -> Option<Check> {
    if alternatives.is_empty() {
        return Some(Check::True);
    }
    let mut any = Vec::new();
    for alternative in alternatives {
        let mut all = match alternative {
            Value::Null => continue,
            Value::String(text) if text.is_empty() => continue,
            Value::String(text) => vec![word(text)],
            Value::Array(words) => {
                words.iter().map(|text| text.as_str().map(word)).collect::<Option<_>>()?
            }
            Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
        };
        match all.len() {
            0 => {}
            1 => any.append(&mut all),
            _ => any.push(Check::And(all)),
        }
    }
    Some(match any.len() {
        0 => Check::False,
        1 => any.remove(0),
        _ => Check::Or(any),
    })
}

/// Whether a word of a rule is no check but text in quotes, which rules have no use for.
pub(crate) fn is_quoted(word: &str) -> bool {
    word.len() >= 2
        && ['"', '\''].iter().any(|quote| word.starts_with(*quote) && word.ends_with(*quote))
}

/// What separates words: Python's `\s`.
fn is_space(letter: char) -> bool {
    letter.is_whitespace() || ('\x1c'..='\x1f').contains(&letter)
}

/// The tokens of what stands between spaces. Parentheses belong to the rule at a word's beginning
/// and end only: within, they are those of `%(name)s`.
fn tokens(word: &str) -> Vec<Token> {
    let inner = word.trim_start_matches('(');
    let mut tokens: Vec<_> = (inner.len()..word.len()).map(|_| Token::Open).collect();
    let clean = inner.trim_end_matches(')');
    if clean.eq_ignore_ascii_case("and") {
        tokens.push(Token::And);
    } else if clean.eq_ignore_ascii_case("or") {
        tokens.push(Token::Or);
    } else if clean.eq_ignore_ascii_case("not") {
        tokens.push(Token::Not);
    } else if is_quoted(inner) {
        tokens.push(Token::Quoted);
    } else if !clean.is_empty() {
        tokens.push(Token::Check(self::word(clean)));
    }
    tokens.extend((clean.len()..inner.len()).map(|_| Token::Close));
    tokens
}

/// One check.
fn word(word: &str) -> Check {
    match (word, word.split_once(':')) {
        ("!", _) => Check::False,
        ("@", _) => Check::True,
        (_, None) => not_understood(word),
        (_, Some(("rule", name))) => Check::Rule(name.to_owned()),
        (_, Some(("role", role))) => Check::Role(Template::new(role)),
        (_, Some(("http" | "https", _))) => Check::Remote(word.to_owned()),
        (_, Some((kind, template))) => Check::attribute(kind, template),
    }
}

fn not_understood(text: &str) -> Check {
    tracing::error!(rule = text, "not understood: it refuses everybody");
    Check::False
}

impl Token {
    /// The check that this is, or that it amounts to between parentheses.
    fn check(self) -> Option<Check> {
        match self {
            Self::Check(check) => Some(check),
            Self::AndExpression(all) => Some(Check::And(all)),
            Self::OrExpression(any) => Some(Check::Or(any)),
            Self::And | Self::Or | Self::Not | Self::Open | Self::Close | Self::Quoted => None,
        }
    }
}

/// Puts a token on the stack, and reduces what it completes.
fn shift(stack: &mut Vec<Token>, token: Token) {
    use Token::{AndExpression, Close, Open, OrExpression};
    let is_closed = matches!(token, Close)
        && matches!(
            stack.as_slice(),
            [.., Open, Token::Check(_) | AndExpression(_) | OrExpression(_)]
        );
    let check = if is_closed {
        let inner = stack.pop().and_then(Token::check);
        stack.pop();
        inner
    } else if let Token::Check(check) = token {
        Some(check)
    } else {
        stack.push(token);
        None
    };
    if let Some(check) = check {
        complete(stack, check);
    }
}

/// Puts a check on the stack, joined with the words that wait for it.
fn complete(stack: &mut Vec<Token>, mut check: Check) {
    while stack.pop_if(|last| matches!(last, Token::Not)).is_some() {
        check = Check::Not(Box::new(check));
    }
    let joined = match stack.as_slice() {
        [.., Token::Check(_) | Token::AndExpression(_) | Token::OrExpression(_), Token::And] => {
            stack.pop();
            and(stack.pop(), check)
        }
        [.., Token::Check(_) | Token::AndExpression(_) | Token::OrExpression(_), Token::Or] => {
            stack.pop();
            or(stack.pop(), check)
        }
        _ => Token::Check(check),
    };
    stack.push(joined);
}

/// `left and check`; of alternatives, the last one takes it.
fn and(left: Option<Token>, check: Check) -> Token {
    let extended = |last: Option<Check>, check| match last {
        Some(Check::And(mut all)) => {
            all.push(check);
            all
        }
        last => last.into_iter().chain([check]).collect(),
    };
    match left {
        Some(Token::AndExpression(all)) => {
            Token::AndExpression(extended(Some(Check::And(all)), check))
        }
        Some(Token::OrExpression(mut any)) => {
            let last = extended(any.pop(), check);
            any.push(Check::And(last));
            Token::OrExpression(any)
        }
        left => {
            let left = left.and_then(Token::check);
            Token::AndExpression(left.into_iter().chain([check]).collect())
        }
    }
}

/// `left or check`.
fn or(left: Option<Token>, check: Check) -> Token {
    match left {
        Some(Token::OrExpression(mut any)) => {
            any.push(check);
            Token::OrExpression(any)
        }
        left => {
            let left = left.and_then(Token::check);
            Token::OrExpression(left.into_iter().chain([check]).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MAX_PENDING;
    use crate::check::Check;

    #[test]
    fn rules_are_read_with_their_precedence() {
        for (rule, printed) in [
            ("", "@"),
            ("  ", "!"),
            ("a:1", "a:1"),
            ("a:1 AND b:2 aNd c:3", "(a:1 and b:2 and c:3)"),
            ("a:1 or b:2 and c:3 or d:4", "(a:1 or (b:2 and c:3) or d:4)"),
            ("a:1 and b:2 or c:3 and d:4 and e:5", "((a:1 and b:2) or (c:3 and d:4 and e:5))"),
            ("a:1 or (b:2 and c:3) and d:4", "(a:1 or (b:2 and c:3 and d:4))"),
            ("(a:1 and b:2) and c:3", "((a:1 and b:2) and c:3)"),
            ("((a:1 or b:2)and c:3)", "!"),
            ("(a:1 or b:2) and c:3", "((a:1 or b:2) and c:3)"),
            ("not not a:1 and not b:2", "(not not a:1 and not b:2)"),
            ("not (a:1 or b:2)", "not (a:1 or b:2)"),
            ("((a:%(b)s))", "a:%(b)s"),
            ("('a':'b')", "('a':'b')"),
            ("'a':'b'", "!"),
            ("a:1 b:2", "!"),
            ("a:1 or", "!"),
            ("not", "!"),
            ("()", "!"),
            ("(a:1", "!"),
            ("a:1 )", "!"),
            ("nonsense or @", "(! or @)"),
            ("a:1\u{1f}or\u{a0}b:2", "(a:1 or b:2)"),
        ] {
            assert_eq!(Check::parse(rule).to_string(), printed, "{rule:?}");
        }
    }

    #[test]
    fn a_rule_that_is_too_deep_is_not_understood() {
        let deep = |depth: usize| format!("{}@", "not ".repeat(depth));
        assert_ne!(Check::parse(&deep(MAX_PENDING)), Check::False);
        assert_eq!(Check::parse(&deep(MAX_PENDING + 1)), Check::False);
        assert_eq!(Check::parse(&deep(100_000)), Check::False);
        assert_eq!(Check::parse(&format!("{}@", "(".repeat(100_000))), Check::False);
        let wide = vec!["@"; 100_000].join(" and ");
        assert!(matches!(Check::parse(&wide), Check::And(all) if all.len() == 100_000));
    }
}
