"""MiniCPM5: calls as elements without a wrapper; values with markup in them are CDATA.

<function name="get_weather"><param name="city"><![CDATA[Paris & Lyon]]></param></function>
"""

from agentkit.text.call_format import Format
from agentkit.text.formats.elements import Tags, block_of

STARTS = ("<function name=", "<functionname=", "<function\u0120name=")
"""Servers that decode single tokens leave out the space, or show it as its letter in the vocabulary."""

FORMAT = Format("minicpm5", starts=STARTS, block=block_of(Tags({}, "function", "param", only_known=True)), strips=True)
