"""Do the stages' Sends and Receives fit together? Each rank is compiled alone, so nobody else asks.

problems = unpaired({0: graph_of_rank_0, 8: graph_of_rank_8})
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mindcode.dryrun.ir import Collective, Graph, TensorType


@dataclass(frozen=True)
class Message:
    """A tensor on its way between two ranks."""

    source: int
    target: int
    tag: int
    tensor: TensorType

    def __str__(self) -> str:
        """In words, for an error line."""
        return f"{self.tensor} from rank {self.source} to rank {self.target} (number {self.tag})"


def unpaired(graphs: Mapping[int, Graph]) -> list[str]:
    """Return a line for each tensor that is sent and never received, or awaited and never sent.

    Only messages between the given ranks count: of the others one side is not known.
    """
    there, here = sent(graphs), awaited(graphs)
    lost = [f"sent and never received: {message}" for message in there - here]
    return lost + [f"awaited and never sent: {message}" for message in here - there]


def sent(graphs: Mapping[int, Graph]) -> Counter[Message]:
    """Return what the ranks send each other."""
    found: Counter[Message] = Counter()
    for rank, peer, collective, count in _with(graphs, "Send"):
        found[Message(rank, peer, collective.tag, collective.tensor)] += count
    return found


def awaited(graphs: Mapping[int, Graph]) -> Counter[Message]:
    """Return what the ranks wait for from each other."""
    found: Counter[Message] = Counter()
    for rank, peer, collective, count in _with(graphs, "Receive"):
        found[Message(peer, rank, collective.tag, collective.tensor)] += count
    return found


def _with(graphs: Mapping[int, Graph], kind: str) -> Iterator[tuple[int, int, Collective, int]]:
    """Yield rank, partner, communication and count of those of a kind whose partner is given, too."""
    for rank, graph in graphs.items():
        for collective, count in graph.collectives.items():
            if collective.kind == kind and collective.group[0] in graphs:
                yield rank, collective.group[0], collective, count
