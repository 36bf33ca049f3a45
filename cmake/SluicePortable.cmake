# SLUICE_PORTABLE_ONLY: simd and core with their tests, and nothing else. These two layers make no
# system call and need no other library, so they can be built and tested for any processor.
add_subdirectory(simd)
add_subdirectory(core)

add_library(sluice_internal STATIC
  $<TARGET_OBJECTS:sluice_simd> $<TARGET_OBJECTS:sluice_core>)
target_include_directories(sluice_internal PUBLIC
  "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/include")
set_target_properties(sluice_internal PROPERTIES LINKER_LANGUAGE CXX)

if(NOT SLUICE_BUILD_TESTS)
  return()
endif()
enable_testing()

# No distribution has GoogleTest for other processors; Debian's libgtest-dev has the sources.
if(CMAKE_CROSSCOMPILING)
  set(SLUICE_GOOGLETEST_SOURCE /usr/src/googletest CACHE PATH "Sources of GoogleTest")
  if(NOT EXISTS "${SLUICE_GOOGLETEST_SOURCE}/CMakeLists.txt")
    message(FATAL_ERROR "No sources of GoogleTest in ${SLUICE_GOOGLETEST_SOURCE}"
      " (Debian: libgtest-dev)")
  endif()
  set(BUILD_GMOCK OFF CACHE BOOL "" FORCE)
  set(INSTALL_GTEST OFF CACHE BOOL "" FORCE)
  add_subdirectory("${SLUICE_GOOGLETEST_SOURCE}" "${PROJECT_BINARY_DIR}/googletest"
    EXCLUDE_FROM_ALL)
  if(NOT TARGET GTest::gtest)
    add_library(GTest::gtest ALIAS gtest)
    add_library(GTest::gtest_main ALIAS gtest_main)
  endif()
  # Tests of millions of cases take a sample (tests/support/test_effort.hpp).
  target_compile_definitions(sluice_options INTERFACE SLUICE_TEST_EMULATED=1)
else()
  find_package(GTest REQUIRED)
endif()

add_subdirectory(tests/unit/simd)
add_subdirectory(tests/unit/core)
