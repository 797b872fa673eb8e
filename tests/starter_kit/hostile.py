"""Entries that cheat, break, hang and blow up, each with what must come of it."""

from dataclasses import dataclass, field
from typing import Any

RAW = """
import socket, struct, os, stat
def channel():
    for number in range(3, 64):
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                return socket.socket(fileno=os.dup(number))
        except OSError:
            pass
"""


@dataclass(frozen=True)
class Hostile:
    """An entry and its end.

    Attributes:
        name: of the attack.
        code: body of `purchase_phase`, or of the file if `whole`.
        how: how the run must end.
        bought: indices that the ledger must hold; None where only the budget is held against it.
        printed: what it must have printed, so that the attack was really tried.
        said: what the record must say.
        whole: whether the code is a whole file.
        settings: of the host.
    """

    name: str
    code: str
    how: str = "finished"
    bought: list[int] | None = field(default_factory=list)
    printed: str = ""
    said: str = ""
    whole: bool = False
    settings: dict[str, Any] = field(default_factory=dict)


def refused(index: str, error: str) -> str:
    """A purchase of what is no index of the pool."""
    return f"""
import numpy as np
try:
    pool.purchase_label({index})
except {error} as caught:
    print("refused", type(caught).__name__)
"""


OUT_OF_TIME = {"seconds": 1.0}

