# What an installation holds: the public headers, one archive of all modules, a CMake package and a pkg-config file.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(archive_objects)
foreach(module IN LISTS PENSTOCK_MODULES)
  list(APPEND archive_objects $<TARGET_OBJECTS:penstock_${module}>)
endforeach()
add_library(penstock_archive STATIC ${archive_objects})
set_target_properties(penstock_archive PROPERTIES
  OUTPUT_NAME penstock EXPORT_NAME penstock LINKER_LANGUAGE CXX ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
target_compile_features(penstock_archive INTERFACE cxx_std_23)
target_include_directories(penstock_archive INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(penstock_archive PRIVATE PkgConfig::LIBURING fmt::fmt Threads::Threads)

install(TARGETS penstock_archive EXPORT penstock ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/penstock DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/penstock)
install(EXPORT penstock NAMESPACE penstock:: FILE penstock-targets.cmake DESTINATION ${package_dir})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/penstock-config.cmake.in ${CMAKE_BINARY_DIR}/penstock-config.cmake
  INSTALL_DESTINATION ${package_dir})
# Before 1.0 any minor version may change the API.
write_basic_package_version_file(${CMAKE_BINARY_DIR}/penstock-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/penstock-config.cmake ${CMAKE_BINARY_DIR}/penstock-config-version.cmake
  DESTINATION ${package_dir})

# Relative to the .pc file itself, so that an installation may be moved and `cmake --install --prefix` needs no rebuild.
file(RELATIVE_PATH PENSTOCK_PC_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(${CMAKE_CURRENT_LIST_DIR}/penstock.pc.in ${CMAKE_BINARY_DIR}/penstock.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/penstock.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
