# Install rules: headers, libraries, CMake package, pkg-config modules. Two components, as
# distributions split them: sluice-runtime (the shared library) and sluice-dev (everything else).
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/sluice")

foreach(kind IN LISTS kinds)
  install(TARGETS sluice_${kind} EXPORT sluice-targets
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
      COMPONENT sluice-runtime NAMELINK_COMPONENT sluice-dev
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT sluice-dev)
endforeach()
install(TARGETS sluice_wmain EXPORT sluice-targets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT sluice-dev)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/sluice"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT sluice-dev)
install(EXPORT sluice-targets NAMESPACE sluice:: DESTINATION "${package_dir}"
  COMPONENT sluice-dev)

# The package configuration.
if(BUILD_SHARED_LIBS)
  set(SLUICE_DEFAULT_KIND shared)
else()
  set(SLUICE_DEFAULT_KIND static)
endif()
if(TARGET sluice_static)
  set(SLUICE_HAS_STATIC TRUE)
else()
  set(SLUICE_HAS_STATIC FALSE)
endif()
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/sluice-config.cmake.in"
  "${PROJECT_BINARY_DIR}/package/sluice-config.cmake"
  INSTALL_DESTINATION "${package_dir}" PATH_VARS CMAKE_INSTALL_INCLUDEDIR)
# Before 1.0 a minor release may break its users, so only the same minor is compatible.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/package/sluice-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/package/sluice-config.cmake"
  "${PROJECT_BINARY_DIR}/package/sluice-config-version.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/Findliburing.cmake"
  DESTINATION "${package_dir}" COMPONENT sluice-dev)

# pkg-config: every path hangs on the place of the .pc file, so an installed tree can be moved.
set(pkgconfig_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
file(RELATIVE_PATH SLUICE_PC_PREFIX
  "${CMAKE_INSTALL_PREFIX}/${pkgconfig_dir}" "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/$" "" SLUICE_PC_PREFIX "${SLUICE_PC_PREFIX}")
foreach(module IN ITEMS sluice sluice-winhttp)
  configure_file("${PROJECT_SOURCE_DIR}/cmake/${module}.pc.in"
    "${PROJECT_BINARY_DIR}/package/${module}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/package/${module}.pc"
    DESTINATION "${pkgconfig_dir}" COMPONENT sluice-dev)
endforeach()
