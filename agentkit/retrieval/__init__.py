"""Ranks passages by how well they match a question, in any language: BM25 by SQLite's FTS5.

index = PassageIndex(["Paris is in France.", "Oslo is in Norway."])
index.best("What is the capital of Norway?")  ->  [1]

`PassageTables` are its tables in a database of the caller's.
"""

from agentkit.retrieval.conversation import is_chinese, refers_back, subject_of
from agentkit.retrieval.embeddings import Embedder, OpenAIEmbedder, embedder
from agentkit.retrieval.markup import Passage, passages_in
from agentkit.retrieval.passages import PassageIndex, cover
from agentkit.retrieval.quotes import Quote, Source, best_quotes
from agentkit.retrieval.sentences import sentence_ends, sentences
from agentkit.retrieval.tables import PassageTables, Way, fused
from agentkit.retrieval.words import Query, content_words

__all__ = [
    "Embedder",
    "OpenAIEmbedder",
    "Passage",
    "PassageIndex",
    "PassageTables",
    "Query",
    "Quote",
    "Source",
    "Way",
    "best_quotes",
    "content_words",
    "cover",
    "embedder",
    "fused",
    "is_chinese",
    "passages_in",
    "refers_back",
    "sentence_ends",
    "sentences",
    "subject_of",
]
