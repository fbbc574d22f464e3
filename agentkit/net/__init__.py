"""HTTP: the client for model servers, and the guarded fetch of what users and models name."""
