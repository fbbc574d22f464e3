"""What the chat page needs beside the chat API, one ability a file."""
