"""The HTTP proxy for a URL, from `http_proxy`, `https_proxy` and `no_proxy`, in lower or upper case.

Never one for loopback addresses, which no proxy can reach.
"""

import ipaddress
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


def proxy_for(url: str) -> str | None:
    """Return the URL of the proxy, or None. `no_proxy` lists names, suffixes of names, addresses, networks (CIDR)."""
    parts, proxies = urlsplit(url), getproxies()
    proxy = proxies.get(parts.scheme)
    host = parts.hostname or ""
    if not proxy or _is_loopback(host) or proxy_bypass(parts.netloc) or _in_networks(host, proxies.get("no", "")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def without_secrets(proxy: str) -> str:
    """Return the URL of a proxy without user and password, for messages."""
    parts = urlsplit(proxy)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _in_networks(host: str, no_proxy: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for part in no_proxy.split(",") if (network := _network(part.strip())))


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None
