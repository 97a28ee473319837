"""A key of each slot of a Redis Cluster: redis_slots.py write|read WORD HOST PORT [SOCKS_PORT]

Writes them with the word in their values, or reads them and counts those that have it; prints at which nodes the slots were.
With a SOCKS port by PySocks, which leaves all names to the proxy.
"""

import json
import sys
from collections import Counter

import socks
from redis.cluster import RedisCluster
from redis.connection import Connection
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

action, word, host, port, *socks_port = sys.argv[1:]


class SocksConnection(Connection):
    def _connect(self):
        proxy = {"proxy_type": socks.SOCKS5, "proxy_addr": "127.0.0.1", "proxy_port": int(socks_port[0])}
        return socks.create_connection((self.host, int(self.port)), timeout=10, proxy_rdns=True, **proxy)


def key_of_each_slot():
    keys = {}
    number = 0
    while len(keys) < REDIS_CLUSTER_HASH_SLOTS:
        keys.setdefault(key_slot(b"%d" % number), str(number))
        number += 1
    return keys.values()


keys = key_of_each_slot()
values = [f"{word} {key}".encode() for key in keys]
by_socks = {"connection_class": SocksConnection} if socks_port else {}
cluster = RedisCluster.from_url(f"redis://{host}:{port}", socket_connect_timeout=10, socket_timeout=10, **by_socks)
with cluster.pipeline() as pipeline:
    for key, value in zip(keys, values):
        pipeline.set(key, value) if action == "write" else pipeline.get(key)
    answers = pipeline.execute()
right = sum(answer == (True if action == "write" else value) for answer, value in zip(answers, values))
print(json.dumps({"right": right, "slots": Counter(cluster.get_node_from_key(key).host for key in keys)}))
