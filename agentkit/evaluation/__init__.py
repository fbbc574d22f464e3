"""How good the answers of an agent are: sets of questions, checks of answers, and statistics that don't flatter."""

from typing import TYPE_CHECKING

from agentkit._lazy import lazy_exports

if TYPE_CHECKING:
    from agentkit.evaluation.checks import Check as Check
    from agentkit.evaluation.checks import Score as Score
    from agentkit.evaluation.checks import parse_check as parse_check
    from agentkit.evaluation.report import write_report as write_report
    from agentkit.evaluation.running import Evaluation as Evaluation
    from agentkit.evaluation.running import evaluate as evaluate
    from agentkit.evaluation.running import rescored as rescored
    from agentkit.evaluation.tables import table as table
    from agentkit.evaluation.testing import assert_eval as assert_eval
else:
    __getattr__, __dir__ = lazy_exports(__name__)
