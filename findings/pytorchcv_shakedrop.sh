#!/usr/bin/env bash
# pytorchcv 0.0.74, torch 2.15.0 (CPU), numpy 2.4.6
#
# Expected: stochastic depth and its kin act in training; in evaluation such a network is the plain ResNet.
# So it is in pytorchcv's resdropresnet20_cifar10 and with torchvision's StochasticDepth: both scale in
# training. Weights that load with strict=True give the outputs that they were trained for.
#
# Instead: shakedropresnet20_cifar10 multiplies every residual branch in evaluation, too, by 0.94 in the first
# unit to 0.5 in the last. These factors are no parameters or buffers, so it has the very names and shapes
# of resnet20_cifar10: each loads the other's state_dict without a word and computes something else. Nothing
# in a file of weights tells which of the two it belongs to.
#
# Hurts: everyone who starts a training with ShakeDrop from a ResNet (40 instead of 98 % here), and everyone
# who trains with ShakeDrop and exports, quantizes or serves the plain ResNet: the accuracy may survive, as here,
# but outputs, confidences and the ranges for a quantizer are others.
#
# Seen:
#     trained as resnet20_cifar10          loaded as resnet20_cifar10         : all keys match; outputs differ by   0 %, accuracy  98 %
#     trained as resnet20_cifar10          loaded as resdropresnet20_cifar10  : all keys match; outputs differ by   0 %, accuracy  98 %
#     trained as resnet20_cifar10          loaded as shakedropresnet20_cifar10: all keys match; outputs differ by  79 %, accuracy  40 %
#     trained as shakedropresnet20_cifar10 loaded as resnet20_cifar10         : all keys match; outputs differ by 171 %, accuracy  63 %
#     trained as shakedropresnet20_cifar10 loaded as resdropresnet20_cifar10  : all keys match; outputs differ by 171 %, accuracy  63 %
#     trained as shakedropresnet20_cifar10 loaded as shakedropresnet20_cifar10: all keys match; outputs differ by   0 %, accuracy  60 %
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
install() { "$tmp/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "$@"; }
# The CPU build; without its index the default one, which needs 6 GB.
install --retries 0 --index-url https://download.pytorch.org/whl/cpu torch==2.15.0 2>"$tmp/log" ||
    install torch==2.15.0
install numpy==2.4.6 pytorchcv==0.0.74
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'EOF'
import torch
import torch.nn.functional as F
from pytorchcv.model_provider import get_model

torch.manual_seed(0)
draw = torch.Generator().manual_seed(1)
# Ten textures, shifted at random, under noise.
textures = F.interpolate(torch.randn(10, 3, 8, 8, generator=draw), size=32, mode="bilinear")


def batch(n):
    labels = torch.randint(0, 10, (n,), generator=draw)
    shifts = torch.randint(0, 8, (n, 2), generator=draw).tolist()
    images = torch.stack([torch.roll(textures[c], s, (1, 2)) for c, s in zip(labels, shifts)])
    return images + 2 * torch.randn(images.shape, generator=draw), labels


def trained(name, steps=150):
    model = get_model(name).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.05, 0.9, weight_decay=5e-4)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / steps)
        images, labels = batch(64)
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
    return model


def outputs(model, images):
    with torch.no_grad():
        return model.eval()(images)


images, labels = batch(1000)
SHAKE, DROP, PLAIN = "shakedropresnet20_cifar10", "resdropresnet20_cifar10", "resnet20_cifar10"
accuracy, difference = {}, {}
for source in (PLAIN, SHAKE):
    model = trained(source)
    wanted = outputs(model, images)
    for name in (PLAIN, DROP, SHAKE):
        other = get_model(name)
        said = other.load_state_dict(model.state_dict(), strict=True)
        assert not said.missing_keys and not said.unexpected_keys
        got = outputs(other, images)
        accuracy[source, name] = (got.argmax(1) == labels).float().mean().item()
        difference[source, name] = ((got - wanted).norm() / wanted.norm()).item()
        print(f"trained as {source:25} loaded as {name:25}: all keys match; outputs differ by "
              f"{100 * difference[source, name]:3.0f} %, accuracy {100 * accuracy[source, name]:3.0f} %")
assert difference[PLAIN, DROP] == 0, "not the behavior described"
assert min(difference[PLAIN, SHAKE], difference[SHAKE, PLAIN]) > 0.3, "not the behavior described"
assert accuracy[PLAIN, SHAKE] < accuracy[PLAIN, PLAIN] - 0.2, "not the behavior described"
EOF
