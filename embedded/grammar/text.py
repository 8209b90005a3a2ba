"""How the grammar's tables are written down: words, phrases, lines, and pairs."""


def words(text: str) -> tuple[str, ...]:
    """What white space separates."""
    return tuple(text.split())


def phrases(text: str) -> tuple[str, ...]:
    """What semicolons or line ends separate."""
    return tuple(part.strip() for part in text.replace("\n", ";").split(";") if part.strip())


def lines(text: str) -> tuple[str, ...]:
    """One a line."""
    return tuple(line.strip() for line in text.strip().splitlines())


def pairs(text: str) -> dict[str, str]:
    """`key: value`, separated by semicolons or line ends."""
    entries = (phrase.split(":", 1) for phrase in phrases(text))
    return {key.strip(): value.strip() for key, value in entries}
