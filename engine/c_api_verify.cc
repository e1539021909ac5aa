// The C API: verification.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/c_api.h"

using penstock::Damage;
using penstock::Database;
using penstock::Future;
using penstock::Outcome;
using penstock::ScrubOptions;
using penstock::VerifyReport;
namespace capi = penstock::capi;

struct penstock_scrub_report {
  VerifyReport report;
  std::vector<std::string> texts;  // Of the damages.
};

namespace {

static_assert(sizeof(penstock_verify_report) == 72);

#define PENSTOCK_SAME(c_name, name) static_assert((c_name) == static_cast<std::int32_t>(Damage::Kind::name))
PENSTOCK_SAME(PENSTOCK_DAMAGE_MISSING, kMissing);
PENSTOCK_SAME(PENSTOCK_DAMAGE_UNREADABLE, kUnreadable);
PENSTOCK_SAME(PENSTOCK_DAMAGE_CHECKSUM, kChecksum);
PENSTOCK_SAME(PENSTOCK_DAMAGE_STRUCTURE, kStructure);
PENSTOCK_SAME(PENSTOCK_DAMAGE_UNSUPPORTED, kUnsupported);
PENSTOCK_SAME(PENSTOCK_DAMAGE_CONTRADICTION, kContradiction);
PENSTOCK_SAME(PENSTOCK_DAMAGE_SPACE, kSpace);

using Answer = Outcome<VerifyReport>;

/// The same answer as a verification's, but damage is none of its failures: so the one is not to be taken for the other.
class ScrubFuture final : public capi::TypedFuture<Answer> {
 public:
  using capi::TypedFuture<Answer>::TypedFuture;
};

Outcome<Future<Answer>> begin_verify(penstock_database* database) {
  return capi::when_checked([](Database* target) { return target->verify(); }, capi::check(database, {}));
}

Outcome<Future<Answer>> begin_scrub(penstock_database* database, const penstock_scrub_options* options) {
  return capi::when_checked([](Database* target, const ScrubOptions& given) { return target->scrub(given); },
                            capi::check(database, {}), capi::read_options(options));
}

penstock_verify_report to_c(const VerifyReport& report) {
  return {.struct_bytes = 0,
          .is_complete = report.is_complete ? 1U : 0U,
          .families = report.families,
          .pages = report.pages,
          .entries = report.entries,
          .live_bytes = report.live_bytes,
          .log_groups = report.log_groups,
          .log_bytes = report.log_bytes,
          .read_bytes = report.read_bytes,
          .damages = report.damage_count};
}

auto store_verify(penstock_verify_report* place) {
  return [place](const VerifyReport& report) {
    if (place != nullptr) {
      capi::write_report(to_c(report), place);
    }
  };
}

auto store_scrub(penstock_scrub_report** place) {
  return [place](VerifyReport report) {
    auto* made = new penstock_scrub_report{.report = std::move(report), .texts = {}};
    for (const Damage& damage : made->report.damages) {
      made->texts.push_back(damage.to_string());
    }
    *place = made;
  };
}

}  // namespace

penstock_code penstock_verify(penstock_database* database, penstock_verify_report* report, penstock_failure** failure) {
  if (report != nullptr && !capi::has_room(report)) {
    return capi::report_no_place(failure);
  }
  return capi::call([&] { return begin_verify(database); }, failure, store_verify(report));
}
penstock_future* penstock_verify_async(penstock_database* database) { return capi::wrap(begin_verify(database)); }
penstock_code penstock_future_take_verify(penstock_future* future, penstock_verify_report* report, penstock_failure** failure) {
  if (report != nullptr && !capi::has_room(report)) {
    return capi::report_no_place(failure);
  }
  if (dynamic_cast<ScrubFuture*>(future) != nullptr) {
    return capi::report_misuse("the future belongs to a call with another kind of answer", failure);
  }
  return capi::take<Answer>(future, failure, store_verify(report));
}

penstock_code penstock_scrub(penstock_database* database, const penstock_scrub_options* options, penstock_scrub_report** report,
                             penstock_failure** failure) {
  if (!capi::prepare(report)) {
    return capi::report_no_place(failure);
  }
  return capi::call([&] { return begin_scrub(database, options); }, failure, store_scrub(report));
}
penstock_future* penstock_scrub_async(penstock_database* database, const penstock_scrub_options* options) {
  return new ScrubFuture(begin_scrub(database, options));
}
penstock_code penstock_future_take_scrub(penstock_future* future, penstock_scrub_report** report, penstock_failure** failure) {
  if (!capi::prepare(report)) {
    return capi::report_no_place(failure);
  }
  if (future != nullptr && dynamic_cast<ScrubFuture*>(future) == nullptr) {
    return capi::report_misuse("the future belongs to a call with another kind of answer", failure);
  }
  return capi::take<Answer>(future, failure, store_scrub(report));
}

penstock_code penstock_scrub_report_totals(const penstock_scrub_report* report, penstock_verify_report* totals) {
  if (report == nullptr || !capi::has_room(totals)) {
    return PENSTOCK_INVALID_ARGUMENT;
  }
  capi::write_report(to_c(report->report), totals);
  return PENSTOCK_OK;
}

size_t penstock_scrub_report_damage_count(const penstock_scrub_report* report) {
  return report == nullptr ? 0 : report->report.damages.size();
}

penstock_damage penstock_scrub_report_damage(const penstock_scrub_report* report, size_t index) {
  if (index >= penstock_scrub_report_damage_count(report)) {
    return {};
  }
  const Damage& damage = report->report.damages[index];
  return {.kind = static_cast<penstock_damage_kind>(damage.kind),
          .code = static_cast<penstock_code>(damage.status.code()),
          .shard = damage.status.shard(),
          .family = damage.family,
          .offset = damage.offset,
          .bytes = damage.bytes,
          .file = damage.file.c_str(),
          .text = report->texts[index].c_str()};
}

void penstock_scrub_report_free(penstock_scrub_report* report) { delete report; }
