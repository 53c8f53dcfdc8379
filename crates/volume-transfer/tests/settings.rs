//! What the service is given for what `cinder.conf`, variables and flags say.

use cinder_conf::{Assignment, Conf, ConfigPath, Declared, Origin, options};
use keystone_client::{
    ApplicationCredential, Credentials, DomainRef, ProjectRef, ServiceTokens, UserRef,
};
use openstack_http::{Password, Tls};
use volume_transfer::settings::Settings;

fn read(text: &str) -> Conf {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cinder.conf");
    std::fs::write(&path, text).expect("written");
    Conf::read(&[ConfigPath::File(path)]).expect("well-formed")
}

fn settings(text: &str) -> Settings {
    Settings::new(read(text)).expect("good settings")
}

/// The same, with a stronger word.
fn with_flag(text: &str, option: &Declared, value: &str) -> Settings {
    let mut conf = read(text);
    conf.add(vec![Assignment::of(option, value, Origin::Flag("--flag"))]);
    Settings::new(conf).expect("good settings")
}

#[test]
fn quotas_are_cinders() {
    let none = settings("").quotas().expect("quotas");
    assert_eq!(none, cinder_db::QuotaLimits::default());
    let all = settings(
        "[DEFAULT]\nquota_volumes=1\nquota_snapshots=2\nquota_gigabytes=-1\n\
         per_volume_size_limit=4\nno_snapshot_gb_quota=yes\nuse_default_quota_class=no\n\
         reservation_expire=5\nuntil_refresh=6\nmax_age=7\n",
    );
    let expected = cinder_db::QuotaLimits {
        volumes: 1,
        snapshots: 2,
        gigabytes: -1,
        per_volume_gigabytes: 4,
        no_snapshot_gb_quota: true,
        use_default_quota_class: false,
        reservation_expire_s: 5,
        until_refresh: 6,
        max_age_s: 7,
    };
    assert_eq!(all.quotas().expect("quotas"), expected);
}

#[test]
fn the_pool_is_as_large_as_sqlalchemys() {
    for (lines, expected) in [
        ("", 55),
        ("max_pool_size=20", 70),
        ("max_pool_size=20\nmax_overflow=1", 21),
        ("max_pool_size=1\nmax_overflow=0", 1),
        ("max_pool_size=0", 100),
        ("max_overflow=-1", 100),
        ("max_pool_size=9223372036854775807", 100),
    ] {
        let settings = settings(&format!("[database]\nconnection=sqlite:///x\n{lines}\n"));
        let config = settings.database().expect("a database");
        assert_eq!((config.url.as_str(), config.max_connections), ("sqlite:///x", expected));
    }
    assert!(settings("[database]\nconnection=\n").database().is_err());
}

#[test]
fn own_addresses_go_before_cinders() {
    for (text, expected) in [
        ("", ("0.0.0.0", 8776)),
        ("[DEFAULT]\nosapi_volume_listen=::1\nosapi_volume_listen_port=1", ("::1", 1)),
        (
            "[DEFAULT]\nosapi_volume_listen=::1\n[volume_transfer]\nlisten=127.0.0.1:2",
            ("127.0.0.1", 2),
        ),
        ("[volume_transfer]\nlisten=[::]:3", ("::", 3)),
    ] {
        let (host, port) = settings(text).listen().expect("an address");
        assert_eq!((host.as_str(), port), expected, "{text}");
    }
}

#[test]
fn credentials_are_a_password_or_an_application_credential() {
    let by_password = |user: &str, domain: DomainRef, password: &str, project_domain: DomainRef| {
        let project = ProjectRef::Name { name: "service".to_owned(), domain: project_domain };
        let user = UserRef::Name { name: user.to_owned(), domain };
        (Some((user, project)), None, Password::new(password))
    };
    let name = |name: &str| DomainRef::Name(name.to_owned());
    let id = |id: &str| DomainRef::Id(id.to_owned());
    let by_credential = |id: &str| {
        let credential = ApplicationCredential::Id(id.to_owned());
        (None, Some(credential), Password::new("s"))
    };
    for (lines, expected) in [
        ("password=p", by_password("cinder", name("Default"), "p", name("Default"))),
        (
            "auth_type=v3password\nuser_name=c\nuser_domain_id=d\nproject_domain_name=e\n\
             password=p",
            by_password("c", id("d"), "p", name("e")),
        ),
        (
            "auth_plugin=password\npassword=p\napplication_credential_id=a\nuser_domain_name=n\n\
             user_domain_id=d\nproject_domain_id=f",
            by_password("cinder", id("d"), "p", id("f")),
        ),
        ("application_credential_id=a\napplication_credential_secret=s", by_credential("a")),
        (
            "auth_type=v3applicationcredential\napplication_credential_id=b\n\
             application_credential_secret=s\npassword=p",
            by_credential("b"),
        ),
    ] {
        let settings = settings(&format!("[keystone_authtoken]\n{lines}\n"));
        let found = match settings.credentials().expect("credentials") {
            Credentials::Password { user, password, project } => {
                (Some((user, project)), None, password)
            }
            Credentials::ApplicationCredential { credential, secret } => {
                (None, Some(credential), secret)
            }
            Credentials::Token { .. } => unreachable!("no setting says so"),
        };
        assert!(found == expected, "{lines}: {found:?}");
    }
}

