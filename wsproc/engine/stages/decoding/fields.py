"""Reading an item's fields: the right type and range, None where absent, else `InvalidItem`."""

from __future__ import annotations

from wsproc.engine.call import InvalidItem, Item

MAX_INT = 2**31 - 1


def read_text(item: Item, key: str) -> str:
    """Return the required string under `key`, one that can be written as UTF-8."""
    value = item.get(key)
    if not isinstance(value, str):
        raise InvalidItem(f"{key} must be a string")
    return _encodable(key, value)


def read_int(item: Item, key: str, low: int, high: int) -> int | None:
    """Return the integer under `key`, from `low` to `high`, or None when it is absent."""
    value = item.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidItem(f"{key} must be an integer from {low} to {high}")
    return value


def read_number(item: Item, key: str, low: float, high: float) -> float | None:
    """Return the number under `key`, from `low` to `high`, or None when it is absent."""
    value = item.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidItem(f"{key} must be a number from {low:g} to {high:g}")
    return float(value)


def read_lengths(item: Item, low: int) -> tuple[int | None, int | None]:
    """Return what an item says under `min_length` and `max_length`, which is at least `low`."""
    least = read_int(item, "min_length", 0, MAX_INT)
    most = read_int(item, "max_length", low, MAX_INT)
    if least is not None and most is not None and least > most:
        raise InvalidItem("min_length must not be more than max_length")
    return least, most


def read_texts(item: Item, key: str, most: int) -> tuple[str, ...]:
    """Return the strings under `key`: a list of up to `most`, one alone, or none when absent."""
    value = item.get(key)
    if value is None:
        return ()
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or len(texts) > most:
        raise InvalidItem(f"{key} must be a list of at most {most} strings")
    if not all(isinstance(text, str) and text for text in texts):
        raise InvalidItem(f"{key} must hold strings that are not empty")
    return tuple(_encodable(key, text) for text in texts)


def _encodable(key: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidItem(f"{key} holds a lone surrogate") from None
    return text
