"""Saving parameters to a file, and loading them: everything is checked before anything changes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from nengo.exceptions import SimulationError, ValidationError

from ...session.session import Session
from ...utils import warn
from .archive import Archive, Entry, open_archive, write_archive
from .parts import (
    MOST_STEPS,
    LayerWeights,
    NetworkParameters,
    OptimizerState,
    Part,
    State,
    Value,
    Values,
    unique,
)

OF_KERAS = (".h5", ".hdf5", ".keras")  # how names of its files end
MOST_NAMED = 8  # names in a message; of what is left, the number


def save(
    session: Session, path: str | os.PathLike, state: bool = False, optimizer: bool = False
) -> None:
    """See `Simulator.save_params`."""
    values = _values(session, _parts(state, optimizer))
    taken: set[str] = set()
    write_archive(
        file_name(path),
        {key: value.array for key, value in values.items()},
        {key: unique(re.sub(r"[^A-Za-z0-9_.>/-]", "_", key), taken) for key in values},
        {key: value.per_item for key, value in values.items()},
        {
            "n_steps": int(session.n_steps),
            "seed": int(session.seed),
            "dt": float(session.compiled.model.dt),
            "minibatch_size": session.batch,
            "has_state": state,
            "has_optimizer": optimizer,
        },
    )


def load(
    session: Session, path: str | os.PathLike, state: bool = False, optimizer: bool = False
) -> None:
    """See `Simulator.load_params`: everything is checked before anything changes."""
    path = _readable(path)
    parts = _parts(state, optimizer)
    with open_archive(path) as archive:
        _check_info(archive, session, state, optimizer)
        wanted = _values(session, parts)
        names = {part.name for part in parts}
        stored = {k: e for k, e in archive.entries.items() if k.partition("/")[0] in names}
        _check_fit(path, stored, wanted)
        arrays = {key: _fitted(archive, key, value) for key, value in wanted.items()}
        info = archive.info
    split = {
        part: {
            key.removeprefix(f"{part.name}/"): array
            for key, array in arrays.items()
            if key.startswith(f"{part.name}/")
        }
        for part in parts
    }
    wrong = [key for part, mine in split.items() for key in part.invalid(session, mine)]
    if wrong:
        raise SimulationError(
            f"{path} is damaged: {_enumerated(wrong)} cannot be so. Nothing was loaded"
        )
    for part, mine in split.items():
        part.assign(session, mine, info)
    _warn_of_infinities(path, arrays)


def remember(session: Session) -> Callable[[], None]:
    """Keep all parameters as they are now; the function returned brings them back."""
    kept = [
        (part, {key: value.array.copy() for key, value in part.values(session).items()})
        for part in _parts(state=False, optimizer=False)
    ]

    def restore() -> None:
        for part, arrays in kept:
            part.assign(session, arrays, {})

    return restore


def _values(session: Session, parts: Sequence[Part]) -> Values:
    """All arrays of some parts, in an order that does not depend on how they are stored."""
    found = {f"{p.name}/{key}": value for p in parts for key, value in p.values(session).items()}
    return dict(sorted(found.items()))


def _parts(state: bool, optimizer: bool) -> list[Part]:
    extra = [State()] if state else []
    return [NetworkParameters(), LayerWeights(), *extra, *([OptimizerState()] if optimizer else [])]


def file_name(path: str | os.PathLike) -> str:
    """The name of the file: with ``.npz``, as NumPy's."""
    try:
        name = os.fspath(path)
    except TypeError as error:
        raise ValidationError(f"got {path!r}, expected a path", attr="path") from error
    name = os.fsdecode(name)
    return name if name.endswith(".npz") else f"{name}.npz"


def _readable(path: str | os.PathLike) -> str:
    """The name of a file to load; SimulationError if what was named is another kind of file."""
    name = file_name(path)
    given = os.fsdecode(os.fspath(path))
    if os.path.exists(name) or not given.endswith(OF_KERAS):
        return name
    raise SimulationError(
        f"{given} is the name of a file of Keras's, which load_params does not read (and there is "
        f"no {name}); load weights that Keras saved by Simulator.keras_model.load_weights"
    )


