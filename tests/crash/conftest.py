import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "e2e"))
import tassis  # noqa: E402


@pytest.fixture
def make_server():
    """make_server(**options): a server of the test's own; passwords without TLS are allowed on loopback."""
    made = []

    def make(**options):
        options.setdefault("auth", "plaintext = loopback")
        s = tassis.temporary_server(**options)
        made.append(s)
        return s

    yield make
    for s in made:
        s.stop()
        shutil.rmtree(s.dir)
