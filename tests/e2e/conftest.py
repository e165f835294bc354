import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import tassis  # noqa: E402

CORPUS = tassis.ROOT.parent / "shared" / "corpus" / "spamassassin-part.tar.xz"


@pytest.fixture(scope="module")
def server():
    """One running server for all tests of a module; passwords without TLS are allowed on loopback."""
    s = tassis.temporary_server(auth="plaintext = loopback")
    yield s
    s.stop()
    shutil.rmtree(s.dir)


@pytest.fixture
def make_server():
    """make_server(**options): a server of the test's own."""
    made = []

    def make(**options):
        s = tassis.temporary_server(**options)
        made.append(s)
        return s

    yield make
    for s in made:
        s.stop()
        shutil.rmtree(s.dir)


@pytest.fixture
def box(server):
    """An account of the test's own on the module's server."""
    return server.new_account()


@pytest.fixture(scope="session")
def corpus():
    """Real mail, if it lies beside the project."""
    if not CORPUS.exists():
        pytest.skip(f"no real mail at {CORPUS}")
    return CORPUS
