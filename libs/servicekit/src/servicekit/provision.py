"""Creates or updates every stream, consumer and bucket of the contracts' table; safe to repeat and to run at once."""

import asyncio
from datetime import timedelta
from typing import Final

import nats
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import BadRequestError

from contracts.subjects import ANSWERS_BUCKET, CONSUMERS, FILES_BUCKET, MB, STREAMS, Consumer, Retention, Stream
from servicekit.entry import entry
from servicekit.logs import configure, log
from servicekit.settings import ServiceSettings

KEPT: Final = timedelta(days=90)
"""Answers and files; afterwards a search is 410 `search.expired`."""
BUCKETS: Final = {ANSWERS_BUCKET: 2048 * MB, FILES_BUCKET: 1024 * MB}
NAME_IN_USE: Final = 10058


async def provision(url: str, *, replicas: int = 1) -> None:
    """Bring the server to what the table says; raises when it refuses a change."""
    way = entry(url, user="provision")
    client = await nats.connect(list(way.servers), name="provision", connect_timeout=5, **way.options)
    try:
        js = client.jetstream(timeout=10)
        for config in [*(stream_config(each) for each in STREAMS), *(bucket_config(*each) for each in BUCKETS.items())]:
            config.num_replicas = replicas
            await _put_stream(js, config)
        for consumer in CONSUMERS:
            await js.add_consumer(consumer.stream.name, consumer_config(consumer))
    finally:
        await client.close()


def stream_config(stream: Stream) -> StreamConfig:
    """A stream of the table as the server knows it."""
    return StreamConfig(
        name=stream.name,
        description=stream.purpose,
        subjects=list(stream.subjects),
        retention=RetentionPolicy.WORK_QUEUE if stream.retention is Retention.WORKQUEUE else RetentionPolicy.LIMITS,
        max_bytes=stream.max_bytes,
        max_age=stream.max_age.total_seconds() if stream.max_age else 0,
        discard=DiscardPolicy.NEW if stream.discard_new else DiscardPolicy.OLD,
        max_msgs_per_subject=1 if stream.one_per_subject else stream.kept_per_subject or -1,
        discard_new_per_subject=stream.one_per_subject,
        duplicate_window=stream.duplicate_window.total_seconds(),
        storage=StorageType.FILE,
        allow_direct=True,
        # What `nats kv` needs to put and to delete a key.
        allow_rollup_hdrs=stream.kept_per_subject is not None,
        deny_delete=stream.kept_per_subject is not None,
    )


def bucket_config(bucket: str, max_bytes: int) -> StreamConfig:
    """An Object Store bucket is a stream of its own; a full one refuses."""
    return StreamConfig(
        name=f"OBJ_{bucket}",
        subjects=[f"$O.{bucket}.C.>", f"$O.{bucket}.M.>"],
        retention=RetentionPolicy.LIMITS,
        max_bytes=max_bytes,
        max_age=KEPT.total_seconds(),
        discard=DiscardPolicy.NEW,
        storage=StorageType.FILE,
        allow_rollup_hdrs=True,
        allow_direct=True,
        duplicate_window=120,
    )


def consumer_config(consumer: Consumer) -> ConsumerConfig:
    """A consumer of the table. The bus itself counts tries: the server never stops delivering by itself."""
    return ConsumerConfig(
        name=consumer.durable,
        durable_name=consumer.durable,
        filter_subject=consumer.filter,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=consumer.ack_wait.total_seconds(),
        max_deliver=-1,
        max_ack_pending=consumer.max_ack_pending,
    )


async def _put_stream(js: JetStreamContext, config: StreamConfig) -> None:
    try:
        await js.add_stream(config)
    except BadRequestError as exc:
        if exc.err_code != NAME_IN_USE:
            raise
        await js.update_stream(config)


def main() -> None:
    """`python -m servicekit.provision`."""
    settings = ServiceSettings()
    configure(settings.log_level, "provision")
    asyncio.run(provision(settings.nats_url, replicas=settings.nats_replicas))
    log.info("bus.provisioned", streams=len(STREAMS), consumers=len(CONSUMERS), buckets=len(BUCKETS))


if __name__ == "__main__":
    main()
