#include "penstock/status.h"

#include <array>
#include <cerrno>
#include <cstring>

namespace penstock {

namespace {

struct CodeText {
  std::string_view name;
  std::string_view advice;
};

// One row per Code, in its order.
constexpr std::array<CodeText, kCodeCount> kCodeTexts{{
    {"ok", ""},
    {"not_found", "it is not there; not applied"},
    {"invalid_argument", "the call breaks a limit or rule of the API; fix the call; not applied"},
    {"too_large", "it is over its limit; make it smaller; not applied"},
    {"busy", "retry later; not applied"},
    {"would_block", "the call would block here; use a future or retry; not applied"},
    {"no_space", "the disk is full; free space; deletes and reads still work; not applied"},
    {"already_exists", "something of that name exists; not applied"},
    {"dropped", "the family was dropped; open it anew; not applied"},
    {"closed", "the database is closing or closed; not applied"},
    {"cancelled", "cancelled on request; not applied"},
    {"poisoned", "an earlier log write or sync failed; close and reopen to write; not applied"},
    {"outcome_unknown", "the log failed under this commit; after reopening it is there whole or not at all"},
    {"io_error", "the system refused an operation; not applied"},
    {"corruption", "stored bytes are wrong; restore or repair; not applied"},
    {"not_supported", "a newer format or a feature that is not there; not applied"},
    {"permission", "the system denies access; not applied"},
    {"conflict", "the transaction lost against another; run it again; not applied"},
    {"forked", "called in a forked child; the database belongs to the parent; not applied"},
}};
static_assert(static_cast<std::uint8_t>(Code::kForked) + 1 == kCodeCount);

const CodeText& text_of(Code code) noexcept {
  static constexpr CodeText kUnnamed{"unnamed_code", ""};
  const auto index = static_cast<std::size_t>(code);
  return index < kCodeTexts.size() ? kCodeTexts[index] : kUnnamed;
}

/// What `where()` counts for a kind of file; empty: it says nothing.
std::string place_text(FileKind kind, std::uint16_t file, std::uint64_t where) {
  const std::string number = std::to_string(where);
  switch (kind) {
    case FileKind::kNone:
      return where == 0 ? std::string() : "sequence " + number;
    case FileKind::kLog:
      return "log position " + number;
    case FileKind::kPages:
      return "page file " + std::to_string(file) + " block " + number;
    case FileKind::kSuper:
      return "superblock file offset " + number;
    case FileKind::kEpoch:
      return "EPOCH offset " + number;
    case FileKind::kIdentity:
      return "IDENTITY offset " + number;
    case FileKind::kLock:
      return where == 0 ? "held by an unknown process" : "held by process " + number;
    case FileKind::kDirectory:
      return "directory";
    case FileKind::kCatalog:
      return "family " + number;
  }
  return {};
}

}  // namespace

std::string_view code_name(Code code) noexcept { return text_of(code).name; }

Status Status::from_errno(int error_number) noexcept {
  Code code = Code::kIoError;
  switch (error_number) {
    case ENOENT:
      code = Code::kNotFound;
      break;
    case EEXIST:
      code = Code::kAlreadyExists;
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      code = Code::kPermission;
      break;
    case ENOSPC:
    case EDQUOT:
      code = Code::kNoSpace;
      break;
    case EOPNOTSUPP:
    case ENOSYS:
      code = Code::kNotSupported;
      break;
    case ECANCELED:
      code = Code::kCancelled;
      break;
    default:
      break;
  }
  Status status(code);
  status.errno_ = static_cast<std::uint16_t>(error_number);
  return status;
}

std::string Status::to_string() const {
  const CodeText& text = text_of(code_);
  std::string line(text.name);
  if (!text.advice.empty()) {
    line += ": ";
    line += text.advice;
  }
  if (is_ok()) return line;
  std::string details = place_text(kind_, file_, where_);
  const auto append = [&details](const std::string& part) { details += (details.empty() ? "" : ", ") + part; };
  // Shard 0 is also "no shard named": it is said only where a place is.
  if (shard_ != 0 || kind_ == FileKind::kLog || kind_ == FileKind::kPages || kind_ == FileKind::kSuper) {
    append("shard " + std::to_string(shard_));
  }
  if (errno_ != 0) {
    const char* description = strerrordesc_np(errno_);
    append("errno " + std::to_string(errno_) + (description == nullptr ? "" : ", " + std::string(description)));
  }
  if (!details.empty()) line += " [" + details + "]";
  return line;
}

}  // namespace penstock
