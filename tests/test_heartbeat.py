"""The heartbeat: what a killed process leaves, and that it disturbs nothing."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dpc_lightning.heartbeat import Heartbeat


def test_a_killed_process_leaves_its_last_beat(tmp_path: Path) -> None:
    file = tmp_path / "heartbeat.json"
    code = (
        "import sys, time; from pathlib import Path; from dpc_lightning.heartbeat import Heartbeat\n"
        "start = time.monotonic()\n"
        "Heartbeat(Path(sys.argv[1]), lambda: {'s': time.monotonic() - start}, every=0.05).start()\n"
        "print('beats', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "beats\n"
        began = time.monotonic()
        time.sleep(0.4)
        process.send_signal(signal.SIGKILL)
        lived = time.monotonic() - began
    assert lived - 0.3 < Heartbeat.read(file)["s"]


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"train": "much"}', "\0" * 512])
def test_a_torn_file_says_nothing(tmp_path: Path, content: str) -> None:
    file = tmp_path / "heartbeat.json"
    file.write_text(content)
    assert Heartbeat.read(file) == {}


def test_shorter_numbers_leave_nothing_of_longer_ones(tmp_path: Path) -> None:
    numbers = {"train": 123456.789, "score": 5.0}
    heart = Heartbeat(tmp_path / "heartbeat.json", lambda: numbers)
    heart.start()
    numbers.clear()
    heart.stop()
    assert Heartbeat.read(heart.file) == {}
    assert heart.file.read_text().strip() == "{}"


def test_a_place_that_cannot_be_written_does_not_matter(tmp_path: Path) -> None:
    heart = Heartbeat(tmp_path / "absent" / "heartbeat.json", lambda: {"s": 1.0}, every=0.01)
    heart.start()
    heart.stop()
    assert not list(tmp_path.iterdir())


def test_no_process_is_forked_in_the_middle_of_a_beat(tmp_path: Path) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def numbers() -> dict[str, float]:
        if threading.current_thread() is not threading.main_thread():
            inside.set()
            go_on.wait(10)
        return {"s": 1.0}

    heart = Heartbeat(tmp_path / "heartbeat.json", numbers, every=0.01)
    heart.start()
    assert inside.wait(10)
    threading.Timer(0.2, go_on.set).start()
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        heart.beat()  # the lock is free in the child
        os._exit(0)
    waited = time.monotonic() - began
    assert os.waitpid(child, 0)[1] == 0
    heart.stop()
    assert waited > 0.1
