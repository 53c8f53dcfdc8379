//! Which of many assignments counts, and what `$name` becomes: every expectation is what
//! oslo.config 10.7 does with the same files, or the test says that it is not.
use crate::conf;
use cinder_conf::options::{database, default_group, keystone_authtoken, volume_transfer};
use cinder_conf::{Assignment, Conf, ConfigPath, Origin};

fn log_file(conf: &Conf) -> Option<String> {
    conf.get(&default_group::LOG_FILE).ok().flatten()
}

#[test]
fn later_lines_and_files_win_over_earlier_ones() {
    for (files, value) in [
        (&["[DEFAULT]\nlog_file=a\nlog_file=b\n"][..], Some("b")),
        (&["[DEFAULT]\nlog_file=a\n", "[DEFAULT]\nlog_file=b\n"], Some("b")),
        (&["[DEFAULT]\nlog_file=a\n", "[DEFAULT]\nlog_dir=b\n"], Some("a")),
        (&["[DEFAULT]\nlog_file=a\n[g]\n[DEFAULT]\nlog_file=c\n"], Some("c")),
        (&["[default]\nlog_file=a\n"], None),
        (&["[Default]\nlog_file=a\n"], None),
        (&["[g]\nlog_file=a\n"], None),
        (&["[DEFAULT]\nLOG_FILE=a\n"], None),
        // deprecated names
        (&["[DEFAULT]\nlogfile=a\n"], Some("a")),
        (&["[DEFAULT]\nlogfile=a\nlog_file=b\n"], Some("b")),
        (&["[DEFAULT]\nlog_file=b\nlogfile=a\n"], Some("b")),
        (&["[DEFAULT]\nlog_file=b\n", "[DEFAULT]\nlogfile=a\n"], Some("a")),
    ] {
        assert_eq!(log_file(&conf(files)).as_deref(), value, "{files:?}");
    }
    let mixed = conf(&["[Database]\nmax_pool_size=1\n[DATABASE]\nmax_pool_size=2\n"]);
    assert_eq!(mixed.get(&database::MAX_POOL_SIZE).unwrap(), Some(2));
}

#[test]
fn names_are_substituted() {
    for (lines, value) in [
        ("log_file=$log_dir\nlog_dir=x", Some("x")),
        ("log_file=${log_dir}y\nlog_dir=x", Some("xy")),
        ("log_file=\"$log_dir\"\nlog_dir=x", Some("x")),
        ("log_file=$$log_dir\nlog_dir=x", Some("$log_dir")),
        ("log_file=\\$log_dir\nlog_dir=x", Some("$log_dir")),
        ("log_file=$database.max_retries\n[database]\nmax_retries=007", Some("7")),
        ("log_file=${database.max_retries}", Some("10")),
        ("log_file=$log_dir", Some("")),
        ("log_file=$debug-$quota_volumes\ndebug=yes", Some("True-10")),
        ("log_file=a$", Some("a$")),
        ("log_file=$ a ${ } ${} $1", Some("$ a ${ } ${} $1")),
        ("log_file=${log_dir", Some("${log_dir")),
        ("log_file=$nosuch", None),
        ("log_file=$nosuch\nlog_file=a", Some("a")),
        ("log_file=$log_file\nlogfile=$log_file\nlog_file=a", Some("a")),
        ("log_file=$database.nosuch", None),
        ("log_file=$h.nosuch", None),
        ("log_file=$log_file", None),
        ("log_file=$log_dir\nlog_dir=$log_file", None),
        ("log_file=$log_dir.\nlog_dir=x", None),
        ("log_file=$LOG_DIR\nlog_dir=x", None),
        // an option that Cinder has and we have not
        ("log_file=$state_path/x\nstate_path=/y", Some("/y/x")),
    ] {
        let conf = conf(&[&format!("[DEFAULT]\n{lines}\n")]);
        assert_eq!(log_file(&conf).as_deref(), value, "{lines}");
    }
}

