"""The mutation checks: code that a guarantee rests on, and the test that fails without it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MutationCheck:
    """``present`` stands in ``file`` (below src/orders); ``absent`` is put wherever it does.

    ``test`` is the pytest node that has to fail then.
    """

    name: str
    file: str
    present: str
    absent: str
    test: str


_POSTGRES = "tests/integration/postgres/"
_KAFKA = "tests/integration/kafka/"
_REPOSITORY = f"{_POSTGRES}test_order_repository.py::TestPostgresOrderRepository::"

MUTATION_CHECKS = (
    MutationCheck(
        "a batch is one transaction",
        "adapters/postgres/writing.py",
        """\
    async with session.transaction():
        await copy_orders(session, batch)
""",
        """\
    await copy_orders(session, batch)
""",
        f"{_POSTGRES}test_saving.py::test_a_crash_in_the_midst_of_a_write_leaves_nothing",
    ),
    MutationCheck(
        "one statement for all tables writes them in their order",
        "adapters/postgres/writing.py",
        " WHERE (SELECT count(*) FROM {}) >= 0",
        "",
        f"{_POSTGRES}test_saving.py::test_tables_are_written_one_after_another",
    ),
    MutationCheck(
        "another writer of the same order is no error (idempotent path)",
        "adapters/postgres/bisecting_save.py",
        "if isinstance(error, UniqueViolation):",
        "if False:",
        f"{_POSTGRES}test_saving.py::test_another_writer_that_commits_between_query_and_write_wins",
    ),
    MutationCheck(
        "stored orders are not written again (idempotent path)",
        "adapters/postgres/bisecting_save.py",
        "return unknown",
        "return batch",
        f"{_REPOSITORY}test_saving_again_changes_nothing",
    ),
    MutationCheck(
        "stored orders are compared in every field",
        "adapters/postgres/comparison.py",
        "documents[index] == read.found.get(uid)",
        "True",
        f"{_REPOSITORY}test_each_field_makes_a_conflict",
    ),
    MutationCheck(
        "bisection finds the row that is refused, and it alone",
        "adapters/postgres/bisecting_save.py",
        """\
            for half in _halves(batch):
                await self._write(half)
""",
        """\
            self.rejected |= {order.order_uid: rejection_reason(error) for order in batch}
""",
        f"{_POSTGRES}test_saving.py::test_rows_that_a_constraint_refuses_are_found",
    ),
    MutationCheck(
        "batches are written in one order everywhere (no deadlocks)",
        "adapters/postgres/order_repository.py",
        "batch = sorted(orders, key=_order_uid)",
        "batch = list(orders)",
        f"{_POSTGRES}test_saving.py::test_writers_of_shuffled_batches_do_not_deadlock",
    ),
    MutationCheck(
        "transient errors of the database cause no dead letters",
        "adapters/postgres/errors.py",
        '_ROW_CLASSES = frozenset({"22", "23", "44", "54", "P0"})',
        '_ROW_CLASSES = frozenset({"22", "23", "44", "53", "54", "P0"})',
        f"{_POSTGRES}test_errors.py::test_transient_errors",
    ),
    MutationCheck(
        "offsets are committed after the batch is stored (commit order)",
        "domain/intake/pipeline.py",
        """\
        return await self._store(pending.parsed, behind, stop)
""",
        """\
        await self._commit(pending.batch)
        return await self._store(pending.parsed, behind, stop)
