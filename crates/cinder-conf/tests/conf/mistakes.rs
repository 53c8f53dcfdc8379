//! What is wrong is told with file, line and remedy; what is Cinder's business is passed over.

use crate::conf;
use cinder_conf::{Conf, ConfigPath};

/// The words of everything that is wrong, without the folder of the file.
fn problems(text: &str) -> Vec<String> {
    let problems = conf(&[text]).check().err().map(|problems| problems.0).unwrap_or_default();
    let words = |wrong: cinder_conf::Wrong| {
        let words = wrong.to_string();
        words[words.find("0.conf").unwrap()..].to_owned()
    };
    problems.into_iter().map(words).collect()
}

#[test]
fn values_that_cannot_be_used_are_told_all_at_once() {
    let text = "[database]\nmax_pool_size = many\n[DEFAULT]\ndebug = maybe\nosapi_max_limit=0\n";
    assert_eq!(
        problems(text),
        [
            "0.conf:4: [DEFAULT] debug = \"maybe\": neither true nor false; write one of them",
            "0.conf:5: [DEFAULT] osapi_max_limit = \"0\": write 1 or more",
            "0.conf:2: [database] max_pool_size = \"many\": not a whole number; write digits, \
             such as 10",
        ]
    );
}

#[test]
fn remedies_fit_the_type() {
    for (group, line, remedy) in [
        ("volume_transfer", "listen = 8776", "write it as 127.0.0.1:8776"),
        ("DEFAULT", "osapi_volume_listen_port = 70000", "write 65535 or less"),
        ("barbican", "barbican_endpoint = barbican", "write it whole, as http://host:port/path"),
        ("barbican", "barbican_endpoint_type = private", "write one of public, internal, admin"),
        ("DEFAULT", "log_file = $state_path/x", "$state_path is set nowhere in the files"),
        ("DEFAULT", "log_file = $log_file", "$log_file leads back to itself"),
        ("keystone_authtoken", "auth_section = $username\nusername = $a\n", "$a is set nowhere"),
    ] {
        let found = problems(&format!("[{group}]\n{line}\n"));
        assert!(found.iter().any(|words| words.contains(remedy)), "{line}: {found:?}");
    }
}

#[test]
fn options_that_the_own_group_does_not_have_are_told_with_a_guess() {
    for (text, words) in [
        (
            "[volume_transfer]\nlease_sm = 1",
            "0.conf:2: [volume_transfer] lease_sm: there is no such option; did you mean lease_ms?",
        ),
        ("[volume_transfer]\nLease_ms = 1", "did you mean lease_ms?"),
        ("[volume_transfer]\npasswordfile = x", "did you mean password_file?"),
        (
            "[volume_transfer]\nauth_url = x",
            "the option stands in [keystone_authtoken]; move it there",
        ),
        ("[volume_transfer]\nxyz = 1", "write one of listen, metrics_listen, otlp_endpoint"),
        ("[volume-transfer]\nlease_ms = 1", "there is no such group; write [volume_transfer]"),
    ] {
        let found = problems(text);
        assert!(found.len() == 1 && found[0].contains(words), "{text}: {found:?}");
    }
}

#[test]
fn options_of_cinder_that_are_not_read_are_passed_over() {
    assert_eq!(
        problems("[DEFAULT]\nmy_ip = x\n[lvm]\nvolume_group = $y\n[database]\nbackend = z\n"),
        [""; 0]
    );
}

#[test]
fn lines_that_cannot_be_read_are_told_without_their_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cinder.conf");
    std::fs::write(&path, "[database]\nconnection = a\n\n  hush-hush\n").unwrap();
    let words = Conf::read(&[ConfigPath::File(path.clone())]).err().unwrap().to_string();
    assert!(words.contains("cinder.conf:4: an indented line"), "{words}");
    assert!(!words.contains("hush"), "{words}");
    std::fs::write(&path, b"[g]\na = \xff\n").unwrap();
    let words = Conf::read(&[ConfigPath::File(path)]).err().unwrap().to_string();
    assert!(words.contains("cinder.conf cannot be read"), "{words}");
}
