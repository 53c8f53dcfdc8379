//! The lines of files: every expectation is what oslo.config 10.7 does with the same text.

use cinder_conf::{Mistake, parse};

/// The assignments as `section|name|value|line`.
fn check(text: &str, expected: &[&str]) {
    let found = parse(text).map(|entries| {
        let line =
            |e: &cinder_conf::Entry| format!("{}|{}|{}|{}", e.section, e.name, e.value, e.line);
        entries.iter().map(line).collect::<Vec<_>>()
    });
    assert_eq!(
        found.as_deref(),
        Ok(&expected.iter().map(ToString::to_string).collect::<Vec<_>>()[..]),
        "{text:?}"
    );
}

#[test]
fn values_end_at_the_line_without_spaces_and_quotes() {
    for (line, value) in [
        ("s = a b ", "a b"),
        ("s: a", "a"),
        ("s = a:b=c", "a:b=c"),
        ("s: a=b", "a=b"),
        ("s=a # c", "a # c"),
        ("s = \"a b\"", "a b"),
        ("s = 'a'", "a"),
        ("s = \"a", "\"a"),
        ("s = a\"", "a\""),
        ("s = \"a'", "\"a'"),
        ("s = \"", ""),
        ("s = \"a\"b\"", "a\"b"),
        ("s = \"\"", ""),
        ("s =", ""),
        ("s\t=\ta", "a"),
        ("s = \" a \"", " a "),
        ("s=\u{a0}a\u{a0}", "a"),
        ("s=a\u{1f}", "a"),
        ("s=a\u{b}b", "a\u{b}b"),
    ] {
        check(&format!("[DEFAULT]\n{line}\n"), &[&format!("DEFAULT|s|{value}|2")]);
    }
}

#[test]
fn lines_go_on_until_a_line_that_is_not_indented() {
    for (text, expected) in [
        ("[g]\ns = a\n  b\n\tc\n", &["g|s|a\nb\nc|2"][..]),
        ("[g]\ns = a\n # b\n", &["g|s|a\n# b|2"]),
        ("[g]\ns =\n  a\n", &["g|s|\na|2"]),
        ("[g]\ns=\"a\n b\"\n", &["g|s|\"a\nb\"|2"]),
        ("[g]\ns=a\n# x\nt=b\n", &["g|s|a|2", "g|t|b|4"]),
        ("[g]\ns=a\n \nt=b", &["g|s|a|2", "g|t|b|4"]),
    ] {
        check(text, expected);
    }
}

#[test]
fn sections_and_line_ends_are_told() {
    for (text, expected) in [
        ("[DEFAULT] \ns=a\n[g]\n[DEFAULT]\ns=c\n", &["DEFAULT|s|a|2", "DEFAULT|s|c|5"][..]),
        ("[G h]\ns=a", &["G h|s|a|2"]),
        ("[DEFAULT]\r\ns = a\r\nt=b\r\n", &["DEFAULT|s|a|2", "DEFAULT|t|b|3"]),
        ("[DEFAULT]\ns=a\rt=b\n", &["DEFAULT|s|a|2", "DEFAULT|t|b|3"]),
        (";x\n# y\n\n[DEFAULT]\n;s = a\n#s=b\n", &[]),
        ("", &[]),
    ] {
        check(text, expected);
    }
}

#[test]
fn what_cannot_be_read_is_told_with_its_line() {
    for (text, line, mistake) in [
        ("[g]\ns = a\n\n  b\n", 4, Mistake::Continuation),
        ("[g]\ns = a\n# x\n b\n", 4, Mistake::Continuation),
        ("[g]\n x\n", 2, Mistake::Continuation),
        ("s = a\n", 1, Mistake::NoSection),
        ("[DEFAULT\ns = a\n", 1, Mistake::Unclosed),
        ("[", 1, Mistake::Unclosed),
        ("[DEFAULT] # x\n", 1, Mistake::Unclosed),
        ("[DEFAULT]\n[g]x\n", 2, Mistake::Unclosed),
        ("[]\n", 1, Mistake::Nameless),
        ("[DEFAULT]\nnothing\n", 2, Mistake::NoAssignment),
        ("\u{feff}[DEFAULT]\n", 1, Mistake::NoAssignment),
        ("[g]\ns=a\n\u{a0}b\n", 3, Mistake::NoAssignment),
        ("[DEFAULT]\n= x\n", 2, Mistake::NoName),
    ] {
        let bad = parse(text).err().map(|bad| (bad.line, bad.mistake));
        assert_eq!(bad, Some((line, mistake)), "{text:?}");
    }
}
