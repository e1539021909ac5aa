// The engine inside an event loop of Boost.Asio: one thread counts the ticks of a timer in a database, and does nothing else
// than run the io_context.
//
//   asio_loop [directory] [ticks]
#include <penstock/db.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

namespace {

using boost::system::error_code;

/// Polls a reactor whenever its descriptor is readable.
class ReactorWatch {
 public:
  ReactorWatch(boost::asio::io_context& loop, penstock::AttachedReactor& reactor)
      : reactor_(reactor), descriptor_(loop, reactor.fd()) {
    wait();
  }
  ReactorWatch(const ReactorWatch&) = delete;
  ReactorWatch& operator=(const ReactorWatch&) = delete;
  ~ReactorWatch() { descriptor_.release(); }  // It is the reactor's to close.

 private:
  void wait() {
    descriptor_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](error_code failed) {
      if (failed) return;
      if (reactor_.poll()) wait();
    });
  }

  penstock::AttachedReactor& reactor_;
  boost::asio::posix::stream_descriptor descriptor_;
};

/// Commits one key for each tick; stops the loop when the last commit is durable.
class TickCounter {
 public:
  TickCounter(boost::asio::io_context& loop, penstock::Database& db, penstock::Family family, int ticks)
      : loop_(loop), timer_(loop), db_(db), family_(std::move(family)), ticks_(ticks) {
    tick();
  }
  int failed() const { return failed_; }

 private:
  void tick() {
    timer_.expires_after(std::chrono::milliseconds(10));
    timer_.async_wait([this](error_code) {
      db_.put(family_, "tick-" + std::to_string(++begun_), "durable").on_ready([this](penstock::Status status) {
        std::printf("tick %d: %s\n", ++ended_, status.to_string().c_str());
        failed_ += status.is_ok() ? 0 : 1;
        if (ended_ == ticks_) loop_.stop();
      });
      if (begun_ < ticks_) tick();
    });
  }

  boost::asio::io_context& loop_;
  boost::asio::steady_timer timer_;
  penstock::Database& db_;
  penstock::Family family_;
  int ticks_;
  int begun_ = 0;
  int ended_ = 0;
  int failed_ = 0;
};

}  // namespace

int main(int argument_count, char** arguments) {
  auto runtime = penstock::Runtime::start({.reactors = 1, .threads = penstock::ReactorThreads::kDonated});
  if (!runtime) return std::fprintf(stderr, "%s\n", runtime.error().text.c_str()), 1;
  auto reactor = runtime->attach();
  if (!reactor) return std::fprintf(stderr, "%s\n", reactor.error().text.c_str()), 1;
  auto db = reactor->wait(penstock::Database::open_async(*runtime, argument_count > 1 ? arguments[1] : "asio_loop.db"));
  if (!db) return std::fprintf(stderr, "%s\n", db.error().text.c_str()), 1;
  auto family = reactor->wait(db->open_or_create_family("ticks"));
  if (!family) return std::fprintf(stderr, "%s\n", family.error().text.c_str()), 1;

  boost::asio::io_context loop(1);
  int failed = 0;
  {
    const ReactorWatch watch(loop, *reactor);
    const TickCounter counter(loop, *db, *family, argument_count > 2 ? std::atoi(arguments[2]) : 10);
    loop.run();
    failed = counter.failed();
  }
  return reactor->wait(db->close_async()).is_ok() && failed == 0 ? 0 : 1;
}