""",
        "tests/unit/domain/intake/test_pipeline.py::test_crashes_anywhere_lose_nothing_and_double_nothing",
    ),
    MutationCheck(
        "of documents of one order the first is stored, also by two batches at a time",
        "domain/intake/pipeline.py",
        "        if previous and not pending.order_uids.isdisjoint(previous.pending.order_uids):\n",
        "        if previous and not previous:\n",
        "tests/unit/domain/intake/test_pipeline.py"
        "::test_batches_with_an_order_in_common_are_stored_one_after_another",
    ),
    MutationCheck(
        "behind a batch that is not stored nothing is committed",
        "domain/intake/pipeline.py",
        "        if not await in_flight[0].store:\n",
        "        if not await in_flight[0].store and len(in_flight) == 1:\n",
        "tests/unit/domain/intake/test_pipeline.py"
        "::test_behind_a_batch_that_is_left_at_the_stop_nothing_is_committed",
    ),
    MutationCheck(
        "dead letters are safe before anything is committed",
        "domain/use_cases/ingest_batch.py",
        """\
            await self._dead_letters.put(dead_letters)
""",
        """\
            with suppress(Unavailable):
                await self._dead_letters.put(dead_letters)
""",
        "tests/unit/domain/use_cases/test_ingest_batch.py"
        "::TestTrouble::test_with_the_dead_letters_away_it_raises_and_loses_nothing",
    ),
    MutationCheck(
        "forgotten orders are not stored again",
        "adapters/postgres/bisecting_save.py",
        " and uid not in others.forgotten",
        "",
        f"{_POSTGRES}test_erasure.py::TestPostgresErasure::test_it_is_not_stored_again",
    ),
    MutationCheck(
        "what was read before an order was forgotten is not served afterwards",
        "adapters/read_path/order_reader.py",
        "kept = self._recent.without_forgotten(found, as_of)\n        _count",
        "kept = found\n        _count",
        "tests/unit/domain/use_cases/test_forgetting.py"
        "::test_a_look_up_that_read_it_before_does_not_bring_it_back",
    ),
    MutationCheck(
        "events of a forgotten order are not given to who resumes, before its own event passes",
        "domain/use_cases/watch_orders.py",
        "        self._drop({tombstone.order_uid for tombstone in tombstones})\n",
        "",
        "tests/unit/domain/use_cases/test_watch_orders.py"
        "::test_who_resumes_is_given_nothing_of_orders_that_are_known_to_be_forgotten",
    ),
    MutationCheck(
        "what was read is as old as the standby that was read",
        "adapters/read_path/order_reader.py",
        "as_of = min(as_of, found.as_of)",
        "pass",
        "tests/unit/domain/use_cases/test_forgetting.py"
        "::test_a_standby_that_lacks_the_deletion_does_not_bring_it_back",
    ),
    MutationCheck(
        "of several replicas, only those that have forgotten are read",
        "adapters/read_path/replica_reads.py",
        "if found.as_of >= known:",
        "if True:",
        "tests/unit/adapters/test_replica_reads.py::test_replicas_of_different_age_are_told_apart",
    ),
    MutationCheck(
        "a shared cache that has missed a deletion is emptied",
        "adapters/redis_lru/scripts/prelude.lua",
        "if position_of(APPLIED) < POSITION then",
        "if false then",
        "tests/integration/redis/test_cache.py"
        "::TestRedisCache::test_a_cache_that_has_missed_tombstones_is_emptied",
    ),
    MutationCheck(
        "messages are acknowledged by all replicas",
        "adapters/kafka/client/producer.py",
        '"acks": "all"',
        '"acks": 1',
        f"{_KAFKA}test_acknowledgement.py::test_nothing_is_safe_with_a_replica_too_few",
    ),
    MutationCheck(
        "only processed messages are committed",
        "adapters/kafka/client/consumer_client.py",
        '"enable_auto_commit": False',
        '"enable_auto_commit": True, "auto_commit_interval_ms": 10',
        f"{_KAFKA}test_message_source.py::TestKafkaMessageSource"
        "::test_what_was_not_committed_comes_again",
    ),
    MutationCheck(
        "a new group begins at the beginning",
        "adapters/kafka/client/consumer_client.py",
        '"auto_offset_reset": "earliest"',
        '"auto_offset_reset": "latest"',
        f"{_KAFKA}test_message_source.py::TestKafkaMessageSource"
        "::test_gives_each_message_once_and_in_order",
    ),
    MutationCheck(
        "after an error in a poll, records that were not returned are read again",
        "adapters/kafka/consumer/consumer_thread.py",
        "self._must_rewind = True",
        "self._must_rewind = False",
        f"{_KAFKA}test_unreadable.py::test_an_error_now_and_then_costs_no_message",
    ),
    MutationCheck(
        "partitions are handed over when what is in hand is committed (revoke handling)",
        "adapters/kafka/consumer/consumer_thread.py",
        "            (self._tracker.unprocessed or self._commits.in_flight)\n",
        "            not self._tracker\n",
        f"{_KAFKA}test_rebalance.py"
        "::test_a_batch_in_progress_is_committed_before_its_partitions_are_revoked",
    ),
    MutationCheck(
        "revoked partitions are no longer committed (revoke handling)",
        "adapters/kafka/consumer/offset_tracker.py",
        """\
        self.epoch += 1
        self._partitions = {partition: _Partition() for partition in partitions}
        self._unprocessed.clear()
