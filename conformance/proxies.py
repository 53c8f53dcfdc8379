"""`cargo xtask conformance proxies`: the files of packaging/, tried with what they are for.

    proxies.py --binary volume-transfer --directory DIR --packaging DIR

HAProxy and nginx stand in front of `serve --dev`, which is the transfer service here, and of a
stand-in for cinder-api, which repeats what it was sent. Of the example files only the addresses are
changed. systemd judges the unit. Exit code 0 when every step passed. Needs no Python but the
standard library.
"""

import argparse
import http.client
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading

from process import Process, end_on_signals, free_port
from report import Report, expect

PUBLIC = "https://cloud.example/volume"
REQUEST_ID = "req-0f8fad5b-d9cb-469f-a165-70867728950e"
PACKAGES = {"haproxy": "haproxy", "nginx": "nginx-light", "systemd-analyze": "systemd"}
# of 100; what has no protection at all is at 96
EXPOSURE = 20
LARGE = b" " * 200_000


class Stand(http.server.ThreadingHTTPServer):
    """A stand-in for cinder-api: answers any request with what it was."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", free_port()), Echo)
        self.port = self.server_address[1]

    def handle_error(self, *_):
        """A probe that hung up."""

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class Echo(http.server.BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        """Repeats it."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        told = json.dumps({
            "method": self.command, "path": self.path, "length": len(body),
            "headers": {name.lower(): value for name, value in self.headers.items()},
        }).encode()
        self.send_response(200)
        self.send_header("X-Stand-In", "cinder-api")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, *_):
        """Nobody asks."""


class Answer:
    """A reply, read to its end."""

    def __init__(self, reply):
        self.status, self.headers, self.body = reply.status, reply.headers, reply.read()
        self.from_cinder = reply.headers.get("X-Stand-In") is not None

    def json(self):
        """The body."""
        return json.loads(self.body)


def ask(port, method, path, body=None, **headers):
    """One request to a port of the loopback address; the path goes as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        connection.request(method, path, body, sent)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def port_of(url):
    """The port at the end of an address."""
    return int(url.rsplit(":", 1)[1])


def log_in(urls, user, project):
    """A token and its project's id."""
    domain = {"name": "Default"}
    answer = ask(port_of(urls["identity"]), "POST", "/v3/auth/tokens", {"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": user, "password": "secret", "domain": domain}}},
        "scope": {"project": {"name": project, "domain": domain}}}})
    return answer.headers["X-Subject-Token"], answer.json()["token"]["project"]["id"]


def spellings(project):
    """Paths, and whether the transfer service has to get them."""
    base = f"/v3/{project}"
    return [
        ("/v3/volume-transfers", True),
        (f"{base}/volume-transfers", True),
        (f"{base}/volume-transfers/detail?limit=1", True),
        (f"{base}/os-volume-transfer", True),
        (f"{base}/os-volume-transfer/detail", True),
        ("/v3/volume-transfers.json", True),
        ("/v3/%76olume-transfers", True),
        ("/v3//volume-transfers", True),
        (f"{base}%2fvolume-transfers", True),
        ("/", False),
        ("/v3", False),
        ("/v3/", False),
        (f"{base}/volumes/detail?name=a%20b", False),
        (f"{base}/volume-transfers-of-others", False),
        (f"{base}/volumes/volume-transfers", False),
        (f"{base}/types", False),
    ]


class Checks:
    """What holds through a proxy, whichever it is."""

    def __init__(self, report, port, urls):
        self.report, self.port = report, port
        self.service = port_of(urls["block_storage"])
        self.token, self.project = log_in(urls, "x", "donor")

    def ask(self, method, path, body=None, **headers):
        """One request through the proxy, with a token."""
        return ask(self.port, method, path, body, X_Auth_Token=self.token,
                   OpenStack_API_Version="volume 3.70", **headers)

    def run(self):
        """All of it."""
        with self.report.step("each prefix goes to its service, in every spelling"):
            for path, ours in spellings(self.project):
                answer = self.ask("GET", path)
                came = "cinder-api" if answer.from_cinder else "volume-transfer"
                expect(answer.from_cinder != ours, f"{path} went to {came}")
                if answer.from_cinder:
                    expect(answer.json()["path"] == path, f"{path} became {answer.json()['path']}")
        with self.report.step("cinder-api gets method, headers and a large body as they came"):
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE"]:
                body = None if method == "GET" else LARGE
                answer = self.ask(method, f"/v3/{self.project}/volumes", body,
                                  X_OpenStack_Request_ID=REQUEST_ID, Host="cloud.example:8776")
                told = answer.json()
                expect(told["method"] == method and told["length"] == len(body or b""), told)
                wanted = {
                    "host": "cloud.example:8776", "x-forwarded-for": "127.0.0.1",
                    "x-forwarded-proto": "http", "x-openstack-request-id": REQUEST_ID,
                    "x-auth-token": self.token, "openstack-api-version": "volume 3.70",
                }
                expect(wanted.items() <= told["headers"].items(), told["headers"])
        with self.report.step("a transfer is offered, shown and taken back, with public links"):
            self.transfer()
        with self.report.step("what the service refuses keeps its own words"):
            answer = self.ask("POST", "/v3/volume-transfers", LARGE)
            expect(answer.status == 413 and b"114688" in answer.body, (answer.status, answer.body))
            answer = self.ask("PUT", "/v3/volume-transfers/detail", {})
            expect(answer.status == 404 and not answer.from_cinder, answer.status)
            answer = ask(self.port, "GET", "/v3/volume-transfers")
            expect(answer.status == 401 and "Www-Authenticate" in answer.headers, answer.status)
        with self.report.step("the health check is the proxy's and not the clients'"):
            expect(self.ask("GET", "/healthcheck").status == 404, "clients see it")
            expect(ask(self.service, "GET", "/healthcheck").status == 200, "it is not well")

    def transfer(self):
        """One offer from its beginning to its end."""
        made = ask(self.service, "POST", f"/v3/{self.project}/volumes",
                   {"volume": {"size": 1, "name": "v"}}, X_Auth_Token=self.token)
        expect(made.status == 202, (made.status, made.body))
        volume = made.json()["volume"]["id"]
        path = f"/v3/{self.project}/volume-transfers"
        offered = self.ask("POST", path, {"transfer": {"volume_id": volume}},
                           X_OpenStack_Request_ID=REQUEST_ID)
        expect(offered.status == 202, (offered.status, offered.body))
        own = offered.headers["X-OpenStack-Request-Id"]
        expect(own and own == offered.headers["X-Compute-Request-Id"] != REQUEST_ID, own)
        transfer = offered.json()["transfer"]
        for link in transfer["links"]:
            expect(link["href"].startswith(f"{PUBLIC}/"), link)
        shown = self.ask("GET", f"{path}/{transfer['id']}")
        expect(shown.json()["transfer"]["volume_id"] == volume, shown.body)
        gone = self.ask("DELETE", f"{path}/{transfer['id']}")
        expect(gone.status == 202, (gone.status, gone.body))


