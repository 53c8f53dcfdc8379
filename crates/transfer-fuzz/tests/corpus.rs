//! Every committed input of every target, once.

use std::path::{Path, PathBuf};

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

/// Hands every file of the target's corpus to it, in the order of their names.
fn replay(target: &str) {
    let corpus = corpora().join(target);
    let entries = std::fs::read_dir(&corpus).expect("a corpus");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort_unstable();
    assert!(!files.is_empty(), "no inputs in {}", corpus.display());
    for file in files {
        eprintln!("{}", file.display());
        transfer_fuzz::run(target, &std::fs::read(&file).expect("an input"));
    }
}

#[test]
fn hand_overs_keep_their_promises() {
    replay("hand_over");
}

#[test]
fn journal_rows_are_refused_or_load() {
    replay("journal");
}

#[test]
fn barbicans_client_concludes_what_it_may() {
    replay("barbican");
}

#[test]
fn keystones_client_concludes_what_it_may() {
    replay("keystone");
}

#[test]
fn requests_are_answered_as_cinder_does() {
    replay("api");
}

#[test]
fn pages_of_lists_fit_together() {
    replay("lists");
}

#[test]
fn the_simulated_barbican_answers_whatever_is_asked() {
    replay("simulated_barbican");
}

#[test]
fn the_simulated_keystone_answers_whatever_is_asked() {
    replay("simulated_keystone");
}

#[test]
fn the_control_answers_whatever_is_asked() {
    replay("control");
}

#[test]
fn rules_and_scenarios_are_refused_or_kept() {
    replay("rules");
}

#[test]
fn every_corpus_has_its_target_and_every_target_its_test() {
    let entries = std::fs::read_dir(corpora()).expect("the corpora");
    let names = entries.map(|entry| entry.expect("a corpus").file_name().into_string());
    let mut corpora: Vec<String> = names.map(|name| name.expect("a target's name")).collect();
    corpora.sort_unstable();
    let mut targets: Vec<&str> = transfer_fuzz::targets().collect();
    targets.sort_unstable();
    assert_eq!(corpora, targets);
    let tests = include_str!("corpus.rs");
    for target in targets {
        assert!(tests.contains(&format!("replay(\"{target}\")")), "no test replays {target}");
    }
}

#[test]
#[should_panic(expected = "no fuzz target unheard-of")]
fn an_unknown_target_is_no_success() {
    transfer_fuzz::run("unheard-of", b"");
}
