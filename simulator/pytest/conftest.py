"""A cloud for each session of tests: Keystone and Barbican on free ports, empty for each test."""

import dataclasses
import json
import os
import subprocess
import time
import urllib.request

import openstack
import pytest


@dataclasses.dataclass(frozen=True)
class Simulator:
    """Where the services are, and who may use them."""

    identity: str
    key_manager: str
    clouds: str
    password: str = "secret"

    def control(self, path, document=None):
        """Asks `/_simulator` for faults, time, events or a reset."""
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(
            f"{self.identity}/_simulator{path}", data=body,
            headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.loads(reply.read() or "null")


@pytest.fixture(scope="session")
def running(tmp_path_factory):
    """`volume-transfer simulate`, from when it answers until the last test is over."""
    directory = tmp_path_factory.mktemp("simulator")
    ready, clouds = directory / "ready.json", directory / "clouds.yaml"
    process = subprocess.Popen([
        os.environ.get("VOLUME_TRANSFER", "volume-transfer"), "simulate", "--ephemeral",
        "--control", "--ready-file", ready, "--clouds", clouds,
    ])
    try:
        until = time.monotonic() + 30
        while not ready.exists():  # written once both services answer
            assert process.poll() is None, f"ended with {process.returncode}"
            assert time.monotonic() < until, "not ready after 30 s"
            time.sleep(0.01)
        urls = json.loads(ready.read_text())
        yield Simulator(urls["identity"], urls["key_manager"], str(clouds))
    finally:
        process.terminate()
        assert process.wait(10) == 0


@pytest.fixture
def simulator(running):
    """The cloud as it was in the beginning."""
    running.control("/reset", {})
    return running


@pytest.fixture
def donor(simulator):
    """A connection of the project donor."""
    config = openstack.config.OpenStackConfig(config_files=[simulator.clouds])
    return openstack.connection.Connection(config=config.get_one(cloud="donor"))