#[test]
fn credentials_that_are_incomplete_are_told() {
    for (lines, words) in [
        ("", "write [keystone_authtoken] password in cinder.conf"),
        ("auth_type=v3applicationcredential\npassword=p", "write application_credential_id"),
        ("application_credential_id=a\npassword=p", "set OS_APPLICATION_CREDENTIAL_SECRET"),
    ] {
        let settings = settings(&format!("[keystone_authtoken]\n{lines}\n"));
        let told = settings.credentials().expect_err("incomplete").to_string();
        assert!(told.contains(words), "{lines}: {told}");
    }
}

#[test]
fn the_stronger_word_counts_where_two_options_say_the_same() {
    let text = "[keystone_authtoken]\nuser_domain_id=d\npassword=p\n\
                [volume_transfer]\npassword_file=/nonexistent\n";
    assert!(settings(text).credentials().is_err(), "the file goes first");
    let option = &options::keystone_authtoken::PASSWORD.declared;
    let found = with_flag(text, option, "q").credentials().expect("credentials");
    let Credentials::Password { user, password, .. } = found else { unreachable!("a password") };
    assert_eq!(password, Password::new("q"));
    let domain = |user| match user {
        UserRef::Name { domain, .. } => domain,
        UserRef::Id(_) => unreachable!("users have names"),
    };
    assert_eq!(domain(user), DomainRef::Id("d".to_owned()));
    let text = "[keystone_authtoken]\nuser_domain_id=d\npassword=p\n";
    let option = &options::keystone_authtoken::USER_DOMAIN_NAME.declared;
    let found = with_flag(text, option, "n").credentials().expect("credentials");
    let Credentials::Password { user, .. } = found else { unreachable!("a password") };
    assert_eq!(domain(user), DomainRef::Name("n".to_owned()));
}

#[test]
fn each_service_is_trusted_as_its_own_group_says() {
    let file = |path: &str| Tls::SystemAnd(path.into());
    for (text, keystone, barbican) in [
        ("", Tls::System, Tls::System),
        ("[keystone_authtoken]\ncafile=/k\n", file("/k"), Tls::System),
        ("[barbican]\nverify_ssl_path=/b\n", Tls::System, file("/b")),
        ("[keystone_authtoken]\ninsecure=1\n", Tls::Insecure, Tls::System),
        ("[barbican]\nverify_ssl=no\nverify_ssl_path=/b\n", Tls::System, Tls::Insecure),
    ] {
        let settings = settings(text);
        assert_eq!(settings.keystone_tls().expect("trust"), keystone, "{text}");
        assert_eq!(settings.barbican_tls().expect("trust"), barbican, "{text}");
    }
    let text = "[keystone_authtoken]\ninsecure=1\n[barbican]\nverify_ssl=0\n";
    let option = &options::keystone_authtoken::CAFILE.declared;
    let flagged = with_flag(text, option, "/f");
    assert_eq!(flagged.keystone_tls().expect("trust"), file("/f"));
    let option = &options::barbican::VERIFY_SSL_PATH.declared;
    let flagged = with_flag(text, option, "/f");
    assert_eq!(flagged.barbican_tls().expect("trust"), file("/f"));
    let text = "[keystone_authtoken]\ncafile=/k\n";
    let option = &options::keystone_authtoken::INSECURE.declared;
    let flagged = with_flag(text, option, "true");
    assert_eq!(flagged.keystone_tls().expect("trust"), Tls::Insecure);
}

#[test]
fn the_catalogue_is_searched_as_castellan_does() {
    for (text, interface, region) in [
        ("", "public", None),
        ("[keystone_authtoken]\nregion_name=k\ninterface=admin\n", "public", Some("k")),
        (
            "[keystone_authtoken]\nregion_name=k\n[barbican]\nbarbican_region_name=b\n",
            "public",
            Some("b"),
        ),
        ("[barbican]\nbarbican_endpoint_type=internal\n", "internal", None),
    ] {
        let settings = settings(text);
        assert_eq!(settings.interface().expect("an interface"), interface, "{text}");
        assert_eq!(settings.region().expect("a region").as_deref(), region, "{text}");
    }
}

#[test]
fn the_api_is_told_of_its_deployment() {
    let least = settings("[keystone_authtoken]\nauth_url=http://k/v3\n").api().expect("an API");
    assert_eq!(least.www_authenticate_uri, "http://k/v3");
    assert_eq!((least.page_limit, least.max_body), (1000, 114_688));
    assert_eq!(least.public_endpoint, None);
    let all = settings(
        "[DEFAULT]\nosapi_max_limit=7\npublic_endpoint=http://p\n\
         [keystone_authtoken]\nwww_authenticate_uri=http://w/v3\n\
         [oslo_middleware]\nmax_request_body_size=8\n",
    );
    let all = all.api().expect("an API");
    assert_eq!(all.www_authenticate_uri, "http://w/v3");
    assert_eq!((all.page_limit, all.max_body), (7, 8));
    assert_eq!(all.public_endpoint.map(String::from).as_deref(), Some("http://p/"));
}

