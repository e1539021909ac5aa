#include "engine/identity.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/assert.h"
#include "base/checksum.h"
#include "btree/btree.h"
#include "engine/identity_format.h"
#include "penstock/types.h"

namespace penstock::engine {

namespace {

using Block = std::array<std::byte, reactor::kBlockBytes>;

Failure failure_at(Status status, const std::string& what, const std::string& path) {
  return {status, what + " " + path + ": " + status.to_string()};
}

/// "shard-<number>".
bool is_shard_name(const std::string& name) {
  return name.starts_with("shard-") && name.size() > 6 &&
         std::ranges::all_of(name.substr(6), [](char digit) { return digit >= '0' && digit <= '9'; });
}

std::uint64_t block_checksum(const Block& block, IdentityBlock header) {
  header.checksum = 0;
  Block copy = block;
  base::store(copy, header);
  return base::checksum(copy);
}

}  // namespace

Status write_identity(reactor::System& system, const std::string& path, const DatabaseIdentity& identity) {
  const reactor::AlignedBuffer buffer(reactor::kBlockBytes);
  if (!buffer) {
    return Status::from_errno(ENOMEM);
  }
  IdentityBlock header;
  header.magic = kIdentityMagic;
  header.version = kFormatVersion;
  header.shard_count = identity.shard_count;
  header.checksum_algorithm = base::kChecksumXxh3;
  header.block_shift = 12;
  header.uuid_high = identity.identity.uuid_high;
  header.uuid_low = identity.identity.uuid_low;
  header.incarnation = identity.identity.incarnation;
  header.created_ns = identity.created_ns;
  Block block{};
  base::store(block, header);
  header.checksum = block_checksum(block, header);
  base::store(block, header);
  std::memcpy(buffer.data(), block.data(), block.size());
  const Result<reactor::Fd> fd = system.open_file(path, {.create = true});
  if (!fd.has_value()) {
    return fd.error();
  }
  const reactor::File file(system, *fd);
  PENSTOCK_TRY(system.write_file(*fd, 0, buffer.span()));
  return system.sync_file(*fd);
}

Outcome<DatabaseIdentity> decode_identity(std::span<const std::byte> bytes, const std::string& path) {
  const auto corrupt = [&path](std::uint64_t offset, const char* what) {
    const Status status(Code::kCorruption, FileKind::kIdentity, offset);
    return std::unexpected(Failure(status, path + ": " + what + ": " + status.to_string()));
  };
  if (bytes.size() != reactor::kBlockBytes) {
    return corrupt(0, "its length is not 4096");
  }
  Block block;
  std::memcpy(block.data(), bytes.data(), block.size());
  const auto header = base::load<IdentityBlock>(block);
  if (header.magic != kIdentityMagic) {
    return corrupt(0, "this is not the IDENTITY of a Penstock database");
  }
  if (block_checksum(block, header) != header.checksum.get()) {
    return corrupt(offsetof(IdentityBlock, checksum), "its checksum is wrong");
  }
  const bool known = header.version.get() == kFormatVersion && header.incompatible_features.get() == 0 &&
                     header.read_only_features.get() == 0 && header.checksum_algorithm == base::kChecksumXxh3 &&
                     header.block_shift == 12;
  if (!known) {
    const Status status(Code::kNotSupported, FileKind::kIdentity, offsetof(IdentityBlock, version));
    return std::unexpected(Failure(status, path + ": the database has format version " + std::to_string(header.version.get()) +
                                               " or features that this program (version " + std::to_string(kFormatVersion) +
                                               ") does not know: use a newer one"));
  }
  if (header.shard_count.get() == 0 || header.shard_count.get() > kShardCountMax || header.reserved.get() != 0) {
    return corrupt(offsetof(IdentityBlock, shard_count), "a field is out of its range");
  }
  return DatabaseIdentity{.identity = {.uuid_high = header.uuid_high.get(),
                                       .uuid_low = header.uuid_low.get(),
                                       .incarnation = header.incarnation.get()},
                          .shard_count = header.shard_count.get(),
                          .created_ns = header.created_ns.get()};
}

Outcome<DatabaseIdentity> read_identity(reactor::System& system, const std::string& path) {
  const Result<reactor::Fd> fd = system.open_file(path, {.read_only = true});
  if (!fd.has_value()) {
    return std::unexpected(failure_at(fd.error(), "cannot open", path));
  }
  const reactor::File file(system, *fd);
  const Result<std::uint64_t> bytes = system.file_bytes(*fd);
  if (!bytes.has_value() || *bytes != reactor::kBlockBytes) {
    return decode_identity({}, path);
  }
  reactor::AlignedBuffer buffer(reactor::kBlockBytes);
  if (!buffer) {
    return std::unexpected(failure_at(Status::from_errno(ENOMEM), "cannot read", path));
  }
  if (const Status status = system.read_file(*fd, 0, buffer.span()); !status.is_ok()) {
    return std::unexpected(failure_at(status, "cannot read", path));
  }
  return decode_identity(buffer.span(), path);
}

Outcome<DirectoryContents> inspect_directory(reactor::System& system, const std::string& directory) {
  Result<std::vector<std::string>> names = system.list_directory(directory);
  if (!names.has_value()) {
    if (names.error().is(Code::kNotFound)) {
      return DirectoryContents{};
    }
    return std::unexpected(failure_at(names.error(), "cannot list", directory));
  }
  DirectoryContents contents;
  contents.names = std::move(*names);
  const auto has = [&contents](const char* name) { return std::ranges::find(contents.names, name) != contents.names.end(); };
  const auto is_ours = [](const std::string& name) { return name == "EPOCH" || name == "log" || is_shard_name(name); };
  if (has("IDENTITY")) {
    contents.state = DirectoryState::kDatabase;
  } else if (has("IDENTITY.new")) {
    contents.state = DirectoryState::kUnfinished;
  } else if (std::ranges::any_of(contents.names, is_ours)) {
    contents.state = DirectoryState::kDamaged;
  } else if (std::ranges::all_of(contents.names, [](const std::string& name) { return name == "LOCK"; })) {
    contents.state = DirectoryState::kEmpty;
  } else {
    contents.state = DirectoryState::kForeign;
  }
  return contents;
}

Outcome<bool> create_database(reactor::System& system, const std::string& directory, const DatabaseIdentity& identity) {
  const auto fail = [](Status status, const std::string& path) {
    return std::unexpected(failure_at(status, "cannot make", path));
  };
  const std::string identity_new = directory + "/IDENTITY.new";
  if (const Status status = write_identity(system, identity_new, identity); !status.is_ok()) {
    return fail(status, identity_new);
  }
  if (const Status status = system.sync_directory(directory); !status.is_ok()) {
    return fail(status, directory);
  }
  const std::string log = directory + "/log";
  if (const Status status = system.make_directory(log); !status.is_ok()) {
    return fail(status, log);
  }
  if (const Status status = system.sync_directory(log); !status.is_ok()) {
    return fail(status, log);
  }
  for (std::uint32_t shard = 0; shard < identity.shard_count; ++shard) {
    const std::string path = directory + "/shard-" + std::to_string(shard);
    const btree::StoreIdentity store{.uuid_high = identity.identity.uuid_high,
                                     .uuid_low = identity.identity.uuid_low,
                                     .incarnation = identity.identity.incarnation};
    if (const Status status = btree::PageStore::create(system, path, store, static_cast<ShardId>(shard)); !status.is_ok()) {
      return fail(status, path);
    }
  }
  // Epoch 0 has no logs and ended cleanly: the first opening is then like any other, and makes the first segments before it
  // writes EPOCH.
  wal::EpochState epoch;
  epoch.generation = 1;
  epoch.clean = true;
  epoch.shard_generations.assign(identity.shard_count, 1);
  const std::string epoch_path = directory + "/EPOCH";
  if (const Status status = wal::write_epoch(system, epoch_path, identity.identity, epoch, true); !status.is_ok()) {
    return fail(status, epoch_path);
  }
  if (const Status status = system.sync_directory(directory); !status.is_ok()) {
    return fail(status, directory);
  }
  if (const Status status = system.rename_file(identity_new, directory + "/IDENTITY"); !status.is_ok()) {
    return fail(status, directory + "/IDENTITY");
  }
  if (const Status status = system.sync_directory(directory); !status.is_ok()) {
    return fail(status, directory);
  }
  const std::string parent =
      directory.find_last_of('/') == std::string::npos ? "." : directory.substr(0, directory.find_last_of('/'));
  if (const Status status = system.sync_directory(parent.empty() ? "/" : parent); !status.is_ok()) {
    return fail(status, parent);
  }
  return true;
}

namespace {

/// Removes the files of a folder of ours and the folder. Absent: nothing to do.
Status remove_folder(reactor::System& system, const std::string& path) {
  const Result<std::vector<std::string>> names = system.list_directory(path);
  if (!names.has_value()) {
    return names.error().is(Code::kNotFound) ? Status::ok() : names.error();
  }
  for (const std::string& name : *names) {
    PENSTOCK_TRY(system.remove_file(path + "/" + name));
  }
  return system.remove_directory(path);
}

}  // namespace

Outcome<bool> clear_unfinished(reactor::System& system, const std::string& directory) {
  const Outcome<DirectoryContents> contents = inspect_directory(system, directory);
  if (!contents.has_value()) {
    return std::unexpected(contents.error());
  }
  PENSTOCK_ASSERT(contents->state == DirectoryState::kUnfinished);
  for (const std::string& name : contents->names) {
    const std::string path = directory + "/" + name;
    Status status;
    if (name == "log" || is_shard_name(name)) {
      status = remove_folder(system, path);
    } else if (name == "EPOCH") {
      status = system.remove_file(path);
    }
    if (!status.is_ok()) {
      return std::unexpected(failure_at(status, "cannot remove", path));
    }
  }
  // The parts are gone for certain before the name that explains them.
  Status status = system.sync_directory(directory);
  if (status.is_ok()) {
    status = system.remove_file(directory + "/IDENTITY.new");
  }
  if (status.is_ok()) {
    status = system.sync_directory(directory);
  }
  if (!status.is_ok()) {
    return std::unexpected(failure_at(status, "cannot clear", directory));
  }
  return true;
}

}  // namespace penstock::engine
