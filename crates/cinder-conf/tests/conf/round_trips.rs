//! No text breaks the reading, and what is written by the rules is read as it was meant.

use cinder_conf::{Assignment, Conf, Origin, options, parse};
use proptest::prelude::*;

/// A text that may stand as a value.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9 ,:=#;$\"'/@-]{0,12}",
        "[a-z\"' ]{0,4}",
        "[a-z][a-z =:#]{0,6}(\n[a-z#;=\\[][a-z =]{0,6}){1,2}",
    ]
    .prop_map(|text| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n"))
}

fn entry() -> impl Strategy<Value = (String, String, String, bool)> {
    ("[a-zA-Z_]{1,8}", "[a-z_-]{1,8}", value(), any::<bool>())
}

/// Texts that are like references, numbers and addresses.
const SAID: &str = "(\\$[a-z_.{}]{0,9}|[0-9a-z:/@_,.-]|\\PC){0,9}";

/// An assignment as it has to be written.
fn written(name: &str, value: &str, colon: bool) -> String {
    let sign = if colon { ':' } else { '=' };
    if value.contains('\n') {
        return format!("{name} {sign} {}\n", value.replace('\n', "\n  "));
    }
    // Quotes keep spaces and quotes at the ends.
    format!("{name} {sign} \"{value}\"\n")
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        entries in prop::collection::vec(entry(), 0..8),
        noise in prop_oneof![Just(""), Just("\n"), Just("# x = y\n"), Just(";\n\n")],
    ) {
        let mut text = String::new();
        for (section, name, value, colon) in &entries {
            text.push_str(&format!("[{section}]\n{noise}{}{noise}", written(name, value, *colon)));
        }
        let read = parse(&text).map_err(|bad| TestCaseError::fail(format!("{bad:?} in {text:?}")))?;
        let read: Vec<_> = read.into_iter().map(|e| (e.section, e.name, e.value)).collect();
        let meant: Vec<_> =
            entries.into_iter().map(|(section, name, value, _)| (section, name, value)).collect();
        prop_assert_eq!(read, meant, "{:?}", text);
    }

    #[test]
    fn no_text_breaks_the_reading(text in "(\\PC|[\\[\\]=:\n\r\t \"'#;$]){0,60}") {
        let lines = text.split(['\n', '\r']).count();
        match parse(&text) {
            Ok(entries) => prop_assert!(entries.iter().all(|entry| entry.line <= lines)),
            Err(bad) => prop_assert!(bad.line >= 1 && bad.line <= lines),
        }
    }

    #[test]
    fn no_value_breaks_an_option(
        said in prop::collection::vec((0_usize..80, SAID), 1..6),
    ) {
        let table: Vec<_> = options::all().collect();
        let file = |line| Origin::File { path: "cinder.conf".into(), line };
        let layer = said.iter().enumerate().map(|(line, (index, text))| {
            // By names and values that lead to each other more often than by chance.
            let text = text.replace("$a", "$username").replace("$b", "${auth_section}");
            Assignment::of(table[index % table.len()], text, file(line + 1))
        });
        let mut conf = Conf::default();
        conf.add(layer.collect());
        match conf.check() {
            Ok(()) => prop_assert!(conf.effective().is_ok()),
            Err(problems) => {
                for wrong in problems.0 {
                    prop_assert!(matches!(wrong.origin, Origin::File { .. }), "{}", wrong);
                }
            }
        }
    }
}
