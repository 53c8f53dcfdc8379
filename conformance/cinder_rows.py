"""Encrypted volumes and snapshots, written into Cinder's own tables, on any of the databases.

The rows are those that Cinder leaves behind for an available volume of a LUKS type; the key is
made as Cinder makes it, by a Barbican order under the owner's token.
"""

import contextlib
import datetime
import sqlite3
import uuid
from urllib.parse import unquote, urlsplit

from process import wait_until


def now():
    """The time as Cinder writes it."""
    moment = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    return moment.isoformat(sep=" ", timespec="microseconds")


def order_key(connection):
    """A 256-bit AES key of the caller's project, by an order; the order itself is removed again."""
    root = connection.key_manager.get_endpoint().rstrip("/").removesuffix("/v1")

    def call(method, url, **named):
        return connection.session.request(
            url, method, headers={"Accept": "application/json"}, **named)
    meta = {"algorithm": "AES", "bit_length": 256,
            "payload_content_type": "application/octet-stream"}
    order = call("POST", f"{root}/v1/orders",
                 json={"type": "key", "meta": meta}).json()["order_ref"]

    def ended():
        found = call("GET", order).json()
        return found if found["status"] != "PENDING" else None

    found = wait_until("the key order", 30, ended)
    call("DELETE", order)
    return found["secret_ref"].rsplit("/", 1)[1]


class SqliteFile:
    """The file of a `sqlite:///` address."""

    # the n-th id, one of a thousand projects, and n from 0 to below the value; ids ascend, which is
    # quick, and ten million of them are spread over all there are
    UUID = "printf('%08x-0000-4000-8000-%012x', n * 400, n)"
    PROJECT = "'project' || (n % 1000)"
    NUMBERS = """(with recursive numbers(n) as
        (select 0 union all select n + 1 from numbers where n + 1 < ?) select n from numbers)"""

    # what a server does by itself, sooner or later, once a table has grown
    SETTLE = ()

    def __init__(self, url):
        self.path = url.removeprefix("sqlite:///")

    def connect(self):
        """A connection whose rows are told by name."""
        database = sqlite3.connect(self.path, timeout=30)
        database.row_factory = sqlite3.Row
        return database

    def run(self, database, statement, values=()):
        """One statement, with `?` for each value."""
        return database.execute(statement, values)


class MariadbServer:
    """The database of a `mysql+pymysql://` address."""

    UUID = "lower(concat(lpad(hex(n * 400), 8, '0'), '-0000-4000-8000-', lpad(hex(n), 12, '0')))"
    PROJECT = "concat('project', mod(n, 1000))"
    NUMBERS = "(select seq as n from seq_0_to_100000000 where seq < ?) as numbers"
    SETTLE = ("analyze table volumes, snapshots, transfers",)

    def __init__(self, url):
        self.url = urlsplit(url)

    def connect(self):
        """A connection whose rows are told by name."""
        import pymysql
        return pymysql.connect(
            host=self.url.hostname, port=self.url.port, user=self.url.username,
            password=unquote(self.url.password), database=self.url.path.strip("/") or None,
            cursorclass=pymysql.cursors.DictCursor)

    def create(self, database):
        """An empty database."""
        with contextlib.closing(self.connect()) as connection:
            self.run(connection, f"drop database if exists {database}")
            self.run(connection, f"create database {database} character set utf8mb4")

    def run(self, database, statement, values=()):
        """One statement, with `?` for each value."""
        cursor = database.cursor()
        cursor.execute(statement.replace("?", "%s"), values)
        return cursor


class PostgresqlServer:
    """The database of a `postgresql+psycopg2://` address."""

    UUID = "lpad(to_hex(n * 400), 8, '0') || '-0000-4000-8000-' || lpad(to_hex(n), 12, '0')"
    PROJECT = "'project' || mod(n, 1000)"
    NUMBERS = "generate_series(0::bigint, ? - 1) as numbers(n)"
    SETTLE = ("end", "vacuum (freeze, analyze)")

    def __init__(self, url):
        self.url = url

    def connect(self):
        """A connection whose rows are told by name."""
        import psycopg2.extras
        url = self.url.replace("+psycopg2", "")
        return psycopg2.connect(url, cursor_factory=psycopg2.extras.RealDictCursor)

    def create(self, database):
        """An empty database."""
        with contextlib.closing(PostgresqlServer(self.url + "/postgres").connect()) as connection:
            connection.autocommit = True
            self.run(connection, f"drop database if exists {database}")
            self.run(connection, f"create database {database}")

    def run(self, database, statement, values=()):
        """One statement, with `?` for each value."""
        cursor = database.cursor()
        cursor.execute(statement.replace("?", "%s"), values)
        return cursor


