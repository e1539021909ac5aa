#include "tests/fuzz/image_repair.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "btree/btree.h"
#include "btree/page.h"
#include "btree/super_format.h"
#include "btree/test_repair.h"
#include "btree/zone_format.h"
#include "engine/test_repair.h"
#include "wal/test_repair.h"

namespace penstock::fuzz {
namespace {

using btree::ChildPointer;
using btree::ChildPointerOnDisk;
using btree::ExtentPointer;
using btree::ExtentPointerOnDisk;
using btree::NodeView;
using btree::PageHeader;

using FileBytes = std::vector<std::byte>;

/// The page files of one shard, in memory until store().
class Shard {
 public:
  Shard(reactor::SimDisk& disk, std::string folder) : disk_(disk), folder_(std::move(folder)) {}

  void repair() {
    Result<FileBytes> super = disk_.read_all(folder_ + "/super");
    if (!super.has_value()) return;
    for (std::size_t offset = 0; offset + sizeof(btree::SuperHeader) <= super->size(); offset += btree::kSuperSlotBytes) {
      const std::size_t bytes = std::min<std::size_t>(btree::kSuperSlotBytes, super->size() - offset);
      repair_slot(std::span(*super).subspan(offset, bytes));
    }
    (void)disk_.write_all(folder_ + "/super", *super);
    for (const auto& [number, bytes] : files_) {
      if (!bytes.empty()) (void)disk_.write_all(folder_ + "/pages-" + std::to_string(number), bytes);
    }
  }

 private:
  static constexpr int kDepthMax = 20;
  static constexpr int kPagesMax = 3000;

  std::span<std::byte> bytes_at(btree::Address address, std::uint64_t blocks) {
    auto [place, is_new] = files_.try_emplace(address.file);
    if (is_new) {
      if (Result<FileBytes> bytes = disk_.read_all(folder_ + "/pages-" + std::to_string(address.file)); bytes.has_value()) {
        place->second = std::move(*bytes);
      }
    }
    const std::uint64_t offset = std::uint64_t{address.block} * btree::kPageBlockBytes;
    const std::uint64_t bytes = blocks * btree::kPageBlockBytes;
    if (offset + bytes > place->second.size()) return {};
    return std::span(place->second).subspan(offset, bytes);
  }

  void repair_slot(std::span<std::byte> slot) {
    auto header = base::load<btree::SuperHeader>(slot);
    repair_child(header.roots, btree::kRootsFamily, 0);
    base::store(slot, header);
    const std::size_t count = std::min<std::size_t>(header.file_count.get(), 16);
    for (std::size_t index = 0; index < count; ++index) {
      const std::size_t offset = sizeof(header) + (index * sizeof(btree::SuperFile));
      if (offset + sizeof(btree::SuperFile) > slot.size()) break;
      auto file = base::load<btree::SuperFile>(slot.subspan(offset));
      if (file.zones.get() > btree::kZonesPerFileMax || file.table_copy >= btree::kZoneTableCopies) continue;
      const std::uint32_t begin = file.table_copy * (btree::kZoneTableBytes / btree::kPageBlockBytes);
      const std::uint32_t table_bytes = btree::zone_table_bytes(file.zones.get());
      const std::span<std::byte> table =
          bytes_at({.file = file.number.get(), .block = begin}, table_bytes / btree::kPageBlockBytes);
      if (!table.empty()) file.table_checksum = base::checksum(table);
      base::store(slot.subspan(offset), file);
    }
    btree::repair_super_slot(slot);
  }

  void repair_child(ChildPointerOnDisk& stored, FamilyId family, int depth) {
    Result<ChildPointer> pointer = btree::decode_child(stored);
    if (!pointer.has_value() || depth > kDepthMax || ++pages_ > kPagesMax) return;
    const std::span<std::byte> page = bytes_at(pointer->address, pointer->blocks);
    if (page.empty()) return;
    pointer->checksum = base::checksum(page);
    if (btree::validate_page(page, *pointer, family).is_ok()) repair_below(page, family, depth);
    stored.checksum = base::checksum(page);
  }

