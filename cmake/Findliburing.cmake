# Finds liburing without pkg-config and defines liburing::liburing. Installed beside the package
# configuration, because programs that link the static library need it too.

find_path(liburing_INCLUDE_DIR NAMES liburing.h)
find_library(liburing_LIBRARY NAMES uring)
mark_as_advanced(liburing_INCLUDE_DIR liburing_LIBRARY)

# Releases before 2.4 carry no version in their headers: those are told apart by what they declare.
if(liburing_INCLUDE_DIR)
  set(_liburing_version_header "${liburing_INCLUDE_DIR}/liburing/io_uring_version.h")
  if(EXISTS "${_liburing_version_header}")
    file(STRINGS "${_liburing_version_header}" _liburing_major REGEX "IO_URING_VERSION_MAJOR ")
    file(STRINGS "${_liburing_version_header}" _liburing_minor REGEX "IO_URING_VERSION_MINOR ")
    string(REGEX REPLACE "[^0-9]*([0-9]+).*" "\\1" _liburing_major "${_liburing_major}")
    string(REGEX REPLACE "[^0-9]*([0-9]+).*" "\\1" _liburing_minor "${_liburing_minor}")
    set(liburing_VERSION "${_liburing_major}.${_liburing_minor}")
  else()
    file(STRINGS "${liburing_INCLUDE_DIR}/liburing.h" _liburing_new_in_2_3
         REGEX "io_uring_submit_and_get_events")
    if(_liburing_new_in_2_3)
      set(liburing_VERSION 2.3)
    else()
      set(liburing_VERSION 2.0)
    endif()
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(liburing
  REQUIRED_VARS liburing_LIBRARY liburing_INCLUDE_DIR
  VERSION_VAR liburing_VERSION)

if(liburing_FOUND AND NOT TARGET liburing::liburing)
  add_library(liburing::liburing UNKNOWN IMPORTED)
  set_target_properties(liburing::liburing PROPERTIES
    IMPORTED_LOCATION "${liburing_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${liburing_INCLUDE_DIR}")
endif()
