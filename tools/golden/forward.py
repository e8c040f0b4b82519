#!/usr/bin/env python3
"""Writes tests/golden/forward/*.json: the logits of whole networks in evaluation mode.

The networks are written here again from the papers, with torch.nn.functional alone and in float64.
No weight is stored: every number is a function of its tensor's name and its index. The networks of
PUBLISHED have the names, and the order of concatenation, of an implementation on GitHub. Those of
pytorchcv and torchvision are the packages' own classes.

    key   = FNV-1a of the name, 64 bits
    h     = the output function of SplitMix64 on key + (index + 1) * 0x9E3779B97F4A7C15
    s     = (2 * (h >> 48) + 1 - 65536) / 65536               an odd multiple of 2^-16 in (-1, 1)

    weight of two or more dimensions   s * 2^-k, k the least with 6 * 4^k >= fan_in
    weight of one dimension (gamma)    1 + s/4
    bias                               s/4
    running_mean                       s/2
    running_var                        1 + s/2
    input                              2 * s, named "input"

The index counts in the order of the shape, [out, in, height, width] or [sample, channel, height,
width]. All of this is exact in float32.

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install -r tools/support/python.txt
    /tmp/golden/bin/python tools/golden/forward.py
"""
import importlib.metadata
import json
import math
import pathlib

import numpy
import torch
import torch.nn.functional as F
from pytorchcv.models.preresnet_cifar import preresnet20_cifar10
from pytorchcv.models.resnet_cifar import resnet20_cifar10
from pytorchcv.models.wrn_cifar import get_wrn_cifar
from torchvision.models import resnet18

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "forward"
MASK64 = (1 << 64) - 1
INPUT = (4, 3, 32, 32)
CLASSES = 10
NORM = ("weight", "bias", "running_mean", "running_var")


def version_of(package):
    name = "PyTorch" if package == "torch" else package
    return name + "-" + importlib.metadata.version(package).split("+")[0]


