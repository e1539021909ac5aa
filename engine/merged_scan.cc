#include "engine/merged_scan.h"

#include <optional>
#include <string>
#include <utility>

namespace penstock::engine {

void MergedScan::part_ended(std::size_t index, Result<FlatRows> rows) {
  parts_[index] = std::move(rows);
  if (remaining_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    Promise<Result<ScanResult>> answer = std::move(promise_);
    Result<ScanResult> merged = merge();
    delete this;
    answer.fulfill(std::move(merged));
  }
}

Result<ScanResult> MergedScan::merge() {
  for (const Result<FlatRows>& part : parts_) {
    if (!part.has_value()) {
      return std::unexpected(part.error());
    }
  }
  if (parts_.size() == 1) {
    return to_result(std::move(*parts_.front()));
  }
  std::optional<std::string> stop;  // The smallest key that a shard has not brought.
  for (const Result<FlatRows>& part : parts_) {
    if (part->next.has_value() && (!stop.has_value() || *part->next < *stop)) {
      stop = part->next;
    }
  }
  std::vector<std::size_t> places(parts_.size(), 0);
  ScanResult merged;
  std::uint64_t bytes = 0;
  while (true) {
    std::size_t nearest = parts_.size();
    Bytes nearest_key;
    for (std::size_t index = 0; index < parts_.size(); ++index) {
      const FlatRows& part = *parts_[index];
      if (places[index] == part.size()) {
        continue;
      }
      const Bytes key = part.key(places[index]);
      if (nearest == parts_.size() || key < nearest_key) {
        nearest = index;
        nearest_key = key;
      }
    }
    if (nearest == parts_.size() || (stop.has_value() && nearest_key >= Bytes(*stop))) {
      merged.next = std::move(stop);
      return merged;
    }
    if (merged.rows.size() >= options_.rows_max || bytes >= options_.bytes_max) {
      merged.next = std::string(nearest_key);
      return merged;
    }
    merged.rows.push_back(parts_[nearest]->row(places[nearest]));
    bytes += merged.rows.back().key.size() + merged.rows.back().value.size();
    ++places[nearest];
  }
}

}  // namespace penstock::engine
