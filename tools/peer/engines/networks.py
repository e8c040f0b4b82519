"""The peers' networks: in PyTorch, as ONNX files in float32 and int8, and in onnxruntime."""
import copy
import warnings

import numpy
import onnx
import onnxruntime
import torch
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn
from torch.nn import functional

from step_pytorch import resnet20

CALIBRATION_BATCHES, CALIBRATION_BATCH = 16, 8


class Block(nn.Module):
    """Two 3x3 convolutions; a 1x1 convolution on the shortcut where the shape changes."""

    def __init__(self, channels_in, channels_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
                nn.BatchNorm2d(channels_out))

    def forward(self, x):
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return functional.relu(y.add_(self.shortcut(x)), inplace=True)


def resnet18():
    """ResNet-18 behind a 3x3 stem without a pool, as qhost builds it for 32x32 pixels."""
    layers = [nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    width = 64
    for wanted in (64, 128, 256, 512):
        for number in range(2):
            layers.append(Block(width, wanted, 2 if number == 0 and wanted != 64 else 1))
            width = wanted
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


BUILDERS = {"resnet18": resnet18, "resnet20": resnet20}


def build(name):
    """Drawn, not trained; the batch norms have statistics of their own."""
    torch.manual_seed(1)
    model = BUILDERS[name]().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model


def eager(model, images, layout):
    """A function that returns the logits of the images."""
    model = copy.deepcopy(model).to(memory_format=layout)
    x = torch.tensor(images).contiguous(memory_format=layout)

    def logits():
        with torch.inference_mode():
            return model(x)
    return logits


class Calibration(quantization.CalibrationDataReader):
    """Random normalized images."""

    def __init__(self):
        self.random, self.left = numpy.random.default_rng(3), CALIBRATION_BATCHES

    def get_next(self):
        if self.left == 0:
            return None
        self.left -= 1
        return {"x": self.random.standard_normal((CALIBRATION_BATCH, 3, 32, 32), numpy.float32)}


def export(model, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, torch.zeros(2, 3, 32, 32), path, dynamo=False, opset_version=17,
                          input_names=["x"], output_names=["y"],
                          dynamic_axes={"x": {0: "n"}, "y": {0: "n"}})


def to_int8(source, target):
    """Static, 8 bits: u8 activations per tensor, symmetric s8 weights per channel."""
    prepared = target.with_suffix(".prepared.onnx")
    quant_pre_process(source, prepared)
    quantization.quantize_static(
        prepared, target, Calibration(), quant_format=quantization.QuantFormat.QDQ,
        per_channel=True, activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        calibrate_method=quantization.CalibrationMethod.MinMax,
        extra_options={"ActivationSymmetric": False, "WeightSymmetric": True})


class Session:
    """onnxruntime on one thread."""

    def __init__(self, path, images):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.optimized = path.with_suffix(".optimized.onnx")
        options.optimized_model_filepath = str(self.optimized)
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        self.feed = {"x": images}

    def __call__(self):
        return self.session.run(None, self.feed)[0]

    def not_int8(self):
        """Float convolutions and products that are left in the optimized graph."""
        nodes = onnx.load(self.optimized).graph.node
        if not any(node.op_type == "QLinearConv" for node in nodes):
            return ["no QLinearConv at all"]
        return [f"{node.op_type} {node.name}" for node in nodes
                if node.op_type in ("Conv", "FusedConv", "Gemm", "MatMul")]
