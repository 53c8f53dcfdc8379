"""A real Keystone and a real Barbican on free ports of the loopback address.

Both run under gunicorn, behind HAProxy where they have several processes, and keep their data in
SQLite files of the directory given or in databases of the server given. Users, projects, roles and
the catalogue are made through Keystone's own API, and `clouds.yaml` names them as `serve --dev`
does: clouds admin, donor, recipient, third, service. Barbican runs with the policy that it enforces
out of the box.
"""

import base64
import contextlib
import os
import pathlib
import secrets
import shutil
import subprocess
from typing import NamedTuple

import openstack
import yaml

from process import Process, answers, free_port

HERE = pathlib.Path(__file__).parent
PASSWORD = "secret"
REGION = "RegionOne"

# cloud: (user, project, roles)
CLOUDS = {
    "admin": ("admin", "admin", ["admin"]),
    "donor": ("x", "donor", ["member", "creator"]),
    "recipient": ("y", "recipient", ["member", "creator"]),
    "third": ("z", "third", ["member", "creator"]),
    "service": ("cinder", "service", ["admin", "member", "service", "creator"]),
}
BARBICAN_USER = ("barbican", "service", ["admin", "service"])


def cloud(auth_url, user, project):
    """An entry of clouds.yaml."""
    return {
        "auth": {
            "auth_url": auth_url,
            "username": user,
            "password": PASSWORD,
            "project_name": project,
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        },
        "region_name": REGION,
        "identity_api_version": 3,
    }


class Size(NamedTuple):
    """How much each service is given; what is left out is right for a test.

    `workers` are processes. `server` is the address of a database server,
    `SCHEME://USER:PASSWORD@HOST:PORT`, in which databases of the services' names are there.
    `hash_rounds` are those of Keystone's passwords: by default the least that bcrypt takes, for
    those of a test protect nothing.
    """

    workers: int = 1
    threads: int = 4
    server: str | None = None
    hash_rounds: int = 4


