#include "tools/penstock-bench/job_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "tools/penstock-bench/dataset.h"
#include "tools/penstock-bench/job_words.h"

namespace penstock::bench {
namespace {

constexpr Key kJobKeys[] = {
    {"description", "TEXT", [](Job&, const std::string&) {}, "Text for the reader of the file."},
    {"engine", "penstock|rocksdb|lmdb|leveldb|wiredtiger",
     [](Job& job, const std::string& value) { job.engine = parse_word<Engine>(kEngines, value); },
     "Whose store the job runs on; --enghelp says which are built in.", "penstock"},
    {"op", "put|insert|delete|batch|get|multiget|scan|rmw|mixed|recovery",
     [](Job& job, const std::string& value) { job.op = parse_word<Op>(kOps, value); },
     "What a call does. put, delete: `batch` keys in one commit; insert: the same behind the last key; batch: puts and deletes "
     "of "
     "opmix in one commit; multiget: `batch` keys in one question; rmw: a get and then a put of the same key; mixed: calls of "
     "the kinds in opmix; recovery: fills log_bytes of log in a child process, kills it and times the opening (Penstock "
     "alone)."},
    {"opmix", "OP:SHARE,...", [](Job& job, const std::string& value) { job.mix = parse_mix(value); },
     "Kinds of op=mixed, or puts and deletes of op=batch, and the share of each, as in get:80,put:20."},
    {"dir", "PATH", [](Job& job, const std::string& value) { job.directory = parse_text(value); },
     "Directory of the database; a peer's is PATH-ENGINE beside it."},
    {"stonewall", kFlagValues, [](Job& job, const std::string& value) { job.stonewall = parse_flag(value); },
     "Begin when all jobs before it have ended; without it jobs run at the same time, on one store. Each file begins with one.",
     "0"},
    {"wait_for_previous", kFlagValues, [](Job& job, const std::string& value) { job.stonewall = parse_flag(value); },
     "Another name of stonewall.", "0"},
    {"numjobs", "N", [](Job& job, const std::string& value) { job.numjobs = parse_u32(value, 1); },
     "So many copies of the job at the same time, on the same keys; each chooses among them for itself.", "1"},
    {"group_reporting", kFlagValues, [](Job& job, const std::string& value) { job.group_reporting = parse_flag(value); },
     "One report for the jobs of a group that have this, instead of one each.", "0"},
    {"new_group", kFlagValues, [](Job& job, const std::string& value) { job.new_group = parse_flag(value); },
     "Begin a group of reporting; stonewall begins one, too.", "0"},
};

constexpr Key kDataKeys[] = {
    {"cfs", "N", [](Job& job, const std::string& value) { job.cfs = parse_u32(value, 1); },
     "Column families, or what the engine has in their place.", "1"},
    {"cf_placement", "pinned|hashed",
     [](Job& job, const std::string& value) { job.cf_placement = parse_word<Placement>(kCfPlacements, value); },
     "A family on one shard, or over all.", "hashed; pinned if there are several families", Scope::kPenstock},
    {"cf_affinity", "own|random",
     [](Job& job, const std::string& value) { job.cf_affinity = parse_word<Affinity>(kAffinities, value); },
     "own: client c uses family c mod cfs alone; random: each call draws its family.", "own"},
    {"keys", "N", [](Job& job, const std::string& value) { job.keys = parse_size(value); }, "Keys of each family.", "1m"},
    {"key_size", "SIZE", [](Job& job, const std::string& value) { job.key_size = parse_u32(value, kKeySizeMin); },
     "Bytes of a key.", "16"},
    {"value_size", "SIZE | SIZE-SIZE | SIZE/PERCENT:SIZE/PERCENT...",
     [](Job& job, const std::string& value) { job.value_size = ValueSizes::parse(value); },
     "Bytes of a value: all alike, evenly between two sizes, or so many percent of each size.", "100"},
    {"seed", "N", [](Job& job, const std::string& value) { job.seed = parse_size(value); },
     "Of the data and of what is drawn: the same seed does the same on every engine.", "1"},
    {"key_order", "sequential|shuffled|random",
     [](Job& job, const std::string& value) { job.key_order = parse_word<KeyOrder>(kKeyOrders, value); },
     "sequential, shuffled: the clients together go through every key once, in order or not; random: key_dist draws.",
     "random"},
    {"key_dist", "random|zipf:THETA|pareto:SHARE|normal:DEVIATION|zoned:OPERATIONS/KEYS:...|latest[:THETA]|sequential",
     [](Job& job, const std::string& value) { job.key_dist = parse_key_dist(value); },
     "How key_order=random draws. latest: zipf from the newest key back; sequential is key_order=sequential.", "random"},
    {"key_scatter", kFlagValues, [](Job& job, const std::string& value) { job.key_scatter = parse_flag(value); },
     "Popular keys lie anywhere; 0: side by side, from the first key on.", "1"},
    {"fresh", kFlagValues, [](Job& job, const std::string& value) { job.fresh = parse_flag(value); },
     "Remove a database of this tool's at dir first.", "1 for op=put without preload and for op=recovery"},
    {"preload", kFlagValues, [](Job& job, const std::string& value) { job.preload = parse_flag(value); },
     "All keys are there before the clock runs: they are loaded if they are not. With 0 a key that is not there is no mistake.",
     "1, but for op=put with key_order=sequential or shuffled"},
    {"reopen", kFlagValues, [](Job& job, const std::string& value) { job.reopen = parse_flag(value); },
     "Close the store and open it again before the job.", "0"},
};

}  // namespace

std::span<const Key> job_keys() { return kJobKeys; }
std::span<const Key> data_keys() { return kDataKeys; }

std::span<const KeyBlock> key_blocks() {
  static const KeyBlock blocks[] = {{.title = "Job", .keys = job_keys()},
                                    {.title = "Data", .keys = data_keys()},
                                    {.title = "Load", .keys = load_keys()},
                                    {.title = "Verification and output", .keys = output_keys()},
                                    {.title = "Engine", .keys = engine_keys()}};
  return blocks;
}

const Key* find_key(const std::string& name) {
  for (const KeyBlock& block : key_blocks()) {
    const auto found = std::ranges::find_if(block.keys, [&](const Key& key) { return name == key.name; });
    if (found != block.keys.end()) {
      return &*found;
    }
  }
  return nullptr;
}

std::vector<std::string> key_names() {
  std::vector<std::string> names;
  for (const KeyBlock& block : key_blocks()) {
    std::ranges::transform(block.keys, std::back_inserter(names), &Key::name);
  }
  return names;
}

std::string key_help() {
  std::string text;
  for (const KeyBlock& block : key_blocks()) {
    text += fmt::format("{}{}\n", text.empty() ? "" : "\n", block.title);
    for (const Key& key : block.keys) {
      text += fmt::format("  {:<22} {}\n", key.name, key.help);
    }
  }
  return text;
}

std::string key_help(const Key& key) {
  return fmt::format("{:>12}: {}\n{:>12}: {}\n{:>12}: {}\n{:>12}: {}\n", key.name, key.help, "values", key.values, "default",
                     *key.preset == '\0' ? "none" : key.preset, "engines", key.scope == Scope::kPenstock ? "penstock" : "all");
}

}  // namespace penstock::bench
