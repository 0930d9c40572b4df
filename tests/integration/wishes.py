"""What operators, users and the weather do to a cluster: requests, repeats, stale and invalid ones, losses."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from tests.integration.answers import RESPONDERS

Event = tuple[str, Mapping[str, Any]]

GIBIBYTE = 1 << 30
SERVERS = {f"pool-{number}": 4 for number in range(6)}
MODELS = tuple(f"model-{number}" for number in range(150))
PIPELINES = tuple(f"pipeline-{number}" for number in range(12))
EXPERIMENTS = tuple(f"experiment-{number}" for number in range(10))
PINNED_SHARE = 0.6


class Wishes:
    """Decides what happens next by itself; remembers only which generations it has handed out."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._generations: dict[str, int] = {}
        self._choices: dict[Callable[[], Event], float] = {
            self._load: 30,
            self._load_stale: 3,
            self._unload: 8,
            self._scale: 5,
            self._connect: 2,
            self._disconnect: 1,
            self._drain: 0.7,
            self._declare: 6,
            self._ghost: 3,
            self._load_pipeline: 5,
            self._unload_pipeline: 2,
            self._start_experiment: 4,
            self._stop_experiment: 2,
            self._responder: 0.4,
            self._policy: 0.5,
            self._tick: 2,
            self._invalid: 2,
        }

    def opening(self) -> list[Event]:
        """Return a cluster that comes up: responders, declared servers, all their replicas."""
        events: list[Event] = [
            ("ResponderConnected", {"role": role, "responder": name})
            for role, names in RESPONDERS.items()
            for name in names
        ]
        events += [self._declared(server) for server in SERVERS]
        events += [self._connected(server, replica) for server, size in SERVERS.items() for replica in range(size)]
        return events

    def next(self) -> Event:
        """Return one thing that happens."""
        (choice,) = self._random.choices(tuple(self._choices), weights=tuple(self._choices.values()))
        return choice()

    def _generation(self, key: str) -> int:
        self._generations[key] = self._generations.get(key, 0) + 1
        return self._generations[key]

    def _pick(self) -> tuple[str, int]:
        server = self._random.choice(tuple(SERVERS))
        return server, self._random.randrange(SERVERS[server])

    def _load(self) -> Event:
        random, model = self._random, self._random.choice(MODELS)
        spec = {
            "uri": f"s3://models/{model}/{random.randrange(3)}",
            "requirements": random.sample(["cpu", " onnx", "cuda"], random.choice((0, 1, 1, 2))),
            "memory": random.randrange(4) * GIBIBYTE // 4,
            "instances": random.choice((1, 1, 2)),
            "server": random.choice(tuple(SERVERS)) if random.random() < PINNED_SHARE else "",
            "parameters": {name: str(random.randrange(9)) for name in random.sample("abcd", random.randrange(3))},
        }
        replicas = random.choice((0, 1, 1, 1, 2, 2, 3))
        deployment = {"replicas": replicas, "min_replicas": min(replicas, random.randrange(2)), "max_replicas": 0}
        generation = random.choice((0, self._generation(model), self._generation(model)))
        return (
            "ModelLoadRequested",
            {"model": model, "generation": generation, "spec": spec, "deployment": deployment},
        )

    def _load_stale(self) -> Event:
        name, data = self._load()
        return name, {**data, "generation": 1}

    def _unload(self) -> Event:
        model = self._random.choice(MODELS)
        generation = self._random.choice((0, self._generation(model), 1))
        return "ModelUnloadRequested", {"model": model, "generation": generation}

    def _scale(self) -> Event:
        direction = self._random.choice(("up", "down"))
        version = self._random.choice((1, 1, 2, 3))
        return (
            "ModelScaleRequested",
            {"model": self._random.choice(MODELS), "version": version, "direction": direction},
        )

    def _connect(self) -> Event:
        return self._connected(*self._pick())

    def _connected(self, server: str, replica: int) -> Event:
        random = self._random
        loaded = [
            {"model": random.choice(MODELS), "version": random.choice((1, 2))} for _ in range(random.choice((0, 0, 2)))
        ]
        told: dict[str, Any] = {"server": server, "replica": replica, "capabilities": ["cpu", "onnx", "cuda"]}
        told |= {"memory": 16 * GIBIBYTE, "loaded_models": loaded, "inference_host": f"{server}-{replica}"}
        if random.random() < 0.5:
            told["available_memory"] = random.randint(8, 16) * GIBIBYTE
        return "ServerReplicaConnected", told

    def _disconnect(self) -> Event:
        server, replica = self._pick()
        return "ServerReplicaDisconnected", {"server": server, "replica": replica, "reason": "connection lost"}

    def _drain(self) -> Event:
        server, replica = self._pick()
        return "ServerReplicaDraining", {"server": server, "replica": replica}

    def _declare(self) -> Event:
        server = self._random.choice(tuple(SERVERS))
        if self._random.random() < 0.1:
            return "ServerRemoved", {"server": server, "generation": self._generation(server)}
        return self._declared(server)

    def _declared(self, server: str) -> Event:
        expected = self._random.choice((-1, 2, 4, 4, 4))
        told = {"server": server, "expected_replicas": expected, "min_replicas": 0, "max_replicas": 6}
        return "ServerDeclared", {**told, "generation": self._generation(server), "shared": self._random.random() < 0.9}

    def _ghost(self) -> Event:
        server, replica = self._pick()
        told = {"model": self._random.choice(MODELS), "version": 9, "server": server, "replica": replica}
        return "ModelReplicaLoaded", {**told, "available_memory": GIBIBYTE}

    def _load_pipeline(self) -> Event:
        random, name = self._random, self._random.choice(PIPELINES)
        steps = random.sample(MODELS, random.choice((1, 2, 3)))
        described = [
            {"name": step, "inputs": [f"{earlier}.outputs" for earlier in steps[:place]]}
            for place, step in enumerate(steps)
        ]
        told = {"pipeline": name, "generation": self._generation(name), "steps": described}
        return "PipelineLoadRequested", {**told, "output": {"steps": [steps[-1]]}}

    def _unload_pipeline(self) -> Event:
        return "PipelineUnloadRequested", {"pipeline": self._random.choice(PIPELINES), "generation": 0}

    def _start_experiment(self) -> Event:
        name = self._random.choice(EXPERIMENTS)
        candidates = self._random.sample(MODELS[:40], 2)
        told = {"experiment": name, "generation": self._generation(name), "default": candidates[0]}
        weights = [{"name": candidate, "weight": 50} for candidate in candidates]
        mirror = {"name": self._random.choice(MODELS[40:]), "percent": 10} if self._random.random() < 0.5 else None
        return "ExperimentStartRequested", {**told, "candidates": weights, "mirror": mirror}

    def _stop_experiment(self) -> Event:
        return "ExperimentStopRequested", {"experiment": self._random.choice(EXPERIMENTS), "generation": 0}

    def _responder(self) -> Event:
        role = self._random.choice(tuple(RESPONDERS))
        name = self._random.choice(("ResponderConnected", "ResponderConnected", "ResponderDisconnected"))
        return name, {"role": role, "responder": self._random.choice(RESPONDERS[role])}

    def _policy(self) -> Event:
        told = {"retry_interval_ms": self._random.choice((1000, 2000)), "retry_limit": 5, "tombstone_ttl_ms": 500}
        told |= {"scale_down_stabilisation_ms": 100}
        flags = {"model_autoscaling": True, "server_autoscaling": True, "pack_servers": self._random.random() < 0.5}
        return "PolicyChanged", {**told, **flags}

    def _tick(self) -> Event:
        return "ClockTicked", {}

    def _invalid(self) -> Event:
        name, data = self._load()
        return name, {**data, **self._random.choice(({"model": "No Name!"}, {"generation": -1}))}
