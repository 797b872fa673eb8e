"""Seconds and memory of the quickstart, everything after the installation.

    python benchmarks/quickstart_cost.py

Required: at most 120 s and 2 GB resident on two cores.
"""

import resource
import subprocess
import sys
import tempfile
import time

LIMIT_SECONDS = 120.0
LIMIT_GB = 2.0


def main() -> int:
    """Run the quickstart once in an empty folder and print what it took."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        command = [sys.executable, "-m", "dpc_lightning", "fit", "--config", "quickstart", "--run_dir", "run"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        seconds = time.monotonic() - start
    resident = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9  # of the largest single process
    print(f"quickstart: {seconds:.0f} s ({seconds / LIMIT_SECONDS:.2f} of the limit of {LIMIT_SECONDS:.0f} s)")
    print(f"resident:   {resident:.2f} GB ({resident / LIMIT_GB:.2f} of the limit of {LIMIT_GB:.0f} GB)")
    return 0 if seconds <= LIMIT_SECONDS and resident <= LIMIT_GB else 1


if __name__ == "__main__":
    sys.exit(main())