# ------------------------------------------------------------------ checks


def _check_info(archive: Archive, session: Session, state: bool, optimizer: bool) -> None:
    info, path = archive.info, archive.path
    kinds = {"n_steps": int, "seed": int, "dt": float, "has_state": bool, "has_optimizer": bool}
    for key, kind in kinds.items():
        if type(info.get(key)) is not kind or not 0 <= info[key] < 2**63:
            raise SimulationError(f"{path} is damaged: its {key} is {info.get(key)!r}")
    for key, limit in {"seed": 2**32, "n_steps": MOST_STEPS + 1}.items():
        if info[key] >= limit:
            raise SimulationError(f"{path} is damaged: its {key} is {info[key]}")
    if state and not info["has_state"]:
        raise SimulationError(f"{path} has no state; it was saved without include_state=True")
    if optimizer and not info["has_optimizer"]:
        raise SimulationError(
            f"{path} has no state of an optimizer; it was saved without include_optimizer=True"
        )
    dt = session.compiled.model.dt
    if state and info["dt"] != dt:
        raise SimulationError(
            f"{path} has the state of a simulation with dt={info['dt']:g}, expected {dt:g}"
        )


def _check_fit(path: str, stored: Mapping[str, Entry], wanted: Values) -> None:
    """Raise SimulationError unless names and shapes are those of the network."""
    other = []
    for key in wanted.keys() & stored.keys():
        value, entry = wanted[key], stored[key]
        shape, expected = entry.shape[entry.per_item :], value.array.shape[value.per_item :]
        if shape != expected:
            other.append(f"{_short(key)} is {shape}, expected {expected}")
        elif np.dtype(entry.dtype).kind != value.array.dtype.kind:
            other.append(f"{_short(key)} is {entry.dtype}, expected {value.array.dtype}")
    listed = {
        "missing in the file": [_short(key) for key in wanted if key not in stored],
        "not in the network": [_short(key) for key in stored if key not in wanted],
        "of another shape or type": sorted(other),
    }
    problems = [f"{what}: {_enumerated(names)}" for what, names in listed.items() if names]
    if problems:
        raise SimulationError(
            f"{path} has {len(stored)} arrays, this network {len(wanted)}; {'; '.join(problems)}. "
            f"Nothing was loaded"
        )


def _fitted(archive: Archive, key: str, value: Value) -> np.ndarray:
    """An array of the file, for as many batch items as the simulator has."""
    array, shape = archive.read(key), value.array.shape
    if archive.entries[key].per_item and not (value.per_item and len(array) == shape[0]):
        if len(array) == 0 or not np.array_equal(array, np.broadcast_to(array[:1], array.shape)):
            items = f"{shape[0]} items" if value.per_item else "one value for all items"
            raise SimulationError(
                f"{archive.path} has {_short(key)} for {len(array)} batch items, which differ; "
                f"expected {items}. Nothing was loaded"
            )
        array = array[0]
    with np.errstate(over="ignore"):  # what is infinite then, is named later
        return np.broadcast_to(array, shape).astype(value.array.dtype)


def _warn_of_infinities(path: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Warn of arrays, as they were loaded, with values that no computation gets rid of."""
    wrong = [
        _short(key)
        for key, array in arrays.items()
        if array.dtype.kind == "f" and not np.all(np.isfinite(array))
    ]
    if wrong:
        warn(
            f"{path} has values that are not finite, and what depends on them will not be either: "
            f"{_enumerated(wrong)}. They were loaded as they are"
        )


def _short(key: str) -> str:
    return key.removeprefix("parameters/")


def _enumerated(names: Sequence[str]) -> str:
    left = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {left} more" if left > 0 else "")
