"""Nothing but a message of known form is understood, and what is understood is what was sent."""

import socket

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpc_lightning.starter_kit.messages import (
    LONGEST,
    Answer,
    Buy,
    Done,
    Failed,
    MessageError,
    Progress,
    Ready,
    Receiver,
    Refused,
    Time,
    most_indices,
    pack,
    request,
    response,
)

WHOLE = st.integers(-(2**63), 2**63 - 1)


@given(indices=st.lists(WHOLE, min_size=1, max_size=30))
def test_a_purchase_travels(indices: list[int]) -> None:
    said = request(pack(Buy(np.array(indices, dtype=np.int64))))
    assert isinstance(said, Buy)
    assert said.indices.tolist() == indices


@given(share=st.floats(0, 1), seconds=st.floats(allow_nan=False), returned=WHOLE, text=st.text(max_size=50))
def test_other_requests_travel(share: float, seconds: float, returned: int, text: str) -> None:
    for message in (Ready(), Progress(share), Time(seconds), Done(returned)):
        assert request(pack(message)) == message
    said = request(pack(Failed("purchase_phase", text)))
    assert isinstance(said, Failed)
    assert len(said.text) == len(text)
    assert all(char.isprintable() or char == "\n" for char in said.text)


@given(left=st.integers(0, 2**40), classes=st.integers(1, 9), rows=st.integers(0, 9), seed=st.integers(0, 99))
def test_labels_travel(left: int, classes: int, rows: int, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 2, (rows, classes), dtype=np.uint8)
    said = response(pack(Answer(left, labels)), classes)
    assert isinstance(said, Answer)
    assert said.left == left
    assert np.array_equal(said.labels, labels)
    refused = Refused("budget", "none is left")
    assert response(pack(refused), classes) == refused


@given(packet=st.binary(max_size=200))
def test_anything_else_is_refused_and_nothing_worse(packet: bytes) -> None:
    try:
        said = request(packet)
    except MessageError:
        return
    if not isinstance(said, Failed):  # JSON may be written in several ways
        assert pack(said) == packet


@given(classes=st.integers(1, 5000))
def test_an_answer_fits_wherever_its_question_does(classes: int) -> None:
    most = most_indices(classes)
    assert most >= 1
    assert len(pack(Buy(np.zeros(most, dtype=np.int64)))) <= LONGEST
    assert len(pack(Answer(0, np.zeros((most, classes), dtype=np.uint8)))) <= LONGEST


def test_a_message_that_is_too_long_is_refused() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        theirs.send(bytes(LONGEST))
        theirs.send(bytes(LONGEST + 1))
        receiver = Receiver(ours)
        assert len(receiver.receive()) == LONGEST
        with pytest.raises(MessageError, match="at most"):
            receiver.receive()
        theirs.close()
        assert receiver.receive() == b""
