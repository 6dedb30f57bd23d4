"""From a dataset's own label names to the project's: by meaning, or by the rules of a ``--map`` file.

A rule maps one source label to a class, a meta label, ``"drop"``, or shares of classes such as
``{neutral = 0.7, sadness = 0.3}``. A vote stays one opinion of one person: shares divide the *votes*, and what does not
divide is drawn from the sample's key, so over a dataset the shares come out as written, the same on every run.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emolab.errors import ConfigError, DataError
from emolab.files import TooLarge, read_file
from emolab.modalities.problems import shown
from emolab.taxonomy import META, nearest, resolve

DROP = "drop"

#: The largest file of rules, in bytes.
MAP_LIMIT = 16 << 20

#: Where a source label goes: a class, a meta label, ``DROP``, or shares of classes that sum to 1.
Target = str | Mapping[str, float]


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Rules from source label to target; ``unused`` are rules of the file that the dataset has no label for."""

    rules: Mapping[str, Target]
    unused: tuple[str, ...] = field(default=())

    def translate(self, votes: Mapping[str, int], key: str) -> dict[tuple[str, str], int]:
        """``votes`` by (source label, project label) with their counts; dropped ones are left out.

        ``key`` names the sample where shares have to be drawn.
        """
        out: dict[tuple[str, str], int] = {}
        for name, count in votes.items():
            target = self.rules[name]
            if isinstance(target, str):
                if target != DROP:
                    out[name, target] = count
            else:
                for label, part in _apportion(count, target, f"{key}|{name}").items():
                    out[name, label] = part
        return out

    def targets(self) -> set[str]:
        """Every project label that some rule leads to."""
        single = {target for target in self.rules.values() if isinstance(target, str) and target != DROP}
        return single.union(*(target for target in self.rules.values() if not isinstance(target, str)))


def load_rules(path: Path, classes: Sequence[str]) -> dict[str, Target]:
    """The rules of a TOML or JSON file: an object of source label to target.

    Raises :class:`ConfigError` for a file that cannot be read or a target that is nothing in this project.
    """
    try:
        text = read_file(path, limit=MAP_LIMIT).decode("utf-8-sig")
        content = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (OSError, TooLarge) as error:
        why = str(error) if isinstance(error, TooLarge) else error.strerror
        raise ConfigError(f"{path} cannot be read: {why}.") from error
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} is neither TOML nor JSON: {error}.", hint='Write lines such as "Ahegao" = "drop".'
        ) from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds no table of labels.", hint='Example: {"Ahegao": "drop"}')
    return {name: _target(target, name, classes, path) for name, target in content.items()}


def plan(labels: Mapping[str, int], classes: Sequence[str], rules: Mapping[str, Target] | None = None) -> LabelMap:
    """The map for a source with these ``labels`` (label to votes): rules first, then meaning.

    Raises :class:`DataError` when labels are left over; it lists them, the class they likely mean and a ready map
    file.
    """
    rules = rules or {}
    folded = {_folded(name): name for name in rules}
    chosen: dict[str, Target] = {}
    used: set[str] = set()
    for name in labels:
        exact = next((spelling for spelling in (name, shown(name)) if spelling in rules), None)
        rule = folded.get(_folded(name)) if exact is None else exact
        if rule is not None:
            used.add(rule)
            chosen[name] = rules[rule]
        elif (meaning := resolve(name, classes)) is not None:
            chosen[name] = meaning
    unknown = {name: labels[name] for name in labels if name not in chosen}
    if unknown:
        raise _unknown_labels(unknown, labels, classes, rules)
    return LabelMap(chosen, tuple(sorted(set(rules) - used)))


def refuse_nothing(labels: LabelMap, found: Mapping[str, int], classes: Sequence[str]) -> None:
    """Raise :class:`DataError` when the map drops every label ``found`` (label to votes) in a dataset to be merged."""
    if found and all(labels.rules[name] == DROP for name in found):
        raise DataError(
            f"The map drops every label of the dataset: {_listed(found)}.",
            hint=f"Give at least one of them a class ({', '.join(classes)}), or bring in the images without labels: "
            "emolab collect PATH",
        )


def _folded(name: str) -> str:
    """What two spellings of one label have in common: case, spaces around it, and its Unicode form do not count."""
    return shown(unicodedata.normalize("NFC", name)).strip().lower()


