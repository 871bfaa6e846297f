"""Who a call comes from, as far as limits are concerned."""

import ipaddress
from collections.abc import Sequence
from typing import TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxies:
    """Those that may say who calls."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = tuple(networks)

    def client(self, peer: str, forwarded: str) -> str:
        """The address behind them: the last one of X-Forwarded-For that is not a proxy.

        `peer` is who opened the connection; what it says of others counts only where it is
        trusted, and what it was told in turn only where that one is.
        """
        hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
        address = peer
        while hops and self._trusts(address):
            address = hops.pop()
        return address

    def _trusts(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed.version == one.version and parsed in one for one in self._networks)


def limit_group(address: str) -> str:
    """An IPv4 address, or the /64 that one subscriber of IPv6 has to himself."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.IPv6Network((parsed, 64), strict=False))
    return str(parsed)
