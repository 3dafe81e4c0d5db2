#!/usr/bin/env python3
"""documents.py COUNT: log documents (see corpus.py) with a fixed seed on stdout, one per line."""
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "internal", "testbed", "search", "fixtures"))
sys.dont_write_bytecode = True
from corpus import dumps, log

rng = random.Random(717)
write = sys.stdout.write
for i in range(int(sys.argv[1])):
    write(dumps(log(rng, i)) + "\n")
