"""etcd as one node on the loopback interface, with fsync on."""

import http.client
import json
from collections.abc import Sequence
from pathlib import Path

# Eight GiB, and a thousandth of a day's writes at full speed: what the processor's own history handling expects.
FLAGS = (
    "--quota-backend-bytes=8589934592",
    "--auto-compaction-mode=revision",
    "--auto-compaction-retention=10000",
)
ANSWER_TIMEOUT_S = 1.0


def command(program: Path, folder: Path, ports: dict[str, int], extra_flags: Sequence[str]) -> list[str]:
    """Return the command line; `ports` has "client" and "peer", later flags win over ours."""
    client = f"http://127.0.0.1:{ports['client']}"
    peer = f"http://127.0.0.1:{ports['peer']}"
    return [
        str(program),
        "--name=local",
        f"--data-dir={folder}/data",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=local={peer}",
        *FLAGS,
        *extra_flags,
    ]


def is_ready(port: int) -> bool:
    """Tell whether etcd on this port calls itself healthy, that is, has a leader and can write."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_TIMEOUT_S)
    try:
        connection.request("GET", "/health")
        answer = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    return bool(answer.get("health") == "true")
