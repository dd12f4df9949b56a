"""The loop of a timed peer: the line protocol of ../lib/protocol.mjs, on standard input and output.

It prints one JSON line when the peer is ready. Then, for each line that it reads:

    run K      runs K steps, prints { "seconds", "steps", "loss" } (loss: what `run` returned)
    quit       ends; so does the end of the input
"""

import json
import os
import sys
import time


def resident_megabytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def timed(run, steps):
    begun = time.perf_counter()
    loss = run(steps)
    return {"seconds": time.perf_counter() - begun, "steps": steps, "loss": loss}


def serve(run, began, **ready):
    """Serve `run`, a function of a number of steps. `began`: the clock before PyTorch was loaded."""
    answer = lambda value: print(json.dumps(value), flush=True)  # noqa: E731
    answer({"ready": True, "setupSeconds": time.perf_counter() - began, "megabytes": resident_megabytes(), **ready})
    for line in sys.stdin:
        words = line.split()
        if words[:1] == ["quit"]:
            break
        if len(words) != 2 or words[0] != "run" or not words[1].isdigit() or int(words[1]) < 1:
            answer({"error": f"{line.strip()!r}: expected 'run K' with K at least 1, or 'quit'"})
            continue
        answer(timed(run, int(words[1])))
