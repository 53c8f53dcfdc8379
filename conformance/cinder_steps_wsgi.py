"""The WSGI application of a real cinder-api in which a chosen step of a transfer goes wrong.

Upstream's code is as it is; only what it calls is wrapped: the functions of `cinder.db.api` that a
transfer writes and reads by, the call to cinder-volume, and HTTP to Barbican. The header
`X-Conformance` of a request, in JSON, says what happens while the request is served:

    {"step": 5, "fault": "lost"}                        the step of that number, counted from 0
    {"race": "7", "me": 0, "turns": [[0, 5], [1, null], [0, null]]}

A fault is `refused` (no effect, and an error), `lost` (the effect, and an error), `crash-before` or
`crash-after` (the process ends there). In a race the requests of that name take turns: the first
goes five steps far, the other to its end, then the first goes on. The reply's `X-Conformance-Steps`
names the steps that were taken; a step that only reads is called `reads ...`, and has no fault.
"""

import functools
import json
import os
import threading

from cinder_wsgi import application as cinder

import requests
from cinder.db import api as db
from cinder.volume import rpcapi
from oslo_config import cfg
from oslo_db.exception import DBConnectionError
from oslo_messaging.exceptions import MessagingTimeout

READS = ("transfer_get", "volume_get", "snapshot_get_all_for_volume")
WRITES = ("transfer_create", "transfer_accept", "transfer_destroy", "volume_update",
          "snapshot_update", "quota_reserve", "reservation_commit", "reservation_rollback")
# a request that waits longer for its turn than this is told so
PATIENCE_S = 60


class Race:
    """Who goes on, and how far."""

    def __init__(self, turns):
        self.turns = [list(turn) for turn in turns]
        self.ended = set()
        self.changed = threading.Condition()

    def step(self, me):
        """Waits until one more step is this request's."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.is_turn_of(me), PATIENCE_S):
                raise TimeoutError(f"request {me} waits for its turn")
            if self.turns and self.turns[0][1] is not None:
                self.turns[0][1] -= 1

    def is_turn_of(self, me):
        """Whether it may take a step; who has come as far as it may lets the next go on."""
        while self.turns and (self.turns[0][0] in self.ended or self.turns[0] == [me, 0]):
            self.turns.pop(0)
            self.changed.notify_all()
        return not self.turns or self.turns[0][0] == me

    def end(self, me):
        """The request has been served."""
        with self.changed:
            self.ended.add(me)
            self.changed.notify_all()


class Plan:
    """What is to happen while a request is served, and what did."""

    races = {}
    lock = threading.Lock()

    def __init__(self, fault=None, step=None, race=None, me=None, turns=()):
        self.fault, self.at, self.me = fault, step, me
        self.steps = []
        # within a step: cinder.db.api calls its own functions
        self.is_busy = False
        self.race = None
        if race is not None:
            with self.lock:
                self.race = self.races.setdefault(race, Race(turns))

    def take(self, name, act, error):
        """Takes a step; `error` gives or raises what the caller sees of one that failed."""
        if self.is_busy:
            return act()
        if self.race:
            self.race.step(self.me)
        fault = self.fault if len(self.steps) == self.at else None
        self.steps.append(name)
        if fault == "crash-before":
            os._exit(1)
        if fault == "refused":
            return error(False)
        self.is_busy = True
        try:
            done = act()
        finally:
            self.is_busy = False
        if fault == "crash-after":
            os._exit(1)
        return error(True) if fault == "lost" else done

    def end(self):
        """The request has been served."""
        if self.race:
            self.race.end(self.me)


current = threading.local()


def step(name, act, error):
    """A step of whatever request this thread serves."""
    plan = getattr(current, "plan", None)
    return plan.take(name, act, error) if plan else act()


def wrapped(owner, function, name, failure):
    """Makes a step of a function, which fails by raising."""
    real = getattr(owner, function)

    def error(_):
        raise failure("injected")

    @functools.wraps(real)
    def taken(*arguments, **named):
        return step(name, lambda: real(*arguments, **named), error)
    setattr(owner, function, taken)


def wrapped_http():
    """Makes steps of the requests to Barbican that count: a key is read, made or deleted."""
    real = requests.adapters.HTTPAdapter.send
    barbican = cfg.CONF.barbican.barbican_endpoint

    def send(adapter, request, **named):
        path = request.url.removeprefix(barbican).split("?")[0]
        is_read = request.method == "GET"
        if path == request.url or is_read and not path.endswith("/payload"):
            return real(adapter, request, **named)

        def error(is_lost):
            if is_lost:
                raise requests.exceptions.ConnectionError("injected")
            reply = requests.Response()
            reply.status_code, reply.reason = 503, "Service Unavailable"
            reply.request, reply.url = request, request.url
            reply.headers["Content-Type"] = "application/json"
            reply._content = b'{"title": "injected"}'
            return reply
        name = "reads the key" if is_read else f"{request.method} secret"
        return step(name, lambda: real(adapter, request, **named), error)
    requests.adapters.HTTPAdapter.send = send


for function in WRITES:
    wrapped(db, function, function, DBConnectionError)
for function in READS:
    wrapped(db, function, f"reads {function}", DBConnectionError)
wrapped(rpcapi.VolumeAPI, "accept_transfer", "call to cinder-volume", MessagingTimeout)
wrapped_http()


def application(environ, start_response):
    """Serves a request by its plan, if it brings one."""
    wanted = environ.get("HTTP_X_CONFORMANCE")
    if not wanted:
        return cinder(environ, start_response)
    plan = current.plan = Plan(**json.loads(wanted))

    def start(status, headers, *rest):
        told = ("X-Conformance-Steps", json.dumps(plan.steps))
        return start_response(status, [*headers, told], *rest)
    try:
        return cinder(environ, start)
    finally:
        current.plan = None
        plan.end()
