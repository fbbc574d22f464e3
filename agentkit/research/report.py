"""A research report, and the forms in which it is read."""

from dataclasses import asdict
from typing import Any

from agentkit.record import usage_record
from agentkit.research.bibtex import bibtex
from agentkit.research.findings import Findings
from agentkit.research.markdown import markdown


class Report(Findings):
    """The report of a research: what it has found (see `Findings`), in several forms."""

    def markdown(self) -> str:
        """The report as Markdown: sentences that are not supported are marked; the references stand at its end."""
        return markdown(self)

    def html(self) -> str:
        """The report as one HTML file that loads nothing and runs no script. Raises MissingExtraError without the extra
        `cli`, which renders Markdown."""
        from agentkit.research.page import page  # its parser of Markdown comes with an extra

        return page(self)

    def bibtex(self) -> str:
        """The sources as BibTeX, in UTF-8."""
        return bibtex(self.sources)

    def record(self) -> dict[str, Any]:
        """The report as JSON values; of the sources' texts what the citations quote."""
        made = {name: getattr(self, name) for name in ("question", "text", "stopped", "at", "session", "has_model")}
        kept = ("number", "address", "title", "read", "at")
        return {
            **made,
            "plan": list(self.plan),
            "remarks": list(self.remarks),
            "citations": [asdict(each) for each in self.citations],
            "sources": [{name: getattr(each, name) for name in kept} for each in self.sources],
            "usage": usage_record(self.usage),
        }
