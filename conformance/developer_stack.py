"""`cargo xtask conformance clients`: the real clients against `serve --dev`.

    developer_stack.py --binary volume-transfer --directory DIR
    developer_stack.py --clouds FILE          against a stack that is up, a real Cinder for instance

Types, volumes and snapshots are made through the block-storage API as anybody would. Exit code 0
when every step passed and the server ended well after SIGTERM.
"""

import argparse
import json
import sys

from openstack import exceptions

from clients import Clouds
from handover import SNAPSHOTS, HandOvers
from keys import Keys
from process import Process, absolute, end_on_signals, wait_until
from report import Report, expect

TYPE = "luks"


class DeveloperStack:
    """Volumes through the API, as the command line makes them."""

    def __init__(self, clouds):
        self.clouds = clouds

    def create_type(self):
        """The encrypted volume type; an earlier run's is taken as it is."""
        storage = self.clouds.connect("admin").block_storage
        if storage.find_type(TYPE) is None:
            self.clouds.openstack(
                "admin", "volume", "type", "create", "--encryption-provider", "luks",
                "--encryption-cipher", "aes-xts-plain64", "--encryption-key-size", "256",
                "--encryption-control-location", "front-end", TYPE)

    def create(self, name):
        """An available volume of donor with its snapshots."""
        made = json.loads(self.clouds.openstack(
            "donor", "volume", "create", "--type", TYPE, "--size", "1", name, "-f", "json"))
        volume = made["id"]
        storage = self.clouds.connect("donor").block_storage
        wait_until(f"{name} available", 60, lambda: self.status("donor", volume) == "available")
        for number in range(SNAPSHOTS):
            made = json.loads(self.clouds.openstack(
                "donor", "volume", "snapshot", "create", "--volume", volume,
                f"{name}-{number}", "-f", "json"))
            wait_until("the snapshot available", 60, lambda snapshot=made["id"]:
                       storage.get_snapshot(snapshot).status == "available")
        return volume

    def status(self, cloud, volume):
        """The volume's status as that cloud sees it; None where it sees no such volume."""
        try:
            return self.clouds.connect(cloud).block_storage.get_volume(volume).status
        except exceptions.NotFoundException:
            return None

    def key_ids(self, cloud, volume):
        """The key id that the volume shows, from microversion 3.64 on; snapshots show none."""
        answer = self.clouds.connect(cloud).block_storage.get(
            f"/volumes/{volume}", microversion="3.64")
        return {answer.json()["volume"]["encryption_key_id"]}


def check(report, clouds):
    """Everything, on a stack that is up."""
    stack = DeveloperStack(clouds)
    with report.scenario("preparation"):
        with report.step("openstack volume type create, encrypted"):
            stack.create_type()
        HandOvers(report, stack, Keys(clouds)).run()


def serve(report, binary, directory):
    """Starts `serve --dev`, checks, and stops it."""
    ready, clouds = directory / "ready.json", directory / "clouds.yaml"
    with report.scenario("serve --dev"):
        with Process("volume-transfer", [
            binary, "serve", "--dev", "--ephemeral",
            "--ready-file", ready, "--clouds", clouds,
        ], directory / "serve.log") as server:
            with report.step("it writes its ready file, with three addresses"):
                server.wait_ready(60, ready.exists)
                urls = json.loads(ready.read_text())
                wanted = {"identity", "key_manager", "block_storage"}
                expect(wanted <= urls.keys(), urls)
            check(report, Clouds(clouds))
            with report.scenario("the end"):
                with report.step("SIGTERM ends it with exit code 0"):
                    server.must_live()
                    code = server.stop()
                    expect(code == 0, f"exit code {code}, see {server.log}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--binary", type=absolute)
    arguments.add_argument("--directory", type=absolute)
    arguments.add_argument("--clouds", type=absolute)
    given = arguments.parse_args()
    end_on_signals()
    report = Report()
    if given.clouds:
        check(report, Clouds(given.clouds))
    else:
        serve(report, given.binary, given.directory)
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
