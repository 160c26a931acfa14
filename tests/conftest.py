"""Options of the test run: `pytest --update` rewrites what the README shows and the completion scripts."""

import os
import tempfile

import pytest

from browsers import browser  # noqa: F401 -- a fixture for all tests
from services import dask, s3, s3_running  # noqa: F401 -- fixtures for all tests

os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="convcli-state-")  # journals of the runs that are tested
os.environ["CONVCLI_PROFILE"] = ""  # plans are made with the numbers shipped, whoever runs the tests
os.environ["PYTHONSAFEPATH"] = "1"  # child processes import what is installed, not what lies where they start


def pytest_addoption(parser):
    parser.addoption("--update", action="store_true", help="rewrite the README's console blocks, tables and pictures")


@pytest.fixture
def update(request):
    """True where generated text is to be rewritten instead of compared."""
    return request.config.getoption("--update")
