// The files of tests/golden/{log,epoch}/v1 as this version makes them, and the hex dumps of docs/formats that show them.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "wal/group.h"
#include "wal/test_log.h"

namespace penstock::wal {

inline std::string repository_path(const std::string& name) {
  const std::string here = __FILE__;
  return here.substr(0, here.rfind("wal/")) + name;
}

inline std::vector<std::byte> read_repository_file(const std::string& name) {
  std::vector<std::byte> bytes;
  std::FILE* const file = std::fopen(repository_path(name).c_str(), "rb");
  if (file == nullptr) return bytes;
  std::byte piece[4096];
  while (const std::size_t count = std::fread(piece, 1, sizeof(piece), file)) bytes.insert(bytes.end(), piece, piece + count);
  std::fclose(file);
  return bytes;
}

/// The bytes that a page shows: lines of an offset (8 hex digits) and up to 16 bytes; what it leaves out is zero.
inline std::vector<std::byte> dumped_bytes(const std::string& page, std::size_t file_bytes) {
  std::vector<std::byte> bytes(file_bytes);
  const std::vector<std::byte> text = read_repository_file(page);
  std::string line;
  for (const std::byte byte : text) {
    const char character = static_cast<char>(byte);
    if (character != '\n') {
      line.push_back(character);
      continue;
    }
    const bool is_dump = line.size() > 10 && line.find_first_not_of("0123456789abcdef") == 8 && line.compare(8, 2, "  ") == 0;
    if (is_dump) {
      std::size_t offset = std::strtoull(line.c_str(), nullptr, 16);
      const char* at = line.c_str() + 8;
      const char* const end = line.c_str() + std::min(line.size(), line.find('|'));
      while (at < end && offset < file_bytes) {
        char* next = nullptr;
        const unsigned long value = std::strtoul(at, &next, 16);
        if (next == at || next > end) break;
        bytes[offset++] = static_cast<std::byte>(value);
        at = next;
      }
    }
    line.clear();
  }
  return bytes;
}

inline const std::vector<TestRecord>& golden_records() {
  static const std::vector<TestRecord> records = {
      {.shard = 2, .previous = 41, .first = 42, .operations = 3, .payload = "payload of shard 2"},
      {.shard = 5, .previous = 0, .first = 1, .operations = 1, .payload = "shard 5"},
      {.shard = 2, .previous = 44, .first = 45, .operations = 1, .payload = "next"},
  };
  return records;
}

/// A segment with a group of two records, the first of which is for two shards, and a group with a marker.
inline std::vector<std::byte> golden_segment() {
  const LogName log{.epoch = 3, .reactor = 1};
  const SegmentFacts facts{.index = 0, .base_offset = 0, .segment_bytes = 4 * kLogBlockBytes, .salt = 0x5a17ed5a17ed0001};
  const GroupContext context{.identity = kTestIdentity, .log = log, .salt = facts.salt};
  std::vector<std::byte> bytes(facts.segment_bytes);
  encode_segment_header(facts, kTestIdentity, log, std::span(bytes).first(kLogBlockBytes));
  std::vector<Part> parts;
  for (const TestRecord& record : golden_records()) {
    parts.push_back({.shard = record.shard,
                     .previous = record.previous,
                     .first = record.first,
                     .operations = record.operations,
                     .payload = record.payload});
  }
  const std::string first_payload = golden_records()[0].payload + golden_records()[1].payload;
  std::byte* group = bytes.data() + kLogBlockBytes;
  GroupWriter writer(group, group_seed(facts.salt, 0));
  writer.add({.type = RecordType::kBatch,
              .payload_checksum = base::checksum(as_span(first_payload)),
              .parts = std::span(parts).first(2)});
  writer.add({.type = RecordType::kBatch,
              .payload_checksum = base::checksum(as_span(parts[2].payload)),
              .parts = std::span(parts).subspan(2)});
  writer.finish(context, 0, 0);
  stamp_group(group, facts.salt, {.wall_clock_ns = 1'700'000'000'000'000'000});
  group += kLogBlockBytes;
  writer = GroupWriter(group, group_seed(facts.salt, kLogBlockBytes));
  writer.add({.type = RecordType::kMarker, .payload_checksum = base::checksum({}), .parts = {}});
  writer.finish(context, kLogBlockBytes, kLogBlockBytes);
  stamp_group(group, facts.salt, {.durable_position = kLogBlockBytes, .wall_clock_ns = 1'700'000'000'050'000'000});
  return bytes;
}

inline EpochState golden_epoch_state() {
  EpochState state;
  state.generation = 9;
  state.epoch = 12;
  state.reactors = 2;
  state.old_epochs = {{.epoch = 10, .ends = {8192}}, {.epoch = 11, .ends = {4096, 1_MiB}}};
  state.clean = true;
  state.clean_ends = {12288, 0};
  state.shard_generations = {5, 6, 7, 8};
  return state;
}

inline std::vector<std::byte> golden_epoch() {
  reactor::SimDisk disk(1);
  reactor::SimWorld world(disk);
  EXPECT_TRUE(write_epoch(world.system(), "/EPOCH", kTestIdentity, golden_epoch_state(), true).is_ok());
  const Result<std::vector<std::byte>> bytes = disk.read_all("/EPOCH");
  return bytes.has_value() ? *bytes : std::vector<std::byte>();
}

}  // namespace penstock::wal
