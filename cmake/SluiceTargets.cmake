# Settings and helpers that every target of the project shares, in one place.

if(SLUICE_CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(SLUICE_CCACHE_PROGRAM ccache)
  mark_as_advanced(SLUICE_CCACHE_PROGRAM)
  if(SLUICE_CCACHE_PROGRAM)
    # What ccache asks for before it caches what was compiled with a precompiled header.
    set(launcher "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros
      "${SLUICE_CCACHE_PROGRAM}")
    set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
  endif()
endif()

add_library(sluice_options INTERFACE)
target_compile_features(sluice_options INTERFACE cxx_std_20 c_std_11)
target_compile_options(sluice_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Wold-style-cast>
  $<$<BOOL:${SLUICE_WARNINGS_AS_ERRORS}>:-Werror>)
# gcc 12 sees overlaps in std::string's operator+ that are not there (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(sluice_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
if(SLUICE_SANITIZE)
  target_compile_options(sluice_options INTERFACE
    -fsanitize=${SLUICE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer
    -fno-sanitize=vptr) # it asks for RTTI, which the layers do without
  target_link_options(sluice_options INTERFACE -fsanitize=${SLUICE_SANITIZE})
  # Instrumented code makes gcc see accesses that are not there; the release preset warns of them.
  target_compile_options(sluice_options INTERFACE
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-array-bounds -Wno-stringop-overflow>)
endif()

# sluice_layer(<name> SOURCES ... [LINK ...]): one layer of the library as objects.
# Library code neither throws nor needs RTTI; symbols are hidden unless exported by name.
function(sluice_layer name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_library(sluice_${name} OBJECT ${arg_SOURCES})
  target_include_directories(sluice_${name}
    PUBLIC "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/include")
  target_compile_options(sluice_${name} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti>)
  target_link_libraries(sluice_${name} PRIVATE sluice_options PUBLIC ${arg_LINK})
  set_target_properties(sluice_${name} PROPERTIES
    POSITION_INDEPENDENT_CODE ON
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
endfunction()

# Programs of the project may throw and print; exit code 77 means skipped, with the reason printed.
set(SLUICE_SKIP_CODE 77)

# How the project's own programs are built that run once and check or start something: compiling
# them at -O3 takes longer than they run. Sanitizer presets choose -O1 themselves.
add_library(sluice_quick_build INTERFACE)
target_compile_options(sluice_quick_build INTERFACE $<$<CONFIG:Release>:-O1>)

# sluice_test(<name> SOURCES ... [LINK ...] [LABELS ...] [TIMEOUT s]): a GoogleTest program over the
# internal layers, one ctest test.
function(sluice_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LINK;LABELS" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 900) # against hangs: a sanitizer on a busy machine takes minutes
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  add_executable(${name} ${arg_SOURCES})
  sluice_test_sources(${name})
  target_link_libraries(${name} PRIVATE sluice_internal ${arg_LINK} GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name} --gtest_brief=1)
  set_tests_properties(${name} PROPERTIES
    TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}" SKIP_RETURN_CODE ${SLUICE_SKIP_CODE})
endfunction()

# How the sources of a test are compiled; also for libraries that several tests share. Without RTTI,
# because tests derive from classes of the library, which is built without it.
function(sluice_test_sources target)
  if(NOT TARGET sluice_test_headers)
    file(GENERATE OUTPUT "${PROJECT_BINARY_DIR}/test_headers.cpp" CONTENT "\n")
    add_library(sluice_test_headers OBJECT "${PROJECT_BINARY_DIR}/test_headers.cpp")
    sluice_test_options(sluice_test_headers)
    # A third of the time to compile a test is the parsing of these.
    target_precompile_headers(sluice_test_headers PRIVATE <gtest/gtest.h>)
  endif()
  sluice_test_options(${target})
  target_precompile_headers(${target} REUSE_FROM sluice_test_headers)
endfunction()

function(sluice_test_options target)
  target_link_libraries(${target} PRIVATE sluice_options sluice_quick_build GTest::gtest)
  target_include_directories(${target} PRIVATE
    "${PROJECT_SOURCE_DIR}/tests" "${PROJECT_SOURCE_DIR}/include/sluice/compat")
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
  endif()
endfunction()
