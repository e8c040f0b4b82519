#include "model/device.h"

#include <dlfcn.h>

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include <filesystem>

#include "qhost/error.h"

namespace qhost {
namespace {

/// The PyPI package that carries a library which libtorch_cuda.so needs.
std::string package_of(const std::string& library) {
  static const std::pair<const char*, const char*> packages[] = {
      {"libcudart", "nvidia-cuda-runtime"},  {"libcupti", "nvidia-cuda-cupti"},
      {"libnvrtc", "nvidia-cuda-nvrtc"},     {"libcublas", "nvidia-cublas"},
      {"libcudnn", "nvidia-cudnn-cu13"},     {"libcufft", "nvidia-cufft"},
      {"libcufile", "nvidia-cufile"},        {"libcurand", "nvidia-curand"},
      {"libcusolver", "nvidia-cusolver"},    {"libcusparseLt", "nvidia-cusparselt-cu13"},
      {"libcusparse", "nvidia-cusparse"},    {"libnccl", "nvidia-nccl-cu13"},
      {"libnvshmem", "nvidia-nvshmem-cu13"}, {"libtorch_nvshmem", "nvidia-nvshmem-cu13"},
      {"libnvJitLink", "nvidia-nvjitlink"},
  };
  for (const auto& [prefix, package] : packages) {
    if (library.rfind(prefix, 0) == 0) return package;
  }
  return "";
}

CudaState probe() {
  CudaState state;
  const std::filesystem::path library =
      std::filesystem::path(torch_library_folder()) / "libtorch_cuda.so";
  if (!std::filesystem::exists(library)) {
    state.why_not = "this LibTorch is built without CUDA: " + library.string() + " does not exist";
    return state;
  }
  void* driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  const bool has_driver = driver != nullptr;
  // Its static initializers register the CUDA kernels: it must be there before ATen first asks for
  // CUDA, and it stays.
  if (dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    const std::string error = dlerror();
    const std::string missing = error.substr(0, error.find(':'));
    const std::string package = package_of(missing);
    state.why_not = "libtorch_cuda.so could not be loaded: " + error;
    if (!package.empty()) {
      state.why_not += " (package " + package + ", beside the other packages of LibTorch)";
    }
    if (!has_driver) state.why_not += "; nor is there an NVIDIA driver (libcuda.so.1)";
    return state;
  }
  if (!has_driver) {
    state.why_not = "no NVIDIA driver was found (libcuda.so.1)";
    return state;
  }
  state.devices = at::globalContext().hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
  if (state.devices == 0) {
    state.why_not = "the NVIDIA driver reports no device";
    return state;
  }
  state.usable = true;
  return state;
}

}  // namespace

std::string torch_library_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&at::globalContext), &info) == 0 ||
      info.dli_fname == nullptr) {
    return "";
  }
  return std::filesystem::path(info.dli_fname).parent_path().string();
}

const CudaState& cuda_state() {
  static const CudaState state = probe();
  return state;
}

c10::Device choose_device(const std::string& wanted) {
  if (wanted == "cpu") return {c10::kCPU};
  const CudaState& state = cuda_state();
  if (state.usable) return {c10::kCUDA, 0};
  if (wanted == "auto") return {c10::kCPU};
  throw Error(ErrorKind::configuration,
              "train.device = \"cuda\", but no GPU can be used: " + state.why_not,
              "train.device = \"auto\" takes the CPU where there is no GPU");
}

}  // namespace qhost
