"""One etcd with certificates and users: a plain address, a TLS one, and a TLS one that its certificate is not for.

The TLS addresses want a client certificate. `root` keeps all rights; a test makes users and roles of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etcd3.etcdrpc import rpc_pb2 as rpc
from etcd3.etcdrpc import rpc_pb2_grpc as stubs

from processor.etcd.channel import Access
from processor.etcd.client import EtcdClient
from tests.integration.servers import free_port
from tests.local_servers import LocalServer
from tests.security.certificates import Authority, Certificate

ROOT_PASSWORD = "root of the lab"  # noqa: S105 - a test's
TOKEN_TTL_S = 3
TIMEOUT_S = 10.0


@dataclass(frozen=True)
class EtcdLab:
    """`plain`, `tls` and `elsewhere` are host:port; `client` is a certificate that the server takes."""

    server: LocalServer
    plain: str
    tls: str
    elsewhere: str
    authority: Authority
    other: Authority
    client: Certificate

    def access(self, name: str = "root", password: str = ROOT_PASSWORD, **further: Any) -> Access:
        """Return how to reach the plain address as a user."""
        return Access((self.plain,), username=name, password=password, **further)

    def secured(self, **instead: Any) -> Access:
        """Return how to reach the TLS address with everything right, but for what is given instead."""
        right = {"endpoints": (self.tls,), "ca": self.authority.ca_file.read_bytes(), **self.client.pem()}
        return Access(**(right | instead))


class Administrator:
    """Root: makes users and roles, and takes them away."""

    def __init__(self, lab: EtcdLab) -> None:
        self._client = EtcdClient(lab.access())

    def add_user(self, name: str, password: str) -> None:
        """Add a user without any right."""
        self._call("UserAdd", rpc.AuthUserAddRequest(name=name, password=password))

    def change_password(self, name: str, password: str) -> None:
        """Give a user another password; its tokens end."""
        self._call("UserChangePassword", rpc.AuthUserChangePasswordRequest(name=name, password=password))

    def delete_user(self, name: str) -> None:
        """Delete a user; its tokens end."""
        self._call("UserDelete", rpc.AuthUserDeleteRequest(name=name))

    def add_role(self, name: str, prefix: str) -> None:
        """Add a role that may read and write the keys below a prefix, and nothing else."""
        self._call("RoleAdd", rpc.AuthRoleAddRequest(name=name))
        end = (prefix[:-1] + chr(ord(prefix[-1]) + 1)).encode()
        permission: Any = {"permType": 2, "key": prefix.encode(), "range_end": end}
        self._call("RoleGrantPermission", rpc.AuthRoleGrantPermissionRequest(name=name, perm=permission))

    def grant(self, user: str, role: str) -> None:
        """Give a user a role."""
        self._call("UserGrantRole", rpc.AuthUserGrantRoleRequest(user=user, role=role))

    def revoke(self, user: str, role: str) -> None:
        """Take a role from a user."""
        self._call("UserRevokeRole", rpc.AuthUserRevokeRoleRequest(name=user, role=role))

    def disable(self) -> None:
        """Let everybody do everything."""
        self._call("AuthDisable", rpc.AuthDisableRequest())

    def enable(self) -> None:
        """Let users do what they may, and nobody else anything."""
        stubs.AuthStub(self._client.channel).AuthEnable(rpc.AuthEnableRequest(), timeout=TIMEOUT_S)

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()

    def _call(self, method: str, request: Any) -> None:
        self._client.ping()  # with a token that is valid
        auth = stubs.AuthStub(self._client.channel)
        getattr(auth, method)(request, timeout=TIMEOUT_S, metadata=self._client.metadata())


@contextmanager
def etcd_lab(directory: Path) -> Iterator[EtcdLab]:
    """Start it and enable authentication."""
    authority, other = Authority(directory, "ca"), Authority(directory, "other")
    served = authority.issue("server")
    port, tls_port = free_port(), free_port()
    plain, tls, elsewhere = f"127.0.0.1:{port}", f"127.0.0.1:{tls_port}", f"127.0.0.2:{tls_port}"
    flags = (
        f"--listen-client-urls=http://{plain},https://{tls},https://{elsewhere}",
        f"--cert-file={served.cert_file}",
        f"--key-file={served.key_file}",
        f"--trusted-ca-file={authority.ca_file}",
        "--client-cert-auth",
        "--auth-token=simple",
        f"--auth-token-ttl={TOKEN_TTL_S}",
        "--log-level=debug",  # tells of each token that has expired
    )
    server = LocalServer("etcd", directory / "server", flags, port=port)
    (directory / "server").mkdir()
    server.start()
    try:
        lab = EtcdLab(server, plain, tls, elsewhere, authority, other, authority.issue("certified"))
        _begin(lab)
        yield lab
    finally:
        server.stop()


def _begin(lab: EtcdLab) -> None:
    opening = EtcdClient(Access((lab.plain,)))
    auth = stubs.AuthStub(opening.channel)
    auth.UserAdd(rpc.AuthUserAddRequest(name="root", password=ROOT_PASSWORD), timeout=TIMEOUT_S)
    auth.RoleAdd(rpc.AuthRoleAddRequest(name="root"), timeout=TIMEOUT_S)
    auth.UserGrantRole(rpc.AuthUserGrantRoleRequest(user="root", role="root"), timeout=TIMEOUT_S)
    auth.AuthEnable(rpc.AuthEnableRequest(), timeout=TIMEOUT_S)
    opening.close()