HOSTILE = [
    # what it gives back
    Hostile(
        "returns a dict with repeated keys",
        "pool.purchase_label(3)\nreturn dict([(1, 0), (1, 1), (2, 0)])",
        bought=[3],
    ),
    Hostile(
        "returns a dict that lies about its length",
        """
        class Liar(dict):
            def __len__(self): return 10**6
            def __iter__(self): return iter(range(60))
        pool.purchase_label(0)
        return Liar()
        """,
        bought=[0],
    ),
    Hostile(
        "returns a dict whose length raises",
        """
        class Bomb(dict):
            def __len__(self): raise SystemExit("boom")
        return Bomb()
        """,
    ),
    Hostile("returns labels of images not bought", "return {i: [1] * 6 for i in range(60)}"),
    Hostile("returns itself, endlessly nested", "x = []\nx.append(x)\npool.purchase_label(7)\nreturn x", bought=[7]),
    # what it asks for
    Hostile(
        "buys an image twice",
        "a = pool.purchase_label(4)\nb = pool.purchase_label(4)\nassert (a == b).all()\nprint('equal')",
        bought=[4],
        printed="equal",
    ),
    Hostile("buys a negative index", refused("-1", "IndexError"), printed="refused IndexError"),
    Hostile("buys a bool", refused("True", "TypeError"), printed="refused TypeError"),
    Hostile("buys a NumPy bool", refused("np.bool_(1)", "TypeError"), printed="refused TypeError"),
    Hostile("buys a float", refused("1.0", "TypeError"), printed="refused TypeError"),
    Hostile("buys NaN", refused("float('nan')", "TypeError"), printed="refused TypeError"),
    Hostile("buys a huge index", refused("10**30", "IndexError"), printed="refused IndexError"),
    Hostile("buys past the end", refused("len(pool)", "IndexError"), printed="refused IndexError"),
    Hostile("buys a string", refused("'3'", "TypeError"), printed="refused TypeError"),
    Hostile("buys None", refused("None", "TypeError"), printed="refused TypeError"),
    Hostile("buys a NumPy integer", "import numpy as np\npool.purchase_label(np.int32(9))", bought=[9]),
    Hostile(
        "buys by an object that changes its mind",
        """
        class Moody:
            n = 0
            def __index__(self):
                Moody.n += 1
                return Moody.n
        label = pool.purchase_label(Moody())
        """,
        bought=[1],
    ),
    Hostile(
        "repeats an index within a call",
        "try:\n    pool.purchase_labels([1, 2, 1])\nexcept IndexError:\n    print('refused')",
        printed="refused",
    ),
    Hostile(
        "asks for more than the budget at once",
        """
        from evaluator.exceptions import OutOfBudgetException
        try:
            pool.purchase_labels(range(6))
        except OutOfBudgetException:
            print("refused")
        pool.purchase_labels(range(5))
        """,
        bought=[0, 1, 2, 3, 4],
        printed="refused",
    ),
    Hostile(
        "buys in threads",
        """
        import threading
        def buy(start):
            for index in range(start, 60, 8):
                try:
                    pool.purchase_label(index)
                except Exception as error:
                    print(type(error).__name__)
                    return
        threads = [threading.Thread(target=buy, args=(n,)) for n in range(8)]
        for each in threads: each.start()
        for each in threads: each.join()
        """,
        bought=None,
        printed="OutOfBudgetException",
    ),
    Hostile(
        "buys in forked children",
        """
        import os
        for n in range(3):
            if os.fork() == 0:
                try:
                    pool.purchase_label(n)
                except RuntimeError:
                    print("refused", flush=True)
                os._exit(0)
            os.wait()
        """,
        printed="refused",
    ),
    Hostile(
        "forked children write to the channel",
        RAW
        + """
pids = []
for n in range(4):
    pid = os.fork()
    if pid == 0:
        end = channel()
        for index in range(n, 60, 4):
            end.send(b"B" + struct.pack("<q", index))
        os._exit(0)
    pids.append(pid)
for pid in pids: os.waitpid(pid, 0)
print("written")
""",
        bought=None,
        printed="written",
    ),
    # time
    Hostile(
        "buys after the deadline",
        """
        import time
        from evaluator.exceptions import OutOfTimeException
        time.sleep(1.2)
        try:
            pool.purchase_label(1)
        except OutOfTimeException:
            print("too late", flush=True)
        """,
        printed="too late",
        said="finished after its time",
        settings=OUT_OF_TIME,
    ),
    Hostile(
        "catches the budget exception for ever",
        """
        index = 0
        while True:
            try:
                pool.purchase_label(index % 60)
            except Exception:
                pass
            index += 1
        """,
        how="out of time",
        bought=[0, 1, 2, 3, 4],
        settings=OUT_OF_TIME,
    ),
    Hostile(
        "stops the clocks of its own process",
        """
        import time
        for name in ("time", "monotonic", "perf_counter", "process_time"):
            setattr(time, name, lambda: 0.0)
        pool.purchase_label(2)
        while True: pass
        """,
        how="out of time",
        bought=[2],
        settings=OUT_OF_TIME,
    ),
    Hostile(
        "says again that it is ready, for a new clock",
        RAW
        + """
import time
end = channel()
start = time.monotonic()
while time.monotonic() - start < 20:
    end.send(b"R")
    time.sleep(0.05)
""",
        how="out of time",
        settings=OUT_OF_TIME,
    ),
    Hostile("hangs", "while True: pass", how="out of time", settings=OUT_OF_TIME),
    Hostile("sleeps", "import time\ntime.sleep(1000)", how="out of time", settings=OUT_OF_TIME),
    Hostile(
        "ignores every signal and sleeps",
        """
        import signal, time
        for number in range(1, 32):
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): pass
        pool.purchase_label(0)
        while True: time.sleep(1)
        """,
        how="out of time",
        bought=[0],
        settings=OUT_OF_TIME,
    ),
    Hostile(
        "fills the channel and reads no answer",
        RAW
        + """
end = channel()
while True:
    end.send(b"T" + struct.pack("<d", 0))
""",
        how="out of time",
        settings=OUT_OF_TIME,
    ),
    # its own process
    Hostile(
        "changes dataset, exception and random",
        """
        import random, evaluator.dataset, evaluator.exceptions
        from dpc_lightning.starter_kit import datasets, shop
        evaluator.exceptions.OutOfBudgetException = ValueError
        shop.EXCEPTIONS["budget"] = type("Harmless", (Exception,), {})
        datasets.UnlabelledDataset.__len__ = lambda self: 10
        random.random = lambda: 0.5
        for index in range(60):
            try: pool.purchase_label(index)
            except Exception as error: print(type(error).__name__)
        """,
        bought=[0, 1, 2, 3, 4],
        printed="Harmless",
    ),
    Hostile(
        "changes the dataset's length and returns",
        "import numpy as np\npool._pixels = np.zeros((10**6, 1, 1, 3), np.uint8)\npool.purchase_label(59)\n"
        "print(len(pool))\nreturn {n: 0 for n in range(len(pool))}",
        bought=[59],
        printed="1000000",
    ),
    Hostile(
        "raises the budget in its own process",
        """
        import gc
        from dpc_lightning.starter_kit.shop import Shop
        for each in gc.get_objects():
            if isinstance(each, Shop): each._budget = 10**6
        try:
            for index in range(60): pool.purchase_label(index)
        except Exception as error:
            print(type(error).__name__, index)
        """,
        bought=[0, 1, 2, 3, 4],
        printed="OutOfBudgetException 5",
    ),
    Hostile("ends itself", "import os\npool.purchase_label(8)\nos._exit(3)", how="gone", bought=[8], said="status 3"),
    Hostile("crashes", "import ctypes\nctypes.string_at(0)", how="gone", said="SIGSEGV"),
    Hostile(
        "uses up the memory",
        "hold = []\nwhile True: hold.append(bytearray(b'x' * 2**25))",
        how="gone",
        said="memory",
        settings={"memory_gb": 0.4},
    ),
    Hostile(
        "fills its disk",
        """
        try:
            with open("big", "wb") as file:
                while True: file.write(b"x" * 2**20)
        except OSError as error:
            print("full", error.errno)
        pool.purchase_label(6)
        """,
        bought=[6],
        printed="full",
    ),
    Hostile(
        "forks without end",
        """
        import os
        made = 0
        try:
            while True:
                if os.fork() == 0:
                    while True: os.fork()
                made += 1
        except OSError:
            print("bounded", flush=True)
        while True: pass
        """,
        how="out of time",
        printed="bounded",
        settings={**OUT_OF_TIME, "processes": 40},
    ),
    Hostile(
        "prints a gigabyte",
        "import os\nline = b'x' * 2**20\nfor _ in range(1024): os.write(1, line)\npool.purchase_label(1)",
        bought=[1],
        printed="bytes left out",
    ),
    Hostile(
        "leaves processes behind",
        """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(4711)
            os._exit(0)
        os.wait()
        pool.purchase_label(5)
        """,
        bought=[5],
    ),
    Hostile(
        "kills everybody it can",
        """
        import os, signal
        for process in (os.getppid(), HOST, -1, 1, 0):
            try:
                if process: os.kill(process, signal.SIGKILL)
                print("sent", process, flush=True)
            except (ProcessLookupError, PermissionError) as error:
                print("spared", process, flush=True)
        pool.purchase_label(2)
        """,
        bought=[2],
        printed="spared",
    ),
    Hostile(
        "raises what is not caught by most",
        "pool.purchase_label(0)\nraise KeyboardInterrupt",
        how="raised",
        bought=[0],
        said="KeyboardInterrupt",
    ),
    Hostile(
        "raises with a text for the terminal",
        "raise ValueError(chr(27) + '[2J' + 'x' * 10**6)",
        how="raised",
        said="xxx",
    ),
    # the channel
    Hostile("sends nonsense", RAW + "channel().send(bytes(range(256)))", how="malformed", said="known kind"),
    Hostile("sends a pickle", RAW + "import pickle\nchannel().send(pickle.dumps({}))", how="malformed"),
    Hostile("sends half an index", RAW + 'channel().send(b"B1234567")', how="malformed", said="8-byte"),
    Hostile("sends no index", RAW + 'channel().send(b"B")', how="malformed", said="8-byte"),
    Hostile("sends a message that is too long", RAW + 'channel().send(b"B" + bytes(200_000))', how="malformed"),
    Hostile("asks for too many", RAW + 'channel().send(b"B" + bytes(8 * 16_001))', how="malformed", said="at most"),
    Hostile("sends NaN as progress", RAW + 'channel().send(b"P" + struct.pack("<d", float("nan")))', how="malformed"),
    Hostile("sends nested JSON", RAW + 'channel().send(b"F" + b"[" * 100_000)', how="malformed"),
    Hostile("sends JSON of other types", RAW + """channel().send(b'F{"phase": 1, "text": []}')""", how="malformed"),
    Hostile(
        "says that it is done and goes on buying",
        RAW + 'end = channel()\nend.send(b"D" + struct.pack("<q", 3))\nend.send(b"B" + struct.pack("<q", 3))',
        bought=[],
    ),
    # files that are no entry
    Hostile("exits on import", "import sys\nsys.exit(0)", how="raised", said="SystemExit", whole=True),
    Hostile("has a syntax error", "def ) broken", how="raised", said="SyntaxError", whole=True),
    Hostile("has no such class", "class Other: pass", how="raised", said="ZEWDPCBaseRun", whole=True),
    Hostile("has no purchase phase", "class ZEWDPCBaseRun: pass", how="raised", said="purchase_phase", whole=True),
    Hostile(
        "hangs on import",
        "while True: pass",
        how="out of time",
        whole=True,
        settings=OUT_OF_TIME,
    ),
]

