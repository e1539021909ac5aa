// Names of the simulated disk, and the helpers by which tests look at and damage files.
#include <algorithm>
#include <cerrno>
#include <functional>

#include "base/assert.h"
#include "reactor/sim_disk.h"

namespace penstock::reactor {

namespace {

/// The components of a path, without empty ones and ".".
std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    if (!part.empty() && part != ".") parts.emplace_back(part);
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return parts;
}

}  // namespace

// --- looking up ---

std::shared_ptr<SimDirectory> SimDisk::find_directory(std::string_view path) const {
  std::shared_ptr<SimDirectory> directory = root_;
  for (const std::string& part : split_path(path)) {
    const auto place = directory->current.find(part);
    if (place == directory->current.end() || place->second.directory == nullptr) return nullptr;
    directory = place->second.directory;
  }
  return directory;
}

Result<SimDisk::Place> SimDisk::find_parent(const std::string& path) const {
  std::vector<std::string> parts = split_path(path);
  if (parts.empty()) return std::unexpected(Status(Code::kInvalidArgument));
  Place place;
  place.name = parts.back();
  parts.pop_back();
  place.directory = root_;
  for (const std::string& part : parts) {
    const auto next = place.directory->current.find(part);
    if (next == place.directory->current.end() || next->second.directory == nullptr) {
      return std::unexpected(Status::from_errno(ENOENT));
    }
    place.directory = next->second.directory;
  }
  return place;
}

SimNode SimDisk::find(const std::string& path) const {
  const Result<Place> parent = find_parent(path);
  if (!parent.has_value()) return {};
  const auto node = parent->directory->current.find(parent->name);
  return node == parent->directory->current.end() ? SimNode{} : node->second;
}

// --- changing ---

void SimDisk::apply_edits(std::map<std::string, SimNode>& names, const SimDirectory::Edits& edits) {
  for (const auto& [name, node] : edits) {
    if (node) {
      names[name] = node;
    } else {
      names.erase(name);
    }
  }
}

void SimDisk::edit(const std::shared_ptr<SimDirectory>& directory, SimDirectory::Edits edits) {
  apply_edits(directory->current, edits);
  directory->pending.push_back(std::move(edits));
  dirty_directories_.try_emplace(directory->id, directory);
}

std::shared_ptr<SimInode> SimDisk::new_file(const std::string& path) {
  auto inode = std::make_shared<SimInode>();
  inode->id = next_id_++;
  inode->path = path;
  inode->links = 1;
  return inode;
}

Result<std::shared_ptr<SimInode>> SimDisk::open(const std::string& path, const OpenOptions& options) {
  const bool creates = options.create && !find(path);
  PENSTOCK_TRY_RESULT(begin_call(creates ? SimEvent::kCreate : SimEvent::kOpen, path));
  Result<Place> parent = find_parent(path);
  if (!parent.has_value()) return std::unexpected(parent.error());
  const auto place = parent->directory->current.find(parent->name);
  if (place == parent->directory->current.end()) {
    if (!options.create) return std::unexpected(Status::from_errno(ENOENT));
    std::shared_ptr<SimInode> inode = new_file(path);
    edit(parent->directory, {{parent->name, SimNode{inode, nullptr}}});
    ++inode->opens;
    return inode;
  }
  if (options.create && options.exclusive) return std::unexpected(Status::from_errno(EEXIST));
  std::shared_ptr<SimInode> inode = place->second.file;
  if (inode == nullptr) return std::unexpected(Status::from_errno(EISDIR));
  ++inode->opens;
  return inode;
}

void SimDisk::close(SimInode& inode) noexcept {
  PENSTOCK_ASSERT_GT(inode.opens, 0U);
  --inode.opens;
  release_if_unused(inode);
}

Status SimDisk::make_directory(const std::string& path) {
  PENSTOCK_TRY(begin_call(SimEvent::kMakeDirectory, path));
  Result<Place> parent = find_parent(path);
  if (!parent.has_value()) return parent.error();
  if (parent->directory->current.contains(parent->name)) return Status::from_errno(EEXIST);
  auto directory = std::make_shared<SimDirectory>();
  directory->id = next_id_++;
  edit(parent->directory, {{parent->name, SimNode{nullptr, std::move(directory)}}});
  return Status::ok();
}

Status SimDisk::sync_directory(const std::string& path) {
  PENSTOCK_TRY(begin_call(SimEvent::kSyncDirectory, path));
  const std::shared_ptr<SimDirectory> directory = find_directory(path);
  if (directory == nullptr) return Status::from_errno(ENOENT);
  for (const SimDirectory::Edits& edits : directory->pending) apply_edits(directory->durable, edits);
  directory->pending.clear();
  dirty_directories_.erase(directory->id);
  return Status::ok();
}

