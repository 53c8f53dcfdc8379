"""The WSGI application of a real Barbican, for gunicorn.

It differs from `barbican.wsgi.api` in two points. That module reads its pipeline from
/etc/barbican; here BARBICAN_PASTE names the file. And the policy rules are registered at import:
Barbican does it within the first request, and with a threaded worker a second request that arrives
meanwhile finds no rules and answers 500.
"""

import os
import sys

# oslo.config reads the command line at import, and this one is gunicorn's
sys.argv = sys.argv[:1]

from paste import deploy  # noqa: E402

from barbican.api import app  # noqa: E402,F401
from barbican.common import policy  # noqa: E402

policy.init()
application = deploy.loadapp("config:" + os.environ["BARBICAN_PASTE"])
