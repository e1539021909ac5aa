// Chart: one plot as inline SVG, made here and not in the browser: it can be read, printed and tested without one.
//
// Invariants:
//   Chart-I1 Everything drawn lies within the plot's frame: values outside the axes are moved to their ends, and points that
//   are
//            not numbers are left out.
//   Chart-I2 Text is escaped: a job's name can't end the page.
// Units: SVG's user units, as pixels at the width that the page gives. Thread: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace penstock::bench {

struct Tick {
  double value = 0;
  std::string label;
};

struct Axis {
  double min = 0;
  double max = 1;
  bool is_log = false;  ///< min is positive then.
  std::string title;
  std::vector<Tick> ticks;
};

/// From 0 to `max`, with about five round ticks; `label` makes their text.
Axis linear_axis(double max, std::string title, std::string (*label)(double));
/// Whole decades around [min, max], in nanoseconds.
Axis duration_axis(double min_ns, double max_ns);
/// Of -log10(1 - share): 0, 50 %, 90 %, 99 %, ... as far as `max`.
Axis percentile_axis(double max);
double percentile_place(double percent);

/// 1.5 ms, 20 us: three digits at most.
std::string duration_text(double ns);

struct Point {
  double x = 0;
  double y = 0;
};

class Chart {
 public:
  Chart(Axis x, Axis y, double width, double height);

  /// `style`: CSS classes of the page. `title`: shown where the mouse rests.
  void add_line(const std::vector<Point>& points, std::string_view style, std::string_view title);
  void add_area(const std::vector<Point>& points, std::string_view style);
  /// Over the whole height; at least a pixel wide.
  void add_band(double x_from, double x_to, std::string_view style, std::string_view title);

  std::string svg(std::string_view description) const;

 private:
  double place_x(double value) const;
  double place_y(double value) const;
  std::string path_of(const std::vector<Point>& points) const;
  std::string frame() const;

  Axis x_;
  Axis y_;
  double width_;
  double height_;
  std::string below_;  // Bands and areas.
  std::string lines_;
};

std::string escaped(std::string_view text);

}  // namespace penstock::bench
