# Installs the build into `stage` and moves the result to `moved`: nothing in it may know where it
# was installed to.
file(REMOVE_RECURSE "${stage}" "${moved}")
execute_process(COMMAND "${CMAKE_COMMAND}" --install "${build}" --prefix "${stage}"
  RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(failed)
  message(FATAL_ERROR "cmake --install failed:\n${output}")
endif()
file(RENAME "${stage}" "${moved}")

file(GLOB_RECURSE texts "${moved}/*.cmake" "${moved}/*.pc" "${moved}/*.h" "${moved}/*.hpp")
foreach(text IN LISTS texts)
  file(READ "${text}" content)
  foreach(path IN ITEMS "${stage}" "${build}")
    string(FIND "${content}" "${path}" at)
    if(NOT at EQUAL -1)
      message(FATAL_ERROR "${text} names ${path}")
    endif()
  endforeach()
endforeach()
