"""Which HTTP proxy the environment wants for a URL: `http_proxy`, `https_proxy`, `no_proxy`, in capitals, too.

Never one for this machine itself: no proxy reaches our loopback interface.
"""

import ipaddress
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


def proxy_for(url: str) -> str | None:
    """Return the proxy's URL, or None. `no_proxy` holds names, suffixes of names, addresses, and networks (CIDR)."""
    parts, proxies = urlsplit(url), getproxies()
    proxy = proxies.get(parts.scheme)
    host = parts.hostname or ""
    if not proxy or _is_loopback(host) or proxy_bypass(parts.netloc) or _in_networks(host, proxies.get("no", "")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def without_secrets(proxy: str) -> str:
    """Return the proxy's URL without user and password, for people."""
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
