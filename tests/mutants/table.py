"""Mistakes that storage engines shipped with, each as a small change of ours: tools/mutants.py plants them one at a time.

A mutant is a name, what it is, and changes: (file, text that stands there exactly once, text in its place). When the code moves
on and a text is not there any more, the run says so: plant the same mistake in the new code.
"""

MUTANTS = [
    ("no-sync", "the log's sync is left out", [
        ("wal/log_chain.cc", "        .op = reactor::Op::kSyncData,\n        .blocking = std::exchange(sync_needs", "        .op = reactor::Op::kNop,\n        .blocking = std::exchange(sync_needs"),
    ]),
    ("durable-write-is-not", "a durable write goes out as a plain one", [
        ("wal/log_chain.cc", "    entries[0].durable = write_is_durable_;", "    entries[0].durable = false;"),
    ]),
    ("acknowledge-before-sync", "a chain counts as durable when its write is done", [
        ("wal/log_chain.cc", "  chain_.write = result;\n  if (--chain_pending_ == 0) on_chain_end();", "  chain_.write = result;\n  if (!is_failed() && result == static_cast<std::int32_t>(chain_.write_bytes)) durable_group_ = chain_batch_->last_group;\n  listener_.on_log_progress();\n  if (--chain_pending_ == 0) on_chain_end();"),
    ]),
    ("prefix-after-sync", "what is durable is looked up after the sync, not before", [
        ("wal/log_chain.cc", "  durable_group_ = covered_group_;\n", "  durable_group_ = next_group_;\n"),
    ]),
    ("sync-retried", "a failed sync is tried again, and believed", [
        ("wal/chain_verdict.h", "  if (sync_was_tried && results.sync < 0) return {.action = Action::kPoison, .error_number = -results.sync};", "  if (sync_was_tried && results.sync < 0) return {.action = Action::kSyncOnly};"),
    ]),
    ("short-write-accepted", "a short write counts as a whole one", [
        ("wal/chain_verdict.h", "const bool is_whole = results.write >= 0 && static_cast<std::uint32_t>(results.write) == results.write_bytes;", "const bool is_whole = results.write > 0;"),
    ]),
    ("chain-split", "write and sync go out as two entries without a link", [
        ("wal/log_chain.cc", "    entries[0].link = has_sync;", "    entries[0].link = false;"),
        ("wal/log_chain.cc", "  reactor_.submit(std::span<const reactor::Entry>(entries).first(chain_pending_));", "  for (std::uint32_t index = 0, count = chain_pending_; index < count; ++index) {\n    reactor_.submit(std::span<const reactor::Entry>(entries).subspan(index, 1));\n  }"),
    ]),
    ("segment-left-unsynced", "the next segment of the log is written before the old one is synced", [
        ("wal/log_chain.cc", "  if (unsynced_ != nullptr && unsynced_ != batch.segment) {  // Writer-I2.", "  if (false) {"),
        ("wal/log_chain.cc", "  PENSTOCK_ASSERT(unsynced_ == nullptr || unsynced_ == batch.segment);\n", ""),
        ("wal/log_chain.cc", "return is_wanted && unsynced_ == nullptr &&", "return is_wanted && (unsynced_ == nullptr || unsynced_ != batch.segment) &&"),
    ]),
    ("dsync-covers-all", "a durable write is taken to cover the writes before it", [
        ("wal/log_chain.cc", "  return is_wanted && unsynced_ == nullptr && batch.sent_bytes == 0;", "  return is_wanted && batch.sent_bytes == 0;"),
    ]),
    ("no-folder-sync", "the name of a new log segment is not made durable", [
        ("wal/segment_pool.cc", "  co_return system.sync_directory(options_.directory);", "  co_return Status::ok();"),
    ]),
    ("old-records-replayed", "a recycled segment's old groups pass for new ones", [
        ("wal/segment_pool.cc", "facts.salt = reactor_.system().random_u64();", "facts.salt = 7;"),
        ("wal/group.cc", "  const std::uint64_t seed = group_seed(context.salt, position);\n  if (header.header_checksum", "  const std::uint64_t seed = group_seed(context.salt, header.position.get());\n  if (header.header_checksum"),
        ("wal/group.cc", " && header.position.get() == position;\n  if (!is_ours)", ";\n  if (!is_ours)"),
        ("wal/log_reader.cc", "    if (!follows || !is_within) co_return Step::kNothing;", "    if (!is_within) co_return Step::kNothing;"),
    ]),
    ("epoch-not-bumped", "an opening writes under the epoch of the one before", [
        ("engine/open.cc", "  settings_.epoch = epoch_.epoch + 1;", "  settings_.epoch = std::max(epoch_.epoch, 1U);"),
    ]),
    ("half-a-batch", "the last operation of a long batch is lost in replay", [
        ("engine/shard_recovery.cc", "    ++assigned_;\n    if (pass == RecoveryPass::kDealing && part_.is_dropped", "    ++assigned_;\n    if (part.operations > 3 && assigned_ - published == part.operations - 1) continue;\n    if (pass == RecoveryPass::kDealing && part_.is_dropped"),
    ]),
    ("delete-forgotten", "replay skips deletes", [
        ("engine/shard_recovery.cc", "    const bool is_put = operation.kind == engine::OperationKind::kPut;\n    memtable.apply", "    const bool is_put = operation.kind == engine::OperationKind::kPut;\n    if (!is_put) continue;\n    memtable.apply"),
    ]),
    ("applied-too-far", "a flush says that it has applied what came after its memtable", [
        ("engine/shard_flush.cc", "  const btree::AppliedPosition applied = generation != nullptr ? generation->applied : applied_now();", "  btree::AppliedPosition applied = generation != nullptr ? generation->applied : applied_now();\n  if (generation != nullptr && applied.epoch == part_.settings().epoch) applied.offset = part_.log().seal().offset;"),
    ]),
    ("pages-before-log", "a tree is published before the log that it comes from is durable", [
        ("flush/flush.cc", "  if (status.is_ok() && log != nullptr) {", "  if (false) {"),
        ("engine/shard_flush.cc", "  if (applied.epoch == part_.settings().epoch) {\n    PENSTOCK_CO_TRY(co_await part_.log().make_durable", "  if (false) {\n    PENSTOCK_CO_TRY(co_await part_.log().make_durable"),
    ]),
    ("superblock-before-pages", "the superblock is written before the pages are synced", [
        ("btree/store_pass.cc", "  PENSTOCK_CO_TRY(co_await sync_changed_files());\n", "  PENSTOCK_CO_TRY(co_await write_superblock(&content));\n  PENSTOCK_CO_TRY(co_await sync_changed_files());\n"),
        ("btree/store_pass.cc", "  if (poisoned_) co_return failure();\n  PENSTOCK_CO_TRY(co_await write_superblock(&content));\n", "  if (poisoned_) co_return failure();\n"),
    ]),
    ("pages-not-synced", "a page file is not synced before its superblock", [
        ("btree/store_pass.cc", "      if (map_.is_changed(number)) syncs.spawn(", "      if (map_.is_changed(number) && number > 1) syncs.spawn("),
    ]),
    ("one-superblock-slot", "both generations go to the same slot", [
        ("btree/store_pass.cc", "  PENSTOCK_ASSERT_NE(super_slot_of(content->superblock.generation), super_slot_of(current_.superblock.generation));\n", ""),
        ("btree/store_pass.cc", "  const std::uint64_t offset = std::uint64_t{super_slot_of(content->superblock.generation)} * kSuperSlotBytes;", "  const std::uint64_t offset = kSuperSlotBytes;"),
        ("btree/superblock.cc", "generation == 0 || super_slot_of(generation) != slot", "generation == 0"),
        ("btree/superblock.cc", "header.slot = static_cast<std::uint8_t>(super_slot_of(content.superblock.generation));", "header.slot = 1;"),
    ]),
    ("page-reused-too-early", "a zone is written again while the older superblock reaches it", [
        ("btree/zone_map.cc", "  if (within(slots_.first) || within(slots_.second)) return true;", "  if (within(slots_.first)) return true;"),
    ]),
    ("table-overwritten", "the zone table that the superblock names is written over", [
        ("btree/store_pass.cc", "  while (is_named(current_.files) || is_named(older_files_)) ++copy;", "  (void)is_named;"),
    ]),
    ("parent-checksum-skipped", "a page is not compared with the checksum in its parent", [
        ("btree/page.cc", "  if (base::checksum(page) != pointer.checksum) return corruption_at(pointer.address);\n  return NodeCheck(page, pointer).run(family);", "  return NodeCheck(page, pointer).run(family);"),
    ]),
    ("failed-page-write-ignored", "a pass goes on after a write of its pages failed", [
        ("btree/store_pass.cc", "    if (pass_error_.is_ok()) pass_error_ = failed.status.with_shard(options_.shard);\n  }\n}\n\nStatus", "  }\n}\n\nStatus"),
    ]),
    ("extent-not-synced", "the log names a large value that is not durable", [
        ("btree/early_extents.cc", "    if (status.is_ok()) status = co_await sync_early(file);", "    (void)file;"),
    ]),
    ("believed-without-sync", "recovery believes what only the page cache holds", [
        ("wal/log_reader.cc", "  const Status synced = co_await reactor_.sync(segment.file.fd());", "  const Status synced = Status::ok();"),
    ]),
]
