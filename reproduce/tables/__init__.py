"""Everything that is shown in rows, and what the paper prints."""
