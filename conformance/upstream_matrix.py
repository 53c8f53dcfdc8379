"""Everything that can go wrong with one transfer of upstream's, each case on a volume of its own.

- Faults: every step of initiate, accept and cancel that writes, refused, without a reply, and with
  a crash before and after it. Where that leaves damage and an open offer, the same again, and then
  people do what they would do: accept again, take the offer back.
- Losses: after some faults whoever got the key deletes it, for no volume of theirs has it.
- An administrator of another project takes an offer back.
- Races: of two operations on a volume one pauses before a step that concerns its key while the
  other, which begins then or has read the rows by then, runs to its end, or comes as far as the
  first before that one goes on.
"""

import json
import threading
from typing import NamedTuple

from keystoneauth1.exceptions import ConnectFailure

from cinder_rows import order_key
from end_states import AWAITING, World
from report import expect

SNAPSHOTS = 2
FAULTS = ("refused", "lost", "crash-before", "crash-after")

# operation: who asks for it, and whether the volume is on offer before
OPERATIONS = {"initiate": ("donor", False), "accept": ("recipient", True),
              "cancel": ("donor", True)}

# two operations at once, and who asks for them
RACES = (
    (("accept", "recipient"), ("accept", "third")),
    (("accept", "recipient"), ("accept", "recipient")),
    (("accept", "recipient"), ("cancel", "donor")),
    (("cancel", "donor"), ("accept", "recipient")),
    (("cancel", "donor"), ("cancel", "donor")),
    (("initiate", "donor"), ("initiate", "donor")),
)

# after the fault, whoever has the secret of the volume or of its snapshots deletes that
LOSSES = (
    ("initiate", "DELETE secret", "lost", "volume"),
    ("initiate", "volume_update", "lost", "volume"),
    ("initiate", "volume_update", "lost", "snapshots"),
    ("accept", "DELETE secret", "crash-after", "volume"),
    ("accept", "volume_update", "crash-after", "volume"),
    ("cancel", "DELETE secret", "crash-after", "volume"),
)


class Subject:
    """A volume of donor's with snapshots, and its offer."""

    def __init__(self, case, volume, key_bytes):
        self.case, self.volume, self.bytes = case, volume, key_bytes
        self.offer = self.auth_key = None


class Reply(NamedTuple):
    """What came back; `status` is None when nothing did."""

    status: int | None
    steps: list