  void repair_below(std::span<std::byte> page, FamilyId family, int depth) {
    const NodeView node(page);
    for (std::uint32_t index = 0; index < node.count(); ++index) {
      const Bytes payload = node.payload(index);
      const auto at = static_cast<std::size_t>(payload.data() - reinterpret_cast<const char*>(page.data()));
      const std::span<std::byte> cell = page.subspan(at, payload.size());
      if (!node.is_leaf()) {
        repair_pointer(cell, family, depth);
      } else if ((node.cell_flags(index) & btree::kCellExtent) != 0) {
        repair_extent(cell);
      } else if (family == btree::kRootsFamily) {
        std::string key;
        node.copy_key(index, key);
        repair_root(key, cell, depth);
      }
    }
  }

  void repair_pointer(std::span<std::byte> cell, FamilyId family, int depth) {
    auto child = base::load<ChildPointerOnDisk>(cell);
    repair_child(child, family, depth + 1);
    base::store(cell, child);
  }

  /// A family's trees.
  void repair_root(const std::string& key, std::span<std::byte> cell, int depth) {
    const Result<btree::FamilyRoot> root = btree::decode_family_root(key, penstock::as_bytes(std::span<const std::byte>(cell)));
    if (!root.has_value()) return;
    repair_pointer(cell, root->family, depth);
    for (std::size_t offset = sizeof(btree::FamilyRootOnDisk); offset < cell.size(); offset += sizeof(ChildPointerOnDisk)) {
      repair_pointer(cell.subspan(offset), root->family, depth);
    }
  }

  void repair_extent(std::span<std::byte> cell) {
    auto stored = base::load<ExtentPointerOnDisk>(cell);
    const Result<ExtentPointer> extent = btree::decode_extent(stored);
    if (!extent.has_value()) return;
    const std::uint64_t head_blocks = btree::extent_head_blocks(extent->value_bytes);
    const std::span<std::byte> all = bytes_at(extent->address, btree::extent_blocks(extent->value_bytes));
    if (all.empty()) return;
    const std::span<std::byte> head = all.first(head_blocks * btree::kPageBlockBytes);
    const std::span<const std::byte> value = all.subspan(head.size(), extent->value_bytes);
    for (std::uint64_t piece = 0; piece < btree::extent_checksum_count(extent->value_bytes); ++piece) {
      const std::uint64_t offset = piece * btree::kExtentChecksumBytes;
      const std::uint64_t bytes = std::min<std::uint64_t>(btree::kExtentChecksumBytes, value.size() - offset);
      const base::le64 checksum = base::checksum(value.subspan(offset, bytes));
      base::store(head.subspan(btree::kExtentChecksumsOffset + (piece * sizeof(checksum))), checksum);
    }
    stored.checksum = base::checksum(head);
    base::store(cell, stored);
  }

  reactor::SimDisk& disk_;
  std::string folder_;
  std::map<std::uint16_t, FileBytes> files_;
  int pages_ = 0;
};

}  // namespace

void repair_image(reactor::SimDisk& disk, const std::string& directory) {
  for (const std::string& path : disk.list_files()) {
    const std::string name = path.substr(std::min(path.size(), directory.size() + 1));
    const bool is_super = name.ends_with("/super");
    if (is_super) Shard(disk, path.substr(0, path.size() - 6)).repair();
    const bool is_log = name.starts_with("log/");
    if (!is_log && name != "EPOCH" && name != "IDENTITY") continue;
    Result<FileBytes> bytes = disk.read_all(path);
    if (!bytes.has_value()) continue;
    if (is_log) wal::repair_segment(*bytes);
    if (name == "EPOCH") wal::repair_epoch(*bytes);
    if (name == "IDENTITY") engine::repair_identity(*bytes);
    (void)disk.write_all(path, *bytes);
  }
}

}  // namespace penstock::fuzz
