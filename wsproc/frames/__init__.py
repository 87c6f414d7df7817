"""Every frame of wsproc.v1 as a pydantic model, one file for each direction and one for errors."""
