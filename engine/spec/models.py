"""A model that is used: what its backend needs and takes, and the address and key that never leave the process."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import SecretStr

from engine.errors import did_you_mean
from engine.model import Backend, ModelConfig
from engine.registry import backend, backend_names
from engine.spec.composer import Keys
from engine.spec.forms import ModelForm
from engine.spec.nodes import ModelNode, RunOptions
from engine.spec.problems import Problems
from engine.spec.scope import Head
from engine.spec.validate import read_own_params
from engine.spec.values import quoted

_ADDRESS = re.compile(r"https?://[^\s/]+(/\S*)?")


def read_model(
    name: str, form: ModelForm, run: RunOptions, folder: Path, problems: Problems
) -> tuple[Head, ModelNode | None]:
    """A model that is used, and what others need to know of it; the node is None where it has problems."""
    path: Keys = ("models", name)
    found = _backend(form, path, problems)
    if form.use is None or found is None:
        return Head(None, None), None
    label = f"use: {form.use}"
    head = Head(label, found)
    for key in ("base", "data", "columns"):
        if getattr(form, key) is not None:
            problems.add((*path, key), f"{label} takes no {key}; it is for a model that is trained", of="key")
    address = run.endpoints.get(name, form.base_url)
    _check_fields(form, found, label, path, address, problems)
    params = read_own_params(found.Params, form, path, label, problems)
    if params is None:
        return head, None
    config = ModelConfig(
        name=name,
        model=form.model,
        revision=form.revision,
        base_url=address,
        api_key=None if form.api_key is None else SecretStr(form.api_key),
        params=params,
        concurrency=run.concurrency,
        folder=folder,
    )
    return head, ModelNode(name, form.use, config, form.description, tuple(form.tags or ()), form.owner)


def check_address(address: str, path: Keys, problems: Problems) -> None:
    """A problem where an address isn't one; it may hold a password, so the message doesn't repeat it."""
    if not _ADDRESS.fullmatch(address):
        problems.add(path, "not an address like http://localhost:8000/v1")


def _backend(form: ModelForm, path: Keys, problems: Problems) -> type[Backend] | None:
    if form.use is None:
        if not form.broken("use"):
            problems.add((*path, "use"), "missing (a model names its backend, or by `train` its trainer)")
        return None
    if form.use not in backend_names():
        problems.add((*path, "use"), f"unknown backend {quoted(form.use)}{did_you_mean(form.use, backend_names())}")
        return None
    return backend(form.use)


def _check_fields(
    form: ModelForm, found: type[Backend], label: str, path: Keys, address: str | None, problems: Problems
) -> None:
    """Which of model, revision, base_url and api_key there must and may be, as the backend says."""
    given = {"model": form.model, "revision": form.revision, "base_url": address, "api_key": form.api_key}
    for field, value in given.items():
        at = (*path, field)
        if value is None:
            if field in found.requires and not form.broken(field):
                problems.add(at, f"missing ({label} needs it)")
        elif field not in found.requires | found.accepts:
            if field == "base_url" and form.base_url is None:
                at = ("run", "endpoints", path[1])
            problems.add(at, f"{label} takes no {field}", of="key")
    if form.base_url is not None:
        check_address(form.base_url, (*path, "base_url"), problems)
