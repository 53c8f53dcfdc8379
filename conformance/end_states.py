"""How volumes and their keys stand in the end, and what is wrong with that.

Both are told from the rows, by SQL, and from Barbican, by what each project lists and reads with
its own credentials. Nothing of this project is asked: what is told here is what `audit` and
`repair` are judged by.
"""

import json
import string
from typing import NamedTuple

# all that anybody here is a user of
PROJECTS = ("donor", "recipient", "third", "admin", "service")
AWAITING = "awaiting-transfer"


class World(NamedTuple):
    """Which secrets there are: `owners` is the project of each, `bytes` what it holds."""

    owners: dict
    bytes: dict

    @classmethod
    def read(cls, keys):
        """All secrets of all projects; what has no payload holds None."""
        owners = cls.owners_now(keys)
        held = {}
        for secret, cloud in owners.items():
            reply = keys.get_payload(cloud, secret)
            held[secret] = reply.content if reply.status_code == 200 else None
        return cls(owners, held)

    @staticmethod
    def owners_now(keys):
        """The project of each secret."""
        return {secret: cloud for cloud in PROJECTS for secret in keys.of(cloud)}

    def with_bytes(self, wanted):
        """The secrets that hold these bytes, in an order that does not depend on their ids."""
        found = [secret for secret, held in self.bytes.items() if held == wanted]
        return sorted(found, key=lambda secret: (PROJECTS.index(self.owners[secret]), secret))


class EndState(NamedTuple):
    """A volume, its snapshots, its offers, and the secrets that hold its key.

    Secrets have letters: the volume's, those of snapshots, those without a name. Which snapshot is
    which does not count, for upstream repoints them in no order. So the same end is told in the
    same words however often it is reached.
    """

    status: str
    project: str
    key: str
    snapshots: tuple
    offers: int
    # letter: project, of those that exist
    secrets: dict
    # letter: id
    ids: dict

    @classmethod
    def read(cls, rows, projects, world, volume, key_bytes):
        """The end of a volume whose key was `key_bytes`; `projects` are names by id."""
        with rows.open() as run:
            own = run("select status, project_id, encryption_key_id as secret from volumes"
                      " where id = ?", (volume,)).fetchone()
            snapshots = run("select project_id, encryption_key_id as secret from snapshots"
                            " where volume_id = ? and not deleted", (volume,)).fetchall()
            (offers,) = run("select count(*) as n from transfers where volume_id = ?"
                            " and not deleted", (volume,)).fetchall()
        live = world.with_bytes(key_bytes)
        named = {row["secret"] for row in snapshots}
        there = [secret for secret in live if secret in named]
        order = dict.fromkeys([own["secret"], *there, *sorted(named), *live])
        letters = dict(zip(order, string.ascii_lowercase))
        rows = [(projects[row["project_id"]], letters[row["secret"]]) for row in snapshots]
        return cls(
            own["status"], projects[own["project_id"]], letters[own["secret"]],
            tuple(sorted(rows, key=lambda row: (row[1], row[0]))),
            offers["n"],
            {letters[secret]: world.owners[secret] for secret in sorted(live, key=letters.get)},
            {letter: secret for secret, letter in letters.items()})

    def told(self):
        """The end without ids, as it is recorded."""
        return {"status": self.status, "project": self.project, "key": self.key,
                "snapshots": [list(row) for row in self.snapshots], "offers": self.offers,
                "secrets": self.secrets}

    def named(self):
        """The letters of the secrets that rows name."""
        return list(dict.fromkeys([self.key, *(key for _, key in self.snapshots)]))

    def custodian(self):
        """Who has to have the key."""
        return "service" if self.status == AWAITING else self.project

    def damage(self):
        """What is wrong, as (finding of docs/audit.md, letter of the secret or None), sorted."""
        found = []
        for letter in self.named():
            owner = self.secrets.get(letter)
            if owner is None:
                found.append(("key_gone", letter))
            elif owner != self.custodian():
                if self.status == AWAITING:
                    found.append(("key_not_with_service", letter))
                elif owner == "service":
                    found.append(("key_with_service", letter))
                else:
                    found.append(("key_with_stranger", letter))
            if letter != self.key:
                found.append(("snapshot_key_differs", letter))
        found += [("snapshot_project_differs", None) for project, _ in self.snapshots
                  if project != self.project]
        found += [("stray_copy", letter) for letter in self.secrets if letter not in self.named()]
        if self.status == AWAITING and self.offers == 0:
            found.append(("awaiting_without_offer", None))
        if self.status != AWAITING and self.offers > 0:
            found.append(("offer_without_awaiting", None))
        if self.offers > 1:
            found.append(("several_offers", None))
        return sorted(found, key=lambda one: (one[0], one[1] or ""))

    def is_lost(self):
        """Whether no secret holds the key any more."""
        return not self.secrets

    def is_mended(self, before):
        """Whether only the key has changed, and that is one secret, of whoever has to have it."""
        same = (self.status, self.project, self.offers) == (
            before.status, before.project, before.offers)
        rows = {(project, key) for project, key in self.snapshots} | {(self.project, self.key)}
        return same and rows == {(self.project, "a")} and self.secrets == {"a": self.custodian()}


def recording(states):
    """The ends and the cases that come to each, a line for every end and every case.

    `states` is a list of (case, end).
    """
    by_end = {}
    for case, state in states:
        end = json.dumps({**state.told(), "damage": state.damage()})
        by_end.setdefault(end, []).append(case)
    texts = []
    for end, cases in by_end.items():
        lines = ",\n   ".join(json.dumps(case) for case in cases)
        texts.append(f' {{"end": {end},\n  "cases": [\n   {lines}]}}')
    return "[\n" + ",\n".join(texts) + "\n]\n"
