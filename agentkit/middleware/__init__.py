"""What wraps a backend: each module adds one ability to the calls that pass through it."""
