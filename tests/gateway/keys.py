"""The API key of the gateways that tests start."""

KEY = "rw_a-key-for-tests"
