// Which sanitizers this program is built with: they see memory and time differently, and are to see all of it. GCC says so by
// macros, Clang by __has_feature. Thread: any.
#pragma once

#if defined(__has_feature)
#define PENSTOCK_HAS_FEATURE(feature) __has_feature(feature)
#else
#define PENSTOCK_HAS_FEATURE(feature) 0
#endif

namespace penstock::base {

#if defined(__SANITIZE_ADDRESS__) || PENSTOCK_HAS_FEATURE(address_sanitizer)
inline constexpr bool kHasAddressSanitizer = true;
#else
inline constexpr bool kHasAddressSanitizer = false;
#endif

#if defined(__SANITIZE_THREAD__) || PENSTOCK_HAS_FEATURE(thread_sanitizer)
inline constexpr bool kHasThreadSanitizer = true;
#else
inline constexpr bool kHasThreadSanitizer = false;
#endif

}  // namespace penstock::base

#undef PENSTOCK_HAS_FEATURE
