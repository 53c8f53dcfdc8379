"""Both sides of `cargo xtask conformance cinder`: upstream's cinder-api, and this service.

    cinder_services.py --directory DIR --services VENV --cinder VENV --binary volume-transfer
                       [--policies new]

Both stand before one real Keystone and one real Barbican, each on a database of its own that
`cinder-manage db sync` has made, with the same cinder.conf. The neighbour of each, on its database,
is the other kind. Writes DIR/ready.json once all of it answers, and stops it when standard input
ends.
"""

import argparse
import contextlib
import http.server
import json
import re
import sqlite3
import sys
import threading

from cinder_api import Account, CinderApi
from peer_services import BLOCK_STORAGE, HERE, announce
from process import Process, end_on_signals, free_port, wait_until
from real_services import absolute
from services import CLOUDS, PASSWORD, RealServices, Size

CASES = HERE / "cinder"


class Rows(http.server.BaseHTTPRequestHandler):
    """The rows of one database: made, changed, shown and cleared by requests."""

    path_of = re.compile(r"/([a-z_]+)(?:/([0-9a-f-]+))?")
    defaults = json.loads((CASES / "defaults.json").read_text())
    database = None

    def do_DELETE(self):
        with self.open() as database:
            database.executescript((CASES / "reset.sql").read_text())
        self.answer(204, "")

    def do_GET(self):
        if self.path == "/rest":
            wait_until("the end of this service's work", 30, self.is_at_rest)
            self.answer(204, "")
            return
        with self.open() as database:
            (shown,) = database.execute((CASES / "show.sql").read_text()).fetchone()
        self.answer(200, shown)

    def is_at_rest(self):
        """Whether no hand-over is on record: it is struck out when its debts have been tried."""
        with self.open() as database:
            query = "select count(*) from volume_transfer_hand_overs"
            return database.execute(query).fetchone()[0] == 0

    def do_POST(self):
        table, _ = self.path_of.fullmatch(self.path).groups()
        row = {**self.defaults[table], **self.body()}
        values = ", ".join(f"json_extract(?1, '$.{name}')" for name in row)
        self.change(f"insert into {table} ({', '.join(row)}) values ({values})", row)

    def do_PUT(self):
        table, identity = self.path_of.fullmatch(self.path).groups()
        row = self.body()
        values = ", ".join(f"{name} = json_extract(?1, '$.{name}')" for name in row)
        self.change(f"update {table} set {values} where id = '{identity}'", row)

    def change(self, statement, row):
        with self.open() as database:
            database.execute(statement, [json.dumps(row)])
        self.answer(204, "")

    @contextlib.contextmanager
    def open(self):
        database = sqlite3.connect(self.database, timeout=30)
        try:
            with database:
                yield database
        finally:
            database.close()

    def body(self):
        return json.loads(self.rfile.read(int(self.headers["content-length"])))

    def answer(self, status, text):
        self.send_response_only(status)
        if text:
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def rows(database, running):
    """Serves the rows of a database, and returns the address."""
    handler = type("Rows", (Rows,), {"database": database})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    running.callback(server.shutdown)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def serve(binary, api, running):
    """Starts this service beside a cinder-api, with its cinder.conf, and returns the address."""
    ready = api.dir / "serve.json"
    process = running.enter_context(Process("volume-transfer", [
        binary, "serve", "--config-file", api.conf, "--listen", f"127.0.0.1:{free_port()}",
        "--ready-file", ready,
    ], api.dir / "serve.log"))
    process.wait_ready(60, ready.exists)
    return json.loads(ready.read_text())["block_storage"].removesuffix("/v3")


def start(given, running):
    """Starts everything, and says where it is."""
    services = given.directory / "services"
    services.mkdir()
    # one thread each: with more, SQLite is locked now and then, and Barbican answers 500
    up = running.enter_context(
        RealServices(given.services, services, BLOCK_STORAGE, Size(threads=1)).start())
    user, project, _ = CLOUDS["service"]
    sides = {}
    for name in ("real", "ours"):
        api = running.enter_context(CinderApi(
            given.cinder, given.directory / name, up.identity, up.key_manager,
            Account(user, project, PASSWORD)).start())
        both = (api.url, serve(given.binary, api, running))
        cinder, neighbour = both if name == "real" else reversed(both)
        storage = {"cinder": cinder, "neighbour": neighbour,
                   "rows": rows(api.dir / "cinder.sqlite", running)}
        sides[name] = {"new": {
            "keystone": up.identity.removesuffix("/v3"), "barbican": up.key_manager,
            "password": PASSWORD, "block_storage": storage}}
    return sides


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    for name in ("directory", "services", "cinder", "binary"):
        arguments.add_argument(f"--{name}", type=absolute, required=True)
    arguments.add_argument("--policies", nargs="+", choices=["new"])
    given = arguments.parse_args()
    end_on_signals()
    with contextlib.ExitStack() as running:
        announce(given.directory, start(given, running))
        sys.stdin.read()


if __name__ == "__main__":
    main()
