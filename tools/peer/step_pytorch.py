#!/usr/bin/env python3
"""One training step of ResNet-20 in PyTorch's eager mode, as fast as possible on a CPU.

    step_pytorch.py [--precision fp32|bf16] [--batch N] [--threads N] [--steps N] [--clock wall|cpu]

channels_last, bf16 autocast, operations in place, fused SGD with Nesterov momentum. The batch is
ready: no data loading is included. Prints the seconds of the steps. With --serve it reads numbers
from stdin, makes that many steps for each and prints their seconds; see compare_steps.py.

Needs PyTorch: python3 -m venv DIR && DIR/bin/pip install torch
"""
import argparse
import contextlib
import sys
import time

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """Two 3x3 convolutions around the parameter-free shortcut (arXiv:1512.03385, option A)."""

    def __init__(self, channels_in, channels_out):
        super().__init__()
        self.missing = channels_out - channels_in
        stride = 2 if self.missing else 1
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)

    def forward(self, x):
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        if self.missing:
            before = self.missing // 2
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, before, self.missing - before))
        return functional.relu(y.add_(x), inplace=True)


def resnet20():
    layers = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
    width = 16
    for wanted in (16, 32, 64):
        for _ in range(3):
            layers.append(Block(width, wanted))
            width = wanted
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class Step:
    def __init__(self, precision, batch):
        torch.manual_seed(1)
        self.model = resnet20().to(memory_format=torch.channels_last).train()
        assert sum(p.numel() for p in self.model.parameters()) == 269722
        self.optimizer = torch.optim.SGD(self.model.parameters(), 0.01, momentum=0.9, nesterov=True,
                                         weight_decay=1e-4, fused=True)
        self.images = torch.randn(batch, 3, 32, 32).contiguous(memory_format=torch.channels_last)
        self.labels = torch.randint(10, (batch,))
        self.bf16 = precision == "bf16"

    def __call__(self):
        self.optimizer.zero_grad(set_to_none=True)
        autocast = torch.autocast("cpu", torch.bfloat16) if self.bf16 else contextlib.nullcontext()
        with autocast:
            loss = functional.cross_entropy(self.model(self.images), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()


def seconds_of(step, count, clock):
    begin = clock()
    for _ in range(count):
        step()
    return clock() - begin


def main():
    parser = argparse.ArgumentParser(description="Times PyTorch's eager step of ResNet-20.")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--serve", action="store_true")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    clock = time.process_time if arguments.clock == "cpu" else time.monotonic
    step = Step(arguments.precision, arguments.batch)
    if arguments.serve:
        for line in sys.stdin:
            print(seconds_of(step, int(line), clock), flush=True)
        return
    seconds_of(step, 3, clock)
    seconds = seconds_of(step, arguments.steps, clock)
    print(f"{1e3 * seconds / arguments.steps:.2f} ms a step, {arguments.precision}, "
          f"{torch.get_num_threads()} threads, PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
