//! The language and the enforcer against tables of what oslo.policy itself decides.
//!
//! `conformance/policy_tables.py` records them. Where the library raises, this crate refuses.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its table has failed")]

use oslo_policy::{Attributes, Check, DeprecatedRule, Enforcer, Options, RuleDefault, Scope};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

#[derive(Deserialize)]
struct Language {
    shared: BTreeMap<String, Value>,
    credentials: Vec<(String, Attributes)>,
    targets: Vec<(String, Attributes)>,
    cases: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Sentence {
    rule: Value,
    printed: String,
    /// A letter for each pair of credentials and targets, in the order of their lists.
    decided: String,
    #[serde(default)]
    with: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Table {
    defaults: Vec<Default>,
    callers: Vec<(String, Attributes)>,
    cases: Vec<Case>,
}

/// A name, a rule, scopes, and the name and the rule that were before.
type Default = (String, String, Option<Vec<String>>, Option<(String, String)>);

#[derive(Deserialize)]
struct Case {
    file: Option<String>,
    directory: BTreeMap<String, String>,
    enforce_new_defaults: bool,
    /// By the rule's name, a letter for each caller.
    decided: BTreeMap<String, String>,
}

fn table<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables").join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn reading(file: &Path, dir: &Path, new: bool, defaults: Vec<RuleDefault>) -> Enforcer {
    let options = Options {
        policy_file: Some(file.to_owned()),
        policy_dirs: vec![dir.to_owned()],
        enforce_new_defaults: new,
        ..Options::default()
    };
    Enforcer::new(defaults, options, Arc::new(Instant::now)).unwrap()
}

fn letters(decided: impl Iterator<Item = bool>) -> String {
    decided.map(|allowed| if allowed { 't' } else { 'f' }).collect()
}

#[test]
fn the_language_is_decided_as_by_the_library() {
    let table: Language = table("language.json");
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("policy.json");
    let pairs = || {
        let targets = || table.targets.iter().map(|(_, target)| target);
        table.credentials.iter().flat_map(move |(_, caller)| targets().map(move |t| (caller, t)))
    };
    assert!(table.cases.len() >= 150);
    for Sentence { rule, printed, decided, with } in &table.cases {
        let mut rules = table.shared.clone();
        rules.extend(with.clone());
        rules.insert("checked".to_owned(), rule.clone());
        fs::write(&file, serde_json::to_string(&rules).unwrap()).unwrap();
        let enforcer = reading(&file, home.path().join("none").as_path(), true, Vec::new());
        let decide = |(caller, target)| enforcer.enforce("checked", target, caller);
        let ours = letters(pairs().map(decide));
        assert_eq!(ours, decided.replace('!', "f"), "{rule} {with:?}");
        if let Some(text) = rule.as_str() {
            let check = Check::parse(text);
            // the library prints one kind of check such that it cannot be read again
            let is_lossy = Check::parse(printed) != check;
            assert!(is_lossy || check.to_string() == *printed, "{rule}: {check}");
        }
    }
}

#[test]
fn defaults_files_and_scopes_are_enforced_as_by_the_library() {
    let table: Table = table("enforcer.json");
    let scope = |scope: &String| match scope.as_str() {
        "system" => Scope::System,
        "domain" => Scope::Domain,
        _ => Scope::Project,
    };
    let defaults: Vec<_> = table
        .defaults
        .iter()
        .map(|(name, text, scopes, deprecated)| {
            let scopes: Vec<_> = scopes.iter().flatten().map(scope).collect();
            let default = RuleDefault::new(name, text).scopes(&scopes);
            match deprecated {
                Some((name, text)) => default.replaces(DeprecatedRule::new(name, text)),
                None => default,
            }
        })
        .collect();
    for Case { file, directory, enforce_new_defaults, decided } in &table.cases {
        let home = tempfile::tempdir().unwrap();
        let (path, dir) = (home.path().join("policy.yaml"), home.path().join("policy.d"));
        fs::create_dir(&dir).unwrap();
        if let Some(text) = file {
            fs::write(&path, text).unwrap();
        }
        for (name, text) in directory {
            fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
            fs::write(dir.join(name), text).unwrap();
        }
        let enforcer = reading(&path, &dir, *enforce_new_defaults, defaults.clone());
        for (name, decided) in decided {
            let target = Attributes::new();
            let decide = |(_, caller): &(_, _)| enforcer.enforce(name, &target, caller);
            let ours = letters(table.callers.iter().map(decide));
            let what = format!("{name} {file:?} {directory:?} new: {enforce_new_defaults}");
            assert_eq!(ours, *decided, "{what}");
        }
    }
}

#[test]
fn a_scope_that_does_not_fit_is_let_through_where_scopes_are_not_enforced() {
    for (enforce_scope, expected) in [(true, false), (false, true)] {
        let options = Options { enforce_scope, ..Options::default() };
        let default = RuleDefault::new("for_system", "role:reader").scopes(&[Scope::System]);
        let enforcer = Enforcer::new(vec![default], options, Arc::new(Instant::now)).unwrap();
        let mut caller = Attributes::new();
        caller.insert("roles".to_owned(), Value::from(vec!["reader"]));
        let allowed = enforcer.enforce("for_system", &Attributes::new(), &caller);
        assert_eq!(allowed, expected);
    }
}
