"""The tests of tests/kernel/test_submitter.py, on the Redis Cluster of this folder."""

from tests.kernel.test_submitter import *  # noqa: F403
