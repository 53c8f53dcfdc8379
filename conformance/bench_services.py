"""What `cargo xtask bench-peers` measures: upstream's cinder-api and this service, side by side.

    bench_services.py --directory DIR --binary volume-transfer --cinder VENV
                      --volumes UPSTREAM OURS (--services VENV --server URL | --simulated)

Both stand before the same Keystone and Barbican, real ones on the database server given, or the
simulator; each has volumes of its own whose keys Barbican holds. Writes DIR/ready.json once all
answers, and stops it when standard input ends.
"""

import argparse
import base64
import concurrent.futures
import contextlib
import json
import os
import sys

import openstack

from cinder_api import Account, CinderApi
from cinder_rows import CinderRows, MariadbServer
from process import Process, end_on_signals, free_port
from real_services import absolute
from services import CLOUDS, PASSWORD, RealServices, Size, cloud

SNAPSHOTS = 2
# of each real service; a worker is a process
WORKERS, THREADS = 2, 8
# what Keystone has unless it is told otherwise: a password costs what it costs in a cloud
HASH_ROUNDS = 12


class Ground:
    """Keystone and Barbican, and where the two block storages keep their rows."""

    def __init__(self, given, running):
        self.directory, self.running = given.directory, running
        self.server = None if given.simulated else given.server
        if given.simulated:
            self.simulator(given.binary)
        else:
            self.real(given.services)

    def real(self, venv):
        """Real ones, on fresh databases of the server."""
        server = MariadbServer(self.server)
        with contextlib.closing(server.connect()) as database:
            for name in ("keystone", "barbican", "cinder", "volume_transfer"):
                server.run(database, f"drop database if exists {name}")
                server.run(database, f"create database {name} character set utf8mb4")
        size = Size(WORKERS, THREADS, self.server, HASH_ROUNDS)
        services = self.running.enter_context(
            RealServices(venv, self.directory, "http://127.0.0.1:8776", size).start())
        self.identity, self.key_manager = services.identity, services.key_manager
        self.requests = {"barbican_log": str(services.dir / "barbican-access.log")}

    def simulator(self, binary):
        """The simulator, in memory."""
        ready = self.directory / "simulator.json"
        process = self.running.enter_context(Process("simulate", [
            binary, "simulate", "--ephemeral", "--control", "--password", PASSWORD,
            "--ready-file", ready,
        ], self.directory / "simulator.log", {"RUST_LOG": "warn"}))
        process.wait_ready(60, ready.exists)
        urls = json.loads(ready.read_text())
        self.identity = urls["identity"].removesuffix("/v3") + "/v3"
        self.key_manager = urls["key_manager"]
        self.requests = {"simulator": self.identity.removesuffix("/v3") + "/_simulator"}

    def database(self, name):
        """The address of a database, as SQLAlchemy has it."""
        if self.server:
            return f"{self.server}/{name}"
        return f"sqlite:///{self.directory}/{name}.sqlite"

    def connect(self, name):
        """An openstacksdk connection of the user of that cloud."""
        user, project, _ = CLOUDS[name]
        return openstack.connect(load_yaml_config=False, load_envvars=False,
                                 **cloud(self.identity, user, project))


def upstream(ground, venv):
    """Starts cinder-api; returns its side of ready.json and its tables."""
    user, project, _ = CLOUDS["service"]
    api = ground.running.enter_context(CinderApi(
        venv, ground.directory / "cinder", ground.identity, ground.key_manager,
        Account(user, project, PASSWORD), ground.database("cinder"), WORKERS, THREADS).start())
    return {"url": api.url, "pid": api.process.child.pid}, api.rows


def ours(ground, binary):
    """Starts this service; returns its side of ready.json and its tables."""
    ready, database = ground.directory / "serve.json", ground.database("volume_transfer")
    user, project, _ = CLOUDS["service"]
    process = ground.running.enter_context(Process("volume-transfer", [
        binary, "serve", "--config-file", os.devnull, "--listen", f"127.0.0.1:{free_port()}",
        "--database", database if ground.server else database + "?mode=rwc", "--create-tables",
        "--auth-url", ground.identity, "--username", user, "--project-name", project,
        "--key-manager-url", ground.key_manager, "--ready-file", ready,
    ], ground.directory / "serve.log", {"VOLUME_TRANSFER_PASSWORD": PASSWORD}))
    process.wait_ready(60, ready.exists)
    url = json.loads(ready.read_text())["block_storage"]
    return {"url": url, "pid": process.child.pid}, CinderRows(database)


def seed(ground, donor, rows, count):
    """Volumes of donor, each with a key that Barbican holds; returns their ids."""
    rows.lift_quotas()
    volume_type = rows.volume_type("luks")
    # read once, and not by many threads at once
    token, user, project = donor.auth_token, donor.current_user_id, donor.current_project_id

    def key(_):
        body = {
            "algorithm": "aes", "bit_length": 256, "secret_type": "symmetric",
            "payload": base64.b64encode(os.urandom(32)).decode(),
            "payload_content_type": "application/octet-stream",
            "payload_content_encoding": "base64",
        }
        made = donor.session.post(ground.key_manager + "/v1/secrets", json=body,
                                  headers={"X-Auth-Token": token}, authenticated=False)
        return made.json()["secret_ref"].rsplit("/", 1)[1]

    with concurrent.futures.ThreadPoolExecutor(THREADS) as threads:
        keys = list(threads.map(key, range(count)))
    return rows.volumes("measured", volume_type, user, project, keys, SNAPSHOTS)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--directory", type=absolute, required=True)
    arguments.add_argument("--binary", type=absolute, required=True)
    arguments.add_argument("--cinder", type=absolute, required=True)
    arguments.add_argument("--volumes", type=int, nargs=2, required=True)
    arguments.add_argument("--services", type=absolute)
    arguments.add_argument("--server")
    arguments.add_argument("--simulated", action="store_true")
    given = arguments.parse_args()
    end_on_signals()
    with contextlib.ExitStack() as running:
        ground = Ground(given, running)
        donor = ground.connect("donor")
        ready = {"keystone": ground.identity, "barbican": ground.key_manager,
                 "password": PASSWORD, **ground.requests}
        started = (upstream(ground, given.cinder), ours(ground, given.binary))
        for name, (side, rows), count in zip(("upstream", "ours"), started, given.volumes):
            ready[name] = {**side, "volumes": seed(ground, donor, rows, count)}
        # whole or not at all: whoever waits for it reads it at once
        written = given.directory / "ready.json.new"
        written.write_text(json.dumps(ready))
        written.rename(given.directory / "ready.json")
        sys.stdin.read()


if __name__ == "__main__":
    main()
