"""What stands before the service in a deployment, in small: one address for all of block storage.

A deployment's proxy sends the two transfer prefixes to volume-transfer and the rest to cinder-api.
Here the rest is one question, `GET /v3/{project_id}/volumes/{id}`, which the command-line clients
ask before they create a transfer; it is answered from Cinder's tables, to a valid token of the
project only. Everything else goes to the service as it came, and its answer back as it came.
"""

import contextlib
import http.client
import http.server
import json
import re
import threading
import urllib.parse
import urllib.request

from process import free_port

VOLUME = re.compile(r"/v3/(?P<project>[0-9a-f-]+)/volumes/(?P<volume>[^/?]+)$")
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


class Front:
    """`with Front() as front` listens on front.url.

    Set before the first request: `service`, the service's URL; `identity`, Keystone's; and
    `volumes(project_id, id)`, which returns a volume's body or None.
    """

    def __init__(self):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.service = self.identity = self.volumes = None
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """One request."""

            protocol_version = "HTTP/1.1"

            def answer(self):
                """Answers or passes on."""
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                asked = VOLUME.match(urllib.parse.unquote(self.path))
                if self.command == "GET" and asked:
                    status, headers, body = front.volume(self.headers, **asked.groupdict())
                else:
                    status, headers, body = front.forward(
                        self.command, self.path, self.headers, body)
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() not in HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *_):
                """The service keeps its own log."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def forward(self, method, path, headers, body):
        """The service's answer: status, headers, body."""
        to = urllib.parse.urlsplit(self.service)
        with contextlib.closing(http.client.HTTPConnection(to.hostname, to.port)) as service:
            sent = {k: v for k, v in headers.items() if k.lower() not in HOP_BY_HOP}
            # the client's own Host, so that the links in the answer lead back here
            sent["Host"] = headers["Host"]
            service.request(method, path, body or None, sent)
            answer = service.getresponse()
            return answer.status, answer.getheaders(), answer.read()

    def volume(self, headers, project, volume):
        """The volume, to a token of its project."""
        found = None
        if self.project_of(headers.get("X-Auth-Token")) == project:
            found = self.volumes(project, volume)
        if found is None:
            status, body = 404, {"itemNotFound": {
                "code": 404, "message": f"Volume {volume} could not be found."}}
        else:
            status, body = 200, {"volume": found}
        return status, [("Content-Type", "application/json")], json.dumps(body).encode()

    def project_of(self, token):
        """The project of a caller's token, asked of Keystone with that same token."""
        request = urllib.request.Request(f"{self.identity}/auth/tokens", headers={
            "X-Auth-Token": token or "", "X-Subject-Token": token or ""})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)["token"]["project"]["id"]
        except OSError:
            return None
