"""What Schemathesis has to be told of the media types of jobtrack."""

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(_context, value):
    """Lines as they are; whatever else is made up goes as the text that Python makes of it."""
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else repr(value)).encode("utf-8", "replace")
