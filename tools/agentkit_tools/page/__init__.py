"""Reads the text of web pages and PDFs; `agentkit_tools.page_text` chooses the reader."""
