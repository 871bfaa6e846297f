"""Swift's configuration files: one replica on one device, S3 requests alone, loopback alone."""

import textwrap
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

BACKENDS = ("account", "container", "object")
SERVERS = (*BACKENDS, "proxy")
LISTING_PAGE = 5
"""Keys in a page of a listing: few, so that a short listing has several pages."""

_DEFAULT = """\
    [DEFAULT]
    bind_ip = 127.0.0.1
    bind_port = {port}
    swift_dir = {folder}
    devices = {folder}/devices
    mount_check = false
    disable_fallocate = true
    # Served by the process itself: no child of its own, and no change of user.
    workers = 0
    # Its log goes to the console; the copy for syslog goes to the discard port, not to anybody's.
    log_level = WARNING
    log_udp_host = 127.0.0.1
    log_udp_port = 9
    # Impatience would be an error, or a listing that comes late, on a machine that is busy.
    conn_timeout = 20
    node_timeout = 60
    container_update_timeout = 60
    """

_BACKEND = """\
    [pipeline:main]
    pipeline = healthcheck {name}-server
    [filter:healthcheck]
    use = egg:swift#healthcheck
    [app:{name}-server]
    use = egg:swift#{name}
    """

# As Swift's documentation orders them. `bulk` deletes many objects at once.
_PROXY = """\
    [pipeline:main]
    pipeline = catch_errors gatekeeper healthcheck listing_formats bulk s3api tempauth proxy-server
    [app:proxy-server]
    use = egg:swift#proxy
    account_autocreate = true
    [filter:catch_errors]
    use = egg:swift#catch_errors
    [filter:gatekeeper]
    use = egg:swift#gatekeeper
    [filter:healthcheck]
    use = egg:swift#healthcheck
    [filter:listing_formats]
    use = egg:swift#listing_formats
    [filter:bulk]
    use = egg:swift#bulk
    [filter:s3api]
    use = egg:swift#s3api
    location = auto
    max_bucket_listing = {listing_page}
    allow_multipart_uploads = false
    [filter:tempauth]
    use = egg:swift#tempauth
    user_test_tester = {secret_key} .admin
    """

_SWIFT = """\
    [swift-hash]
    swift_hash_path_prefix = tests
    swift_hash_path_suffix = tests
    [storage-policy:0]
    name = default
    default = yes
    """

ACCESS_KEY = "test:tester"

BUILD_RINGS = """\
import sys
from swift.common.ring import RingBuilder
for place in sys.argv[1:]:
    path, port = place.rsplit(":", 1)
    device = {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port), "device": "d1"}
    builder = RingBuilder(part_power=4, replicas=1, min_part_hours=0)
    builder.add_dev({**device, "weight": 1.0})
    builder.rebalance()
    builder.get_ring().save(path)
"""
"""A program for Swift's own interpreter. Its arguments are `{path of a ring}:{port}`."""


class Site(Struct, frozen=True):
    """Everything of one Swift, in one folder. `ports`: by server."""

    folder: Path
    ports: Mapping[str, int]
    secret_key: str

    def __repr__(self) -> str:
        return f"Site({str(self.folder)!r})"

    def configuration(self, name: str) -> Path:
        return self.folder / f"{name}-server.conf"

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def ring_arguments(self) -> list[str]:
        return [f"{self.folder / name}.ring.gz:{self.ports[name]}" for name in BACKENDS]


def write_configuration(site: Site) -> None:
    (site.folder / "devices" / "d1").mkdir(parents=True)
    (site.folder / "swift.conf").write_text(textwrap.dedent(_SWIFT))
    for name in SERVERS:
        filled = (_PROXY if name == "proxy" else _BACKEND).format(
            name=name, listing_page=LISTING_PAGE, secret_key=site.secret_key
        )
        default = _DEFAULT.format(port=site.ports[name], folder=site.folder)
        site.configuration(name).write_text(textwrap.dedent(default) + textwrap.dedent(filled))
