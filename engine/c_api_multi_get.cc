// The C API: many look-ups as one call.
#include <span>
#include <vector>

#include "engine/c_api.h"

using penstock::Bytes;
using penstock::Database;
using penstock::Future;
using penstock::Outcome;
using penstock::Result;
namespace capi = penstock::capi;

struct penstock_values {
  std::vector<Result<std::string>> answers;
};

namespace {

using Answers = Result<std::vector<Result<std::string>>>;

Outcome<Database*> check_keys(penstock_database* database, const penstock_family* family,
                              std::span<const penstock_bytes> keys) {
  for (const penstock_bytes& key : keys) {
    if (key.data == nullptr && key.size != 0) {
      return capi::refuse("a key at NULL with a size that is not 0");
    }
  }
  return capi::check(database, family, {});
}

Outcome<Future<Answers>> begin_multi_get(penstock_database* database, const penstock_family* family, const penstock_bytes* keys,
                                         size_t key_count) {
  if (keys == nullptr && key_count > 0) {
    return capi::refuse("the keys are NULL");
  }
  const std::span<const penstock_bytes> given(keys, key_count);
  return capi::when_checked(
      [&](Database* target) {
        std::vector<Bytes> views;
        views.reserve(given.size());
        for (const penstock_bytes& key : given) {
          views.push_back(capi::view(key));
        }
        return target->multi_get(family->family, views);
      },
      check_keys(database, family, given));
}

auto store_values(penstock_values** place) {
  return [place](std::vector<Result<std::string>> answers) { *place = new penstock_values{std::move(answers)}; };
}

}  // namespace

penstock_code penstock_multi_get(penstock_database* database, const penstock_family* family, const penstock_bytes* keys,
                                 size_t key_count, penstock_values** values, penstock_failure** failure) {
  if (!capi::prepare(values)) {
    return capi::report_no_place(failure);
  }
  return capi::call([&] { return begin_multi_get(database, family, keys, key_count); }, failure, store_values(values));
}
penstock_future* penstock_multi_get_async(penstock_database* database, const penstock_family* family,
                                          const penstock_bytes* keys, size_t key_count) {
  return capi::wrap(begin_multi_get(database, family, keys, key_count));
}
penstock_code penstock_future_take_values(penstock_future* future, penstock_values** values, penstock_failure** failure) {
  if (!capi::prepare(values)) {
    return capi::report_no_place(failure);
  }
  return capi::take<Answers>(future, failure, store_values(values));
}

size_t penstock_values_count(const penstock_values* values) { return values == nullptr ? 0 : values->answers.size(); }
penstock_code penstock_values_at(const penstock_values* values, size_t index, penstock_bytes* value) {
  if (value != nullptr) {
    *value = penstock_bytes{};
  }
  if (values == nullptr || value == nullptr || index >= values->answers.size()) {
    return PENSTOCK_INVALID_ARGUMENT;
  }
  const Result<std::string>& answer = values->answers[index];
  if (!answer.has_value()) {
    return static_cast<penstock_code>(answer.error().code());
  }
  *value = capi::view(Bytes(*answer));
  return PENSTOCK_OK;
}
void penstock_values_free(penstock_values* values) { delete values; }
