"""The ordinary clients' way to offer, list, show, accept and cancel a transfer.

Three of them with the same verbs: `openstack` and `cinder` as the commands that people type, and
openstacksdk as a library. Each is told a cloud of clouds.yaml and a block-storage microversion.
What the service refuses is raised as `Refused` with the client's own text.
"""

import json
import os
import pathlib
import subprocess
import sys
from typing import NamedTuple

import openstack
from openstack import exceptions

BIN = pathlib.Path(sys.executable).parent


class Refused(Exception):
    """The client reported an error."""


class Offer(NamedTuple):
    """What the giver hands to the receiver."""

    id: str
    auth_key: str


def command(argv, env):
    """Runs a client and returns what it prints on stdout."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("OS_")}
    done = subprocess.run(
        [str(BIN / argv[0]), *argv[1:]], env={**clean, **env, "PYTHONWARNINGS": "ignore"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )
    if done.returncode:
        raise Refused(done.stderr.strip() or done.stdout.strip())
    return done.stdout


class Clouds:
    """The clouds.yaml of a stack, and connections and commands that use it."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.config = openstack.config.OpenStackConfig(config_files=[str(path)])
        self.connections = {}

    def connect(self, cloud, version="3.70"):
        """The openstacksdk connection of a cloud, made once."""
        if (cloud, version) not in self.connections:
            region = self.config.get_one(cloud=cloud, block_storage_default_microversion=version)
            self.connections[cloud, version] = openstack.connection.Connection(config=region)
        return self.connections[cloud, version]

    def auth(self, cloud):
        """The `auth` entry of a cloud: auth_url, username, password, project_name and so on."""
        return self.config.get_one(cloud=cloud).config["auth"]

    def openstack(self, cloud, *arguments, version="3.70"):
        """Runs `openstack` as that cloud."""
        argv = ["openstack", "--os-cloud", cloud, "--os-volume-api-version", version, *arguments]
        return command(argv, {"OS_CLIENT_CONFIG_FILE": str(self.path)})

    def cinder(self, cloud, *arguments, version="3.70"):
        """Runs `cinder` as that cloud; it reads no clouds.yaml, so the environment tells it."""
        env = {f"OS_{key.upper()}": str(value) for key, value in self.auth(cloud).items()}
        region = self.config.get_one(cloud=cloud).region_name
        return command(["cinder", "--os-volume-api-version", version, *arguments],
                       {**env, "OS_IDENTITY_API_VERSION": "3", "OS_REGION_NAME": region})


class OpenStackCommand:
    """`openstack volume transfer request ...`"""

    name = "openstack"

    def __init__(self, clouds, version="3.70"):
        self.clouds, self.version = clouds, version

    def request(self, cloud, verb, *arguments):
        """One transfer command, its answer parsed."""
        argv = ["volume", "transfer", "request", verb, *arguments]
        if verb != "delete":
            argv += ["-f", "json"]
        answer = self.clouds.openstack(cloud, *argv, version=self.version)
        return json.loads(answer) if answer.strip() else None

    def offer(self, cloud, volume):
        made = self.request(cloud, "create", "--name", "an offer", volume)
        return Offer(made["id"], made["auth_key"])

    def listed(self, cloud):
        return {row["ID"] for row in self.request(cloud, "list")}

    def shown(self, cloud, offer):
        return self.request(cloud, "show", offer)

    def accept(self, cloud, offer, auth_key):
        self.request(cloud, "accept", "--auth-key", auth_key, offer)

    def cancel(self, cloud, offer):
        self.request(cloud, "delete", offer)


def rows(table):
    """The cells of a table that a client draws with | and +, its head included."""
    return [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("|")
    ]


class CinderCommand:
    """`cinder transfer-...`"""

    name = "cinder"

    def __init__(self, clouds, version="3.70"):
        self.clouds, self.version = clouds, version

    def request(self, cloud, verb, *arguments):
        """One transfer command, its table parsed."""
        return rows(self.clouds.cinder(cloud, f"transfer-{verb}", *arguments,
                                       version=self.version))

    def offer(self, cloud, volume):
        made = dict(self.request(cloud, "create", "--name", "an offer", volume))
        return Offer(made["id"], made["auth_key"])

    def listed(self, cloud):
        return {row[0] for row in self.request(cloud, "list")[1:]}

    def shown(self, cloud, offer):
        return dict(self.request(cloud, "show", offer))

    def accept(self, cloud, offer, auth_key):
        self.request(cloud, "accept", offer, auth_key)

    def cancel(self, cloud, offer):
        self.request(cloud, "delete", offer)


class Sdk:
    """`connection.block_storage.*_transfer`"""

    name = "openstacksdk"

    def __init__(self, clouds, version="3.70"):
        self.clouds, self.version = clouds, version

    def call(self, cloud, verb, *arguments, **named):
        """One call of the proxy; the library's errors become `Refused`."""
        storage = self.clouds.connect(cloud, self.version).block_storage
        try:
            return getattr(storage, verb)(*arguments, **named)
        except exceptions.SDKException as error:
            raise Refused(str(error)) from error

    def offer(self, cloud, volume):
        made = self.call(cloud, "create_transfer", volume_id=volume, name="an offer")
        return Offer(made.id, made.auth_key)

    def listed(self, cloud):
        return {transfer.id for transfer in self.call(cloud, "transfers")}

    def shown(self, cloud, offer):
        return self.call(cloud, "get_transfer", offer).to_dict()

    def accept(self, cloud, offer, auth_key):
        self.call(cloud, "accept_transfer", offer, auth_key)

    def cancel(self, cloud, offer):
        self.call(cloud, "delete_transfer", offer, ignore_missing=False)


CLIENTS = (OpenStackCommand, CinderCommand, Sdk)
