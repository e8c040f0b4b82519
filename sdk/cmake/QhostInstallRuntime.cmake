# What runs packed networks without the rest of qhost (`cmake --install BUILD --component runtime`),
# and the same CMake package for the build tree:
#
#   lib/libqhost_runtime.so*   include/qhost_runtime.h   include/qhost/runtime.h
#   lib/cmake/QhostRuntime/    find_package(QhostRuntime) -> qhost::runtime
#   lib/pkgconfig/qhost-runtime.pc
#   share/qhost/examples/runtime/
#
# Read by QhostInstall.cmake.
set(sdk ${PROJECT_SOURCE_DIR}/sdk)
set_target_properties(qhost_runtime_shared PROPERTIES BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "")
install(TARGETS qhost_runtime_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime
        NAMELINK_COMPONENT runtime)
install(FILES ${sdk}/include/qhost_runtime.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT runtime)
install(FILES ${sdk}/include/qhost/runtime.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/qhost
        COMPONENT runtime)
install(DIRECTORY ${sdk}/examples/runtime DESTINATION ${CMAKE_INSTALL_DATADIR}/qhost/examples
        COMPONENT runtime)

# A function keeps the helper variables of configure_file() apart.
function(qhost_runtime_config file libdir includedir)
  get_target_property(so_version qhost_runtime_shared SOVERSION)
  set(QHOST_RUNTIME_SONAME libqhost_runtime.so.${so_version})
  cmake_path(RELATIVE_PATH includedir BASE_DIRECTORY "${libdir}"
             OUTPUT_VARIABLE QHOST_INCLUDE_FROM_LIB)
  configure_file(${PROJECT_SOURCE_DIR}/sdk/cmake/QhostRuntimeConfig.cmake.in ${file} @ONLY)
endfunction()
set(package ${PROJECT_BINARY_DIR}/lib/cmake/QhostRuntime)
qhost_runtime_config(${package}/QhostRuntimeConfig.cmake /lib /include)
qhost_runtime_config(${PROJECT_BINARY_DIR}/sdk/QhostRuntimeConfig.cmake
                     /${CMAKE_INSTALL_LIBDIR} /${CMAKE_INSTALL_INCLUDEDIR})
write_basic_package_version_file(${package}/QhostRuntimeConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/sdk/QhostRuntimeConfig.cmake
              ${package}/QhostRuntimeConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/QhostRuntime COMPONENT runtime)

# Found wherever the installation is moved.
set(pkgconfig /${CMAKE_INSTALL_LIBDIR}/pkgconfig)
set(top /)
cmake_path(RELATIVE_PATH top BASE_DIRECTORY ${pkgconfig} OUTPUT_VARIABLE QHOST_PREFIX_FROM_PC)
configure_file(${sdk}/cmake/qhost-runtime.pc.in ${PROJECT_BINARY_DIR}/sdk/qhost-runtime.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/sdk/qhost-runtime.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT runtime)
