// AttachedReactor: the public handle of a donated thread, and what it refuses.
#include "penstock/attached_reactor.h"

#include "base/assert.h"
#include "engine/attachment.h"

namespace penstock {

namespace {

/// Deletes itself.
class WorkMessage final : public reactor::Message {
 public:
  explicit WorkMessage(std::move_only_function<void()> work) : work_(std::move(work)) {}
  void run() override {
    work_();
    delete this;
  }

 private:
  std::move_only_function<void()> work_;
};

}  // namespace

AttachedReactor::AttachedReactor(std::unique_ptr<detail::Attachment> attachment) noexcept
    : attachment_(std::move(attachment)) {}
AttachedReactor::AttachedReactor(AttachedReactor&&) noexcept = default;

AttachedReactor& AttachedReactor::operator=(AttachedReactor&& other) noexcept {
  if (this != &other) {
    let_go();
    attachment_ = std::move(other.attachment_);
  }
  return *this;
}

AttachedReactor::~AttachedReactor() { let_go(); }

std::uint32_t AttachedReactor::index() const noexcept { return attachment_ == nullptr ? 0 : attachment_->attached.index; }

int AttachedReactor::fd() const noexcept { return attachment_ == nullptr ? -1 : attachment_->attached.loop->file(); }

/// Whether poll() may run now.
Status AttachedReactor::check() const noexcept {
  if (attachment_ == nullptr) {
    return Status(Code::kInvalidArgument);
  }
  if (attachment_->runtime->is_forked()) {
    return Status(Code::kForked);
  }
  const reactor::HostedLoop& loop = *attachment_->attached.loop;
  return Status(loop.is_of_this_thread() && !loop.is_polling() ? Code::kOk : Code::kInvalidArgument);
}

Result<bool> AttachedReactor::poll(std::chrono::nanoseconds wait) {
  PENSTOCK_TRY_RESULT(check());
  return attachment_->attached.loop->poll(wait.count());
}

Status AttachedReactor::detach() {
  PENSTOCK_TRY(check());
  PENSTOCK_TRY(attachment_->runtime->detach(attachment_->attached));
  attachment_.reset();
  return Status::ok();
}

void AttachedReactor::let_go() noexcept {
  if (attachment_ == nullptr) {
    return;
  }
  if (attachment_->runtime->is_forked()) {
    reactor::HostedLoop::forget_inherited();
    detail::RuntimeCore::abandon(std::shared_ptr<detail::Attachment>(std::move(attachment_)));
    return;
  }
  // Not inside poll(), and on its own thread: nobody could be told.
  PENSTOCK_ASSERT(check().is_ok());
  while (!detach().is_ok()) {
    // Only calls that are on their way will change it: without any, a database is open that nobody closes any more.
    PENSTOCK_ASSERT(attachment_->runtime->has_calls() || !attachment_->runtime->has_databases());
    constexpr std::int64_t kLookAgainNs = 1'000'000;  // Calls may end on other reactors, which do not tell.
    attachment_->attached.loop->poll(kLookAgainNs);
  }
}

const std::shared_ptr<detail::RuntimeCore>& AttachedReactor::runtime() const noexcept { return attachment_->runtime; }

void AttachedReactor::run_inside_poll(detail::RuntimeCore& runtime, std::uint32_t index, std::move_only_function<void()> work) {
  runtime.reactors()[index]->post(*new WorkMessage(std::move(work)));
}

}  // namespace penstock
