"""Milliseconds of one training step of the network that bench/train.ts trains, in PyTorch: 784-128-10, batch 128, distillation and Adam.

`python train_step.py THREADS STEPS` prints JSON {torch, ms}: the median of five rounds, batch assembly included.
"""
import json
import sys
import time

import torch
from torch.nn import functional

threads, steps = int(sys.argv[1]), int(sys.argv[2])
torch.manual_seed(1)
torch.set_num_threads(threads)
INPUTS, HIDDEN, CLASSES, BATCH, ROWS, TEMPERATURE, ALPHA = 784, 128, 10, 128, 4096, 3.0, 0.9
model = torch.nn.Sequential(torch.nn.Linear(INPUTS, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, CLASSES))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
images = torch.rand(ROWS, INPUTS) * 2 - 1
teacher = (torch.rand(ROWS, CLASSES) * 2 - 1) * 4
labels = torch.randint(0, CLASSES, (ROWS,))


def step():
    picked = torch.randint(0, ROWS, (BATCH,))
    scores = model(images[picked])
    soft = functional.kl_div(
        functional.log_softmax(scores / TEMPERATURE, dim=1),
        functional.softmax(teacher[picked] / TEMPERATURE, dim=1),
        reduction="batchmean",
    )
    loss = ALPHA * TEMPERATURE**2 * soft + (1 - ALPHA) * functional.cross_entropy(scores, labels[picked])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


for _ in range(50):
    step()
times = []
for _ in range(5):
    started = time.perf_counter()
    for _ in range(steps // 5):
        step()
    times.append((time.perf_counter() - started) / (steps // 5) * 1000)
print(json.dumps({"torch": torch.__version__, "ms": sorted(times)[2]}))
