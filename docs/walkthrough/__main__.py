"""Run the walk-through into a notebook and a page that needs nothing else: python -m docs.walkthrough [FOLDER]

Writes walkthrough.ipynb and walkthrough.html into reports/walkthrough/ by default. What is run is walkthrough.py,
beside this file, from the checkout, with EPOCHS (50), IMAGES (all) and BATCH_SIZES (100 65 30) from the environment.
"""

import base64
import io
import sys
from pathlib import Path

import jupytext
import nbformat
from jinja2 import Template
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from PIL import Image
from pygments.formatters import HtmlFormatter

from src import ROOT

HERE = ROOT / "docs" / "walkthrough"
FOLDER = ROOT / "reports" / "walkthrough"


class UnexpectedOutput(Exception):
    """The walk-through printed a warning, or a path of this machine."""


def executed(source: Path) -> NotebookNode:
    """The notebook of a Python file in percent format, run, without what names the machine or the time.

    Raises:
        CellExecutionError: a cell failed.
        UnexpectedOutput: as it says.
    """
    notebook = jupytext.read(source)
    client = NotebookClient(
        notebook, timeout=None, record_timing=False, coalesce_streams=True, resources={"metadata": {"path": str(ROOT)}}
    )
    client.create_kernel_manager().transport = "ipc"  # files of this user instead of ports of the machine
    client.execute()
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # a random one by default
        for output in cell.get("outputs", ()):
            check(output)
            shrink(output)
    return notebook


def check(output: NotebookNode) -> None:
    """Raises UnexpectedOutput for text on stderr, and for a path of this machine."""
    if output.get("name") == "stderr" or str(ROOT) in str(output) or str(Path.home()) in str(output):
        raise UnexpectedOutput(f"The outputs must have no warnings and no paths of this machine. Received: {output}")


def shrink(output: NotebookNode) -> None:
    """Store a picture with a palette of 128 colours, in a third of the bytes."""
    if "image/png" in output.get("data", ()):
        small = io.BytesIO()
        picture = Image.open(io.BytesIO(base64.b64decode(output["data"]["image/png"])))
        picture.convert("RGB").quantize(128).save(small, "PNG", optimize=True)
        output["data"]["image/png"] = base64.b64encode(small.getvalue()).decode()


def page(notebook: NotebookNode) -> str:
    """The notebook as one HTML file, without scripts and without anything from elsewhere."""
    exporter = HTMLExporter(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
    body, _ = exporter.from_notebook_node(notebook)
    frame = Template((HERE / "frame.html").read_text(encoding="utf-8"))
    return frame.render(body=body, highlighting=HtmlFormatter(style="friendly").get_style_defs(".highlight"))


def main(arguments: list[str]) -> None:
    """The command."""
    folder = Path(arguments[0]) if arguments else FOLDER
    notebook = executed(HERE / "walkthrough.py")
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / "walkthrough.ipynb")
    (folder / "walkthrough.html").write_text(page(notebook), encoding="utf-8")
    print(f"{folder / 'walkthrough.html'}, and the notebook beside it")


if __name__ == "__main__":
    main(sys.argv[1:])
