"""Rebuild the executed notebooks from their sources: `make notebooks`.

A notebook is rebuilt when its cells differ from its source, or when it is named: `python notebooks/build.py 02 05`.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from tqdm import tqdm

NOTEBOOKS = Path(__file__).parent
SOURCES = NOTEBOOKS / "source"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def read_source(source: Path) -> NotebookNode:
    """The notebook that a source describes, not yet executed, with cell ids that do not change from run to run."""
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number:02d}"
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat_minor = 5
    return notebook


def cells(notebook: NotebookNode) -> list[tuple[str, str, str, list[str]]]:
    """What a source decides about a notebook: each cell's id, kind, text and tags."""
    return [(cell.id, cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]


def is_current(source: Path) -> bool:
    """Whether the executed copy has the cells of its source."""
    copy = NOTEBOOKS / f"{source.stem}.ipynb"
    return copy.exists() and cells(nbformat.read(copy, as_version=4)) == cells(read_source(source))


def build(source: Path) -> None:
    """Execute a source from a new kernel, top to bottom, and write the copy.

    Raises nbclient's CellExecutionError if a cell fails; the copy from before is then left as it was.
    """
    notebook = read_source(source)
    with tqdm(total=len(notebook.cells), desc=source.stem, unit="cell", leave=False) as bar:
        client = NotebookClient(
            notebook,
            timeout=900,
            resources={"metadata": {"path": str(NOTEBOOKS)}},
            record_timing=False,
            coalesce_streams=True,  # what is printed in one cell is one output, however the kernel flushed it
            extra_arguments=["--log-level=CRITICAL"],  # of the kernel: it warns of its own transport otherwise
            on_cell_complete=lambda **_: bar.update(),
        )
        client.execute()
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    nbformat.validate(notebook)
    nbformat.write(notebook, NOTEBOOKS / f"{source.stem}.ipynb")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="*", help="how a notebook's name begins: 02; without one, all that changed")
    names = tuple(parser.parse_args().name)
    # sums in one order, and the same steps on every x86 processor: the same digits on every machine
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Haswell"}
    # Jupyter's `python3` is this interpreter, also where another one has registered itself under that name
    os.environ["JUPYTER_PATH"] = str(Path(sys.prefix) / "share" / "jupyter")

    sources = sorted(SOURCES.glob("*.md"))
    wanted = [s for s in sources if s.name.startswith(names)] if names else [s for s in sources if not is_current(s)]
    for source in tqdm(wanted, desc="notebooks", unit="notebook", disable=not wanted):
        try:
            build(source)
        except CellExecutionError as error:
            print(f"{source.name} did not run:\n{error}", file=sys.stderr)
            return 1
    if wanted:
        subprocess.run(
            [sys.executable, "-m", "ruff", "check", "--quiet", *(NOTEBOOKS / f"{s.stem}.ipynb" for s in wanted)],
            check=False,
        )
    print(f"rebuilt {len(wanted)} of {len(sources)} notebooks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
