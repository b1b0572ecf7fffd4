"""Sums over processes of one machine, through memory that all of them see.

    add_up = meet("job/ranks_0_1", index=0, size=2)        # the same call in both, at about the same time
    total = add_up(array)

MindSpore's AllReduce on CPUs goes through sockets and handles some 300 MB/s. Here every process has a piece of
unnamed memory, whose descriptor the others get through a socket; a killed process leaves nothing behind. A round:
copy a piece of the array to one's own memory, tell the others, wait until all have told, add up what all have there,
in the order of the group. The telling goes through the kernel, which also orders the accesses to memory, wakes who
waits, and notices when a process is gone. Two halves take turns: who hears of round n knows that the other has read
all of round n - 1, so the half of round n - 2 is free.
"""

import mmap
import os
import socket
import struct
import time
from collections.abc import Sequence

import numpy as np

HALF = 4 << 20
"""Bytes of a round."""
PATIENCE = 600.0
"""Seconds to wait for the others before the first sum."""
_TOLD = struct.Struct("<QQ")
"""The number of the sum, the bytes of its array."""
_HELLO = struct.Struct("<I")
_CREDENTIALS = struct.Struct("3i")


class SharedSum:
    """array -> its sum over the group, of the same shape and type in all of them."""

    def __init__(self, memories: Sequence[mmap.mmap], links: Sequence[socket.socket], index: int) -> None:
        """`memories` of all members, in order; `links` to the other members."""
        self._halves = [[np.frombuffer(m, np.uint8, HALF, half * HALF) for m in memories] for half in (0, 1)]
        self._links, self._index = links, index
        self._sums = self._rounds = 0

    def __call__(self, array: np.ndarray) -> np.ndarray:
        """Return the sum. Raises RuntimeError when another process is gone, or sums something else."""
        flat, total = np.ascontiguousarray(array).reshape(-1), np.empty(array.size, array.dtype)
        self._sums += 1
        told, step = _TOLD.pack(self._sums, array.nbytes), HALF // array.itemsize
        for start in range(0, flat.size, step):
            self._round(flat[start : start + step], total[start : start + step], told)
        return total.reshape(array.shape)

    def _round(self, piece: np.ndarray, total: np.ndarray, told: bytes) -> None:
        parts = [half[: piece.nbytes].view(piece.dtype) for half in self._halves[self._rounds % 2]]
        self._rounds += 1
        np.copyto(parts[self._index], piece)
        self._meet_all(told)
        np.add(parts[0], parts[1], out=total)
        for part in parts[2:]:
            np.add(total, part, out=total)

    def _meet_all(self, told: bytes) -> None:
        """Return when all have come to the same round."""
        try:
            for link in self._links:
                link.sendall(told)
            heard = [link.recv(_TOLD.size, socket.MSG_WAITALL) for link in self._links]
        except ConnectionError:
            heard = [b""]
        if b"" in heard:
            raise RuntimeError("another process of the job has ended")
        if any(words != told for words in heard):
            raise RuntimeError("the processes of the job add up different things")


def meet(name: str, index: int, size: int) -> SharedSum:
    """Connect the `size` members of the group `name`, in which this process has a place of its own.

    Raises OSError when one does not come in time, or is a process of another user.
    """
    links = _links(name, index, size)
    memories = [_own_memory(name) if place == index else -1 for place in range(size)]
    for link in links.values():
        socket.send_fds(link, [_HELLO.pack(index)], [memories[index]])
    for place, link in links.items():
        memories[place] = socket.recv_fds(link, _HELLO.size, 1)[1][0]
    mapped = [mmap.mmap(memory, 2 * HALF) for memory in memories]
    for memory in memories:
        os.close(memory)
    return SharedSum(mapped, list(links.values()), index)


def _own_memory(name: str) -> int:
    memory = os.memfd_create(name.replace("/", "-"))
    os.ftruncate(memory, 2 * HALF)
    return memory


def _links(name: str, index: int, size: int) -> dict[int, socket.socket]:
    """Connect every pair of members: the one with the higher place calls the other."""
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(_address(name, index))
        door.listen(size)
        door.settimeout(PATIENCE)
        links = {place: _called(_address(name, place), index) for place in range(index)}
        while len(links) < size - 1:
            link = _of_this_user(door.accept()[0])
            links[_HELLO.unpack(link.recv(_HELLO.size, socket.MSG_WAITALL))[0]] = link
    return links


def _called(address: bytes, index: int) -> socket.socket:
    """Connect to a member as soon as it listens."""
    deadline = time.monotonic() + PATIENCE
    while True:
        link = socket.socket(socket.AF_UNIX)
        try:
            link.connect(address)
            break
        except ConnectionRefusedError:
            link.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    _of_this_user(link).sendall(_HELLO.pack(index))
    return link


def _address(name: str, place: int) -> bytes:
    """Return a name that is no file and ends with its socket (Linux)."""
    return f"\0mindcode/{os.getuid()}/{name}/{place}".encode()


def _of_this_user(link: socket.socket) -> socket.socket:
    """Anybody may take such a name; whoever did must be a process of the same user."""
    _, user, _ = _CREDENTIALS.unpack(link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    if user != os.getuid():
        raise PermissionError(f"user {user} listens where a process of this job should")
    link.settimeout(None)
    return link
