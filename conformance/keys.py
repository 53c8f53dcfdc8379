"""Who owns which secret, and who can read it: asked of the key manager itself.

`owners` lists every secret of every project concerned, so that one comparison says both that a key
is where it belongs and that no copy was left behind anywhere.
"""

import ast

from castellan import key_manager
from castellan.common.credentials import keystone_password
from oslo_config import cfg

from clients import Refused
from process import wait_until
from report import expect

PROJECTS = ("donor", "recipient", "third", "service")
OCTETS = "application/octet-stream"


class Keys:
    """The secrets of a stack."""

    def __init__(self, clouds):
        self.clouds = clouds

    def session(self, cloud):
        """The key-manager adapter of a cloud."""
        return self.clouds.connect(cloud).key_manager

    def of(self, cloud):
        """The ids of all secrets of a project."""
        ids = set()
        while True:
            page = self.session(cloud).get(
                "/v1/secrets", endpoint_override=self.root(cloud),
                params={"limit": 100, "offset": len(ids)}, headers={"Accept": "application/json"},
            ).json()
            ids |= {s["secret_ref"].rsplit("/", 1)[1] for s in page["secrets"]}
            if not page["secrets"] or len(ids) >= page["total"]:
                return ids

    def root(self, cloud):
        """The key manager's address without its version."""
        return self.session(cloud).get_endpoint().rstrip("/").removesuffix("/v1")

    def owners(self):
        """Cloud: the ids of its project's secrets."""
        return {cloud: self.of(cloud) for cloud in PROJECTS}

    def moved(self, before, giver, receiver, old):
        """Waits until `old` has become one new secret of `receiver`; everything else as before.

        Deleting the old secret is not on the caller's path, hence the wait. Returns the new id.
        """
        def settled():
            now = self.owners()
            new = now[receiver] - before[receiver]
            wanted = {**before, giver: before[giver] - {old}}
            wanted[receiver] = wanted[receiver] | new
            return new if len(new) == 1 and now == wanted else None
        try:
            (new,) = wait_until("the key's move", 15, settled)
        except TimeoutError:
            now = self.owners()
            changes = {c: {"gone": before[c] - now[c], "new": now[c] - before[c]}
                       for c in PROJECTS if now[c] != before[c]}
            raise AssertionError(f"{old} of {giver} to {receiver}: {changes}") from None
        return new

    def get_payload(self, cloud, key):
        """The raw answer to a read of the key's bytes."""
        return self.session(cloud).get(
            f"/v1/secrets/{key}/payload", endpoint_override=self.root(cloud),
            headers={"Accept": OCTETS}, raise_exc=False)

    def bytes(self, cloud, key):
        """The key's bytes as that cloud's user reads them."""
        answer = self.get_payload(cloud, key)
        expect(answer.status_code == 200, f"payload of {key}: {answer.status_code}")
        return answer.content

    def refuses(self, cloud, key):
        """The key manager answers 403 to that cloud's user, and to its command line too."""
        status = self.get_payload(cloud, key).status_code
        expect(status == 403, f"{cloud} reads {key}: {status}, not 403")
        try:
            self.bytes_by_command(cloud, key)
        except Refused as refusal:
            expect("Forbidden" in str(refusal), f"{cloud} is told {refusal}")
        else:
            raise AssertionError(f"{cloud} reads {key} with openstack secret get --payload")

    def bytes_by_command(self, cloud, key):
        """`openstack secret get --payload`; it prints octets as a Python literal."""
        literal = self.clouds.openstack(
            cloud, "secret", "get", "--payload", "--payload_content_type", OCTETS,
            f"{self.root(cloud)}/v1/secrets/{key}", "-f", "value")
        return ast.literal_eval(literal.strip())

    def bytes_by_castellan(self, cloud, key):
        """Read as a service does that opens the volume: through castellan, as that user."""
        auth = self.clouds.auth(cloud)
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[])
        manager = key_manager.API(conf)
        conf.set_override("auth_endpoint", auth["auth_url"], "barbican")
        conf.set_override("barbican_endpoint", self.root(cloud), "barbican")
        names = ("auth_url", "username", "password", "project_name", "user_domain_name",
                 "project_domain_name")
        context = keystone_password.KeystonePassword(**{name: auth[name] for name in names})
        return manager.get(context, key).get_encoded()
