"""The store and the ownership of shards in etcd: the only package that imports etcd3 and grpc.

Only the generated stubs of etcd3 are used, never its client: that one loses watches, tokens and the server's texts.
"""

import os

# gRPC's core writes to stderr by itself, several lines a failed connection, in a form of its own. What it knows stands
# in the errors, too; who wants to see more sets the variable.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
