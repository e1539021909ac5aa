// The C API: column families and their handles.
#include <cstdint>
#include <string>

#include "engine/c_api.h"

using penstock::Database;
using penstock::Family;
using penstock::FamilyInfo;
using penstock::FamilyOptions;
using penstock::Future;
using penstock::Outcome;
namespace capi = penstock::capi;

namespace {

using FamilyAnswer = Outcome<Family>;
using DoneAnswer = Outcome<bool>;
using ListAnswer = Outcome<std::vector<FamilyInfo>>;

std::string text_of(penstock_bytes name) { return std::string(capi::view(name)); }

// --- Beginning a call ---

Outcome<Future<FamilyAnswer>> begin_create(penstock_database* database, penstock_bytes name,
                                           const penstock_family_options* options) {
  return capi::when_checked(
      [&](Database* target, const FamilyOptions& wanted) { return target->create_family(text_of(name), wanted); },
      capi::check(database, {name}), capi::read_options(options));
}

Outcome<Future<FamilyAnswer>> begin_open_or_create(penstock_database* database, penstock_bytes name,
                                                   const penstock_family_options* options) {
  return capi::when_checked(
      [&](Database* target, const FamilyOptions& wanted) { return target->open_or_create_family(text_of(name), wanted); },
      capi::check(database, {name}), capi::read_options(options));
}

Outcome<Future<FamilyAnswer>> begin_open(penstock_database* database, penstock_bytes name) {
  return capi::when_checked([&](Database* target) { return target->open_family(text_of(name)); },
                            capi::check(database, {name}));
}

Outcome<Future<DoneAnswer>> begin_drop(penstock_database* database, penstock_bytes name) {
  return capi::when_checked([&](Database* target) { return target->drop_family(text_of(name)); },
                            capi::check(database, {name}));
}

Outcome<Future<DoneAnswer>> begin_rename(penstock_database* database, penstock_bytes from, penstock_bytes to) {
  return capi::when_checked([&](Database* target) { return target->rename_family(text_of(from), text_of(to)); },
                            capi::check(database, {from, to}));
}

Outcome<Future<ListAnswer>> begin_list(penstock_database* database) {
  return capi::when_checked([](Database* target) { return target->list_families(); }, capi::check(database, {}));
}

// --- Answers ---

auto store_family(penstock_family** place, std::uint64_t database_id) {
  return [place, database_id](Family opened) { *place = new penstock_family{database_id, std::move(opened)}; };
}

auto store_list(penstock_family_list** place) {
  return [place](std::vector<FamilyInfo> families) { *place = new penstock_family_list{std::move(families)}; };
}

template <typename Begin>
penstock_code call_for_family(penstock_database* database, Begin begin, penstock_family** family, penstock_failure** failure) {
  if (!capi::prepare(family)) {
    return capi::report_no_place(failure);
  }
  return capi::call(begin, failure, store_family(family, database == nullptr ? 0 : database->id));
}

penstock_future* wrap_family(penstock_database* database, Outcome<Future<FamilyAnswer>> begun) {
  penstock_future* future = capi::wrap(std::move(begun));
  future->database_id = database == nullptr ? 0 : database->id;
  return future;
}

const FamilyInfo* find(const penstock_family_list* list, size_t index) {
  return list != nullptr && index < list->families.size() ? &list->families[index] : nullptr;
}

}  // namespace

// --- Making, opening, dropping, renaming ---

penstock_code penstock_family_create(penstock_database* database, penstock_bytes name, const penstock_family_options* options,
                                     penstock_family** family, penstock_failure** failure) {
  return call_for_family(database, [&] { return begin_create(database, name, options); }, family, failure);
}
penstock_future* penstock_family_create_async(penstock_database* database, penstock_bytes name,
                                              const penstock_family_options* options) {
  return wrap_family(database, begin_create(database, name, options));
}

penstock_code penstock_family_open(penstock_database* database, penstock_bytes name, penstock_family** family,
                                   penstock_failure** failure) {
  return call_for_family(database, [&] { return begin_open(database, name); }, family, failure);
}
penstock_future* penstock_family_open_async(penstock_database* database, penstock_bytes name) {
  return wrap_family(database, begin_open(database, name));
}

