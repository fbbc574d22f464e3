"""Ranks passages by how well they match a question, in any language: BM25 by SQLite's FTS5.

index = PassageIndex(["Paris is in France.", "Oslo is in Norway."])
index.best("What is the capital of Norway?")  ->  [1]
"""

from agentkit.retrieval.passages import PassageIndex
from agentkit.retrieval.sentences import sentences
from agentkit.retrieval.words import STOP_WORDS, content_words

__all__ = ["STOP_WORDS", "PassageIndex", "content_words", "sentences"]
