"""The store and the ownership of shards in etcd: the only package that imports etcd3 and grpc.

Only the generated stubs of etcd3 are used, never its client: that one loses watches, tokens and the server's texts.
"""
