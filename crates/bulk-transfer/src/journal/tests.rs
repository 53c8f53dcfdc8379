//! What a journal keeps, refuses and forgets.

use super::*;

fn party(cloud: &str, project: &str) -> Party {
    Party { cloud: cloud.to_owned(), project: project.into() }
}

fn open(path: &Path) -> Result<Journal, JournalError> {
    Journal::open(path, &party("x", "p-x"), &party("y", "p-y"))
}

fn volume(number: u32) -> VolumeId {
    VolumeId::new(format!("volume-{number}"))
}

fn offered() -> Place {
    Place::Offered { transfer: "t".into(), auth_key: Password::new("0123hush") }
}

fn names(journal: &Journal) -> Vec<String> {
    let name =
        |(id, place): (VolumeId, Place)| format!("{id} {}", Line::new(&id, &place, None).place);
    journal.places().into_iter().map(name).collect()
}

#[test]
fn a_journal_says_the_same_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = open(&path).unwrap();
    assert!(!journal.was_there());
    let named = |number| (volume(number), (number == 2).then(|| "data".to_owned()));
    journal.plan("--all", (0..5).map(named)).unwrap();
    journal.record(&volume(1), offered()).unwrap();
    journal.record(&volume(2), offered()).unwrap();
    journal.record(&volume(2), Place::Arrived).unwrap();
    journal.record(&volume(3), Place::Failed { reason: "no".to_owned() }).unwrap();
    journal.record(&volume(4), Place::Refused).unwrap();
    let name = journal.offer_name();
    assert!(matches!(open(&path), Err(JournalError::InUse(_))));
    drop(journal);
    for tidied in [false, true] {
        let again = open(&path).unwrap();
        assert!(again.was_there());
        assert_eq!(again.offer_name(), name);
        assert_eq!(again.selection().as_deref(), Some("--all"));
        assert_eq!(again.name(&volume(2)).as_deref(), Some("data"));
        let places = ["planned", "offered", "arrived", "failed", "refused"].iter().enumerate();
        let expected: Vec<_> = places.map(|(at, place)| format!("volume-{at} {place}")).collect();
        assert_eq!(names(&again), expected);
        let keys = std::fs::read_to_string(&path).unwrap().matches("0123hush").count();
        assert_eq!(keys, if tidied { 1 } else { 2 });
        again.tidy().unwrap();
        again.record(&volume(0), Place::Planned).unwrap();
    }
    for (cloud, project) in [("z", "p-y"), ("y", "p-z")] {
        let other = Journal::open(&path, &party("x", "p-x"), &party(cloud, project)).err();
        let other = other.unwrap().to_string();
        let words = "is of a run from \"x\", project p-x to \"y\", project p-y; name another";
        assert!(other.contains(words), "{other}");
    }
}

#[test]
fn what_is_planned_later_comes_behind_what_is_there_and_changes_none_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&folder.path().join("journal")).unwrap();
    journal.plan("--all", [(volume(0), None)]).unwrap();
    journal.record(&volume(0), Place::Arrived).unwrap();
    journal.plan("--all", [(volume(1), None), (volume(0), None)]).unwrap();
    assert_eq!(names(&journal), ["volume-0 arrived", "volume-1 planned"]);
}

/// A directory stands where the new file would, as a full disk or a lack of permission would.
#[test]
fn keys_of_ended_offers_go_even_where_no_other_file_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = open(&path).unwrap();
    journal.record(&volume(0), offered()).unwrap();
    std::fs::create_dir(folder.path().join("journal.new")).unwrap();
    assert!(matches!(journal.tidy(), Err(JournalError::Io { .. })), "it is open");
    journal.record(&volume(0), Place::Arrived).unwrap();
    journal.tidy().unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap().matches("0123hush").count(), 0);
    drop(journal);
    assert_eq!(names(&open(&path).unwrap()), ["volume-0 arrived"]);
}

/// Nothing is to be moved then.
#[test]
fn a_plan_that_has_no_room_leaves_the_journal_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = open(&path).unwrap();
    std::fs::create_dir(folder.path().join("journal.new")).unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(journal.plan("--all", [(volume(0), None)]).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_journal_behind_a_link_stays_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let (link, path) = (folder.path().join("link"), folder.path().join("journal"));
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    open(&link).unwrap().plan("--all", [(volume(0), None)]).unwrap();
    assert!(link.is_symlink());
    assert_eq!(names(&open(&path).unwrap()), ["volume-0 planned"]);
}

#[test]
fn a_line_that_was_cut_short_is_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = open(&path).unwrap();
    journal.record(&volume(0), Place::Planned).unwrap();
    let whole = std::fs::metadata(&path).unwrap().len();
    journal.record(&volume(0), offered()).unwrap();
    drop(journal);
    let all = std::fs::read(&path).unwrap();
    for length in usize::try_from(whole).unwrap()..all.len() - 1 {
        std::fs::write(&path, &all[..length]).unwrap();
        let again = open(&path).unwrap();
        assert_eq!(names(&again), ["volume-0 planned"], "{length}");
        again.record(&volume(1), Place::Planned).unwrap();
        drop(again);
        let names = names(&open(&path).unwrap());
        assert_eq!(names.last().map(String::as_str), Some("volume-1 planned"), "{length}");
    }
}

#[test]
fn what_this_program_did_not_write_is_refused_and_so_is_what_others_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (donor, recipient) = (party("x", "p-x"), party("y", "p-y"));
    let selection = Some("--all".to_owned());
    let head = Head { version: VERSION, run: "r".to_owned(), donor, recipient, selection };
    let head = serde_json::to_string(&head).unwrap();
    for (text, line) in [
        ("hello\n".to_owned(), 1),
        (head.replace(":1", ":2"), 1),
        (format!("{head}\n{{\"volume\":\"v\",\"place\":\"elsewhere\"}}\n"), 2),
        (format!("{head}\n{{\"volume\":\"v\",\"place\":\"offered\"}}\n"), 2),
    ] {
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let error = open(&path).err().unwrap().to_string();
        assert!(error.contains(&format!("line {line}")), "{error}");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = open(&path).err().unwrap();
    assert!(matches!(error, JournalError::Exposed { mode: 0o640, .. }), "{error}");
}
