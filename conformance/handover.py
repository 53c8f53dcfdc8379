"""What must hold when encrypted volumes change hands, checked through one client after another.

The stack says how a volume comes to be and what its rows hold; the key manager says who owns what.
Nothing here knows whether the services behind are real ones or the simulator.
"""

from typing import NamedTuple

from clients import CLIENTS, Refused
from report import expect

SNAPSHOTS = 2


class Volume(NamedTuple):
    """An encrypted volume as it was before the hand-over."""

    id: str
    key: str
    bytes: bytes


def refused(text, call, *arguments):
    """The call is refused, with that text in what the client reports."""
    try:
        call(*arguments)
    except Refused as refusal:
        expect(text in str(refusal), f"refused with other words: {refusal}")
    else:
        raise AssertionError("not refused")


class HandOvers:
    """All scenarios over one stack.

    A stack has `clouds`, `create(name)` which returns the id of an available encrypted volume of
    donor with two snapshots, `status(cloud, volume)` and `key_ids(cloud, volume)`, the set of the
    key ids that its rows name.
    """

    def __init__(self, report, stack, keys):
        self.report, self.stack, self.keys = report, stack, keys

    def run(self):
        """Every scenario."""
        for client in (make(self.stack.clouds) for make in CLIENTS):
            with self.report.scenario(f"{client.name}: offered and accepted"):
                self.accepted(client)
            with self.report.scenario(f"{client.name}: offered and cancelled"):
                self.cancelled(client)
        with self.report.scenario("refused, and nothing has changed"):
            self.refusals()

    def volume(self, name):
        """A fresh encrypted volume; its key is the one that its creation added to donor's."""
        with self.report.step(f"an encrypted volume of donor with {SNAPSHOTS} snapshots"):
            before = self.keys.of("donor")
            volume = self.stack.create(name)
            made = self.keys.of("donor") - before
            expect(len(made) == 1, f"{len(made)} secrets were made for it")
            (key,) = made
            expect(self.stack.key_ids("donor", volume) == {key}, "its rows name another key")
            secret = self.keys.bytes("donor", key)
            expect(len(secret) == 32, f"{len(secret)} bytes of key, not 32")
        return Volume(volume, key, secret)

    def offered(self, client, volume):
        """Donor offers the volume; returns the offer and the service's key."""
        before = self.keys.owners()
        with self.report.step(f"{client.name} creates a transfer request"):
            offer = client.offer("donor", volume.id)
            self.rows_say("donor", volume, "awaiting-transfer")
        with self.report.step("the key is the service's, and donor has no copy left"):
            key = self.keys.moved(before, "donor", "service", volume.key)
            self.rows_say("donor", volume, "awaiting-transfer", key)
            expect(self.keys.bytes("service", key) == volume.bytes, "its bytes have changed")
        return offer, key

    def rows_say(self, cloud, volume, status, key=None):
        """The volume's status, and the one key id on all its rows."""
        found = self.stack.status(cloud, volume.id)
        expect(found == status, f"status {found}, not {status}")
        if key:
            ids = self.stack.key_ids(cloud, volume.id)
            expect(ids == {key}, f"the rows name {ids}, not {key}")

    def accepted(self, client):
        """Offer, list, show, a wrong auth key, accept, and who can read the key afterwards."""
        volume = self.volume(f"{client.name}-accepted")
        offer, held = self.offered(client, volume)
        with self.report.step(f"{client.name} lists and shows it, without the auth key"):
            expect(offer.id in client.listed("donor"), "not in the list")
            expect(offer.id not in client.listed("recipient"), "in a foreign list")
            shown = client.shown("donor", offer.id)
            expect(shown["volume_id"] == volume.id and shown["name"] == "an offer", shown)
            expect(offer.auth_key not in str(shown), "the auth key is shown again")
        before = self.keys.owners()
        with self.report.step("a wrong auth key is refused, and nothing has changed"):
            refused("invalid auth key", client.accept, "recipient", offer.id, "0123456789abcdef")
            expect(self.keys.owners() == before, "secrets came or went")
            self.rows_say("donor", volume, "awaiting-transfer", held)
        with self.report.step(f"{client.name} accepts it as recipient"):
            client.accept("recipient", offer.id, offer.auth_key)
            self.rows_say("recipient", volume, "available")
            expect(self.stack.status("donor", volume.id) is None, "donor still sees the volume")
        with self.report.step("the key is recipient's, and nobody has another copy"):
            key = self.keys.moved(before, "service", "recipient", held)
            self.rows_say("recipient", volume, "available", key)
        with self.report.step("recipient reads the same bytes: openstack secret get, castellan"):
            expect(self.keys.bytes_by_command("recipient", key) == volume.bytes, "openstack")
            expect(self.keys.bytes_by_castellan("recipient", key) == volume.bytes, "castellan")
        with self.report.step("donor and third are refused the key"):
            self.keys.refuses("donor", key)
            self.keys.refuses("third", key)
        with self.report.step("the offer is closed"):
            expect(offer.id not in client.listed("donor"), "still in the list")
            refused("", client.accept, "recipient", offer.id, offer.auth_key)

    def cancelled(self, client):
        """Offer, delete, and the key is donor's again."""
        volume = self.volume(f"{client.name}-cancelled")
        offer, held = self.offered(client, volume)
        before = self.keys.owners()
        with self.report.step(f"{client.name} deletes the transfer request"):
            client.cancel("donor", offer.id)
            self.rows_say("donor", volume, "available")
            expect(offer.id not in client.listed("donor"), "still in the list")
        with self.report.step("the key is donor's again, and nobody has another copy"):
            key = self.keys.moved(before, "service", "donor", held)
            self.rows_say("donor", volume, "available", key)
            expect(self.keys.bytes("donor", key) == volume.bytes, "its bytes have changed")
            expect(self.keys.bytes_by_castellan("donor", key) == volume.bytes, "castellan")
        with self.report.step("recipient is refused the key"):
            self.keys.refuses("recipient", key)
        with self.report.step("the auth key opens nothing any more"):
            refused("", client.accept, "recipient", offer.id, offer.auth_key)

    def refusals(self):
        """Old microversions, offers of what is offered, and other people's offers."""
        volume = self.volume("refused")
        before = self.keys.owners()
        for make in CLIENTS:
            client = make(self.stack.clouds, "3.69")
            with self.report.step(f"{client.name} with 3.69"):
                refused("transferring encrypted volume is not supported",
                        client.offer, "donor", volume.id)
        with self.report.step("os-volume-transfer, which cinder uses before 3.55"):
            refused("transferring encrypted volume is not supported",
                    CLIENTS[1](self.stack.clouds, "3.54").offer, "donor", volume.id)
        with self.report.step("secrets and rows are as before"):
            expect(self.keys.owners() == before, "secrets came or went")
            self.rows_say("donor", volume, "available", volume.key)
        library = CLIENTS[2](self.stack.clouds)
        offer, held = self.offered(library, volume)
        before = self.keys.owners()
        with self.report.step("a second offer, and a foreign project's cancel"):
            refused("status must be available", library.offer, "donor", volume.id)
            refused("", library.cancel, "third", offer.id)
            expect(self.keys.owners() == before, "secrets came or went")
            self.rows_say("donor", volume, "awaiting-transfer", held)
        with self.report.step("the offer still stands: third accepts with its auth key"):
            library.accept("third", offer.id, offer.auth_key)
            key = self.keys.moved(before, "service", "third", held)
            self.rows_say("third", volume, "available", key)
            expect(self.keys.bytes("third", key) == volume.bytes, "its bytes have changed")
