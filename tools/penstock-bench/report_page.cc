#include "tools/penstock-bench/report_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "tools/penstock-bench/chart.h"
#include "tools/penstock-bench/progress.h"

namespace penstock::bench {
namespace {

constexpr double kWide = 1000;
constexpr double kHalf = 490;

constexpr const char* kStyle = R"(
:root { --page: #f6f7f9; --card: #ffffff; --ink: #1a2230; --soft: #5d6a7e; --grid: #e4e8ee; --edge: #dde2ea;
  --penstock: #0f62d6; --rocksdb: #e0620d; --lmdb: #2a8f4f; --leveldb: #8a4bc9; --wiredtiger: #c9286a; --other: #64748b;
  --flush: #f2b53c; --stall: #d92d20; }
@media (prefers-color-scheme: dark) {
  :root { --page: #10151d; --card: #181f2a; --ink: #e6ebf2; --soft: #98a5b8; --grid: #293241; --edge: #2b3544;
    --penstock: #5aa2ff; --rocksdb: #ff9a57; --lmdb: #5ccb86; --leveldb: #c095f5; --wiredtiger: #ff7fb0; --other: #9aa8bb; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -.01em; }
h2 { font-size: 20px; margin: 0 0 2px; }
h3 { font-size: 14px; font-weight: 600; margin: 22px 0 6px; }
p { margin: 0; } .soft { color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
section { background: var(--card); border: 1px solid var(--edge); border-radius: 10px; padding: 22px 24px 24px; margin-top: 22px; }
nav { margin-top: 14px; display: flex; flex-wrap: wrap; gap: 6px 8px; }
nav a { color: inherit; text-decoration: none; font-size: 13px; padding: 2px 10px; border: 1px solid var(--edge); border-radius: 99px; background: var(--card); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin-top: 14px; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; color: var(--soft); padding: 4px 10px; border-bottom: 1px solid var(--edge); white-space: nowrap; }
td { text-align: right; padding: 5px 10px; border-bottom: 1px solid var(--grid); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; } tr:last-child td { border-bottom: 0; }
td.bar { width: 34%; min-width: 180px; padding-right: 0; } .bar div { height: 14px; border-radius: 3px; background: var(--c); min-width: 2px; }
td.bad { color: var(--stall); text-align: left; white-space: normal; }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 3px; background: var(--c); margin-right: 8px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(380px, 1fr)); gap: 4px 20px; }
figure { margin: 0; } figcaption { font-size: 13px; color: var(--soft); margin-bottom: 2px; }
svg { display: block; width: 100%; height: auto; } svg text { font-family: inherit; fill: var(--soft); font-size: 12px; }
svg text.axis { font-size: 12px; } .grid { stroke: var(--grid); stroke-width: 1; }
.line { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.line:hover { stroke-width: 4; } .area { fill: var(--c); opacity: .13; }
.d1 { stroke-dasharray: 7 4; } .d2 { stroke-dasharray: 2 4; } .d3 { stroke-dasharray: 10 3 2 3; }
.flush { fill: var(--flush); opacity: .32; } .stall { fill: var(--stall); opacity: .36; } .s1 { opacity: .08; } .s2 { opacity: .18; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 13px; margin-top: 6px; }
.legend button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; }
.legend button[aria-pressed=false] { opacity: .4; text-decoration: line-through; } .legend svg { display: inline-block; width: 26px; height: 10px; margin-right: 6px; }
.hidden { display: none; }
.penstock { --c: var(--penstock); } .rocksdb { --c: var(--rocksdb); } .lmdb { --c: var(--lmdb); } .leveldb { --c: var(--leveldb); }
.wiredtiger { --c: var(--wiredtiger); } .other { --c: var(--other); }
.k-flush { --c: var(--flush); } .k-stall { --c: var(--stall); }
@media print { section { break-inside: avoid; border-color: #ccc; } nav { display: none; } }
)";

// A name of the legend hides and shows the lines of its job.
constexpr const char* kScript = R"(
document.querySelectorAll('.legend button').forEach(function (button) {
  button.addEventListener('click', function () {
    var shown = button.getAttribute('aria-pressed') === 'true';
    button.setAttribute('aria-pressed', shown ? 'false' : 'true');
    button.closest('section').querySelectorAll('path.' + button.dataset.line).forEach(function (path) {
      path.classList.toggle('hidden', shown);
    });
  });
});
)";

std::string rate_label(double value) { return value == 0 ? "0" : short_number(value); }

/// A job in its place among those of its workload.
struct Shown {
  const ResultJob* job;
  std::string style;  // Of the engine, of the dash if the engine comes more than once, of the job alone.
  std::string line;   // The last of these.
};

struct Workload {
  std::string name;
  std::vector<Shown> jobs;
};

constexpr const char* kEngines[] = {"penstock", "rocksdb", "lmdb", "leveldb", "wiredtiger"};

// Its place in tables; those that are not known come last.
std::ptrdiff_t engine_rank(const std::string& engine) { return std::ranges::find(kEngines, engine) - std::begin(kEngines); }

std::string engine_style(const std::string& engine) {
  return std::ranges::find(kEngines, engine) == std::end(kEngines) ? "other" : engine;
}

void add_job(const ResultJob& job, std::vector<Workload>& workloads) {
  const std::string name = workload_of(job);
  auto found = std::ranges::find(workloads, name, &Workload::name);
  if (found == workloads.end()) {
    found = workloads.insert(workloads.end(), {.name = name, .jobs = {}});
  }
  const auto before = std::ranges::count_if(found->jobs, [&](const Shown& shown) { return shown.job->engine == job.engine; });
  constexpr std::ptrdiff_t kDashes = 4;
  const std::string line = fmt::format("j{}", found->jobs.size());
  std::string style = fmt::format("{} {}", engine_style(job.engine), line);
  if (before > 0) {
    style += fmt::format(" d{}", before % kDashes);
  }
  found->jobs.push_back({.job = &job, .style = std::move(style), .line = line});
}

std::string label_of(const Workload& workload, const Shown& shown) {
  const auto same =
      std::ranges::count_if(workload.jobs, [&](const Shown& other) { return other.job->engine == shown.job->engine; });
  return same > 1 ? fmt::format("{} ({})", shown.job->engine, shown.job->file) : shown.job->engine;
}

// --- The table, with bars ---

double at_percent(const ResultCall& call, double percent) {
  for (const CurvePoint& point : call.curve) {
    if (point.percent >= percent - 1e-9) {
      return point.ns;
    }
  }
  return call.curve.empty() ? 0 : call.curve.back().ns;
}

// The call that the job is about: the one made most often.
const ResultCall* main_call(const ResultJob& job) {
  const auto most = std::ranges::max_element(job.calls, {}, &ResultCall::count);
  return most == job.calls.end() ? nullptr : &*most;
}

std::string ratio_cell(double value) { return value > 0 ? fmt::format("<td>{:.2f}</td>", value) : "<td>&#8211;</td>"; }

std::string row_of(const Workload& workload, const Shown& shown, double most) {
  const ResultJob& job = *shown.job;
  std::string row = fmt::format("<tr class=\"{}\"><td><span class=\"dot\"></span>{}</td>", engine_style(job.engine),
                                escaped(label_of(workload, shown)));
  if (!job.error.empty()) {
    return row + fmt::format("<td class=\"bad\" colspan=\"8\">failed: {}</td></tr>\n", escaped(job.error));
  }
  row += fmt::format("<td class=\"bar\"><div style=\"width:{:.1f}%\"></div></td><td>{}</td>", 100 * job.ops_per_second / most,
                     short_number(job.ops_per_second));
  const ResultCall* call = main_call(job);
  for (const double percent : {50.0, 99.0, 99.9, 100.0}) {
    row += call == nullptr ? "<td>&#8211;</td>" : fmt::format("<td>{}</td>", duration_text(at_percent(*call, percent)));
  }
  return row + ratio_cell(job.written_for_each_byte) + ratio_cell(job.space_for_each_byte) + "</tr>\n";
}

std::string table_of(const Workload& workload) {
  double most = 1e-9;
  for (const Shown& shown : workload.jobs) {
    most = std::max(most, shown.job->ops_per_second);
  }
  std::string rows;
  for (const Shown& shown : workload.jobs) {
    rows += row_of(workload, shown, most);
  }
  return "<div class=\"scroll\"><table><thead><tr><th>engine</th><th></th><th>ops/s</th><th>p50</th><th>p99</th><th>p99.9</th>"
         "<th>max</th><th title=\"bytes written for each byte given\">written</th><th title=\"bytes on disk for each byte "
         "stored\">space</th></tr></thead><tbody>\n" +
         rows + "</tbody></table></div>\n";
}

// --- Latency by percentile ---

std::vector<std::string> call_names(const Workload& workload) {
  std::vector<std::string> names;
  for (const Shown& shown : workload.jobs) {
    for (const ResultCall& call : shown.job->calls) {
      if (std::ranges::find(names, call.name) == names.end()) {
        names.push_back(call.name);
      }
    }
  }
  return names;
}

// The last value has no place on the axis at 100 %: it stands where the next one would have to come to be beyond it.
std::vector<Point> curve_points(const ResultCall& call) {
  std::vector<Point> points;
  const double last = std::log10(std::max(static_cast<double>(call.count), 2.0));
  for (const CurvePoint& point : call.curve) {
    points.push_back({.x = std::min(percentile_place(point.percent), last), .y = point.ns});
  }
  return points;
}

std::string percentile_figure(const Workload& workload, const std::string& name, double width) {
  double low = INFINITY;
  double high = 1;
  double last = 1;
  for (const Shown& shown : workload.jobs) {
    for (const ResultCall& call : shown.job->calls) {
      if (call.name == name) {
        low = std::min(low, call.curve.front().ns);
        high = std::max(high, call.curve.back().ns);
        last = std::max(last, std::log10(std::max(static_cast<double>(call.count), 2.0)));
      }
    }
  }
  Chart chart(percentile_axis(std::min(last, 7.0)), duration_axis(low, high), width, 320);
  for (const Shown& shown : workload.jobs) {
    for (const ResultCall& call : shown.job->calls) {
      if (call.name == name) {
        chart.add_line(curve_points(call), shown.style,
                       fmt::format("{}: p50 {}, p99 {}, max {}", label_of(workload, shown), duration_text(at_percent(call, 50)),
                                   duration_text(at_percent(call, 99)), duration_text(at_percent(call, 100))));
      }
    }
  }
  return fmt::format("<figure><figcaption>{}</figcaption>{}</figure>\n", escaped(name),
                     chart.svg(fmt::format("Latency of {} by percentile, {}", name, workload.name)));
}

// --- Throughput over time ---

std::string seconds_label(double value) { return fmt::format("{:g} s", value); }

double highest_rate(const Workload& workload) {
  double highest = 1e-9;
  for (const Shown& shown : workload.jobs) {
    for (const ResultSample& sample : shown.job->series) {
      highest = std::max(highest, sample.operations / shown.job->interval_s);
    }
  }
  return highest;
}

// The more the longer commits waited, all together, for each second.
const char* stall_style(double share) { return share < 0.1 ? "stall s1" : share < 1 ? "stall s2" : "stall"; }

std::string series_figure(const Workload& workload, const Shown& shown, double highest) {
  const ResultJob& job = *shown.job;
  const double seconds = static_cast<double>(job.series.size()) * job.interval_s;
  Chart chart(linear_axis(seconds, "", seconds_label), linear_axis(highest, "operations/s", rate_label), kHalf, 190);
  std::vector<Point> points;
  for (std::size_t at = 0; at < job.series.size(); ++at) {
    const ResultSample& sample = job.series[at];
    const double begin = static_cast<double>(at) * job.interval_s;
    if (sample.flushes > 0) {
      chart.add_band(begin, begin + job.interval_s, "flush",
                     fmt::format("{:.1f} s: {:.0f} flushes ended", begin, sample.flushes));
    }
    if (sample.delayed_ms > 0) {
      chart.add_band(begin, begin + job.interval_s, stall_style(sample.delayed_ms / 1e3 / job.interval_s),
                     fmt::format("{:.1f} s: commits waited {:.1f} ms for room", begin, sample.delayed_ms));
    }
    points.push_back({.x = begin + job.interval_s / 2, .y = sample.operations / job.interval_s});
  }
  chart.add_area(points, engine_style(job.engine));
  chart.add_line(points, engine_style(job.engine) + " " + shown.line, label_of(workload, shown));
  return fmt::format("<figure><figcaption><span class=\"dot {}\"></span>{}</figcaption>{}</figure>\n", engine_style(job.engine),
                     escaped(label_of(workload, shown)),
                     chart.svg(fmt::format("Throughput of {} over time, {}", job.name, workload.name)));
}

std::string series_part(const Workload& workload) {
  std::string figures;
  const double highest = highest_rate(workload);
  for (const Shown& shown : workload.jobs) {
    if (shown.job->series.size() > 1 && shown.job->interval_s > 0) {
      figures += series_figure(workload, shown, highest);
    }
  }
  if (figures.empty()) {
    return "";
  }
  return "<h3>Throughput over time</h3>\n<div class=\"pair\">\n" + figures +
         "</div>\n<p class=\"legend soft\"><span><span class=\"dot k-flush\"></span>a flush ended</span>"
         "<span><span class=\"dot k-stall\"></span>commits waited for room</span></p>\n";
}

std::string legend_of(const Workload& workload) {
  std::string text = "<p class=\"legend\">";
  for (const Shown& shown : workload.jobs) {
    text += fmt::format(
        "<button type=\"button\" aria-pressed=\"true\" data-line=\"{}\"><svg viewBox=\"0 0 26 10\"><path class=\"line {}\" "
        "d=\"M1 5L25 5\"/></svg>{}</button>",
        shown.line, shown.style, escaped(label_of(workload, shown)));
  }
  return text + "</p>\n";
}

std::string section_of(const Workload& workload, std::size_t number) {
  std::string text = fmt::format("<section id=\"w{}\">\n<h2>{}</h2>\n<p class=\"soft\">{}</p>\n{}", number,
                                 escaped(workload.name), escaped(workload.jobs.front().job->summary), table_of(workload));
  const std::vector<std::string> names = call_names(workload);
  if (!names.empty()) {
    const bool is_alone = names.size() == 1;
    text += "<h3>Latency by percentile</h3>\n" + legend_of(workload) + (is_alone ? "<div>\n" : "<div class=\"pair\">\n");
    for (const std::string& name : names) {
      text += percentile_figure(workload, name, is_alone ? kWide : kHalf);
    }
    text += "</div>\n";
  }
  return text + series_part(workload) + "</section>\n";
}

std::string header_of(const std::vector<ResultFile>& files, const std::vector<Workload>& workloads) {
  std::string text = "<h1>penstock-bench</h1>\n";
  for (const ResultFile& file : files) {
    text += fmt::format("<p class=\"soft\">{}: version {}, {}{}</p>\n", escaped(file.path), escaped(file.version),
                        escaped(file.machine), file.time.empty() ? "" : ", " + escaped(file.time));
  }
  text += "<nav>";
  for (std::size_t at = 0; at < workloads.size(); ++at) {
    text += fmt::format("<a href=\"#w{}\">{}</a>", at, escaped(workloads[at].name));
  }
  return text + "</nav>\n";
}

}  // namespace

std::string report_page(const std::vector<ResultFile>& files) {
  std::vector<Workload> workloads;
  for (const ResultFile& file : files) {
    for (const ResultJob& job : file.jobs) {
      add_job(job, workloads);
    }
  }
  for (Workload& workload : workloads) {
    const auto rank = [](const Shown& shown) { return engine_rank(shown.job->engine); };
    std::vector<Shown> ordered;  // Those of one engine in the order of the files.
    for (Shown& shown : workload.jobs) {
      const auto place = std::ranges::upper_bound(ordered, rank(shown), {}, rank);
      ordered.insert(place, std::move(shown));
    }
    workload.jobs = std::move(ordered);
  }
  std::string body = header_of(files, workloads);
  for (std::size_t at = 0; at < workloads.size(); ++at) {
    body += section_of(workloads[at], at);
  }
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\"/>\n<title>penstock-bench</title>\n<style>{}</style>\n</head>\n<body>\n"
      "<main>\n{}</main>\n<script>{}</script>\n</body>\n</html>\n",
      kStyle, body, kScript);
}

}  // namespace penstock::bench
