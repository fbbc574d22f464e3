"""Reading the messages of other programs: objects of SDKs, forms of other APIs, calls that stand in texts."""
