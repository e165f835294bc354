import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import tassis  # noqa: E402
from world import World  # noqa: E402

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


@pytest.fixture(scope="module")
def world(request):
    """DNS with the module's RECORDS, and room for peers."""
    w = World(request.module.RECORDS)
    yield w
    w.stop()


@pytest.fixture
def peer(world):
    """peer(host, **options): a mail server for this test."""
    made = []

    def make(host, **options):
        made.append(world.peer(host, **options))
        return made[-1]

    yield make
    for p in made:
        p.stop()


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
