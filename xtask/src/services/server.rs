//! One server: its programs, its directory, its process.
//!
//! A server is up when the process in its `pid` file runs on its data; a number that another
//! process has got since then is not taken for it. Programs that refuse to run as root are run as
//! the user that their package makes.

use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::certificates;

/// How long a server takes to come up or to go down, at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// The user of the tests and its password: with a character that a URL must escape.
const USER: &str = "tests";
const PASSWORD: &str = "pass@word";
const PASSWORD_IN_URL: &str = "pass%40word";

/// Users who get in by TLS only, with their password or with a certificate, too.
const ENCRYPTED: &str = "encrypted";
const CERTIFIED: &str = "certified";

/// A server.
pub(crate) struct Server {
    kind: Kind,
    directory: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Postgresql,
    Mariadb,
}

impl Server {
    pub(crate) fn postgresql(services: &Path) -> Self {
        Self { kind: Kind::Postgresql, directory: services.join("postgresql") }
    }

    pub(crate) fn mariadb(services: &Path) -> Self {
        Self { kind: Kind::Mariadb, directory: services.join("mariadb") }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Postgresql => "postgresql",
            Kind::Mariadb => "mariadb",
        }
    }

    /// Where it is, if it is up.
    pub(crate) fn url(&self) -> Result<Option<String>> {
        Ok(match self.process() {
            Some(_pid) => Some(fs::read_to_string(self.file("url")).context("url")?),
            None => None,
        })
    }

    pub(crate) fn up(&self) -> Result<()> {
        if self.process().is_some() {
            return Ok(());
        }
        fs::create_dir_all(&self.directory).with_context(|| self.shown())?;
        // What an older version made has no certificates.
        if !self.file("made").exists() || !self.certificates().exists() {
            self.make().with_context(|| format!("{}: its data cannot be made", self.name()))?;
            fs::write(self.file("made"), "")?;
        }
        let port = self.port()?;
        let log = fs::File::create(self.file("log"))?;
        let mut server = self.server(port)?;
        server.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let mut child = server.spawn().with_context(|| self.name())?;
        fs::write(self.file("pid"), child.id().to_string())?;
        let (scheme, database) = match self.kind {
            Kind::Postgresql => ("postgresql+psycopg2", "postgres"),
            Kind::Mariadb => ("mysql+pymysql", "mysql"),
        };
        let url = format!("{scheme}://{USER}:{PASSWORD_IN_URL}@127.0.0.1:{port}/{database}");
        fs::write(self.file("url"), url)?;
        let mut ended = false;
        wait_until(|| {
            ended = child.try_wait().is_ok_and(|status| status.is_some());
            ended || self.answers(port)
        });
        if ended || !self.answers(port) {
            self.down()?;
            bail!("{} does not start; see {}", self.name(), self.file("log").display());
        }
        if self.kind == Kind::Postgresql {
            // MariaDB does so from its file, before it answers.
            for user in [ENCRYPTED, CERTIFIED] {
                self.run_sql(&format!("DROP ROLE IF EXISTS {user}"))?;
                self.run_sql(&format!("CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'"))?;
            }
        }
        Ok(())
    }

    pub(crate) fn down(&self) -> Result<()> {
        if let Some(pid) = self.process() {
            // PostgreSQL waits for its clients after SIGTERM.
            let signal = if self.kind == Kind::Postgresql { "-INT" } else { "-TERM" };
            let killed = Command::new("kill").args([signal, &pid]).status().context("kill")?;
            ensure!(killed.success(), "{} cannot be ended: process {pid}", self.name());
            wait_until(|| self.process().is_none());
            ensure!(self.process().is_none(), "{} does not end: process {pid}", self.name());
        }
        Ok(())
    }

    pub(crate) fn wipe(&self) -> Result<()> {
        if self.directory.exists() {
            fs::remove_dir_all(&self.directory).with_context(|| self.shown())?;
        }
        Ok(())
    }

    /// Runs one statement, with the server's own client.
    pub(super) fn run_sql(&self, statement: &str) -> Result<()> {
        let port = self.port()?;
        // Their environment may be emptied on the way.
        let mut client = match self.kind {
            Kind::Postgresql => {
                let url =
                    format!("postgresql://{USER}:{PASSWORD_IN_URL}@127.0.0.1:{port}/postgres");
                let mut client = self.program("psql")?;
                client.args(["-q", "-c", statement]).arg(url);
                client
            }
            Kind::Mariadb => {
                let mut client = self.program("mariadb")?;
                client.args(["--no-defaults", "-h", "127.0.0.1", "-u", USER, "-e", statement]);
                client.arg(format!("--password={PASSWORD}")).arg(format!("--port={port}"));
                client
            }
        };
        quietly(&mut client)
    }

    /// The id of its process, if that runs.
    fn process(&self) -> Option<String> {
        let pid = fs::read_to_string(self.file("pid")).ok()?;
        let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let data = self.data();
        String::from_utf8_lossy(&words).contains(data.to_str()?).then_some(pid)
    }

    /// Makes its data and its user.
    fn make(&self) -> Result<()> {
        if self.data().exists() {
            fs::remove_dir_all(self.data())?;
        }
        fs::create_dir(self.data())?;
        let secret = self.file("secret");
        certificates::make(&self.certificates(), CERTIFIED)?;
        let key = self.certificates().join("server-key.pem");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
        match self.kind {
            Kind::Postgresql => {
                fs::write(&secret, PASSWORD)?;
                self.give_away(&[&self.data(), &secret, &key])?;
                let mut make = self.program("initdb")?;
                make.args(["-U", USER, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"])
                    .args(["--no-sync", "-D"])
                    .arg(self.data())
                    .arg("--pwfile")
                    .arg(&secret);
                quietly(&mut make)?;
                let file = self.data().join("pg_hba.conf");
                let others = fs::read_to_string(&file)?;
                let by_tls = format!(
                    "hostssl all {CERTIFIED} 127.0.0.1/32 cert\n\
                     hostssl all {ENCRYPTED} 127.0.0.1/32 scram-sha-256\n\
                     host all {CERTIFIED},{ENCRYPTED} 127.0.0.1/32 reject\n"
                );
                fs::write(&file, by_tls + &others).context("pg_hba.conf")
            }
            Kind::Mariadb => {
                let user = format!("'{USER}'@'127.0.0.1'");
                let text = format!(
                    "CREATE USER IF NOT EXISTS {user} IDENTIFIED BY '{PASSWORD}';\n\
                     GRANT ALL ON *.* TO {user};\n\
                     CREATE USER IF NOT EXISTS '{ENCRYPTED}'@'127.0.0.1' \
                     IDENTIFIED BY '{PASSWORD}' REQUIRE SSL;\n\
                     CREATE USER IF NOT EXISTS '{CERTIFIED}'@'127.0.0.1' \
                     IDENTIFIED BY '{PASSWORD}' REQUIRE X509;\n"
                );
                fs::write(&secret, text)?;
                self.give_away(&[&self.data(), &secret, &key])?;
                let mut make = self.program("mariadb-install-db")?;
                make.args(["--no-defaults", "--skip-test-db"])
                    .args(["--auth-root-authentication-method=socket"])
                    .arg(option("--datadir", &self.data()));
                quietly(&mut make)
            }
        }
    }

    /// The server's own command.
    fn server(&self, port: u16) -> Result<Command> {
        match self.kind {
            Kind::Postgresql => {
                let mut server = self.program("postgres")?;
                server.arg("-D").arg(self.data()).arg("-p").arg(port.to_string());
                for setting in [
                    "listen_addresses=127.0.0.1",
                    "unix_socket_directories=",
                    "max_connections=800",
                    "shared_buffers=1GB",
                    "fsync=off",
                    "synchronous_commit=off",
                    "full_page_writes=off",
                    "ssl=on",
                ] {
                    server.args(["-c", setting]);
                }
                for (setting, file) in [
                    ("ssl_ca_file", "ca"),
                    ("ssl_cert_file", "server"),
                    ("ssl_key_file", "server-key"),
                ] {
                    server.arg("-c").arg(option(setting, &self.certificate(file)));
                }
                Ok(server)
            }
            Kind::Mariadb => {
                let mut server = self.program("mariadbd")?;
                server
                    // First: defaults are read before anything else.
                    .args(["--no-defaults", "--skip-name-resolve", "--bind-address=127.0.0.1"])
                    // In the data's directory, where its path is short enough.
                    .args(["--socket=socket", "--max-connections=800"])
                    .args(["--max-prepared-stmt-count=100000", "--innodb-buffer-pool-size=1G"])
                    .args(["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0"])
                    .arg(format!("--port={port}"))
                    .arg(option("--datadir", &self.data()))
                    .arg(option("--init-file", &self.file("secret")))
                    .arg(option("--ssl-ca", &self.certificate("ca")))
                    .arg(option("--ssl-cert", &self.certificate("server")))
                    .arg(option("--ssl-key", &self.certificate("server-key")));
                Ok(server)
            }
        }
    }

    /// A program of its package, to be run by a user that it accepts.
    fn program(&self, name: &str) -> Result<Command> {
        let (package, user) = match self.kind {
            Kind::Postgresql => ("postgresql", "postgres"),
            Kind::Mariadb => ("mariadb-server", "mysql"),
        };
        let found = places().map(|place| place.join(name)).find(|path| path.is_file());
        let Some(path) = found else {
            bail!("{name} is not installed: apt-get install {package}");
        };
        let mut command = Command::new("setpriv");
        if is_root() {
            command.arg(format!("--reuid={user}")).arg(format!("--regid={user}"));
            command.args(["--clear-groups", "--reset-env"]);
        }
        command.arg(path).current_dir(&self.directory);
        Ok(command)
    }

    /// Lets the user that runs the server have these files.
    fn give_away(&self, paths: &[&Path]) -> Result<()> {
        if is_root() {
            let user = if self.kind == Kind::Postgresql { "postgres" } else { "mysql" };
            let mut chown = Command::new("chown");
            let given = chown.arg(user).args(paths).status().context("chown")?;
            ensure!(given.success(), "there is no user {user}");
        }
        Ok(())
    }

    /// The port that it keeps; a free one the first time.
    fn port(&self) -> Result<u16> {
        if let Ok(kept) = fs::read_to_string(self.file("port")) {
            return kept.parse().context("port");
        }
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        fs::write(self.file("port"), port.to_string())?;
        Ok(port)
    }

    /// Whether it serves.
    fn answers(&self, port: u16) -> bool {
        match self.kind {
            Kind::Postgresql => self.program("pg_isready").is_ok_and(|mut ready| {
                ready.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
                ready.status().is_ok_and(|status| status.success())
            }),
            // It speaks first.
            Kind::Mariadb => TcpStream::connect(("127.0.0.1", port))
                .is_ok_and(|mut stream| stream.read(&mut [0]).is_ok_and(|read| read == 1)),
        }
    }

    /// Where its certificates are.
    pub(super) fn certificates(&self) -> PathBuf {
        self.file("certificates")
    }

    fn certificate(&self, name: &str) -> PathBuf {
        self.certificates().join(format!("{name}.pem"))
    }

    fn data(&self) -> PathBuf {
        self.file("data")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn shown(&self) -> String {
        self.directory.display().to_string()
    }
}

/// Where programs are: Debian keeps those of a server off the path.
fn places() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    versions.sort();
    versions.into_iter().rev().chain(on_path).chain([PathBuf::from("/usr/sbin")])
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn option(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

fn quietly(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| crate::process::shown(command))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", crate::process::shown(command));
    Ok(())
}

fn wait_until(mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(50));
    }
}
