"""Decimals have all digits that a model has written."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from agentkit import Agent, tool
from agentkit.testing import ScriptedBackend

LONG = "12345678901234567.89"


class Invoice(BaseModel):
    total: Decimal
    parts: list[Decimal] = []
    rate: float = 0.0
    note: str = ""


@pytest.mark.parametrize(
    "written",
    [
        LONG,
        f'"{LONG}"',
        "0.1",
        "19.99",
        "-0.000000000000000000012345678901234567891",
        "1e3",
        "123456789012345678901234567890",
    ],
)
def test_an_argument_that_is_a_decimal_has_all_its_digits(written: str) -> None:
    """As JSON's other readers have it, a number of more than 17 digits would be another one, and be paid."""
    paid: list[Decimal] = []

    @tool
    def pay(amount: Decimal) -> str:
        """Pay an amount."""
        paid.append(amount)
        return "Paid."

    Agent(ScriptedBackend(("pay", f'{{"amount": {written}}}'), "Done."), tools=[pay]).run("Pay.")
    assert paid == [Decimal(written.strip('"'))]


def test_decimals_in_other_things_have_theirs_and_floats_stay_floats() -> None:
    got: list[Invoice] = []

    @tool
    def book(invoice: Invoice) -> str:
        """Book an invoice."""
        got.append(invoice)
        return "Booked."

    written = f'{{"total": {LONG}, "parts": [1.5, {LONG}], "rate": {LONG}, "note": "{LONG}"}}'
    Agent(ScriptedBackend(("book", f'{{"invoice": {written}}}'), "Done."), tools=[book]).run("Book.")
    (invoice,) = got
    assert (invoice.total, invoice.parts) == (Decimal(LONG), [Decimal("1.5"), Decimal(LONG)])
    assert (invoice.rate, type(invoice.rate), invoice.note) == (float(LONG), float, LONG)


@pytest.mark.parametrize(
    "written", [LONG, f"**{LONG}**", f'{{"value": {LONG}}}', ("final_answer", f'{{"value": {LONG}}}')]
)
def test_an_answer_that_is_a_decimal_has_all_its_digits(written: Any) -> None:
    assert Agent(ScriptedBackend(written)).run("How much?", output=Decimal).output == Decimal(LONG)


def test_a_model_in_an_answer_has_them_too() -> None:
    answer = Agent(ScriptedBackend(f'{{"total": {LONG}}}')).run("How much?", output=Invoice).output
    assert answer.total == Decimal(LONG)


@pytest.mark.parametrize("written", ["1e400", "1e999999999", "0." + "1" * 100_000])
def test_no_number_is_kept_that_is_none_or_takes_long(written: str) -> None:
    got: list[Any] = []

    @tool
    def pay(amount: Decimal) -> str:
        """Pay an amount."""
        got.append(amount)
        return "Paid."

    Agent(ScriptedBackend(("pay", f'{{"amount": {written}}}'), "Done."), tools=[pay]).run("Pay.")
    assert not got or len(str(got[0])) < 30
