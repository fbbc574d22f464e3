"""Cost of tokens when the server doesn't report it: by the user's prices, or those of the genai-prices package."""

import importlib.util
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace

from agentkit._lazy.logs import logger_of
from agentkit.backend import Backend, ReplyStream, Request
from agentkit.errors import ConfigurationError
from agentkit.event import Reply
from agentkit.limits import Usage
from agentkit.middleware.base import Middleware, model_name
from agentkit.net.hosted import SHORT_NAMES

logger = logger_of("agentkit")


@dataclass(frozen=True)
class Prices:
    """The prices of a model, each per million tokens, in the same currency as `Limits(cost=...)`.

    cached: the price of input tokens that the server had in its cache; None: the same as other input. Raises
    ConfigurationError for a price below 0.
    """

    input: float
    output: float
    cached: float | None = None

    def __post_init__(self) -> None:
        if not all(price >= 0 for price in (self.input, self.output, self.cached or 0.0)):  # nor NaN
            raise ConfigurationError(f"{self}: a price must be at least 0")

    @property
    def is_free(self) -> bool:
        """Whether nothing costs anything, as with a model on the user's own machine."""
        return not (self.input or self.output or self.cached)

    def cost(self, usage: Usage) -> float:
        """The cost of a reply."""
        cached = self.input if self.cached is None else self.cached
        fresh = usage.input_tokens - usage.cached_tokens
        return (fresh * self.input + usage.cached_tokens * cached + usage.output_tokens * self.output) / 1e6


ModelPrices = Prices | Mapping[str, Prices]
"""The prices of an agent's model, or those of each of several models by its name."""


class Priced(Middleware):
    """Wraps any backend and sets the cost of replies for which the server reports none."""

    stops_on_abort = True

    def __init__(self, backend: Backend, prices: ModelPrices | None) -> None:
        super().__init__(backend)
        self._prices = prices.get(model_name(backend)) if isinstance(prices, Mapping) else prices

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        with closing(self.backend.reply(request)) as deltas:
            for delta in deltas:
                if isinstance(delta, Reply) and delta.usage.cost is None:
                    yield replace(delta, usage=replace(delta.usage, cost=self._cost(delta.usage)))
                else:
                    yield delta

    def _cost(self, usage: Usage) -> float | None:
        """The cost of a reply; None when it is not known: without a price, or without the number of its tokens."""
        is_counted = bool(usage.input_tokens or usage.output_tokens)
        if self._prices is not None:
            return self._prices.cost(usage) if is_counted or self._prices.is_free else None
        known = self.capabilities()
        cost = known_cost(known.model, known.base_url, usage)
        if cost is None and usage.input_tokens:
            logger.warning(
                "the cost of %s is not known, so a cost limit has no effect: set Agent(prices=Prices(...))", known.model
            )
        return cost if is_counted else None


def known_cost(model: str, base_url: str | None, usage: Usage) -> float | None:
    """The cost of a reply by the genai-prices package; None when it does not know the model or is not installed."""
    if not model or importlib.util.find_spec("genai_prices") is None:
        return None
    import genai_prices

    counted = genai_prices.Usage(
        input_tokens=usage.input_tokens, cache_read_tokens=usage.cached_tokens, output_tokens=usage.output_tokens
    )
    named = next((name for name, api in SHORT_NAMES.items() if api.url == base_url), None)
    where = {"provider_id": named} if named in _KNOWN_BY_NAME else {"provider_api_url": base_url}
    try:
        return float(genai_prices.calc_price(counted, model_ref=model, **(where if base_url else _OPENAI)).total_price)
    except (LookupError, ValueError):
        return None


_OPENAI = {"provider_id": "openai"}
_KNOWN_BY_NAME = ("together",)
"""Providers whose prices genai-prices knows at an earlier address only."""