class Matrix:
    """Runs cases against a cinder-api with `cinder_steps_wsgi`."""

    def __init__(self, clouds, keys, api, volume_type):
        self.clouds, self.keys, self.api = clouds, keys, api
        self.volume_type = volume_type
        self.subjects = []
        self.steps = {}

    def subject(self, case, offered):
        """A new volume, on offer or not."""
        donor = self.clouds.connect("donor")
        key = order_key(donor)
        volume = self.api.rows.volume(
            "conformance", self.volume_type, donor.current_user_id, donor.current_project_id, key,
            SNAPSHOTS)
        subject = Subject(case, volume, self.keys.bytes("donor", key))
        self.subjects.append(subject)
        if offered:
            reply = self.ask("initiate", "donor", subject)
            expect(reply.status == 202, f"{case}: no offer: {reply.status}")
        return subject

    def ask(self, operation, cloud, subject, **plan):
        """Sends a request with a plan, and waits for its reply."""
        connection = self.clouds.connect(cloud)
        transfers = f"{self.api.url}/v3/{connection.current_project_id}/volume-transfers"
        method, url, body = {
            "initiate": ("POST", transfers, {"transfer": {"volume_id": subject.volume}}),
            "accept": ("POST", f"{transfers}/{subject.offer}/accept",
                       {"accept": {"auth_key": subject.auth_key}}),
            "cancel": ("DELETE", f"{transfers}/{subject.offer}", None),
        }[operation]
        try:
            reply = connection.session.request(
                url, method, json=body, raise_exc=False, headers={
                    "OpenStack-API-Version": "volume 3.70", "X-Conformance": json.dumps(plan)})
        except ConnectFailure:
            return Reply(None, [])
        if operation == "initiate" and reply.status_code == 202:
            made = reply.json()["transfer"]
            subject.offer, subject.auth_key = made["id"], made["auth_key"]
        return Reply(reply.status_code, json.loads(reply.headers["X-Conformance-Steps"]))

    def healthy(self):
        """Each operation as it is meant to be; what steps it has is learned here."""
        for operation, (cloud, offered) in OPERATIONS.items():
            subject = self.subject(f"{operation}: nothing goes wrong", offered)
            reply = self.ask(operation, cloud, subject)
            expect(reply.status == 202, f"{operation}: {reply.status}")
            self.steps[operation] = reply.steps

    def writing(self, operation):
        """(number, name) of each step that writes."""
        return [(number, name) for number, name in enumerate(self.steps[operation])
                if not name.startswith("reads")]

    def faults(self):
        """Every fault at every step that writes."""
        for operation in OPERATIONS:
            for number, name in self.writing(operation):
                for fault in FAULTS:
                    self.fault(operation, number, name, fault)

    def fault(self, operation, number, name, fault, afterwards=""):
        """One fault; returns the subject, which remembers how to do that again."""
        cloud, offered = OPERATIONS[operation]
        case = f"{operation}: {fault} at step {number}, {name}{afterwards}"
        subject = self.subject(case, offered)
        subject.again = (operation, number, name, fault)
        reply = self.ask(operation, cloud, subject, step=number, fault=fault)
        crashed = reply.status is None
        expect(crashed == fault.startswith("crash"), f"{case}: {reply.status}")
        return subject

    def moves(self, subject):
        """The same fault on another volume, after which people go on."""
        other = self.fault(*subject.again, afterwards=", then people go on")
        if subject.again[0] == "accept":
            self.ask("accept", "recipient", other)
        other.offer = self.open_offer(other)
        if other.offer:
            self.ask("cancel", "donor", other)

    def open_offer(self, subject):
        """The id of the volume's open offer, if it awaits a transfer."""
        with self.api.rows.open() as run:
            found = run(
                "select transfers.id from transfers join volumes on volumes.id = volume_id"
                " where volume_id = ? and status = ? and not transfers.deleted",
                (subject.volume, AWAITING)).fetchone()
        return found and found["id"]

    def losses(self):
        """Faults after which whoever got a key deletes it."""
        for operation, name, fault, whose in LOSSES:
            (number, *_) = [number for number, of in self.writing(operation) if of == name]
            subject = self.fault(operation, number, name, fault,
                                 f", then the key of the {whose} is deleted")
            with self.api.rows.open() as run:
                table, column = (("volumes", "id") if whose == "volume"
                                 else ("snapshots", "volume_id"))
                (secret, *_) = [row["secret"] for row in run(
                    f"select encryption_key_id as secret from {table} where {column} = ?",
                    (subject.volume,)).fetchall()]
            cloud = World.owners_now(self.keys)[secret]
            self.keys.session(cloud).delete(
                f"/v1/secrets/{secret}", endpoint_override=self.keys.root(cloud))

    def foreign_cancel(self):
        """An administrator takes back an offer that is not of their project."""
        subject = self.subject("cancel by an administrator of another project", True)
        reply = self.ask("cancel", "admin", subject)
        expect(reply.status == 202, f"{subject.case}: {reply.status}")

    def races(self):
        """Every pair of operations, paused in every place that concerns the key."""
        for pair in RACES:
            steps, others = (self.steps[operation] for operation, _ in pair)
            read = others.index("reads the key")
            pauses = [number for number, name in enumerate(steps)
                      if name == "reads the key" or not name.startswith("reads")
                      and "quota" not in name and "reservation" not in name]
            for pause in pauses:
                self.race(pair, pause, "the other begins and ends",
                          [[0, pause], [1, None], [0, None]])
                self.race(pair, pause, "the other, which has read the rows before, ends",
                          [[1, read], [0, pause], [1, None], [0, None]])
                if pair[0][0] == pair[1][0]:
                    self.race(pair, pause, "the other comes as far, to end last",
                              [[0, pause], [1, pause], [0, None], [1, None]])

    def race(self, pair, pause, how, turns):
        """One race of two requests, in one order."""
        what = " against ".join(f"{operation} by {cloud}" for operation, cloud in pair)
        name = self.steps[pair[0][0]][pause]
        case = f"{what}: paused before step {pause}, {name}, while {how}"
        subject = self.subject(case, OPERATIONS[pair[0][0]][1])
        threads = [
            threading.Thread(target=self.ask, args=(operation, cloud, subject), kwargs={
                "race": subject.volume, "me": me, "turns": turns})
            for me, (operation, cloud) in enumerate(pair)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
