//! TLS to a server: who is believed, who has to show a certificate, and what goes unencrypted.
//!
//! The servers of `cargo xtask services` let `encrypted` in by TLS only, `certified` only with a
//! certificate of their authority. Theirs is for 127.0.0.1, and not for localhost.

use crate::fixture::Fixture;
use cinder_db::{Store, StoreConfig};
use test_database::Kind;

/// Who connects, where to, with which options, and whether that works. `CA` is the server's
/// authority and `OTHER` another one; `MINE` and `THEIRS` are certificates of the two.
type Case = (&'static str, &'static str, &'static str, bool);

const MYSQL: &[Case] = &[
    ("tests", "127.0.0.1", "ssl_mode=DISABLED", true),
    ("encrypted", "127.0.0.1", "ssl_mode=DISABLED", false),
    ("encrypted", "127.0.0.1", "", true),
    ("encrypted", "127.0.0.1", "ssl_mode=REQUIRED", true),
    ("encrypted", "127.0.0.1", "ssl_ca=CA", true),
    ("encrypted", "127.0.0.1", "ssl_ca=OTHER", false),
    ("tests", "127.0.0.1", "ssl_ca=OTHER", false),
    ("encrypted", "127.0.0.1", "ssl_ca=OTHER&ssl_verify_cert=false", true),
    ("encrypted", "localhost", "ssl_ca=CA", false),
    ("encrypted", "localhost", "ssl_ca=CA&ssl_check_hostname=false", true),
    ("encrypted", "localhost", "ssl_ca=OTHER&ssl_check_hostname=false", false),
    ("encrypted", "127.0.0.1", "ssl_verify_cert=true", false),
    ("certified", "127.0.0.1", "ssl_ca=CA", false),
    ("certified", "127.0.0.1", "ssl_ca=CA&MINE", true),
    ("certified", "127.0.0.1", "ssl_ca=CA&THEIRS", false),
];

const POSTGRES: &[Case] = &[
    ("tests", "127.0.0.1", "sslmode=disable", true),
    ("encrypted", "127.0.0.1", "sslmode=disable", false),
    ("encrypted", "127.0.0.1", "sslmode=allow", true),
    ("encrypted", "127.0.0.1", "", true),
    ("encrypted", "127.0.0.1", "sslmode=prefer", true),
    ("encrypted", "127.0.0.1", "sslmode=require", true),
    ("encrypted", "127.0.0.1", "sslmode=require&sslrootcert=CA", true),
    ("encrypted", "127.0.0.1", "sslmode=require&sslrootcert=OTHER", false),
    ("encrypted", "127.0.0.1", "sslmode=verify-ca&sslrootcert=CA", true),
    ("encrypted", "127.0.0.1", "sslmode=verify-ca&sslrootcert=OTHER", false),
    ("tests", "127.0.0.1", "sslmode=verify-ca&sslrootcert=OTHER", false),
    ("encrypted", "127.0.0.1", "sslmode=verify-full&sslrootcert=CA", true),
    ("encrypted", "localhost", "sslmode=verify-ca&sslrootcert=CA", true),
    ("encrypted", "localhost", "sslmode=verify-full&sslrootcert=CA", false),
    ("encrypted", "127.0.0.1", "sslmode=verify-full", false),
    ("certified", "127.0.0.1", "sslmode=verify-full&sslrootcert=CA", false),
    ("certified", "127.0.0.1", "sslmode=verify-full&sslrootcert=CA&MINE", true),
    ("certified", "127.0.0.1", "sslmode=verify-full&sslrootcert=CA&THEIRS", false),
];

#[tokio::test]
async fn what_a_url_says_of_tls_is_what_happens() {
    let fixture = Fixture::new().await;
    let (cases, [certificate, key], database) = match fixture.database.kind {
        Kind::Sqlite => {
            eprintln!("left out on SQLite: there is no server");
            return;
        }
        Kind::MySql => (MYSQL, ["ssl_cert", "ssl_key"], "information_schema"),
        Kind::Postgres => (POSTGRES, ["sslcert", "sslkey"], "postgres"),
    };
    let folder = std::env::var("VOLUME_TRANSFER_TEST_CERTIFICATES")
        .expect("VOLUME_TRANSFER_TEST_CERTIFICATES names what `cargo xtask services` has made");
    let pair =
        |name: &str| format!("{certificate}={folder}/{name}.pem&{key}={folder}/{name}-key.pem");
    let (scheme, rest) = fixture.database.url.split_once("://").expect("a scheme");
    let (credentials, address) = rest.split_once('@').expect("credentials");
    let (_, password) = credentials.split_once(':').expect("a password");
    let (host, _database) = address.split_once('/').expect("a database");
    let (_, port) = host.split_once(':').expect("a port");
    let mut wrong = Vec::new();
    for (user, host, options, connects) in cases {
        let files = options
            .replace("=CA", &format!("={folder}/ca.pem"))
            .replace("OTHER", &format!("{folder}/other-ca.pem"))
            .replace("MINE", &pair("client"))
            .replace("THEIRS", &pair("other-client"));
        let url = format!("{scheme}://{user}:{password}@{host}:{port}/{database}?{files}");
        let store = Store::connect(&StoreConfig { url, max_connections: 1 }).await;
        let case = format!("{user}@{host} {options}");
        match (store.err(), connects) {
            (None, true) | (Some(_), false) => {}
            (None, false) => wrong.push(format!("{case}: connects")),
            (Some(error), true) => wrong.push(format!("{case}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
