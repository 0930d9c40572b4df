import pytest

from processor.configuration.loading import SettingsError, load

KUBERNETES = {
    "PROCESSOR_SERVICE_HOST": "10.96.12.7",
    "PROCESSOR_SERVICE_PORT": "8080",
    "PROCESSOR_SERVICE_PORT_HTTP_METRICS": "8080",
    "PROCESSOR_PORT": "tcp://10.96.12.7:8080",
    "PROCESSOR_PORT_8080_TCP": "tcp://10.96.12.7:8080",
    "PROCESSOR_PORT_8080_TCP_PROTO": "tcp",
    "PROCESSOR_PORT_8080_TCP_PORT": "8080",
    "PROCESSOR_PORT_8080_TCP_ADDR": "10.96.12.7",
    "PROCESSOR_ETCD_SERVICE_HOST": "fd00::17",
    "PROCESSOR_ETCD_PORT": "tcp://[fd00::17]:2379",
    "PROCESSOR_ETCD_PORT_2379_TCP_ADDR": "fd00::17",
    "PROCESSOR_HTTP_PORT": "udp://10.96.12.8:53",
    "PROCESSOR_HTTP_PORT_53_UDP_PROTO": "udp",
    "PROCESSOR__X_SERVICE_HOST": "10.96.12.9",
}
DOCKER_LINK = {
    "PROCESSOR_NAME": "/web/processor",
    "PROCESSOR_ENV_PATH": "/usr/bin",
    "PROCESSOR_ENV_EMPTY": "",
    "PROCESSOR_PORT": "tcp://172.17.0.5:9092",
    "PROCESSOR_PORT_9092_TCP_START": "tcp://172.17.0.5:9092",
    "PROCESSOR_PORT_9092_TCP_PORT_END": "9094",
}


@pytest.mark.parametrize("injected", [KUBERNETES, DOCKER_LINK], ids=["kubernetes", "docker"])
def test_what_kubernetes_and_docker_inject_is_ignored(injected: dict[str, str]) -> None:
    loaded = load(environment={**injected, "PROCESSOR_APP": "shop"})
    assert loaded.settings.app == "shop"
    assert {name for name, origin in loaded.origins.items() if origin != "default"} == {"app"}


@pytest.mark.parametrize(
    ("variable", "value", "nearest"),
    [
        ("PROCESSOR_ETCD_PREFIX", "/mine", "PROCESSOR_ETCD__PREFIX"),
        ("PROCESSOR_ETCD_PREFIX", "tcp://10.0.0.1:1", "PROCESSOR_ETCD__PREFIX"),
        ("PROCESSOR_HTTP_ADDRESS", "10.0.0.1", "PROCESSOR_HTTP__ADDRESS"),
        ("PROCESSOR_SERVERS", "tcp://10.0.0.1:80", "PROCESSOR_SERVER"),
        ("PROCESSOR_PORT", "8080", "PROCESSOR_"),
        ("PROCESSOR_PORT", "http://10.0.0.1:8080", "PROCESSOR_"),
        ("PROCESSOR_PORT", "tcp://10.0.0.1", "PROCESSOR_"),
        ("PROCESSOR_PORT", "tcp://10.0.0.1:99999", "PROCESSOR_"),
        ("PROCESSOR_PORT", "tcp://[::1:80", "PROCESSOR_"),
        ("PROCESSOR_SERVICE_HOST", "kafka", "PROCESSOR_"),
        ("PROCESSOR_SERVICE_PORT", "²", "PROCESSOR_"),
        ("PROCESSOR_SERVICE_PORT", "http", "PROCESSOR_"),
        ("PROCESSOR_NAME", "processor", "PROCESSOR_"),
        ("PROCESSOR_ENV_PATH", "/usr/bin", "PROCESSOR_"),
        ("PROCESSOR_PORT_8080_TCP_STATE", "tcp", "PROCESSOR_"),
    ],
)
def test_a_typo_is_still_caught(variable: str, value: str, nearest: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environment={variable: value})
    (problem,) = caught.value.problems
    assert problem.startswith(f"{variable} is no setting of the processor; the nearest one is {nearest}")
