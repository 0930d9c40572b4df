"""`processor run` of a later build, whose state machine has the next version and follows the same rules.

python -m tests.integration.upgraded
"""

import msgspec

from processor.cluster.machine import ClusterMachine
from tests.integration.mortal import serve


class NextMachine(ClusterMachine):
    """The next version."""

    version = ClusterMachine.version + 1


if __name__ == "__main__":
    serve(lambda domain: msgspec.structs.replace(domain, machine=NextMachine()))
