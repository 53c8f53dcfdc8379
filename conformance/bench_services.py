"""What `cargo xtask bench-peers`, `bench-growth` and `bench-simulator` measure, side by side.

    bench_services.py --directory DIR --binary volume-transfer --cinder VENV
                      --volumes UPSTREAM OURS --server URL [--services VENV]
    bench_services.py --directory DIR --binary volume-transfer --others N [N ...]
                      --volumes N [--replicas N ...] [--server URL]
    bench_services.py --directory DIR --binary volume-transfer --services VENV --server URL

All stand before the same Keystone and Barbican, real ones or the simulator, on the database server
given or on SQLite; each has volumes of its own whose keys Barbican holds. With --others there is
only this service, once beside each of so many other volumes, and in more replicas; without
--volumes there are Keystone and Barbican alone. Writes DIR/ready.json once all answers, and stops
it when standard input ends.
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
from cinder_rows import CinderRows, server
from process import Process, end_on_signals, free_port
from real_services import absolute
from services import CLOUDS, PASSWORD, RealServices, Size, cloud

SNAPSHOTS = 2
# transfers that have ended, for each volume
PAST = 10
# processes of each real service, and the threads of each: those of Keystone and Barbican compute
# nearly all the time, and more than two do so more slowly, for they wait for Python's lock
WORKERS, THREADS = 2, 2
# upstream's wait for Barbican
UPSTREAM_THREADS = 8
# what Keystone has unless it is told otherwise: a password costs what it costs in a cloud
HASH_ROUNDS = 12


class Ground:
    """Keystone and Barbican, and where the two block storages keep their rows."""

    def __init__(self, given, running):
        self.directory, self.running = given.directory, running
        self.server = given.server
        if given.services is None:
            self.simulator(given.binary)
        else:
            self.real(given.services)

    def real(self, venv):
        """Real ones, on fresh databases of the server."""
        for name in ("keystone", "barbican"):
            server(self.server).create(name)
        size = Size(WORKERS, THREADS, self.server, HASH_ROUNDS)
        services = self.running.enter_context(
            RealServices(venv, self.directory, "http://127.0.0.1:8776", size).start())
        self.identity, self.key_manager = services.identity, services.key_manager
        self.pids = services.pids
        self.requests = {"barbican_log": str(services.dir / "barbican-access.log")}

    def simulator(self, binary):
        """The simulator, in memory."""
        ready = self.directory / "simulator.json"
        process = self.running.enter_context(Process("simulate", [
            binary, "simulate", "--ephemeral", "--control", "--password", PASSWORD,
            "--ready-file", ready,
        ], self.directory / "simulator.log", {"RUST_LOG": "warn"}))
        process.wait_ready(60, ready.exists)
        self.pids = [process.child.pid]
        urls = json.loads(ready.read_text())
        self.identity = urls["identity"].removesuffix("/v3") + "/v3"
        self.key_manager = urls["key_manager"]
        self.requests = {"simulator": self.identity.removesuffix("/v3") + "/_simulator"}

    def file(self, name):
        """The address of a file of SQLite, as SQLAlchemy has it."""
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
        Account(user, project, PASSWORD), f"{ground.server}/cinder", WORKERS,
        UPSTREAM_THREADS).start())
    return {"name": "upstream", "replicas": [replica(api.url, api.process)]}, api.rows


def replica(url, process):
    """A process that answers there."""
    return {"url": url, "pid": process.child.pid}


def ours(ground, binary, name="volume_transfer", count=1, on_sqlite=False):
    """Starts replicas of this service; returns their side of ready.json and their tables."""
    on_sqlite = on_sqlite or not ground.server
    database = ground.file(name) if on_sqlite else f"{ground.server}/{name}"
    if on_sqlite:
        options = "?mode=rwc"
    else:
        # in the clear: so upstream's driver speaks to MariaDB unless it is told otherwise
        options = "?ssl_mode=DISABLED" if database.startswith("mysql") else "?sslmode=disable"
    user, project, _ = CLOUDS["service"]
    replicas = []
    for number in range(count):
        ready = ground.directory / f"{name}-{number}.json"
        process = ground.running.enter_context(Process("volume-transfer", [
            binary, "serve", "--config-file", os.devnull,
            "--listen", f"127.0.0.1:{free_port()}",
            "--database", database + options,
            "--create-tables", "--auth-url", ground.identity, "--username", user,
            "--project-name", project, "--key-manager-url", ground.key_manager,
            "--ready-file", ready,
        ], ground.directory / f"{name}-{number}.log", {"VOLUME_TRANSFER_PASSWORD": PASSWORD}))
        process.wait_ready(60, ready.exists)
        replicas.append(replica(json.loads(ready.read_text())["block_storage"], process))
    return {"name": "ours", "replicas": replicas}, CinderRows(database)


def seed(ground, donor, rows, count):
    """Volumes of donor, each with a key that Barbican holds; returns their ids and their type."""
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

    with concurrent.futures.ThreadPoolExecutor(WORKERS * THREADS) as threads:
        keys = list(threads.map(key, range(count)))
    volumes = rows.volumes("measured", volume_type, user, project, keys, SNAPSHOTS)
    return volumes, volume_type


def beside_upstream(ground, given, donor):
    """Upstream and this service, each on a database of its own; and this service on SQLite, too,
    which upstream does not stand."""
    for name in ("cinder", "volume_transfer"):
        server(ground.server).create(name)
    storage, rows = ours(ground, given.binary, "on_sqlite", on_sqlite=True)
    started = [upstream(ground, given.cinder), ours(ground, given.binary),
               ({**storage, "name": "ours_on_sqlite"}, rows)]
    counts = [*given.volumes, given.volumes[-1]]
    for (storage, rows), count in zip(started, counts):
        volumes, _ = seed(ground, donor, rows, count)
        yield {**storage, "volumes": volumes}


def grown(ground, given, donor):
    """This service beside ever more rows, then more replicas of it beside the fewest."""
    sizes = sorted(given.others)
    for others, count in [*((size, 1) for size in sizes),
                          *((sizes[0], count) for count in given.replicas)]:
        database = f"grown_{others}_{count}"
        if ground.server:
            server(ground.server).create(database)
        storage, rows = ours(ground, given.binary, database, count)
        volumes, volume_type = seed(ground, donor, rows, given.volumes[0])
        rows.past(volume_type, others, PAST * others)
        yield {**storage, "name": f"{others} x{count}", "others": others, "volumes": volumes}


def storages(ground, given):
    """What stands before both, each with its volumes."""
    if given.volumes is None:
        return []
    donor = ground.connect("donor")
    return list((grown if given.others else beside_upstream)(ground, given, donor))


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--directory", type=absolute, required=True)
    arguments.add_argument("--binary", type=absolute, required=True)
    arguments.add_argument("--volumes", type=int, nargs="+")
    arguments.add_argument("--cinder", type=absolute)
    arguments.add_argument("--services", type=absolute)
    arguments.add_argument("--server")
    arguments.add_argument("--others", type=int, nargs="+")
    arguments.add_argument("--replicas", type=int, nargs="*", default=[])
    given = arguments.parse_args()
    end_on_signals()
    with contextlib.ExitStack() as running:
        ground = Ground(given, running)
        ready = {"keystone": ground.identity, "barbican": ground.key_manager,
                 "key_manager_pids": ground.pids, "password": PASSWORD, **ground.requests,
                 "storages": storages(ground, given)}
        # whole or not at all: whoever waits for it reads it at once
        written = given.directory / "ready.json.new"
        written.write_text(json.dumps(ready))
        written.rename(given.directory / "ready.json")
        sys.stdin.read()


if __name__ == "__main__":
    main()