def server(url):
    """What keeps the database of an address as `cinder.conf` has it."""
    kinds = {"sqlite": SqliteFile, "mysql+pymysql": MariadbServer,
             "postgresql+psycopg2": PostgresqlServer}
    return kinds[url.split(":")[0]](url)


class CinderRows:
    """Cinder's tables in one database, which the service has open too."""

    def __init__(self, url):
        self.server = server(url)

    @contextlib.contextmanager
    def open(self):
        """One transaction; what it is given runs statements."""
        database = self.server.connect()
        try:
            yield lambda statement, values=(): self.server.run(database, statement, values)
            database.commit()
        finally:
            database.close()

    @staticmethod
    def insert(run, table, **columns):
        """One row, in the three columns that all of Cinder's tables share and these."""
        columns = {"created_at": now(), "updated_at": now(), "deleted": False, **columns}
        names = ", ".join(columns)
        marks = ", ".join("?" for _ in columns)
        run(f"insert into {table} ({names}) values ({marks})", list(columns.values()))

    def lift_quotas(self):
        """No quota is in anybody's way: the class `default` goes before what is configured."""
        with self.open() as run:
            run("update quota_classes set hard_limit = -1")

    def volume_type(self, name):
        """An encrypted type that everybody may use; returns its id."""
        identity = str(uuid.uuid4())
        with self.open() as run:
            self.insert(run, "volume_types", id=identity, name=name, is_public=True)
            self.insert(
                run, "encryption", encryption_id=str(uuid.uuid4()), volume_type_id=identity,
                provider="luks", cipher="aes-xts-plain64", key_size=256,
                control_location="front-end")
        return identity

    def volume(self, name, volume_type, user, project, key, snapshots):
        """An available volume with its snapshots; returns its id."""
        (identity,) = self.volumes(name, volume_type, user, project, [key], snapshots)
        return identity

    def volumes(self, name, volume_type, user, project, keys, snapshots):
        """An available volume with its snapshots for each key; returns their ids."""
        with self.open() as run:
            return [self.one(run, name, volume_type, user, project, key, snapshots)
                    for key in keys]

    def one(self, run, name, volume_type, user, project, key, snapshots):
        """The rows of one volume; returns its id."""
        identity = str(uuid.uuid4())
        owner = {"user_id": user, "project_id": project, "volume_type_id": volume_type,
                 "encryption_key_id": key, "status": "available", "use_quota": True}
        self.insert(
            run, "volumes", id=identity, size=1, display_name=name, bootable=False,
            host="conformance@none#none", availability_zone="nova",
            attach_status="detached", multiattach=False, **owner)
        for number in range(snapshots):
            self.insert(
                run, "snapshots", id=str(uuid.uuid4()), volume_id=identity,
                volume_size=1, display_name=f"{name}-{number}", progress="100%", **owner)
        return identity

    def past(self, volume_type, volumes, transfers):
        """So many volumes of other projects, and so many transfers that have ended."""
        server = self.server
        shared = f"'{now()}', '{now()}', {server.UUID}"
        with self.open() as run:
            run(f"""
                insert into volumes (created_at, updated_at, id, deleted, size, display_name,
                    bootable, host, availability_zone, attach_status, multiattach, user_id,
                    project_id, encryption_key_id, status, use_quota, volume_type_id)
                select {shared}, false, 1, 'other', false, 'conformance@none#none', 'nova',
                    'detached', false, 'somebody', {server.PROJECT}, {server.UUID}, 'available',
                    true, ?
                from {server.NUMBERS}""", (volume_type, volumes))
            run(f"""
                insert into transfers (created_at, updated_at, id, deleted, deleted_at, volume_id,
                    display_name, salt, crypt_hash, no_snapshots, source_project_id,
                    destination_project_id, accepted)
                select {shared}, true, '{now()}', {server.UUID}, 'past', 'salt', 'hash', false,
                    {server.PROJECT}, 'elsewhere', true
                from {server.NUMBERS}""", (transfers,))
        with self.open() as run:
            for statement in server.SETTLE:
                run(statement)

    def find(self, project, volume):
        """The volume's row if that project owns it, else None."""
        with self.open() as run:
            return run(
                "select id, display_name, status, size from volumes"
                " where id = ? and project_id = ? and not deleted", (volume, project)).fetchone()

    def key_ids(self, volume):
        """The key ids of the volume and of its snapshots."""
        with self.open() as run:
            rows = run(
                "select encryption_key_id from volumes where id = ? union"
                " select encryption_key_id from snapshots where volume_id = ? and not deleted",
                (volume, volume))
            return {row["encryption_key_id"] for row in rows}

    def owners(self, volume):
        """The projects that the volume and its snapshots belong to."""
        with self.open() as run:
            rows = run(
                "select project_id from volumes where id = ? union"
                " select project_id from snapshots where volume_id = ? and not deleted",
                (volume, volume))
            return {row["project_id"] for row in rows}
