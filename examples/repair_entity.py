"""Repair an entity by hand so that its processor accepts it: entity and head in one guarded transaction.

python examples/repair_entity.py 0 model/iris '{"spec": {"uri": "s3://models/iris-2"}}'
python examples/repair_entity.py 0 model/iris --remove

The etcd that is written to is the one of the processor's own settings (PROCESSOR_...). A live owner reloads and
announces the repair; without one, the next owner does, from what `repaired` in the head tells.
"""

import argparse
import json
import secrets
import sys
from base64 import b64encode

import msgspec

from processor.assembly.connections import store_client
from processor.avro.catalogue import Catalogue
from processor.avro.codec import AvroEncoder
from processor.cluster.machine import ClusterMachine
from processor.configuration.loading import load
from processor.etcd.client import EtcdClient
from processor.etcd.layout import ShardKeys
from processor.etcd.requests import delete, get, modified_at, put, transaction


def main() -> None:
    """Write the repair, or print why it was rejected."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shard", type=int)
    parser.add_argument("entity", help="<kind>/<name>")
    parser.add_argument("fields", nargs="?", help="JSON object: fields and the values they shall have")
    parser.add_argument("--remove", action="store_true", help="remove the entity")
    arguments = parser.parse_args()
    if arguments.remove == (arguments.fields is not None):
        parser.error("give either the fields to change or --remove")
    settings = load().settings
    keys = ShardKeys(settings.etcd.prefix, settings.app, arguments.shard)
    codec = AvroEncoder(Catalogue.load(settings.schemas_dir), ClusterMachine.entity_types)
    fields = None if arguments.remove else json.loads(arguments.fields)
    with store_client(settings) as client:
        sys.exit(repair(client, keys, codec, arguments.entity, fields))


def repair(
    client: EtcdClient, keys: ShardKeys, codec: AvroEncoder, entity: str, fields: dict[str, object] | None
) -> str | None:
    """Write an entity with other fields, None: remove it. Return why it was rejected, None if it was written."""
    answer = client.read(transaction((), (get(keys.head), get(keys.entity(entity)))))
    heads, states = (list(response.response_range.kvs) for response in answer.responses)
    if not heads or not states:
        return f"there is no {entity if heads else 'head'}"
    head = json.loads(heads[0].value)
    if head["pending"]:
        return "entities of past commits are still being written: wait a second"
    # what stood there before, unless a repair that nobody has announced yet tells of it already
    before = {entity: b64encode(states[0].value).decode()}
    head["repaired"] = before | head.get("repaired", {})
    head["commit_id"] = secrets.token_hex(8)
    if fields is None:
        change = delete(keys.entity(entity))
    else:
        stands = codec.decode(entity, states[0].value)
        wanted = msgspec.convert(msgspec.to_builtins(stands) | fields, type(stands))
        change = put(keys.entity(entity), codec.encode(entity, wanted))
    compares = (modified_at(keys.head, heads[0].mod_revision),)
    written = client.transact(transaction(compares, (change, put(keys.head, json.dumps(head).encode())))).result()
    return None if written.succeeded else "the head moved meanwhile: start again"


if __name__ == "__main__":
    main()
