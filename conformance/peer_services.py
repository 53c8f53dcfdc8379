"""Both sides of `cargo xtask conformance peers`: real Keystone and Barbican, and the simulator.

    peer_services.py --directory DIR [--services VENV] [--binary volume-transfer]
                     [--policies new legacy]

Starts what it is given the means for, with a Barbican for each policy, writes DIR/ready.json once
all of it answers, and stops it when standard input ends.
"""

import argparse
import contextlib
import copy
import json
import pathlib
import sys

from process import Process, absolute, end_on_signals, free_port
from services import PASSWORD, RealServices

HERE = pathlib.Path(__file__).parent
# the catalogue of both sides names a block storage; nobody asks it anything
BLOCK_STORAGE = "http://127.0.0.1:8776"


def real(services, directory, policies, running):
    """Starts Keystone and Barbican, which enforces the new policy, and another if it is wanted."""
    directory.mkdir()
    up = running.enter_context(RealServices(services, directory, BLOCK_STORAGE).start())
    sides = {"new": side(up.identity, up.key_manager)}
    if "legacy" in policies:
        sides["legacy"] = side(up.identity, legacy(up))
    return sides


def legacy(up):
    """Starts a second Barbican on the same database, and returns its address."""
    other = copy.copy(up)
    port = free_port()
    other.key_manager, other.ports = f"http://127.0.0.1:{port}", {"barbican": port}
    other.dir = up.dir / "legacy"
    other.env = {**up.env, "HOME": str(other.dir)}
    settings = (up.dir / ".barbican" / "barbican.conf").read_text()
    settings = settings.replace(f"host_href = {up.key_manager}", f"host_href = {other.key_manager}")
    settings += "[oslo_policy]\nenforce_new_defaults = false\nenforce_scope = false\n"
    home = other.dir / ".barbican"
    home.mkdir(parents=True)
    (home / "barbican.conf").write_text(settings)
    other.serve("barbican", other.key_manager)
    return other.key_manager


def simulated(binary, directory, policies, running):
    """Starts `volume-transfer simulate` under each policy."""
    sides = {}
    for policy in policies:
        ready = directory / f"{policy}.json"
        process = running.enter_context(Process("simulate", [
            binary, "simulate", "--ephemeral", "--password", PASSWORD,
            "--barbican-policy", policy, "--ready-file", ready,
        ], directory / f"{policy}.log"))
        process.wait_ready(60, ready.exists)
        urls = json.loads(ready.read_text())
        sides[policy] = side(urls["identity"], urls["key_manager"])
    return sides


def side(identity, key_manager):
    """Where a side is; addresses without a version."""
    return {"keystone": identity.removesuffix("/v3"), "barbican": key_manager,
            "password": PASSWORD}


def announce(directory, sides):
    """Writes ready.json whole or not at all: whoever waits for it reads it at once."""
    written = directory / "ready.json.new"
    written.write_text(json.dumps(sides))
    written.rename(directory / "ready.json")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--directory", type=absolute, required=True)
    arguments.add_argument("--services", type=absolute)
    arguments.add_argument("--binary", type=absolute)
    arguments.add_argument("--policies", nargs="+", default=["new"])
    given = arguments.parse_args()
    end_on_signals()
    with contextlib.ExitStack() as running:
        sides = {"real": {}, "ours": {}}
        if given.services:
            sides["real"] = real(
                given.services, given.directory / "real", given.policies, running)
        if given.binary:
            sides["ours"] = simulated(
                given.binary, given.directory, given.policies, running)
        announce(given.directory, sides)
        sys.stdin.read()


if __name__ == "__main__":
    main()
