"""A real cinder-api on a free port of the loopback address, and volumes for it without a backend.

It runs under gunicorn with upstream's own transfer API, on an SQLite file of its directory or on
the database given; no cinder-volume runs, so that volumes are rows (`CinderRows`) and the call to
it on accept comes back at once (`cinder_wsgi`). Keystone and Barbican may be real or simulated.
"""

import os
import pathlib
import subprocess
from typing import NamedTuple

from cinder_rows import CinderRows
from process import Process, answers, free_port

HERE = pathlib.Path(__file__).parent


class Account(NamedTuple):
    """The service's own user in Keystone."""

    user: str
    project: str
    password: str


class CinderApi:
    """`with CinderApi(...).start() as api` has .url, .rows, .process and .access_log."""

    def __init__(self, venv, directory, identity, key_manager, account,
                 database=None, workers=1, threads=4, application="cinder_wsgi", options=()):
        self.venv, self.dir = pathlib.Path(venv), pathlib.Path(directory)
        self.identity, self.key_manager, self.account = identity, key_manager, account
        self.database = database or f"sqlite:///{self.dir}/cinder.sqlite"
        self.workers, self.threads = workers, threads
        self.application, self.options = application, options
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.conf = self.dir / "cinder.conf"
        self.access_log = self.dir / "cinder-access.log"
        self.env = {"CINDER_CONF": str(self.conf), "HOME": str(self.dir),
                    "PYTHONWARNINGS": "ignore"}
        self.rows = CinderRows(self.database)
        self.process = None

    def start(self):
        """Makes the directory, the configuration and the tables, and starts the service."""
        self.dir.mkdir(parents=True, exist_ok=True)
        (self.dir / "lock").mkdir(exist_ok=True)
        self.configure()
        self.make_tables()
        self.process = Process("cinder-api", [
            self.venv / "bin" / "gunicorn", "--bind", f"127.0.0.1:{self.port}",
            "--worker-class", "gthread", "--workers", self.workers, "--threads", self.threads,
            "--worker-tmp-dir", self.dir, "--keep-alive", "75", "--timeout", "120",
            "--access-logfile", self.access_log, *self.options,
            "--chdir", HERE, f"{self.application}:application",
        ], self.dir / "cinder-api.log", self.env)
        try:
            self.process.wait_ready(90, lambda: answers(self.url))
        except BaseException:
            self.process.__exit__()
            raise
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.__exit__()

    def make_tables(self):
        """Cinder's own schema."""
        done = subprocess.run(
            [self.venv / "bin" / "cinder-manage", "--config-file", self.conf, "db", "sync"],
            env={**os.environ, **self.env}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )
        if done.returncode:
            raise RuntimeError(f"cinder-manage db sync: {done.stdout[-2000:]}")

    def configure(self):
        """Writes cinder.conf."""
        etc = self.venv / "etc" / "cinder"
        self.conf.write_text(f"""\
[DEFAULT]
use_stderr = true
transport_url = fake://
auth_strategy = keystone
api_paste_config = {etc}/api-paste.ini
resource_query_filters_file = {etc}/resource_filters.json
state_path = {self.dir}
enabled_backends = none
quota_volumes = -1
quota_snapshots = -1
quota_gigabytes = -1
[database]
connection = {self.database}
[oslo_concurrency]
lock_path = {self.dir}/lock
[oslo_messaging_notifications]
driver = noop
[key_manager]
backend = barbican
[barbican]
barbican_endpoint = {self.key_manager}
auth_endpoint = {self.identity}
[keystone_authtoken]
www_authenticate_uri = {self.identity}
auth_url = {self.identity}
auth_type = password
username = {self.account.user}
password = {self.account.password}
user_domain_name = Default
project_name = {self.account.project}
project_domain_name = Default
service_token_roles_required = false
""")
