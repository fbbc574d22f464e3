"""A script for each SDK, run in an environment of the SDKs' own: `python -m tests.sdks.python.NAME`."""
