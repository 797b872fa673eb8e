"""How a file goes wrong: by bytes, by lines, by cells, by its encoding."""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from random import Random
from typing import Any

__all__ = ["mutate_bytes", "mutate_text", "mutate_tree"]

ODD = (
    *("", " ", "0", "1", "2", "-1", "1.0", "nan", "inf", "1e400", "99999999999999999999999", "null", "true", "~", "é"),
    *(
        "\x00",
        "\t",
        '"',
        "'",
        ",",
        ";",
        ":",
        "#",
        "&a",
        "*a",
        "!!int",
        "{",
        "[",
        "]",
        "}",
        "- ",
        "? ",
        "\u2028",
        "\ufeff",
    ),
    *("../a.png", "/etc/passwd", "image", "group", "order", "p_", "a" * 3000, "\U0001f600", "%", "$(id)", "\r", "\\"),
)
"""Cells, words and marks that programs stumble over."""


VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 10**30, 0.0, -0.5, 1.5, 1e-320, 1e308, float("inf"), float("nan")),
    *("", "x", "none", "auto", "1", "-1", "nan", "\u00e9", "a" * 3000, "os.system", "builtins.eval", "torch.nn.Linear"),
    *([], [1], ["a", None], [[]], {}, {"a": 1}, {"class_path": "x"}, {"class_path": 1}, {"init_args": {}}),
    *({"class_path": "torch.optim.AdamW"}, {"class_path": "dpc_lightning.acquisition.Badge", "init_args": {"x": 1}}),
)
"""Values of every kind."""


def mutate_bytes(content: bytes, random: Random) -> bytes:
    """Flip, cut, repeat, remove, overwrite or insert bytes, one to four times."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 4))):
        place, length = random.randrange(len(data) + 1), random.choice((1, 1, 2, 8, 100, 4096))
        deed = random.randrange(7)
        if deed == 0 and place < len(data):
            data[place] ^= 1 << random.randrange(8)
        elif deed == 1:
            del data[place:]
        elif deed == 2:
            data[place:place] = data[place : place + length]
        elif deed == 3:
            del data[place : place + length]
        elif deed == 4:
            data[place : place + length] = random.randbytes(length)
        elif deed == 5:
            data[place : place + length] = bytes(length)
        else:
            data[place:place] = random.choice(ODD).encode("utf-8", "surrogatepass")
    return bytes(data)


def mutate_text(text: str, random: Random, cells: str) -> bytes:
    """Change lines, and the cells that a mark separates, one to four times; then encode, now and then strangely."""
    lines = text.splitlines()
    for _ in range(random.choice((1, 1, 2, 4))):
        random.choice(DEEDS)(lines, random, cells)
    end = random.choice(("\n", "\n", "\n", "\r\n", "\r", "\n\n", ""))
    changed = end.join(lines) + end
    encoding = random.choice(("utf-8",) * 8 + ("utf-8-sig", "utf-16", "latin-1", "utf-32-le"))
    content = changed.encode(encoding, "replace")
    return mutate_bytes(content, random) if random.random() < 0.1 else content


def mutate_tree(tree: dict[str, Any], random: Random) -> dict[str, Any]:
    """Change values, names and places in nested settings, one to three times; the outcome is a tree again."""
    changed = deepcopy(tree)
    for _ in range(random.choice((1, 1, 2, 3))):
        nodes = [node for node in _mappings(changed) if node]
        if not nodes:
            break
        node = random.choice(nodes)
        key = random.choice(sorted(node))
        deed = random.randrange(6)
        if deed <= 2:
            node[key] = deepcopy(random.choice(VALUES))  # else a case would change the next one's
        elif deed == 3:
            del node[key]
        elif deed == 4:
            node[random.choice(("", "x", key.upper(), f"{key}s", f"{key}+", "class_path", "init_args"))] = node.pop(key)
        else:
            other = random.choice(nodes)
            other[random.choice(sorted(other) or ["x"])] = deepcopy(node[key])
    return changed


def _mappings(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _mappings(value)


def _repeat(lines: list[str], random: Random, _: str) -> None:
    lines.insert(random.randrange(len(lines) + 1), _any(lines, random))


def _remove(lines: list[str], random: Random, _: str) -> None:
    if lines:
        del lines[random.randrange(len(lines))]


def _swap(lines: list[str], random: Random, _: str) -> None:
    if lines:
        first, second = random.randrange(len(lines)), random.randrange(len(lines))
        lines[first], lines[second] = lines[second], lines[first]


def _cell(lines: list[str], random: Random, mark: str) -> None:
    if lines:
        place = random.randrange(len(lines))
        parts = lines[place].split(mark)
        parts[random.randrange(len(parts))] = random.choice(ODD)
        lines[place] = mark.join(parts)


def _swap_cells(lines: list[str], random: Random, mark: str) -> None:
    if lines:
        place, other = random.randrange(len(lines)), random.randrange(len(lines))
        first, second = lines[place].split(mark), lines[other].split(mark)
        here, there = random.randrange(len(first)), random.randrange(len(second))
        first[here], second[there] = second[there], first[here]
        lines[place] = mark.join(first)
        if other != place:
            lines[other] = mark.join(second)


def _drop_cell(lines: list[str], random: Random, mark: str) -> None:
    if lines:
        place = random.randrange(len(lines))
        parts = lines[place].split(mark)
        del parts[random.randrange(len(parts))]
        lines[place] = mark.join(parts)


def _insert(lines: list[str], random: Random, _: str) -> None:
    if lines:
        place = random.randrange(len(lines))
        at = random.randrange(len(lines[place]) + 1)
        lines[place] = lines[place][:at] + random.choice(ODD) + lines[place][at:]


def _indent(lines: list[str], random: Random, _: str) -> None:
    if lines:
        place = random.randrange(len(lines))
        lines[place] = random.choice((" ", "  ", "\t", "      ")) + lines[place]


def _cut(lines: list[str], random: Random, _: str) -> None:
    del lines[random.randrange(len(lines) + 1) :]


def _any(lines: Sequence[str], random: Random) -> str:
    return random.choice(lines) if lines else ""


DEEDS: tuple[Callable[[list[str], Random, str], None], ...] = (
    *(_repeat, _remove, _swap, _cell, _cell, _swap_cells, _drop_cell, _insert, _insert, _indent, _cut),
)
