"""What a tool call needs: schemas from signatures, arguments from JSON, processes to run in."""
