"""`acls`: the least rights that a processor, its producers, consumers and operators need."""

import sys
from typing import Annotated, Literal

import msgspec
from cyclopts import Parameter

from processor.admin.access import access_of, commands, strimzi
from processor.cli.options import ConfigFile, settings_of
from processor.cli.output import emit_document
from processor.configuration.topics import topic_names

AudienceName = Literal["processor", "producer", "consumer", "operator"]
Form = Literal["commands", "strimzi", "json"]


def acls(
    role: Annotated[
        AudienceName, Parameter(help="Whose rights: of who runs it, sends events, consumes or operates.")
    ] = "processor",
    /,
    *,
    principal: Annotated[
        str | None, Parameter(help="Principal of the ACLs, as in User:me; by default derived from the app.")
    ] = None,
    output: Annotated[
        Form, Parameter(name=["--output", "-o", "--format"], help="A shell script, a KafkaUser, or data.")
    ] = "commands",
    config: ConfigFile = None,
) -> None:
    """Print the least rights at Kafka and etcd as kafka-acls and etcdctl commands, as Strimzi's KafkaUser, or as JSON.

    Names come from the settings: app, topics, prefix. No server is contacted.
    """
    settings = settings_of(config).settings
    access = access_of(settings, topic_names(settings), role, principal)
    match output:
        case "commands":
            servers, endpoints = settings.kafka.bootstrap_servers, settings.etcd.endpoints
            sys.stdout.writelines(f"{line}\n" for line in commands(access, servers=servers, endpoints=endpoints))
        case "strimzi":
            emit_document(strimzi(access), "yaml", name="KafkaUser")
        case "json":
            emit_document(msgspec.to_builtins(access), "json", name="access")
