"""Many questions, each answered once: from a file or an iterable, in threads, processes or a cluster."""

from typing import TYPE_CHECKING

from agentkit._lazy import lazy_exports

if TYPE_CHECKING:
    from agentkit.batch.driver import BadInputError as BadInputError
    from agentkit.batch.driver import BatchRun as BatchRun
    from agentkit.batch.driver import run_batch as run_batch
    from agentkit.batch.item import Item as Item
    from agentkit.batch.item import Record as Record
    from agentkit.batch.job import Job as Job
    from agentkit.batch.journal import read_records as read_records
    from agentkit.batch.stats import Stats as Stats
else:
    __getattr__, __dir__ = lazy_exports(__name__)
