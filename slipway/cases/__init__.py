"""The cases, one file each. A file put into this folder is a case if it holds a CASE of its own name; nothing else
lists them.

Any other file is left out with a warning: the copy that an editor, a file manager or JupyterLab makes of a case would
otherwise be a second one, which has no data, no notebook and no method of the service.
"""

import logging
from importlib import import_module
from pkgutil import iter_modules

from slipway.core.case import Case

logger = logging.getLogger(__name__)


def find() -> dict[str, Case]:
    """The cases of this folder, by name."""
    found = {}
    for name in sorted(module.name for module in iter_modules(__path__)):
        if not name.isidentifier():
            logger.warning("slipway/cases/%s.py is left out: its name is no module name", name)
            continue
        case = getattr(import_module(f"{__name__}.{name}"), "CASE", None)
        if not isinstance(case, Case):
            logger.warning("slipway/cases/%s.py is left out: it holds no CASE", name)
        elif case.name != name:
            logger.warning(
                "slipway/cases/%s.py is left out: its CASE is named %r, and not as the file", name, case.name
            )
        else:
            found[name] = case
    return found


CASES = find()
