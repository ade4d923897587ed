"""Serves a small language model by llama.cpp on 127.0.0.1 until its input ends.

Called by `cargo xtask test` with the model's file and a port. One thread: more of them spin, and a busy
machine then answers many times slower.
"""

import os
import sys

import xllamacpp

model, port = sys.argv[1], int(sys.argv[2])
p = xllamacpp.CommonParams()
p.model.path = model
p.model_alias = {"smollm2"}
p.hostnames = ["127.0.0.1"]
p.port = port
p.n_ctx = 4096
p.n_parallel = 1
p.cpuparams.n_threads = 1
p.cpuparams_batch.n_threads = 1
p.use_jinja = True
p.offline = True
p.ui = False
server = xllamacpp.Server(p)
print("READY", server.listening_address, flush=True)
sys.stdin.read()
# Its threads would keep the process.
os._exit(0)
