"""Routes of the chat page beside those of `chat`, one file an ability."""
