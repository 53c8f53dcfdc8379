"""`cargo xtask conformance real`: the service against a real Keystone and a real Barbican.

    real_services.py --binary volume-transfer --services VENV --directory DIR

Keys are made by Barbican orders under the owner's token, volumes and snapshots are rows in Cinder's
tables, and the ordinary clients do the rest. Exit code 0 when every step passed and all that was
started ended well.
"""

import argparse
import json
import sys

from cinder_rows import CinderRows, order_key
from clients import Clouds
from front import Front
from handover import SNAPSHOTS, HandOvers
from keys import Keys
from process import Process, absolute, end_on_signals, free_port
from report import Report, expect
from services import CLOUDS, PASSWORD, RealServices


class SeededStack:
    """Volumes as rows, with keys made by real orders."""

    def __init__(self, clouds, rows):
        self.clouds, self.rows = clouds, rows
        self.volume_type = rows.volume_type("luks")

    def create(self, name):
        """An available volume of donor with its snapshots."""
        donor = self.clouds.connect("donor")
        return self.rows.volume(
            name, self.volume_type, donor.current_user_id, donor.current_project_id,
            order_key(donor), SNAPSHOTS)

    def status(self, cloud, volume):
        """The volume's status if it belongs to that cloud's project, with all its snapshots."""
        project = self.clouds.connect(cloud).current_project_id
        row = self.rows.find(project, volume)
        if row is None:
            return None
        owners = self.rows.owners(volume)
        expect(owners == {project}, f"volume and snapshots belong to {owners}")
        return row["status"]

    def key_ids(self, _cloud, volume):
        """The key ids of the volume and of its snapshots."""
        return self.rows.key_ids(volume)


def volumes_of(rows):
    """How the front answers a look-up of a volume."""
    def look_up(project, volume):
        row = rows.find(project, volume)
        return row and {"id": row["id"], "name": row["display_name"],
                        "status": row["status"], "size": row["size"]}
    return look_up


def serve(report, binary, directory, front, services):
    """Starts the service on an empty SQLite file, checks, and stops it."""
    ready, database = directory / "ready.json", directory / "cinder.sqlite"
    user, project, _ = CLOUDS["service"]
    port = free_port()
    with Process("volume-transfer", [
        binary, "serve", "--listen", f"127.0.0.1:{port}",
        "--database", f"sqlite:///{database}?mode=rwc", "--create-tables",
        "--auth-url", services.identity, "--username", user, "--project-name", project,
        "--ready-file", ready,
    ], directory / "serve.log", {"VOLUME_TRANSFER_PASSWORD": PASSWORD}) as server:
        with report.step("serve is ready, on an empty database"):
            server.wait_ready(60, ready.exists)
            front.service = json.loads(ready.read_text())["block_storage"]
        rows, clouds = CinderRows(f"sqlite:///{database}"), Clouds(services.clouds)
        front.identity, front.volumes = services.identity, volumes_of(rows)
        with report.step("an encrypted type in Cinder's tables"):
            stack = SeededStack(clouds, rows)
        HandOvers(report, stack, Keys(clouds)).run()
        with report.scenario("the end"):
            with report.step("SIGTERM ends the service with exit code 0"):
                server.must_live()
                code = server.stop()
                expect(code == 0, f"exit code {code}, see {server.log}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--binary", type=absolute, required=True)
    arguments.add_argument("--services", type=absolute, required=True)
    arguments.add_argument("--directory", type=absolute, required=True)
    given = arguments.parse_args()
    end_on_signals()
    report = Report()
    with report.scenario("Keystone and Barbican"), Front() as front:
        with report.step("both are up, with users, projects, roles and the catalogue"):
            services = RealServices(given.services, given.directory, front.url).start()
        with services:
            serve(report, given.binary, given.directory, front, services)
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