#[test]
fn a_name_without_a_group_is_looked_for_at_home_and_then_in_default() {
    for (text, value) in [
        ("[keystone_authtoken]\ncafile=$region_name\nregion_name=x\n", "x"),
        ("[keystone_authtoken]\ncafile=$log_dir\n[DEFAULT]\nlog_dir=x\n", "x"),
        ("[keystone_authtoken]\ncafile=$region_name\n[DEFAULT]\nregion_name=x\n", ""),
        ("[keystone_authtoken]\ncafile=$debug\ndebug=x\n[DEFAULT]\ndebug=1\n", "True"),
        // neither of which is declared
        ("[keystone_authtoken]\ncafile=$ours\nours=x\n[DEFAULT]\nours=y\n", "x"),
        ("[keystone_authtoken]\ncafile=$ours\n[DEFAULT]\nours=y\n", "y"),
    ] {
        let found = conf(&[text]).get(&keystone_authtoken::CAFILE).unwrap();
        assert_eq!(found.as_deref(), Some(value), "{text}");
    }
}

#[test]
fn folders_are_read_by_name_and_files_in_the_order_that_they_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    };
    write("d/20.conf", "[DEFAULT]\nlog_file=twenty\n");
    write("d/10.conf", "[DEFAULT]\nlog_file=ten\n");
    write("d/30.conf.bak", "[DEFAULT]\nlog_file=thirty\n");
    write("d/.40.conf", "[DEFAULT]\nlog_file=forty\n");
    let file = ConfigPath::File(write("one.conf", "[DEFAULT]\nlog_file=one\n"));
    let dir = ConfigPath::Dir(folder.path().join("d"));
    for (paths, value) in [
        (vec![file.clone(), dir.clone()], "twenty"),
        (vec![dir.clone(), file.clone()], "one"),
        (vec![dir], "twenty"),
    ] {
        assert_eq!(log_file(&Conf::read(&paths).unwrap()).as_deref(), Some(value), "{paths:?}");
    }
    for missing in
        [ConfigPath::File("/nonexistent/x".into()), ConfigPath::Dir("/nonexistent".into())]
    {
        let words = Conf::read(&[file.clone(), missing]).err().unwrap().to_string();
        assert!(words.starts_with("/nonexistent"), "{words}");
    }
}

#[test]
fn what_flags_say_wins_and_is_taken_as_it_is() {
    let mut conf = conf(&["[DEFAULT]\nlog_file=a\nlog_dir=b\n"]);
    let option = &default_group::LOG_FILE.declared;
    assert_eq!((conf.rank(option), conf.rank(&default_group::DEBUG.declared)), (1, 0));
    conf.add(vec![Assignment::of(option, "$log_dir", Origin::Flag("--log-file"))]);
    assert_eq!(log_file(&conf).as_deref(), Some("$log_dir"));
    assert_eq!((conf.rank(option), conf.origin(option)), (2, Origin::Flag("--log-file")));
}

#[test]
fn credentials_may_stand_in_another_section() {
    let mut conf = conf(&["[keystone_authtoken]\nauth_section=Mine\nusername=no\nregion_name=R\n\
         [mine]\nuser_name=yes\nregion_name=S\n"]);
    assert_eq!(conf.get(&keystone_authtoken::USERNAME).unwrap().as_deref(), Some("yes"));
    assert_eq!(conf.get(&keystone_authtoken::REGION_NAME).unwrap().as_deref(), Some("R"));
    let option = &keystone_authtoken::USERNAME.declared;
    conf.add(vec![Assignment::of(option, "flag", Origin::Flag("--username"))]);
    assert_eq!(conf.get(&keystone_authtoken::USERNAME).unwrap().as_deref(), Some("flag"));
}

#[test]
fn what_is_empty_and_may_not_be_is_told_with_the_default() {
    let conf = conf(&["[volume_transfer]\nlease_ms =\n"]);
    let words = conf.need(&volume_transfer::LEASE_MS).unwrap_err().to_string();
    assert!(
        words.ends_with(
            ":2: [volume_transfer] lease_ms = \"\": empty; take the line out for the default, 60000"
        ),
        "{words}"
    );
}
