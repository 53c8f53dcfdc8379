"""`cargo xtask conformance audit`: `audit` and `repair` after upstream's transfers went wrong.

    audit_upstream.py --binary volume-transfer --services VENV --cinder VENV --database URL
                      --recording FILE --directory DIR [--record]

A real cinder-api before a real Keystone and a real Barbican runs every case of `upstream_matrix`
on volumes of one database. `end_states` says, from rows and secrets, how each has ended and what
is wrong with it. Of that `audit` has to find everything, by name, volume and secret, and nothing
else; `repair --apply` has to mend all of it but what has no key left. The ends are compared with
those on record, which plain tests judge `audit` and `repair` by. Exit code 0 when all that holds.
"""

import argparse
import collections
import contextlib
import json
import os
import subprocess
import sys

from cinder_api import Account, CinderApi
from clients import Clouds
from end_states import PROJECTS, EndState, World, recording
from keys import Keys
from peer_services import BLOCK_STORAGE
from process import absolute, end_on_signals
from report import Report, expect
from services import CLOUDS, PASSWORD, RealServices, Size
from upstream_matrix import Matrix


class Stack:
    """A cloud whose cinder-api can be made to fail, and this service's commands on its database."""

    def __init__(self, given, running):
        services = given.directory / "services"
        services.mkdir()
        # one thread each: with more, SQLite is locked now and then, and Barbican answers 500
        self.services = running.enter_context(
            RealServices(given.services, services, BLOCK_STORAGE, Size(threads=1)).start())
        user, project, _ = CLOUDS["service"]
        # loaded before it forks, a worker that has crashed is back at once
        self.api = running.enter_context(CinderApi(
            given.cinder, given.directory / "cinder", self.services.identity,
            self.services.key_manager, Account(user, project, PASSWORD), given.database,
            application="cinder_steps_wsgi", options=("--preload",)).start())
        self.api.rows.lift_quotas()
        self.clouds = Clouds(self.services.clouds)
        self.keys = Keys(self.clouds)
        self.binary = given.binary
        self.projects = {self.clouds.connect(cloud).current_project_id: cloud
                         for cloud in PROJECTS}

    def matrix(self):
        """The cases, none of which has been run."""
        return Matrix(self.clouds, self.keys, self.api, self.api.rows.volume_type("luks"))

    def ends(self, subjects):
        """How each has ended."""
        world = World.read(self.keys)
        return {subject: EndState.read(self.api.rows, self.projects, world, subject.volume,
                                       subject.bytes) for subject in subjects}

    def command(self, name, *arguments):
        """Runs one of this service's commands; returns its exit code and what it prints."""
        done = subprocess.run(
            [self.binary, name, "--config-file", self.api.conf, *arguments],
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, "OS_CLIENT_CONFIG_FILE": str(self.clouds.path)})
        expect(done.returncode in (0, 1), done.stderr)
        return done.returncode, done.stdout

    def look(self, name, *arguments):
        """`audit` or `repair` with everybody's credentials: its exit code and its document."""
        named = [word for cloud in PROJECTS if cloud != "service" for word in ("--cloud", cloud)]
        code, printed = self.command(name, "--json", "--older-than", "0", *named, *arguments)
        return code, json.loads(printed)


def disagreements(ends, findings):
    """What was found of each volume and is not wrong with it, and the reverse."""
    found = collections.defaultdict(list)
    for finding in findings:
        found[finding["volume"]].append((finding["kind"], finding["secret"]))
    told = []
    for subject, end in ends.items():
        letters = {secret: letter for letter, secret in end.ids.items()}
        seen = [(kind, secret and letters.get(secret, secret))
                for kind, secret in found.pop(subject.volume, [])]
        seen.sort(key=lambda one: (one[0], one[1] or ""))
        if seen != end.damage():
            told.append(f"{subject.case}: {end.told()}: wrong {end.damage()}, found {seen}")
    told += [f"volume {volume}: found {wrong}" for volume, wrong in found.items()]
    return told


def none_of(problems):
    """Fails the step with the problems, if there are any."""
    expect(not problems, f"{len(problems)}:\n      " + "\n      ".join(problems[:20]))


def ran(report, stack, matrix):
    """The matrix on one database; how each case has ended."""
    with report.step("initiate, accept and cancel, as they are meant to be"):
        matrix.healthy()
    for operation, steps in matrix.steps.items():
        print(f"      {operation}: {', '.join(steps)}", flush=True)
    with report.step("a fault at every step that writes"):
        matrix.faults()
    with report.step("people go on where it left damage and an open offer"):
        for subject, end in stack.ends(list(matrix.subjects)).items():
            if end.damage() and end.offers:
                matrix.moves(subject)
    with report.step("keys that are deleted by whoever got them"):
        matrix.losses()
    with report.step("an offer that an administrator of another project takes back"):
        matrix.foreign_cancel()
    with report.step("two operations at once"):
        matrix.races()
    ends = stack.ends(matrix.subjects)
    damaged = [end for end in ends.values() if end.damage()]
    lost = [end for end in damaged if end.is_lost()]
    kinds = collections.Counter(kind for end in damaged for kind, _ in end.damage())
    print(f"      {len(ends)} cases: {len(damaged)} damaged, of which {len(lost)} have no key"
          f" left, {len(ends) - len(damaged)} in order; {dict(sorted(kinds.items()))}", flush=True)
    return ends