""",
        """\
        self._partitions |= {p: _Partition() for p in partitions if p not in self._partitions}
""",
        f"{_KAFKA}test_rebalance.py"
        "::test_a_batch_that_takes_too_long_is_dropped_and_its_commit_skipped",
    ),
    MutationCheck(
        "buffered records of revoked partitions are dropped (revoke handling)",
        "adapters/kafka/consumer/consumer_thread.py",
        "        self._buffer.clear()\n",
        "",
        f"{_KAFKA}test_rebalance.py::test_buffered_records_of_revoked_partitions_are_dropped",
    ),
    MutationCheck(
        "damaged batches are detected by their checksum",
        "adapters/kafka/wire/record_batches.py",
        "    if not batch.validate_crc():\n",
        "    if False:\n",
        f"{_KAFKA}test_record_batches.py::test_a_byte_that_was_changed_is_noticed",
    ),
    MutationCheck(
        "the rest of a batch that cannot be read is a dead letter",
        "adapters/kafka/wire/record_batches.py",
        "    if unread:\n",
        "    if False:\n",
        f"{_KAFKA}test_record_batches.py::test_a_record_that_is_wrong_stands_for_those_behind_it",
    ),
    MutationCheck(
        "a recreated topic is read from its beginning",
        "adapters/kafka/consumer/consumer_thread.py",
        "self._must_start_over = isinstance(error, UnknownTopicOrPartitionError)",
        "self._must_start_over = False",
        f"{_KAFKA}test_deleted_topic.py::test_the_new_topic_is_read_from_its_beginning",
    ),
    MutationCheck(
        "a bad message that is replayed twice is one dead letter",
        "domain/dead_letters/headers.py",
        "return root or dead_letter.identity",
        "return dead_letter.identity",
        "tests/unit/domain/use_cases/test_replay_dead_letters.py"
        "::TestWhatFailsAgain::test_a_replay_sent_twice_of_a_bad_message_is_one_dead_letter",
    ),
    MutationCheck(
        "a message with other content is no replay of a dead letter, and hides none",
        "domain/dead_letters/index.py",
        "identity if known and summary.content not in known else root",
        "root",
        "tests/unit/domain/use_cases/test_forged_replays.py"
        "::test_other_content_is_a_dead_letter_of_its_own",
    ),
    MutationCheck(
        "an attempt that no replay can have led to is not counted",
        "domain/dead_letters/index.py",
        "if claimed.attempt <= most:",
        "if True:",
        "tests/unit/domain/use_cases/test_forged_replays.py"
        "::test_no_attempt_of_equal_content_prevents_a_replay",
    ),
    MutationCheck(
        "a dead letter that was not looked at is not deleted",
        "domain/use_cases/delete_dead_letters.py",
        "if entry.place not in index.places:",
        "if False:",
        "tests/unit/domain/use_cases/test_delete_dead_letters.py"
        "::test_what_the_index_has_not_seen_is_not_deleted",
    ),
    MutationCheck(
        "a topic that cannot be described is not taken for a missing one",
        "adapters/kafka/client/internals.py",
        "if error is not NoError:",
        "if False:",
        "tests/unit/adapters/test_kafka_internals.py"
        "::test_a_topic_that_cannot_be_described_is_not_missing",
    ),
    MutationCheck(
        "dead letters are kept for ever",
        "adapters/kafka/client/topics.py",
        '"retention.ms": str(self._settings.dlq_retention_ms)',
        '"retention.ms": "604800000"',
        f"{_KAFKA}test_topics.py::test_makes_both_topics",
    ),
    MutationCheck(
        "a dead letter whose metadata is refused is written without it",
        "adapters/kafka/dead_letters.py",
        "        except MessageRefused:\n",
        "        except ZeroDivisionError:\n",
        f"{_KAFKA}test_dead_letters.py::test_a_topic_that_takes_no_message_without_a_key",
    ),
    MutationCheck(
        "a dead letter fits where its message fitted",
        "adapters/kafka/client/topics.py",
        "wanted = 2 * source_limit",
        "wanted = source_limit",
        f"{_KAFKA}test_dead_letters.py::TestKafkaDeadLetters"
        "::test_a_message_near_the_limit_of_its_topic_fits",
    ),
    MutationCheck(
        "a missing order is looked up again for callers that came later",
        "adapters/read_path/batch_loader.py",
        """\
                _resolve(before, None)
                if after:
                    self._enqueue(key, after)
