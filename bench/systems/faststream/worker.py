"""The worker: the application of `tasks` on uvloop, as its own command runs it."""

import logging

import uvloop
from tasks import app

uvloop.run(app.run(log_level=logging.WARNING))
