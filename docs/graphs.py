"""Draw the model's graphs as the post does, plain and with shapes: python -m docs.graphs [FOLDER]

Writes SVG into docs/figures/graphs/ by default, with K = 25 as in the post. Needs Graphviz (Debian: apt-get install
graphviz).
"""

import os
import re
import shutil
import sys
from pathlib import Path

from src import ROOT
from src.config import refusal

ADDRESS = re.compile(r"\b\d{10,}\b")
FOLDER = ROOT / "docs" / "figures" / "graphs"


def draw(folder: Path) -> None:
    """Ten files: every graph of `functional.graphs`, plain and with shapes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras  # late, for TensorFlow takes seconds

    from src.vae import VAE, functional

    folder.mkdir(parents=True, exist_ok=True)
    for name, model in functional.graphs(VAE(mc_samples=25)).items():
        for suffix, shapes in (("", False), ("_shapes", True)):
            # What `keras.utils.plot_model` writes, which itself fails for SVG where IPython is installed.
            drawing = keras.utils.model_to_dot(model, show_shapes=shapes, show_layer_names=True, dpi=72)
            (folder / f"{name}{suffix}.svg").write_text(named(drawing.create_svg().decode()), encoding="utf-8")


def named(svg: str) -> str:
    """The drawing with nodes named by their order, so that it is always the same; Keras takes addresses in memory."""
    names = {address: f"node {number}" for number, address in enumerate(dict.fromkeys(ADDRESS.findall(svg)))}
    return ADDRESS.sub(lambda found: names[found[0]], svg)


def main(arguments: list[str]) -> None:
    """The command."""
    if shutil.which("dot") is None:
        remedy = "Install it (Debian: apt-get install --no-install-recommends graphviz)."
        sys.exit(refusal("dot", "a program on the path: Graphviz draws the graphs", None, remedy))
    draw(Path(arguments[0]) if arguments else FOLDER)


if __name__ == "__main__":
    main(sys.argv[1:])
