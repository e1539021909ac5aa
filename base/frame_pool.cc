// Memory of coroutine frames (penstock/task.h), kept by thread.
#include <array>
#include <cstddef>
#include <cstdint>
#include <new>

#include "base/sanitizer.h"
#include "penstock/task.h"

namespace penstock::detail {

namespace {

/// The address sanitizer is to see every frame come and go.
constexpr bool kKeepsFrames = !base::kHasAddressSanitizer;
constexpr std::size_t kClassBytes = 64;
constexpr std::size_t kClasses = 33;  // Frames of up to 2 KiB.
constexpr std::size_t kKeptBytesMax = 1U << 20U;

struct FreeFrame {
  FreeFrame* next;
};

/// Without a destructor: frames may still end while the thread's other objects go.
struct KeptFrames {
  std::array<FreeFrame*, kClasses> by_class{};
  std::size_t bytes = 0;
  bool is_over = false;
};
constinit thread_local KeptFrames kept;

/// Gives back what is kept when the thread ends.
struct AtThreadEnd {
  bool is_made = false;
  ~AtThreadEnd() {
    kept.is_over = true;
    for (FreeFrame*& list : kept.by_class) {
      while (list != nullptr) {
        FreeFrame* const frame = list;
        list = frame->next;
        ::operator delete(frame);
      }
    }
  }
};
thread_local AtThreadEnd at_thread_end;

constexpr std::size_t class_of(std::size_t bytes) noexcept { return (bytes + kClassBytes - 1) / kClassBytes; }

}  // namespace

void* allocate_frame(std::size_t bytes) {
  const std::size_t size_class = class_of(bytes);
  if (!kKeepsFrames || size_class >= kClasses) {
    return ::operator new(bytes);
  }
  FreeFrame* const frame = kept.by_class[size_class];
  if (frame == nullptr) {
    return ::operator new(size_class * kClassBytes);
  }
  kept.by_class[size_class] = frame->next;
  kept.bytes -= size_class * kClassBytes;
  return frame;
}

void free_frame(void* memory, std::size_t bytes) noexcept {
  const std::size_t size_class = class_of(bytes);
  const bool is_kept = kKeepsFrames && size_class < kClasses && !kept.is_over && kept.bytes < kKeptBytesMax;
  if (!is_kept) {
    ::operator delete(memory);
    return;
  }
  at_thread_end.is_made = true;  // A thread's object is made when it is first used.
  kept.by_class[size_class] = new (memory) FreeFrame{.next = kept.by_class[size_class]};
  kept.bytes += size_class * kClassBytes;
}

}  // namespace penstock::detail