""",
        """\
                _resolve(before + after, None)
""",
        "tests/unit/adapters/test_batch_loader.py"
        "::test_an_order_stored_before_it_was_asked_for_is_never_missed",
    ),
    MutationCheck(
        "callers wait for the connections that a role may have",
        "adapters/postgres/database.py",
        "if self._connect_failure and not self._has_sessions():",
        "if self._connect_failure:",
        f"{_POSTGRES}test_connection_limit.py"
        "::test_a_caller_waits_although_no_more_connections_are_allowed",
    ),
    MutationCheck(
        "a frozen server is noticed at any time of a statement",
        "adapters/postgres/session.py",
        "        elif self._timers:\n",
        "        elif False:\n",
        f"{_POSTGRES}test_failover.py"
        "::test_a_write_on_a_frozen_server_is_given_up_and_the_next_goes_to_the_other",
    ),
    MutationCheck(
        "no idle session on a frozen server is used again",
        "adapters/postgres/database.py",
        "if not session.closed and session.peer == peer:",
        "if not session.closed and session.peer == peer and session._timers:",
        f"{_POSTGRES}test_failover.py"
        "::test_a_write_on_a_frozen_server_is_given_up_and_the_next_goes_to_the_other",
    ),
    MutationCheck(
        "a statement that is merely slow goes on",
        "adapters/postgres/session.py",
        "if not await self.peer.reacts(self._liveness / 2):",
        "if True:",
        f"{_POSTGRES}test_failover.py::test_a_statement_that_is_merely_slow_goes_on",
    ),
    MutationCheck(
        "any error of the cache's client counts as down",
        "adapters/redis_lru/cache.py",
        "        except Exception as error:  #",
        "        except OSError as error:  #",
        "tests/integration/redis/test_faults.py::test_any_error_of_the_client_counts_as_down",
    ),
    MutationCheck(
        "a search for the master goes on when its callers leave, and asks all sentinels",
        "adapters/redis_lru/sentinel.py",
        "return await asyncio.shield(self._search)",
        "return await Sentinel.discover_master(self, self.service)",
        "tests/integration/redis/test_cache_sentinel.py::test_two_of_three_sentinels_may_be_away",
    ),
    MutationCheck(
        "a slot that has moved closes no connection to the cluster",
        "adapters/redis_lru/client.py",
        "            reinitialize_steps=0,\n",
        "",
        "tests/integration/redis/test_cache_cluster.py::TestCluster::test_many_callers_at_once",
    ),
    MutationCheck(
        "missing rights are noticed before anything is stored",
        "adapters/postgres/access.py",
        "    _require_all(own, rights)\n",
        "",
        f"{_POSTGRES}test_rights.py::test_a_writer_without_the_right_to_write",
    ),
    MutationCheck(
        "older code works with a newer schema that states so",
        "adapters/postgres/schema.py",
        "if any(done.oldest_compatible > len(known) for done in applied[len(known) :]):",
        "if len(applied) > len(known):",
        f"{_POSTGRES}test_migrations.py"
        "::test_code_that_a_later_migration_is_compatible_with_works_on",
    ),
    MutationCheck(
        "messages deleted before they were read are known afterwards",
        "adapters/kafka/consumer/consumer_thread.py",
        "        self._commits.note_gap(partition, gap)\n",
        "",
        f"{_KAFKA}test_gaps.py"
        "::test_a_gap_is_logged_and_known_to_health_and_doctor_also_afterwards",
    ),
    MutationCheck(
        "a broker's response has a bound",
        "adapters/kafka/client/internals.py",
        "kafka.protocol.parser.KafkaBytes = _BoundedFrame\n",
        "",
        f"{_KAFKA}test_hostile_brokers.py::test_the_length_of_a_response",
    ),
    MutationCheck(
        "a faulty document has a bound on its values",
        "domain/intake/reading.py",
        "    if has_more_values(text, MAX_VALUES):\n",
        "    if False:\n",
        "tests/unit/domain/intake/test_value_bound.py::test_very_many_values_are_one_fault",
    ),
    MutationCheck(
        "an array of junk is one dead letter",
        "domain/intake/reading.py",
        "if enough is None and len(refused) > most:",
        "if False:",
        "tests/unit/domain/intake/test_refused_bound.py::test_a_small_array_may_have_some",
    ),
    MutationCheck(
        "a poll has a bound on what it unpacks",
        "adapters/kafka/wire/record_batches.py",
        "        if objects <= 0:\n",
        "        if False:\n",
        f"{_KAFKA}test_record_batches.py::test_a_batch_of_very_many_records_is_read_in_parts",
    ),
    MutationCheck(
        "what a replica lacks is asked of the primary",
        "adapters/read_path/replica_reads.py",
        "missing = [uid for uid in order_uids if uid not in found]",
        "missing = [] if found else order_uids",
        "tests/unit/adapters/test_replica_reads.py"
        "::test_only_what_the_replica_lacks_is_asked_of_the_primary",
    ),
    MutationCheck(
        "behind a pooler of transactions no statement is prepared",
        "adapters/postgres/session.py",
        'kwargs["prepare_threshold"] = None',
        "pass",
        f"{_POSTGRES}test_pooler.py::TestPooledOrderRepository::test_saving_again_changes_nothing",
    ),
    MutationCheck(
        "behind a pooler of transactions no setting is changed",
        "adapters/postgres/session.py",
        "if not is_pooled:",
        "if True:",
        f"{_POSTGRES}test_pooler.py::test_it_is_recognized",
    ),
    MutationCheck(
        "on Citus an order that is stored is no error",
        "adapters/postgres/errors.py",
        "return _state(error) != _LOCK_TIMEOUT",
        "return False",
        f"{_POSTGRES}test_order_repository.py::TestCitusOrderRepository"
        "::test_saving_again_changes_nothing",
    ),
    MutationCheck(
        "on Citus a lock timeout is no row's fault",
        "adapters/postgres/errors.py",
        "return _state(error) != _LOCK_TIMEOUT",
        "return True",
        f"{_POSTGRES}test_citus.py::test_a_lock_timeout_on_a_worker_is_known_without_a_bisection",
    ),
)