def configuration(example, directory, front, service, stand):
    """The example with the addresses of this run; the second replica is one that is down."""
    text = example.read_text()
    addresses = {
        "192.0.2.1:8776": front, "192.0.2.21:8778": service, "192.0.2.22:8778": free_port(),
        "192.0.2.31:8776": stand, "192.0.2.32:8776": stand,
    }
    for address, port in addresses.items():
        expect(address in text, f"{example.name} has no {address}")
        text = text.replace(address, f"127.0.0.1:{port}")
    # nginx keeps large bodies in files, and by default in folders of the distribution
    folders = "".join(f"{kind}_temp_path {directory}/{kind};\n" for kind in [
        "client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
    text = text.replace("access_log off;", f"access_log off;\n{folders}")
    text = text.replace("log /dev/log local0", "log stdout format raw local0")
    changed = directory / example.name
    changed.write_text(text)
    return changed


def unit(report, packaging, binary, directory):
    """The unit, with the binary of this run."""
    with report.scenario("systemd"):
        text = (packaging / "volume-transfer.service").read_text()
        expect("=/usr/bin/volume-transfer " in text, "the unit starts something else")
        changed = directory / "volume-transfer.service"
        changed.write_text(text.replace("=/usr/bin/volume-transfer ", f"={binary} "))
        for what, argv in [
            ("the unit is well-formed", ["verify"]),
            ("it is confined", ["security", "--offline=yes", f"--threshold={EXPOSURE}"]),
        ]:
            with report.step(what):
                done = subprocess.run(["systemd-analyze", *argv, changed], check=False,
                                      capture_output=True, text=True)
                expect(done.returncode == 0, done.stdout + done.stderr)


def command(name, changed, directory):
    """How a proxy is started in the foreground."""
    if name == "haproxy":
        return [shutil.which("haproxy"), "-db", "-f", changed]
    user = "user root; " if os.geteuid() == 0 else ""
    return [shutil.which("nginx"), "-p", directory, "-c", changed, "-e", directory / "error.log",
            "-g", f"{user}daemon off; pid {directory}/nginx.pid;"]


def answers(port):
    """Whether somebody answers there."""
    try:
        return ask(port, "GET", "/v3/").from_cinder
    except OSError:
        return False


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    for name in ["--binary", "--directory", "--packaging"]:
        arguments.add_argument(name, type=lambda path: pathlib.Path(path).absolute(), required=True)
    given = arguments.parse_args()
    missing = [package for name, package in PACKAGES.items() if not shutil.which(name)]
    if missing:
        sys.exit(f"missing: {' '.join(missing)}; try apt-get install {' '.join(missing)}")
    end_on_signals()
    report = Report()
    directory = given.directory
    ready, conf = directory / "ready.json", directory / "cinder.conf"
    conf.write_text(f"[DEFAULT]\npublic_endpoint = {PUBLIC}\n")
    unit(report, given.packaging, given.binary, directory)
    with Stand() as stand, Process("volume-transfer", [
        given.binary, "serve", "--dev", "--ephemeral", "--ready-file", ready,
        "--config-file", conf,
    ], directory / "serve.log") as service:
        service.wait_ready(60, ready.exists)
        urls = json.loads(ready.read_text())
        fronts = []
        for name, example in [("haproxy", "haproxy.cfg"), ("nginx", "nginx.conf")]:
            front = free_port()
            changed = configuration(given.packaging / example, directory, front,
                                    port_of(urls["block_storage"]), stand.port)
            argv = command(name, changed, directory)
            proxy = Process(name, argv, directory / f"{name}.log")
            fronts.append((name, front, proxy))
        try:
            for name, front, proxy in fronts:
                with report.scenario(name):
                    with report.step("it takes the example, with other addresses"):
                        proxy.wait_ready(30, lambda port=front: answers(port))
                    Checks(report, front, urls).run()
            service.stop()
            for name, front, _proxy in fronts:
                with report.scenario(f"{name}, and no transfer service"):
                    with report.step("transfers are answered 502 or 503, the rest as ever"):
                        status = ask(front, "GET", "/v3/volume-transfers").status
                        expect(status in (502, 503), status)
                        expect(ask(front, "GET", "/v3/volumes").from_cinder, "cinder-api is gone")
        finally:
            for _name, _front, proxy in fronts:
                if proxy.child.poll() is None:
                    proxy.stop()
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
