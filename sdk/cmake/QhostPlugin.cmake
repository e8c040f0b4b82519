# qhost_add_plugin(NAME VERSION x.y.z PROVIDES kind:name... SOURCES files...)
# Builds NAME.so, a plugin; see qhost/plugin.h.
function(qhost_add_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "VERSION" "PROVIDES;SOURCES;LIBRARIES")
  add_library(${name} MODULE ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LIBRARIES} qhost_core)
  if(TARGET qhost_flags)
    target_link_libraries(${name} PRIVATE qhost_flags)
  endif()
  set_target_properties(${name} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY "${QHOST_PLUGIN_OUTPUT_DIRECTORY}"
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
endfunction()
