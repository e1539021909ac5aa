#include "tools/penstock-bench/ledger.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <new>
#include <utility>

#include "base/checksum.h"
#include "tools/penstock-bench/job_error.h"

namespace penstock::bench {
namespace {

constexpr char kMagic[] = "penstock-bench ledger 1\n";
constexpr std::size_t kJobBytesMax = 3072;

// The first page; the counters of the clients follow.
struct Header {
  std::uint64_t checksum = 0;  // Of all that follows.
  char magic[sizeof(kMagic)] = {};
  char boot[64] = {};
  std::uint32_t clients = 0;
  std::uint32_t job_bytes = 0;
  char job[kJobBytesMax] = {};
};
constexpr std::size_t kHeaderBytes = 4096;
static_assert(sizeof(Header) <= kHeaderBytes);

std::uint64_t checksum_of(const Header& header) {
  const auto* bytes = reinterpret_cast<const std::byte*>(&header);
  return base::checksum({bytes + sizeof(header.checksum), sizeof(header) - sizeof(header.checksum)});
}

// Changes each time the machine is started.
std::string boot_name() {
  std::ifstream input("/proc/sys/kernel/random/boot_id");
  std::string name;
  std::getline(input, name);
  return name;
}

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw JobError(fmt::format("ledger {}: {}: {}", path, what, std::strerror(errno)));
}

}  // namespace

Ledger::Ledger(int file, std::uint32_t clients)
    : file_(file), clients_(clients), bytes_(kHeaderBytes + std::uint64_t{clients} * sizeof(ClientCounters)) {}

Ledger::Ledger(Ledger&& other) noexcept
    : file_(std::exchange(other.file_, -1)),
      clients_(other.clients_),
      bytes_(other.bytes_),
      memory_(std::exchange(other.memory_, nullptr)),
      counters_(other.counters_),
      is_of_this_boot_(other.is_of_this_boot_) {}

Ledger::~Ledger() {
  if (memory_ != nullptr) {
    ::munmap(memory_, bytes_);
  }
  if (file_ >= 0) {
    ::close(file_);
  }
}

void Ledger::map() {
  void* memory = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
  if (memory == MAP_FAILED) {
    throw JobError(fmt::format("the ledger cannot be mapped: {}", std::strerror(errno)));
  }
  memory_ = static_cast<std::byte*>(memory);
  counters_ = reinterpret_cast<ClientCounters*>(memory_ + kHeaderBytes);
}

Ledger Ledger::create(const std::string& path, const std::string& job, std::uint32_t clients) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) {
    fail(path, "it cannot be made");
  }
  Ledger ledger(file, clients);
  if (::ftruncate(file, static_cast<off_t>(ledger.bytes_)) != 0) {
    fail(path, "it cannot grow");
  }
  ledger.map();
  auto* header = new (ledger.memory_) Header;
  std::memcpy(header->magic, kMagic, sizeof(kMagic));
  boot_name().copy(header->boot, sizeof(header->boot) - 1);
  header->clients = clients;
  header->job_bytes = static_cast<std::uint32_t>(job.copy(header->job, sizeof(header->job)));
  header->checksum = checksum_of(*header);
  for (std::uint32_t client = 0; client < clients; ++client) {
    new (ledger.counters_ + client) ClientCounters;
  }
  ledger.sync();
  return ledger;
}

Ledger Ledger::open(const std::string& path, const std::string& job, std::uint32_t clients) {
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) {
    fail(path, "it cannot be read");
  }
  Ledger ledger(file, clients);
  struct stat info{};
  if (::fstat(file, &info) != 0) {
    fail(path, "it cannot be read");
  }
  if (static_cast<std::uint64_t>(info.st_size) < kHeaderBytes) {
    throw JobError(fmt::format("ledger {}: this is not one", path));
  }
  Header header;
  if (::pread(file, &header, sizeof(header), 0) != static_cast<ssize_t>(sizeof(header))) {
    fail(path, "it cannot be read");
  }
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0 || header.checksum != checksum_of(header)) {
    throw JobError(fmt::format("ledger {}: this is not one, or it is damaged", path));
  }
  if (header.clients != clients || std::string_view(header.job, header.job_bytes) != job.substr(0, kJobBytesMax)) {
    throw JobError(fmt::format("ledger {}: it is of another job ({}; here {})", path,
                               std::string_view(header.job, header.job_bytes), job));
  }
  if (static_cast<std::uint64_t>(info.st_size) != ledger.bytes_) {
    throw JobError(fmt::format("ledger {}: it is damaged: {} bytes, {} expected", path, info.st_size, ledger.bytes_));
  }
  ledger.map();
  ledger.is_of_this_boot_ = boot_name() == header.boot;
  return ledger;
}

void Ledger::keep_durable() {
  for (std::uint32_t client = 0; client < clients_; ++client) {
    counters_[client].reserved = 0;
  }
  sync();
}

bool Ledger::is_kept_durable() const noexcept { return counters_[0].reserved.load() != kNotReserved; }

void Ledger::reserve(std::uint32_t client, std::uint64_t operations) {
  // So many more at a time that a sync for them does not show.
  constexpr std::uint64_t kAhead = std::uint64_t{1} << 20U;
  counters_[client].reserved.store(operations + kAhead);
  sync();
}

void Ledger::sync() const {
  // Of a shared mapping fdatasync writes the pages too (msync(2) is for those without the file).
  if (::fdatasync(file_) != 0) {
    throw JobError(fmt::format("the ledger cannot be synced: {}", std::strerror(errno)));
  }
}

std::uint64_t Ledger::issued_at_most(std::uint32_t client) const noexcept {
  const ClientCounters& counters = counters_[client];
  if (is_of_this_boot_ || !is_kept_durable()) {
    return counters.issued.load();
  }
  return counters.reserved.load();
}

}  // namespace penstock::bench
