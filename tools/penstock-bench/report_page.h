// The page of pictures that `penstock-bench report` writes: for each workload the engines side by side, latency by percentile,
// and throughput over time with flushes and stalls marked.
//
// Invariants:
//   Page-I1 One file that needs no other: styles, pictures and script are in it, and it refers to nothing on a network.
//   Page-I2 Every job of every file is on it: in a table, and in a picture of each kind that it has figures for.
// Source of the figures: result_file.h; of the pictures: chart.h.
#pragma once

#include <string>
#include <vector>

#include "tools/penstock-bench/result_file.h"

namespace penstock::bench {

std::string report_page(const std::vector<ResultFile>& files);

}  // namespace penstock::bench
