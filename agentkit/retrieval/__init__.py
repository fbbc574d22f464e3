"""Ranks passages by how well they match a question, in any language: BM25 by SQLite's FTS5.

index = PassageIndex(["Paris is in France.", "Oslo is in Norway."])
index.best("What is the capital of Norway?")  ->  [1]

`PassageTables` are its tables in a database of the caller's.
"""

from agentkit.retrieval.embeddings import Embedder, OpenAIEmbedder, embedder
from agentkit.retrieval.passages import PassageIndex, cover
from agentkit.retrieval.quotes import Quote, best_quotes
from agentkit.retrieval.sentences import sentences
from agentkit.retrieval.tables import PassageTables, Way, fused
from agentkit.retrieval.words import Query, content_words

__all__ = [
    "Embedder",
    "OpenAIEmbedder",
    "PassageIndex",
    "PassageTables",
    "Query",
    "Quote",
    "Way",
    "best_quotes",
    "content_words",
    "cover",
    "embedder",
    "fused",
    "sentences",
]
