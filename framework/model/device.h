/// model/device.h: which device a run computes on.
#pragma once

#include <c10/core/Device.h>

#include <string>

namespace qhost {

/// What was found out about CUDA on this machine.
struct CudaState {
  bool usable = false;
  int devices = 0;
  /// Why not, one sentence, with the missing file or package: "libtorch_cuda.so needs
  /// libcudnn.so.9, which was not found (package nvidia-cudnn-cu13)".
  std::string why_not;
};

/// Opens libtorch_cuda.so beside the LibTorch in use (once; 0.1 s and 370 MB, so only on request)
/// and counts the devices.
const CudaState& cuda_state();

/// "cpu", "cuda" or "auto" (a GPU if one is usable). Throws Error (configuration) for "cuda"
/// without a usable GPU, saying what is missing.
c10::Device choose_device(const std::string& wanted);

/// The folder that holds libtorch_cpu.so.
std::string torch_library_folder();

}  // namespace qhost
