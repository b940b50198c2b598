"""How RocksDB is set up for the queue and for the cache."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rocksdict import Options

__all__ = ["Role", "Use", "options"]

Role = Literal["queue", "cache"]
"""What a database is for."""
Use = Literal["queue", "cache", "reader"]
"""The same, or that it is only looked at."""

KIB = 1024
MIB = 1024 * 1024


def options(use: Use) -> "Options":
    """Return the options for one open, chosen for some 10 MiB of rows.

    Whatever the use, keys are compared and values returned as bytes, and no file of the database
    says otherwise. What a crash may have cut off:

    * ``queue``: a log must be sound to its last byte, else opening it is a corruption. Nothing is
      compressed and each key is written out, so that records can be found in damaged files.
    * ``cache``: commits up to the first one that cannot be read back count, the rest are dropped.
    * ``reader``: the same, as somebody else may be writing at this moment.
    """
    from rocksdict import (
        BlockBasedOptions,
        Cache,
        DBCompressionType,
        DBRecoveryMode,
        Options,
    )

    table = BlockBasedOptions()
    table.set_block_cache(Cache(MIB))
    table.set_cache_index_and_filter_blocks(True)
    table.set_block_size(4 * KIB)
    table.set_bloom_filter(10, False)

    chosen = Options(raw_mode=True)
    chosen.create_if_missing(use != "reader")
    if use == "queue":
        table.set_block_restart_interval(1)
        chosen.set_compression_type(DBCompressionType.none())
        chosen.set_wal_recovery_mode(DBRecoveryMode.absolute_consistency())
    else:
        chosen.set_compression_type(DBCompressionType.lz4())
        chosen.set_wal_recovery_mode(DBRecoveryMode.point_in_time())
    chosen.set_block_based_table_factory(table)

    # A write that has to wait for these would do so under the interpreter's lock: the backend
    # waits beforehand, without it, and these are out of reach.
    chosen.set_max_write_buffer_number(6)
    chosen.set_level_zero_slowdown_writes_trigger(100)
    chosen.set_level_zero_stop_writes_trigger(200)

    chosen.set_write_buffer_size(MIB)
    chosen.set_target_file_size_base(MIB)
    chosen.set_max_bytes_for_level_base(MIB)
    chosen.set_level_zero_file_num_compaction_trigger(2)
    # Input and output of one compaction are on the disk together.
    chosen.set_max_compaction_bytes(2 * MIB)
    chosen.set_level_compaction_dynamic_level_bytes(True)
    chosen.set_max_background_jobs(2)
    # A reader's files may be deleted by the one who writes: it opens all of them at once.
    chosen.set_max_open_files(-1 if use == "reader" else 64)

    chosen.set_keep_log_file_num(2)
    chosen.set_max_log_file_size(256 * KIB)
    chosen.set_max_manifest_file_size(256 * KIB)
    chosen.set_manifest_preallocation_size(64 * KIB)
    chosen.set_stats_dump_period_sec(0)
    chosen.set_stats_persist_period_sec(0)
    return chosen
