"""JSON of the branches of a conversation."""

from pydantic import BaseModel, Field


class BranchOut(BaseModel):
    """One of the versions of a turn. They are in the order in which they were made, that of the session itself among
    them."""

    session_id: str = Field(description="Session ID of the branch that has this version.")
    begins: int = Field(description="Which turn it is: its `begins`.")
    updated: str = Field(description="Time of the branch's last change in UTC (ISO 8601).")