def compared(given, ends):
    """Whether the ends are those on record, or are now."""
    text = recording([(subject.case, end) for subject, end in ends.items()])
    if given.record:
        given.recording.write_text(text)
        return
    before = json.loads(given.recording.read_text())
    before, now = ({case: one["end"] for one in ends for case in one["cases"]}
                   for ends in (before, json.loads(text)))
    none_of([f"{case}: recorded {before.get(case)}, now {now.get(case)}"
             for case in {**before, **now} if before.get(case) != now.get(case)])


def taken_back(stack, matrix, ends):
    """Upstream takes back an offer of each kind that was mended: the key is the donor's again."""
    offered = {json.dumps(end.told()): subject for subject, end in ends.items()
               if end.damage() and end.offers and not end.is_lost()}
    expect(offered, "no offer was mended")
    for subject in offered.values():
        subject.offer = matrix.open_offer(subject)
        reply = matrix.ask("cancel", "donor", subject)
        expect(reply.status == 202, f"{subject.case}: {reply.status}")
    none_of([f"{subject.case}: {end.told()}"
             for subject, end in stack.ends(offered.values()).items()
             if end.damage() or end.status != "available" or end.custodian() != "donor"])


def judged(report, stack, matrix, ends):
    """`audit` and `repair` against the ends."""
    with report.step("`recover` makes the service's own tables, and finds nothing to do"):
        stack.command("recover")
    with report.step("`audit` finds all that is wrong, by name, volume and secret, and no more"):
        code, told = stack.look("audit")
        findings = told["findings"]
        none_of(disagreements(ends, findings))
        healthy = next(subject for subject, end in ends.items() if not end.damage())
        for number in range(len(findings)):
            others = findings[:number] + findings[number + 1:]
            moved = {**findings[number], "volume": healthy.volume}
            expect(disagreements(ends, others) and disagreements(ends, [*others, moved]),
                   f"nobody would miss {findings[number]}")
        summary = told["summary"]
        expect(code == 1, f"exit code {code}")
        expect(summary["volumes"] == summary["encrypted"] == len(ends), summary)
        expect(summary["not_visible"] == summary["unanswered"] == 0, summary)
    with report.step("`repair` alone changes nothing"):
        stack.look("repair")
        none_of([subject.case for subject, end in stack.ends(ends).items()
                 if end != ends[subject]])
    lost = {subject.volume for subject, end in ends.items() if end.is_lost()}
    expect(lost, "no case has lost its key: that it is left alone is not shown")
    with report.step("`repair --apply` calls lost what has no key left, and mends the rest"):
        code, told = stack.look("repair", "--apply")
        none_of([json.dumps(finding) for finding in told["findings"] if finding["outcome"] != (
            "lost" if finding["volume"] in lost else "mended")])
        expect(code == 1, f"exit code {code}")
    after = stack.ends(ends)
    with report.step("one secret holds each key that is left, and its custodian has that"):
        none_of([f"{subject.case}: {end.told()}" for subject, end in after.items()
                 if end != ends[subject] and end.is_lost() or not end.is_lost()
                 and not end.is_mended(ends[subject])])
    with report.step("no other secret is left in any project"):
        needed = {end.ids["a"] for end in after.values() if not end.is_lost()}
        none_of(sorted(set(World.owners_now(stack.keys)) - needed))
    with report.step("upstream takes back an offer of each kind that was mended"):
        taken_back(stack, matrix, ends)
    with report.step("`audit` finds what has no key left, and nothing else"):
        code, told = stack.look("audit")
        none_of(disagreements(stack.ends(ends), told["findings"]))
        expect({finding["volume"] for finding in told["findings"]} == lost, told["findings"])
        expect(code == 1, f"exit code {code}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    for name in ("binary", "services", "cinder", "directory", "recording"):
        arguments.add_argument(f"--{name}", type=absolute, required=True)
    arguments.add_argument("--database")
    arguments.add_argument("--record", action="store_true")
    given = arguments.parse_args()
    end_on_signals()
    report = Report()
    with contextlib.ExitStack() as running:
        with report.scenario("upstream, where everything goes wrong once"):
            with report.step("Keystone, Barbican, and a cinder-api that fails on demand"):
                stack = Stack(given, running)
            matrix = stack.matrix()
            ends = ran(report, stack, matrix)
            with report.step("the ends are those on record"):
                compared(given, ends)
            judged(report, stack, matrix, ends)
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
