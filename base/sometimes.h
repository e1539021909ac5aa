// Marks at the unusual branches of the engine: whether tests ever got there, and how often.
//
//   PENSTOCK_SOMETIMES("log: torn tail", tail == Tail::kTorn);
//
// The simulator prints the marks that a search never reached: a branch that no test takes is a branch that nobody knows to be
// right. A mark stands where little else happens, so it is in every build; a condition that is false costs its test and nothing
// more. Invariants:
//   Sometimes-I1 A mark that is linked into a program is in its list, reached or not. One name is one mark, wherever it stands.
// Threads: any; counts from several may miss some, never all.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace penstock::base {

class SometimesMark {
 public:
  /// Puts itself on the list. Before main() only.
  explicit SometimesMark(const char* name) noexcept;
  SometimesMark(const SometimesMark&) = delete;
  SometimesMark& operator=(const SometimesMark&) = delete;

  void hit() noexcept { hits_.store(hits() + 1, std::memory_order_relaxed); }
  const char* name() const noexcept { return name_; }
  std::uint64_t hits() const noexcept { return hits_.load(std::memory_order_relaxed); }
  /// The list: `for (mark = SometimesMark::first(); mark != nullptr; mark = mark->next())`, in no particular order.
  const SometimesMark* next() const noexcept { return next_; }
  static const SometimesMark* first() noexcept;

 private:
  const char* name_;
  std::atomic<std::uint64_t> hits_ = 0;
  const SometimesMark* next_;
};

/// A string literal as a template argument.
template <std::size_t kBytes>
struct MarkName {
  // NOLINTNEXTLINE(google-explicit-constructor): that is what makes a literal one.
  consteval MarkName(const char (&literal)[kBytes]) { std::copy_n(static_cast<const char*>(literal), kBytes, text); }
  char text[kBytes] = {};
};

template <MarkName kName>
inline SometimesMark sometimes_mark(static_cast<const char*>(kName.text));

}  // namespace penstock::base

#define PENSTOCK_SOMETIMES(name, condition)                                     \
  do {                                                                          \
    if (condition) [[unlikely]]                                                 \
      ::penstock::base::sometimes_mark<::penstock::base::MarkName(name)>.hit(); \
  } while (false)
