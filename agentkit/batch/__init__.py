"""Many questions, each answered once: from a file or an iterable, in threads, processes or a cluster."""
