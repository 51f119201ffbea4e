"""Runs schemathesis, which learns what a photo is: else none would get past the
checks of the server.

    python schemathesis_run.py PHOTO run URL …
"""

import sys

import schemathesis
from hypothesis import strategies
from schemathesis.cli import schemathesis as main

photo = sys.argv.pop(1)
schemathesis.openapi.format("photo", strategies.just(photo))
main()
