# What `cmake --install` copies, and the same package for the build tree:
#
#   bin/qhost   lib/libqhost_core.so   lib/qhost/plugins/*.so   include/qhost/*.h
#   lib/cmake/QhostSdk/    find_package(QhostSdk)
#   share/qhost/template/  a plugin project to start from
#   and what QhostInstallRuntime.cmake names
#
# Read at the end of the top folder, when all targets exist.
include(CMakePackageConfigHelpers)

set(sdk ${PROJECT_SOURCE_DIR}/sdk)
set(core_run_path "$ORIGIN")
set(program_run_path "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
if(QHOST_TORCH)
  get_target_property(torch_library qhost_torch_cpu IMPORTED_LOCATION)
  cmake_path(GET torch_library PARENT_PATH torch_library_dir)
  list(APPEND core_run_path ${torch_library_dir})
  list(APPEND program_run_path ${torch_library_dir})
  cmake_path(GET torch_library_dir PARENT_PATH QHOST_TORCH_BUILT_WITH)
endif()

# One run path for the build tree and the installation: see QhostPlugin.cmake for why it is not left
# to be edited. LibTorch stays where it was found.
set_target_properties(qhost_core PROPERTIES
  BUILD_WITH_INSTALL_RPATH ON
  INSTALL_RPATH "${core_run_path}")
install(TARGETS qhost_core LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET qhost)
  set_target_properties(qhost PROPERTIES
    BUILD_WITH_INSTALL_RPATH ON
    INSTALL_RPATH "${program_run_path}")
endif()

install(DIRECTORY ${sdk}/include/qhost DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${sdk}/template/ DESTINATION ${CMAKE_INSTALL_DATADIR}/qhost/template)

# A function keeps the helper variables of configure_file() apart.
function(qhost_sdk_config file libdir includedir)
  cmake_path(RELATIVE_PATH includedir BASE_DIRECTORY "${libdir}"
             OUTPUT_VARIABLE QHOST_INCLUDE_FROM_LIB)
  configure_file(${PROJECT_SOURCE_DIR}/sdk/cmake/QhostSdkConfig.cmake.in ${file} @ONLY)
endfunction()

set(package ${PROJECT_BINARY_DIR}/lib/cmake/QhostSdk)
qhost_sdk_config(${package}/QhostSdkConfig.cmake /lib /include)
qhost_sdk_config(${PROJECT_BINARY_DIR}/sdk/QhostSdkConfig.cmake
                 /${CMAKE_INSTALL_LIBDIR} /${CMAKE_INSTALL_INCLUDEDIR})
write_basic_package_version_file(${package}/QhostSdkConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
file(COPY ${sdk}/cmake/QhostPlugin.cmake ${sdk}/cmake/QhostTorch.cmake DESTINATION ${package})
file(CREATE_LINK ${sdk}/include ${PROJECT_BINARY_DIR}/include SYMBOLIC)

install(FILES ${PROJECT_BINARY_DIR}/sdk/QhostSdkConfig.cmake
              ${package}/QhostSdkConfigVersion.cmake
              ${sdk}/cmake/QhostPlugin.cmake
              ${sdk}/cmake/QhostTorch.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/QhostSdk)

include(${sdk}/cmake/QhostInstallRuntime.cmake)
