//! Secrets are shown nowhere, and errors do not quote them.

use crate::conf;
use cinder_conf::options::{barbican, database, default_group, keystone_authtoken};
use cinder_conf::{Conf, Declared};

fn shown(conf: &Conf, option: &Declared) -> Option<String> {
    let mut all = conf.effective().unwrap().into_iter();
    all.find(|one| std::ptr::eq(one.option, option)).unwrap().value
}

#[test]
fn passwords_are_masked_whole_and_in_addresses() {
    for (url, masked) in [
        (
            "postgresql+psycopg2://peer:hush@127.0.0.1:5432/cinder",
            "postgresql+psycopg2://peer:***@127.0.0.1:5432/cinder",
        ),
        ("mysql+pymysql://c:hush@h/cinder?charset=utf8", "mysql+pymysql://c:***@h/cinder"),
        ("mysql://c:hu@sh@h/cinder", "mysql://c:***@h/cinder"),
        ("mysql://c:hu/sh@h/cinder", "***"),
        ("mysql://c:hu?sh@h/cinder", "***"),
        ("mysql://h/cinder?password=hush", "***"),
        ("sqlite:////var/lib/cinder.sqlite", "sqlite:////var/lib/cinder.sqlite"),
        ("rabbit://u:hush@h1:5672,v:hush@h2:5672/", "rabbit://u:***@h2:5672/"),
        ("hush", "***"),
    ] {
        let conf =
            conf(&[&format!("[database]\nconnection={url}\n[DEFAULT]\ntransport_url={url}")]);
        for option in [&database::CONNECTION.declared, &default_group::TRANSPORT_URL.declared] {
            assert_eq!(shown(&conf, option).as_deref(), Some(masked), "{url}");
        }
    }
    let conf = conf(&["[keystone_authtoken]\npassword = hush://hush\n"]);
    assert_eq!(shown(&conf, &keystone_authtoken::PASSWORD.declared).as_deref(), Some("***"));
}

#[test]
fn what_a_secret_goes_into_is_one() {
    let conf = conf(&["[keystone_authtoken]\npassword = hush\ncafile = /$password\n\
         auth_url = http://u:hush@h/v3\n[barbican]\nverify_ssl_path=/x\n"]);
    assert_eq!(conf.get(&keystone_authtoken::CAFILE).unwrap().as_deref(), Some("/hush"));
    assert_eq!(shown(&conf, &keystone_authtoken::CAFILE.declared).as_deref(), Some("***"));
    let url = shown(&conf, &keystone_authtoken::AUTH_URL.declared);
    assert_eq!(url.as_deref(), Some("http://u:***@h/v3"));
    assert_eq!(shown(&conf, &barbican::VERIFY_SSL_PATH.declared).as_deref(), Some("/x"));
}

#[test]
fn errors_do_not_quote_them() {
    for text in [
        "[keystone_authtoken]\npassword = pass$hush\n",
        "[keystone_authtoken]\npassword = $password-hush\n",
        "[database]\nconnection = mysql://c:pass$hush@h/cinder\n",
        "[barbican]\nbarbican_endpoint = http://u:hush@h h/\n",
        "[keystone_authtoken]\nauth_section = mine\n[mine]\npassword = ${hush}\n",
        "[volume_transfer]\npasword = hush\n",
    ] {
        let problems = conf(&[text]).check().err().unwrap();
        let words = format!("{problems} {problems:?}");
        assert!(!words.contains("hush"), "{text}: {words}");
        assert!(words.contains(".conf:"), "{text}: {words}");
    }
}
