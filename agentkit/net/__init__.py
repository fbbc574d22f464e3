"""HTTP: the client for model servers, and the guarded fetch of URLs given by users and models."""
