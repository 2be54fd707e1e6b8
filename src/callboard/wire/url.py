"""Request targets: path and query, decoded once. A `Query` lives as long as its request."""

from urllib.parse import parse_qsl, quote, unquote, urlencode

from callboard.model.errors import InvalidError

PARAMETERS_MAX_COUNT = 64


def split_target(target: str) -> tuple[str, str]:
    """Raw path and raw query of an origin-form target (RFC 9112 section 3.2.1)."""
    path, _, query = target.partition("?")
    return path, query


def decode_path(path: str) -> str:
    """The path with its percent-escapes decoded as UTF-8. Raises `InvalidError` for bytes that are no UTF-8 or not printable."""
    if "%" not in path:
        decoded = path
    else:
        try:
            decoded = unquote(path, errors="strict")
        except UnicodeDecodeError:
            raise InvalidError("path", "percent-escapes must be UTF-8") from None
    if not decoded.isprintable():
        raise InvalidError("path", "must contain only printable characters")
    return decoded


def clean_path(path: str) -> str:
    """A decoded path as it was meant: each slash once, and nothing to go back from (`//v1/./a/../b/` is `/v1/b/`)."""
    out: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del out[-1:]
        elif part not in {"", "."}:
            out.append(part)
    return "/" + "/".join(out) + ("/" if out and path.endswith("/") else "")


class Query:
    """Parameters of a request, in order, with repeats; a flag is set when its name is present, whatever its value."""

    __slots__ = ("pairs",)

    def __init__(self, raw: str) -> None:
        """Raises `InvalidError` for more than 64 parameters or escapes that are no UTF-8."""
        try:
            self.pairs = parse_qsl(raw, keep_blank_values=True, errors="strict", max_num_fields=PARAMETERS_MAX_COUNT) if raw else []
        except UnicodeDecodeError:
            raise InvalidError("query", "percent-escapes must be UTF-8") from None
        except ValueError:
            raise InvalidError("query", f"must have at most {PARAMETERS_MAX_COUNT} parameters") from None

    def get(self, name: str) -> str | None:
        """The first value of `name`, None when it is absent."""
        for key, value in self.pairs:
            if key == name:
                return value
        return None

    def all(self, name: str) -> list[str]:
        """Every value of `name`, in order."""
        return [value for key, value in self.pairs if key == name]

    def __contains__(self, name: str) -> bool:
        return any(key == name for key, _ in self.pairs)


def encoded_target(path: str, query: Query) -> str:
    """The target that a decoded path and these parameters are sent as."""
    return quote(path) + (f"?{urlencode(query.pairs)}" if query.pairs else "")
