# cmake -DSOURCE=FOLDER -DOUTPUT=HEADER -P commit.cmake: writes the checkout's commit into HEADER if
# it differs. Every build runs it, since a commit changes no file that a build watches.
set(commit "")
find_program(git git)
if(git)
  set(git ${git} --no-optional-locks -C ${SOURCE})
  execute_process(COMMAND ${git} rev-parse --show-prefix HEAD
                  OUTPUT_VARIABLE said ERROR_QUIET RESULT_VARIABLE failed)
  # The prefix is empty at the top of a checkout: a copy inside another project's has no commit.
  if(NOT failed AND said MATCHES "^\n([0-9a-f]+)\n$")
    set(commit ${CMAKE_MATCH_1})
    execute_process(COMMAND ${git} status --porcelain --untracked-files=no
                    OUTPUT_VARIABLE changes ERROR_QUIET)
    if(changes)
      string(APPEND commit "-dirty")
    endif()
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#define QHOST_COMMIT \"${commit}\"\n")
