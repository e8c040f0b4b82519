# The libraries of this tree, and their walls.
#
# qhost_folder(NAME DIRECTORY)
#   Its headers are included as "NAME/file.h", by the libraries that may.
# qhost_library(NAME [TORCH] [FOLDER folder] SOURCES files... [USES libraries...] [LINKS targets...])
#   An archive qhost_NAME of the folder (default: NAME). It may include its own folder, the public
#   headers, and the folders of what it USES, and of what these use. TORCH: it includes LibTorch, and
#   does not exist in a build without it.
# qhost_object_library(...)
#   The same as an object library.

set(qhost_walls ${PROJECT_BINARY_DIR}/walls)

function(qhost_folder name directory)
  file(MAKE_DIRECTORY ${qhost_walls}/${name})
  file(CREATE_LINK ${directory} ${qhost_walls}/${name}/${name} SYMBOLIC)
endfunction()

# What all code of the host is compiled with.
add_library(qhost_sdk_headers INTERFACE)
target_include_directories(qhost_sdk_headers INTERFACE ${PROJECT_SOURCE_DIR}/sdk/include)
target_compile_definitions(qhost_sdk_headers INTERFACE
  QHOST_TORCH_MAJOR=${QHOST_TORCH_MAJOR} QHOST_TORCH_MINOR=${QHOST_TORCH_MINOR}
  QHOST_TORCH_PATCH=${QHOST_TORCH_PATCH} BOOST_DLL_USE_STD_FS)

# The code behind the public headers: in libqhost_core.so, which plugins share with the host, or in a
# program that sets QHOST_LOADS_NO_PLUGIN in itself.
add_library(qhost_sdk_implementation INTERFACE)
target_link_libraries(qhost_sdk_implementation INTERFACE
  $<IF:$<BOOL:$<TARGET_PROPERTY:QHOST_LOADS_NO_PLUGIN>>,qhost_sdk_code,qhost_core>)

# The precompiled headers: one for all that needs no LibTorch, one for the rest.
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/pch.cpp CONTENT "")
function(qhost_precompiled_header name header)
  add_library(${name} OBJECT ${PROJECT_BINARY_DIR}/pch.cpp)
  target_link_libraries(${name} PRIVATE qhost_flags qhost_pch_flags qhost_sdk_headers ${ARGN})
  if(QHOST_PCH)
    target_precompile_headers(${name} PRIVATE ${header})
  endif()
endfunction()
find_package(nlohmann_json REQUIRED)
qhost_precompiled_header(qhost_pch ${PROJECT_SOURCE_DIR}/framework/base_pch.h nlohmann_json::nlohmann_json)
if(QHOST_TORCH)
  qhost_precompiled_header(qhost_torch_pch ${PROJECT_SOURCE_DIR}/framework/model/torch_pch.h
                           nlohmann_json::nlohmann_json qhost_torch_cpu)
endif()
function(qhost_use_precompiled_header target header)
  if(QHOST_PCH)
    target_link_libraries(${target} PRIVATE qhost_pch_flags)
    target_precompile_headers(${target} REUSE_FROM ${header})
  endif()
endfunction()

macro(_qhost_library type)
  cmake_parse_arguments(PARSE_ARGV 1 arg "TORCH" "FOLDER" "SOURCES;USES;LINKS")
  if(arg_TORCH AND NOT QHOST_TORCH)
    return()
  endif()
  if(NOT arg_FOLDER)
    set(arg_FOLDER ${name})
  endif()
  add_library(qhost_${name} ${type} ${arg_SOURCES})
  target_include_directories(qhost_${name} PUBLIC ${qhost_walls}/${arg_FOLDER})
  list(TRANSFORM arg_USES PREPEND qhost_)
  target_link_libraries(qhost_${name} PRIVATE qhost_flags
                        PUBLIC qhost_sdk_headers nlohmann_json::nlohmann_json ${arg_USES} ${arg_LINKS})
  if(arg_TORCH)
    target_link_libraries(qhost_${name} PUBLIC qhost_torch_cpu)
    qhost_use_precompiled_header(qhost_${name} qhost_torch_pch)
  else()
    qhost_use_precompiled_header(qhost_${name} qhost_pch)
  endif()
endmacro()
function(qhost_library name)
  _qhost_library(STATIC)
  set_property(GLOBAL APPEND PROPERTY QHOST_LIBRARIES qhost_${name})
  if(arg_TORCH)
    set_property(GLOBAL APPEND PROPERTY QHOST_TORCH_LIBRARIES qhost_${name})
  else()
    set_property(GLOBAL APPEND PROPERTY QHOST_FREE_LIBRARIES qhost_${name})
  endif()
  if(NOT name STREQUAL sdk_text)
    target_link_libraries(qhost_${name} PUBLIC $<LINK_ONLY:qhost_sdk_implementation>)
  endif()
endfunction()
function(qhost_object_library name)
  _qhost_library(OBJECT)
endfunction()
