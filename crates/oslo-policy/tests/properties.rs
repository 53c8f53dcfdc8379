//! Any text is read without a panic, and what was read is printed such that it can be read again.

use oslo_policy::{Attributes, Check, Enforcer, RuleDefault};
use proptest::prelude::*;
use serde_json::json;

/// Text that resembles a rule: its words, and letters that mean something within them.
fn rules() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        prop::sample::select(vec![
            "and",
            "or",
            "not",
            "AND",
            "(",
            ")",
            "@",
            "!",
            "role:admin",
            "rule:checked",
            "'a':'a'",
            "project_id:%(project_id)s",
            "http://x",
            "'q'",
            "a.b:%(c)d",
            "True:True",
            "x",
            ":",
            "%",
            "rule:other",
            "roles:%(r)s",
        ])
        .prop_map(str::to_owned),
        "[ a-z:.%()'\"@!é-]{0,6}",
    ];
    let space = prop::sample::select(vec!["", " ", " ", "  ", "\t", "\u{1e}", "\u{3000}"]);
    prop::collection::vec((word, space), 0..14)
        .prop_map(|words| words.into_iter().map(|(word, space)| word + space).collect())
}

/// Trees as they are read, deeper ones than text by chance makes.
fn trees() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec!["@", "!", "role:a", "rule:b", "x:%(y)s", "('a':'a')"]);
    leaf.prop_map(str::to_owned).prop_recursive(6, 60, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|check| format!("not {check}")),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|checks| format!("({})", checks.join(" and "))),
            prop::collection::vec(inner, 2..4)
                .prop_map(|checks| format!("({})", checks.join(" or "))),
        ]
    })
}

fn object(value: serde_json::Value) -> Attributes {
    value.as_object().cloned().unwrap_or_default()
}

proptest! {
    #[test]
    fn what_was_read_is_printed_and_read_again(rule in prop_oneof![rules(), any::<String>()]) {
        let check = Check::parse(&rule);
        prop_assert_eq!(Check::parse(&check.to_string()), check);
    }

    #[test]
    fn a_tree_is_printed_as_it_was_written(tree in trees()) {
        prop_assert_eq!(Check::parse(&tree).to_string(), tree);
    }

    #[test]
    fn whatever_is_enforced_has_an_answer(rule in rules(), other in rules()) {
        let defaults = vec![RuleDefault::new("checked", &rule), RuleDefault::new("other", &other)];
        let enforcer = Enforcer::of_defaults(defaults);
        let caller = object(json!({"roles": ["admin"], "project_id": "p", "a": {"b": [1, {}]}}));
        let target = object(json!({"project_id": "p", "c": 1, "r": "admin"}));
        let first = enforcer.enforce("checked", &target, &caller);
        prop_assert_eq!(enforcer.enforce("checked", &target, &caller), first);
    }
}
