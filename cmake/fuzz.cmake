# Fuzz targets (preset `fuzz`): each x_fuzz.cc is a program x_fuzz of libFuzzer's. ./dev fuzz builds and runs them.
function(penstock_fuzz source)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source} ${ARGN})
  target_link_libraries(${name} PRIVATE penstock::penstock)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endfunction()

foreach(module IN LISTS PENSTOCK_MODULES)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${module}/*_fuzz.cc)
  foreach(source IN LISTS sources)
    penstock_fuzz(${source})
  endforeach()
endforeach()

# Of whole databases, on the simulated system.
add_library(penstock_fuzz_database OBJECT ${CMAKE_SOURCE_DIR}/tests/sim/sim_database.cc)
target_link_libraries(penstock_fuzz_database PUBLIC penstock::penstock)
penstock_fuzz(${CMAKE_SOURCE_DIR}/tests/fuzz/store_fuzz.cc $<TARGET_OBJECTS:penstock_fuzz_database>)
penstock_fuzz(${CMAKE_SOURCE_DIR}/tests/fuzz/image_fuzz.cc ${CMAKE_SOURCE_DIR}/tests/fuzz/image_repair.cc
              $<TARGET_OBJECTS:penstock_fuzz_database>)

# Job files: their parser and the table of keys, without what runs jobs.
set(bench ${CMAKE_SOURCE_DIR}/tools/penstock-bench)
file(GLOB job_sources CONFIGURE_DEPENDS ${bench}/job*.cc ${bench}/store_options*.cc)
list(FILTER job_sources EXCLUDE REGEX "_fuzz\\.cc$")
penstock_fuzz(${bench}/job_fuzz.cc ${job_sources} ${bench}/peer.cc ${bench}/key_distribution.cc ${bench}/schedule.cc
              ${bench}/value_sizes.cc)
target_link_libraries(job_fuzz PRIVATE fmt::fmt)
target_compile_definitions(job_fuzz PRIVATE PENSTOCK_BENCH_VERSION="${PROJECT_VERSION}")