Status SimDisk::rename(const std::string& from, const std::string& to) {
  PENSTOCK_TRY(begin_call(SimEvent::kRename, from));
  const Result<Place> source = find_parent(from);
  if (!source.has_value()) return source.error();
  const Result<Place> target = find_parent(to);
  if (!target.has_value()) return target.error();
  // Atomic in one folder; how file systems order it over two is not simulated.
  if (source->directory != target->directory) return Status::from_errno(EXDEV);
  const auto place = source->directory->current.find(source->name);
  if (place == source->directory->current.end()) return Status::from_errno(ENOENT);
  const SimNode node = place->second;
  if (node.file == nullptr) return Status::from_errno(EISDIR);
  if (source->name == target->name) return Status::ok();
  const SimNode replaced = find(to);
  if (replaced.directory != nullptr) return Status::from_errno(EISDIR);
  edit(source->directory, {{source->name, SimNode{}}, {target->name, node}});
  if (replaced.file != nullptr) {
    --replaced.file->links;
    release_if_unused(*replaced.file);
  }
  return Status::ok();
}

Status SimDisk::remove(const std::string& path) {
  PENSTOCK_TRY(begin_call(SimEvent::kRemove, path));
  const Result<Place> parent = find_parent(path);
  if (!parent.has_value()) return parent.error();
  const auto place = parent->directory->current.find(parent->name);
  if (place == parent->directory->current.end()) return Status::from_errno(ENOENT);
  const std::shared_ptr<SimInode> inode = place->second.file;
  if (inode == nullptr) return Status::from_errno(EISDIR);
  edit(parent->directory, {{parent->name, SimNode{}}});
  --inode->links;
  release_if_unused(*inode);
  return Status::ok();
}

Status SimDisk::remove_directory(const std::string& path) {
  PENSTOCK_TRY(begin_call(SimEvent::kRemoveDirectory, path));
  const Result<Place> parent = find_parent(path);
  if (!parent.has_value()) return parent.error();
  const auto place = parent->directory->current.find(parent->name);
  if (place == parent->directory->current.end()) return Status::from_errno(ENOENT);
  const std::shared_ptr<SimDirectory> directory = place->second.directory;
  if (directory == nullptr) return Status::from_errno(ENOTDIR);
  if (!directory->current.empty()) return Status::from_errno(ENOTEMPTY);
  edit(parent->directory, {{parent->name, SimNode{}}});
  return Status::ok();
}

Result<std::vector<std::string>> SimDisk::list(const std::string& path) {
  PENSTOCK_TRY_RESULT(begin_call(SimEvent::kList, path));
  const std::shared_ptr<SimDirectory> directory = find_directory(path);
  if (directory == nullptr) return std::unexpected(Status::from_errno(ENOENT));
  std::vector<std::string> names;
  for (const auto& [name, node] : directory->current) names.push_back(name);
  return names;
}

// --- for tests ---

Result<std::vector<std::byte>> SimDisk::read_all(const std::string& path) const {
  const SimNode node = find(path);
  if (node.file == nullptr) return std::unexpected(Status::from_errno(ENOENT));
  std::vector<std::byte> data(node.file->bytes);
  node.file->current.read(0, data);
  return data;
}

Status SimDisk::write_all(const std::string& path, std::span<const std::byte> data) {
  Result<Place> parent = find_parent(path);
  if (!parent.has_value()) return parent.error();
  SimNode node = find(path);
  if (node.directory != nullptr) return Status::from_errno(EISDIR);
  if (node.file == nullptr) {
    node.file = new_file(path);
    parent->directory->current[parent->name] = node;
  }
  parent->directory->durable[parent->name] = node;
  SimInode& inode = *node.file;
  if (inode.is_charged) used_blocks_ -= inode.allocated.remove(0, ~0ULL);
  allocate(inode, 0, data.size());
  inode.current.truncate(0);
  inode.current.write(0, data);
  inode.durable = inode.current;
  inode.durable_allocated = inode.allocated;
  inode.bytes = inode.durable_bytes = data.size();
  inode.changes.clear();
  return Status::ok();
}

Status SimDisk::make_unreadable(const std::string& path, std::uint64_t offset, std::uint64_t bytes) {
  const SimNode node = find(path);
  if (node.file == nullptr) return Status::from_errno(ENOENT);
  node.file->unreadable.add(offset / kBlockBytes, (offset + bytes + kBlockBytes - 1) / kBlockBytes);
  return Status::ok();
}

Status SimDisk::flip_byte(const std::string& path, std::uint64_t offset, std::uint8_t mask) {
  const SimNode node = find(path);
  if (node.file == nullptr) return Status::from_errno(ENOENT);
  if (offset >= node.file->bytes) return Status(Code::kInvalidArgument);
  for (SimContent* content : {&node.file->current, &node.file->durable}) {
    std::byte value{};
    content->read(offset, std::span(&value, 1));
    value ^= std::byte{mask};
    content->write(offset, std::span(&value, 1));
  }
  return Status::ok();
}

bool SimDisk::exists(const std::string& path) const { return static_cast<bool>(find(path)); }

std::vector<std::string> SimDisk::list_files() const {
  std::vector<std::string> paths;
  const std::function<void(const SimDirectory&, const std::string&)> visit = [&](const SimDirectory& directory,
                                                                                 const std::string& prefix) {
    for (const auto& [name, node] : directory.current) {
      const std::string path = prefix + "/" + name;
      if (node.file != nullptr) paths.push_back(path);
      if (node.directory != nullptr) visit(*node.directory, path);
    }
  };
  visit(*root_, "");
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace penstock::reactor
