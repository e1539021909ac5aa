#include "tools/penstock-bench/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace penstock::bench {
namespace {

constexpr double kLeft = 62;
constexpr double kRight = 14;
constexpr double kTop = 12;
constexpr double kBottom = 40;

double share_of(const Axis& axis, double value) {
  const double clamped = std::clamp(value, axis.min, axis.max);
  if (axis.is_log) {
    return std::log(clamped / axis.min) / std::log(axis.max / axis.min);
  }
  return (clamped - axis.min) / (axis.max - axis.min);
}

// The round number (1, 2 or 5 times a power of ten) next above a fifth of it.
double round_step(double max) {
  const double rough = max / 5;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) {
      return factor * power;
    }
  }
  return 10 * power;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string result;
  for (const char letter : text) {
    switch (letter) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        // Control characters are not allowed in the page at all.
        result += static_cast<unsigned char>(letter) < ' ' ? ' ' : letter;
    }
  }
  return result;
}

std::string duration_text(double ns) {
  const char* unit = "ns";
  for (const char* next : {"us", "ms", "s"}) {
    if (ns < 999.5) {
      break;
    }
    ns /= 1000;
    unit = next;
  }
  const int digits = ns >= 99.5 || std::abs(ns - std::round(ns)) < 0.005 ? 0 : ns >= 9.95 ? 1 : 2;
  return fmt::format("{:.{}f} {}", ns, digits, unit);
}

Axis linear_axis(double max, std::string title, std::string (*label)(double)) {
  const double step = round_step(std::max(max, 1e-9));
  Axis axis{.max = 0, .title = std::move(title), .ticks = {}};
  while (axis.max < max || axis.ticks.empty()) {
    axis.ticks.push_back({.value = axis.max, .label = label(axis.max)});
    axis.max += step;
  }
  axis.ticks.push_back({.value = axis.max, .label = label(axis.max)});
  return axis;
}

Axis duration_axis(double min_ns, double max_ns) {
  Axis axis{.is_log = true, .title = "latency", .ticks = {}};
  axis.min = std::pow(10, std::floor(std::log10(std::max(min_ns, 1.0))));
  axis.max = std::max(std::pow(10, std::ceil(std::log10(std::max(max_ns, 1.0)))), axis.min * 10);
  for (double value = axis.min; value <= axis.max * 1.001; value *= 10) {
    axis.ticks.push_back({.value = value, .label = duration_text(value)});
  }
  return axis;
}

double percentile_place(double percent) { return percent >= 100 ? INFINITY : -std::log10(1 - percent / 100); }

Axis percentile_axis(double max) {
  Axis axis{.max = std::max(max, 1.0), .title = "percentile", .ticks = {{.value = 0, .label = "0"}}};
  for (const char* percent : {"50", "90", "99", "99.9", "99.99", "99.999", "99.9999"}) {
    const double place = percentile_place(std::stod(percent));
    if (place <= axis.max + 0.001) {
      axis.ticks.push_back({.value = place, .label = std::string(percent) + "%"});
    }
  }
  return axis;
}

Chart::Chart(Axis x, Axis y, double width, double height)
    : x_(std::move(x)), y_(std::move(y)), width_(width), height_(height) {}

double Chart::place_x(double value) const { return kLeft + share_of(x_, value) * (width_ - kLeft - kRight); }
double Chart::place_y(double value) const { return height_ - kBottom - share_of(y_, value) * (height_ - kTop - kBottom); }

std::string Chart::path_of(const std::vector<Point>& points) const {
  std::string path;
  for (const Point& point : points) {
    if (!std::isnan(point.x) && !std::isnan(point.y)) {
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", place_x(point.x), place_y(point.y));
    }
  }
  return path;
}

void Chart::add_line(const std::vector<Point>& points, std::string_view style, std::string_view title) {
  if (const std::string path = path_of(points); !path.empty()) {
    lines_ += fmt::format("<path class=\"line {}\" d=\"{}\"><title>{}</title></path>\n", style, path, escaped(title));
  }
}

void Chart::add_area(const std::vector<Point>& points, std::string_view style) {
  const std::string path = path_of(points);
  if (!path.empty()) {
    below_ += fmt::format("<path class=\"area {}\" d=\"{}L{:.1f} {:.1f}L{:.1f} {:.1f}Z\"/>\n", style, path,
                          place_x(points.back().x), place_y(y_.min), place_x(points.front().x), place_y(y_.min));
  }
}

void Chart::add_band(double x_from, double x_to, std::string_view style, std::string_view title) {
  const double from = place_x(x_from);
  const double width = std::max(place_x(x_to) - from, 1.0);
  below_ += fmt::format(
      "<rect class=\"band {}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"><title>{}</title></rect>\n", style,
      std::min(from, width_ - kRight - width), kTop, width, height_ - kTop - kBottom, escaped(title));
}

std::string Chart::frame() const {
  std::string text;
  for (const Tick& tick : y_.ticks) {
    const double y = place_y(tick.value);
    text += fmt::format(
        "<line class=\"grid\" x1=\"{}\" y1=\"{:.1f}\" x2=\"{}\" y2=\"{:.1f}\"/>"
        "<text class=\"tick\" text-anchor=\"end\" x=\"{}\" y=\"{:.1f}\">{}</text>\n",
        kLeft, y, width_ - kRight, y, kLeft - 7, y + 4, escaped(tick.label));
  }
  for (const Tick& tick : x_.ticks) {
    const double x = place_x(tick.value);
    const bool is_at_edge = x > width_ - kRight - 24;  // Half of a long label would be cut off.
    text += fmt::format(
        "<line class=\"grid\" x1=\"{:.1f}\" y1=\"{}\" x2=\"{:.1f}\" y2=\"{}\"/>"
        "<text class=\"tick\" text-anchor=\"{}\" x=\"{:.1f}\" y=\"{}\">{}</text>\n",
        x, kTop, x, height_ - kBottom, is_at_edge ? "end" : "middle", is_at_edge ? width_ - 2 : x, height_ - kBottom + 16,
        escaped(tick.label));
  }
  return text + fmt::format("<text class=\"axis\" text-anchor=\"middle\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
                            (kLeft + width_ - kRight) / 2, height_ - 6, escaped(x_.title));
}

std::string Chart::svg(std::string_view description) const {
  return fmt::format(
      "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\" xmlns=\"http://www.w3.org/2000/svg\">\n{}{}{}"
      "<text class=\"axis\" x=\"{}\" y=\"{}\">{}</text>\n</svg>\n",
      width_, height_, escaped(description), frame(), below_, lines_, kLeft + 6, kTop + 12, escaped(y_.title));
}

}  // namespace penstock::bench
