// Which process this is: the number by which what was made before a fork knows that it is in the child now.
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <new>

#include "penstock/future.h"

namespace penstock::detail {

namespace {

/// A word that the kernel clears in every child, however the child was made: a handler of pthread_atfork() would miss a clone()
/// that does not go through the C library.
class ForkWord {
 public:
  ForkWord() noexcept {
    constexpr std::size_t kPageBytes = 4096;
    void* const page = ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return;
    if (::madvise(page, kPageBytes, MADV_WIPEONFORK) != 0) {
      ::munmap(page, kPageBytes);
      return;
    }
    word_ = new (page) std::atomic<std::uint32_t>(0);
  }

  std::uint32_t number() noexcept {
    // Kernels before 4.14, and sandboxes that play the kernel, do not clear pages: there a system call has to tell.
    if (word_ == nullptr) return static_cast<std::uint32_t>(::getpid());
    const std::uint32_t number = word_->load(std::memory_order_relaxed);
    return number != 0 ? number : renumber();
  }

 private:
  std::uint32_t renumber() noexcept {
    // `last_` is ordinary memory: a child inherits it, and so no child gets a number that one of its ancestors had.
    const std::uint32_t mine = last_.fetch_add(1, std::memory_order_relaxed) + 1;
    std::uint32_t seen = 0;
    return word_->compare_exchange_strong(seen, mine, std::memory_order_relaxed) ? mine : seen;
  }

  std::atomic<std::uint32_t>* word_ = nullptr;
  std::atomic<std::uint32_t> last_{0};
};

}  // namespace

std::uint32_t process_number() noexcept {
  static ForkWord word;
  return word.number();
}

}  // namespace penstock::detail
