"""Whether this run was one against R2, too."""

import pytest

from tests.objects.servers import RUN, Server, r2_missing


@pytest.mark.skipif(bool(r2_missing()), reason=f"no R2 without {', '.join(r2_missing())}")
def test_the_bucket_of_r2_opens(r2_server: Server) -> None:
    r2_server.store.ready()
    assert all(info.key.startswith(RUN) for info in r2_server.store.list(RUN))
