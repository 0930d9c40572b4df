"""What users, servers and strangers send in the random world, whether or not it fits the state."""

from collections.abc import Callable
from random import Random
from typing import Any

from tests.reference.words import Json, candidate_serves

Event = tuple[str, Json]

MODELS = ["ant", "bee", "cat", "dog"]
PIPELINES = ["flow", "river"]
EXPERIMENTS = ["duel", "trial"]
ROLES = ["dataflow_engine", "pipeline_gateway"]


class Requests:
    """Draws from few names and small numbers, so that events meet each other."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.servers = [f"s{number}" for number in range(random.randint(1, 4))]
        self.replicas = random.randint(1, 4)
        self.models = MODELS[: random.randint(1, 4)]
        self.generations = random.choice([[0], [0, 0, 1], [0, 1, 2], [1, 2, 3]])
        self.capabilities = random.choice([["x"], ["x"], ["x", "y"], ["x", " y ", "z"]])
        self.memory = random.choice([[100], [100, 200], [200, 300], [50, 100, 300], [1000], [1000]])
        self.alike = random.choice([[], [], [], [100], [50, 100]])
        self.orderly = random.choice([0.5, 0.9, 1.0])
        weights = {
            self.load_model: 12,
            self.unload_model: 4,
            self.scale_model: 5,
            self.connect_replica: 14,
            self.disconnect_replica: 5,
            self.drain_replica: 3,
            self.declare_server: 6,
            self.remove_server: 2,
            self.change_policy: 1,
            self.tick: 6,
            self.load_pipeline: 5,
            self.unload_pipeline: 2,
            self.start_experiment: 5,
            self.stop_experiment: 2,
            self.connect_responder: 4,
            self.disconnect_responder: 2,
        }
        focus = [random.choice([1, 1, 1, 3, 3, 0]) * weight for weight in weights.values()]
        models, rest = random.choice([(1, 1), (3, 0), (1, 0), (1, 3), (1, 5)])
        factors = [models] * 10 + [rest] * (len(weights) - 10)
        self.makers: dict[Callable[[Json], Event], int] = dict(
            zip(weights, [weight * factor for weight, factor in zip(focus, factors, strict=True)], strict=True)
        )
        self.makers[self.tick] += 1
        self.makers[self.load_model] += 4

    def any(self, state: Json) -> Event:
        return self.random.choices(list(self.makers), list(self.makers.values()))[0](state)

    def warm_up(self) -> list[Event]:
        """Return what makes a cluster ready to take models and pipelines."""
        places = [{"server": server, "replica": index} for server in self.servers for index in range(self.replicas)]
        cluster: list[Event] = [
            ("ServerReplicaConnected", {**place, "memory": max(self.memory), "capabilities": self.capabilities})
            for place in places
            if self.chance(0.8)
        ]
        if self.chance(0.5):
            pairs = [{"role": role, "responder": name} for role in ROLES for name in ("r0", "r1")]
            cluster += [("ResponderConnected", pair) for pair in pairs if self.chance(0.8)]
        if self.chance(0.4):
            cluster += [self.declare_server({}) for _ in self.servers]
        if self.chance(0.3):
            cluster += [self.change_policy({})]
        return cluster

    def pick(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def reason(self) -> str:
        return str(self.pick("", "no disk", "busy", "lost"))

    def generation(self) -> Json:
        generation = self.random.choice(self.generations)
        return {} if generation == 0 and self.chance(0.5) else {"generation": generation}

    def known(self, table: Json, names: list[str]) -> str:
        """Return a name of a table mostly, else any."""
        there = [name for name in names if name in table]
        return self.random.choice(there if there and self.chance(0.85) else names)

    def connected_replica(self, state: Json) -> Json:
        """Return one that is connected mostly, else any."""
        there = [(name, index) for name in sorted(state["servers"]) for index in state["servers"][name]["replicas"]]
        if not there or self.chance(0.15):
            return self.at_replica()
        server, index = self.random.choice(there)
        return {"server": server, "replica": int(index)}

    def at_replica(self) -> Json:
        return {"server": self.random.choice(self.servers), "replica": self.random.randrange(self.replicas)}

    def load_model(self, state: Json) -> Event:
        name = self.random.choice(self.models)
        known = state["models"].get(name)
        spec: Json = {"uri": self.pick("one", "one", "two")}
        if self.alike:
            spec["memory"] = self.random.choice(self.alike)
        elif known and self.chance(0.5):
            spec = dict(known["versions"][-1]["spec"])
        else:
            spec["memory"] = self.pick(0, 50, 50, 100, 100, 150)
            spec["requirements"] = self.pick([], [], [], [], ["x"], ["x "], ["x", "x"], ["y", "x"])
            spec |= {"instances": 2} if self.chance(0.1) else {}
            spec |= {"server": self.random.choice([*self.servers, "s9"])} if self.chance(0.1) else {}
            spec |= {"parameters": {"a": self.pick("1", "2")}} if self.chance(0.1) else {}
        data = {"model": name, **self.generation(), "spec": spec, "deployment": self.deployment()}
        if self.chance(0.1):
            del data["deployment"]
        return "ModelLoadRequested", data

    def deployment(self) -> Json:
        replicas = self.pick(0, 1, 1, 1, 2, 2, 3, 4)
        minimum = self.random.randint(0, replicas) if self.chance(0.6) else 0
        maximum = replicas + self.random.randint(0, 2) if replicas and self.chance(0.4) else 0
        if self.chance(0.05):
            minimum = self.random.randint(0, 3)
        return {"replicas": replicas, "min_replicas": minimum, "max_replicas": maximum}

    def unload_model(self, state: Json) -> Event:
        return "ModelUnloadRequested", {"model": self.known(state["models"], self.models), **self.generation()}

    def scale_model(self, state: Json) -> Event:
        name = self.known(state["models"], self.models)
        known = state["models"].get(name)
        version = known["versions"][-1]["version"] if known and self.chance(0.9) else self.random.randint(1, 3)
        return "ModelScaleRequested", {"model": name, "version": version, "direction": self.pick("up", "down")}

    def connect_replica(self, state: Json) -> Event:
        where = self.at_replica()
        data: Json = {**where, "memory": self.random.choice(self.memory)}
        data["capabilities"] = self.capabilities if self.chance(0.95) else []
        if self.chance(0.7):
            data["loaded_models"] = self.loaded_there(state, where)
            data["available_memory"] = self.pick(0, 50, data["memory"], data["memory"])
        if self.chance(0.1):
            data |= {"shared": False}
        if self.chance(0.2):
            data |= {"inference_host": "h", "http_port": 80, "grpc_port": 90}
        return "ServerReplicaConnected", data

    def loaded_there(self, state: Json, where: Json) -> list[Json]:
        """Return what might be loaded on a server replica: some of what should be, now and then what should not."""
        found = [
            {"model": name, "version": version["version"]}
            for name, model in state["models"].items()
            for version in model["versions"]
            if version["server"] == where["server"]
            and str(where["replica"]) in version["replicas"]
            and self.chance(0.8)
        ]
        while self.chance(0.2):
            found.append({"model": self.random.choice([*MODELS, "ghost"]), "version": self.pick(1, 1, 2, 3)})
        return found

    def disconnect_replica(self, state: Json) -> Event:
        return "ServerReplicaDisconnected", {**self.connected_replica(state), "reason": self.reason()}

    def drain_replica(self, state: Json) -> Event:
        return "ServerReplicaDraining", self.connected_replica(state)

    def declare_server(self, _: Json) -> Event:
        data: Json = {"server": self.random.choice(self.servers), **self.generation()}
        if self.chance(0.8):
            data |= {"expected_replicas": self.pick(-1, 0, 1, 2, 2, 3, 4), "min_replicas": self.pick(0, 0, 1, 2)}
            data |= {"max_replicas": self.pick(0, 1, 3, 5, 5), "shared": self.chance(0.75)}
        return "ServerDeclared", data

    def remove_server(self, _: Json) -> Event:
        return "ServerRemoved", {"server": self.random.choice(self.servers), **self.generation()}

    def change_policy(self, _: Json) -> Event:
        return "PolicyChanged", {
            "retry_interval_ms": self.pick(0, 1000, 60_000),
            "retry_limit": self.pick(0, 1, 2, 10),
            "tombstone_ttl_ms": self.pick(0, 5000, 86_400_000),
            "scale_down_stabilisation_ms": self.pick(0, 1000, 60_000),
            "model_autoscaling": self.chance(0.8),
            "server_autoscaling": self.chance(0.8),
            "pack_servers": self.chance(0.5),
        }

    def tick(self, _: Json) -> Event:
        return "ClockTicked", {}

    def load_pipeline(self, _: Json) -> Event:
        name = self.random.choice(PIPELINES)
        known = [*self.models, name, "zebra"]
        steps = [self.step(name, known, self.random.choice(known)) for _ in range(self.pick(0, 1, 1, 2, 2, 3))]
        if self.chance(self.orderly):
            chosen = self.random.sample(self.models, min(len(self.models), self.pick(1, 1, 2, 3)))
            steps = [self.step(name, chosen[:place], each) for place, each in enumerate(chosen)]
        output = {"output": {"steps": [self.reference([name])]}} if self.chance(0.2) else {}
        cycles = {"allow_cycles": self.chance(0.7)} if self.chance(0.3) else {}
        return "PipelineLoadRequested", {"pipeline": name, **self.generation(), "steps": steps, **output, **cycles}

    def step(self, pipeline: str, known: list[str], name: str) -> Json:
        step: Json = {"name": name}
        if self.chance(0.3):
            step["inputs"] = [self.reference([*known, pipeline]) for _ in range(self.pick(1, 1, 2))]
        if self.chance(0.1):
            step["triggers"] = [self.reference([*known, pipeline])]
        if self.chance(0.2):
            step |= {"batch_size": self.pick(0, 8), "inputs_join": self.pick("inner", "any")}
        return step

    def reference(self, names: list[str]) -> str:
        name = self.random.choice(names)
        common = ["", "", "", ".inputs", ".inputs.t", ".outputs.t"]
        odd = [".", ".output", ".outputs.", ".outputs.a.b", ".t", ".outputs. ", ".Inputs", " ", ".outputs.\n"]
        return str(name + self.random.choice(odd if self.chance(0.05) else common))

    def unload_pipeline(self, state: Json) -> Event:
        return "PipelineUnloadRequested", {"pipeline": self.known(state["pipelines"], PIPELINES), **self.generation()}

    def start_experiment(self, state: Json) -> Event:
        kind = self.pick("model", "model", "pipeline")
        things = self.models if kind == "model" else PIPELINES
        if self.chance(0.8):
            serving = [name for name in things if candidate_serves(state, kind, name)]
            things = serving or things
        names = [self.random.choice(things) for _ in range(self.pick(0, 1, 1, 2, 2, 3))]
        if self.chance(self.orderly):
            names = self.random.sample(things, min(len(things), self.pick(1, 1, 2)))
        data: Json = {"experiment": self.random.choice(EXPERIMENTS), **self.generation()}
        data |= {"kind": kind, "candidates": [{"name": name, "weight": self.pick(1, 50)} for name in names]}
        if self.chance(0.4):
            data["default"] = self.random.choice([*names, *names, *names, "ant"])
        if self.chance(0.3):
            left = [name for name in things if name not in names] or things
            data["mirror"] = {"name": self.random.choice(left if self.chance(0.9) else things), "percent": 10}
        return "ExperimentStartRequested", data

    def stop_experiment(self, state: Json) -> Event:
        name = self.known(state["experiments"], EXPERIMENTS)
        return "ExperimentStopRequested", {"experiment": name, **self.generation()}

    def responder(self) -> Json:
        return {"role": self.random.choice(ROLES), "responder": self.pick("r0", "r1")}

    def connect_responder(self, _: Json) -> Event:
        return "ResponderConnected", self.responder()

    def disconnect_responder(self, _: Json) -> Event:
        return "ResponderDisconnected", self.responder()