LEAKS = [
    Hostile(
        "looks for label tables among all objects",
        """
        import gc
        import numpy as np
        known = {id(training.labels)}
        tables = [a for a in gc.get_objects() if isinstance(a, np.ndarray)]
        seen = [a.shape for a in tables if a.ndim == 2 and len(a) == 60]
        names = {type(each).__name__ for each in gc.get_objects()}
        print("tables", seen, names & {"Ledger", "HiddenLabels", "DataRoot", "PurchaseServer"})
        """,
        printed="tables [] set()",
    ),
    Hostile(
        "walks up the frames",
        """
        import sys
        frame, names = sys._getframe(), []
        while frame:
            names += [type(v).__name__ for v in frame.f_locals.values()]
            frame = frame.f_back
        print("frames", set(names) & {"Ledger", "HiddenLabels", "PurchaseDataModule", "EntrySettings"})
        """,
        printed="frames set()",
    ),
    Hostile(
        "reads the host's memory",
        """
        import os
        for process in (HOST, os.getppid()):
            for name in ("mem", "environ", "maps", "fd", "root", "cwd"):
                place = f"/proc/{process}/{name}"
                try:
                    found = os.listdir(place) if name in ("fd", "root", "cwd") else open(place, "rb").read(10)
                    if process == HOST: print("LEAK", place, found)
                except OSError as error:
                    print("closed", place)
        """,
        printed="closed /proc/HOST/mem",
    ),
    Hostile(
        "looks at all of its handles",
        """
        import os
        for number in range(256):
            try: where = os.readlink(f"/proc/self/fd/{number}")
            except OSError: continue
            print("handle", where)
            if "ledger" in where or "labels.csv" in where: print("LEAK", where)
        """,
        printed="handle",
    ),
    Hostile(
        "searches the file system",
        """
        import os
        count = 0
        for folder, _, names in os.walk("/"):
            if folder.startswith(("/proc", "/sys")): continue
            for name in names:
                count += 1
                if name in ("labels.csv", "ledger.sqlite", "sheets.json", "purchases.csv", "config.yaml"):
                    print("LEAK", folder, name)
        print("searched", count > 1000 or count)
        """,
        printed="searched",
    ),
    Hostile(
        "reads labels.csv by its path",
        """
        for path in ("ROOT/unlabelled/labels.csv", "ROOT/sheets.json", "RUN/ledger.sqlite", "RUN/../mine/run.py"):
            try: print("LEAK", open(path, "rb").read(10))
            except OSError as error: print("closed", type(error).__name__)
        """,
        printed="closed",
    ),
    Hostile(
        "reads the host's environment",
        """
        import os
        print("environment", sorted(os.environ))
        if "DPC_SECRET" in str(os.environ): print("LEAK")
        """,
        printed="environment",
    ),
    Hostile(
        "computes the labels of generated sheets",
        """
        import tempfile
        from pathlib import Path
        import numpy as np
        from dpc_lightning.data.synthetic.settings import SheetSettings
        from dpc_lightning.data.synthetic.writer import write_sheets
        from PIL import Image
        mine = {np.asarray(item["image"]).tobytes() for item in pool}
        hits = 0
        for seed in range(3):
            root = Path(tempfile.mkdtemp()) / "r"
            write_sheets(root, SheetSettings(px=16, training=1, unlabelled=60, validation=0, test=1, seed=seed),
                         workers=1, progress=False)
            for file in sorted((root / "unlabelled" / "images").iterdir()):
                hits += np.asarray(Image.open(file)).tobytes() in mine
        print("hits", hits)
        """,
        printed="hits 0",
    ),
    Hostile(
        "writes into the run folder",
        """
        import os
        for path in ("RUN/purchases.csv", "RUN/entry.json", "RUN/ledger.sqlite"):
            try:
                with open(path, "wb") as file: file.write(b"mine")
                print("LEAK", path)
            except OSError as error: print("closed", type(error).__name__)
        """,
        printed="closed",
    ),
    Hostile(
        "writes into the pool",
        """
        import os, sys
        import numpy as np
        where = pool._pixels
        while not isinstance(where, np.memmap): where = where.base
        for way in (lambda: open(where.filename, "r+b"), lambda: os.unlink(where.filename),
                    lambda: np.load(where.filename, mmap_mode="r+")):
            try:
                way()
                print("LEAK")
            except OSError as error: print("closed", type(error).__name__)
        try: pool[0]["image"].load(); pool._pixels[0][:] = 0
        except ValueError: print("read-only")
        """,
        printed="read-only",
    ),
    Hostile(
        "calls the world",
        """
        import socket
        for address in (("127.0.0.1", 22), ("1.1.1.1", 53)):
            try:
                socket.create_connection(address, 1)
                print("LEAK")
            except OSError as error: print("alone", type(error).__name__)
        """,
        printed="alone",
    ),
    Hostile(
        "asks the kernel for rights",
        """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        print("user", libc.setuid(0), "root", libc.chroot(b"/"))
        libc.unshare(0x10000000 | 0x00020000)  # a user and a mount namespace of its own
        where = pool._pixels
        while not hasattr(where, "filename"): where = where.base
        folder = os.path.dirname(str(where.filename)).encode()
        print("remount", libc.mount(b"none", folder, None, 32 | 4096, None))
        try: open(where.filename, "r+b"); print("LEAK")
        except OSError: print("read-only still")
        """,
        printed="read-only still",
    ),
    Hostile(
        "traces another process",
        """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        print("attached", libc.ptrace(16, HOST, None, None))
        """,
        printed="attached -1",
    ),
    Hostile(
        "leaves a note in the user's keyring for the next entry",
        """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        key = libc.syscall(248, b"user", b"note", b"label", 5, -4)
        print("noted", key, libc.syscall(250, 11, -4, 0, 0, 0))
        """,
        printed="noted -1 -1",
    ),
    Hostile(
        "speaks to services of this machine",
        """
        import glob, socket
        print("tried", len(glob.glob("/tmp/pymp-*/*")))
        for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_VSOCK, socket.AF_NETLINK):
            try:
                one = socket.socket(family, socket.SOCK_STREAM)
                if family == socket.AF_UNIX: one.connect("ROOT/socket")
                print("LEAK", family)
            except OSError as error:
                print("alone", int(family), type(error).__name__)
        """,
        printed="alone 40 PermissionError",
    ),
    Hostile(
        "takes hold of process 1",
        """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        print("attached", libc.ptrace(16, os.getppid(), None, None))
        try: print("LEAK", open(f"/proc/{os.getppid()}/mem", "r+b"))
        except OSError: print("closed")
        """,
        printed="attached -1\nclosed",
    ),
    Hostile(
        "sets the host's limits",
        """
        import resource
        try:
            resource.prlimit(HOST, resource.RLIMIT_FSIZE, (0, 0))
            print("LEAK")
        except (PermissionError, ProcessLookupError): print("limits stay")
        pool.purchase_label(1)
        """,
        bought=[1],
        printed="limits stay",
    ),
    Hostile(
        "makes namespaces and shared memory of its own",
        """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        print("unshared", libc.unshare(0x10000000), libc.syscall(56, 0x10000011, 0, 0, 0, 0))
        print("shared", libc.shmget(4711, 4096, 0o1666) == -1 or "in a namespace of its own")
        """,
        printed="unshared -1 -1",
    ),
    Hostile(
        "digs deep",
        """
        import os
        for _ in range(2000):
            os.mkdir("d")
            os.chdir("d")
        pool.purchase_label(3)
        """,
        bought=[3],
    ),
]