#[test]
fn what_is_set_in_vain_is_known() {
    let settings = settings("[DEFAULT]\ntransport_url=rabbit://\nquota_volumes=1\n");
    let names: Vec<_> = settings.in_vain().map(|(name, _)| name).collect();
    assert_eq!(names, ["transport_url"]);
}

#[test]
fn offers_expire_only_where_it_is_said() {
    for (line, expected) in [
        ("", Ok(None)),
        ("expire_after = 0", Ok(None)),
        ("expire_after = 1", Ok(Some(1))),
        ("expire_after = 604800", Ok(Some(604_800))),
        ("expire_after = -1", Err("expire_after")),
        ("expire_after = 2147483648", Err("expire_after")),
        ("expire_after = a week", Err("expire_after")),
    ] {
        let text = format!("[volume_transfer]\n{line}\n");
        match (Settings::new(read(&text)), expected) {
            (Ok(settings), Ok(seconds)) => {
                let after = settings.engine().expect("options").expire_after;
                assert_eq!(after.map(|after| after.as_secs()), seconds, "{line}");
            }
            (Err(refused), Err(name)) => assert!(refused.to_string().contains(name), "{refused}"),
            (Ok(_), Err(_)) => panic!("{line} is taken"),
            (Err(refused), Ok(_)) => panic!("{line}: {refused}"),
        }
    }
}

#[test]
fn auth_keys_and_salts_are_as_long_as_cinders() {
    let lengths = |text: &str| settings(text).engine().expect("options").lengths;
    assert_eq!(lengths(""), cinder_db::Lengths { salt: 8, auth_key: 16 });
    let text = "[DEFAULT]\nvolume_transfer_salt_length=9\nvolume_transfer_key_length=24\n";
    assert_eq!(lengths(text), cinder_db::Lengths { salt: 9, auth_key: 24 });
    for refused in ["volume_transfer_key_length=0", "volume_transfer_salt_length=256"] {
        assert!(Settings::new(read(&format!("[DEFAULT]\n{refused}\n"))).is_err(), "{refused}");
    }
}

#[test]
fn service_tokens_are_believed_as_keystonemiddleware_does() {
    let tokens = |lines: &str| {
        let settings = settings(&format!("[keystone_authtoken]\n{lines}\n"));
        settings.service_tokens().expect("tokens")
    };
    assert_eq!(tokens(""), ServiceTokens::default());
    let lines = "service_token_roles=service,admin\nservice_token_roles_required=false";
    let roles = vec!["service".to_owned(), "admin".to_owned()];
    assert_eq!(tokens(lines), ServiceTokens { roles, roles_required: false });
}

#[test]
fn another_account_stands_beside_users_where_it_is_asked_for() {
    let own = "[keystone_authtoken]\nauth_url=http://own/v3\ncafile=/own.pem\n";
    let on = "[barbican]\nsend_service_user_token=true\n";
    let of = |text: &str| {
        let account = settings(&format!("{own}{text}")).beside_users().expect("an account");
        account.map(|(url, tls, credentials)| {
            let Credentials::Password { user, password, project } = credentials else {
                panic!("no password")
            };
            (url.to_string(), tls, user, password, project)
        })
    };
    let user = |name: &str, domain: DomainRef| UserRef::Name { name: name.to_owned(), domain };
    let default = || DomainRef::Name("Default".to_owned());
    let service = ProjectRef::Name { name: "service".to_owned(), domain: default() };
    let account = "[barbican_service_user]\nusername=b\npassword=p\n";
    assert!(of(account).is_none(), "nobody asked for it");
    let found = of(&format!("{on}{account}")).expect("an account");
    let (own_url, own_tls) = ("http://own/v3".to_owned(), Tls::SystemAnd("/own.pem".into()));
    let password = || Password::new("p");
    assert_eq!(found, (own_url, own_tls, user("b", default()), password(), service.clone()));
    let elsewhere = "[barbican_service_user]\nauth_section=else\ninsecure=true\n\
                     [else]\nauth_url=https://else/v3\nusername=e\npassword=p\n\
                     user_domain_id=d\n";
    let found = of(&format!("{on}{elsewhere}")).expect("an account");
    let d = DomainRef::Id("d".to_owned());
    assert_eq!(
        found,
        ("https://else/v3".to_owned(), Tls::Insecure, user("e", d), password(), service)
    );
    let Err(error) = Settings::new(read(on)) else { panic!("there is no such account") };
    let words = "is set, and [barbican_service_user] has no password";
    assert!(error.to_string().contains(words), "{error}");
}
