"""`cargo xtask conformance tempest`: OpenStack's own test suite against the simulator.

    tempest_suite.py --suite new|legacy|volumes --directory DIR --binary volume-transfer [TEST …]
    tempest_suite.py --suite new|legacy --directory DIR --services VENV [TEST …]

Barbican's tempest plugin and tempest's identity API against `simulate`, under the policy that the
suite is named after, and tempest's volume API against `serve --dev`, with projects and users that
tempest makes for itself; with `--services` against the real Keystone and Barbican. What is not to
pass is named with a reason in `tempest_exclusions.txt`: one that is named there and passes fails
the run, and so does a line that fits no test. Exit code 0 when everything else passed.
"""

import argparse
import configparser
import contextlib
import json
import os
import pathlib
import sys
import time
import unittest

from peer_services import real, simulated
from process import Process, absolute, end_on_signals
from services import PASSWORD

BARBICAN = "barbican_tempest_plugin.tests.api"
# The plugin's tests of roles are of the new policy alone, and those of quotas of the older one.
SUITES = {
    "new": [BARBICAN, "barbican_tempest_plugin.tests.rbac.v1", "tempest.api.identity"],
    "legacy": [BARBICAN],
    "volumes": ["tempest.api.volume"],
}
# How lines of the exclusions begin that are about volumes.
VOLUMES = "api.volume."


def configuration(identity, suite, directory):
    """What tempest is told about the cloud."""
    scoped = str(suite == "new").lower()
    volumes = str(suite == "volumes").lower()
    return {
        "DEFAULT": {"log_file": directory / "tempest.log", "debug": "true"},
        "oslo_concurrency": {"lock_path": directory},
        "auth": {
            "use_dynamic_credentials": "true", "create_isolated_networks": "false",
            "admin_username": "admin", "admin_password": PASSWORD,
            "admin_project_name": "admin", "admin_domain_name": "Default",
        },
        "identity": {
            "uri_v3": identity, "auth_version": "v3", "region": "RegionOne",
            "v3_endpoint_type": "public", "default_domain_id": "default",
        },
        "identity-feature-enabled": {
            "application_credentials": "true", "access_rules": "true", "api_v3": "true",
        },
        "service_available": {
            "barbican": "true", "cinder": volumes, "glance": volumes, "neutron": "false",
            "nova": "false", "swift": "false",
        },
        "volume": {
            "build_interval": "0", "build_timeout": "10", "region": "RegionOne",
            "max_microversion": "latest",
        },
        "volume-feature-enabled": {"backup": "false"},
        "key_manager": {
            "region": "RegionOne", "min_microversion": "1.0", "max_microversion": "latest",
        },
        "enforce_scope": {"barbican": scoped, "keystone": "true"},
    }


