"""Names of networks, checked without Keras."""

from safbage.tasks import SHIPPED


def check_network(network: str) -> str:
    """The name of a network that ships; ValueError where it does not."""
    if network not in SHIPPED:
        raise ValueError(f"network is one of {', '.join(SHIPPED)}; got {network!r}")
    return network
