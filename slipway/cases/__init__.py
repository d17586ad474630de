"""The cases, one file each. A file put into this folder is a case; nothing else lists them."""

from importlib import import_module
from pkgutil import iter_modules

from slipway.core.case import Case

CASES: dict[str, Case] = {
    module.name: import_module(f"{__name__}.{module.name}").CASE for module in iter_modules(__path__)
}
