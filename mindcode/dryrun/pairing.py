"""Do the stages' Sends and Receives fit together? Each rank is compiled alone, so nobody else asks.

problems = unpaired({0: graph_of_rank_0, 8: graph_of_rank_8})
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from mindcode.dryrun.ir import Graph, TensorType


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
    sent, awaited = Counter[Message](), Counter[Message]()
    for rank, graph in graphs.items():
        for collective, count in graph.collectives.items():
            peer = collective.group[0] if collective.group else rank
            if peer not in graphs:
                continue
            if collective.kind == "Send":
                sent[Message(rank, peer, collective.tag, collective.tensor)] += count
            elif collective.kind == "Receive":
                awaited[Message(peer, rank, collective.tag, collective.tensor)] += count
    lost = [f"sent and never received: {message}" for message in (sent - awaited)]
    return lost + [f"awaited and never sent: {message}" for message in (awaited - sent)]
