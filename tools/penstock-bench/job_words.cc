#include "tools/penstock-bench/job_words.h"

#include <charconv>
#include <limits>
#include <utility>

namespace penstock::bench {
namespace {

OpShare parse_share(std::string_view text) {
  const std::size_t colon = text.find(':');
  OpShare share{.kind = parse_word<OpKind>(kKinds, std::string(text.substr(0, colon))), .share = 0};
  const std::string_view weight = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  const auto [end, error] = std::from_chars(weight.data(), weight.data() + weight.size(), share.share);
  if (error != std::errc{} || end != weight.data() + weight.size() || !(share.share > 0)) {
    throw std::invalid_argument("OP:SHARE,... was expected, as in get:80,put:20");
  }
  return share;
}

}  // namespace

std::uint32_t parse_u32(const std::string& text, std::uint32_t min) {
  const std::uint64_t value = parse_size(text);
  if (value > std::numeric_limits<std::uint32_t>::max()) {
    throw std::invalid_argument("the number is too large");
  }
  if (value < min) {
    throw std::invalid_argument(fmt::format("at least {} was expected", min));
  }
  return static_cast<std::uint32_t>(value);
}

std::string parse_text(const std::string& text) {
  if (text.empty()) {
    throw std::invalid_argument("a value was expected");
  }
  return text;
}

// random ... of key_distribution.h; "latest", which is YCSB's: zipf from the last key back; and "sequential", which is no
// chance at all.
KeyDist parse_key_dist(const std::string& text) {
  KeyDist dist{.text = text, .shape = {}, .is_latest = text == "latest" || text.starts_with("latest:")};
  if (text == "sequential") {
    dist.is_sequential = true;
    return dist;
  }
  const std::string shape = !dist.is_latest ? text : text == "latest" ? "zipf:0.99" : "zipf" + text.substr(text.find(':'));
  auto parsed = KeyDistribution::parse(shape);
  if (!parsed.has_value()) {
    throw std::invalid_argument(parsed.error() + ", latest, latest:THETA, sequential");
  }
  dist.shape = std::move(*parsed);
  return dist;
}

std::vector<OpShare> parse_mix(const std::string& text) {
  std::vector<OpShare> mix;
  double sum = 0;
  std::string_view rest = text;
  do {
    const std::string_view part = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    const OpShare share = parse_share(part);
    if (std::ranges::find(mix, share.kind, &OpShare::kind) != mix.end()) {
      throw std::invalid_argument(fmt::format("'{}' comes twice", kind_name(share.kind)));
    }
    mix.push_back(share);
    sum += share.share;
  } while (!rest.empty());
  for (OpShare& share : mix) {
    share.share /= sum;
  }
  return mix;
}

std::string mix_text(const std::vector<OpShare>& mix) {
  std::string text;
  for (const OpShare& share : mix) {
    text += fmt::format("{}{}:{:.6g}", text.empty() ? "" : ",", kind_name(share.kind), 100 * share.share);
  }
  return text;
}

std::string kind_name(OpKind kind) { return kind == OpKind::kBatch ? "batch" : word_of<OpKind>(kKinds, kind); }
std::string op_name(Op op) { return word_of<Op>(kOps, op); }
std::string durability_name(Durability durability) { return word_of<Durability>(kDurabilities, durability); }
std::string rate_process_name(RateProcess process) { return word_of<RateProcess>(kRateProcesses, process); }
std::string io_backend_name(IoBackend backend) { return word_of<IoBackend>(kIoBackends, backend); }
std::string wal_sync_name(WalSync wal_sync) { return word_of<WalSync>(kWalSyncs, wal_sync); }
std::string key_order_name(KeyOrder order) { return word_of<KeyOrder>(kKeyOrders, order); }

}  // namespace penstock::bench