def configure(identity, suite, directory):
    """Writes the configuration where tempest, once imported, looks for it."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_dict(configuration(identity, suite, directory))
    with open(directory / "tempest.conf", "w") as file:
        parser.write(file)
    os.environ["TEMPEST_CONFIG_DIR"] = str(directory)
    os.environ["TEMPEST_CONFIG"] = "tempest.conf"


def exclusions(suite):
    """Parts of the names of tests that are not to pass, and why."""
    listed = pathlib.Path(__file__).with_name("tempest_exclusions.txt").read_text()
    lines = [line for line in listed.splitlines() if line and not line.startswith("#")]
    own = [line for line in lines if line.startswith(VOLUMES) == (suite == "volumes")]
    return dict(line.split(None, 1) for line in own)


def tests_of(names):
    """The tests of modules, packages, classes or single tests."""
    loader = unittest.TestLoader()
    for name in names:
        directory = pathlib.Path(sys.prefix, "lib", f"python3.{sys.version_info.minor}",
                                 "site-packages")
        package = directory.joinpath(*name.split("."))
        if package.is_dir():
            yield loader.discover(str(package), top_level_dir=str(directory))
        else:
            yield loader.loadTestsFromName(name)
    for error in loader.errors:
        raise RuntimeError(error)


class Outcomes(unittest.TestResult):
    """What became of each test, by its name without the attributes that tempest adds."""

    def __init__(self):
        super().__init__()
        self.by_name = {}

    def note(self, test, outcome, detail=""):
        name = test.id().split("[")[0]
        self.by_name[name] = (outcome, detail)

    def addSuccess(self, test):
        self.note(test, "passed")

    def addError(self, test, err=None, details=None):
        self.note(test, "failed", told(err, details))

    addFailure = addError

    def addSkip(self, test, reason=None, details=None):
        self.note(test, "skipped", reason or told(None, details))


def told(error, details):
    """The end of a traceback, as testtools or unittest hands it over."""
    if details:
        return "\n".join(part.as_text() for name, part in details.items() if "log" not in name)
    return "".join(str(part) for part in (error or [])[1:2])


def fits(part, name):
    """Whether a line of the exclusions is about that test."""
    return name.endswith(part[:-1]) if part.endswith("$") else part in name


def reason_for(name, excused):
    """Why the test is not to pass; None when it is."""
    return next((why for part, why in excused.items() if fits(part, name)), None)


def judged(by_name, excused):
    """The lines to be shown, and whether the run is good."""
    lines, good = [], bool(by_name)
    counts = dict.fromkeys(["passed", "excluded", "skipped", "failed"], 0)
    for name, (outcome, detail) in sorted(by_name.items()):
        reason = reason_for(name, excused)
        if reason and outcome == "passed":
            lines.append(f"STALE {name} passes, and is excluded: {reason}")
            good = False
        if reason and outcome == "failed":
            outcome, detail = "excluded", reason
        counts[outcome] += 1
        if outcome == "failed":
            lines.append(f"FAIL  {name}\n{detail}")
            good = False
        elif outcome != "passed":
            lines.append(f"{outcome}  {name}: {detail}")
    ran = len(by_name) - counts["skipped"]
    lines.append(f"{ran} ran: " + ", ".join(f"{n} {what}" for what, n in counts.items()))
    return lines, good


def unheard_of(excused, by_name):
    """Exclusions that fit no test."""
    return [part for part in excused if not any(fits(part, name) for name in by_name)]


@contextlib.contextmanager
def cloud(given, directory):
    """Keystone's address, while both services are up."""
    with contextlib.ExitStack() as running:
        if given.suite == "volumes":
            yield developer_stack(given.binary, directory, running)
            return
        if given.services:
            sides = real(given.services, directory / "real", {given.suite}, running)
        else:
            sides = simulated(given.binary, directory, {given.suite}, running)
        yield sides[given.suite]["keystone"] + "/v3"


def developer_stack(binary, directory, running):
    """Starts `serve --dev`, and returns Keystone's address."""
    ready = directory / "ready.json"
    process = running.enter_context(Process("serve", [
        binary, "serve", "--dev", "--ephemeral", "--ready-file", ready,
    ], directory / "serve.log"))
    process.wait_ready(60, ready.exists)
    return json.loads(ready.read_text())["identity"] + "/v3"


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    service = arguments.add_mutually_exclusive_group(required=True)
    service.add_argument("--binary", type=absolute)
    service.add_argument("--services", type=absolute)
    arguments.add_argument("--directory", type=absolute, required=True)
    arguments.add_argument("--suite", choices=SUITES, required=True)
    arguments.add_argument("tests", nargs="*", metavar="TEST")
    given = arguments.parse_args()
    end_on_signals()
    begun = time.monotonic()
    outcomes = Outcomes()
    with cloud(given, given.directory) as identity:
        configure(identity, given.suite, given.directory)
        unittest.TestSuite(tests_of(given.tests or SUITES[given.suite])).run(outcomes)
    # of the simulator alone
    excused = {} if given.services else exclusions(given.suite)
    lines, good = judged(outcomes.by_name, excused)
    # the older policy's tests are among those of the new one
    if given.suite != "legacy" and not given.tests:
        for part in unheard_of(excused, outcomes.by_name):
            lines.append(f"STALE {part}: there is no such test")
            good = False
    print("\n".join(lines))
    print(f"{given.suite}: {time.monotonic() - begun:.0f} s", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
