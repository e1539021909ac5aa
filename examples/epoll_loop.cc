// The engine inside a program's own event loop: one thread, no other, serves lines from its standard input.
//
//   printf 'set a 1\nget a\n' | epoll_loop [directory]
//
// The loop knows two descriptors, the input and the reactor's. What the engine answers comes as a callback from poll().
#include <fcntl.h>
#include <penstock/db.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>
#include <string_view>

namespace {

/// One client: its lines are answered one after the other, while the loop goes on.
class LineServer {
 public:
  LineServer(penstock::Database& db, penstock::Family family) : db_(db), family_(std::move(family)) {}

  bool is_done() const { return has_ended_ && !is_busy_ && next_line() == std::string::npos; }

  /// The input is readable.
  void read_input(int file) {
    std::array<char, 4096> piece;
    const ssize_t bytes = ::read(file, piece.data(), piece.size());
    has_ended_ = bytes <= 0;
    if (bytes > 0) input_.append(piece.data(), static_cast<std::size_t>(bytes));
    answer_next();
  }
  bool has_ended() const { return has_ended_; }

 private:
  std::size_t next_line() const { return input_.find('\n'); }

  void answer_next() {
    const std::size_t end = next_line();
    if (is_busy_ || end == std::string::npos) return;
    const std::string line = input_.substr(0, end);
    input_.erase(0, end + 1);
    is_busy_ = true;
    const std::size_t key_begin = line.find(' ') + 1;
    const std::size_t key_end = line.find(' ', key_begin);
    const std::string key = line.substr(key_begin, key_end == std::string::npos ? key_end : key_end - key_begin);
    if (line.starts_with("get ")) {
      db_.get(family_, key).on_ready([this](const penstock::Result<std::string>& value) {
        finish(value ? *value : value.error().to_string());
      });
    } else if (line.starts_with("set ") && key_end != std::string::npos) {
      db_.put(family_, key, std::string_view(line).substr(key_end + 1)).on_ready([this](penstock::Status status) {
        finish(status.to_string());
      });
    } else {
      finish("set <key> <value> or get <key>");
    }
  }

  void finish(const std::string& text) {
    std::printf("%s\n", text.c_str());
    is_busy_ = false;
    answer_next();
  }

  penstock::Database& db_;
  penstock::Family family_;
  std::string input_;
  bool is_busy_ = false;
  bool has_ended_ = false;
};

bool watch(int epoll_file, int file) {
  epoll_event wanted{};
  wanted.events = EPOLLIN;
  wanted.data.fd = file;
  return ::epoll_ctl(epoll_file, EPOLL_CTL_ADD, file, &wanted) == 0;
}

bool serve(LineServer& server, penstock::AttachedReactor& reactor) {
  const int epoll_file = ::epoll_create1(EPOLL_CLOEXEC);
  if (!watch(epoll_file, reactor.fd()) || !watch(epoll_file, STDIN_FILENO)) {
    return std::perror("epoll_ctl (the input has to be a pipe, a socket or a terminal)"), false;
  }
  while (!server.is_done()) {
    std::array<epoll_event, 2> events;
    const int count = ::epoll_wait(epoll_file, events.data(), static_cast<int>(events.size()), -1);
    for (int index = 0; index < count; ++index) {  // None after EINTR.
      if (events[static_cast<std::size_t>(index)].data.fd == reactor.fd()) {
        static_cast<void>(reactor.poll());  // It fails on other threads, inside itself and in a forked child alone.
      } else {
        server.read_input(STDIN_FILENO);
        if (server.has_ended()) ::epoll_ctl(epoll_file, EPOLL_CTL_DEL, STDIN_FILENO, nullptr);
      }
    }
  }
  return ::close(epoll_file) == 0;
}

}  // namespace

int main(int argument_count, char** arguments) {
  auto runtime = penstock::Runtime::start({.reactors = 1, .threads = penstock::ReactorThreads::kDonated});
  if (!runtime) return std::fprintf(stderr, "%s\n", runtime.error().text.c_str()), 1;
  auto reactor = runtime->attach();
  if (!reactor) return std::fprintf(stderr, "%s\n", reactor.error().text.c_str()), 1;
  auto db = reactor->wait(penstock::Database::open_async(*runtime, argument_count > 1 ? arguments[1] : "epoll_loop.db"));
  if (!db) return std::fprintf(stderr, "%s\n", db.error().text.c_str()), 1;
  auto family = reactor->wait(db->open_or_create_family("lines"));
  if (!family) return std::fprintf(stderr, "%s\n", family.error().text.c_str()), 1;

  LineServer server(*db, *family);
  const bool served = serve(server, *reactor);
  return reactor->wait(db->close_async()).is_ok() && served ? 0 : 1;
}