class RealServices:
    """`with RealServices(...).start() as services` has .identity, .key_manager and .clouds."""

    def __init__(self, venv, directory, volume_url, size=Size()):
        self.size = size
        self.bin, self.dir = pathlib.Path(venv) / "bin", pathlib.Path(directory)
        self.etc = pathlib.Path(venv) / "etc"
        keystone, barbican = free_port(), free_port()
        self.identity = f"http://127.0.0.1:{keystone}/v3"
        self.key_manager = f"http://127.0.0.1:{barbican}"
        self.volume_url = volume_url
        self.ports = {"keystone": keystone, "barbican": barbican}
        self.clouds = self.dir / "clouds.yaml"
        self.processes = contextlib.ExitStack()
        self.pids = []
        self.keystone_conf = self.dir / "keystone.conf"
        self.env = {
            "HOME": str(self.dir),  # barbican reads ~/.barbican/barbican.conf
            "OS_KEYSTONE_CONFIG_FILES": str(self.keystone_conf),
            "BARBICAN_PASTE": str(self.etc / "barbican" / "barbican-api-paste.ini"),
            "PYTHONWARNINGS": "ignore",
        }

    def start(self):
        """Starts both; what is up is stopped again when the rest does not come up."""
        with contextlib.ExitStack() as undo:
            undo.push(self.processes)
            self.configure()
            self.bootstrap_keystone()
            self.serve("keystone", self.identity)
            self.clouds.write_text(yaml.safe_dump({
                "clouds": {c: cloud(self.identity, u, p) for c, (u, p, _) in CLOUDS.items()}
            }))
            self.register()
            self.run("barbican-manage", "db", "upgrade")
            self.serve("barbican", self.key_manager)
            undo.pop_all()
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.processes.close()

    def connect(self, name, **options):
        """An openstacksdk connection of the cloud `name`."""
        config = openstack.config.OpenStackConfig(config_files=[str(self.clouds)])
        return openstack.connection.Connection(config=config.get_one(cloud=name, **options))

    def run(self, tool, *arguments):
        """Runs one of the services' own management commands."""
        done = subprocess.run(
            [self.bin / tool, *arguments], env={**os.environ, **self.env}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{tool} {' '.join(arguments)}: {done.stdout[-2000:]}")

    def serve(self, name, url):
        """Starts the service and waits for its first answer."""
        port, count = self.ports[name], self.size.workers
        workers = [port] if count == 1 else [free_port() for _ in range(count)]
        for worker in workers:
            process = self.worker(name, worker)
            process.wait_ready(90, lambda at=worker: answers(f"http://127.0.0.1:{at}/"))
        if workers != [port]:
            self.balance(name, port, workers).wait_ready(30, lambda: answers(url))

    def worker(self, name, port):
        """A process of the service under gunicorn."""
        return self.launch(name, port, [
            self.bin / "gunicorn", "--bind", f"127.0.0.1:{port}",
            "--worker-class", "gthread", "--threads", self.size.threads,
            "--worker-tmp-dir", self.dir, "--keep-alive", "75", "--timeout", "120",
            "--access-logfile", self.dir / f"{name}-access.log",
            "--chdir", HERE, f"{name}_wsgi:application",
        ])

    def balance(self, name, port, workers):
        """HAProxy, which gives each request to the process that has the fewest. Workers of one
        gunicorn share connections instead, and it is chance whether one of them gets all."""
        haproxy = shutil.which("haproxy")
        if not haproxy:
            raise RuntimeError("missing: haproxy; try apt-get install haproxy")
        servers = "\n".join(f"    server worker-{at} 127.0.0.1:{at}" for at in workers)
        config = self.dir / f"{name}-haproxy.cfg"
        config.write_text(f"""\
global
    nbthread 1
    maxconn 1000
defaults
    mode http
    timeout connect 5s
    timeout client 300s
    timeout server 300s
listen {name}
    bind 127.0.0.1:{port}
    balance leastconn
    http-reuse always
{servers}
""")
        return self.launch(f"{name}-haproxy", port, [haproxy, "-db", "-f", config])

    def launch(self, name, port, argv):
        """Starts a process, and keeps it until all end."""
        process = Process(name, argv, self.dir / f"{name}-{port}.log", self.env)
        self.pids.append(process.child.pid)
        return self.processes.enter_context(process)

    def database(self, name):
        """Where a service keeps its data."""
        if self.size.server:
            return f"{self.size.server}/{name}"
        return f"sqlite:///{self.dir}/{name}.sqlite"

    def configure(self):
        """Writes keystone.conf and barbican.conf."""
        self.keystone_conf.write_text(f"""\
[DEFAULT]
use_stderr = true
[database]
connection = {self.database("keystone")}
[fernet_tokens]
key_repository = {self.dir}/fernet
[credential]
key_repository = {self.dir}/credential
[identity]
password_hash_rounds = {self.size.hash_rounds}
""")
        # simple_crypto wants 32 bytes in base64
        kek = base64.b64encode(secrets.token_bytes(32)).decode()
        home = self.dir / ".barbican"
        home.mkdir()
        (home / "barbican.conf").write_text(f"""\
[DEFAULT]
use_stderr = true
host_href = {self.key_manager}
db_auto_create = false
[database]
connection = {self.database("barbican")}
[queue]
enable = false
[simple_crypto_plugin]
kek = {kek}
[keystone_authtoken]
www_authenticate_uri = {self.identity}
auth_url = {self.identity}
auth_type = password
username = {BARBICAN_USER[0]}
password = {PASSWORD}
user_domain_name = Default
project_name = {BARBICAN_USER[1]}
project_domain_name = Default
service_token_roles_required = false
""")

    def bootstrap_keystone(self):
        """The schema, the token keys, the admin and Keystone's own catalogue entry."""
        def manage(*arguments):
            self.run("keystone-manage", "--config-file", str(self.keystone_conf), *arguments)

        manage("db_sync")
        for kind in ("fernet", "credential"):
            (self.dir / kind).mkdir(mode=0o700)
            manage(f"{kind}_setup", "--keystone-user", str(os.getuid()),
                   "--keystone-group", str(os.getgid()))
        manage(
            "bootstrap", "--bootstrap-username", "admin", "--bootstrap-password", PASSWORD,
            "--bootstrap-project-name", "admin", "--bootstrap-role-name", "admin",
            "--bootstrap-service-name", "keystone", "--bootstrap-region-id", REGION,
            "--bootstrap-public-url", self.identity, "--bootstrap-internal-url", self.identity,
            "--bootstrap-admin-url", self.identity,
        )

    def register(self):
        """Users, projects, roles and the catalogue."""
        keystone = self.connect("admin").identity
        domain = "default"
        roles = {role.name: role for role in keystone.roles()}
        projects = {p.name: p for p in keystone.projects()}
        users = {u.name: u for u in keystone.users()}
        for user, project, wanted in [*CLOUDS.values(), BARBICAN_USER]:
            if project not in projects:
                projects[project] = keystone.create_project(name=project, domain_id=domain)
            if user not in users:
                users[user] = keystone.create_user(
                    name=user, password=PASSWORD, domain_id=domain)
            for role in wanted:
                if role not in roles:
                    roles[role] = keystone.create_role(name=role)
                keystone.assign_project_role_to_user(
                    projects[project], users[user], roles[role])
        volume = self.volume_url + "/v3/%(project_id)s"
        for kind, name, url in (
            ("key-manager", "barbican", self.key_manager),
            ("volumev3", "cinderv3", volume),
            ("block-storage", "cinder", volume),
        ):
            service = keystone.create_service(type=kind, name=name)
            for interface in ("public", "internal", "admin"):
                keystone.create_endpoint(
                    service_id=service.id, interface=interface, url=url, region_id=REGION)
