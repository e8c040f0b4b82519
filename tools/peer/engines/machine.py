"""The machine and the versions of the packages, for the head of a table."""
import importlib.metadata
import os
import pathlib
import platform

FEATURES = ("avx2", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_vpopcntdq",
            "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16")
PACKAGES = ("torch", "openvino", "onnxruntime", "onnx", "numpy")


def cpu():
    """Name, cores and the features that matter to a convolution."""
    name, flags = platform.processor() or "unknown", []
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            name = value.strip()
        elif key.strip() == "flags":
            flags = value.split()
    return {"cpu": name, "cores": os.cpu_count(), "features": [f for f in FEATURES if f in flags]}


def versions():
    return {name: importlib.metadata.version(name) for name in PACKAGES}
