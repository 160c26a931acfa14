"""Printouts of real models: every total that is given is the true one, and what is not proven is refused."""

import json
import zipfile
from pathlib import Path

import pytest

from convcli.errors import UsageError
from convcli.networks.costs import Convention, costs, together
from convcli.networks.network import Network, Shape
from convcli.networks.notation import format_network, parse, parse_shape
from convcli.networks.readers.torch_printout import read_printout
from convcli.networks.trace import trace

FOLDER = Path(__file__).parent / "printed"
TRUTH = json.loads((FOLDER / "truth.json").read_text())
EXACT = [name for name, true in TRUTH.items() if true["verdict"] == "exact"]
REFUSED = [name for name, true in TRUTH.items() if true["verdict"] == "refused"]


def printed(name: str) -> str:
    """The printout of a model."""
    with zipfile.ZipFile(FOLDER / "printouts.zip") as archive:
        return archive.read(f"{name.replace(':', '-')}.txt").decode()


def numbers(network: Network, shape: Shape) -> dict[str, object]:
    """What a network costs and makes."""
    traced = trace(network, shape)
    total = together(costs(traced, Convention()))
    return {"macs": total.macs, "params": total.params, "output": str(traced.output)}


@pytest.mark.parametrize("name", EXACT)
def test_a_total_that_is_given_is_the_true_one(name: str) -> None:
    """By forward hooks in PyTorch; and the network written as notation reads back as the same."""
    true, network = TRUTH[name], read_printout(printed(name)).network
    shape = parse_shape(true["input"])
    assert {what: true[what] for what in ("macs", "params", "output")} == numbers(network, shape)
    assert numbers(network, shape) == numbers(parse(format_network(network)), shape)


@pytest.mark.parametrize("name", REFUSED)
def test_an_order_that_is_not_proven_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"may branch.*export it: .*--assume-order"):
        read_printout(printed(name))


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("change", ["renamed", "another part", "a part less"])
def test_a_known_class_that_is_not_exactly_itself_is_refused(name: str, change: str) -> None:
    """The model with its first known block, or itself, under another name, with one part more, or one less."""
    lines = printed(name).splitlines()
    if change == "renamed":
        lines[0] = f"My{lines[0]}"
    elif change == "another part":
        lines.insert(1, "  (extra): Identity()")
    else:
        del lines[len(lines) - 2]  # the last part, or the end of a container
    with pytest.raises(UsageError):
        read_printout("\n".join(lines))
