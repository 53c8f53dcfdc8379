"""The WSGI application of a real cinder-api, for gunicorn; CINDER_CONF configures it.

It differs from `cinder.wsgi.api` in two points. On accept Cinder asks cinder-volume whether the
backend has something to note; none runs here, so the answer is the one of a backend that has
nothing. And the policy rules are registered at import: Cinder does it within the first request,
and with a threaded worker a second request that arrives meanwhile finds no rules.
"""

import os
import sys

# oslo.config reads the command line, and this one is gunicorn's
sys.argv = [sys.argv[0], "--config-file", os.environ["CINDER_CONF"]]

from cinder import policy  # noqa: E402
from cinder.volume import rpcapi  # noqa: E402
from cinder.wsgi import wsgi  # noqa: E402

rpcapi.VolumeAPI.accept_transfer = lambda *_, **__: {}
application = wsgi.initialize_application()
policy.init()