penstock_code penstock_family_open_or_create(penstock_database* database, penstock_bytes name,
                                             const penstock_family_options* options, penstock_family** family,
                                             penstock_failure** failure) {
  return call_for_family(database, [&] { return begin_open_or_create(database, name, options); }, family, failure);
}
penstock_future* penstock_family_open_or_create_async(penstock_database* database, penstock_bytes name,
                                                      const penstock_family_options* options) {
  return wrap_family(database, begin_open_or_create(database, name, options));
}

penstock_code penstock_family_drop(penstock_database* database, penstock_bytes name, penstock_failure** failure) {
  return capi::call([&] { return begin_drop(database, name); }, failure, capi::kStoreNothing);
}
penstock_future* penstock_family_drop_async(penstock_database* database, penstock_bytes name) {
  return capi::wrap(begin_drop(database, name));
}

penstock_code penstock_family_rename(penstock_database* database, penstock_bytes from, penstock_bytes to,
                                     penstock_failure** failure) {
  return capi::call([&] { return begin_rename(database, from, to); }, failure, capi::kStoreNothing);
}
penstock_future* penstock_family_rename_async(penstock_database* database, penstock_bytes from, penstock_bytes to) {
  return capi::wrap(begin_rename(database, from, to));
}

penstock_code penstock_future_take_family(penstock_future* future, penstock_family** family, penstock_failure** failure) {
  if (!capi::prepare(family)) {
    return capi::report_no_place(failure);
  }
  return capi::take<FamilyAnswer>(future, failure, store_family(family, future == nullptr ? 0 : future->database_id));
}

// --- Questions to a handle ---

penstock_family_id penstock_family_id_of(const penstock_family* family) { return family == nullptr ? 0 : family->family.id(); }

penstock_bytes penstock_family_name(const penstock_family* family) {
  return family == nullptr ? penstock_bytes{} : capi::view(family->family.name());
}

penstock_placement penstock_family_placement(const penstock_family* family) {
  return family == nullptr ? PENSTOCK_PLACEMENT_PINNED : static_cast<penstock_placement>(family->family.placement());
}

uint32_t penstock_family_shard_of(const penstock_family* family, penstock_bytes key) {
  const bool has_bytes = key.data != nullptr || key.size == 0;
  return family == nullptr || !has_bytes ? 0 : family->family.shard_of(capi::view(key));
}

bool penstock_family_is_dropped(const penstock_family* family) { return family != nullptr && family->family.is_dropped(); }

void penstock_family_free(penstock_family* family) { delete family; }

// --- The list of families ---

penstock_code penstock_family_list_read(penstock_database* database, penstock_family_list** list, penstock_failure** failure) {
  if (!capi::prepare(list)) {
    return capi::report_no_place(failure);
  }
  return capi::call([&] { return begin_list(database); }, failure, store_list(list));
}
penstock_future* penstock_family_list_read_async(penstock_database* database) { return capi::wrap(begin_list(database)); }

penstock_code penstock_future_take_family_list(penstock_future* future, penstock_family_list** list,
                                               penstock_failure** failure) {
  if (!capi::prepare(list)) {
    return capi::report_no_place(failure);
  }
  return capi::take<ListAnswer>(future, failure, store_list(list));
}

size_t penstock_family_list_count(const penstock_family_list* list) { return list == nullptr ? 0 : list->families.size(); }

penstock_bytes penstock_family_list_name(const penstock_family_list* list, size_t index) {
  const FamilyInfo* info = find(list, index);
  return info == nullptr ? penstock_bytes{} : capi::view(penstock::Bytes(info->name));
}

penstock_family_id penstock_family_list_id(const penstock_family_list* list, size_t index) {
  const FamilyInfo* info = find(list, index);
  return info == nullptr ? 0 : info->id;
}

penstock_code penstock_family_list_options(const penstock_family_list* list, size_t index, penstock_family_options* options) {
  const FamilyInfo* info = find(list, index);
  if (info == nullptr || !capi::has_room(options)) {
    return PENSTOCK_INVALID_ARGUMENT;
  }
  penstock_family_options filled = capi::describe(info->options);
  filled.struct_bytes = options->struct_bytes;
  capi::write_struct(filled, options, options->struct_bytes);
  return PENSTOCK_OK;
}

void penstock_family_list_free(penstock_family_list* list) { delete list; }
