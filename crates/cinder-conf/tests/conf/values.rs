//! What values mean: every expectation is what oslo.config 10.7 makes of the same text, or the
//! test says that it is not.

use crate::conf;
use cinder_conf::options::{barbican, default_group, keystone_authtoken, oslo_policy};
use cinder_conf::{Limits, Multi, Opt, OptionType};

/// One option with one text; `None` is a refusal.
fn check<T: OptionType>(option: &Opt<T>, text: &str, expected: Option<&str>) {
    let declared = &option.declared;
    let conf = conf(&[&format!("[{}]\n{}={text}\n", declared.group, declared.name)]);
    let value = conf.get(option).ok().map(|value| value.map_or("None".into(), |v| v.show()));
    assert_eq!(value.as_deref(), expected, "{} = {text}", declared.name);
}

#[test]
fn whole_numbers() {
    for (text, value) in [
        (" 12 ", Some("12")),
        ("+5", Some("5")),
        ("-5", Some("-5")),
        ("1_000", Some("1000")),
        ("010", Some("10")),
        ("\"5\"", Some("5")),
        ("\" 5 \"", Some("5")),
        ("", Some("None")),
        ("0x10", None),
        ("1.0", None),
        ("many", None),
        ("_1", None),
        ("1__0", None),
        ("1_", None),
        ("- 5", None),
        // oslo.config has whole numbers of any length
        ("99999999999999999999", None),
    ] {
        check(&default_group::QUOTA_VOLUMES, text, value);
    }
}

#[test]
fn numbers() {
    for (text, value) in [
        ("1.5", Some(Some(1.5))),
        ("1e3", Some(Some(1000.0))),
        (".5", Some(Some(0.5))),
        ("inf", Some(Some(f64::INFINITY))),
        ("1_0.5", Some(Some(10.5))),
        ("", Some(None)),
        ("x", None),
        ("1_.5", None),
    ] {
        assert_eq!(f64::read(text, &Limits::default()).ok(), value, "{text}");
    }
    assert_eq!(1.0_f64.show(), "1.0");
}

#[test]
fn truth() {
    for (text, value) in [
        ("Yes", Some("True")),
        ("on", Some("True")),
        ("1", Some("True")),
        ("\"true\"", Some("True")),
        ("OFF", Some("False")),
        ("no", Some("False")),
        ("t", None),
        ("", None),
        ("2", None),
        ("\" true\"", None),
    ] {
        check(&default_group::DEBUG, text, value);
    }
}

#[test]
fn lists() {
    for (text, value) in [
        ("a, b,c", &["a", "b", "c"][..]),
        ("a,,b,", &["a", "", "b"]),
        (",", &[]),
        ("", &[]),
        ("[a,b]", &["[a", "b]"]),
        ("a\n b", &["a\nb"]),
        ("\"a\",\"b\"", &["a\"", "\"b"]),
        ("a,\n b", &["a", "b"]),
    ] {
        let conf = conf(&[&format!("[keystone_authtoken]\nservice_token_roles={text}\n")]);
        let found = conf.get(&keystone_authtoken::SERVICE_TOKEN_ROLES).unwrap().unwrap();
        assert_eq!(found, value, "{text}");
    }
}

#[test]
fn ports() {
    for (text, value) in
        [("8776", Some("8776")), ("0", Some("0")), ("65536", None), ("-1", None), ("x", None)]
    {
        check(&default_group::OSAPI_VOLUME_LISTEN_PORT, text, value);
    }
}

#[test]
fn uris() {
    for (text, value) in [
        ("http://h:1/x", Some("http://h:1/x")),
        ("http://[::1]:9311", Some("http://[::1]:9311/")),
        ("ftp://u:p@h", Some("ftp://u:p@h/")),
        ("http://h_x/", Some("http://h_x/")),
        ("http://h/a b", Some("http://h/a%20b")),
        ("h", None),
        ("/x", None),
        ("http://", None),
        ("http://h x/", None),
        ("sqlite:///x", None),
        ("mailto:x", None),
        ("http://h:nope/", None),
        ("http://999.1.1.1/", None),
        ("http://é/", None),
        // oslo.config refuses it for some options and has an empty text for others
        ("", Some("None")),
    ] {
        check(&barbican::BARBICAN_ENDPOINT, text, value);
    }
}

#[test]
fn choices_are_exact() {
    for (text, value) in [("admin", Some("admin")), ("Admin", None), ("", None)] {
        check(&barbican::BARBICAN_ENDPOINT_TYPE, text, value);
    }
}

#[test]
fn options_that_count_each_time_are_collected_in_order() {
    for (files, value) in [
        (&["[oslo_policy]\npolicy_dirs=a\npolicy_dirs=b\n"][..], &["a", "b"][..]),
        (&["[oslo_policy]\npolicy_dirs=a\n", "[oslo_policy]\npolicy_dirs=b\n"], &["a", "b"]),
        (&["[oslo_policy]\npolicy_dirs=\n"], &[""]),
        (&[""], &["policy.d"]),
    ] {
        let Multi(found) = conf(files).get(&oslo_policy::POLICY_DIRS).unwrap().unwrap();
        assert_eq!(found, value, "{files:?}");
    }
}
