"""Optuna's samplers by their names in --sampler, each loaded when it is used."""

from __future__ import annotations

import importlib.util
import inspect
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from adcore.errors import UserError, unknown_name

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

__all__ = ["HUB", "SAMPLERS", "check_sampler", "make_sampler"]

#: Optuna's class for each name.
SAMPLERS: Mapping[str, str] = MappingProxyType(
    {"tpe": "TPESampler", "gp": "GPSampler", "cmaes": "CmaEsSampler", "random": "RandomSampler"}
)
#: Package that a sampler needs besides this project's own.
NEEDED: Mapping[str, str] = MappingProxyType({"cmaes": "cmaes"})
#: Prefix of a sampler from OptunaHub; its name follows, as the registry spells it.
HUB = "hub:"


def check_sampler(name: str) -> None:
    """Raises UserError for a sampler that is unknown, not installed, not loadable or takes no seed."""
    package = "optunahub" if name.startswith(HUB) else NEEDED.get(name)
    if not name.startswith(HUB) and name not in SAMPLERS:
        raise unknown_name("--sampler", name, [*SAMPLERS, f"{HUB}<name>"])
    if package and importlib.util.find_spec(package) is None:
        raise UserError(f"--sampler {name}: needs the package {package}; install it with: pip install {package}")
    if name.startswith(HUB):
        try:
            parameters = inspect.signature(_kind(name)).parameters
        except Exception as error:  # the network, the registry or the sampler's own code
            raise UserError(f"--sampler {name}: cannot be loaded ({' '.join(str(error).split()):.300})") from error
        if "seed" not in parameters:
            raise UserError(f"--sampler {name}: it takes no seed, so a resumed sweep would propose something else")


def make_sampler(name: str, seed: int, startup: int) -> BaseSampler:
    """The sampler of this name. startup: random proposals before it fits a model to the results, if it does."""
    from optuna.exceptions import ExperimentalWarning

    kind = _kind(name)
    settings: dict[str, Any] = {"seed": seed, "n_startup_trials": startup}
    parameters = inspect.signature(kind).parameters
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return kind(**{key: value for key, value in settings.items() if key in parameters})


def _kind(name: str) -> Callable[..., BaseSampler]:
    if not name.startswith(HUB):
        import optuna

        return getattr(optuna.samplers, SAMPLERS[name])
    import optunahub  # pyright: ignore[reportMissingImports] -- not among the packages of this project

    module = optunahub.load_module(f"samplers/{name.removeprefix(HUB)}")
    return next(getattr(module, each) for each in module.__all__ if each.endswith("Sampler"))
