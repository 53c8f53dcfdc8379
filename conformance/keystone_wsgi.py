"""The WSGI application of a real Keystone, for gunicorn; OS_KEYSTONE_CONFIG_FILES configures it."""

import sys

# oslo.config reads the command line, and this one is gunicorn's
sys.argv = sys.argv[:1]

from keystone.server.wsgi import initialize_public_application  # noqa: E402

application = initialize_public_application()
