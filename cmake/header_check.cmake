# Each public header compiles alone, twice in a row, with exceptions, and with nothing but include/ on the path: what a program
# that uses Penstock sees. Part of the default build.
file(GLOB public_headers CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/include/penstock/*.h)
set(check_sources)
foreach(header IN LISTS public_headers)
  string(MAKE_C_IDENTIFIER ${header} check_name)
  set(check_source ${CMAKE_BINARY_DIR}/header_check/${check_name}.cc)
  file(CONFIGURE OUTPUT ${check_source} CONTENT "#include \"${header}\"\n#include \"${header}\"\n" @ONLY)
  list(APPEND check_sources ${check_source})
endforeach()

add_library(penstock_header_check OBJECT ${check_sources})
target_include_directories(penstock_header_check PRIVATE ${CMAKE_SOURCE_DIR}/include)
target_compile_options(penstock_header_check PRIVATE -fexceptions -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Werror)

# The header of the C API is C99 as well, without a word from the compiler.
set(c_check_source ${CMAKE_BINARY_DIR}/header_check/penstock_penstock_h.c)
file(CONFIGURE OUTPUT ${c_check_source} CONTENT "#include \"penstock/penstock.h\"\n#include \"penstock/penstock.h\"\n" @ONLY)
add_library(penstock_c_header_check OBJECT ${c_check_source})
target_include_directories(penstock_c_header_check PRIVATE ${CMAKE_SOURCE_DIR}/include)
target_compile_options(penstock_c_header_check PRIVATE -Wall -Wextra -pedantic -Wconversion -Wsign-conversion -Wshadow
  -Wstrict-prototypes -Werror)
