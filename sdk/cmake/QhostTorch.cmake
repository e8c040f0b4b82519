# Defines qhost::c10 and qhost::torch_cpu, the LibTorch that everything links, and
# QHOST_TORCH_{MAJOR,MINOR,PATCH}.
#
# find_package(Torch) is not used: the wheel's package file stops without a CUDA toolkit. libtorch.so
# is not linked: it needs libtorch_cuda.so and every nvidia library, which are opened at run time
# when an experiment asks for a GPU.

set(QHOST_TORCH_MAJOR 0)
set(QHOST_TORCH_MINOR 0)
set(QHOST_TORCH_PATCH 0)

if(QHOST_TORCH)
  if(NOT QHOST_TORCH_DIR AND DEFINED ENV{QHOST_TORCH_DIR})
    set(QHOST_TORCH_DIR $ENV{QHOST_TORCH_DIR} CACHE PATH "" FORCE)
  endif()
  if(NOT QHOST_TORCH_DIR)
    set(_qhost_torch ${PROJECT_SOURCE_DIR}/.deps/torch/torch)
  else()
    set(_qhost_torch ${QHOST_TORCH_DIR})
  endif()
  if(NOT EXISTS ${_qhost_torch}/lib/libtorch_cpu.so)
    message(FATAL_ERROR
      "no LibTorch in ${_qhost_torch} (lib/libtorch_cpu.so is missing).\n"
      "  tools/bootstrap fetches the pinned one; or set QHOST_TORCH_DIR to the folder that holds\n"
      "  lib/ and include/: an unpacked libtorch, or <site-packages>/torch of a wheel (2.11 or later)")
  endif()
  foreach(_header torch/headeronly/version.h torch/csrc/api/include/torch/version.h)
    if(EXISTS ${_qhost_torch}/include/${_header})
      file(STRINGS ${_qhost_torch}/include/${_header} _lines REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
      if(_lines)
        break()
      endif()
    endif()
  endforeach()
  foreach(_line ${_lines})
    if(_line MATCHES "TORCH_VERSION_(MAJOR|MINOR|PATCH) +([0-9]+)")
      set(QHOST_TORCH_${CMAKE_MATCH_1} ${CMAKE_MATCH_2})
    endif()
  endforeach()
  set(QHOST_TORCH_VERSION ${QHOST_TORCH_MAJOR}.${QHOST_TORCH_MINOR}.${QHOST_TORCH_PATCH})
  if(QHOST_TORCH_VERSION VERSION_LESS 2.11.0)
    message(FATAL_ERROR "LibTorch ${QHOST_TORCH_VERSION} in ${_qhost_torch} is too old: 2.11.0 or later is needed")
  endif()
  message(STATUS "LibTorch ${QHOST_TORCH_VERSION} in ${_qhost_torch}")

  add_library(qhost_c10 SHARED IMPORTED GLOBAL)
  set_target_properties(qhost_c10 PROPERTIES IMPORTED_LOCATION ${_qhost_torch}/lib/libc10.so)
  add_library(qhost::c10 ALIAS qhost_c10)
  add_library(qhost_torch_cpu SHARED IMPORTED GLOBAL)
  set_target_properties(qhost_torch_cpu PROPERTIES
    IMPORTED_LOCATION ${_qhost_torch}/lib/libtorch_cpu.so
    INTERFACE_INCLUDE_DIRECTORIES "${_qhost_torch}/include;${_qhost_torch}/include/torch/csrc/api/include"
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${_qhost_torch}/include;${_qhost_torch}/include/torch/csrc/api/include"
    INTERFACE_LINK_LIBRARIES qhost_c10
    # An nvidia library that libtorch_cpu.so names may be absent at link time (its own RPATH finds it).
    INTERFACE_LINK_OPTIONS "-Wl,--allow-shlib-undefined")
  add_library(qhost::torch_cpu ALIAS qhost_torch_cpu)
endif()