def numbers(name, shape):
    key = 0xCBF29CE484222325
    for byte in name.encode():
        key = ((key ^ byte) * 0x100000001B3) & MASK64
    h = numpy.arange(1, math.prod(shape) + 1, dtype=numpy.uint64)
    h = h * numpy.uint64(0x9E3779B97F4A7C15) + numpy.uint64(key)  # modulo 2^64, as below
    h = (h ^ (h >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    h = h ^ (h >> numpy.uint64(31))
    s = (2.0 * (h >> numpy.uint64(48)).astype(numpy.float64) - 65535) / 65536
    return torch.from_numpy(s.reshape(shape))


class Tensors:
    """Names and counts the parameters of the layers."""

    def __init__(self):
        self.elements = {}
        self.unused = {}  # the shapes of those that take no part in the logits
        self.made_by = [version_of("torch")]

    def draw(self, name, shape):
        assert name not in self.elements, name
        self.elements[name] = math.prod(shape)
        s = numbers(name, shape)
        kind = name.rsplit(".", 1)[1]
        if kind == "weight" and len(shape) > 1:
            k = 0
            while 6 * 4**k < math.prod(shape[1:]):
                k += 1
            return s * 2.0**-k
        return {"weight": 1 + s / 4, "bias": s / 4,
                "running_mean": s / 2, "running_var": 1 + s / 2}[kind]

    def conv(self, name, x, out, size, stride=1):
        weight = self.draw(name + ".weight", (out, x.shape[1], size, size))
        return F.conv2d(x, weight, stride=stride, padding=size // 2)

    def norm(self, name, x, epsilon=1e-5):
        gamma, beta, mean, variance = (self.draw(f"{name}.{kind}", (x.shape[1],)) for kind in NORM)
        return F.batch_norm(x, mean, variance, gamma, beta, training=False, eps=epsilon)

    def linear(self, name, x, out):
        weight = self.draw(name + ".weight", (out, x.shape[1]))
        return F.linear(x, weight, self.draw(name + ".bias", (out,)))

    def norm_relu(self, norm, x):
        return torch.relu(self.norm(norm, x))

    def norm_leaky(self, norm, x):
        return F.leaky_relu(self.norm(norm, x), 0.1)

    def unused_norm(self, name, x):
        self.norm(name, x)
        self.unused.update((f"{name}.{kind}", (x.shape[1],)) for kind in NORM)

    def module(self, network, x):
        """The logits of a package's network, whose names are those of its state_dict."""
        self.made_by.append(version_of(type(network).__module__.split(".")[0]))
        network.double().eval()
        state = network.state_dict()
        for name, tensor in state.items():
            if not name.endswith(".num_batches_tracked"):
                state[name] = self.draw(name, tuple(tensor.shape))
        network.load_state_dict(state)
        return network(x)


def widened(x, width, stride):
    """Option A: every stride-th pixel, zero channels on both sides."""
    missing = width - x.shape[1]
    return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, missing // 2, missing - missing // 2))


def blocks(per_stage):
    """Name, width factor and stride of each residual block of three stages."""
    for stage in range(3):
        for block in range(per_stage):
            yield f"stage{stage + 1}.block{block}.", 2**stage, 2 if stage > 0 and block == 0 else 1


def resnet20(t, x):
    x = t.norm_relu("bn1", t.conv("conv1", x, 16, 3))
    for name, factor, stride in blocks(3):
        y = t.norm_relu(name + "bn1", t.conv(name + "conv1", x, 16 * factor, 3, stride))
        y = t.norm(name + "bn2", t.conv(name + "conv2", y, 16 * factor, 3))
        x = torch.relu(y + widened(x, 16 * factor, stride))
    return t.linear("fc", x.mean((2, 3)), CLASSES)


def resnet20_bireal(t, x):
    """A shortcut of real values around each convolution, a ReLU instead of the sign."""
    x = t.norm("bn1", t.conv("conv1", x, 16, 3))
    for name, factor, stride in blocks(3):
        for i, step in ((1, stride), (2, 1)):
            y = t.conv(f"{name}conv{i}", torch.relu(x), 16 * factor, 3, step)
            x = t.norm(f"{name}bn{i}", y) + widened(x, 16 * factor, step)
    return t.linear("fc", x.mean((2, 3)), CLASSES)


def wrn_16_2(t, x):
    x = t.conv("conv1", x, 16, 3)
    for name, factor, stride in blocks(2):
        width = 32 * factor
        y = t.norm_relu(name + "bn1", x)
        around = t.conv(name + "shortcut", y, width, 1, stride) if x.shape[1] != width else x
        y = t.norm_relu(name + "bn2", t.conv(name + "conv1", y, width, 3, stride))
        x = t.conv(name + "conv2", y, width, 3) + around
    return t.linear("fc", t.norm_relu("bn", x).mean((2, 3)), CLASSES)


def densenet(t, x, layers, names, newest_first=False):
    """Bottlenecks of growth 12, each transition keeping half; `names`: of a block, of a transition and
    its convolution, of the last batch norm and of the last layer."""
    growth, (of_block, transition, conv, norm, last) = 12, names
    x = t.conv("conv1", x, 2 * growth, 3)
    for block, count in enumerate(layers, 1):
        for layer in range(count):
            name = of_block.format(block, layer)
            y = t.conv(name + "conv1", t.norm_relu(name + "bn1", x), 4 * growth, 1)
            y = t.conv(name + "conv2", t.norm_relu(name + "bn2", y), growth, 3)
            x = torch.cat([y, x] if newest_first else [x, y], 1)
        if block < len(layers):
            name = transition.format(block)
            y = t.conv(name + conv, t.norm_relu(name + norm, x), x.shape[1] // 2, 1)
            x = F.avg_pool2d(y, 2)
    return t.linear(last, t.norm_relu(norm, x).mean((2, 3)), CLASSES)


def densenet_bc_100_12(t, x):
    return densenet(t, x, (16, 16, 16), ("block{}.layer{}.", "transition{}.", "conv", "bn", "fc"))


def basic_blocks(t, x, widths, per_stage, around):
    """Published ResNets; around(t, name, x, width, stride) is a shortcut to another shape."""
    for stage, width in enumerate(widths, 1):
        for block in range(per_stage):
            name, stride = f"layer{stage}.{block}.", 2 if stage > 1 and block == 0 else 1
            same = stride == 1 and x.shape[1] == width
            y = t.norm_relu(name + "bn1", t.conv(name + "conv1", x, width, 3, stride))
            y = t.norm(name + "bn2", t.conv(name + "conv2", y, width, 3))
            x = torch.relu(y + (x if same else around(t, name, x, width, stride)))
    return x.mean((2, 3))


def projected(shortcut):
    """Option B; `shortcut` is the name of its convolution and batch norm, numbered 0 and 1."""
    def around(t, name, x, width, stride):
        name += shortcut
        return t.norm(name + ".1", t.conv(name + ".0", x, width, 1, stride))
    return around


def akamaster_resnet20(t, x):
    x = t.norm_relu("bn1", t.conv("conv1", x, 16, 3))
    x = basic_blocks(t, x, (16, 32, 64), 3, lambda t, name, x, *shape: widened(x, *shape))
    return t.linear("linear", x, CLASSES)


def chenyaofo_resnet20(t, x):
    x = t.norm_relu("bn1", t.conv("conv1", x, 16, 3))
    x = basic_blocks(t, x, (16, 32, 64), 3, projected("downsample"))
    return t.linear("fc", x, CLASSES)


def kuangliu_resnet18(t, x):
    x = t.norm_relu("bn1", t.conv("conv1", x, 64, 3))
    x = basic_blocks(t, x, (64, 128, 256, 512), 2, projected("shortcut"))
    return t.linear("linear", x, CLASSES)


def published_wrn_16_2(t, x, activated, raw):
    """`raw`: a block that halves the image reads its input without batch norm and activation. The
    batch norm is there all the same, with weights that nothing uses."""
    x = t.conv("conv1", x, 16, 3)
    for stage, width in ((1, 32), (2, 64), (3, 128)):
        for block in range(2):
            name, stride = f"block{stage}.layer.{block}.", 2 if stage > 1 and block == 0 else 1
            if raw and stride > 1:
                t.unused_norm(name + "bn1", x)
                y = x
            else:
                y = activated(name + "bn1", x)
            if block == 0:
                x = t.conv(name + "convShortcut", y, width, 1, stride)
            y = activated(name + "bn2", t.conv(name + "conv1", y, width, 3, stride))
            x = x + t.conv(name + "conv2", y, width, 3)
    return t.linear("fc", activated("bn1", x).mean((2, 3)), CLASSES)


def xternalz_wrn_16_2(t, x):
    return published_wrn_16_2(t, x, t.norm_relu, raw=False)


def kekmodel_wrn_16_2(t, x):
    return published_wrn_16_2(t, x, t.norm_leaky, raw=True)


def pytorchcv_resnet20(t, x):
    return t.module(resnet20_cifar10(), x)


def pytorchcv_preresnet20(t, x):
    return t.module(preresnet20_cifar10(), x)


def pytorchcv_wrn_16_2(t, x):
    return t.module(get_wrn_cifar(num_classes=CLASSES, blocks=16, width_factor=2), x)


def huyvnphan_resnet18(t, x):
    """torchvision's, with another first convolution."""
    network = resnet18(num_classes=CLASSES)
    network.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
    return t.module(network, x)


def kuangliu_densenet_cifar(t, x):
    names = ("dense{}.{}.", "trans{}.", "conv", "bn", "linear")
    # the paper has the other order
    return densenet(t, x, (6, 12, 24, 16), names, newest_first=True)


def bamos_densenet_bc_40(t, x):
    return densenet(t, x, (6, 6, 6), ("dense{}.{}.", "trans{}.", "conv1", "bn1", "fc"))


def vgg_small(t, x):
    for stage, width in ((1, 128), (2, 256), (3, 512)):
        x = t.norm_relu(f"stage{stage}.bn1", t.conv(f"stage{stage}.conv1", x, width, 3))
        x = F.max_pool2d(t.conv(f"stage{stage}.conv2", x, width, 3), 2)
        x = t.norm_relu(f"stage{stage}.bn2", x)
    return t.linear("fc", x.flatten(1), CLASSES)


IMAGENET = {"family": "imagenet"}
RESNET20_B = {"depth": 20, "shortcut": "B"}
WRN_16_2 = {"depth": 16, "widen_factor": 2}

NETWORKS = [
    (resnet20, "resnet", {"depth": 20}),
    (resnet20_bireal, "resnet", {"depth": 20, "block": "bireal"}),
    (wrn_16_2, "wideresnet", WRN_16_2),
    (densenet_bc_100_12, "densenet", {"depth": 100, "growth_rate": 12}),
    (vgg_small, "vgg", {"family": "small"}),
]

PUBLISHED = [
    (akamaster_resnet20, "akamaster/pytorch_resnet_cifar10", "resnet", {"depth": 20}),
    (chenyaofo_resnet20, "chenyaofo/pytorch-cifar-models", "resnet", RESNET20_B),
    (kuangliu_resnet18, "kuangliu/pytorch-cifar", "resnet", IMAGENET | {"depth": 18}),
    (pytorchcv_resnet20, "pytorchcv", "resnet", RESNET20_B),
    (pytorchcv_preresnet20, "pytorchcv", "resnet", RESNET20_B | {"preactivation": True}),
    (huyvnphan_resnet18, "torchvision (conv1 3x3 of stride 1, no maxpool)", "resnet",
     IMAGENET | {"depth": 18, "stem_pool": True}),
    (xternalz_wrn_16_2, "xternalz/WideResNet-pytorch", "wideresnet", WRN_16_2),
    (kekmodel_wrn_16_2, "kekmodel/FixMatch-pytorch", "wideresnet",
     WRN_16_2 | {"activation": "leaky_relu", "halving": "raw"}),
    (pytorchcv_wrn_16_2, "pytorchcv", "wideresnet", WRN_16_2),
    (kuangliu_densenet_cifar, "kuangliu/pytorch-cifar", "densenet",
     IMAGENET | {"depth": 121, "growth_rate": 12}),
    (bamos_densenet_bc_40, "bamos/densenet.pytorch", "densenet", {"depth": 40, "growth_rate": 12}),
]


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    own = [(network, "", architecture, options) for network, architecture, options in NETWORKS]
    for network, names, architecture, options in own + PUBLISHED:
        tensors = Tensors()
        with torch.no_grad():
            logits = network(tensors, 2 * numbers("input", INPUT))
        golden = {
            "made_by": ", ".join(tensors.made_by),
            "architecture": architecture,
            "options": options,
            **({"names": names} if names else {}),
            "classes": CLASSES,
            "input_shape": INPUT,
            "tensors": len(tensors.elements),
            "elements": sum(tensors.elements.values()),
            **({"unused": tensors.unused} if tensors.unused else {}),
            # fewer digits than float64: another order of sums must write the same file
            "logits": [[float(f"{value:.9g}") for value in row] for row in logits.tolist()],
        }
        text = json.dumps(golden, indent=1)
        (OUT / (network.__name__ + ".json")).write_text(text + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
