# qhost_add_plugin(NAME
#                  VERSION x.y.z
#                  PROVIDES kind:name...      # architecture:foo quantizer:bar, what it registers
#                  SOURCES files...           # one of them holds QHOST_PLUGIN(NAME, ...)
#                  [LIBRARIES targets...]     # anything but LibTorch and other plugins
#                  [DESTINATION folder])      # built there and not installed (a test's plugin)
#
# Builds NAME.so, a qhost plugin (see qhost/plugin.h), as the target NAME. It goes to
# ${QHOST_PLUGIN_OUTPUT_DIRECTORY} and is installed to lib/qhost/plugins. The same function serves
# this tree and a project of its own after find_package(QhostSdk).
#
# LibTorch comes through qhost::sdk only: a second copy in one process would be fatal. The linker
# script exports the entry function and the stamp, so that no inline function or static of this
# plugin can take the place of another's; -z defs finds a missing symbol while linking; -z nodelete
# pins the file in memory, because objects of its types may live until the process ends.
function(qhost_add_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "VERSION;DESTINATION" "PROVIDES;SOURCES;LIBRARIES")
  set(where "qhost_add_plugin(${name}):")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "${where} unknown arguments: ${arg_UNPARSED_ARGUMENTS}\n"
      "help: the keywords are VERSION, PROVIDES, SOURCES, LIBRARIES, DESTINATION")
  endif()
  if(NOT name MATCHES "^[a-z0-9_]+$")
    message(FATAL_ERROR "${where} a plugin's name consists of a-z, 0-9 and _")
  endif()
  if(NOT arg_VERSION MATCHES "^[0-9A-Za-z.+-]+$")
    message(FATAL_ERROR "${where} VERSION \"${arg_VERSION}\" is not a version\n"
      "help: write VERSION 1.0.0")
  endif()
  if(NOT arg_PROVIDES)
    message(FATAL_ERROR "${where} PROVIDES is missing\n"
      "help: list what the plugin registers: PROVIDES quantizer:${name}")
  endif()
  foreach(component IN LISTS arg_PROVIDES)
    if(NOT component MATCHES "^(architecture|quantizer):[a-z0-9_]+$")
      message(FATAL_ERROR "${where} PROVIDES \"${component}\" is not kind:name\n"
        "help: the kind is architecture or quantizer, the name consists of a-z, 0-9 and _")
    endif()
  endforeach()
  if(NOT arg_SOURCES)
    message(FATAL_ERROR "${where} SOURCES is missing")
  endif()
  set(folder "${QHOST_PLUGIN_OUTPUT_DIRECTORY}")
  if(arg_DESTINATION)
    set(folder "${arg_DESTINATION}")
  elseif(NOT folder)
    set(folder "${CMAKE_BINARY_DIR}/lib/qhost/plugins")
  endif()
  list(JOIN arg_PROVIDES "," provides)
  set(build_type "$<IF:$<BOOL:$<CONFIG>>,$<CONFIG>,None>")

  add_library(${name} MODULE ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LIBRARIES} qhost::sdk)
  if(TARGET qhost_flags)
    target_link_libraries(${name} PRIVATE qhost_flags)
    # A quantizer includes LibTorch: its files share the host's precompiled header.
    if(TARGET qhost_torch_pch AND provides MATCHES "quantizer:")
      target_compile_definitions(${name} PRIVATE
        $<TARGET_PROPERTY:qhost_sdk_headers,INTERFACE_COMPILE_DEFINITIONS>)
      qhost_use_precompiled_header(${name} qhost_torch_pch)
    endif()
  endif()
  target_compile_features(${name} PRIVATE cxx_std_20)
  target_compile_definitions(${name} PRIVATE
    QHOST_PLUGIN_NAME="${name}"
    QHOST_PLUGIN_VERSION="${arg_VERSION}"
    QHOST_PLUGIN_PROVIDES="${provides}"
    QHOST_PLUGIN_BUILD_TYPE="${build_type}"
    QHOST_PLUGIN_SDK="${QHOST_SDK_VERSION}")

  set(script "${CMAKE_CURRENT_BINARY_DIR}/${name}.exports")
  file(CONFIGURE OUTPUT "${script}" CONTENT
    "{ global: qhost_plugin_@name@; qhost_stamp_@name@; local: *; };\n" @ONLY)
  target_link_options(${name} PRIVATE
    "LINKER:--version-script=${script}" "LINKER:--exclude-libs,ALL"
    "LINKER:-z,defs" "LINKER:-z,nodelete" "LINKER:-z,now")
  set_target_properties(${name} PROPERTIES
    PREFIX "" SUFFIX ".so" OUTPUT_NAME "${name}" DEBUG_POSTFIX ""
    LIBRARY_OUTPUT_DIRECTORY "$<1:${folder}>"
    LINK_DEPENDS "${script}"
    CXX_EXTENSIONS OFF
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
  if(arg_DESTINATION)
    set_target_properties(${name} PROPERTIES BUILD_RPATH_USE_ORIGIN ON)
  else()
    # The build tree has the layout of an installation, so one relative path serves both. (A path
    # that is edited while installing would stand in the build tree with an empty entry at its end,
    # which the loader takes for the working directory.)
    set_target_properties(${name} PROPERTIES
      BUILD_WITH_INSTALL_RPATH ON
      INSTALL_RPATH "$ORIGIN/../..")
    if(arg_LIBRARIES)
      set_target_properties(${name} PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
    endif()
    include(GNUInstallDirs)
    install(TARGETS ${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/qhost/plugins
            COMPONENT qhost_plugins)
  endif()
endfunction()
