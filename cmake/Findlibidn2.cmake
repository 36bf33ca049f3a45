# Finds libidn2 without pkg-config and defines libidn2::libidn2. Installed beside the package
# configuration, because programs that link the static library need it too.

find_path(libidn2_INCLUDE_DIR NAMES idn2.h)
find_library(libidn2_LIBRARY NAMES idn2)
mark_as_advanced(libidn2_INCLUDE_DIR libidn2_LIBRARY)

if(libidn2_INCLUDE_DIR)
  file(STRINGS "${libidn2_INCLUDE_DIR}/idn2.h" _libidn2_version REGEX "define IDN2_VERSION \"")
  string(REGEX REPLACE ".*\"([0-9.]+)\".*" "\\1" libidn2_VERSION "${_libidn2_version}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(libidn2
  REQUIRED_VARS libidn2_LIBRARY libidn2_INCLUDE_DIR
  VERSION_VAR libidn2_VERSION)

if(libidn2_FOUND AND NOT TARGET libidn2::libidn2)
  add_library(libidn2::libidn2 UNKNOWN IMPORTED)
  set_target_properties(libidn2::libidn2 PROPERTIES
    IMPORTED_LOCATION "${libidn2_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${libidn2_INCLUDE_DIR}")
endif()
