"""Time of `import rigl_edu` beyond torch's own: `python -m benchmarks.imports [--rounds N]`.

Every measurement is a fresh process that imports torch first and is asked only for what came
after; numpy is counted, since torch alone does not always load it.
"""

import argparse
import statistics
import subprocess
import sys

BOUND_SECONDS = 0.3
CODE = """
import time, torch
begin = time.perf_counter()
import rigl_edu
print(time.perf_counter() - begin)
"""


def seconds() -> float:
    """Of one fresh process."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Measure and print the median; exit status 1 if it is above the bound."""
    parser = argparse.ArgumentParser(description="Time `import rigl_edu` after `import torch`.")
    parser.add_argument("--rounds", type=int, default=7, help="fresh processes (default 7)")
    times = [seconds() for _ in range(parser.parse_args().rounds)]
    median = statistics.median(times)
    print(f"import rigl_edu after torch: {median:.3f} s (median of {len(times)}), ", end="")
    print(f"promised at most {BOUND_SECONDS}")
    sys.exit(median > BOUND_SECONDS)


if __name__ == "__main__":
    main()
