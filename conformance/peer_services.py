"""Both sides of `cargo xtask conformance peers`: real Keystone and Barbican, and the simulator.

    peer_services.py --directory DIR [--services VENV] [--binary volume-transfer]

Starts what it is given the means for, writes DIR/ready.json once all of it answers, and stops it
when standard input ends.
"""

import argparse
import contextlib
import json
import sys

from process import Process, end_on_signals
from real_services import absolute
from services import PASSWORD, RealServices

# the catalogue of both sides names a block storage; nobody asks it anything
BLOCK_STORAGE = "http://127.0.0.1:8776"


def real(services, directory, running):
    """Starts Keystone and Barbican."""
    directory.mkdir()
    up = running.enter_context(RealServices(services, directory, BLOCK_STORAGE).start())
    return side(up.identity, up.key_manager)


def simulated(binary, directory, running):
    """Starts `volume-transfer simulate`."""
    ready = directory / "simulated.json"
    process = running.enter_context(Process("simulate", [
        binary, "simulate", "--ephemeral", "--password", PASSWORD, "--ready-file", ready,
    ], directory / "simulate.log"))
    process.wait_ready(60, ready.exists)
    urls = json.loads(ready.read_text())
    return side(urls["identity"], urls["key_manager"])


def side(identity, key_manager):
    """Where a side is; addresses without a version."""
    return {"keystone": identity.removesuffix("/v3"), "barbican": key_manager,
            "password": PASSWORD}


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--directory", type=absolute, required=True)
    arguments.add_argument("--services", type=absolute)
    arguments.add_argument("--binary", type=absolute)
    given = arguments.parse_args()
    end_on_signals()
    with contextlib.ExitStack() as running:
        sides = {}
        if given.services:
            sides["real"] = real(given.services, given.directory / "real", running)
        if given.binary:
            sides["simulated"] = simulated(given.binary, given.directory, running)
        # whole or not at all: whoever waits for it reads it at once
        written = given.directory / "ready.json.new"
        written.write_text(json.dumps(sides))
        written.rename(given.directory / "ready.json")
        sys.stdin.read()


if __name__ == "__main__":
    main()
