"""`cargo xtask conformance beside`: the service beside a real Cinder, behind a real proxy.

    beside_cinder.py --binary volume-transfer --services VENV --cinder VENV --database URL
                     --packaging DIR --directory DIR

Keystone, Barbican and cinder-api are real, and Cinder's tables are those that `cinder-manage db
sync` makes in the database given. HAProxy, with packaging/haproxy.cfg, is the only address of block
storage that the clients know: transfers go to the service, which reads the cinder.conf that
cinder-api has, and everything else to cinder-api. No cinder-volume runs, so that volumes begin as
rows. Exit code 0 when every step passed and all that was started ended well.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys

from openstack import exceptions

from cinder_api import Account, CinderApi
from clients import Clouds
from handover import SNAPSHOTS, HandOvers
from keys import Keys
from process import Process, absolute, answers, end_on_signals, free_port
from proxies import PACKAGES, command, configuration, port_of
from real_services import SeededStack
from report import Report, expect
from services import CLOUDS, PASSWORD, RealServices, Size

TRANSFERS = re.compile(r"/(volume-transfers|os-volume-transfer)\b")


class Stack(SeededStack):
    """Volumes that begin as rows, and that cinder-api shows from then on."""

    def status(self, cloud, volume):
        """What cinder-api says of the volume and its snapshots, if it is that cloud's project's."""
        of_rows = super().status(cloud, volume)
        storage = self.clouds.connect(cloud).block_storage
        snapshots = list(storage.snapshots(volume_id=volume))
        try:
            shown = storage.get_volume(volume).status
        except exceptions.NotFoundException:
            shown = None
        expect(shown == of_rows, f"cinder-api says {shown}, the rows say {of_rows}")
        wanted = SNAPSHOTS if shown else 0
        expect(len(snapshots) == wanted, f"cinder-api shows {len(snapshots)} snapshots")
        return shown


def asked(access_log):
    """The paths that cinder-api was asked for, with the methods."""
    return re.findall(r'"([A-Z]+ \S+) HTTP/', access_log.read_text())


class Deployment:
    """All that a cloud has for block storage, started one after the other."""

    def __init__(self, given, report, running):
        self.given, self.report, self.running = given, report, running
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self):
        """Starts it all, and says which step does not."""
        given, step = self.given, self.report.step
        keystone = given.directory / "services"
        keystone.mkdir()
        with step("Keystone and Barbican, with users, projects, roles and the catalogue"):
            # one thread each: with more, SQLite is locked now and then, and Barbican answers 500
            self.services = self.running.enter_context(
                RealServices(given.services, keystone, self.url, Size(threads=1)).start())
        with step("cinder-api, on tables of Cinder's own making"):
            user, project, _ = CLOUDS["service"]
            self.cinder = self.running.enter_context(CinderApi(
                given.cinder, given.directory / "cinder", self.services.identity,
                self.services.key_manager, Account(user, project, PASSWORD),
                given.database).start())
            # the quotas of a fresh Cinder hold fewer volumes than the scenarios make
            self.cinder.rows.lift_quotas()
        with step("the service, told nothing but cinder-api's cinder.conf"):
            self.service = self.start_service()
        with step("HAProxy takes the example, with other addresses"):
            changed = configuration(given.packaging / "haproxy.cfg", given.directory, self.port,
                                    port_of(self.own), self.cinder.port)
            self.proxy = self.running.enter_context(Process(
                "haproxy", command("haproxy", changed, given.directory),
                given.directory / "haproxy.log"))
            self.proxy.wait_ready(30, lambda: answers(self.url))

    def start_service(self):
        """Starts it beside cinder-api."""
        ready = self.given.directory / "serve.json"
        service = self.running.enter_context(Process("volume-transfer", [
            self.given.binary, "serve", "--config-file", self.cinder.conf,
            "--listen", f"127.0.0.1:{free_port()}", "--ready-file", ready,
        ], self.given.directory / "serve.log"))
        service.wait_ready(60, ready.exists)
        self.own = json.loads(ready.read_text())["block_storage"].removesuffix("/v3")
        return service

    def audit(self, clouds):
        """What an audit of everything finds, with the credentials of all projects."""
        argv = [self.given.binary, "audit", "--json", "--config-file", self.cinder.conf,
                "--older-than", "0"]
        for name in CLOUDS:
            if name != "service":
                argv += ["--cloud", name]
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, "OS_CLIENT_CONFIG_FILE": str(clouds.path)})
        expect(done.returncode == 0, done.stdout + done.stderr)
        return json.loads(done.stdout)["summary"]


def scenarios(report, deployment):
    """What every client does, and what is left of it."""
    clouds = Clouds(deployment.services.clouds)
    HandOvers(report, Stack(clouds, deployment.cinder.rows), Keys(clouds)).run()
    with report.scenario("afterwards"):
        with report.step("cinder-api was asked for volumes, and never for a transfer"):
            paths = asked(deployment.cinder.access_log)
            expect(any("/volumes/" in path for path in paths), "nobody asked it for a volume")
            strayed = [path for path in paths if TRANSFERS.search(path)]
            expect(not strayed, f"it was asked {strayed}")
        with report.step("an audit of all projects finds every key with its owner"):
            summary = deployment.audit(clouds)
            expect(summary["encrypted"] == summary["volumes"] > 0, summary)
            expect(summary["not_visible"] == 0, summary)
        with report.step("SIGTERM ends the service with exit code 0"):
            deployment.service.must_live()
            code = deployment.service.stop()
            expect(code == 0, f"exit code {code}, see {deployment.service.log}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    for name in ("binary", "services", "cinder", "packaging", "directory"):
        arguments.add_argument(f"--{name}", type=absolute, required=True)
    arguments.add_argument("--database", required=True)
    given = arguments.parse_args()
    if not shutil.which("haproxy"):
        sys.exit(f"missing: haproxy; try apt-get install {PACKAGES['haproxy']}")
    end_on_signals()
    report = Report()
    with contextlib.ExitStack() as running:
        deployment = Deployment(given, report, running)
        with report.scenario("a Cinder, and the service beside it"):
            deployment.start()
            scenarios(report, deployment)
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