def _unknown_labels(
    unknown: Mapping[str, int], labels: Mapping[str, int], classes: Sequence[str], rules: Mapping[str, Target]
) -> DataError:
    lines = {name: _toml(target) for name, target in rules.items()}
    proposed = {name: nearest(name, classes) for name in sorted(unknown, key=lambda name: (-unknown[name], name))}
    for name, near in proposed.items():
        lines[shown(name)] = f'"{near or DROP}"' + ("  # looks like it, check it" if near else "")
    table = "\n".join(f"{toml_string(name)} = {target}" for name, target in lines.items())
    what = "1 label of the dataset is" if len(unknown) == 1 else f"{len(unknown)} labels of the dataset are"
    nothing = len(unknown) == len(labels) and not any(proposed.values())
    return DataError(
        f"{what} no class of this project: {_listed(unknown)}. "
        f"Classes: {', '.join(classes)}; meta labels: {', '.join(META)}."
        + (" None of its labels is one: are these the labels, or splits, people, numbers?" if nothing else ""),
        hint=f"Save this as map.toml, correct it, and add --map map.toml "
        f'(a class, a meta label, "{DROP}", or shares such as {{neutral = 0.7, sadness = 0.3}}):',
        block=table,
    )


def _listed(labels: Mapping[str, int]) -> str:
    """The most frequent of ``labels`` (label to votes) in words."""
    ordered = sorted(labels, key=lambda name: (-labels[name], name))
    more = f" and {len(ordered) - 10} more" if len(ordered) > 10 else ""
    return ", ".join(f"{toml_string(shown(name))} ({labels[name]:,} votes)" for name in ordered[:10]) + more


def toml_string(text: str) -> str:
    """``text`` as a string of TOML on one line; letters of any script stay as they are.

    What cannot be seen or turns the direction of writing is escaped, but for the two joiners within words and emoji.

    >>> print(toml_string('高兴 "x"\\n'))
    "高兴 \\"x\\"\\n"
    """
    return '"' + "".join(_ESCAPES.get(sign) or _visible(sign) for sign in text) + '"'


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\u200c": "\u200c", "\u200d": "\u200d"}


def _visible(sign: str) -> str:
    if sign.isprintable():
        return sign
    return f"\\u{ord(sign):04X}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08X}"


def _toml(target: Target) -> str:
    if isinstance(target, str):
        return toml_string(target)
    return "{" + ", ".join(f"{toml_string(name)} = {share!r}" for name, share in target.items()) + "}"


def _target(value: object, name: str, classes: Sequence[str], path: Path) -> Target:
    if isinstance(value, str):
        return value if value == DROP else _label(value, name, classes, path)
    if isinstance(value, dict) and value:
        shares: dict[str, float] = {}
        for label, share in value.items():
            if isinstance(share, bool) or not isinstance(share, int | float) or share < 0:
                raise ConfigError(
                    f'{path}: "{name}" gives "{label}" the share {share!r}; expected a number from 0 to 1.'
                )
            found = _label(label, name, classes, path)
            shares[found] = shares.get(found, 0.0) + share
        total = sum(shares.values())
        if abs(total - 1) > 0.01:
            raise ConfigError(f'{path}: the shares of "{name}" sum to {total:g}, expected 1.')
        return {label: share / total for label, share in shares.items() if share}
    raise ConfigError(f'{path}: "{name}" maps to {value!r}.', hint=f'Expected a label, "{DROP}" or a table of shares.')


def _label(value: str, name: str, classes: Sequence[str], path: Path) -> str:
    found = resolve(value, classes)
    if found is None:
        near = nearest(value, classes)
        raise ConfigError(
            f'{path} maps "{name}" to "{value}", which is no class of this project.'
            + (f' Did you mean "{near}"?' if near else ""),
            hint=f'Classes: {", ".join(classes)}; meta labels: {", ".join(META)}; or "{DROP}".',
        )
    return found


def _apportion(count: int, shares: Mapping[str, float], key: str) -> dict[str, int]:
    """``count`` votes divided by ``shares``: whole parts first, the votes left over drawn by a hash of ``key``."""
    parts = {label: int(count * share + 1e-9) for label, share in shares.items()}
    rest = {label: count * share - parts[label] for label, share in shares.items()}
    for place in range(count - sum(parts.values())):
        digest = hashlib.blake2b(f"{key}|{place}".encode(), digest_size=8).digest()
        mark = int.from_bytes(digest, "big") / 2**64 * sum(rest.values())
        for label, share in rest.items():
            mark -= share
            if mark < 0 or label == next(reversed(rest)):
                parts[label] += 1
                rest[label] = max(share - 1, 0.0)
                break
    return {label: part for label, part in parts.items() if part}
