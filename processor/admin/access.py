"""The least privileges of each role at Kafka and etcd, as commands, as Strimzi's KafkaUser and as data. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from processor.configuration.settings import Settings
from processor.engine.announcements import Role
from processor.kafka.rights import Audience, Right, rights_of

STRIMZI_TYPES = {"TOPIC": "topic", "GROUP": "group", "TRANSACTIONAL_ID": "transactionalId"}


class Access(msgspec.Struct, frozen=True):
    """The privileges of one principal; `etcd_prefix` is empty for a role that needs no etcd."""

    role: Audience
    principal: str
    rights: tuple[Right, ...]
    etcd_prefix: str


def access_of(settings: Settings, topics: Mapping[Role, str], role: Audience, principal: str | None) -> Access:
    """Return the least access of a role; the principal is by default the user of the settings, or `<app>-<role>`."""
    user = settings.kafka.sasl_username
    named = user.get_secret_value() if user is not None and role == "processor" else f"{settings.app}-{role}"
    etcd = f"{settings.etcd.prefix}/{settings.app}/" if role in {"processor", "operator"} else ""
    return Access(role, principal or f"User:{named}", tuple(rights_of(role, topics, settings.app)), etcd)


def commands(access: Access, *, servers: str, endpoints: Sequence[str]) -> list[str]:
    """Return the lines of a shell script that gives the access."""
    lines = [f"# {access.role}: {access.principal} at Kafka"]
    lines += [right.command(access.principal, servers) for right in access.rights]
    if access.etcd_prefix:
        user = _user(access)
        etcdctl = f"etcdctl --endpoints={','.join(endpoints)} --user root"
        lines += [
            f"# {access.role}: {user} at etcd; for a certificate's user (its CN): user add {user} --no-password",
            "# once for all, before: user add root, user grant-role root root; when all users are there: auth enable",
            f"{etcdctl} role add {user}",
            f"{etcdctl} role grant-permission {user} readwrite {access.etcd_prefix} --prefix=true",
            f"{etcdctl} user add {user}",
            f"{etcdctl} user grant-role {user} {user}",
        ]
    return lines


def strimzi(access: Access) -> dict[str, Any]:
    """Return the KafkaUser for Strimzi's user operator; change its authentication as needed."""
    operations: dict[tuple[str, str, str], list[str]] = {}
    for right in access.rights:
        place = (STRIMZI_TYPES[right.resource], right.name, right.pattern.lower())
        operations.setdefault(place, []).append(right.operation_name)
    acls = [
        {"resource": {"type": kind, "name": name, "patternType": pattern}, "operations": allowed, "host": "*"}
        for (kind, name, pattern), allowed in operations.items()
    ]
    return {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": "KafkaUser",
        "metadata": {"name": _user(access), "labels": {"strimzi.io/cluster": "kafka"}},
        "spec": {"authentication": {"type": "scram-sha-512"}, "authorization": {"type": "simple", "acls": acls}},
    }


def _user(access: Access) -> str:
    return access.principal.removeprefix("User:").removeprefix("CN=")
